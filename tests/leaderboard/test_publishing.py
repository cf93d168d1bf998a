"""Who publishes to a folder: one at a time, in place of what is damaged, and never without a word."""

import copy
import shutil
import threading
import time

import pytest
import yaml
from support.boards import alone, resealed

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import read_record
from lrbench.leaderboard.published import check, publish
from lrbench.leaderboard.published.depends import require_what_they_rest_on
from lrbench.leaderboard.published.read import require_one_measure
from lrbench.store.flock import FileLocks

pytestmark = pytest.mark.usefixtures("unpictured")


@pytest.fixture(scope="module")
def runs(shown_run, tmp_path_factory):
    """Two runs of one suite, of a model each."""
    folder = tmp_path_factory.mktemp("alone")
    return [alone(shown_run, folder / model, model) for model in ("net", "lr")]


@pytest.fixture(scope="module")
def made(runs, tmp_path_factory):
    """What is published of the first run, and of both."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(publish.__globals__, "draw", lambda *_: {})
        publish(runs[0], folder / "one")
        shutil.copytree(folder / "one", folder / "both")
        publish(runs[1], folder / "both")
    return folder


@pytest.fixture
def one(made, tmp_path):
    return shutil.copytree(made / "one", tmp_path / "boards")


@pytest.fixture
def both(made, tmp_path):
    return shutil.copytree(made / "both", tmp_path / "boards")


def models_of(to):
    return sorted(path.stem for path in (to / "small/records").iterdir())


@pytest.mark.slow
def test_of_two_that_publish_at_once_neither_loses_the_other_s_model(runs, tmp_path, monkeypatch):
    to, others = tmp_path / "boards", []
    write = publish.__globals__["_write_board"]

    def slow(place, records):
        if not others:
            others.append(threading.Thread(target=publish, args=(runs[1], to)))
            others[0].start()
            time.sleep(0.4)
        write(place, records)

    monkeypatch.setitem(publish.__globals__, "_write_board", slow)
    publish(runs[0], to)
    others[0].join()
    assert models_of(to) == ["lr", "net"]
    assert check(to) == 2


def test_who_waits_too_long_for_others_says_so(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(publish.__globals__, "PATIENCE", 0.1)
    locks = FileLocks(tmp_path)
    locks.take(None)
    try:
        assert main(["publish", str(runs[0]), "--to", str(tmp_path)]) == 2
    finally:
        locks.free()
    said = capsys.readouterr().err
    assert "another publishes to" in said
    assert len(said.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_said_in_a_line(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for command in (["publish", str(runs[0])], ["publish", "--rebuild"]):
        assert main([*command, "--to", str(tmp_path / "file")]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["publish", str(runs[0]), "--to", "s3://bucket/boards"]) == 2
    assert "folder on this machine" in capsys.readouterr().err


DAMAGED = (b"{}", b"[1, 2]", b'{"format": 1, "sha256": "0"}', b'{"format": 9}')


@pytest.mark.parametrize("damage", [b"", *(pytest.param(damage, marks=pytest.mark.slow) for damage in DAMAGED)])
def test_a_damaged_record_is_mended_by_publishing_its_run_again(runs, both, damage):
    good = (both / "small/records/lr.json").read_bytes()
    (both / "small/records/lr.json").write_bytes(damage)
    with pytest.raises(UsageError, match=r"lr\.json (is |does not match)"):
        check(both)
    publish(runs[1], both)
    assert (both / "small/records/lr.json").read_bytes() == good
    assert check(both) == 2


def test_several_damaged_records_are_mended_one_after_the_other(runs, both):
    for path in (both / "small/records").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        UsageError, match=r"lr\.json is no record.*publish its run again.*the records of net are written"
    ):
        publish(runs[0], both)
    publish(runs[1], both)
    assert check(both) == 2


def test_a_damaged_record_of_another_suite_stops_no_board(runs, one):
    shutil.copytree(one / "small", one / "other")
    with pytest.raises(UsageError, match=r"other/records/net.json is the record of net in small"):
        publish(runs[1], one)
    shutil.rmtree(one / "other")
    publish(runs[1], one)
    assert check(one) == 2


def test_what_masking_found_goes_with_the_record_that_found_it(one):
    (one / "small/masking.json").write_bytes(b"{}")
    with pytest.raises(UsageError, match=r"masking\.json is not what the records say"):
        check(one)


EDITS = {
    "epochs": lambda suite: suite["training"].update(epochs=99),
    "an attack's options": lambda suite: suite["attacks"][0].update(steps=99),
    "a seed": lambda suite: suite["seeds"].append(7),
    "a radius": lambda suite: suite["threat_model"]["eps"].append(0.5),
    "the norm": lambda suite: suite["threat_model"].update(norm="l2"),
    "an attack that never ran": lambda suite: suite["attacks"].append(dict(suite["attacks"][0], label="mine")),
    "layers that never were": lambda suite: suite["models"]["net"].update(lr_layers={"avgpool": {"rank": 2}}),
    "training images": lambda suite: suite["data"].update(train=1000),
    "no checks": lambda suite: suite["diagnostics"].update(masking=False),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_suite_that_is_not_as_it_ran_is_not_published(runs, tmp_path, edit):
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    suite = yaml.safe_load((run / "suite.yaml").read_text())
    EDITS[edit](suite)
    (run / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False, allow_unicode=True))
    for partial in (False, True):
        with pytest.raises(UsageError, match=r"suite.yaml of .* is not as it ran; run the suite again"):
            publish(run, tmp_path / "boards", partial=partial)
    assert not (tmp_path / "boards").exists()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda content: content["configuration"]["training"].update(epochs=99), "another training"),
        (lambda content: content["configuration"]["data"].update(train=59), "another data"),
        (
            lambda content: content["configuration"]["diagnostics"]["masking"].update(steps=99),
            "another checks",
        ),
    ],
)
def test_models_that_were_made_or_checked_otherwise_are_not_put_on_one_board(both, change, what):
    place = both / "small"
    resealed(place / "records/lr.json", change)
    records = [read_record(path) for path in sorted((place / "records").glob("*.json"))]
    with pytest.raises(UsageError, match=what):
        require_one_measure(records, place)


@pytest.mark.parametrize("to", ["in its place", "in itself", "below itself"])
def test_a_board_is_not_written_into_its_run(runs, tmp_path, to, capsys):
    run = shutil.copytree(runs[0], tmp_path / "small")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    where = {"in its place": tmp_path, "in itself": run, "below itself": run / "boards"}[to]
    assert main(["publish", str(run), "--to", str(where)]) == 2
    assert f"would be written into the run in {run}; publish to another folder" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_board_is_not_written_into_another_run(runs, tmp_path, capsys):
    other = shutil.copytree(runs[1], tmp_path / "small")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    assert main(["publish", str(runs[0]), "--to", str(tmp_path)]) == 2
    assert f"would be written into the run in {other}; publish to another folder" in capsys.readouterr().err
    assert main(["publish", str(runs[0]), "--to", str(other / "boards")]) == 2
    assert f"would be written into the run in {other}; publish to another folder" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}


def test_a_run_is_not_written_into_a_board(one, capsys):
    before = {path: path.read_bytes() for path in one.rglob("*") if path.is_file()}
    assert main(["run", str(one / "small/suite.yaml"), "--out", str(one / "small")]) == 2
    assert "holds published boards, not a run; choose another folder with --out" in capsys.readouterr().err
    assert main(["run", str(one / "small/suite.yaml"), "--out", str(one)]) == 2
    assert "holds published boards, not a run; choose another folder with --out" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in one.rglob("*") if path.is_file()}


def test_only_what_publishing_left_half_written_is_removed(runs, one):
    ours = [one / ".index.html.x.tmp", one / "small/.README.md.x.tmp", one / "small/records/.net.json.x.tmp"]
    ours += [one / "small/figures/.a.png.x.tmp", one / "small/weights/net/seed-0/.model.json.x.tmp"]
    others = [one / ".git/.lock.x.tmp", one / "elsewhere/.notes.tmp", one / "elsewhere/deep/.notes.tmp"]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    publish(runs[0], one)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_a_folder_among_pictures_is_left_alone_and_told(runs, one, capsys):
    (one / "small/figures/.ipynb_checkpoints").mkdir(parents=True)
    (one / "small/figures/.ipynb_checkpoints/a.png").write_bytes(b"a picture")
    publish(runs[0], one)
    assert main(["publish", "--rebuild", "--to", str(one)]) == 0
    capsys.readouterr()
    assert main(["publish", "--check", "--to", str(one)]) == 2
    assert ".ipynb_checkpoints" in capsys.readouterr().err


def rests(record, on="surrogate"):
    configuration = record["configuration"]
    if on == "surrogate":
        configuration["attacks"][0]["surrogate"] = "net"
    else:
        configuration["models"][record["model"]]["init_from"] = "net"


def other_networks(record, *, keys=True, files=True):
    if keys:
        record["keys"] = {step: "0" * 64 if step.startswith("train/") else key for step, key in record["keys"].items()}
    if files:
        record["artefacts"]["train/net/seed-0"]["weights.safetensors"] = "0" * 64


OTHERWISE = {
    "the same": (lambda _: None, True),
    "made from something else, and alike": (lambda record: other_networks(record, files=False), True),
    "made from the same, and not alike": (lambda record: other_networks(record, keys=False), True),
    "other networks": (other_networks, False),
    "other networks, before there were keys": (lambda record: (other_networks(record), record.pop("keys")), False),
    "of another seed, too": (lambda record: record["keys"].update({"train/net/seed-7": "0" * 64}), False),
}


def test_of_somebody_s_code_files_do_not_tell_what_a_network_is(both):
    new, other = (read_record(both / f"small/records/{model}.json") for model in ("net", "lr"))
    rests(other)
    there = copy.deepcopy(new)
    other_networks(there, files=False)
    require_what_they_rest_on([new], [there], [other])
    new["configuration"]["models"]["net"]["arch"] = "my.py:build"
    with pytest.raises(UsageError, match="was made with other networks of net"):
        require_what_they_rest_on([new], [there], [other])
    require_what_they_rest_on([new], [copy.deepcopy(new)], [other])


@pytest.mark.parametrize("on", ["surrogate", "start"])
@pytest.mark.parametrize(("change", "stands"), OTHERWISE.values(), ids=OTHERWISE)
def test_networks_that_others_rest_on_stay(both, on, change, stands):
    new, other = (read_record(both / f"small/records/{model}.json") for model in ("net", "lr"))
    there = copy.deepcopy(new)
    change(there)
    require_what_they_rest_on([new], [there], [other])
    rests(other, on)
    require_what_they_rest_on([new], [], [other])
    if stands:
        require_what_they_rest_on([new], [there], [other])
        return
    with pytest.raises(UsageError, match="lr of small, published before, was made with other networks of net"):
        require_what_they_rest_on([new], [there], [other])


def test_a_record_that_another_rests_on_is_not_replaced(runs, both, capsys):
    resealed(both / "small/records/lr.json", rests)
    resealed(both / "small/records/net.json", rests)
    resealed(both / "small/records/net.json", other_networks)
    before = (both / "small/records/net.json").read_bytes()
    assert main(["publish", str(runs[0]), "--to", str(both)]) == 2
    assert "was made with other networks of net than this run's; publish elsewhere" in capsys.readouterr().err
    assert (both / "small/records/net.json").read_bytes() == before

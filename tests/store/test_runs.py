"""Whole runs on every kind of store."""

import time
import uuid
from pathlib import Path

import pytest
from support.plain import FACTORY

import lrbench
from lrbench.cli import main
from lrbench.errors import LrbenchError
from lrbench.leaderboard import Leaderboard
from lrbench.runner.tables import Tables
from lrbench.store import RECORD, Store, as_path, lease

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: stored
data: {name: digits, train: 150, test: 40}
models:
  net: {arch: "FACTORY:build"}
  lr: {extends: net, lr_layers: {"1": 4}}
training: {epochs: 2, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {eps: [8/255], samples: 10, batch_size: 5, part: 5}
attacks: [fgsm, {name: pgd, steps: 2, surrogate: net}]
diagnostics: {masking: false, clusters: {layer: "1"}}
"""
FEW = """\
name: few
data: {name: digits, train: 150, test: 40}
models: {net: {arch: "FACTORY:build"}}
training: {epochs: 2, batch_size: 50}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm]
diagnostics: {masking: false}
"""
"""Three steps: each file of a store costs as much as the step that wrote it."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    (folder / "mine.py").write_text(FACTORY)
    path = folder / "stored.yaml"
    path.write_text(SUITE.replace("FACTORY", str(folder / "mine.py")))
    return str(path)


@pytest.fixture
def few(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "few.yaml"
    path.write_text(FEW.replace("FACTORY", str(tmp_path / "mine.py")))
    return str(path)


@pytest.fixture(scope="module")
def finished(suite, tmp_path_factory):
    """Gives where a run is that is only read, by the kind of its store."""
    made = {}

    def of(kind):
        if kind not in made:
            here = str(tmp_path_factory.mktemp("finished") / "run")
            made[kind] = here if kind == "local" else f"{kind}://runs/{uuid.uuid4().hex}"
            lrbench.run(suite, out=made[kind])
        return made[kind]

    return of


@pytest.mark.parametrize("location", ["local", "s3", pytest.param("memory", marks=pytest.mark.slow)], indirect=True)
def test_a_run_is_what_it_is_in_a_folder_and_can_be_resumed(suite, location, finished, capsys):
    here = Path(finished("local"))
    assert main(["run", suite, "--out", location]) == 0
    root = as_path(location)
    for name in ("results.csv", "leaderboard.csv", "leaderboard.md", "suite.yaml"):
        assert (root / name).read_bytes() == (here / name).read_bytes()
    lost = root / "steps/attack/net/seed-0/fgsm/eps-8/part-5/outcomes.safetensors"
    lost.unlink()
    capsys.readouterr()
    assert main(["plan", suite, "--out", location]) == 0
    assert f"damaged: {lost.name}" in capsys.readouterr().out
    assert main(["run", suite, "--out", location]) == 0
    assert lost.exists()
    assert "1 steps" not in capsys.readouterr().err


@pytest.mark.usefixtures("s3_server", "unpictured")
@pytest.mark.parametrize("kind", ["memory", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("local", "s3"))])
def test_commands_that_read_a_run_take_its_url(finished, kind, tmp_path, capsys):
    location = finished(kind)
    for command in (["show", location], ["compare", f"{location}:net", f"{location}:lr"], ["report", location]):
        assert main(command) == 0, capsys.readouterr().err
    assert main(["publish", location, "--to", str(tmp_path / "boards")]) == 0
    assert Leaderboard.load(location).results.equals(Leaderboard.load(as_path(location)).results)


@pytest.fixture
def asked(s3_server, monkeypatch):  # noqa: ARG001
    """Requests to the store: method and key."""
    import s3fs  # noqa: PLC0415

    call, seen = s3fs.S3FileSystem._call_s3, []

    async def counted(self, method, *given, **options):
        names = {**{key: value for each in given if isinstance(each, dict) for key, value in each.items()}, **options}
        seen.append((method, str(names.get("Key", ""))))
        return await call(self, method, *given, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    return seen


@pytest.mark.parametrize("what", ["plan", "show", "compare", "report"])
def test_who_only_looks_reads_a_record_once_and_no_artefact_that_it_does_not_use(suite, finished, asked, what, capsys):
    location = finished("s3")
    asked.clear()
    given = {"plan": [suite, "--out", location], "compare": [f"{location}:net", f"{location}:lr"]}.get(what, [location])
    assert main([what, *given]) == 0, capsys.readouterr().err
    read = [key for method, key in asked if method == "get_object" and "/steps/" in key]
    records = [key for key in read if key.endswith(RECORD)]
    assert len(records) == len(set(records))
    used = {"report": ("outcomes.safetensors", "examples.safetensors", "model.json")}.get(
        what, ("outcomes.safetensors",)
    )
    assert all(key.endswith((RECORD, *used)) for key in read)
    # Beside those a few for the tables, whatever the number of steps.
    assert len(asked) <= len(read) + 60


@pytest.mark.parametrize("location", ["memory", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
def test_a_run_holds_against_its_checksum_what_plan_knows_by_its_size(few, location, capsys):
    lrbench.run(few, out=location)
    weights = as_path(location) / "steps/train/net/seed-0/weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert main(["plan", few, "--out", location]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["run", few, "--out", location]) == 0
    assert "again, damaged: weights.safetensors: train/net/seed-0" in capsys.readouterr().out
    assert weights.read_bytes() == whole


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
def test_a_share_holds_against_their_checksums_the_steps_that_its_own_need(few, location, capsys):
    assert main(["run", few, "--out", location, "--steps", "train/*"]) == 0
    weights = as_path(location) / "steps/train/net/seed-0/weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(bytes(len(whole)))
    capsys.readouterr()
    assert main(["run", few, "--out", location, "--steps", "accuracy/*"]) == 0
    assert "1 steps wait for others, such as accuracy/net/seed-0 for train/net/seed-0" in capsys.readouterr().out


def test_nothing_there_is_said_in_a_line(location, capsys):
    assert main(["show", location]) == 2
    assert f"no results in {location}" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("location", ["s3", "local"], indirect=True)
def test_processes_share_a_store(suite, location, finished):
    lrbench.run(suite, out=location, jobs=2)
    assert (as_path(location) / "results.csv").read_bytes() == (Path(finished("local")) / "results.csv").read_bytes()


def test_memory_is_not_shared(suite, capsys):
    assert main(["run", suite, "--out", "memory://runs/mine", "--jobs", "2"]) == 2
    assert "other processes have a memory of their own" in capsys.readouterr().err


@pytest.mark.parametrize("location", ["memory", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
def test_a_run_that_lost_its_lease_stops_at_its_next_write_with_a_line(few, location, monkeypatch):
    save, taken = Store.save, []

    def taken_over_meanwhile(self, record, files):
        """A first step took so long, and no renewal came through, that somebody else began."""
        if not taken:
            with monkeypatch.context() as later:
                later.setattr(lease, "STALE_SECONDS", -1.0)
                taken.append(Store(location).writing())
                taken[0].__enter__()
        return save(self, record, files)

    monkeypatch.setattr(Store, "save", taken_over_meanwhile)
    with pytest.raises(LrbenchError, match="was taken over by process") as caught:
        lrbench.run(few, out=location)
    assert "\n" not in str(caught.value)
    assert not list(as_path(location).glob("steps/**/step.json"))
    assert not (as_path(location) / "results.csv").exists()
    taken[0].__exit__(None, None, None)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_that_learns_of_it_in_the_middle_of_a_step_stops_there(few, s3_server, monkeypatch, capsys, jobs):  # noqa: ARG001
    location = f"s3://runs/{uuid.uuid4().hex}"
    begin, taken = Tables.begin, []

    def taken_over_meanwhile(self, here):
        begin(self, here)
        with monkeypatch.context() as later:
            later.setattr(lease, "STALE_SECONDS", -1.0)
            taken.append(Store(location).writing())
            taken[0].__enter__()
        time.sleep(0.5)

    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(Tables, "begin", taken_over_meanwhile)
    monkeypatch.setattr(Store, "_confirm", lambda _: None)
    assert main(["run", few, "--out", location, "--jobs", jobs]) == 1
    assert "was taken over by process" in capsys.readouterr().err
    assert not list(as_path(location).glob("steps/**/step.json"))
    taken[0].__exit__(None, None, None)

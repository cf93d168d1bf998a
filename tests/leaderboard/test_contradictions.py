"""Whoever changes a record and makes its checksum anew has to change everything that follows, too."""

import copy
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.boards import resealed

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import FORMAT, checksum, packed, read_record, require_sound, unpacked
from lrbench.leaderboard.published import check
from lrbench.leaderboard.published.files import tables
from lrbench.leaderboard.published.record import board_of
from lrbench.statistics import wilson
from lrbench.verdicts import VERDICTS


@pytest.fixture(scope="module")
def boards(pair_boards):
    return pair_boards


@pytest.fixture(scope="module")
def record(boards):
    return read_record(boards / "small/records/net.json")


def row_of(content, metric, **where):
    rows = (row for row in content["results"] if row["metric"] == metric)
    return next(row for row in rows if all(row[name] == value for name, value in where.items()))


def state(row, value):
    row["value"] = value
    row["ci_low"], row["ci_high"] = wilson(value, row["n"])


def of_images(content, label, change):
    """Change what became of the images under an attack with seed 0, and the figure with it."""
    wrong = unpacked(content["outcomes"]["0"])
    key = next(key for key in wrong if key[0] == label)
    wrong[key] = change(wrong[key].copy())
    content["outcomes"]["0"] = packed(wrong)
    state(row_of(content, "misclassification", attack=label, eps=key[1], seed=0), float(wrong[key].mean()))


def all_wrong(images):
    images[:] = True
    return images


def all_right(images):
    images[:] = False
    return images


def unflagged(content):
    """Hide all that was flagged, and let the verdicts follow."""
    for of_seed in content["masking"].values():
        for each in of_seed["checks"]:
            each["flagged"] = not each["flagged"]
        severities = {each["severity"] for each in of_seed["checks"] if each["flagged"]}
        of_seed["verdict"] = "broken" if "broken" in severities else "suspicious" if severities else "held up"
    content["verdict"] = VERDICTS[max(VERDICTS.index(each["verdict"]) for each in content["masking"].values())]


LIES = {
    "a verdict's row": lambda c: row_of(c, "verdict").update(value=(row_of(c, "verdict")["value"] + 1) % 3),
    "no verdict's row": lambda c: c["results"].remove(row_of(c, "verdict")),
    "a check's figure": lambda c: row_of(c, "check").update(value=9.0),
    "a flag": lambda c: row_of(c, "flag").update(value=0.5),
    "flags and verdicts": unflagged,
    "a seed's verdict": lambda c: c["masking"]["0"].update(
        verdict=VERDICTS[(VERDICTS.index(c["masking"]["0"]["verdict"]) + 1) % 3]
    ),
    "no checks": lambda c: c.update(masking={}, verdict=None),
    "a row twice": lambda c: c["results"].append(copy.deepcopy(row_of(c, "accuracy"))),
    "another row of the same": lambda c: c["results"].append({**row_of(c, "training_loss"), "value": 0.0}),
    "an interval": lambda c: row_of(c, "accuracy").update(ci_low=0.0),
    "half an interval": lambda c: row_of(c, "accuracy").update(ci_low=None),
    "no interval": lambda c: row_of(c, "accuracy").update(ci_low=None, ci_high=None),
    "n": lambda c: row_of(c, "embedding_accuracy", dimensions="5").update(n=61),
    "a share that no images make": lambda c: state(row_of(c, "embedding_accuracy", dimensions="5"), 0.123),
    "n of an attack": lambda c: row_of(c, "misclassification", attack="autoattack").update(n=40),
    "an accuracy that its own images contradict": lambda c: state(row_of(c, "accuracy"), 1.0),
    "no row of an attack": lambda c: c["results"].remove(row_of(c, "misclassification", attack="iter-fsgm")),
    "images of no row": lambda c: c["outcomes"]["0"].update(
        packed(unpacked(c["outcomes"]["0"]) | {("mine", 0.1): unpacked(c["outcomes"]["0"])["", 0.0]})
    ),
    "no images of a seed": lambda c: c["outcomes"].pop("0"),
    "a milder worst case": lambda c: of_images(c, "worst-case", all_right),
    "a worse worst case": lambda c: of_images(c, "worst-case", all_wrong),
    "a stronger attack": lambda c: of_images(c, "iter-fsgm", all_wrong),
    "a weaker attack": lambda c: of_images(c, row_of(c, "first_to_fool")["attack"], all_right),
    "who fooled first": lambda c: row_of(c, "first_to_fool").update(attack="deepfool" * 2),
    "no one who fooled first": lambda c: c["results"].remove(row_of(c, "first_to_fool")),
    "a radius": lambda c: row_of(c, "misclassification", attack="iter-fsgm").update(eps=0.5),
    "a space": lambda c: row_of(c, "misclassification", attack="iter-fsgm").update(space="normalized"),
    "a seed": lambda c: row_of(c, "training_loss").update(seed=7),
    "a model": lambda c: row_of(c, "training_loss").update(model="other"),
    "a mean": lambda c: row_of(c, "class_vr_mean").update(value=0.5),
    "no part of a mean": lambda c: c["results"].remove(row_of(c, "class_vr")),
    "another parameter": lambda c: row_of(c, "accuracy").update(k="3"),
    "a figure without its parameter": lambda c: row_of(c, "check").pop("check"),
    "a derived figure": lambda c: c["results"].append({**row_of(c, "accuracy"), "metric": "robust_accuracy"}),
    "steps done": lambda c: c["steps"].update(done=c["steps"]["done"] - 1),
    "steps planned": lambda c: c["steps"].update(planned=c["steps"]["planned"] + 1),
    "a step missing": lambda c: c["steps"].update(
        planned=c["steps"]["planned"] + 1, missing=[next(iter(c["artefacts"]))]
    ),
    "no word of steps": lambda c: c.pop("steps"),
    "a step of another model": lambda c: c["artefacts"].update({"train/other/seed-0": {}}),
    "another model's configuration": lambda c: c["configuration"].update(
        models={"other": c["configuration"]["models"]["net"]}
    ),
    "another suite": lambda c: c["configuration"].update(name="other"),
    "a caution": lambda c: c.update(cautions=["net: its LR-Layers never acted."]),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_record_that_contradicts_itself_is_found(record, lie):
    content = copy.deepcopy(record)
    LIES[lie](content)
    with pytest.raises(UsageError) as found:
        require_sound({**content, "sha256": checksum(content)}, "net.json")
    assert len(str(found.value).splitlines()) == 1


def test_what_is_as_it_was_written_contradicts_nothing(record):
    require_sound(record, "net.json")


def test_a_blank_in_a_record_is_found(boards, tmp_path):
    shutil.copytree(boards, tmp_path / "boards")
    path = tmp_path / "boards/small/records/net.json"
    path.write_bytes(path.read_bytes().replace(b": ", b":  ", 1))
    with pytest.raises(UsageError, match=r"net\.json is not written as lrbench writes it"):
        check(tmp_path / "boards")


def test_a_record_of_a_newer_format_is_called_newer(boards, tmp_path, capsys):
    shutil.copytree(boards, tmp_path / "boards")
    resealed(tmp_path / "boards/small/records/net.json", lambda content: content.update(format=FORMAT + 1, more={}))
    assert main(["publish", "--check", "--to", str(tmp_path / "boards")]) == 2
    said = capsys.readouterr().err
    assert f"net.json is of a newer version of lrbench (format {FORMAT + 1}, and this one reads up to {FORMAT})" in said
    assert "checksum" not in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def paths(content, above=()):
    """Give every place in a record, of long lists the first entries."""
    inside = (
        content.items() if isinstance(content, dict) else enumerate(content[:3]) if isinstance(content, list) else ()
    )
    for key, value in inside:
        yield (*above, key)
        yield from paths(value, (*above, key))


def refusal(content):
    try:
        require_sound(content, "net.json")
    except UsageError as error:
        return str(error)
    return None


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_record_with_anything_anywhere_is_refused_in_a_line_or_shown(record, data):
    content = copy.deepcopy(record)
    *above, last = data.draw(st.sampled_from([*paths(content)]))
    place = content
    for part in above:
        place = place[part]
    if data.draw(st.booleans()):
        del place[last]
    else:
        place[last] = data.draw(JSON)
    content["sha256"] = checksum(content)
    said = refusal(content)
    if said is None:
        assert tables(board_of([content]), [content], [])["README.md"]
    else:
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("content", [b"[]", b"{}", b"3", b"null", b"\xff", b"", b"[" * 100_000])
def test_a_record_that_is_none_is_refused_in_a_line(boards, tmp_path, content, capsys):
    shutil.copytree(boards, tmp_path / "boards")
    (tmp_path / "boards/small/records/net.json").write_bytes(content)
    for command in (
        ["publish", "--check", "--to", str(tmp_path / "boards")],
        ["publish", "--rebuild", "--to", str(tmp_path / "boards")],
    ):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "net.json is no record" in said
        assert len(said.splitlines()) == 1

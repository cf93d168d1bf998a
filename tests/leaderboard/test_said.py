"""What a board knows of attacks: of lrbench's own from their files, of others' from what the run wrote down."""

import json
import shutil
import subprocess
import sys

import pytest
from support.boards import resealed
from support.takers import LITTLE

import lrbench
from lrbench.attacks import AutoAttack, IterFSGM
from lrbench.catalogue import ATTACKS
from lrbench.errors import UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.kept import FORMAT, read_record
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.published import check, publish
from lrbench.leaderboard.said import is_noise, is_weak, other_than_standard, said_of
from lrbench.runner import run
from lrbench.runner.threat import is_weak as weak_class
from lrbench.runner.threat import kind_of

SUITE = """\
name: theirs
data: {name: digits, train: 60, test: 20}
models: {net: {arch: resnet18, width: 4}}
training: {epochs: 1, batch_size: 30}
threat_model: {space: pixel, eps: [8/255], samples: 20}
attacks: [timid, {name: static, label: hiss}]
diagnostics: {masking: false}
"""

SAID = {"timid": {"weak": True, "noise": False}, "static": {"weak": True, "noise": True}}


class Timid(IterFSGM):
    """Half of what it may do."""

    weak = True


class Static(IterFSGM):
    """Beyond its radius."""

    kind = "noise"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run with attacks of somebody else, which nobody has who reads it."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "theirs.yaml").write_text(SUITE)
    before = dict(ATTACKS._entries)
    lrbench.register_attack("timid")(Timid)
    lrbench.register_attack("static")(Static)
    run(folder / "theirs.yaml", folder / "out")
    ATTACKS._entries = before
    return folder / "out"


@pytest.fixture(scope="module")
def board(ran):
    publish(ran, ran.parent / "boards")
    return ran.parent / "boards"


@pytest.mark.parametrize("name", LITTLE)
def test_what_is_read_in_a_file_is_what_the_class_says(name):
    entry = ATTACKS[name]
    factory = entry.load()
    assert said_of(name, {}) == {"weak": weak_class(factory), "noise": kind_of(factory) == "noise"}


def test_these_are_weak_and_noise():
    weak = ("iter-fsgm", "iter-ll-fsgm", "fgsm", "uniform-noise", "gaussian-noise")
    strong = ("pgd", "apgd-ce", "apgd-t", "square", "fab-t", "autoattack", "deepfool", "carlini-wagner", "adaptive-lr")
    assert [name for name in (*weak, *strong) if is_weak(name, {})] == [*weak]
    assert [name for name in (*weak, *strong) if is_noise(name, {})] == ["gaussian-noise"]


def test_of_lrbench_s_own_nobody_else_says_anything():
    assert not is_weak("pgd", {"pgd": {"weak": True, "noise": True}})
    assert not is_noise("pgd", {"pgd": {"weak": True, "noise": True}})
    assert is_weak("timid", SAID)
    assert not is_weak("unheard-of", SAID)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {}),
        ({"steps": 100, "version": "standard", "eot": 1, "seed": 0}, {}),
        ({"steps": 8, "queries": 50}, {"steps": 8, "queries": 50}),
        ({"version": "rand"}, {"version": "rand"}),
        ({"eot": 2}, {"eot": 2}),
    ],
)
def test_the_standard_version_of_autoattack_is_its_defaults(options, changed):
    suite = {"name": "autoattack", "label": "aa", "eps": None, "surrogate": None}
    assert other_than_standard(suite | options) == changed
    assert other_than_standard(suite | {"name": "pgd"} | options) == {}, "which has no standard version"
    assert other_than_standard(suite | {"name": "unheard-of"} | options) == {}


def test_what_autoattack_leaves_open_comes_to_what_it_says():
    plain, spelt = AutoAttack(0.1), AutoAttack(0.1, **AutoAttack.standard)
    for name, member in plain.members.items():
        assert getattr(member, "eot", None) == getattr(spelt.members[name], "eot", None)


def weak_note(board):
    return next((line for line in notes(board) if line.startswith("Only ")), "")


def test_a_run_is_shown_as_what_its_attacks_said(ran):
    assert json.loads((ran / "status.json").read_text())["attacks"] == SAID
    assert weak_note(Leaderboard.load(ran)).startswith("Only hiss (static) and timid ran, weak attacks")


def test_a_record_keeps_what_they_said(board, tmp_path):
    shutil.copytree(board, tmp_path / "to")
    record = read_record(tmp_path / "to/theirs/records/net.json")
    assert record["attacks"] == SAID
    assert check(tmp_path / "to") == 1
    assert "Only hiss (static) and timid ran, weak attacks" in (tmp_path / "to/theirs/README.md").read_text()
    assert weak_note(Leaderboard.load(tmp_path / "to/theirs"))


def test_an_attack_that_is_told_to_be_noise_contradicts_a_worst_case_over_it(board, tmp_path):
    shutil.copytree(board, tmp_path / "to")
    path = tmp_path / "to/theirs/records/net.json"
    resealed(path, lambda record: record["attacks"]["timid"].update(noise=True))
    with pytest.raises(UsageError, match="worst case"):
        read_record(path)


def test_a_record_of_this_form_says_of_its_attacks_and_an_older_one_need_not(board, tmp_path):
    shutil.copytree(board, tmp_path / "to")
    path = tmp_path / "to/theirs/records/net.json"
    resealed(path, lambda record: record.pop("attacks"))
    with pytest.raises(UsageError, match=f"it lacks what format {FORMAT} has"):
        read_record(path)
    resealed(path, lambda record: record.update(format=2))
    assert "attacks" not in read_record(path), "whose noise may be among its worst cases, or not"


def test_a_board_of_before_says_nothing_of_attacks_of_others(ran, tmp_path):
    shutil.copytree(ran, tmp_path / "out")
    status = json.loads((tmp_path / "out/status.json").read_text())
    del status["attacks"]
    (tmp_path / "out/status.json").write_text(json.dumps(status))
    assert not weak_note(Leaderboard.load(tmp_path / "out"))


def test_boards_ask_attacks_without_torch():
    code = (
        "import sys; from lrbench.leaderboard.said import is_weak, other_than_standard\n"
        "assert is_weak('fgsm', {}) and other_than_standard({'name': 'autoattack', 'steps': 3})\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Runs and boards of a newer version are shown as far as they are known, and what is not is said."""

import json
import shutil

import pytest
import yaml
from support.boards import resealed

from lrbench.cli import main
from lrbench.leaderboard.published import check, rebuild


def newer(suite):
    """Make a suite what a newer version could have written."""
    suite["threat_model"]["patience"] = 7
    suite["diagnostics"]["sharpness"] = {"radius": 0.1}
    suite["diagnostics"]["masking"]["patience"] = 3


@pytest.fixture(scope="module")
def run(pair_run, tmp_path_factory):
    to = tmp_path_factory.mktemp("newer") / "run"
    shutil.copytree(pair_run, to)
    suite = yaml.safe_load((to / "suite.yaml").read_text())
    newer(suite)
    suite["attacks"].append({"name": "newest", "label": "newest", "eps": None, "surrogate": None, "depth": 9})
    (to / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    results = (to / "results.csv").read_text()
    (to / "results.csv").write_text(results + "small,net,0,digits,,,,,sharpness[0.1],0.5,,,20\n")
    return to


@pytest.fixture(scope="module")
def board(pair_boards, tmp_path_factory):
    to = tmp_path_factory.mktemp("newer") / "boards"
    shutil.copytree(pair_boards, to)
    for path in (to / "small/records").iterdir():
        resealed(path, lambda record: newer(record["configuration"]))
    rebuild(to)
    return to / "small"


UNKNOWN = ("threat_model.patience: 7", "diagnostics.sharpness: {'radius': 0.1}", "diagnostics.masking.patience: 3")


@pytest.mark.parametrize("kind", ["run", "board"])
def test_it_is_shown_compared_and_reported_and_what_is_not_known_said(kind, request, tmp_path, capsys):
    folder = request.getfixturevalue(kind)
    assert main(["show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "Robust accuracy % in the worst case" in shown
    assert main(["compare", f"{folder}:net", f"{folder}:lr"]) == 0
    compared = capsys.readouterr().out
    assert main(["compare", f"{folder}:net", f"{folder}:lr", "--format", "json"]) == 0
    of_a = json.loads(capsys.readouterr().out)[0]["not_read"]["a"]
    assert main(["report", str(folder), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text().replace("&#39;", "'")
    for line in UNKNOWN:
        for view in (shown, compared, page, " ".join(of_a)):
            assert f"{line} is unknown to this version of lrbench, or not registered here, and ignored" in " ".join(
                view.split()
            )


def test_a_board_of_a_newer_version_can_be_checked_and_keeps_what_is_not_known(board):
    assert check(board.parent) == 2
    assert yaml.safe_load((board / "suite.yaml").read_text())["threat_model"]["patience"] == 7
    assert "NOT READ" in (board / "README.md").read_text()

"""Claims through whole runs: from a suite or a call to tables, notes, pictures, records, and on after a stop."""

import json
import re

import pytest
import torch
from support import audited

import lrbench
from lrbench.cli import main
from lrbench.data import Split
from lrbench.diagnostics.claims import EFFORTS, LADDER, Effort
from lrbench.errors import UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.published import publish
from lrbench.measures import Subject
from lrbench.measures.audit import KEPT, ClaimAudit
from lrbench.suite import Suite

SMALL = Effort(longer=2, least=8, apgd_steps=6, restarts=2, targets=1, queries=10, averaged=2)
CLAIM = "pgd, steps 8, 0.1: 78.5"
LABEL = "pgd, steps 8, 25.5/255"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two networks, and what is claimed of them; of one no figure."""
    folder = tmp_path_factory.mktemp("audit")
    x, y = audited.digit_images("test", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EFFORTS, "short", SMALL)
        board = lrbench.evaluate(
            {"hidden": audited.quantised(), "plain": audited.plain()},
            data=(x, y),
            eps=0.1,
            attacks=[],
            diagnostics={"audit": {"samples": 30}, "masking": False},
            claims=[CLAIM, {"model": "plain", "attack": {"name": "pgd", "steps": 3}, "eps": 0.1}],
            out=folder / "run",
        )
    assert not board.failures
    return folder / "run", board


def value(board, **where):
    rows = board.results
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    assert len(rows) == 1
    return rows.iloc[0]


def test_figures_stand_in_the_results(finished):
    _, board = finished
    assert value(board, metric="audit_claimed", claim=LABEL)["value"] == 0.785
    own = value(board, metric="audit_robust_accuracy", rung="own", model="hidden")
    through = value(board, metric="audit_robust_accuracy", rung="straight-through")
    assert own["n"] == 30
    assert own["ci_low"] < own["value"] < own["ci_high"]
    assert through["value"] < own["value"] - 0.2
    less = value(board, metric="audit_less", rung="straight-through")
    assert less["value"] == pytest.approx(own["value"] - through["value"])
    assert less["ci_low"] > 0
    verdict = value(board, metric="audit_verdict", model="hidden")
    assert (verdict["bill"], verdict["cause"]) == ("masked", "vanishing")
    assert verdict["rung"] in {"transfer", "straight-through"}
    assert value(board, metric="audit_not_tried", rung="adaptive", model="hidden")["reason"].startswith(
        "the network has no LR-Layers"
    )
    assert value(board, metric="audit_verdict", model="plain")["bill"] == "clean"
    assert len(board.results.query("metric == 'audit_claimed'")) == 1


def test_the_suite_s_other_model_is_what_transfers_are_made_on(finished):
    _, board = finished
    assert value(board, metric="audit_less", rung="transfer", model="hidden")["value"] > 0.2


def test_terminal_report_and_pictures_show_it(finished):
    folder, board = finished
    shown = Leaderboard.load(folder)
    audits = {each.title.partition(", n =")[0]: each for each in shown.blocks if each.title.startswith("Audit")}
    block, other = (audits[f"Audit of {claim}"] for claim in (LABEL, "pgd, steps 3, 25.5/255"))
    assert {model for model, _, _ in other.rows(["hidden", "plain"])} == {"plain"}
    rows = list(block.rows(["hidden", "plain"]))
    assert [(model, words[0]) for model, words, _ in rows][:2] == [
        ("hidden", "own (the claim's own attack)"), ("hidden", "steps (more steps)"),
    ]  # fmt: skip
    changes = {rung.name: rung.change for rung in LADDER}
    assert all(words == [f"{name} ({changes[name]})"] for _, words, _ in rows for name in [words[0].split(" (")[0]])
    lines = [line for line in notes(shown) if line.startswith("hidden, seed 0")]
    assert re.match(r"hidden, seed 0: 78\.5 % claimed, ours \d\d\.\d % \(", lines[0])
    assert re.search(
        r"Masked gradients, cause: vanishing\. `(transfer|straight-through)` closes \d+ % of the gap", lines[0]
    )
    assert any("(input): 100 % of what its output moves are leaps" in line for line in notes(shown))
    report = (folder / "report.html").read_text()
    assert "straight-through" in report
    assert (folder / "figures" / "audit-pgd-steps-8-25.5-255.png").stat().st_size > 5000
    assert "cause: vanishing" in (folder / "leaderboard.md").read_text()
    assert board.plot("audit-pgd-steps-8-25.5-255") is not None


@pytest.mark.usefixtures("unpictured")
def test_its_records_are_published_and_checked(finished, tmp_path):
    folder, _ = finished
    publish(folder, tmp_path)
    (board,) = (each for each in tmp_path.iterdir() if each.is_dir())
    records = {each.stem: json.loads(each.read_text()) for each in (board / "records").iterdir()}
    assert [claim["model"] for claim in records["hidden"]["configuration"]["claims"]] == ["hidden"]
    assert records["plain"]["configuration"]["claims"][0]["attack"]["steps"] == 3
    assert any(row["metric"] == "audit_verdict" for row in records["hidden"]["results"])


def test_a_finished_audit_is_not_taken_again(finished):
    folder, _ = finished
    before = (folder / "steps/audit/hidden/seed-0/step.json").stat().st_mtime_ns
    x, y = audited.digit_images("test", 40)
    lrbench.evaluate(
        {"hidden": audited.quantised(), "plain": audited.plain()},
        data=(x, y),
        eps=0.1,
        attacks=[],
        diagnostics={"audit": {"samples": 30}, "masking": False},
        claims=[CLAIM, {"model": "plain", "attack": {"name": "pgd", "steps": 3}, "eps": 0.1}],
        out=folder,
    )
    assert (folder / "steps/audit/hidden/seed-0/step.json").stat().st_mtime_ns == before


def test_a_network_that_gets_nothing_right_has_a_board_as_well(tmp_path, monkeypatch):
    monkeypatch.setitem(EFFORTS, "short", SMALL)
    x, _ = audited.digit_images("test", 12)
    y = (audited.plain()(x).argmax(dim=1) + 1) % 10
    diagnostics = {"audit": {"samples": 12}, "masking": False}
    asked = {"eps": 0.1, "attacks": [], "diagnostics": diagnostics, "claims": [CLAIM]}
    board = lrbench.evaluate(audited.plain(), data=(x, y), out=tmp_path / "run", **asked)
    assert not board.failures
    assert any("Nothing left" in line for line in notes(board))
    assert not any("Not tried" in line for line in notes(board))


def test_rungs_that_were_climbed_before_a_stop_count(monkeypatch):
    monkeypatch.setitem(EFFORTS, "short", SMALL)
    x, y = audited.digit_images("test", 12)
    split = Split((255 * x).round().to(torch.uint8), y)
    claims = ({"attack": "pgd", "options": {"steps": 3}, "eps": 0.1, "robust_accuracy": None, "source": "",
               "norm": "linf", "space": "pixel", "statistics": None},)  # fmt: skip
    options = ClaimAudit.Options(samples=12)
    saved, climbed = [], []

    def subject(unfinished, save):
        kept = {"claims": claims, "unfinished": unfinished, "save": save}
        return Subject(audited.plain(), split, split, tuple("0123456789"), torch.device("cpu"), 0, **kept)

    def stop(content):
        saved.append(content)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ClaimAudit().take(options, subject(None, stop), lambda *_: None))
    again = subject(saved[-1], lambda content: climbed.append(json.loads(content)["0"]))
    assert [row for row in ClaimAudit().take(options, again, lambda *_: None) if row["metric"] == "audit_verdict"]
    assert len(climbed[0]) == 4
    assert set(json.loads(again.kept[KEPT])["0"]) == set(climbed[-1])


SUITE = {
    "name": "s",
    "data": "digits",
    "models": {"net": {"arch": "resnet18"}},
    "claims": [{"model": "net", "attack": "pgd", "eps": "8/255", "robust_accuracy": 78.5}],
}


def test_a_suite_s_claims_are_audited_unasked():
    assert Suite.model_validate(SUITE).diagnostics.audit.effort == "short"
    assert Suite.model_validate({**SUITE, "claims": []}).diagnostics.audit is None


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"model": "nett"}, "unknown model 'nett'; did you mean 'net'"),
        ({"robust_accuracy": 101}, "less than or equal to 100"),
        ({"eps": 0}, "greater than 0"),
        ({"attack": {"name": "pgd", "surrogate": "net"}}, "made on the model itself"),
        ({"attack": {"name": "pgd", "eps": [0.1]}}, "at the claim's own `eps`"),
        ({"sourc": "x"}, "did you mean 'source'"),
    ],
)
def test_claims_that_are_none_are_refused(claim, says):
    with pytest.raises(ValueError, match=says):
        Suite.model_validate({**SUITE, "claims": [{**SUITE["claims"][0], **claim}]})
    with pytest.raises(ValueError, match="claimed twice"):
        Suite.model_validate({**SUITE, "claims": 2 * SUITE["claims"]})


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            ["resnet18", "--claim", "pgd, step 5, 8/255: 70"],
            "lrbench: resnet18 on quick: claims.0.attack.step: unknown key; did you mean 'steps'",
        ),
        (["resnet18", "--claim", "pgdd, 8/255: 70"], "unknown attack 'pgdd'; did you mean 'pgd'"),
        (["resnet18", "--claim", "pgd, steps 5: 70"], "0 radii"),
        (["resnet18", "--claim", "fgsm, norm l2, 0.5: 70"], "fgsm works in the linf ball"),
        (["resnet19", "--claim", "pgd, 8/255: 70"], "unknown model 'resnet19'"),
        (["resnet18", "--claim", "pgd, 8/255: 70", "--claim", "pgd, norm l2, 1: 7"], "in one norm, not in l2 and linf"),
        (["RUN:hiden", "--claim", "pgd, 8/255: 70"], "hiden"),
    ],
)
def test_the_command_answers_a_mistake_in_a_line(finished, command, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [part.replace("RUN", str(finished[0])) for part in command]
    assert main(["audit", *command]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said
    assert "\n" not in said
    assert not list(tmp_path.iterdir())


def test_asked_of_no_claims_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="the suite states none"):
        lrbench.evaluate(audited.plain(), data=audited.digit_images("test", 12), eps=0.1, attacks=[],
                         diagnostics={"audit": {"samples": 10}}, out=tmp_path / "run")  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_the_command_audits_a_model_of_a_suite(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(EFFORTS, "short", SMALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(
        "name: s\ndata: {name: digits, train: 200, test: 60}\nmodels: {net: {arch: support.nets:staged}}\n"
        "training: {epochs: 1, batch_size: 50}\n"
    )
    command = ["audit", "net", "--suite", "s.yaml", "--claim", "pgd, steps 3, 0.5: 70", "--samples", "12"]
    assert main([*command, "--out", "memory:audit"]) == 0
    said = capsys.readouterr().out
    assert "Audit of pgd, steps 3, 127.5/255" in said
    assert "70 % claimed, ours" in said

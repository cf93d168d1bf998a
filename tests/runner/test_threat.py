"""What is in the threat model, and what a figure is taken over, in whole runs."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import lrbench
from lrbench.attacks.base import Attack
from lrbench.catalogue import ATTACKS
from lrbench.errors import UsageError
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.report import report
from lrbench.leaderboard.robustbench import model_info
from lrbench.runner import attack as attack_steps
from lrbench.runner import run
from lrbench.runner.threat import make_attack, passes_of
from lrbench.suite import AttackSpec, ThreatModel

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: held
data: {name: digits, train: 60, test: 20}
models: {net: {arch: support.nets:staged, width: 4}}
training: {epochs: 1, batch_size: 30}
threat_model: {space: pixel, eps: [1/255], samples: 20}
attacks: [ATTACK]
diagnostics: {masking: false}
"""


class Beyond(Attack):
    """Goes wherever it likes."""

    def __init__(self, eps: float, factor: float = 1.0) -> None:
        self.size = eps * factor

    def run(self, model, x, y):  # noqa: ARG002
        return x + self.size


@pytest.fixture
def beyond():
    lrbench.register_attack("beyond")(Beyond)


def measured(tmp_path, attack):
    (tmp_path / "held.yaml").write_text(SUITE.replace("ATTACK", attack))
    return run(tmp_path / "held.yaml", tmp_path / "out")


@pytest.mark.usefixtures("beyond")
def test_an_attack_that_leaves_the_ball_fails_by_name(tmp_path):
    board = measured(tmp_path, "{name: beyond, factor: 2.0}")
    (reason,) = [text for step, text in board.failures.items() if step.startswith("attack/")]
    assert "beyond went 0.0039" in reason
    assert "in linf; it is made for another norm or radius" in reason


@pytest.mark.usefixtures("beyond")
def test_one_that_overshoots_by_rounding_is_projected(tmp_path, monkeypatch):
    judged = []
    original = attack_steps.l2_dissimilarity
    monkeypatch.setattr(attack_steps, "l2_dissimilarity", lambda a, x: judged.append((a, x)) or original(a, x))
    board = measured(tmp_path, "{name: beyond, factor: 1.0001}")
    assert not board.failures
    x_adv, x = judged[0]
    assert (x_adv - x).abs().max() <= 1 / 255 + 2**-24
    assert x_adv.max() <= 1


def test_a_black_image_is_left_out_of_the_l2_dissimilarity(tmp_path, monkeypatch):
    encoded = attack_steps.encoded

    def darkened(model, split):
        x = encoded(model, split).clone()
        x[:1] = 0
        return x

    monkeypatch.setattr(attack_steps, "encoded", darkened)
    board = measured(tmp_path, "iter-fsgm")
    (row,) = board.results[board.results["metric"] == "l2_dissimilarity"].to_dict("records")
    assert row["n"] == 19
    assert torch.tensor(row["value"]).isfinite()
    (area,) = board.results[board.results["metric"] == "auc_l2"]["value"]
    assert 0 <= area <= 1


L1_SUITE = """\
name: sparse
data: {name: digits, train: 60, test: 20}
models: {net: {arch: support.nets:staged, width: 4}}
training: {epochs: 2, batch_size: 30}
threat_model: {norm: L1, eps: [0.5, 3], samples: 20}
attacks: [{name: apgd-ce, steps: 5}, {name: fmn, steps: 10}, {name: ddn, steps: 10}]
diagnostics: {masking: {samples: 20, steps: 4, queries: 10, draws: 2, unbounded: 4}}
"""


def test_l1_radii_are_sums_in_attacks_tables_checks_and_the_report(tmp_path):
    (tmp_path / "sparse.yaml").write_text(L1_SUITE)
    board = run(tmp_path / "sparse.yaml", tmp_path / "out")
    assert not board.failures
    assert board.suite["threat_model"]["norm"] == "l1"
    rows = board.results
    for attack in ("fmn", "ddn"):
        sizes = load_file(tmp_path / f"out/steps/attack/net/seed-0/{attack}/minimal/outcomes.safetensors")
        (median,) = rows[(rows["metric"] == "median_l1") & (rows["attack"] == attack)]["value"]
        assert median == pytest.approx(np.median(sizes["l1"]))
        assert (sizes["l1"] >= sizes["l2"]).all()
        assert (sizes["l2"] >= sizes["linf"]).all()
        wrong = rows[(rows["metric"] == "misclassification") & (rows["attack"] == attack)].set_index("eps")["value"]
        assert wrong[3.0] == pytest.approx((sizes["l1"] <= 3).double().mean().item())
    headings = [column.heading for block in board.blocks for column in block.columns]
    assert "fmn median L1" in headings
    assert "3" in headings
    assert "verdict" in headings
    assert "pixel space, \N{SCRIPT SMALL L}1." in report(tmp_path / "out")
    with pytest.raises(UsageError, match=r"RobustBench has leaderboards of Linf and L2; .* was attacked in l1"):
        model_info(Run.open(tmp_path / "out"), "net", {})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("iter-fsgm", "iter-fsgm works in the linf ball; threat_model.norm is l1"),
        ("deepfool", "deepfool looks for the smallest perturbation in linf or l2; threat_model.norm is l1"),
        ("hopskipjump", "hopskipjump looks for the smallest perturbation in linf or l2; threat_model.norm is l1"),
        ("foolbox:LinfPGD", "foolbox:LinfPGD works in the linf ball; threat_model.norm is l1"),
        ("foolbox:L2PGD", "foolbox:L2PGD works in the l2 ball; threat_model.norm is l1"),
        ("torchattacks:Square", "torchattacks:Square works in the linf or l2 ball; threat_model.norm is l1"),
        ("beyond", "beyond works in the linf ball; threat_model.norm is l1"),
    ],
)
@pytest.mark.usefixtures("beyond")
def test_what_cannot_be_asked_in_l1_says_what_can(name, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        make_attack(ATTACKS[name].load(), AttackSpec(name=name), ThreatModel(norm="l1"), 1.0)


L1_ALONE = ["foolbox:SparseL1DescentAttack", "art:ProjectedGradientDescentPyTorch"]


@pytest.mark.parametrize("name", [*L1_ALONE, "foolbox:L1FMNAttack", "carlini-wagner", "gaussian-noise"])
def test_what_can_be_asked_in_l1_is(name):
    made = make_attack(ATTACKS[name].load(), AttackSpec(name=name), ThreatModel(norm="l1"), 1.0)
    if name in L1_ALONE:
        assert made.norm == "l1"


@pytest.mark.parametrize("passes", [float("nan"), "many", -2.0, 0])
def test_a_plan_is_made_whatever_an_attack_of_somebody_says(passes):
    class Odd:
        def __init__(self, eps):  # noqa: ARG002
            self.passes = passes

    assert 0 < passes_of(Odd, AttackSpec(name="odd"), ThreatModel(eps=[0.1]), 0.1).work < 2
    assert 1 < passes_of(None, AttackSpec(name="odd"), ThreatModel(eps=[0.1]), 0.1).work < 2, "it fails in its own step"


def given(kind, run):
    return type("Mine", (Attack,), {"kind": kind, "__init__": lambda self, eps=0.0: None, "run": run})  # noqa: ARG005


@pytest.mark.parametrize("kind", ["minimal", "noise"])
def test_a_point_outside_the_pixels_is_judged_where_it_is_cut_off(tmp_path, monkeypatch, kind):
    judged = []
    original = attack_steps._outcomes
    monkeypatch.setattr(attack_steps, "_outcomes", lambda *each: judged.append(each[-1]) or original(*each))
    lrbench.register_attack("far")(given(kind, lambda _, __, x, ___: x + 3))
    assert not measured(tmp_path, "far").failures
    assert all(((x_adv >= 0) & (x_adv <= 1)).all() for x_adv in judged)
    assert judged


@pytest.mark.parametrize("kind", ["bounded", "minimal", "noise"])
def test_an_attack_is_judged_by_the_labels_that_the_data_have(tmp_path, kind):
    def run(_, __, x, y):
        y[:] = (y + 1) % 10
        return x.clone()

    lrbench.register_attack("liar")(given(kind, run))
    board = measured(tmp_path, "liar")
    rows = board.results[board.results["metric"].isin(["found", "misclassification"])]
    clean = rows[(rows["attack"] == "") & (rows["eps"] == 0)]["value"].iloc[0]
    assert set(rows[rows["attack"] == "liar"]["value"]) == {clean}


@pytest.mark.parametrize("kind", ["bounded", "minimal", "noise"])
def test_one_that_gives_no_number_fails_by_name(tmp_path, kind):
    lrbench.register_attack("nan")(given(kind, lambda _, __, x, ___: x * float("nan")))
    reasons = [text for step, text in measured(tmp_path, "nan").failures.items() if step.startswith("attack/")]
    assert reasons
    assert all("Mine gave NaN or infinite entries" in text for text in reasons)

"""The steps over all attacks on a model: worst case, differences, transfer, verdict."""

import json
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load

from lrbench.leaderboard.comparable import judged_without
from lrbench.leaderboard.notes import _made_on_one, notes
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.paired import compare
from lrbench.leaderboard.render import print_board, to_markdown
from lrbench.leaderboard.sides import Side
from lrbench.runner import Session, run
from lrbench.statistics import difference_of, holm

FACTORY = """\
import torch
from torchvision.models import resnet18


class Hidden(torch.nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 16, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Flatten(), torch.nn.Linear(1024, classes))

    def forward(self, x):
        return self.net(x + ((x * 4).round() / 4 - x).detach() if self.training else (x * 4).round() / 4)


def hidden(num_classes, in_channels):
    return Hidden(num_classes, in_channels)
"""

SUITE = """\
name: joint
data: {name: digits, train: 600, test: 80}
models:
  net: {arch: support.nets:staged, width: 4}
  hidden: {arch: "FACTORY:hidden"}
training: {epochs: 4, batch_size: 50, learning_rate: 0.05}
threat_model: {space: pixel, eps: [8/255, 32/255], samples: 40}
attacks:
  - iter-fsgm
  - {name: pgd, surrogate: net, steps: 8}
  - {name: deepfool, steps: 10}
  - {name: square, queries: 30, eps: [32/255]}
  - {name: gaussian-noise, eps: [32/255]}
diagnostics: {masking: {samples: 40, steps: 10, queries: 150, draws: 5, unbounded: 8}}
"""


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    (folder / "mine.py").write_text(FACTORY)
    path = folder / "joint.yaml"
    path.write_text(SUITE.replace("FACTORY", str(folder / "mine.py")))
    return path, run(path, folder / "out")


def outcome(path, step):
    return load((path.parent / "out" / "steps" / step / "outcomes.safetensors").read_bytes())


def value(board, **where):
    rows = board.results
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    assert len(rows) == 1, where
    return rows["value"].iloc[0]


@pytest.mark.parametrize("model", ["net", "hidden"])
def test_the_worst_case_is_over_all_attacks_in_the_ball_and_all_smaller_radii(joint, model):
    path, board = joint
    clean = outcome(path, f"accuracy/{model}/seed-0")
    fooled = clean["predicted"] != clean["label"]
    for eps, label in ((8 / 255, "8"), (32 / 255, "32")):
        names = ["iter-fsgm", "pgd-from-net", *(["square"] if label == "32" else [])]
        for name in names:
            each = outcome(path, f"attack/{model}/seed-0/{name}/eps-{label}")
            fooled = fooled | (each["predicted"] != each["label"])
        fooled = fooled | (outcome(path, f"attack/{model}/seed-0/deepfool/minimal")["linf"] <= eps)
        share = value(board, model=model, attack="worst-case", metric="misclassification", eps=eps)
        assert share == pytest.approx(fooled.mean())
        first = board.results
        first = first[(first["model"] == model) & (first["metric"] == "first_to_fool") & (first["eps"] == eps)]
        wrong = (clean["predicted"] != clean["label"]).mean()
        assert first["value"].sum() + wrong == pytest.approx(share)


def test_differences_are_of_robust_accuracy_over_all_seeds_and_of_the_first_model(joint):
    path, board = joint
    own, other = (outcome(path, f"worst/{model}/seed-0")["by_32"] == -2 for model in ("hidden", "net"))
    assert own.mean() != other.mean()
    expected = difference_of(own[None], other[None])
    found = board.results[(board.results["eps"] == 32 / 255) & board.results["seed"].isna()].set_index("metric")
    assert set(found["model"]) == {"hidden"}
    difference = found.loc["robust_accuracy_difference"]
    assert difference["value"] == pytest.approx(own.mean() - other.mean())
    assert (difference["ci_low"], difference["ci_high"]) == pytest.approx(expected.interval)
    assert found.loc["p_value", "value"] == pytest.approx(expected.p)
    raw = board.results[board.results["metric"] == "p_value"]["value"]
    adjusted = board.results[board.results["metric"] == "p_adjusted"]["value"]
    assert adjusted.tolist() == pytest.approx(holm(raw.tolist()))


def test_an_attack_made_on_one_model_runs_on_all_of_them(joint):
    path, board = joint
    transferred = board.results[board.results["attack"] == "pgd-from-net"]
    assert set(transferred["model"]) == {"hidden", "net"}
    plan = Session.open(path, path.parent / "out").plan
    indices = {step.id: index for index, step in enumerate(plan)}
    assert all(indices[needed] < index for index, step in enumerate(plan) for needed in step.needs)


def test_a_minimal_attack_gives_medians_and_a_curve(joint):
    path, board = joint
    sizes = outcome(path, "attack/net/seed-0/deepfool/minimal")
    for norm in ("linf", "l2"):
        found = value(board, model="net", attack="deepfool", metric=f"median_{norm}")
        assert found == pytest.approx(np.median(sizes[norm]))
    at = [value(board, model="net", attack="deepfool", metric="misclassification", eps=e / 255) for e in (8, 32)]
    assert at == sorted(at)
    assert (path.parent / "out" / "figures" / "smallest-perturbation-deepfool.png").exists()
    assert (path.parent / "out" / "figures" / "worst-case.svg").exists()


def test_a_model_that_hides_its_gradients_is_called_out_and_ranked_last(joint):
    path, board = joint
    masking = json.loads((path.parent / "out" / "masking.json").read_text())
    assert masking["net"]["0"]["verdict"] == "held up"
    hidden = masking["hidden"]["0"]
    assert hidden["verdict"] == "broken"
    assert "gradients" in {check["id"] for check in hidden["checks"] if check["flagged"]}
    assert board.models[-1] == "hidden"
    assert dict(board.table()["verdict"]) == {"net": "held up", "hidden": "broken"}
    assert json.loads(board.to_json())["masking"] == masking
    text = StringIO()
    print_board(board, Console(file=text, width=200))
    for shown in (text.getvalue(), to_markdown(board)):
        assert "held up" in shown
        assert "broken" in shown
        assert "hidden, seed 0: gradients" in shown
        assert "Without a gradient a white-box attack stands still" in " ".join(shown.split())


def test_checks_can_be_left_out(joint, tmp_path):
    path, _ = joint
    bare = tmp_path / "bare.yaml"
    text = path.read_text()
    bare.write_text(text[: text.index("diagnostics:")] + "diagnostics: {masking: false}\n")
    kinds = {step.kind for step in Session.open(bare, tmp_path / "out").plan}
    assert "masking" not in kinds
    assert "worst" in kinds


def test_l2_radii_are_lengths(joint, tmp_path):
    path, _ = joint
    suite = tmp_path / "l2.yaml"
    head = path.read_text().split("models:")[0]
    suite.write_text(
        head + "models: {net: {arch: support.nets:staged, width: 4}}\ntraining: {epochs: 2, batch_size: 50}\n"
        "threat_model: {norm: l2, eps: [0.5, 2], samples: 20}\n"
        "attacks: [{name: pgd, steps: 5}, {name: autoattack, steps: 4, targets: 2, queries: 10}, uniform-noise]\n"
        "diagnostics: {masking: {samples: 20, steps: 4, queries: 10, draws: 2, unbounded: 4}}\n"
    )
    board = run(suite, tmp_path / "out")
    errors = board.results[board.results["metric"] == "misclassification"]
    assert {0.0, 0.5, 2.0} == set(errors["eps"])
    assert "2" in [column.heading for block in board.blocks for column in block.columns]


def test_noise_alone_is_no_worst_case(joint, tmp_path):
    path, _ = joint
    text = path.read_text().partition("attacks:")[0].replace("name: joint", "name: noise")
    (tmp_path / "noise.yaml").write_text(text + "attacks: [gaussian-noise]\ndiagnostics: {masking: false}\n")
    board = run(tmp_path / "noise.yaml", tmp_path / "out")
    assert not board.failures
    assert "worst-case" not in set(board.results["attack"])
    assert not {"robust_accuracy_difference", "p_adjusted"} & set(board.results["metric"])
    assert set(board.results.loc[board.results["metric"] == "robust_accuracy", "attack"]) == {"", "gaussian-noise"}
    assert not any(column.key.startswith("robust_accuracy[worst-case") for column in board.blocks[0].columns)


def test_attacks_made_on_one_of_the_two_do_not_compare_them(joint):
    path, _ = joint
    (paired,) = compare(f"{path.parent}/out:net", f"{path.parent}/out:hidden")
    assert "pgd-from-net" not in {each.attack for each in paired.differences}
    assert "pgd-from-net at 8/255 (made on one of the two, and no part of the worst case here)" in paired.skipped
    assert {"iter-fsgm", "deepfool", "worst-case"} <= {each.attack for each in paired.differences}


@pytest.mark.parametrize("alone", [0.0, 0.1])
def test_a_board_says_whose_worst_case_rests_on_gradients_that_others_do_not_meet(joint, alone):
    _, board = joint
    results = board.results.copy()
    made = (results["metric"] == "only_to_fool") & (results["attack"] == "pgd-from-net")
    results.loc[made, "value"] = 0.0
    results.loc[made & (results["model"] == "net"), "value"] = alone
    said = [*_made_on_one(SimpleNamespace(results=results, suite=board.suite))]
    assert [line[:43] for line in said] == ["NOT ALIKE: pgd-from-net has the gradients of"[:43]] * (alone > 0)
    as_it_is = made & (board.results["model"] == "net") & (board.results["value"] > 0)
    assert any("NOT ALIKE" in line for line in notes(board)) == as_it_is.any()


@pytest.mark.parametrize("model", ["net", "hidden"])
def test_what_is_made_on_one_of_two_is_no_part_of_the_worst_case_that_they_are_judged_by(joint, model):
    path, _ = joint
    opened = Run.open(path.parent / "out")
    side, wrong = Side(opened, model, (0,)), opened.wrong(model, 0)
    left = judged_without(side, wrong, {"pgd-from-net"})
    for eps, label in ((8 / 255, "8"), (32 / 255, "32")):
        clean = outcome(path, f"accuracy/{model}/seed-0")
        fooled = clean["predicted"] != clean["label"]
        fooled = fooled | (outcome(path, f"attack/{model}/seed-0/deepfool/minimal")["linf"] <= eps)
        for name in ["iter-fsgm", *(["square"] if label == "32" else [])]:
            each = outcome(path, f"attack/{model}/seed-0/{name}/eps-{label}")
            fooled = fooled | (each["predicted"] != each["label"])
        (key,) = (key for key in left if key[0] == "worst-case" and key[1] == pytest.approx(eps))
        assert (left[key] == fooled).all()
        made = [each for (label, radius), each in left.items() if label == "pgd-from-net" and radius <= key[1]]
        assert (np.logical_or.reduce([left[key], *made]) == wrong[key]).all()
    assert {key for key in wrong if key[0] != "worst-case"} < left.keys() == wrong.keys()
    others = {label for label, _ in wrong} - {"", "worst-case"}
    assert "worst-case" not in {label for label, _ in judged_without(side, wrong, others)}
    assert judged_without(side, wrong, {"another"}) is wrong

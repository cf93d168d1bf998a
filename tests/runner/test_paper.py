"""The paper's suites: what each holds, and that a plan of it names its steps."""

import pytest
from support.cifar import write_cifar

from lrbench.runner import Session
from lrbench.suite import load_suite, shipped_suites

PAPER = [name for name in shipped_suites() if name.startswith("paper/")]
FULL = [name for name in PAPER if not name.endswith("-short")]


def test_every_table_and_figure_has_a_suite_and_a_short_one():
    assert set(FULL) == {
        "paper/table1-figures1-5", "paper/tables2-3-figure6", "paper/table4", "paper/figure5-vgg19",
    }  # fmt: skip
    assert set(PAPER) == {*FULL, *(f"{name}-short" for name in FULL)}


@pytest.mark.parametrize("name", FULL)
def test_full_suites_have_the_paper_s_hyper_parameters(name):
    suite, _ = load_suite(name)
    training = suite.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (500, 512, 0.01)
    assert (training.schedule, training.warmup_accuracy) == ("constant", 0.65)
    assert suite.low_rank.projection == "nystrom"
    assert suite.low_rank.columns is None, "l = 2 k"
    assert suite.reference is not None
    ranks = {layer: lr.rank for spec in suite.models.values() for layer, lr in spec.lr_layers.items()}
    expected = {"layer3": 1000, "avgpool": 20 if "resnet50" in suite.models else 50, "flatten": 50, "relu2": 50}
    assert ranks.items() <= expected.items()


@pytest.mark.parametrize("name", FULL)
def test_short_suites_keep_what_the_full_ones_measure(name):
    full, short = load_suite(name)[0], load_suite(f"{name}-short")[0]
    assert list(full.models) == list(short.models)
    assert {m: list(s.lr_layers) for m, s in full.models.items()} == {
        m: list(s.lr_layers) for m, s in short.models.items()
    }
    assert full.attacks == short.attacks
    if full.attacks:
        assert full.threat_model.space == short.threat_model.space == "normalized"
    for kind in type(full.diagnostics).model_fields:
        one, other = getattr(full.diagnostics, kind), getattr(short.diagnostics, kind)
        assert (one is None) == (other is None)
        assert getattr(one, "layer", None) == getattr(other, "layer", None)


@pytest.mark.parametrize("name", ["paper/table1-figures1-5", "paper/tables2-3-figure6"])
def test_a_plan_of_a_full_suite_names_its_steps(name, tmp_path, monkeypatch):
    write_cifar(tmp_path / "data", monkeypatch, per_file=1000 if name.endswith("5") else 2000)
    session = Session.open(name, tmp_path / "out", data_dir=tmp_path / "data")
    kinds = {step.kind for step in session.plan}
    if name.endswith("figures1-5"):
        assert kinds == {"train", "accuracy", "variance_ratio", "attack", "masking", "worst", "difference"}
        assert len(session.plan) == 3 * (3 + 2 * 8 + 2) + 2
    else:
        assert kinds == {"train", "accuracy", "variance_ratio", "embeddings", "linear_probe", "clusters"}
    assert not (tmp_path / "out").exists()

"""Attacks as long as a budget of passes allows, counted on a model that withstands them."""

import pytest
import torch
from support.takers import LITTLE
from torch import nn

from lrbench.attacks import Attack
from lrbench.attacks.cost import Passes
from lrbench.attacks.counting import counted
from lrbench.attacks.external import factory_of
from lrbench.attacks.passes import PACES, Pace
from lrbench.attacks.prepared import prepared
from lrbench.catalogue import ATTACKS
from lrbench.errors import UsageError
from lrbench.runner import Session, run
from lrbench.runner.threat import make_attack, passes_of
from lrbench.suite import AttackSpec, ThreatModel

BUDGET = 60
EPS = 8 / 255
SET = [name for name in LITTLE if ATTACKS[name].declared is not None and name not in {"autoattack", "fgsm"}]
"""Attacks whose length the budget sets."""

SHORT = {
    "carlini-wagner": {"searches": 2},
    "adaptive-lr": {"layer": "0"},
    "fab-t": {"targets": 2},
    "apgd-t": {"targets": 2},
}


class Unmoved(nn.Module):
    """Gives class 0 whatever is done to an image, with gradients."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))

    def forward(self, x):
        return self.net(x) + 1e3 * torch.nn.functional.one_hot(torch.tensor([0]), 10)


def made(name, factory=None, budget=BUDGET, **options):
    spec = AttackSpec(name=name, **{**SHORT.get(name, {}), **options})
    return make_attack(factory or ATTACKS[name].load(), spec, ThreatModel(budget=budget), EPS)


@pytest.mark.parametrize("name", [name for name in SET if name not in {"gaussian-noise", "adaptive-lr"}])
def test_an_image_that_withstands_takes_what_the_budget_allows_and_no_more(name, monkeypatch):
    # Points tried ahead of their turn, in vain, are no part of it.
    monkeypatch.setitem(PACES, "cpu", Pace(width=64, full=1, every=1))
    x, attack = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), made(name)
    with prepared(Unmoved(), x) as model, counted() as found:
        attack(model, x, torch.zeros(4, dtype=torch.long))
    taken = found.each(4)
    assert taken == attack.most
    assert taken.total <= BUDGET
    effort = type(attack).effort
    more = ATTACKS[name].load()(
        **({} if attack.kind == "minimal" else {"eps": EPS}),
        **SHORT.get(name, {}),
        **{effort: getattr(attack, effort) + 1},
    )
    assert more.most.total > BUDGET


@pytest.mark.parametrize("name", ["autoattack", "fgsm", "gaussian-noise"])
def test_what_is_what_it_is_stays_so_and_has_to_keep_to_the_budget(name):
    plain = make_attack(ATTACKS[name].load(), AttackSpec(name=name), ThreatModel(), EPS)
    wide = made(name, budget=100_000)
    assert vars(wide).keys() == vars(plain).keys()
    assert wide.passes == plain.passes
    if name == "autoattack":
        with pytest.raises(ValueError, match=r"autoattack: it takes .* passes an image, and .* is 60: leave it out"):
            made(name)


def test_options_that_say_how_long_it_is_are_kept():
    assert made("pgd", steps=7).steps == 7
    with pytest.raises(ValueError, match=r"pgd: it takes 80 passes an image, and threat_model\.budget is 60"):
        made("pgd", steps=40)


def test_a_budget_below_one_step_is_refused():
    with pytest.raises(ValueError, match=r"apgd-t: it takes 9 passes .* even with steps: 1"):
        made("apgd-t", budget=8)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("torchattacks:PGD", "steps"),
        ("torchattacks:Square", "n_queries"),
        ("foolbox:LInfFMNAttack", "steps"),
        ("art:ProjectedGradientDescentPyTorch", "max_iter"),
    ],
)
def test_another_library_s_attack_is_as_long_as_the_suite_says(name, option):
    # Its binary search costs FMN nothing, and SPSA's samples cost it everything: names of options do not tell.
    with pytest.raises(
        ValueError, match=rf"{name}: give it .*{option}.*: what another library's attack takes is counted"
    ):
        made(name, factory_of(name))
    assert made(name, factory_of(name), **{option: 30}).options[option] == 30


def test_one_of_one_s_own_is_set_by_the_option_that_it_names():
    class Mine(Attack):
        effort = "tries"

        def __init__(self, eps, tries=3):
            self.eps, self.tries = eps, tries

        @property
        def passes(self):
            return Passes(forward=self.tries)

        def run(self, model, x, y):  # noqa: ARG002
            return x

    assert made("mine", Mine).tries == BUDGET


def test_plans_know_of_it():
    spec, factory = AttackSpec(name="pgd"), ATTACKS["pgd"].load()
    assert passes_of(factory, spec, ThreatModel(budget=600), EPS).total == 601


SUITE = """\
name: budgeted
data: {name: digits, train: 60, test: 20}
models: {net: {arch: support.nets:staged, width: 4}}
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [1/255], samples: 20, budget: 20}
attacks: [pgd, {name: square, label: queries}]
diagnostics: {masking: false}
"""


@pytest.mark.slow
def test_a_suite_s_attacks_cost_the_same_and_another_budget_makes_them_again(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    board = run(path, tmp_path / "out")
    rows = board.results[board.results["metric"].isin(["forward_passes", "backward_passes"])]
    taken = rows.groupby("attack")["value"].sum()
    assert taken["pgd"] == 20
    assert taken["queries"] <= 24, "points tried ahead of their turn come on top"
    path.write_text(SUITE.replace("budget: 20", "budget: 30"))
    due = [step.id for step in Session.open(path, tmp_path / "out", announce=lambda _: None).pending]
    assert "attack/net/seed-0/pgd/eps-1" in due


def test_a_suite_beyond_its_budget_is_refused_in_a_line(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("[pgd,", "[autoattack, pgd,"))
    with pytest.raises(UsageError, match=r"line 6: attacks.0: autoattack: it takes .* leave it out"):
        run(path, tmp_path / "out")

"""Lines on attacks that a model did not meet, or met at another radius, or as images made on another model."""

import pytest
from support.tables import EPS, board_of, rows_of

from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.status import Status
from lrbench.leaderboard.warned import warnings

WEAK = "a weak attack: a model that withstands a weak attack is not shown to be robust."
WEAKEST = ["fgsm", "iter-fsgm", "iter-ll-fsgm"]
LOOSER = "Its worst case is over fewer attacks than the suite has, and so a looser bound."


def rows(model, **at):
    """Rows of a model under attacks, each at radii; "worst-case" where any counts."""
    kept = [row for row in rows_of(model) if row.get("attack") not in {"iter-fsgm", "worst-case"}]
    made = [row for row in rows_of(model) if row.get("attack") == "worst-case"]
    for label, radii in at.items():
        kept += [row | {"attack": label.replace("_", "-")} for row in made if row["eps"] in radii]
    counted = {eps for label, radii in at.items() if label != "gaussian_noise" for eps in radii}
    return kept + [row for row in made if row["eps"] in counted]


def said(models, attacks, lacking=(), **options):
    made = board_of([row for each in models.values() for row in each], attacks=attacks, **options)
    for model in lacking:
        made.suite["models"][model]["lacks"] = ["gradients"]
    found = warnings(made)
    assert set(found) <= set(notes(made))
    return found


def test_a_model_without_gradients_that_fewer_attacks_met_is_named():
    attacks = ["pgd", {"name": "square", "queries": 50}]
    models = {"net": rows("net", pgd=EPS, square=EPS), "function": rows("function", square=EPS)}
    assert said(models, attacks, ["function"]) == [f"LEFT OUT of function: pgd, since it has no gradients. {LOOSER}"]


def test_where_there_is_no_worst_case_nothing_is_said_of_it():
    found = said({"f": rows("f", gaussian_noise=EPS)}, ["pgd", "gaussian-noise"], ["f"])
    assert found == ["LEFT OUT of f: pgd, since it has no gradients."]


def test_attacks_that_need_no_gradients_are_not_missing_for_want_of_them():
    attacks = ["pgd", {"name": "square", "queries": 50}]
    models = {"net": rows("net", pgd=EPS, square=EPS), "f": rows("f")}
    assert said(models, attacks, ["f"]) == ["LEFT OUT of f: pgd, since it has no gradients."]


def test_what_is_made_on_a_model_without_gradients_is_left_out_for_its_sake():
    attacks = ["pgd", {"name": "pgd", "label": "of-f", "surrogate": "f"}, {"name": "square", "queries": 50}]
    models = {"f": rows("f", square=EPS), "net": rows("net", pgd=EPS, square=EPS)}
    found = said(models, attacks, ["f"])
    assert f"LEFT OUT of net: of-f, since f has no gradients. {LOOSER}" in found
    assert any(line.startswith("LEFT OUT of f: pgd, of-f, since it has no gradients.") for line in found)


def test_a_strong_attack_at_another_radius_does_not_make_a_weak_one_enough():
    attacks = ["fgsm", {"name": "autoattack", "eps": [EPS[0]]}]
    assert said({"net": rows("net", fgsm=EPS, autoattack=EPS[:1])}, attacks) == [f"Only fgsm ran at 16/255, {WEAK}"]
    assert said({"net": rows("net", fgsm=EPS, autoattack=EPS)}, attacks) == []


def test_of_several_models_those_are_named_that_met_weak_attacks_alone():
    attacks = [{"name": "fgsm", "label": "one-step"}, "pgd"]
    models = {"net": rows("net", one_step=EPS, pgd=EPS)} | {name: rows(name, one_step=EPS) for name in "abcd"}
    assert said(models, attacks) == [f"Only one-step (fgsm) ran on a, b, c and 1 more, {WEAK}"]


def test_images_made_on_another_model_are_no_attack_on_this_one():
    attacks = [{"name": "pgd", "label": "transfer", "surrogate": "net"}]
    models = {name: rows(name, transfer=EPS) for name in ("net", "other")}
    assert said(models, attacks) == [f"Only transfer (pgd on net) ran on other, {WEAK}"]
    attacks += ["apgd-ce"]
    models = {name: rows(name, transfer=EPS, apgd_ce=EPS) for name in ("net", "other")}
    assert said(models, attacks) == []


@pytest.mark.parametrize(("weak", "lines"), [(True, [f"Only timid ran on b, {WEAK}"]), (False, [])])
def test_somebody_else_s_attack_is_as_weak_as_its_run_wrote_down(weak, lines):
    # As a board is read where that attack is not registered: the suite knows it by its name alone.
    models = {"a": rows("a", pgd=EPS, timid=EPS), "b": rows("b", timid=EPS)}
    status = Status(attacks={"timid": {"weak": weak, "noise": False}})
    made = board_of([row for each in models.values() for row in each], status, attacks=["pgd", "fgsm"])
    made.suite["attacks"][1] = {**made.suite["attacks"][1], "name": "timid", "label": "timid"}
    assert warnings(made) == lines


def test_a_seed_that_met_weak_attacks_alone_is_named():
    seeds = [rows("net", fgsm=EPS, pgd=EPS), [row | {"seed": 1} for row in rows("net", fgsm=EPS)]]
    assert said({"net": [row for each in seeds for row in each]}, ["fgsm", "pgd"], seeds=[0, 1]) == [
        f"Only fgsm ran with seed 1, {WEAK}"
    ]


def test_several_weak_attacks_are_listed():
    found = said({"net": rows("net", fgsm=EPS, iter_fsgm=EPS, iter_ll_fsgm=EPS)}, WEAKEST)
    assert found[0].startswith("Only fgsm, iter-fsgm and iter-ll-fsgm ran, weak attacks: a model that withstands weak ")


@pytest.mark.parametrize(("other", "where"), [({}, "with seed 1"), ({"pgd": EPS[:1]}, "with seed 1 at 16/255")])
def test_a_radius_is_named_where_a_strong_attack_met_that_very_seed_at_another_one(other, where):
    first = rows("net", fgsm=EPS, pgd=EPS, apgd_ce=EPS[:1])
    second = [row | {"seed": 1} for row in rows("net", fgsm=EPS, **other)]
    assert said({"net": first + second}, ["fgsm", "pgd", "apgd-ce"], seeds=[0, 1]) == [f"Only fgsm ran {where}, {WEAK}"]


def test_an_attack_that_never_ran_is_not_said_to_have():
    assert said({"net": rows("net", fgsm=EPS)}, ["fgsm", "iter-fsgm"]) == [f"Only fgsm ran, {WEAK}"]


def test_where_no_attack_ran_none_is_said_to_have():
    models = {"function": rows("function")}
    left_out = "LEFT OUT of function: fgsm, iter-fsgm, since it has no gradients."
    assert said(models, ["fgsm", "iter-fsgm"], ["function"]) == [left_out]

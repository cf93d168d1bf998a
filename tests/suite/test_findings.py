"""The findings against the boards that they sum up: no figure of theirs is another one there."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from scipy import optimize, stats
from support.told import ROOT, board_of, difference, found_with_power, outcomes, per_seed, run_of

from lrbench.leaderboard.figure_text import write_value
from lrbench.leaderboard.networks import network_in
from lrbench.statistics import difference_of, holm

FINDINGS, APPENDIX = ((ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("findings", "findings-appendix"))
MODELS = {
    "late LR-Layer": "on-at-80",
    "LR-Layer under noise": "1-lr",
    "late norm penalty": "norm-at-80",
    "label smoothing": "label-smoothing",
    "1-LR": "1-lr",
    "norm penalty alone": "norm-penalty",
    "2-LR": "2-lr",
    "gradient penalty": "jacobian",
    "PGD training": "pgd",
    "PGD-trained 1-LR": "1-lr-pgd",
}
"""How the table's lines begin, and what their models are called on the boards."""

TRAINED_ON_ATTACKS = {"pgd", "fgsm-rs", "trades", "pgd-averaged", "pgd-mean-sparse"}
"""Networks of the rivals' boards that saw attacked images."""

CIFAR, AGAIN, AGAIN_SMOOTHING = "late-standard-cifar10-jpeg", "late-replication", "late-replication-smoothing"
LATE_10, OTHERS = "late-confirmation-cifar10-jpeg", "rivals-standard-others"
FIRST_RUN = 0.52
"""The p of late-confirmation-cifar10-jpeg's registered run, whose board is in the history only."""


def lines(*, certified=False):
    """Rows of the table that are of robust accuracy, or all: what is compared, the board, and the figures."""
    for line in re.findall(r"^\| (?!---)(.+) \|$", FINDINGS.partition("![")[0], re.MULTILINE):
        cells = [cell.strip().replace("*", "") for cell in line.split(" | ")]
        board = re.match(r"`([\w-]+)`", cells[1])
        if board and (certified or cells[2].endswith("%")):
            yield pytest.param(cells, board[1], id=f"{board[1]}-{cells[0][:16]}")


def _found(board, model, eps, level=0.05):
    column, first = f"robust_accuracy[worst-case,{eps}/255]", next(iter(board_of(board).suite["models"]))
    return found_with_power(board, model, column, first, level)


def test_the_table_is_found():
    assert len(list(lines())) >= 12
    assert len(list(lines(certified=True))) >= 13


def _model_of(cells, shown):
    model = next(model for start, model in MODELS.items() if cells[0].startswith(start))
    return model if model in shown.suite["models"] else f"resnet18-{model}"


@pytest.mark.parametrize(("cells", "board"), [*lines(certified=True)])
def test_what_it_costs_in_clean_accuracy_is_that_of_its_board(cells, board):
    shown = board_of(board)
    cost = difference(board, _model_of(cells, shown), "accuracy", next(iter(shown.suite["models"])))
    mean, low, high = (write_value(each / 100, "points") for each in (cost.value, cost.low, cost.high))
    assert cells[7] == f"{mean} [{low}, {high}]"


@pytest.mark.parametrize(("cells", "board"), [*lines()])
def test_a_difference_is_that_of_its_board(cells, board):
    shown = board_of(board)
    rows = shown.results
    model = _model_of(cells, shown)
    radius = re.search(r"(\d+)/255", cells[0])
    eps = float(Fraction(f"{radius[1] if radius else 8}/255"))
    here = rows[(rows["attack"] == "worst-case") & (rows["eps"] - eps).abs().lt(1e-6)]
    for cell, name in ((cells[2], model), (cells[3], next(iter(shown.suite["models"])))):
        wrong = here[(here["model"] == name) & (here["metric"] == "misclassification")]["value"]
        assert cell == f"{write_value(1 - wrong.mean(), 'percent')} %"
    found = here[(here["model"] == model) & (here["metric"] == "robust_accuracy_difference")]
    difference, low, high = (write_value(found[key].iloc[0], "points") for key in ("value", "ci_low", "ci_high"))
    assert cells[4] == f"{difference} [{low}, {high}]"
    p = shown.table().loc[model, f"p_adjusted[worst-case,{round(255 * eps)}/255]"]
    detected = _found(board, model, round(255 * eps)).value
    assert cells[6] == ("-" if np.isnan(detected) else f"{detected:.1f}")
    assert cells[5] == ("< 1e-10" if p < 1e-10 else f"{p:.2g}" if p >= 0.001 else f"{p:.1e}")


def test_what_a_test_finds_once_adjusted_is_that_of_its_board():
    (adjusted,) = re.findall(r"they are ([\d.]+) and ([\d.]+) points instead of ([\d.]+) and ([\d.]+)\.", APPENDIX)
    cases = ("on-at-65-cifar10-jpeg", "1-lr", 2), ("lr-on-pgd-cifar10-jpeg", "resnet18-1-lr-pgd", 8)
    found = [_found(*case, level).value for level in (0.05 / 4, 0.05) for case in cases]
    assert adjusted == tuple(f"{points:.1f}" for points in found)
    again = _found("late-standard-cifar10-jpeg", "on-at-80", 8).value
    assert f"they find {adjusted[0]}, 2.3, {again:.1f} and {adjusted[1]} points, adjusted as each board is" in FINDINGS
    beside = [_found("rivals-standard", "1-lr", 8, level).value for level in (0.05 / 2, 0.05)]
    assert "(`level=0.05 / 2`), it is {:.1f} instead of {:.1f}.".format(*beside) in APPENDIX
    assert f"find {adjusted[3]} points with 80 % power before adjustment and {adjusted[1]} after it" in APPENDIX


def test_the_registered_tests_are_adjusted_over_all_as_said():
    worst = "robust_accuracy[worst-case,{}/255]".format
    tests = [
        ("late-controls", "norm-at-80", worst(8), "on-at-80"),
        ("late-confirmation", "on-at-80", worst(8), "normal"),
        ("late-controls", "label-smoothing", worst(8), "on-at-80"),
        ("on-at-65-cifar10-jpeg", "1-lr", worst(2), "normal"),
        ("lr-on-pgd-cifar10-jpeg", "resnet18-1-lr-pgd", worst(8), "resnet18-pgd"),
        ("rivals-confirmation", "1-lr", worst(8), "normal"),
        (CIFAR, "on-at-80", worst(8), "normal"),
        (AGAIN, "on-at-80", worst(8), "normal"),
        (AGAIN_SMOOTHING, "label-smoothing", worst(8), "on-at-80"),
    ]
    radii = [per_seed("smoothing", model, "mean_certified_radius") for model in ("1-lr", "normal")]
    p = [difference(*each, raw=True).p for each in tests] + [stats.ttest_rel(*radii).pvalue]
    first, second = FIRST_RUN, difference("late-confirmation-cifar10-jpeg", "on-at-80", worst(8), "normal", raw=True).p

    def told(values):
        return [f"{each:.2g}" for each in values]

    *others, last = told(sorted([*p, first]))
    assert f"(before adjustment they are {', '.join(others)} and {last};" in APPENDIX
    loss, gain, smoothing, *rest = told(holm([*p, first]))
    confirmed, beside_ten = rest.pop(4), rest.pop(4)
    assert (
        f"the late layer's gain with ten new trainings has p {confirmed}; the late norm penalty's loss has p {loss}, "
        f"label smoothing's beside the ten {beside_ten}, the late layer's gain with five {gain}, label smoothing's "
        f"loss beside the five {smoothing}" in APPENDIX
    )
    assert set(rest) == {"1"}
    *same, again, other, on_pgd, third, cifar, late, beside, certified = told(holm([*p[:3], second, *p[3:]]))
    assert [*same, late, beside] == [loss, gain, smoothing, confirmed, beside_ten]
    assert other == on_pgd == third == cifar == certified
    assert f"the second run's {second:.2f} for {first} the first five stay as they are once adjusted" in APPENDIX
    assert f"that line has {again} and the other five {other})" in APPENDIX
    assert f"bring the gain's adjusted p to {told(holm([*p, first, p[1]]))[1]})" in APPENDIX
    assert f"{gain} over all eleven registered differences" in FINDINGS
    assert f", {confirmed} over all eleven. Both" in FINDINGS
    assert f", {beside_ten} over all eleven), beside" in FINDINGS
    assert f", {loss} over all eleven); next to normal networks" in FINDINGS
    assert f"Over all eleven registered differences the two p are {loss} and {beside_ten}." in APPENDIX
    assert f"The p is {beside_ten} over all eleven registered differences." in APPENDIX
    assert f"`late-replication` has p {confirmed}, and no other is below 0.05" in FINDINGS
    assert f"eleven registered differences it is {confirmed}." in APPENDIX


def test_what_is_said_of_weak_evidence_has_its_figures():
    at = "robust_accuracy[pgd,1/255]"
    found = difference("on-at-65-cifar10-jpeg", "1-lr", at, "normal", raw=True)
    power = found_with_power("on-at-65-cifar10-jpeg", "1-lr", at, "normal").value
    told = "{:+.1f} [{:+.1f}, {:+.1f}]".format(
        *(round(each + 1e-9, 1) for each in (found.value, found.low, found.high))
    )
    assert f"{told}, in a comparison that finds {power:.1f} points" in FINDINGS
    for board, model, column, told in (
        ("on-at-65-cifar10-jpeg", "1-lr", "centred_vr_5[avgpool]", "a difference of {:.1f} would be"),
        (CIFAR, "on-at-80", "centred_vr_5[avgpool]", ", where {:.1f} would be found;"),
    ):
        assert told.format(100 * _found_over_trainings(board, model, column)) in FINDINGS
    relative = "d_adv_relative[avgpool,pgd,8/255]"
    found = _found_over_trainings("rivals-confirmation", "1-lr", relative)
    assert f"a difference of {found:.3f} would be, in 80 % of cases" in APPENDIX
    told = {
        model: [f"{_t(OTHERS, model, column).pvalue:.2g}" for column in ("d_adv[avgpool,pgd,8/255]", relative)]
        for model in ("label-smoothing", "condlr")
    }
    assert "; p {} and {} beside the normal network".format(*told["label-smoothing"]) in APPENDIX
    assert "in either (p {} and {}).".format(*told["condlr"]) in APPENDIX
    p = [f"{_t(board, 'on-at-80', 'centred_vr_5[avgpool]').pvalue:.2g}" for board in (CIFAR, LATE_10)]
    assert f"p {p[0]}, over trainings)" in APPENDIX
    assert f"p {p[1]}; neither adjusted)" in APPENDIX
    assert per_seed("rivals-standard", "jacobian", relative).mean() < per_seed(OTHERS, "normal", relative).mean() / 20


def _t(board, model, column):
    return stats.ttest_rel(per_seed(board, model, column), per_seed(board, "normal", column))


def _found_over_trainings(board, model, column):
    """The smallest mean difference that a t test over trainings finds in 80 % of cases, if it scatters as here."""
    apart = per_seed(board, model, column) - per_seed(board, "normal", column)
    freedom = len(apart) - 1
    reach = stats.t.ppf(0.975, freedom)
    shift = optimize.brentq(lambda size: stats.nct.sf(reach, freedom, size) - 0.8, 1, 8)
    return shift * stats.sem(apart)


def test_what_ten_new_late_trainings_show_is_as_said():
    worst = {
        (board, model): outcomes(board, model, "robust_accuracy[worst-case,8/255]", model)[0]
        for board in ("late-standard", AGAIN)
        for model in ("normal", "on-at-80")
    }
    five, ten = (
        100 * (worst[board, "on-at-80"].mean(axis=1) - worst[board, "normal"].mean(axis=1))
        for board in ("late-standard", AGAIN)
    )
    assert f"{', '.join(f'{each:+.1f}' for each in ten[:-1])} and {ten[-1]:+.1f} points, seed by seed" in APPENDIX
    assert run_of(AGAIN).test_images("normal") == run_of("late-standard").test_images("normal")
    p = stats.ttest_ind(five, ten, equal_var=False).pvalue
    assert f"(+{five.mean():.1f}; Welch's t over trainings, p {p:.2g})" in APPENDIX
    late, normal = (
        np.concatenate([worst[board, model] for board in ("late-standard", AGAIN)]) for model in ("on-at-80", "normal")
    )
    all_of_them = difference_of(late, normal)
    told, low, high = (f"{100 * each:+.1f}" for each in (all_of_them.difference, *all_of_them.interval))
    assert f"all fifteen together have {told} [{low}, {high}], which" in APPENDIX
    right = [outcomes(AGAIN, model, "robust_accuracy[worst-case,0]", model)[0] for model in ("on-at-80", "normal")]
    kept = [
        100 * worst[AGAIN, model].sum() / each.sum() for model, each in zip(("on-at-80", "normal"), right, strict=True)
    ]
    assert "the late layer keeps {:.1f} %, the normal network {:.1f} %".format(*kept) in APPENDIX
    assert "the ten keep {:.1f} %, and normal networks {:.1f} %".format(*kept) in FINDINGS
    for model in ("normal", "on-at-80"):
        assert (_withstood(AGAIN, model, "autoattack") == worst[AGAIN, model]).all()
        assert {each["verdict"] for each in board_of(AGAIN).masking[model].values()} == {"held up"}


def test_what_label_smoothing_does_beside_the_ten_is_as_said():
    worst = {model: _withstood(AGAIN_SMOOTHING, model, "worst-case") for model in ("on-at-80", "label-smoothing")}
    assert (worst["on-at-80"] == _withstood(AGAIN, "on-at-80", "worst-case")).all()
    ten = 100 * (worst["label-smoothing"].mean(axis=1) - worst["on-at-80"].mean(axis=1))
    assert f"{', '.join(f'{each:+.1f}' for each in ten[:-1])} and {ten[-1]:+.1f} points, seed by seed" in APPENDIX
    five = [
        100 * _withstood("late-controls", model, "worst-case").mean(axis=1) for model in ("label-smoothing", "on-at-80")
    ]
    p = stats.ttest_ind(np.subtract(*five), ten, equal_var=False).pvalue
    assert f"({np.subtract(*five).mean():+.1f}; Welch's t over trainings, p {p:.2g})" in APPENDIX
    under_autoattack = "d_adv_relative[avgpool,autoattack,8/255]"
    normal = per_seed(AGAIN, "normal", under_autoattack)
    smoothed = stats.ttest_rel(per_seed(AGAIN_SMOOTHING, "label-smoothing", under_autoattack), normal)
    assert f"under standard AutoAttack no difference is found (p {smoothed.pvalue:.2g})" in APPENDIX
    assert stats.ttest_rel(per_seed(AGAIN, "on-at-80", under_autoattack), normal, alternative="less").pvalue < 0.001
    for model, found in worst.items():
        assert (_withstood(AGAIN_SMOOTHING, model, "autoattack") == found).all()
        assert {each["verdict"] for each in board_of(AGAIN_SMOOTHING).masking[model].values()} == {"held up"}


def _withstood(board, model, *attacks):
    """Whether each outcome of a model withstands these attacks at 8/255, (S, N) bool."""
    return np.logical_and.reduce(
        [outcomes(board, model, f"robust_accuracy[{attack},8/255]", model)[0] for attack in attacks]
    )


def test_what_standard_autoattack_takes_from_the_rivals_is_as_said():
    told = []
    for model in ("normal", "1-lr", "norm-penalty", "jacobian", "pgd"):
        before = _withstood("rivals-short", model, "pgd", "apgd-t")
        assert (before == _withstood("rivals-standard", model, "pgd", "apgd-t")).all()
        after = _withstood("rivals-standard", model, "autoattack")
        assert (after == _withstood("rivals-standard", model, "worst-case")).all()
        told.append(((before & ~after).sum(axis=1).tolist(), int(before.sum())))
    (normal, lr, norm, none, neither), left = ([sum(each) for each, _ in told], [count for _, count in told])
    assert none == neither == 0
    assert f"{normal} of the {left[0]} outcomes that PGD and targeted APGD leave of the normal network" in APPENDIX
    assert f"{lr} of {left[1]} of 1-LR, {norm} of {left[2]} of the norm penalty" in APPENDIX
    assert f"none of {left[3]} and {left[4]} of the other two" in APPENDIX
    again = {}
    for model in ("normal", "1-lr"):
        before, after = (
            _withstood("rivals-confirmation", model, *attacks) for attacks in (("pgd", "apgd-t"), ("autoattack",))
        )
        assert (after == _withstood("rivals-confirmation", model, "worst-case")).all()
        again[model] = int((before & ~after).sum()), int(before.sum())
    (fooled, left), (of_lr, left_lr) = again["normal"], again["1-lr"]
    assert (
        f"Of the {left} outcomes that PGD and targeted APGD leave of the normal network standard AutoAttack fools "
        f"{fooled}, and {of_lr} of 1-LR's {left_lr}" in APPENDIX
    )
    *others, last = told[0][0]
    assert f"({', '.join(map(str, others))} and {last}, seed by seed), {lr} of" in APPENDIX


def test_p_over_all_sixteen_that_met_standard_autoattack_is_as_said():
    worst = "robust_accuracy[worst-case,8/255]"
    p = {
        model: difference(board, model, worst, "normal", raw=True).p
        for board in ("rivals-standard", "rivals-standard-others")
        for model in board_of(board).suite["models"]
        if model != "normal"
    }
    adjusted = dict(zip(p, holm(list(p.values())), strict=True))
    assert len(adjusted) == 16
    lr, *others, last = (f"{adjusted[model]:.2g}" for model in ("1-lr", "norm-penalty", "jacobian", "pgd"))
    assert f"{lr} over all sixteen" in FINDINGS
    assert f"they have {', '.join([lr, *others])} and {last}; the six of" in APPENDIX
    assert {model for model in adjusted if adjusted[model] < 0.05} == {*TRAINED_ON_ATTACKS, "jacobian"}


def test_what_standard_autoattack_takes_from_the_late_controls_is_as_said():
    again, models, taken, left = "late-controls-standard", ("norm-at-80", "label-smoothing"), {}, {}
    for model in models:
        for attack in ("iter-fsgm", "autoattack-fast"):
            assert (_withstood("late-controls", model, attack) == _withstood(again, model, attack)).all()
        fast, standard = (_withstood(again, model, attack) for attack in ("autoattack-fast", "autoattack"))
        assert (_withstood(again, model, "worst-case") == fast & standard).all()
        assert not (fast & standard & ~_withstood(again, model, "adaptive-lr")).any()
        taken[model], left[model] = (
            (one & ~other).sum(axis=1).tolist() for one, other in ((fast, standard), (standard, fast))
        )
    assert taken == {"norm-at-80": [0, 0, 1, 0, 0], "label-smoothing": [0] * 5}
    assert left == {model: [1, 0, 0, 0, 0] for model in models}
    assert "had left, an image of the norm penalty with seed 5, to standard AutoAttack. It is not" in APPENDIX
    assert "leaves one image each of the norm penalty and of label smoothing, both with seed 3" in APPENDIX


def test_what_standard_autoattack_takes_on_cifar10_jpeg_is_as_said():
    board, models = CIFAR, ("normal", "on-at-80")
    each = [[_withstood(board, model, attack) for model in models] for attack in ("autoattack-fast", "autoattack")]
    fast, standard = map(np.array, each)
    assert not (fast & standard & ~np.array([_withstood(board, model, "adaptive-lr") for model in models])).any()
    alone = [(one & ~other).sum(axis=(1, 2)).tolist() for one, other in ((fast, standard), (standard, fast))]
    assert alone == [[2, 7], [2, 0]]
    assert (
        "standard AutoAttack alone fools nine, seven of them of the late layer, and the fast version alone two"
        in APPENDIX
    )
    fewer = (fast.sum(axis=2) - standard.sum(axis=2)).ravel().tolist()
    assert [fewer.count(count) for count in (0, -1, 1, 2)] == [4, 1, 2, 3]
    normal, late = (_withstood(board, model, "worst-case").mean(axis=1) for model in models)
    told = ", ".join(f"{100 * difference:+.1f}" for difference in (late - normal)[:-1])
    assert f"**Not confirmed**: {told} and {100 * (late - normal)[-1]:+.1f} points, seed by seed" in APPENDIX
    checked = board_of(board).masking
    doubted = [
        (model, seed) for model in models for seed, found in checked[model].items() if found["verdict"] != "held up"
    ]
    assert doubted == [("on-at-80", "12")]


def test_how_far_fast_autoattack_may_be_off_on_cifar10_jpeg_is_as_said():
    left = {
        model: np.subtract(
            *(_withstood(CIFAR, model, attack).sum(axis=1) for attack in ("autoattack-fast", "autoattack"))
        )
        for model in ("normal", "on-at-80")
    }
    assert left["normal"].mean() == 0
    p = stats.ttest_rel(left["on-at-80"], left["normal"]).pvalue
    assert (
        f"late networks {left['on-at-80'].mean():.1f} of 500 images more than the standard version on average, and "
        f"normal ones none (p {p:.2g})" in FINDINGS
    )
    for eps in (8, 20):
        for model in board_of("claims-saturation").suite["models"]:
            fast, standard = (
                outcomes("claims-saturation", model, f"robust_accuracy[{attack},{eps}/255]", model)[0]
                for attack in ("autoattack-fast", "autoattack")
            )
            assert fast.sum() == standard.sum()
    assert len(board_of("claims-saturation").suite["models"]) == 12
    raw = difference(
        "late-confirmation-cifar10-jpeg", "on-at-80", "robust_accuracy[iter-fsgm,8/255]", "normal", raw=True
    )
    assert APPENDIX.count(f"{6 * raw.p:.2g}") == 2


def test_what_standard_autoattack_misses_is_as_said():
    missed, pairs = [], set()
    for folder in sorted((ROOT / "leaderboards").glob("*/records")):
        run = run_of(folder.parent.name)
        for model, seed in ((name, number) for name in run.models for number in run.seeds(name)):
            wrong = run.wrong(model, seed)
            for attack, eps in wrong:
                if attack != "autoattack" or folder.parent.name == "quick":
                    continue
                pairs.add((network_in(run, model, seed), run.board.suite["threat_model"]["space"], eps))
                (images,) = (wrong["worst-case", eps] & ~wrong[attack, eps]).nonzero()
                lost = int((wrong["worst-case", eps] & ~wrong["", 0.0]).sum())
                missed += [(folder.parent.name, model, seed, images.tolist(), lost)] if len(images) else []
    assert {len(images) for *_, images, _ in missed} == {1}
    assert f"there are {len(pairs)} pairs of a network and a radius" in APPENDIX
    assert len(missed) == 5
    assert f"5 of {len(pairs)} pairs" in FINDINGS
    assert [lost for _, model, *_, lost in missed if model == "norm-at-80"] == [42]
    for board, _, seed, (image,), _ in missed:
        assert re.search(rf"^\| `{board}`, .*, seed {seed}, image {image} \| \d+ \| \d+ \|$", APPENDIX, re.MULTILINE)


def test_what_is_in_doubt_on_cifar10_jpeg_is_as_said():
    found = {
        model: [{check["id"]: check for check in each["checks"]} for each in seeds.values()]
        for model, seeds in board_of(CIFAR).masking.items()
    }
    assert [each for each in found["on-at-80"][-1].values() if each["flagged"]] == [
        found["on-at-80"][-1]["more-effort-helps"]
    ]
    assert found["on-at-80"][-1]["weaker-than-checks"]["figure"] == 0
    fooled = {
        model: [round(60 * each["more-effort-helps"]["figure"]) for each in checks] for model, checks in found.items()
    }
    late, normal = ("{}, {}, {}, {} and {}".format(*fooled[model]) for model in ("on-at-80", "normal"))
    assert f"the ten have {late} (late) and {normal} (normal)" in APPENDIX


def test_networks_that_two_tests_share_are_as_said():
    def weights(board):
        record = json.loads((ROOT / f"leaderboards/{board}/records/normal.json").read_text("utf-8"))
        return {
            int(step.rpartition("-")[2]): files["weights.safetensors"]
            for step, files in record["artefacts"].items()
            if step.startswith("train/")
        }

    mine, theirs = weights(CIFAR), weights("on-at-65-cifar10-jpeg")
    assert [seed for seed in mine if mine[seed] in theirs.values()] == [8, 9, 10, 11]
    assert all(theirs[seed] == mine[seed] for seed in theirs)


def test_what_standard_autoattack_takes_from_the_other_rivals_is_as_said():
    others, significant = "rivals-standard-others", {}
    models = list(board_of(others).suite["models"])
    told = re.search(r"standard AutoAttack fools few: (.+?)\.\n", APPENDIX)[1]
    for model in models:
        before = _withstood(others, model, "pgd", "apgd-t")
        assert (before == _withstood("rivals-short", model, "pgd", "apgd-t")).all()
        after, worst = (_withstood(others, model, attack) for attack in ("autoattack", "worst-case"))
        assert (after & ~worst).sum() == (model == "mean-sparse")
        if model == "mean-sparse":
            assert f"one of the {after.sum()} outcomes that AutoAttack leaves" in APPENDIX
        if model not in {"normal", "pgd"}:
            taken, left = int((before & ~after).sum()), int(before.sum())
            said = f"{taken} of {left} of `{model}`" if taken else rf"none of .*`{model}`"
            assert re.search(said, told)
        for board in ("rivals-short", others) if model != "normal" else ():
            found = difference(board, model, "robust_accuracy[worst-case,8/255]", "normal")
            significant.setdefault(board, set()).update({model} if found.p < 0.05 else ())
    assert significant["rivals-short"] == significant[others] == {name for name in models if name in TRAINED_ON_ATTACKS}
    rows = board_of(others).results
    rows = rows[(rows["metric"] == "optimality") & (rows["attack"] == "autoattack")]
    by_model = rows.groupby("model")["value"]
    assert set(by_model.min().index[by_model.min() < 1]) == {"mean-sparse"}
    mean, low = by_model.mean()["mean-sparse"], by_model.min()["mean-sparse"]
    assert f"and {mean:.3f} for `mean-sparse`" in APPENDIX
    assert f"({low:.3f} with that seed)" in APPENDIX


@pytest.mark.parametrize(
    ("picture", "board"),
    [
        ("low-rank", "on-at-65-cifar10-jpeg/figures/variance-ratio-avgpool"),
        ("differences", "rivals-short/figures/differences"),
    ],
)
def test_a_picture_is_that_of_its_board(picture, board):
    mine, theirs = ROOT / f"docs/figures/findings/{picture}.png", ROOT / f"leaderboards/{board}.png"
    assert mine.read_bytes() == theirs.read_bytes()
    assert f"figures/findings/{picture}.png" in FINDINGS

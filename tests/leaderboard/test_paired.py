import csv
import io
import json
import re
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.conclusion import conclusion, requirement
from lrbench.leaderboard.layout import middle
from lrbench.leaderboard.outcomes import CLEAN
from lrbench.leaderboard.paired import Paired, _differences, _headline, _why_not, compare
from lrbench.leaderboard.paired_text import FORMATS, HEADINGS, Wanted, remarks, rows
from lrbench.leaderboard.text import in_latex, in_markdown
from lrbench.names import WORST
from lrbench.statistics import detectable, difference_of, holm, images_needed
from lrbench.views import in_percent, in_points

PUBLISHED = Path(__file__).parents[2] / "leaderboards"


def test_a_run_against_itself_is_a_tie(shown_run, capsys):
    for paired in compare(str(shown_run), str(shown_run)):
        assert len(paired.differences) > 5
        for each in paired.differences:
            assert each.estimate.difference == 0
            assert each.estimate.interval[0] < 0 < each.estimate.interval[1], "20 images are not perfect knowledge"
            assert each.estimate.p == each.p_adjusted == 1
            assert each.identical
        assert paired.configuration == paired.environment == {}
        assert not paired.skipped
    assert main(["compare", str(shown_run), str(shown_run)]) == 0
    said = capsys.readouterr().out
    assert said.count("Tie: A and B get the same images wrong everywhere.") == 4
    assert "better" not in said


def test_two_seeds_of_a_model_have_intervals(pair_run):
    (paired,) = compare(f"{pair_run}:net@0", f"{pair_run}:net@1")
    assert (paired.first.seeds, paired.second.seeds) == ((0,), (1,))
    assert any(not each.identical for each in paired.differences)
    for each in paired.differences:
        low, high = each.estimate.interval
        assert low < each.estimate.difference < high
    assert "This generalises to other images for these two trainings" in conclusion(paired)


@pytest.mark.parametrize(
    ("first", "second", "of"), [("net@0,0", "lr", "net"), ("net", "lr@1,1", "lr"), ("net@0,0", "lr@1,1", "net")]
)
def test_a_seed_that_is_named_twice_is_no_second_training(pair_run, first, second, of):
    with pytest.raises(UsageError, match=f":{of}: a seed is named twice"):
        compare(f"{pair_run}:{first}", f"{pair_run}:{second}")


def test_figures_are_those_of_the_outcomes(pair_run):
    (paired,) = compare(f"{pair_run}:net", f"{pair_run}:lr")
    seen = 0
    for each in paired.differences:
        if each.attack not in {"iter-fsgm", "autoattack"}:
            continue
        wrong = {"net": [], "lr": []}
        for model, seed in product(wrong, (0, 1)):
            step = pair_run / f"steps/attack/{model}/seed-{seed}/{each.attack}/eps-{255 * each.eps:g}"
            outcomes = load((step / "outcomes.safetensors").read_bytes())
            wrong[model].append(outcomes["predicted"] != outcomes["label"])
        net, lr = np.array(wrong["net"]), np.array(wrong["lr"])
        assert each.only_first == [np.flatnonzero(a & ~b).tolist() for a, b in zip(net, lr, strict=True)]
        assert each.estimate == difference_of(~lr, ~net)
        assert each.estimate.difference == pytest.approx(net.mean() - lr.mean())
        seen += 1
    assert seen == 4
    families = [
        [each for each in paired.differences if (each.attack == "worst-case") == worst] for worst in (True, False)
    ]
    assert [len(family) for family in families] == [2, 7]
    for family in families:
        assert [each.p_adjusted for each in family] == pytest.approx(holm([each.estimate.p for each in family]))
        assert paired.family(counts=family[0].counts) == family
    assert "p adjusted (Holm) for the 2 worst-case rows, and for the 7 others." in remarks(paired, Wanted())[0]


def test_adjusted_p_of_a_board_of_two_are_those_of_the_board():
    for board in ("late-confirmation", "late-confirmation-cifar10-jpeg"):
        shown = Leaderboard.load(PUBLISHED / board)
        baseline, other = shown.suite["models"]
        (paired,) = compare(f"{PUBLISHED / board}:{baseline}", f"{PUBLISHED / board}:{other}")
        theirs = [column for column in shown.table() if re.fullmatch(r"p_adjusted\[worst-case.*\]", column)]
        ours = {each.eps: each.p_adjusted for each in paired.differences if each.attack == "worst-case"}
        assert len(theirs) == len(ours) == 1
        assert [*ours.values()] == pytest.approx([shown.table().loc[other, theirs[0]]])


def test_a_pair_of_many_is_said_to_be_one_in_every_format(pair_run, tmp_path):
    warning = "a pair that is picked for its figures needs a p adjusted"
    (paired,) = compare(f"{pair_run}:net", f"{pair_run}:lr")
    assert warning not in conclusion(paired)
    board = PUBLISHED / "late-controls"
    (link := tmp_path / "link").symlink_to(board)
    for first, second in ((board, board), (link, board), (board, board / ".." / board.name)):
        (paired,) = compare(f"{first}:normal", f"{second}:on-at-80")
        assert "A and B are two of the suite's 4 models: " in conclusion(paired)
    for form in FORMATS.keys() - {"csv"}:
        assert warning in FORMATS[form]([paired], Wanted()), form
    (paired,) = compare(f"{board}:normal@3", f"{board}:normal@4")
    assert warning not in conclusion(paired), "two seeds of one are no pick among models"


def test_what_else_is_beyond_chance_is_said_family_by_family():
    (paired,) = compare(f"{PUBLISHED / 'rivals-short'}:normal", f"{PUBLISHED / 'rivals-short'}:jacobian")
    said = conclusion(paired)
    assert "adjusted for 2 radii" in said
    assert "B - A is also beyond chance in the worst case over attacks at 4/255 (+13.4)." in said
    assert "Of the other 5 rows, adjusted for these, it is under pgd at 8/255 (+34.6), under apgd-t at 8/255" in said


def test_the_share_that_differs_is_no_less_than_the_difference():
    """Where one is right wherever the other is, they are equal, and so must be the figures."""
    rng = np.random.default_rng(0)
    for more in (1, 3, 7):
        own = [{CLEAN: rng.random(400) < 0.5} for _ in range(2)]
        other = [{CLEAN: each[CLEAN].copy()} for each in own]
        for each in other:
            each[CLEAN][np.flatnonzero(each[CLEAN])[:more]] = False
        differences = _differences({CLEAN: (0, 1)}, list(zip(own, other, strict=True)))
        said = conclusion(replace(made(), differences=differences, headline=differences[0]))
        if "not even" in said:
            assert f"not even a difference of {in_percent(more / 400)} points" in said
            assert f"{in_points(more / 400)} points" in said


def test_the_headline_is_chosen_by_the_suite_and_not_by_the_figures(pair_run):
    for sides in (("net", "lr"), ("lr", "net"), ("net@0", "net@1")):
        (paired,) = compare(*(f"{pair_run}:{side}" for side in sides))
        assert paired.headline.attack == "worst-case"
        assert paired.headline.eps == middle(paired.first.run.board.suite)


def test_without_a_common_worst_case_an_attack_decides_that_is_not_weak(pair_run):
    board = Leaderboard.load(pair_run)
    board.suite = board.suite | {"attacks": [{"name": "iter-fsgm"}, {"name": "fgsm"}, {"name": "pgd", "label": "mine"}]}
    found = [SimpleNamespace(attack=attack, eps=eps) for attack in ("iter-fsgm", "mine") for eps in (8 / 255, 16 / 255)]
    assert _headline(found, board).attack == "mine"
    assert _headline(found[:2], board).attack == "iter-fsgm"


def test_shares_are_those_of_the_board(pair_run):
    table = pd.read_csv(pair_run / "results.csv").fillna({"attack": ""})
    (paired,) = compare(f"{pair_run}:net", f"{pair_run}:lr")
    assert {each.attack for each in paired.differences} == {"", "iter-fsgm", "autoattack", "deepfool", "worst-case"}
    for each in paired.differences:
        for model, share in (("net", each.first), ("lr", each.second)):
            found = table[(table["model"] == model) & (table["attack"] == each.attack)]
            found = found[(found["metric"] == "misclassification") & np.isclose(found["eps"], each.eps)]
            assert share == pytest.approx(1 - found["value"].mean())


def test_what_differs_in_the_making_is_told(pair_run):
    (paired,) = compare(f"{pair_run}:net", f"{pair_run}:lr")
    assert list(paired.configuration) == ["model.lr_layers.avgpool", "low_rank"]


def test_why_a_figure_is_not_compared_is_told():
    key, worst, there = ("pgd", 0.1), (WORST, 0.1), {("pgd", 0.1): None}
    for pairs, expected in (
        ([(there, {}), (there, {})], "B lacks it"),
        ([({}, there)], "A lacks it"),
        ([({}, {})], "A and B lack it"),
        ([(there, {}), ({}, there)], "no seed for which both have it"),
    ):
        assert _why_not(key, set(), set(), pairs) == expected
    assert _why_not(key, {"pgd"}, set(), []) == "other options, code or surrogate"
    assert _why_not(worst, {WORST}, set(), []) == "over other attacks"
    assert _why_not(key, {"pgd"}, {"pgd"}, []) == "made on one of the two, and no part of the worst case here"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s["threat_model"].update(space="normalized"), "space (pixel and normalized)"),
        (lambda s: s["threat_model"].update(norm="l2"), "norm (linf and l2)"),
        (lambda s: s["threat_model"].update(samples=10), "number of images attacked (20 and 10)"),
        (lambda s: s["threat_model"].update(eps=[0.5]), "radii (4/255, 8/255 and 127.5/255)"),
    ],
)
def test_what_is_not_comparable_is_refused(pair_run, tmp_path, change, reason, capsys):
    import yaml  # noqa: PLC0415

    other = tmp_path / "other"
    shutil.copytree(pair_run, other)
    suite = yaml.safe_load((other / "suite.yaml").read_text())
    change(suite)
    (other / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    assert main(["compare", f"{pair_run}:net", f"{other}:net"]) == 2
    said = capsys.readouterr().err
    assert "cannot be compared" in said
    assert reason in said


def test_other_images_are_refused(pair_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pair_run, other)
    from dataclasses import replace  # noqa: PLC0415

    from lrbench.store import Store  # noqa: PLC0415

    store = Store(other)
    record = store.record("accuracy/net/seed-0")
    files = {name: (store.folder(record.id) / name).read_bytes() for name in record.files}
    store.save(replace(record, config={**record.config, "data": {"test": "other"}}), files)
    with pytest.raises(UsageError, match=r"test images \(digits and digits, other examples\)"):
        compare(f"{pair_run}:net", f"{other}:net")


def test_an_attack_with_other_options_is_not_compared(pair_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pair_run, other)
    text = (other / "suite.yaml").read_text()
    assert "queries: 5\n" in text
    (other / "suite.yaml").write_text(text.replace("  targets: 2\n  queries: 5\n", "  targets: 2\n  queries: 9\n"))
    (paired,) = compare(f"{pair_run}:net", f"{other}:net")
    assert "autoattack" not in {each.attack for each in paired.differences}
    assert "autoattack at 4/255 (other options, code or surrogate)" in paired.skipped


@pytest.mark.parametrize("attack", ["iter-fsgm", "autoattack"])
def test_what_one_seed_lacks_is_compared_over_the_others(pair_run, tmp_path, attack):
    other = tmp_path / "other"
    shutil.copytree(pair_run, other)
    table = pd.read_csv(other / "results.csv", keep_default_na=False)
    gone = (table["model"] == "lr") & (table["seed"].astype(str) == "1") & table["attack"].isin([attack, "worst-case"])
    table[~gone].to_csv(other / "results.csv", index=False)
    (paired,) = compare(f"{other}:net", f"{other}:lr")
    (one_seed,) = compare(f"{pair_run}:net@0", f"{pair_run}:lr@0")
    (whole,) = compare(f"{pair_run}:net", f"{pair_run}:lr")
    assert {(each.attack, each.eps) for each in paired.differences} == {
        (each.attack, each.eps) for each in whole.differences
    }
    for each in paired.differences:
        lacking = each.attack in {attack, "worst-case"}
        like = next(
            row
            for row in (one_seed if lacking else whole).differences
            if (row.attack, row.eps) == (each.attack, each.eps)
        )
        assert each.seeds == ((0,) if lacking else (0, 1))
        assert (each.first, each.second, each.estimate) == (like.first, like.second, like.estimate)
    assert {f"{attack} at 8/255 (1 of 2 seeds)", "worst-case at 8/255 (1 of 2 seeds)"} <= set(paired.fewer)
    assert not paired.skipped
    assert any("1 of 2 seeds" in line for line in remarks(paired, Wanted()))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (("RUN:net", "RUN:nett"), "did you mean 'net'"),
        (("RUN:net", "nowhere"), "no results in nowhere"),
        (("RUN:net@0", "RUN:net@7"), "with the seeds 0, 1, not 7"),
        (("RUN:net@0,1", "RUN:net@0"), "2 seeds against 1"),
    ],
)
def test_wrong_sides_are_a_line(pair_run, capsys, sides, message):
    assert main(["compare", *(side.replace("RUN", str(pair_run)) for side in sides)]) == 2
    assert message in capsys.readouterr().err


def test_damaged_outcomes_are_refused(pair_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pair_run, other)
    path = other / "steps/accuracy/net/seed-0/outcomes.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match="is damaged"):
        compare(f"{other}:net", f"{other}:lr")


def test_every_format_says_the_same(pair_run):
    found = compare(f"{pair_run}:net", f"{pair_run}:lr")
    count, differences = len(found[0].differences), found[0].differences
    written = {name: write(found, Wanted()) for name, write in FORMATS.items()}
    table = list(csv.DictReader(io.StringIO(written["csv"])))
    (content,) = json.loads(written["json"])
    exported = content["differences"]
    for column, row_of_json, expected in (
        ("difference", lambda row: row["difference"], lambda each: each.estimate.difference),
        ("robust_accuracy_b", lambda row: row["robust_accuracy"]["b"], lambda each: each.second),
        ("p", lambda row: row["p"], lambda each: each.estimate.p),
        ("p_adjusted", lambda row: row["p_adjusted"], lambda each: each.p_adjusted),
        ("ci_high", lambda row: row["interval"][1], lambda each: each.estimate.interval[1]),
    ):
        assert [float(row[column]) for row in table] == [row_of_json(row) for row in exported]
        assert [row_of_json(row) for row in exported] == [expected(each) for each in differences]
    assert written["markdown"].count("\n| ") == count + 2
    assert written["latex"].count(r" \\") == count + 1
    assert all(len(row) == len(HEADINGS) for row in rows(found[0]))
    said = conclusion(found[0])
    assert content["conclusion"] == said
    assert in_markdown(said) in written["markdown"]
    assert in_latex(said) in written["latex"]


def test_lists_of_images_are_for_those_who_ask(pair_run, capsys):
    sides = (f"{pair_run}:net", f"{pair_run}:lr")
    assert main(["compare", *sides]) == 0
    assert "wrong in" not in capsys.readouterr().out
    assert main(["compare", *sides, "--images"]) == 0
    assert "wrong in A alone: " in capsys.readouterr().out
    assert main(["compare", *sides, "--images", "--format", "markdown"]) == 0
    assert "wrong in A alone: " in capsys.readouterr().out


def made(seeds=3, images=400, shares=(0.5, 0.5), **rows):
    """A comparison of outcomes that are drawn, and not measured."""
    rng = np.random.default_rng(0)
    wrong = [[{CLEAN: np.zeros(images, bool)} for _ in range(seeds)] for _ in shares]
    for (attack, eps), both in ({("worst-case", 8 / 255): shares, ("worst-case", 16 / 255): shares} | rows).items():
        hard = rng.random(images)
        for side, share in zip(wrong, both, strict=True):
            for seed in side:
                seed[attack, eps] = (0.8 * hard + 0.2 * rng.random(images)) < share
    seeds_of_pairs = tuple(range(seeds))
    differences = _differences(dict.fromkeys(wrong[0][0], seeds_of_pairs), list(zip(*wrong, strict=True)))
    return Paired(None, None, "linf", "pixel", differences, differences[1])


def test_the_sentence_says_which_is_better_by_how_much_and_how_sure():
    for shares, name in (((0.3, 0.6), "A"), ((0.6, 0.3), "B")):
        paired = made(shares=shares)
        said = conclusion(paired)
        size = in_percent(abs(paired.headline.estimate.difference))
        other = "B" if name == "A" else "A"
        assert said.startswith(
            f"{name} is better than {other} in the worst case over attacks at 8/255: its robust accu"
        )
        assert f"{size} points higher" in said
        assert f"{paired.headline.p_adjusted:.2g} adjusted for 2 radii" in said
        assert "other images and other trainings" in said


def test_the_sentence_says_what_could_have_been_seen():
    paired = made(shares=(0.5, 0.51))
    assert paired.headline.p_adjusted > 0.05
    said = conclusion(paired)
    estimate = paired.headline.estimate
    least = detectable(3, 400, estimate.components)
    assert said.startswith("Neither is shown to be better in the worst case over attacks at 8/255")
    assert f"With 400 images and 3 seeds like these, {100 * least:.1f} points would have been detected" in said


def test_equal_figures_are_a_tie_also_where_the_images_differ():
    swapped = np.zeros((1, 40), bool), np.zeros((1, 40), bool)
    swapped[0][0, :5] = swapped[1][0, 5:10] = True
    differences = _differences({CLEAN: (0,)}, [({CLEAN: swapped[0][0]}, {CLEAN: swapped[1][0]})])
    said = conclusion(Paired(None, None, "linf", "pixel", differences, differences[0]))
    assert said.startswith("Tie without an attack: equal accuracy")


def test_power_says_what_a_difference_needs(pair_run, capsys):
    sides = (f"{pair_run}:net", f"{pair_run}:lr")
    (paired,) = compare(*sides)
    needed = requirement(paired, 0.1)
    components = paired.headline.estimate.components
    assert needed.images == {seeds: images_needed(0.1, seeds, components) for seeds in (2, 3, 5, 10)}
    assert main(["compare", *sides, "--power", "10"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"10 seeds: {needed.images[10]:,} images" in said
    assert "10 points in the worst case over attacks at 8/255 are detected in 80 % of cases" in said
    assert main(["compare", *sides, "--power", "10", "--format", "json"]) == 0
    (content,) = json.loads(capsys.readouterr().out)
    assert content["needed"]["images"] == {str(seeds): images for seeds, images in needed.images.items()}
    assert main(["compare", f"{pair_run}:net@0", f"{pair_run}:lr@0", "--power", "10"]) == 0
    assert "one seed cannot tell how much others differ" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *sides, "--power", "-3"])
    assert stopped.value.code == 2

"""What attacks were worth, held against AttackBench's definition and against what leaving one out changes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.cli import main
from lrbench.leaderboard import Leaderboard, tidy
from lrbench.leaderboard.attack_ranking import ranking
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.render import to_markdown
from lrbench.leaderboard.worth import ALONE, CLEAN, OPTIMALITY, optimality, worth_rows
from lrbench.suite import Suite

RADII = [0.1, 0.25, 0.5, 1.0]
LABELS = ["a", "b", "c"]


def drawn(seed, n=40, radii=RADII, labels=LABELS):
    """Whom attacks fooled at each radius; not all that they fooled at a smaller one."""
    generator = np.random.default_rng(seed)
    wrong = {CLEAN: generator.random(n) < 0.2}
    for label in labels:
        for eps in radii:
            wrong[label, eps] = wrong[CLEAN] | (generator.random(n) < eps * generator.random())
    return wrong


def sizes(wrong, label):
    """The smallest radius at which an attack fooled each image that was classified correctly; inf for none."""
    found = np.full(len(wrong[CLEAN]), np.inf)
    for eps in sorted((eps for each, eps in wrong if each == label), reverse=True):
        found[wrong[label, eps]] = eps
    return found[~wrong[CLEAN]]


def left(found, radii):
    """Share of the images that are left at each radius, from 0."""
    return np.array([1.0, *((found > eps).mean() for eps in radii)])


@pytest.mark.parametrize("seed", range(8))
def test_optimality_is_attackbench_s(seed):
    wrong = drawn(seed)
    best = np.min([sizes(wrong, label) for label in LABELS], axis=0)
    for label in LABELS:
        # Their code: 1 - (area - best area) / (clean accuracy * largest distance - best area), of accuracy left.
        area, least = (np.trapezoid(left(each, RADII), [0, *RADII]) for each in (sizes(wrong, label), best))
        expected = 1 - (area - least) / (RADII[-1] - least)
        assert optimality(wrong, label, LABELS) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(8))
def test_who_alone_fooled_an_image_is_missed_when_left_out(seed):
    wrong = drawn(seed)
    rows = {(row["attack"], row["eps"]): row["value"] for row in worth_rows(wrong, LABELS, "pixel") if "eps" in row}
    assert set(rows) == {(label, eps) for label in LABELS for eps in RADII}
    for (label, eps), value in rows.items():

        def robust(labels, eps=eps):
            return np.mean(np.min([sizes(wrong, each) for each in labels], axis=0) > eps) * (~wrong[CLEAN]).mean()

        assert value == pytest.approx(robust([each for each in LABELS if each != label]) - robust(LABELS))


def test_the_best_attack_of_every_image_has_100_percent():
    wrong = drawn(0)
    for eps in RADII:
        wrong["best", eps] = np.any([wrong[key] for key in wrong if key[1] <= eps], axis=0)
    values = {row["attack"]: row["value"] for row in worth_rows(wrong, [*LABELS, "best"], "pixel") if "eps" not in row}
    assert values["best"] == 1
    assert all(values[label] < 1 for label in LABELS)


@given(st.integers(0, 1000), st.sets(st.sampled_from(RADII), min_size=1))
def test_shares_are_shares_whatever_radii_an_attack_ran_at(seed, radii):
    wrong = drawn(seed, n=12)
    few = {key: value for key, value in wrong.items() if key[0] != "a" or key[1] in radii}
    for row in worth_rows(few, LABELS, "pixel"):
        assert 0 <= row["value"] <= 1
        assert row["n"] == 12


def test_one_attack_has_nothing_to_be_held_against():
    wrong = drawn(0, labels=["a"])
    assert not [*worth_rows(wrong, ["a"], "pixel")]
    assert not [*worth_rows(wrong, ["a", "of another record"], "pixel")]


def test_where_nobody_was_fooled_there_is_no_optimality():
    wrong = {key: np.zeros(5, bool) for key in drawn(0)}
    assert [*{row["metric"] for row in worth_rows(wrong, LABELS, "pixel")}] == [ALONE]


def board():
    content = {
        "name": "worth",
        "data": "digits",
        "models": {"net": {"arch": "resnet18"}, "other": {"arch": "resnet18"}},
        "threat_model": {"eps": [4 / 255, 8 / 255], "space": "pixel"},
        "attacks": ["pgd", "deepfool", {"name": "square", "eps": [4 / 255]}],
    }
    common = {"suite": "worth", "dataset": "digits", "seed": 0, "space": "pixel", "n": 50}
    rows = [{**common, "model": model, "metric": "accuracy", "value": 0.9} for model in ("net", "other")]
    for attack, eps in (("pgd", 4 / 255), ("pgd", 8 / 255), ("square", 4 / 255), ("deepfool", None)):
        where = {**common, "model": "net", "attack": attack} | ({} if eps is None else {"eps": eps})
        passes = 255 * (eps or 1)
        taken = {"forward_passes": passes, "attack_time": 0.5}
        rows += [{**where, "metric": metric, "value": value} for metric, value in taken.items()]
        if eps is None:
            rows += [{**where, "metric": ALONE, "value": 0.5, "eps": each} for each in (4 / 255, 8 / 255)]
        if eps is None or eps < 8 / 255:
            rows.append({**where, "metric": OPTIMALITY, "value": 0.25, "eps": float("nan")})
    return Leaderboard(tidy(rows), Suite.model_validate(content).model_dump(mode="json"))


def test_a_table_has_a_row_for_each_attack_on_each_model():
    block = board().blocks[-1]
    assert block.title == (
        "What each attack was worth, and cost an image, at 8/255; optimality over all its radii, n = 50"
    )
    shown = [
        (model, *beside, *(each.cells[model].value if model in each.cells else None for each in columns))
        for model, beside, columns in block.rows(["other", "net"])
    ]
    assert [each.heading for each in block.headings] == [
        "optimality %", "only one to fool, %", "forward passes", "ms",
    ]  # fmt: skip
    assert shown == [
        ("net", "pgd", 0.25, None, pytest.approx(8), 0.5),
        ("net", "deepfool", 0.25, 0.5, pytest.approx(255), 0.5),
        ("net", "square, 4/255", 0.25, None, pytest.approx(4), 0.5),
    ]
    assert "| net | deepfool | 25.0 | 50.0 | 255 |\n" in to_markdown(board())


def test_a_line_says_over_which_radii_the_optimality_of_each_attack_is():
    made = board()
    alone = made.results.iloc[[0]].assign(metric=ALONE, value=0.0)
    ran = [("pgd", 4), ("pgd", 8), ("square", 4)]
    rows = [alone.assign(attack=attack, eps=eps / 255) for attack, eps in ran]
    whole = Leaderboard(pd.concat([made.results, *rows]), made.suite)
    (line,) = [line for line in notes(whole) if line.startswith("Optimality")]
    assert "(deepfool, pgd: 4/255, 8/255; square: 4/255): compare attacks that share them" in line


def test_costs_lie_beside_the_times_and_not_among_the_results():
    made = board()
    assert "forward_passes" not in made.results_csv()
    assert "forward_passes" in made.timings_csv()
    assert OPTIMALITY in made.results_csv()
    figures = json.loads(made.to_json())["models"]["net"]
    assert not any(name.startswith("attack_time") for name in figures), "two runs' tables are the same, to the byte"
    assert figures["forward_passes[deepfool]"] == 255
    assert figures["optimality[pgd]"] == 0.25


def test_who_took_more_than_the_budget_is_named():
    made = board()
    within = [line for line in notes(made) if line.startswith("OVER BUDGET")]
    made.suite["threat_model"]["budget"] = 10
    (line,) = [line for line in notes(made) if line.startswith("OVER BUDGET")]
    assert not within
    assert line.startswith("OVER BUDGET: deepfool took 255 passes an image, of 10.")


def test_a_budget_is_of_the_passes_at_one_radius_and_may_be_used_up():
    made = board()
    spent = made.results.iloc[[0]].assign(attack="fab", metric="forward_passes", value=300.0)
    whole = Leaderboard(pd.concat([made.results, *(spent.assign(eps=eps / 255) for eps in (4, 8))]), made.suite)
    for budget, over in ((300, 0), (299, 1)):
        whole.suite["threat_model"]["budget"] = budget
        assert sum(line.startswith("OVER BUDGET") for line in notes(whole)) == over


def run_of(folder, optimalities, options=(), space="pixel", budget=None):
    """A run's folder with attacks of the given mean optimality on two models."""
    attacks = [{"name": "pgd", "label": label, **dict(options)} for label in optimalities]
    content = {
        "name": folder.name,
        "data": "digits",
        "models": {"net": {"arch": "resnet18"}, "other": {"arch": "resnet18"}},
        "threat_model": {"eps": [8 / 255], "space": space, "budget": budget},
        "attacks": attacks,
    }
    common = {"suite": folder.name, "dataset": "digits", "seed": 0, "space": space, "n": 50}
    rows = [
        {**common, "model": model, "metric": OPTIMALITY, "attack": label, "value": value + off}
        for label, value in optimalities.items()
        for model, off in (("net", 0.1), ("other", -0.1))
    ]
    suite = Suite.model_validate(content).model_dump(mode="json")
    made = Leaderboard(tidy(rows), suite)
    folder.mkdir()
    (folder / "results.csv").write_text(made.results_csv())
    (folder / "suite.yaml").write_text(json.dumps(suite))
    return str(folder)


def ranked(*folders):
    return [[" ".join(cell) for cell in row] for table in ranking(folders) for row in table.rows]


def test_attacks_are_ranked_over_the_models_of_all_runs(tmp_path):
    first = run_of(tmp_path / "first", {"weak": 0.3, "strong": 0.8})
    second = run_of(tmp_path / "second", {"weak": 0.5, "strong": 0.7, "third": 0.45})
    assert [[row[0], row[2], row[3], row[-1]] for row in ranked(first, second)] == [
        ["strong", "75.0", "60.0", "4"], ["third", "45.0", "35.0", "2"], ["weak", "40.0", "20.0", "4"],
    ]  # fmt: skip
    assert ranked(first, f"{first}/", f"{first}/../first") == ranked(first), "a run that is named twice counts once"


def test_an_attack_with_other_options_is_another_one(tmp_path):
    first = run_of(tmp_path / "first", {"pgd": 0.3, "other": 0.2})
    second = run_of(tmp_path / "second", {"pgd": 0.6, "more": 0.1}, options={"steps": 50})
    names = [row[0] for row in ranked(first, second)]
    assert names[0].startswith("pgd {")
    assert '"steps": 50' in names[0]
    assert names[1].startswith("pgd {")
    assert names[2:] == ["other", "more"]


def test_an_attack_with_another_budget_is_another_one(tmp_path):
    first = run_of(tmp_path / "first", {"a": 0.3, "b": 0.2}, budget=8)
    second = run_of(tmp_path / "second", {"a": 0.6, "b": 0.1}, budget=600)
    names = [row[0] for row in ranked(first, second)]
    assert len(names) == 4
    assert '"budget": 600' in names[0]


def test_each_threat_model_has_a_table_of_its_own(tmp_path):
    first = run_of(tmp_path / "first", {"a": 0.3, "b": 0.2})
    second = run_of(tmp_path / "second", {"a": 0.6, "b": 0.1}, space="normalized")
    over = "optimality over all radii of an attack, the other figures at"
    assert [table.title for table in ranking([first, second])] == [
        f"Attacks by mean optimality over 2 models, linf, pixel space; {over} 8/255, or its largest",
        f"Attacks by mean optimality over 2 models, linf, normalized space; {over} 0.0314 sd, or its largest",
    ]


def test_a_run_that_does_not_say_what_attacks_were_worth_is_refused(tmp_path, capsys):
    folder = run_of(tmp_path / "first", {"a": 0.3, "b": 0.2})
    table = tmp_path / "first/results.csv"
    table.write_text(table.read_text().replace(OPTIMALITY, "found"))
    assert main(["attacks", "--rank", folder]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "does not say what its attacks were worth" in line


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_the_command_prints_the_order(tmp_path, capsys, form):
    folder = run_of(tmp_path / "first", {"a": 0.3, "b": 0.4})
    assert main(["attacks", "--rank", folder, "--format", form]) == 0
    out = capsys.readouterr().out
    assert out.index("40.0") < out.index("30.0")


def test_published_boards_are_ranked_from_the_outcomes_that_they_keep():
    (table,) = ranking([str(Path(__file__).parents[2] / "leaderboards/quick")])
    assert next(row[0] for row in table.rows) == ["autoattack"]

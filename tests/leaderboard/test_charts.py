"""Which charts a board has, and that they hold its figures."""

import numpy as np
import pandas as pd
import pytest
from support.charted import CLASSES, EPS, MODELS, board_of, charts_of, points_of, suite_of

from lrbench.leaderboard import Leaderboard, tidy
from lrbench.leaderboard.charts import Artefacts, charts
from lrbench.leaderboard.charts.robustness import _in_parts

NAMES = {
    "radius-worst-case": "worst-case",
    "radius-iter-fsgm": "",
    "differences": "differences",
    "distance-iter-fsgm": "misclassification-iter-fsgm",
    "smallest-perturbation-deepfool": "smallest-perturbation-deepfool",
    "variance-avgpool": "variance-ratio-avgpool",
    "classes-avgpool": "class-variance-avgpool",
    "embeddings": "embeddings",
    "compression-parameters": "",
    "compression-multiply_adds": "",
    "compression-compression_accuracy": "",
    "clusters-avgpool": "clusters-avgpool",
    "training": "training",
}


@pytest.fixture(scope="module")
def board():
    return board_of()


@pytest.fixture(scope="module")
def drawn(board):
    return charts_of(board)


def of(panel, model, *columns):
    table = panel.table[panel.table["model"] == model]
    return [list(table[column]) for column in columns]


def test_every_chart_is_there_with_the_name_of_its_files(drawn):
    assert {name: chart.picture for name, chart in drawn.items()} == NAMES


def test_a_notebook_draws_what_follows_from_the_results(board):
    names = [name for name in NAMES if name not in {"training", "clusters-avgpool", "smallest-perturbation-deepfool"}]
    for name in names:
        models = MODELS[1:] if name == "differences" else MODELS
        assert board.plot(name).to_dict()["params"][0]["value"] == models
    with pytest.raises(KeyError, match="no chart 'training'; there are radius-worst-case, radius-iter-fsgm, "):
        board.plot("training")


def test_axes_are_named_and_what_is_shown_is_told(drawn):
    for chart in drawn.values():
        assert chart.title
        assert chart.caption
        assert all(panel.x.title and panel.y.title for panel in chart.panels), chart.name
    expected = [drawn[name] for name in ("radius-worst-case", "radius-iter-fsgm", "distance-iter-fsgm", "embeddings")]
    for chart in (*expected, drawn["compression-compression_accuracy"], drawn["smallest-perturbation-deepfool"]):
        assert chart.panels[0].y.title.endswith(", n = 100")
    for chart in expected:
        assert "95 % Wilson interval" in chart.caption
    assert "the band spans the seeds" in drawn["variance-avgpool"].caption


def test_robust_accuracy_is_there_by_radius(drawn):
    worst = drawn["radius-worst-case"]
    (panel,) = worst.panels
    radii, values, low, high = of(panel, "normal", "radius", "value", "low", "high")
    assert radii == pytest.approx([0, 8, 16])
    assert values == pytest.approx([90, 60, 30])
    assert all(a < value < b for a, value, b in zip(low, values, high, strict=True))
    assert panel.x.title == "radius, in 1/255 of the pixel range"
    faint = panel.faint[panel.faint["model"] == "normal"]
    assert list(faint["value"]) == pytest.approx([90, 70, 40])
    assert set(faint["line"]) == {"iter-fsgm"}
    assert worst.caption.endswith("Thin: each attack. Fewer attacks ran at 8/255, where it is a looser bound.")
    (each,) = drawn["radius-iter-fsgm"].panels
    assert of(each, "normal", "value") == [pytest.approx([90, 70, 40])]
    assert each.faint is None


def test_an_attack_has_no_line_through_radii_at_which_it_did_not_run():
    table = pd.DataFrame({"model": ["a", "a", "b", "b", "b"], "radius": [16.0, 0.0, 0.0, 8.0, 16.0], "value": 1.0})
    found = _in_parts(table, "square", [0.0, 8.0, 16.0])
    lines = found.set_index(["model", "radius"])["line"]
    assert lines["a", 0.0] != lines["a", 16.0]
    assert set(lines["b"]) == {"square"}


def test_differences_have_a_row_for_each_model_with_what_chance_makes_of_it(drawn):
    chart = drawn["differences"]
    assert [panel.title for panel in chart.panels] == ["8/255", "16/255"]
    assert chart.caption.endswith("before adjustment.")
    assert "minus that of normal, n = 100; the bar is the 95 % interval" in chart.caption
    for panel in chart.panels:
        assert list(panel.y.order) == MODELS[1:], "the largest first"
        assert list(panel.rules) == [0]
        assert panel.x.domain == (-30, 25), "all radii share it"
        table = panel.table.set_index("label")
        assert list(table.loc["low-rank", ["value", "low", "high"]]) == pytest.approx([20, 15, 25])
        assert list(table["found"]) == ["adjusted p below 0.05", "adjusted p of 0.05 and more"]


def judged(board, **verdicts):
    """The board with verdicts of models, by number; others are not checked."""
    row = {"suite": "s", "dataset": "d", "metric": "verdict"}
    rows = [row | {"model": name, "seed": seed, "value": value} for name, value in verdicts.items() for seed in (0, 1)]
    results = pd.concat([board.results, tidy(rows)], ignore_index=True)
    return charts_of(Leaderboard(results, board.suite))["differences"]


@pytest.mark.parametrize(("value", "says"), [(0, ""), (1, " (suspicious)"), (2, " (broken)")])
def test_a_difference_whose_verdict_speaks_against_it_says_so(board, value, says):
    sound = dict.fromkeys(MODELS, 0)
    chart = judged(board, **sound | {"low-rank": value})
    assert set(chart.panels[0].table["label"]) == {"low-rank" + says, *MODELS[2:]}
    assert f"minus that of normal{says}," in judged(board, **sound | {MODELS[0]: value}).caption


def test_where_others_are_checked_it_is_said_of_a_difference_that_is_not(board):
    chart = judged(board, **{"low-rank": 0})
    assert set(chart.panels[0].table["label"]) == {"low-rank", *(f"{model} (not checked)" for model in MODELS[2:])}
    assert "minus that of normal (not checked)," in chart.caption


def test_a_model_called_like_another_one_with_its_verdict_has_a_row_of_its_own():
    names = ["normal", "x", "x (suspicious)", "y"]
    chart = judged(board_of(names), **dict.fromkeys(names, 0) | {"x": 1})
    assert set(chart.panels[0].table["label"]) == {"x (suspicious) [x]", "x (suspicious) [x (suspicious)]", "y"}


def test_differences_without_an_interval_have_a_place(board):
    bare = board.results["metric"] == "robust_accuracy_difference"
    results = board.results.assign(**{end: board.results[end].mask(bare) for end in ("ci_low", "ci_high")})
    chart = charts_of(Leaderboard(results, board.suite))["differences"]
    assert [panel.x.domain for panel in chart.panels] == [(-5, 20)] * 2
    assert all(panel.table["value"].notna().all() for panel in chart.panels)


def test_a_difference_without_a_p_is_not_called_chance(board):
    lost = (board.results["metric"] == "p_value") & (board.results["model"] == "low-rank")
    chart = charts_of(Leaderboard(board.results[~lost], board.suite))["differences"]
    found = chart.panels[0].table.set_index("label")["found"]
    assert found["low-rank"] == "no p"
    assert list(chart.series) == ["adjusted p below 0.05", "adjusted p of 0.05 and more", "no p"], "on every board"


def test_no_difference_at_all_has_an_axis(board):
    same = board.results["metric"] == "robust_accuracy_difference"
    names = ("value", "ci_low", "ci_high")
    results = board.results.assign(**{name: board.results[name].mask(same, 0.0) for name in names})
    chart = charts_of(Leaderboard(results, board.suite))["differences"]
    assert [panel.x.domain for panel in chart.panels] == [(-5, 5)] * 2


def test_what_the_first_one_starts_from_is_no_rival_of_it():
    names = [*MODELS, "later"]
    board = board_of(names)
    begun = {name: dict(spec) for name, spec in board.suite["models"].items()}
    begun[names[0]]["init_from"] = names[1]
    chart = charts_of(Leaderboard(board.results, board.suite | {"models": begun}))["differences"]
    assert all(set(panel.y.order) == set(names[2:]) for panel in chart.panels)
    assert chart.caption.endswith(f"{names[0]} starts from {names[1]}, which the tables have.")
    begun[names[1]]["init_from"] = names[2]
    assert "differences" not in charts_of(Leaderboard(board.results, board.suite | {"models": begun}))


def test_one_difference_is_told_by_the_tables_alone():
    assert "differences" not in charts_of(board_of(MODELS[:2]))


def test_of_many_models_bands_and_thin_lines_would_hide_one_another():
    names = [f"net-{index}" for index in range(8)]
    few, many = (charts_of(board_of(models)) for models in (names, [*names, "one more"]))
    for name in ("radius-worst-case", "radius-iter-fsgm", "distance-iter-fsgm"):
        (crowded,) = many[name].panels
        assert not {"low", "high"} & {*crowded.table}
        assert crowded.faint is None
        assert "band" not in many[name].caption
        assert "the tables have the 95 % intervals" in many[name].caption
        assert {"low", "high"} <= {*few[name].panels[0].table}
        assert "the band is the 95 % Wilson interval" in few[name].caption
    assert "Fewer attacks ran at 8/255" in many["radius-worst-case"].caption


def test_a_band_of_images_that_were_taken_until_they_were_enough_is_no_wilson_interval():
    board = board_of(["net"])
    board.suite["threat_model"]["samples"] = {"until": 2, "of": "accuracy", "most": None}
    drawn = charts_of(board)
    for name in ("radius-worst-case", "radius-iter-fsgm", "distance-iter-fsgm"):
        assert "the band is the 95 % confidence sequence" in drawn[name].caption


def test_misclassification_is_there_by_distance(drawn):
    (panel,) = drawn["distance-iter-fsgm"].panels
    assert of(panel, "normal", "l2", "value") == [pytest.approx([0, 0.1, 0.2]), pytest.approx([10, 30, 60])]
    assert list(panel.rules) == [0.15]
    assert "Dotted" in drawn["distance-iter-fsgm"].caption
    bare = board_of(threat_model={"eps": EPS})
    assert "Dotted" not in charts_of(bare)["distance-iter-fsgm"].caption


def test_variance_ratios_and_what_is_left_span_the_seeds(drawn):
    held, left = drawn["variance-avgpool"].panels
    k, value, low, high = of(held, "normal", "k", "value", "low", "high")
    assert k == list(range(1, 21)), "up to the largest of the curve"
    assert value == pytest.approx([1 - 0.5**k - 5e-4 for k in range(1, 21)])
    assert np.subtract(high, low) == pytest.approx([1e-3] * 20)
    left_value, left_low, left_high = of(left, "normal", "value", "low", "high")
    assert left_value == pytest.approx([1 - each for each in value])
    assert left_low == pytest.approx([max(1 - each, 1e-9) for each in high])
    assert left_high == pytest.approx([1 - each for each in low])
    assert left.y.scale == "log"


def test_nothing_left_has_a_place_on_a_logarithmic_scale(board):
    whole = board.results.assign(value=board.results["value"].where(board.results["metric"] != "vr", 1.0))
    _, left = charts_of(Leaderboard(whole, board.suite))["variance-avgpool"].panels
    assert set(left.table["value"]) == {1e-9}


def test_classes_go_by_the_first_models_figure(drawn):
    (panel,) = drawn["classes-avgpool"].panels
    assert list(panel.y.order) == CLASSES[::-1]
    shown = dict(zip(*of(panel, "low-rank", "class", "value"), strict=True))
    assert shown == pytest.approx({name: 0.5 + 0.03 * index + 0.1 / 3 for index, name in enumerate(CLASSES)})


def test_dimensions_are_there_with_intervals_the_most_first(drawn):
    (panel,) = drawn["embeddings"].panels
    assert list(panel.x.order) == ["all", "10", "5"]
    assert panel.x.title == "dimensions kept of avgpool"
    values, low, high = of(panel, "normal", "value", "low", "high")
    assert values == [90, 90, 90]
    assert max(low) < 90 < min(high)


def test_both_networks_are_there(drawn):
    (panel,) = drawn["compression-parameters"].panels
    assert of(panel, "normal", "part", "value") == [["full", "compressed"], [1e7, 2.5e6]]
    (accuracy,) = drawn["compression-compression_accuracy"].panels
    assert of(accuracy, "normal", "value") == [[80, 20]]
    assert accuracy.y.title == "accuracy, %, n = 100"


def test_training_has_a_line_for_each_seed_and_rings(drawn):
    accuracy, loss, residual = drawn["training"].panels
    table = accuracy.table
    assert set(table["line"]) == {"0", "1"}
    assert list(table[table["ring"]]["epoch"].unique()) == [3]
    assert set(table[table["ring"]]["model"]) == set(MODELS[1:])
    assert of(loss, "normal", "loss")[0] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4] * 2)
    assert set(residual.table["model"]) == set(MODELS[1:])
    assert set(residual.table["epoch"]) == {3, 4}
    assert "avgpool" in residual.y.title
    assert loss.y.scale == "log"


def test_training_without_lr_layers_tells_of_none(board):
    plain = {("normal", 0): [{"epoch": 1, "accuracy": 0.5, "loss": 1.0, "lr_layers_on": False, "layers": {}}]}
    *_, chart = charts(board.shown, board.suite, Artefacts(plain))
    assert len(chart.panels) == 2
    assert "LR-Layers" not in chart.caption


def test_robust_accuracy_by_smallest_perturbation_falls(board):
    sizes = {"deepfool": {"normal": np.array([1.0, 2.0, 3.0, np.inf]), "low-rank": np.array([np.inf])}}
    found = {chart.name: chart for chart in charts(board.shown, board.suite, Artefacts(sizes=sizes))}
    (panel,) = found["smallest-perturbation-deepfool"].panels
    heights = of(panel, "normal", "value")[0]
    assert heights[0] == 100
    assert heights[-1] <= 50
    assert heights == sorted(heights, reverse=True)
    assert set(of(panel, "low-rank", "value")[0]) == {100}
    nobody = Artefacts(sizes={"deepfool": {"normal": np.array([np.inf])}})
    assert "smallest-perturbation-deepfool" not in {each.name for each in charts(board.shown, board.suite, nobody)}


def test_far_points_leave_room_for_the_others_and_are_counted(board):
    points, labels = points_of()
    points[:3] = [[1000.0, 0.0], [0.0, -1000.0], [-500.0, 3.0]]
    panel = charts_of(board, points=(points, labels))["clusters-avgpool"].panels[0]
    (left, right), (low, high) = panel.x.domain, panel.y.domain
    assert right - left < 10
    inside = (points[:, 0] >= left) & (points[:, 0] <= right) & (points[:, 1] >= low) & (points[:, 1] <= high)
    assert (~inside).sum() >= 3
    assert panel.title == f"normal\n{(~inside).sum()} of 200 points lie outside"
    assert len(panel.table) == inside.sum()


def test_clusters_are_coloured_by_class_and_have_a_panel_for_each_model(drawn):
    chart = drawn["clusters-avgpool"]
    assert chart.by == "class"
    assert list(chart.series) == CLASSES
    assert len(chart.panels) == len(MODELS)
    points, labels = points_of()
    first = chart.panels[0].table.iloc[0]
    place = int(np.flatnonzero(np.isclose(points[:, 0], first["first"]))[0])
    assert first["class"] == CLASSES[labels[place]]


def test_a_model_without_clusters_has_no_panel(board):
    assert "clusters-avgpool" not in {chart.name for chart in charts(board.shown, board.suite)}


def test_what_was_not_measured_has_no_chart():
    rows = [{"suite": "bare", "dataset": "digits", "model": "net", "seed": 0, "metric": "accuracy", "value": 0.5}]
    for attacks, diagnostics in (([], {}), (["iter-fsgm"], suite_of(["net"])["diagnostics"])):
        suite = suite_of(["net"], attacks=attacks, diagnostics=diagnostics)
        assert list(charts(Leaderboard(tidy(rows), suite).shown, suite)) == []


def test_an_attack_that_some_models_lack_has_no_line_of_theirs(board):
    results = board.results
    lacking = results[~((results["model"] == "normal") & (results["attack"] == "iter-fsgm"))]
    found = charts_of(Leaderboard(lacking, board.suite))
    for name in ("radius-iter-fsgm", "distance-iter-fsgm"):
        assert set(found[name].panels[0].table["model"]) == set(MODELS[1:])
    assert set(found["radius-worst-case"].panels[0].table["model"]) == set(MODELS)


def test_a_radius_in_l2_is_no_part_of_255():
    board = board_of(threat_model={"eps": [0.5, 1.0], "norm": "l2", "space": "pixel"})
    (panel,) = charts_of(board)["radius-worst-case"].panels
    assert panel.x.title == "radius in L2, in units of the pixel range"
    assert of(panel, "normal", "radius")[0] == pytest.approx([0, *EPS])


def test_a_table_is_not_changed_by_its_charts(board):
    before = board.aggregated.copy()
    charts_of(board)
    pd.testing.assert_frame_equal(board.aggregated, before)

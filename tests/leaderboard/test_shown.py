"""What is not there is not shown as if it were: steps, LR-Layers, images, machines."""

import io
import json
import shutil

import pytest
from rich.console import Console
from support.pictures import contents
from support.tables import board_of, rows_of

from lrbench.cli import main
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.charts import charts
from lrbench.leaderboard.drawing import PAGE, as_files, as_svg, drawing
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published.page import index_page
from lrbench.leaderboard.render import print_board, to_markdown
from lrbench.leaderboard.report import report
from lrbench.leaderboard.status import Status, in_what_they_differ


def printed(board):
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_board(board, console)
    return console.file.getvalue()


def views(board):
    return [
        printed(board),
        to_markdown(board),
        board._repr_html_(),
        board.to_json(),
        index_page({"mine": (board, [])})[0],
    ]


def test_every_view_says_how_many_steps_are_done():
    board = board_of(rows_of("net"), Status(6, 46))
    for view in views(board):
        assert "6 of 46 steps done" in view
    assert board.cautions("net")
    for view in views(board_of(rows_of("net"), Status(46, 46))):
        assert "steps done" not in view


@pytest.mark.parametrize("text", ["[]", "{}", '{"done": "x", "planned": 2, "environments": []}', "{"])
def test_a_status_that_is_none_is_refused(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Status.read(text)


def layered(epochs):
    rows = [row for seed in (0, 1) for row in [*rows_of("net", seed), *rows_of("lr", seed)]]
    common = {"suite": "mine", "dataset": "digits", "model": "lr", "metric": "lr_layer_epochs"}
    rows += [{**common, "seed": seed, "value": value} for seed, value in enumerate(epochs)]
    models = {"net": {"arch": "resnet18"}, "lr": {"arch": "resnet18", "lr_layers": {"avgpool": 5}}}
    return board_of(rows, seeds=[0, 1], models=models)


def test_a_model_whose_layers_never_acted_is_marked_wherever_it_is_shown():
    board = layered((5.0, 0.0))
    assert board.idle == {"lr": [1]}
    for view in views(board):
        text = view.replace("\\u2020", "\u2020")
        assert "lr \u2020" in text
        assert "never acted with seed 1" in text
        assert "net \u2020" not in text
    assert board.table().loc["lr", "lr_layers"] == "never acted with seed 1"
    drawn = list(charts(board.shown, board.suite))
    assert len(drawn) > 1
    assert all(each.series == board.labels for each in drawn)
    assert all("lr \u2020" in contents(as_svg(drawing(each, PAGE))) for each in drawn)
    assert "lr \u2020".encode() in as_files(drawn)["worst-case.svg"]
    for view in views(layered((5.0, 3.0))):
        assert "\u2020" not in view
        assert "never acted" not in view


def test_n_stands_in_the_title_where_it_is_one_and_else_in_the_headings():
    board = board_of(rows_of("net"))
    summary, worst = board.blocks[:2]
    counts = {column.heading: column.images for column in summary.columns}
    assert counts["clean accuracy"] == "n = 1,000"
    assert counts["robust accuracy 16/255"] == "n = 100"
    assert "n =" not in summary.title
    assert worst.title.endswith("pixel space, n = 100")
    for view in views(board)[:3]:
        assert "n = 1,000" in view
        assert "n = 100" in view


def test_n_stands_in_the_cells_where_one_column_mixes_several():
    rows = [*rows_of("net"), *rows_of("other")]
    for row in rows:
        if row["model"] == "other" and row.get("eps") == 8 / 255:
            row["n"] = 60
    board = board_of(rows)
    worst = board.blocks[1]
    assert "n =" not in worst.title
    assert {column.heading: column.images for column in worst.columns} == {
        "clean": "n = 100", "8/255": "", "16/255": "n = 100",
    }  # fmt: skip
    assert "n = 60" in printed(board)


def test_a_board_made_on_several_machines_or_versions_says_so():
    one = {"device": "cpu", "packages": {"torch": "2.14.1"}}
    other = {"device": "cpu", "packages": {"torch": "2.15.0"}}
    board = board_of(rows_of("net"), Status(1, 1, [one, other]))
    assert in_what_they_differ([one, other]) == {"packages.torch": ["2.14.1", "2.15.0"]}
    for view in (printed(board), to_markdown(board).replace("\\", "")):
        assert "Computed on several machines" in view
        assert "packages.torch: 2.14.1, 2.15.0" in view
    assert "several machines" not in printed(board_of(rows_of("net"), Status(1, 1, [one])))


def test_robust_accuracy_is_one_less_misclassification_with_its_interval_turned_round():
    board = board_of(rows_of("net"))
    shares = [board.results[board.results["metric"] == each] for each in ("misclassification", "robust_accuracy")]
    wrong, robust = (table.set_index(["attack", "eps"])[["value", "ci_low", "ci_high", "n"]] for table in shares)
    assert list(wrong.index) == list(robust.index)
    assert len(wrong) == 5
    assert list(robust["value"]) == pytest.approx(list(1 - wrong["value"]))
    assert list(robust["ci_low"]) == pytest.approx(list(1 - wrong["ci_high"]))
    assert list(robust["ci_high"]) == pytest.approx(list(1 - wrong["ci_low"]))
    assert list(robust["n"]) == list(wrong["n"])
    assert ",robust_accuracy," in board.results_csv()
    again = Leaderboard(board.results, board.suite)
    assert again.results_csv() == board.results_csv()


def test_no_table_has_misclassification_under_another_name():
    board = board_of([*rows_of("weak", wrong=(0.7, 0.8)), *rows_of("strong", wrong=(0.2, 0.3))])
    for block in board.blocks:
        for column in block.columns:
            if "255" in column.heading:
                assert column.cells["strong"].value > column.cells["weak"].value, column.heading
    assert "Robust accuracy %" in printed(board)
    assert "Misclassified" not in printed(board)
    drawn = [chart for chart in charts(board.shown, board.suite) if chart.name.startswith("radius-")]
    assert drawn
    assert all(chart.panels[0].y.title.startswith("robust accuracy, %") for chart in drawn)


def test_the_picture_of_the_worst_case_is_of_robust_accuracy():
    board = board_of(rows_of("net", wrong=(0.3, 0.6)))
    (chart,) = (each for each in charts(board.shown, board.suite) if each.picture == "worst-case")
    (panel,) = chart.panels
    assert list(panel.table["value"]) == pytest.approx([90, 70, 40])
    assert panel.y.title == "robust accuracy, %, n = 100"


def curves(*distances):
    rows = []
    for model, of in zip(("whole", "other"), distances, strict=True):
        rows += rows_of(model)
        common = {"suite": "mine", "dataset": "digits", "model": model, "seed": 0, "attack": "iter-fsgm", "n": 100}
        for eps, distance in zip((8 / 255, 16 / 255), of, strict=True):
            if distance is not None:
                rows.append({**common, "eps": eps, "space": "pixel", "metric": "l2_dissimilarity", "value": distance})
    return board_of(rows)


@pytest.mark.parametrize("lost", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, 1])
def test_an_area_whose_curve_lacks_a_point_is_missing_and_cuts_nobody_else_short(lost, place):
    distances = [0.1, 0.2]
    distances[place] = lost
    board = curves((0.1, 0.2), distances)
    assert board.limits == {"iter-fsgm": 0.2}
    (column,) = (each for each in board.blocks[0].columns if each.key == "auc_l2[iter-fsgm]")
    assert set(column.cells) == {"whole"}
    assert column.cells["whole"].n == 100
    assert "nan" not in printed(board)
    assert "inf" not in printed(board)


def changed(run, to, name, change):
    shutil.copytree(run, to)
    (to / name).write_text(change((to / name).read_text()))
    return to


def test_the_report_says_how_much_is_done(pair_run, tmp_path):
    status = '{"done": 6, "planned": 46, "environments": []}'
    page = report(changed(pair_run, tmp_path / "run", "status.json", lambda _: status))
    assert page.count("6 of 46 steps done") >= 3
    assert "steps done" not in report(pair_run)


def never_acted(text):
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if ",lr_layer_epochs," in line:
            lines[place] = line.replace(",lr_layer_epochs,2.0,", ",lr_layer_epochs,0.0,")
            assert lines[place] != line
    return "\n".join(lines) + "\n"


def test_the_report_marks_layers_that_never_acted(pair_run, tmp_path):
    page = report(changed(pair_run, tmp_path / "run", "results.csv", never_acted))
    assert '<th scope="row">lr \u2020</th>' in page
    assert '<th scope="row">lr</th>' not in page
    assert "lr \u2020, seed 0:" in page
    assert "lr \u2020 under iter-fsgm" in page
    assert "never acted with seed 0, 1" in page


def test_the_report_shows_every_environment(pair_run, monkeypatch):
    first = Run.open(pair_run).environment
    monkeypatch.setattr(Run, "environments", lambda _run, _model=None: [first, {**first, "device_name": "Another One"}])
    page = report(pair_run)
    assert "It was made in 2 environments" in page
    assert "Another One" in page


def test_a_run_without_an_environment_has_a_report(pair_run, tmp_path):
    run = changed(pair_run, tmp_path / "run", "environment.json", lambda _: "{}")
    shutil.rmtree(run / "environments")
    assert "lrbench run suite.yaml --device auto" in report(run)


def test_a_comparison_says_whose_lr_layers_never_acted_and_what_is_not_whole(pair_run, tmp_path, capsys):
    folder = changed(pair_run, tmp_path / "run", "results.csv", never_acted)
    status = json.loads((folder / "status.json").read_text("utf-8"))
    (folder / "status.json").write_text(json.dumps(status | {"done": status["planned"] - 3}))
    assert main(["compare", f"{folder}:net", f"{folder}:lr"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "B: lr †: its LR-Layers never acted with seed 0, 1" in output
    assert "A: lr" not in output
    assert output.count(f"{status['planned'] - 3} of {status['planned']} steps done") == 2

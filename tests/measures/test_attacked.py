"""A measure of attacks of a user's own, from the page of the docs."""

import re
from pathlib import Path

import pytest
import torch
from support.plain import FACTORY

import lrbench
import lrbench.views.charts
from lrbench import views
from lrbench.leaderboard.notes import notes
from lrbench.measures.checked import checked_each
from lrbench.runner import Session

PAGE = Path(__file__).parents[2] / "docs/add-a-measure.md"
CODE = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[1]
OWN = """
@lrbench.register_measure("bright")
class Bright(lrbench.Measure):
    class Options(lrbench.Options):
        thresholds: list[float] = [0.25, 0.5]
    figures = {"share": lrbench.Metric("share", "percent", parameters=("threshold",))}
    def take(self, options, subject, progress):
        for t in options.thresholds:
            share = (subject.test.pixels > 255 * t).double().mean()
            yield {"metric": "share", "value": share, "n": len(subject.test), "threshold": t}
"""
SUITE = """\
name: mine
data: {name: digits, train: 60, test: 30}
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [8/255, 16/255], samples: 20, batch_size: 5, PARTS}
attacks: [fgsm, {name: deepfool, steps: 1}]
diagnostics: {masking: false, changed_pixels: {}}
models: {net: {arch: "NET"}}
"""


@pytest.fixture
def folder(tmp_path):
    exec(CODE, {"__name__": "notebook"})  # noqa: S102
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path


def measured(folder, parts, out):
    path = folder / "mine.yaml"
    path.write_text(SUITE.replace("NET", f"{folder / 'net.py'}:build").replace("PARTS", parts))
    board = lrbench.run(path, folder / out)
    assert not board.failures
    rows = board.results[board.results["metric"] == "changed_pixels:changed"]
    return board, rows


@pytest.mark.usefixtures("undrawn")
def test_it_is_taken_of_each_attack_at_each_radius_and_shown(folder):
    board, rows = measured(folder, "part: 1000", "out")
    assert rows[["attack", "eps"]].values.tolist() == [["fgsm", 8 / 255], ["fgsm", 16 / 255]]
    assert set(rows["n"]) == {20}
    assert 0 < rows["value"].min() <= 1
    (block,) = [block for block in board.blocks if block.title.startswith("Changed pixels")]
    assert [column.heading for column in block.columns] == [
        "changed entries fgsm 8/255", "changed entries fgsm 16/255",
    ]  # fmt: skip
    assert Session.open(folder / "mine.yaml", folder / "out").pending == []


@pytest.mark.usefixtures("undrawn")
def test_in_parts_it_is_what_it_is_as_a_whole(folder):
    whole, parts = (measured(folder, f"part: {part}", f"out-{part}")[1] for part in (1000, 5))
    assert whole["value"].tolist() == parts["value"].tolist()


@pytest.mark.parametrize(
    ("each", "said"),
    [
        ([torch.zeros(3)], "gave list: it gives a mapping"),
        ({"a": torch.zeros(2)}, r"gave shape \(2,\) as 'a': a tensor \(3,\) is wanted"),
        ({"a": 1.0}, "gave float as 'a'"),
        ({1: torch.zeros(3)}, "as 1: a tensor"),
    ],
)
def test_what_it_gives_of_a_batch_is_checked(each, said):
    with pytest.raises((TypeError, ValueError), match=said):
        checked_each("mine", each, 3)


def test_how_a_share_of_a_threshold_is_shown_is_what_the_page_says(tmp_path):
    """The page's table and chart, on a measure that takes such shares."""
    shown = re.search(r"^  ```python\n(.*?)^  ```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[1]
    methods = "".join(f"  {line}" for line in shown.splitlines(keepends=True))
    names = {"lrbench": lrbench}
    exec(OWN + methods.replace("    from lrbench", "    # from lrbench", 1), names | vars(views))  # noqa: S102
    (tmp_path / "net.py").write_text(FACTORY)
    path = tmp_path / "mine.yaml"
    text = SUITE.replace("NET", f"{tmp_path / 'net.py'}:build").replace("PARTS", "part: 1000")
    path.write_text(text.replace("changed_pixels: {}", "bright: {}"))
    board = lrbench.run(path, tmp_path / "out")
    assert not [line for line in notes(board) if line.startswith("MISSING")]
    (block,) = [block for block in board.blocks if block.title.startswith("Share of the pixels above")]
    assert [column.key for column in block.columns] == ["share[0.25]", "share[0.5]"]
    assert all(column.cells for column in block.columns)
    assert (tmp_path / "out/figures/bright-thresholds.png").exists()


CHART = "Chart('a', '', '', [Panel(shown.rows('share'), Axis('{}', ''), Axis('value', ''), 'line')], {})"


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ("tables", "yield 'x'", "tables of the measure bright gave str: Block is wanted"),
        ("tables", "return shown.rows('share')['mode']", "tables of the measure bright failed: KeyError: 'mode'"),
        ("summary", "raise SystemError('x')", "summary of the measure bright failed: SystemError: x"),
        (
            "charts",
            f"yield {CHART.format('threshold', 'shown.labels')}",
            "an axis of numbers, but threshold holds words",
        ),
        ("charts", f"yield {CHART.format('value', '{}')}", "has no series 'net'"),
        ("charts", f"yield {CHART.format('size', 'shown.labels')}", "has a table without size"),
    ],
)
def test_what_cannot_be_shown_is_a_line_and_the_board_stands(tmp_path, way, code, said):
    method = f"    def {way}(self, options, shown): {code}\n"
    exec(OWN + method, {"lrbench": lrbench} | vars(views))  # noqa: S102
    (tmp_path / "net.py").write_text(FACTORY)
    path = tmp_path / "mine.yaml"
    text = SUITE.replace("NET", f"{tmp_path / 'net.py'}:build").replace("PARTS", "part: 1000")
    path.write_text(text.replace("changed_pixels: {}", "bright: {}"))
    board = lrbench.run(path, tmp_path / "out")
    assert [line for line in notes(board) if line.startswith("MISSING") and said in line]
    assert (tmp_path / "out/report.html").exists()
    assert any(column.key == "accuracy" and column.cells for column in board.blocks[0].columns)


@pytest.mark.usefixtures("undrawn")
def test_one_who_says_one_line_says_one_line(tmp_path):
    exec(f"{OWN}    def notes(self, options, shown): return 'my line'\n", {"lrbench": lrbench})  # noqa: S102
    (tmp_path / "net.py").write_text(FACTORY)
    path = tmp_path / "mine.yaml"
    text = SUITE.replace("NET", f"{tmp_path / 'net.py'}:build").replace("PARTS", "part: 1000")
    path.write_text(text.replace("changed_pixels: {}", "bright: {}"))
    assert "my line" in notes(lrbench.run(path, tmp_path / "out"))


@pytest.mark.parametrize("given", [{"form": "fraction"}, {"better": "up"}])
def test_a_metric_of_another_form_is_refused(given):
    with pytest.raises(ValueError, match="of a metric is"):
        lrbench.Metric("mine", **given)

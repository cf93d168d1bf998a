"""Charts as they are drawn: in files, on a page, and whatever models and classes are called."""

import io
import json
from itertools import combinations, pairwise

import altair
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.boards import NASTY, SPECIAL
from support.charted import CLASSES, MODELS, board_of, charts_of
from support.pictures import contents, misplaced, size

from lrbench.leaderboard.drawing import NOTEBOOK, PAGE, PAPER, as_files, as_svg, drawing
from lrbench.leaderboard.drawing.look import COLOURS, SHAPES, looks_of
from lrbench.leaderboard.drawing.words import lines_of, width_of
from lrbench.views.charts import Axis, Chart, Panel

JAVASCRIPT = ["constructor", "__proto__", "toString"]
LONG = "a rather long name for a model that goes on and on, and ends"
ODD_MODELS = [NASTY, SPECIAL, LONG, "W" * 60, "$a_b$", *JAVASCRIPT, "模型" * 20, "x y"]
ODD_CLASSES = [NASTY, SPECIAL, *JAVASCRIPT, "$frac{1}{2}$", "W" * 80, f"{LONG}, {LONG}"]


@pytest.fixture(scope="module")
def plain():
    return charts_of(board_of())


@pytest.fixture(scope="module")
def odd():
    return charts_of(board_of(ODD_MODELS, ODD_CLASSES), ODD_CLASSES)


@pytest.fixture(scope="module")
def many():
    models, classes = ([f"{what} with the number {index}" for index in range(n)] for what, n in (("m", 40), ("c", 100)))
    return charts_of(board_of(models, classes), classes)


@pytest.mark.usefixtures("drawn_anew")
def test_every_picture_is_there_in_both_formats_and_the_same_each_time(plain):
    files = as_files(plain.values())
    names = {
        "differences",
        "variance-ratio-avgpool",
        "class-variance-avgpool",
        "misclassification-iter-fsgm",
        "worst-case",
    }
    names |= {"embeddings", "clusters-avgpool", "training", "smallest-perturbation-deepfool"}
    assert set(files) == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for name, content in files.items():
        if name.endswith("png"):
            picture = Image.open(io.BytesIO(content))
            assert picture.mode == "RGB", "nothing shines through"
            assert picture.getpixel((0, 0)) == (255, 255, 255)
            assert np.asarray(picture.convert("L")).std() > 5
            assert picture.width > 800
        else:
            assert content.startswith(b"<svg")
            assert b"currentColor" not in content
    assert as_files(plain.values()) == files


@pytest.mark.turns("medium")
@pytest.mark.parametrize("medium", [PAPER, PAGE], ids=["paper", "page"])
@pytest.mark.parametrize("which", ["odd", *(pytest.param(each, marks=pytest.mark.slow) for each in ("plain", "many"))])
def test_no_text_covers_another_and_none_is_cut(which, medium, request):
    for name, chart in request.getfixturevalue(which).items():
        svg = as_svg(drawing(chart, medium))
        assert misplaced(svg) == [], name
        assert min(size(svg)) > 200, f"{name} was not drawn"


def shown_in(svg):
    return " ".join("".join(contents(svg)).split())


@pytest.mark.parametrize("medium", [PAPER, PAGE], ids=["paper", "page"])
def test_every_name_is_shown_whole(odd, medium):
    for name, chart in odd.items():
        text = "".join(shown_in(as_svg(drawing(chart, medium))).split())
        names = ODD_CLASSES if chart.by == "class" else ODD_MODELS
        names = [*names, *(ODD_CLASSES if name == "classes-avgpool" else ())]
        # A model without LR-Layers has no residual, but it has the other curves.
        assert all("".join(each.split()) in text for each in names), name


def test_a_picture_tells_its_title_its_caption_and_its_axes(plain):
    for chart in plain.values():
        text = shown_in(as_svg(drawing(chart, PAPER))).replace(" ", "")
        texts = [chart.title, chart.caption, *(axis.title for panel in chart.panels for axis in (panel.x, panel.y))]
        texts += [panel.title.replace("\n", "") for panel in chart.panels]
        assert all(each.replace(" ", "") in text for each in texts), chart.name


def test_a_page_tells_title_and_caption_itself(plain):
    chart = plain["radius-worst-case"]
    svg = as_svg(drawing(chart, PAGE))
    assert chart.title not in contents(svg)
    assert "currentColor" in svg


def panels_of(spec):
    return spec.get("concat", [spec])


def layers_of(spec):
    return [layer for panel in panels_of(spec) for layer in panel["layer"]]


def test_specifications_are_as_vega_lite_has_them(plain):
    for chart in plain.values():
        spec = drawing(chart, NOTEBOOK)
        for data in (each["data"] for each in (*panels_of(spec), *layers_of(spec)) if "data" in each):
            data["values"] = data["values"][:1]  # each of which takes its time
        altair.Chart.from_dict(spec, validate=True)


def test_lines_hold_the_figures_and_are_told_apart_in_three_ways(plain):
    spec = drawing(plain["distance-iter-fsgm"], PAPER)
    rows = [row for row in spec["data"]["values"] if row["series"].strip() == "normal"]
    assert [(row["x"], row["y"]) for row in rows] == [(0, 10), (0.1, 30), (0.2, 60)]
    assert all(row["low"] < row["y"] < row["high"] for row in rows)
    channels = {each for layer in layers_of(spec) for each in layer["encoding"]}
    assert {"color", "strokeDash", "shape"} <= channels
    assert {layer["mark"]["type"] for layer in layers_of(spec)} == {"rule", "area", "line", "point"}


def test_a_page_hides_models_and_says_what_a_point_is(plain):
    for name, chart in plain.items():
        spec = drawing(chart, PAGE)
        (shown,) = spec["params"]
        text = json.dumps(spec)
        assert ("indexof(shown" in text) == (name != "clusters-avgpool"), name
        assert shown["name"] == "shown"
        assert {*shown["value"]} == models_of(chart), name
        assert ("tooltip" in text) == (name != "clusters-avgpool")
        assert "params" not in drawing(chart, PAPER)
    faint = next(layer for layer in layers_of(drawing(plain["radius-worst-case"], PAGE)) if "data" in layer)
    assert "indexof(shown" in json.dumps(faint["transform"])


def models_of(chart):
    return {model for panel in chart.panels if "model" in panel.table for model in panel.table["model"]}


def test_a_live_chart_shows_all_models_at_first(plain):
    for name, chart in plain.items():
        live = as_svg(drawing(chart, PAGE))
        assert _told(live) == _told(as_svg(_unfiltered(drawing(chart, PAGE)))), name


def _unfiltered(spec):
    for panel in panels_of(spec):
        panel.pop("transform", None)
    return spec


def test_a_difference_is_hidden_with_its_model(plain):
    spec = drawing(plain["differences"], PAGE)
    names = {row["y"].strip() for panel in panels_of(spec) for row in panel["data"]["values"]}
    assert names <= _told(as_svg(spec))
    for name in names:
        spec["params"][0]["value"] = [name]
        assert names & _told(as_svg(spec)) == {name}


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_what_is_of_no_model_stays_where_others_are_hidden(missing):
    table = pd.DataFrame({"model": ["a", "b", missing], "kind": ["p", "q", "r"], "v": [1.0, 2.0, 3.0]})
    faint = table[["kind", "v"]].assign(v=[4.0, 5.0, 6.0])
    axes = Axis("v", "value"), Axis("kind", "kind", "category", order=["p", "q", "r"])
    chart = Chart("own", "own", "", [Panel(table, *axes, "points", faint=faint)], {k: k for k in "pqr"}, by="kind")
    spec = drawing(chart, PAGE)
    assert spec["params"] == [{"name": "shown", "value": ["a", "b"]}]
    json.loads(json.dumps(spec, allow_nan=False))
    assert {"1", "2", "3", "4", "5", "6"} <= _told(as_svg(spec))
    spec["params"][0]["value"] = ["b"]
    assert _told(as_svg(spec)) & set("123456") == {"2", "3", "4", "5", "6"}


def test_hidden_models_are_not_drawn(plain):
    for chart in plain.values():
        if chart.by != "model":
            continue
        spec = drawing(chart, PAGE)
        spec["params"][0]["value"] = ["low-rank"]
        one = as_svg(spec)
        assert "low-rank" in contents(one)
        assert "normal" not in _told(one)
        assert "normal" in _told(as_svg(drawing(chart, PAGE)))


def _told(svg):
    """Values of what is said of marks to who does not see them."""
    labels = [part.partition('"')[0] for part in svg.split('aria-label="')[1:]]
    return {each.rpartition(":")[2].strip() for label in labels for each in label.split(";")}


def luminance(colour):
    """Of light, as WCAG has it."""
    linear = linear_of(colour)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def linear_of(colour):
    share = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab_of(linear):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear.clip(0, 1)
    part = xyz / [0.9505, 1, 1.089]
    x, y, z = np.where(part > 0.008856, np.cbrt(part), 7.787 * part + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


SEEN = {
    "by most": np.eye(3),
    "without red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "without green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "without blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""What is left of linear red, green and blue (Machado et al., 2009)."""


@pytest.mark.parametrize("who", SEEN)
def test_colours_differ_for_everybody(who):
    seen = [lab_of(np.array(SEEN[who]) @ linear_of(colour)) for colour in COLOURS]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 15


@pytest.mark.parametrize("background", ["#ffffff", "#121212"])
def test_colours_stand_out_from_white_and_from_dark(background):
    for colour in COLOURS:
        dark, bright = sorted([luminance(colour), luminance(background)])
        assert (bright + 0.05) / (dark + 0.05) > 2.6, colour


def test_looks_differ_without_colour():
    many = list(looks_of([str(index) for index in range(40)]).values())
    assert len({(look.colour, look.shape) for look in many}) == 40
    for one, other in pairwise(many[:8]):
        assert one.shape != other.shape
        assert one.dash != other.dash
    assert len(set(COLOURS)) == len(COLOURS)
    assert len(set(SHAPES)) == len(SHAPES)
    assert len({tuple(look.dash) for look in many[:8]}) == 8


def test_a_model_looks_the_same_in_every_chart(plain):
    for chart in plain.values():
        if chart.by == "model":
            (layer, *_) = [each for each in layers_of(drawing(chart, PAPER)) if "shape" in each["encoding"]]
            scale = layer["encoding"]["color"]["scale"]
            assert dict(zip(scale["domain"], scale["range"], strict=True))[" low-rank"] == COLOURS[1], chart.name


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_a_legend_is_as_wide_as_its_figure_at_most(count):
    names = [f"a model's $name, {index}" for index in range(count)]
    table = pd.DataFrame([{"model": name, "x": x, "y": x} for name in names for x in (0, 1)])
    chart = Chart("one", "", "", [Panel(table, Axis("x", "x"), Axis("y", "y"), "line")], {name: name for name in names})
    svg = as_svg(drawing(chart, PAPER))
    assert misplaced(svg) == []
    assert size(svg)[0] < 500
    assert set(names) <= set(contents(svg))


def test_a_legend_has_those_that_are_drawn(plain):
    (chart,) = [plain["training"]]
    residual = Chart("one", "", "", chart.panels[2:], chart.series)
    found = contents(as_svg(drawing(residual, PAPER)))
    assert set(MODELS) & set(found) == set(MODELS[1:])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_panels_stand_beside_one_another(plain, count):
    panel = plain["variance-avgpool"].panels[0]
    chart = Chart("one", "A title", "", [panel] * count, {name: name for name in MODELS})
    svg = as_svg(drawing(chart, PAPER))
    assert misplaced(svg) == []
    wide = {1: 1, 2: 2, 3: 3, 4: 2, 7: 3}[count]
    assert size(svg)[0] == pytest.approx({1: 470, 2: 740, 3: 960}[wide], rel=0.1)
    assert size(as_svg(drawing(chart, PAGE)))[0] < 400


def test_marks_are_as_many_as_tell_a_line():
    table = pd.DataFrame({"model": "net", "x": range(200), "y": range(200)})
    chart = Chart("one", "", "", [Panel(table, Axis("x", "x"), Axis("y", "y"), "line")], {"net": "net"})
    assert sum(row["marked"] for row in drawing(chart, PAPER)["data"]["values"]) == 10


def test_what_is_no_number_has_no_place():
    table = pd.DataFrame({"model": "net", "x": [1, 2, 3, 4], "y": [1.0, float("nan"), float("inf"), 4.0]})
    chart = Chart("one", "", "", [Panel(table, Axis("x", "x"), Axis("y", "y"), "line")], {"net": "net"})
    spec = drawing(chart, PAPER)
    assert [row["x"] for row in spec["data"]["values"]] == [1, 4]
    json.dumps(spec, allow_nan=False)


@pytest.mark.parametrize("text", [LONG, "W" * 60, "ж" * 60, "模型" * 30, "a\u0301" * 30, "@ " * 40, ""])
@pytest.mark.parametrize("room", [60, 200, 2000])
def test_lines_fit_and_lose_nothing(text, room):
    lines = lines_of(text, room)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width_of(line) <= room for line in lines)


def test_the_classes_of_a_chart_are_in_its_legend(plain):
    assert set(CLASSES) <= set(contents(as_svg(drawing(plain["clusters-avgpool"], PAPER))))

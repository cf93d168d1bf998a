import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from lrbench.leaderboard import Leaderboard, tidy, wilson
from lrbench.leaderboard.figures import Artefacts, draw
from lrbench.leaderboard.figures.lines import misclassification, training, variance_ratio
from lrbench.leaderboard.figures.points import class_variance, clusters
from lrbench.leaderboard.figures.style import COLOURS, legend_below, looks, panels
from lrbench.suite import Suite

MODELS = ["normal", "low-rank", "a rather long name for a model"]
CLASSES = [f"class number {index}" for index in range(10)]
EPS = [8 / 255, 16 / 255]


@pytest.fixture(scope="module")
def board():
    suite = Suite.model_validate(
        {
            "name": "mine",
            "data": "digits",
            "seeds": [0, 1],
            "models": {name.replace(" ", "-"): {"arch": "resnet18"} for name in MODELS},
            "threat_model": {"eps": EPS, "l2": [0.15]},
            "attacks": ["iter-fsgm"],
            "diagnostics": {
                "variance_ratio": {"layers": ["avgpool"], "k": [10], "curve": 20},
                "embeddings": {"layer": "avgpool", "dims": ["full", 10, 5]},
                "clusters": {"layer": "avgpool"},
            },
        }
    ).model_dump(mode="json")
    rows = []
    for place, model in enumerate(suite["models"]):
        for seed in (0, 1):
            common = {"suite": "mine", "dataset": "digits", "model": model, "seed": seed}
            rows += [{**common, **row} for row in _rows(place, seed)]
    return Leaderboard(tidy(rows), suite)


def _rows(place, seed):
    yield from (
        {"metric": "vr", "k": k, "layer": "avgpool", "value": 1 - 0.5 ** (k / (place + 1)) - 1e-3 * seed, "n": 100}
        for k in range(1, 21)
    )
    for index, name in enumerate(CLASSES):
        yield {
            "metric": "class_vr", "k": 1, "class": name, "layer": "avgpool", "value": 0.5 + 0.03 * index + 0.05 * place,
            "n": 10,
        }  # fmt: skip
    for eps, distance, error in ((0.0, None, 0.1), (EPS[0], 0.1, 0.3 + 0.1 * place), (EPS[1], 0.2, 0.6)):
        low, high = wilson(error, 100)
        where = {"eps": eps, "space": "pixel", "attack": "iter-fsgm" if eps else ""}
        yield {"metric": "misclassification", "value": error, "ci_low": low, "ci_high": high, "n": 100, **where}
        if distance:
            yield {"metric": "l2_dissimilarity", "value": distance, "n": 100, **where}
    for dim in ("full", 10, 5):
        low, high = wilson(0.9, 100)
        yield {"metric": "embedding_accuracy", "dimensions": dim, "layer": "avgpool", "value": 0.9, "ci_low": low,
               "ci_high": high, "n": 100}  # fmt: skip


def history(layered):
    layers = {"avgpool": {"residual": 0.1, "rank": 4}} if layered else {}
    return [
        {"epoch": e, "accuracy": e / 5, "loss": 1 / e, "lr_layers_on": layered and e > 2, "layers": layers}
        for e in range(1, 5)
    ]


@pytest.fixture(scope="module")
def artefacts(board):
    generator = np.random.default_rng(0)
    models = list(board.suite["models"])
    points = generator.normal(size=(200, 2)).astype(np.float32), generator.integers(0, 10, 200)
    return Artefacts(
        {(model, seed): history(model != "normal") for model in models for seed in (0, 1)},
        dict.fromkeys(models, points),
        CLASSES,
    )


def test_every_figure_is_a_picture_in_both_formats_and_the_same_each_time(board, artefacts):
    files = draw(board, artefacts)
    names = {"variance-ratio-avgpool", "class-variance-avgpool", "misclassification-iter-fsgm", "embeddings"}
    names |= {"clusters-avgpool", "training"}
    assert set(files) == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for name, content in files.items():
        if name.endswith("png"):
            image = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
            assert image.std() > 5
        else:
            assert content.lstrip().startswith(b"<?xml")
    assert draw(board, artefacts) == files


def figures_of(board, artefacts):
    return {
        "variance": variance_ratio(board, "avgpool"),
        "classes": class_variance(board, "avgpool"),
        "attack": misclassification(board, "iter-fsgm"),
        "clusters": clusters(artefacts.clusters, CLASSES, "avgpool"),
        "training": training(artefacts.histories, board.labels),
    }


def overlap(one, other):
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > 1 and height > 1


def labels_out_of_view(axes):
    """Labels of ticks beyond an axis' limits: matplotlib keeps them and does not draw them."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=False):
            if not low <= place <= high:
                yield tick.label1


def test_axes_are_named_and_no_text_covers_another(board, artefacts):
    for name, figure in figures_of(board, artefacts).items():
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes), name
        unseen = {id(label) for axes in figure.axes for label in labels_out_of_view(axes)}
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and id(text) not in unseen]
        # Slanted labels have boxes that cross although their letters do not.
        upright = [text for text in texts if text.get_visible() and text.get_rotation() in {0, 90}]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in upright]
        for index, (text, box) in enumerate(boxes):
            assert figure.bbox.x0 - 1 <= box.x0, (name, text)
            assert box.x1 <= figure.bbox.x1 + 1, (name, text)
            for other, other_box in boxes[index + 1 :]:
                assert not overlap(box, other_box), (name, text, other)


def test_lines_hold_the_figures(board):
    held = variance_ratio(board, "avgpool").axes[0]
    line = next(line for line in held.lines if line.get_label() == "normal")
    assert line.get_ydata() == pytest.approx([1 - 0.5**k - 5e-4 for k in range(1, 21)])
    attack = misclassification(board, "iter-fsgm").axes[0]
    line = next(line for line in attack.lines if line.get_label() == "normal")
    assert line.get_xdata() == pytest.approx([0, 0.1, 0.2])
    assert line.get_ydata() == pytest.approx([10, 30, 60])


def luminance(colour):
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_looks_differ_without_colour():
    many = list(looks([str(index) for index in range(20)]).values())
    assert len({(look.colour, look.marker) for look in many}) == 20
    for one, other in pairwise(many[:8]):
        assert one.marker != other.marker
        assert one.line != other.line
        assert abs(luminance(one.colour) - luminance(other.colour)) > 15 or one.marker != other.marker
    assert len(set(COLOURS)) == len(COLOURS)


def test_what_was_not_measured_has_no_figure(board):
    bare = Suite.model_validate({"name": "bare", "data": "digits", "models": {"net": {"arch": "resnet18"}}})
    rows = [{"suite": "bare", "dataset": "digits", "model": "net", "seed": 0, "metric": "accuracy", "value": 0.5}]
    assert draw(Leaderboard(tidy(rows), bare.model_dump(mode="json")), Artefacts()) == {}
    assert variance_ratio(board, "layer9") is None


def test_far_points_leave_room_for_the_others_and_are_counted(artefacts):
    points, labels = next(iter(artefacts.clusters.values()))
    far = points.copy()
    far[:3] = [[1000.0, 0.0], [0.0, -1000.0], [-500.0, 3.0]]
    panel = clusters({"net": (far, labels)}, CLASSES, "avgpool").axes[0]
    low, high = panel.get_xlim()
    assert high - low < 10
    inside = (far[:, 0] >= low) & (far[:, 0] <= high)
    low, high = panel.get_ylim()
    inside &= (far[:, 1] >= low) & (far[:, 1] <= high)
    assert (~inside).sum() >= 3
    assert panel.get_title() == f"net\n{(~inside).sum()} of 200 points lie outside"


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_a_legend_is_as_wide_as_its_figure_at_most(count):
    figure, axes = panels(1)
    for index in range(count):
        axes[0].plot([0, 1], label=f"a model's $name, {index}")
    legend_below(figure, axes[0])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.width

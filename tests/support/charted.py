"""A board that has every chart, made up: whatever its models and classes are called."""

from dataclasses import replace

import numpy as np
from safetensors.numpy import save

from lrbench.leaderboard import Leaderboard, tidy
from lrbench.leaderboard.charts import Artefacts, charts
from lrbench.leaderboard.difference_rows import difference_rows
from lrbench.statistics import Components, Estimate, wilson
from lrbench.suite import Suite

MODELS = ["normal", "low-rank", "a rather long name for a model"]
CLASSES = [f"class number {index}" for index in range(10)]
EPS = [8 / 255, 16 / 255]
LAYER = "avgpool"


def suite_of(models, **changes):
    content = {
        "name": "mine",
        "data": "digits",
        "seeds": [0, 1],
        "models": {name: {"arch": "resnet18"} for name in models},
        "threat_model": {"eps": EPS, "l2_dissimilarities": [0.15]},
        "attacks": ["iter-fsgm", "deepfool"],
        "diagnostics": {
            "variance_ratio": {"layers": [LAYER], "k": [10], "curve": 20},
            "embeddings": {"layer": LAYER, "dims": ["full", 10, 5]},
            "compression": {"layer": LAYER, "dim": 5},
            "clusters": {"layer": LAYER},
        },
    }
    return Suite.model_validate({**content, **changes}).model_dump(mode="json")


def board_of(models=MODELS, classes=CLASSES, **changes):
    rows = []
    for place, model in enumerate(models):
        for seed in (0, 1):
            common = {"suite": "mine", "dataset": "digits", "model": model, "seed": seed}
            rows += [{**common, **row} for row in _rows(place / len(models), classes, seed)]
    for place, model in enumerate(models[1:]):
        common = {"suite": "mine", "dataset": "digits", "model": model}
        rows += [{**common, **row} for row in _differences(place)]
    return Leaderboard(tidy(rows), suite_of(models, **changes))


def _differences(place):
    """The second model gains 20 points, surely, and each further one nothing, by chance."""
    for eps in EPS:
        width = 0.05 + 0.2 * (place > 0)
        found = 0.2 * (place == 0) - 0.03 * place
        ends = (found - width, found + width)
        chance = 0.001 if place == 0 else 0.6
        yield from difference_rows(Estimate(found, ends, chance, 2, 100, Components(0, 0, 0)), eps, "pixel")


def _share(metric, value, **columns):
    low, high = wilson(value, 100)
    return {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": 100, **columns}


def _rows(place, classes, seed):
    at = {"layer": LAYER}
    for k in range(1, 31):
        yield {"metric": "vr", "k": k, "value": 1 - 0.5 ** (k / (3 * place + 1)) - 1e-3 * seed, "n": 100, **at}
    for index, name in enumerate(classes):
        value = 0.5 + 0.3 * index / len(classes) + 0.1 * place
        yield {"metric": "class_vr", "k": 1, "class": name, "value": value, "n": 10, **at}
    clean = {"space": "pixel", "eps": 0.0, "attack": ""}
    yield _share("misclassification", 0.1, **clean)
    for eps, distance, error in ((EPS[0], 0.1, 0.3 + 0.2 * place), (EPS[1], 0.2, 0.6)):
        where = {"eps": eps, "space": "pixel"}
        yield _share("misclassification", error, attack="iter-fsgm", **where)
        yield _share("misclassification", error + 0.1, attack="worst-case", **where)
        yield {"metric": "l2_dissimilarity", "value": distance, "n": 100, "attack": "iter-fsgm", **where}
    for attack, eps in (("iter-fsgm", EPS[0]), ("iter-fsgm", EPS[1]), ("deepfool", EPS[1])):
        yield {"metric": "only_to_fool", "value": 0.1, "n": 100, "attack": attack, "eps": eps, "space": "pixel"}
    yield _share("found", 0.9, attack="deepfool", space="pixel")
    for dim in ("full", 10, 5):
        yield _share("embedding_accuracy", 0.9, dimensions=dim, **at)
    for part, share in (("full", 1.0), ("compressed", 0.25)):
        yield {"metric": "parameters", "part": part, "value": 1e7 * share, **at}
        yield {"metric": "multiply_adds", "part": part, "value": 5e8 * share, **at}
        yield _share("compression_accuracy", 0.8 * share, part=part, **at)


def history(layered):
    """Four epochs, of which the third is the first with LR-Layers."""
    layers = {LAYER: {"residual": 0.1, "rank": 4}} if layered else {}
    return [
        {"epoch": e, "accuracy": e / 5, "loss": 1 / e, "lr_layers_on": layered and e > 2, "layers": layers}
        for e in range(1, 5)
    ]


def points_of(classes=CLASSES, count=200):
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 2)).astype(np.float32), generator.integers(0, len(classes), count)


def kept_of(points, labels):
    return {"clusters.safetensors": save({"points": points, "label": labels})}


def charts_of(board, classes=CLASSES, points=None):
    """Every chart of a board, by name."""
    models = list(board.suite["models"])
    kept = {"clusters": dict.fromkeys(models, kept_of(*(points or points_of(classes))))}
    generator = np.random.default_rng(0)
    artefacts = Artefacts(
        {(model, seed): history(model != models[0]) for model in models for seed in (0, 1)},
        {"deepfool": {model: np.abs(generator.normal(size=100)) for model in models}},
    )
    shown = replace(board.shown, classes=classes, kept=kept)
    return {chart.name: chart for chart in charts(shown, board.suite, artefacts)}

"""Which figures a leaderboard shows, under which heading, in which of its tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lrbench.catalogue import MEASURES
from lrbench.leaderboard.cells import Block, Column, Form, Maker, with_n
from lrbench.leaderboard.ranking import rank_column
from lrbench.measures import Metric
from lrbench.measures.registry import measure_of

WORST = "worst-case"
MISCLASSIFICATION, ROBUST = "misclassification", "robust_accuracy"
PAPER = ("iter-fsgm", "iter-ll-fsgm")
DIFFERENCES: tuple[tuple[str, str, Form], ...] = (
    ("robust_accuracy_difference", "{}", "points"),
    ("p_adjusted", "adjusted p {}", "number"),
)


def blocks_of(aggregated: pd.DataFrame, suite: dict[str, Any], data: str, progress: str = "") -> list[Block]:
    """Tables in reading order: the summary, each attack, and what the representations are like; empty ones left out.

    `data` is the data set's name for the title, and `progress` what it says of a run that is not whole.
    """
    seeds, models = len(suite["seeds"]), list(dict.fromkeys(aggregated["model"]))
    make = Maker(aggregated, seeds)
    title = f"{suite['name']} on {data}, {seeds} seed{'s' * (seeds > 1)}" + (f": {progress}" if progress else "")
    summary = [rank_column(_ranked_by(make, suite), models), *_summary(make, suite)]
    found = [Block(title, summary), *_attack_blocks(make, suite), *_representation_blocks(make, suite)]
    # That nobody was checked is told; that nobody was measured goes without saying.
    shown = [
        Block(block.title, [each for each in block.columns if each.cells or (models and each.form == "verdict")])
        for block in found
    ]
    return [with_n(block) for block in shown if block.columns]


def _summary(make: Maker, suite: dict[str, Any]) -> list[Column]:
    attacks = summed_up(suite)
    diagnostics = suite["diagnostics"]
    *judged, accuracy = _ranked_by(make, suite)
    columns = [accuracy, *judged]
    columns += [
        make(f"auc_l2[{attack}]", f"AUC {attack}", "percent", metric="auc_l2", attack=attack) for attack in attacks
    ]
    if attacks and diagnostics["d_adv"]:
        columns += _d_adv(make, attacks[0], suite["threat_model"], diagnostics["d_adv"]["layers"])
    if diagnostics["variance_ratio"]:
        columns += _variance(make, diagnostics["variance_ratio"])
    if diagnostics["embeddings"]:
        dims = [dim for dim in diagnostics["embeddings"]["dims"] if dim != "full"]
        columns += [_embedding(make, diagnostics["embeddings"]["layer"], min(dims))] if dims else []
    return columns


def _ranked_by(make: Maker, suite: dict[str, Any]) -> list[Column]:
    """Columns that models are ranked by, the first first."""
    accuracy = make("accuracy", "clean accuracy", "percent", metric="accuracy")
    if not suite["attacks"]:
        return [accuracy]
    return [make("verdict", "verdict", "verdict", metric="verdict"), _headline(make, suite), accuracy]


def _attack_blocks(make: Maker, suite: dict[str, Any]) -> Iterator[Block]:
    space = suite["threat_model"]["space"]
    threat = suite["threat_model"]
    worst = _worst_block(make, threat)
    yield Block(f"Robust accuracy % in the worst case over attacks by eps, {space} space", worst)
    difference = _difference_block(make, threat)
    title = f"Robust accuracy in the worst case minus that of {next(iter(suite['models']))}, points"
    yield Block(title, difference)
    for attack in labels(suite):
        columns = _radii(make, attack, threat)
        if len([column for column in columns if column.cells]) > 1:
            yield Block(f"Robust accuracy % under {attack} by eps, {space} space", columns)
    yield Block("Smallest perturbation that fools", _minimal_block(make, labels(suite)))


def labels(suite: dict[str, Any]) -> list[str]:
    """Names of a suite's attacks in tables."""
    return [attack.get("label") or attack["name"] for attack in suite["attacks"]]


def summed_up(suite: dict[str, Any]) -> list[str]:
    """Give the attacks whose curves are summed up by an area: the paper's, else the first one.

    An attack that stops at the first adversarial point has no L2 dissimilarity to compare at.
    """
    paper = [label for label in labels(suite) if label in PAPER]
    return paper or labels(suite)[:1]


def middle(suite: dict[str, Any]) -> float:
    """Radius at which a suite is summed up: that of the masking checks where it attacks there, else the middle one."""
    radii: list[float] = suite["threat_model"]["eps"]
    eps: float | None = (suite["diagnostics"].get("masking") or {}).get("eps")
    positive = [radius for radius in radii if radius > 0] or radii
    return eps if eps in radii else positive[len(positive) // 2]


def _headline(make: Maker, suite: dict[str, Any]) -> Column:
    """Robust accuracy in the worst case over attacks, at the radius at which the suite is summed up."""
    eps = middle(suite)
    label = eps_label(eps, suite["threat_model"]["norm"])
    where = {"metric": ROBUST, "attack": WORST, "eps": eps}
    return make(f"{ROBUST}[{WORST},{label}]", f"robust accuracy {label}", "percent", **where)


def _worst_block(make: Maker, threat: dict[str, Any]) -> list[Column]:
    columns = _radii(make, WORST, threat)
    return columns if any(column.cells for column in columns[1:]) else []


def _difference_block(make: Maker, threat: dict[str, Any]) -> list[Column]:
    columns = []
    for eps in threat["eps"]:
        label = eps_label(eps, threat["norm"])
        where = {"attack": WORST, "eps": eps}
        for metric, heading, form in DIFFERENCES:
            columns.append(make(f"{metric}[{WORST},{label}]", heading.format(label), form, metric=metric, **where))
    return columns


def _minimal_block(make: Maker, attacks: list[str]) -> list[Column]:
    columns = []
    for attack in attacks:
        for norm, name in (("linf", "Linf"), ("l2", "L2")):
            metric = f"median_{norm}"
            heading = f"{attack} median {name}"
            columns.append(make(f"{metric}[{attack}]", heading, "number", metric=metric, attack=attack))
        columns.append(make(f"found[{attack}]", f"{attack} found", "percent", metric="found", attack=attack))
    return columns


def _radii(make: Maker, attack: str, threat: dict[str, Any]) -> list[Column]:
    """Robust accuracy before the attack, at each radius, and at given L2 dissimilarities."""
    metric = ROBUST
    columns = [make(f"{metric}[{attack},0]", "clean", "percent", metric=metric, attack="")]
    for radius in threat["eps"]:
        label = eps_label(radius, threat["norm"])
        columns.append(make(f"{metric}[{attack},{label}]", label, "percent", metric=metric, attack=attack, eps=radius))
    for level in threat.get("l2", []):
        name = at_l2(level, ROBUST)
        columns.append(make(f"{name}[{attack}]", f"L2 {level:g}", "percent", metric=name, attack=attack))
    return columns


def at_l2(level: float, share: str) -> str:
    """Metric of the misclassification, or of the robust accuracy, at an L2 dissimilarity."""
    return f"{share}_at_l2_{level:g}"


def eps_label(eps: float, norm: str = "linf") -> str:
    """Write a radius as the field does: 8/255 in Linf, 0.5 in L2."""
    return f"{255 * eps:.6g}/255" if norm == "linf" else f"{eps:.6g}"


def _d_adv(make: Maker, attack: str, threat: dict[str, Any], layers: list[str]) -> list[Column]:
    """D_Adv and its companion at the last layer, under the first attack at the smallest radius."""
    columns = []
    eps = threat["eps"][0]
    for layer in layers[-1:]:
        for metric, name in (("d_adv", "D_Adv"), ("d_adv_relative", "relative D_Adv")):
            key = f"{metric}[{layer},{attack},{eps_label(eps, threat['norm'])}]"
            where = {"metric": metric, "layer": layer, "attack": attack, "eps": eps}
            columns.append(make(key, f"{name} {layer}", "number", **where))
    return columns


def _variance(make: Maker, spec: dict[str, Any]) -> list[Column]:
    return [
        make(f"vr_{k}[{layer}]", f"VR_{k} {layer}", "number", metric=f"vr_{k}", layer=layer)
        for layer in spec["layers"]
        for k in _telling(spec["k"])
    ]


def _telling(ks: list[int]) -> list[int]:
    """Choose the k to show: 10, the number of classes of the usual data sets, if it was asked for."""
    return [10] if 10 in ks else ks[-1:]


def _embedding(make: Maker, layer: str, dim: int | str) -> Column:
    metric = f"embedding_accuracy_{dim}"
    where = "all" if dim == "full" else dim
    return make(f"{metric}[{layer}]", f"accuracy {layer} in {where} dims", "percent", metric=metric, layer=layer)


def _representation_blocks(make: Maker, suite: dict[str, Any]) -> Iterator[Block]:
    diagnostics = suite["diagnostics"]
    if spec := diagnostics["variance_ratio"]:
        for layer in spec["layers"]:
            yield Block(f"Activations of {layer}", _spectrum(make, layer, spec["k"]))
    if spec := diagnostics["embeddings"]:
        columns = [_embedding(make, spec["layer"], dim) for dim in spec["dims"]]
        yield Block("Linear classifier on PCA embeddings", columns)
    if spec := diagnostics.get("corruptions"):
        severities = ", ".join(str(severity) for severity in spec["severities"])
        yield Block(f"Accuracy under common corruptions, severities {severities}", _corruptions(make, spec))
    if spec := diagnostics.get("transfer"):
        columns = [
            make(f"transfer_{kind}", f"{kind} labels", "percent", metric=f"transfer_{kind}")
            for kind in ("coarse", "fine")
        ]
        yield Block(f"Linear classifier on {spec['layer']}, trained on coarse labels", columns)
    if spec := diagnostics.get("compression"):
        title = f"Everything behind {spec['layer']} replaced by {spec['dim']} dimensions and a linear classifier"
        yield Block(title, _compression(make))
    known = {entry.name for entry in MEASURES}
    for name, spec in diagnostics.items():
        if spec and name in known and (figures := measure_of(name).figures):
            yield Block(name.replace("_", " ").capitalize(), list(_own_table(make, figures)))


def _own_table(make: Maker, figures: Mapping[str, Metric]) -> Iterator[Column]:
    """Give a column for each figure of a measure, at each layer that it was taken at."""
    for metric, shown in figures.items():
        for layer in make.layers(metric):
            key, at = (f"{metric}[{layer}]", f" {layer}") if layer else (metric, "")
            yield make(key, shown.heading + at, shown.form, metric=metric, layer=layer)


def _corruptions(make: Maker, spec: dict[str, Any]) -> list[Column]:
    metric = "corruption_accuracy"
    columns = [make(metric, "mean", "percent", metric=metric)]
    for family in spec["families"]:
        for severity in spec["severities"]:
            name = f"{metric}[{family},{severity}]"
            columns.append(make(name, f"{family.replace('_', ' ')} {severity}", "percent", metric=name))
    return columns


def _spectrum(make: Maker, layer: str, ks: list[int]) -> list[Column]:
    metrics = {f"vr_{k}": f"VR_{k}" for k in ks}
    metrics |= {f"centred_vr_{k}": f"centred VR_{k}" for k in _telling(ks)}
    metrics["vr_1_class_mean"] = "VR_1, mean over classes"
    metrics["stable_rank"], metrics["effective_rank"] = "stable rank", "effective rank"
    return [
        make(f"{metric}[{layer}]", heading, "number", metric=metric, layer=layer) for metric, heading in metrics.items()
    ]


def _compression(make: Maker) -> list[Column]:
    figures: list[tuple[str, str, Form]] = [
        ("parameters", "parameters", "count"),
        ("multiply_adds", "multiply-adds", "count"),
        ("seconds_per_image", "ms an image", "milliseconds"),
        ("seconds_per_image_beside_others", "ms an image beside other jobs", "milliseconds"),
        ("compression_accuracy", "accuracy", "percent"),
    ]
    columns = [
        make(f"{metric}[{kind}]", f"{heading}, {kind}", form, metric=f"{metric}[{kind}]")
        for metric, heading, form in figures
        for kind in ("full", "compressed")
    ]
    return [column for column in columns if column.cells or not column.key.startswith("seconds")]

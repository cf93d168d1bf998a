"""Which figures a leaderboard shows, under which heading, in which of its tables."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lrbench.leaderboard.cells import Block, Column, Form, Maker, with_n
from lrbench.leaderboard.ranking import rank_column
from lrbench.leaderboard.representation import embedding, representation_blocks, variance

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
    found = [Block(title, summary), *_attack_blocks(make, suite), *representation_blocks(make, suite)]
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
    if attacks and diagnostics.get("d_adv"):
        columns += _d_adv(make, attacks[0], suite["threat_model"], diagnostics["d_adv"]["layers"])
    if diagnostics.get("variance_ratio"):
        columns += variance(make, diagnostics["variance_ratio"])
    if diagnostics.get("embeddings"):
        dims = [dim for dim in diagnostics["embeddings"]["dims"] if dim != "full"]
        columns += [embedding(make, diagnostics["embeddings"]["layer"], min(dims))] if dims else []
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

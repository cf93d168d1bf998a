"""Which figures a leaderboard shows, under which heading, in which of its tables."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lrbench.leaderboard.measured import measured_blocks, measured_summary
from lrbench.leaderboard.ranking import rank_column
from lrbench.leaderboard.worth_blocks import worth_block
from lrbench.names import WORST, eps_label
from lrbench.views import Block, Column, Form, Shown, with_n

MISCLASSIFICATION, ROBUST = "misclassification", "robust_accuracy"
AT_L2 = "_at_l2"
"""Behind a share that is read off a curve at an L2 dissimilarity, `l2`."""

PAPER = ("iter-fsgm", "iter-ll-fsgm")
DIFFERENCES: tuple[tuple[str, str, Form], ...] = (
    ("robust_accuracy_difference", "{}", "points"),
    ("p_adjusted", "adjusted p {}", "number"),
)


def blocks_of(shown: Shown, suite: dict[str, Any], data: str, progress: str = "") -> list[Block]:
    """Tables in reading order: the summary, each attack, and what the representations are like; empty ones left out.

    `data` is the data set's name for the title, and `progress` what it says of a run that is not whole.
    """
    seeds, models = shown.seeds, shown.aggregated["model"]
    title = f"{suite['name']} on {data}, {seeds} seed{'s' * (seeds > 1)}" + (f": {progress}" if progress else "")
    found = [
        Block(title, [*_places(shown, suite), *_summary(shown, suite)]),
        *_attack_blocks(shown, suite),
        *measured_blocks(shown, suite),
    ]
    filled = [replace(block, columns=[*_filled(block, checked=len(models) > 0)]) for block in found]
    return [with_n(block) for block in filled if block.columns]


def ranking(shown: Shown, suite: dict[str, Any]) -> Column:
    """Give the column of ranks."""
    return rank_column(_ranked_by(shown, suite), list(dict.fromkeys(shown.aggregated["model"])))


def _places(shown: Shown, suite: dict[str, Any]) -> list[Column]:
    """Give the column of ranks; nothing as long as the robust accuracy that a suite asks for is known of nobody."""
    known = not suite["attacks"] or _headline(shown, suite).cells
    return [ranking(shown, suite)] if known else []


def _filled(block: Block, *, checked: bool) -> Iterator[Column]:
    """Leave out columns without a figure; that nobody was checked is said, that nobody was measured goes without it."""
    there = {column.heading for column in block.columns if column.cells}
    for column in block.columns:
        if column.cells or (block.by and column.heading in there) or (checked and column.form == "verdict"):
            yield column


def _summary(shown: Shown, suite: dict[str, Any]) -> list[Column]:
    attacks = summed_up(suite)
    *judged, accuracy = _ranked_by(shown, suite)
    columns = [accuracy, *judged]
    columns += [
        shown.column("auc_l2", f"error area {attack}", "percent", f"auc_l2[{attack}]", attack=attack)
        for attack in attacks
    ]
    return [*columns, *measured_summary(shown, suite)]


def _ranked_by(shown: Shown, suite: dict[str, Any]) -> list[Column]:
    """Columns that models are ranked by, the first first."""
    accuracy = shown.column("accuracy", "clean accuracy", "percent")
    if not suite["attacks"]:
        return [accuracy]
    return [shown.column("verdict", "verdict", "verdict"), _beside_clean(shown, _headline(shown, suite)), accuracy]


def _attack_blocks(shown: Shown, suite: dict[str, Any]) -> Iterator[Block]:
    space = suite["threat_model"]["space"]
    threat = suite["threat_model"]
    worst = _worst_block(shown, threat)
    yield Block(f"Robust accuracy % in the worst case over attacks by eps, {space} space", worst)
    difference = _difference_block(shown, threat)
    title = f"Robust accuracy in the worst case minus that of {next(iter(suite['models']))}, points"
    yield Block(title, difference)
    for attack in labels(suite):
        columns = _radii(shown, attack, threat)
        if len([column for column in columns if column.cells]) > 1:
            yield Block(f"Robust accuracy % under {attack} by eps, {space} space", columns)
    yield Block("Smallest adversarial perturbation", _minimal_block(shown, labels(suite)))
    if suite["attacks"]:
        yield worth_block(shown, labels(suite), middle(suite))


def labels(suite: dict[str, Any]) -> list[str]:
    """Names of a suite's attacks in tables."""
    return [attack.get("label") or attack["name"] for attack in suite["attacks"]]


def summed_up(suite: dict[str, Any]) -> list[str]:
    """Give the attacks whose curves are summed up by an area: the paper's, else the first one.

    An attack that stops at the first adversarial point has no L2 dissimilarity to compare at.
    """
    paper = [label for label in labels(suite) if label in PAPER]
    return paper or labels(suite)[:1]


def by_weight(suite: dict[str, Any]) -> list[str]:
    """Give the names of a suite's attacks: those that it is summed up by, then the others."""
    return list(dict.fromkeys([*summed_up(suite), *labels(suite)]))


def middle(suite: dict[str, Any]) -> float:
    """Radius at which a suite is summed up: that of the masking checks where it attacks there, else the middle one."""
    radii: list[float] = suite["threat_model"]["eps"]
    eps: float | None = (suite["diagnostics"].get("masking") or {}).get("eps")
    positive = [radius for radius in radii if radius > 0] or radii
    return eps if eps in radii else positive[len(positive) // 2]


def _headline(shown: Shown, suite: dict[str, Any]) -> Column:
    """Robust accuracy in the worst case over attacks, at the radius at which the suite is summed up."""
    eps = middle(suite)
    label = eps_label(eps, suite["threat_model"]["norm"])
    return shown.column(
        ROBUST, f"robust accuracy {shown.radius(eps)}", "percent", f"{ROBUST}[{WORST},{label}]", attack=WORST, eps=eps
    )


def _beside_clean(shown: Shown, robust: Column) -> Column:
    """Put the clean accuracy of the images that were attacked, which are not all test images, into the cells."""
    clean = shown.column(ROBUST, "clean", "percent", attack="").cells
    there = {model: cell for model, cell in robust.cells.items() if model in clean}
    alike = {model: clean[model].value for model, cell in there.items() if cell.seeds == clean[model].seeds}
    return replace(robust, cells=robust.cells | {model: replace(there[model], clean=of) for model, of in alike.items()})


def _worst_block(shown: Shown, threat: dict[str, Any]) -> list[Column]:
    columns = _radii(shown, WORST, threat)
    return columns if any(column.cells for column in columns[1:]) else []


def _difference_block(shown: Shown, threat: dict[str, Any]) -> list[Column]:
    columns = []
    for eps in threat["eps"]:
        label = eps_label(eps, threat["norm"])
        where = {"attack": WORST, "eps": eps}
        for metric, heading, form in DIFFERENCES:
            columns.append(
                shown.column(metric, heading.format(shown.radius(eps)), form, f"{metric}[{WORST},{label}]", **where)
            )
    return columns


def _minimal_block(shown: Shown, attacks: list[str]) -> list[Column]:
    columns = []
    for attack in attacks:
        for norm, name in (("linf", "Linf"), ("l2", "L2"), ("l1", "L1")):
            metric = f"median_{norm}"
            heading = f"{attack} median {name}"
            columns.append(shown.column(metric, heading, "number", f"{metric}[{attack}]", attack=attack))
        columns.append(shown.column("found", f"{attack} found", "percent", f"found[{attack}]", attack=attack))
    return columns


def _radii(shown: Shown, attack: str, threat: dict[str, Any]) -> list[Column]:
    """Robust accuracy before the attack, at each radius, and at given L2 dissimilarities."""
    columns = [shown.column(ROBUST, "clean", "percent", f"{ROBUST}[{attack},0]", attack="")]
    for radius in threat["eps"]:
        label = eps_label(radius, threat["norm"])
        key = f"{ROBUST}[{attack},{label}]"
        columns.append(shown.column(ROBUST, shown.radius(radius), "percent", key, attack=attack, eps=radius))
    for level in threat.get("l2_dissimilarities", []):
        metric = ROBUST + AT_L2
        key = f"{metric}_{level:g}[{attack}]"
        columns.append(shown.column(metric, f"L2 {level:g}", "percent", key, attack=attack, l2=level))
    return columns

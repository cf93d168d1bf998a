"""Which figures a leaderboard shows, under which heading, in which of its tables."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A figure of one model over seeds."""

    value: float
    sd: float
    interval: tuple[float, float] | None
    n: int | None


@dataclass(frozen=True)
class Column:
    """A figure of every model: `key` in files, `group` and `heading` for readers, and its unit."""

    key: str
    group: str
    heading: str
    percent: bool
    cells: dict[str, Cell]

    @property
    def n(self) -> int | None:
        """Images behind each cell, if all have the same number."""
        counts = {cell.n for cell in self.cells.values()}
        return counts.pop() if len(counts) == 1 else None


SUMMARY = "summary"


def columns_of(aggregated: pd.DataFrame, suite: dict[str, Any]) -> list[Column]:
    """Columns in reading order: accuracy, attacks, distances, variance, embeddings; absent ones left out."""
    make = _Maker(aggregated)
    attacks = [attack["name"] for attack in suite["attacks"]]
    eps = suite["threat_model"]["eps"]
    columns = _summary_columns(make, attacks, eps, suite["diagnostics"])
    for attack in attacks:
        columns += _radius_columns(make, attack, eps)
    return [column for column in columns if column.cells]


def _summary_columns(make: "_Maker", attacks: list[str], eps: list[float], diagnostics: dict[str, Any]) -> list[Column]:
    columns = [make("accuracy", SUMMARY, "clean accuracy", percent=True, metric="accuracy")]
    columns += [
        make(f"auc_l2[{attack}]", SUMMARY, f"AUC {attack}", percent=True, metric="auc_l2", attack=attack)
        for attack in attacks
    ]
    if attacks and diagnostics["d_adv"]:
        columns += _d_adv_columns(make, attacks[0], eps[0], diagnostics["d_adv"]["layers"])
    if diagnostics["variance_ratio"]:
        columns += _variance_columns(make, diagnostics["variance_ratio"])
    if diagnostics["embeddings"]:
        layer, dim = diagnostics["embeddings"]["layer"], min(diagnostics["embeddings"]["dims"])
        metric = f"embedding_accuracy_{dim}"
        heading = f"accuracy {layer} in {dim} dims"
        columns.append(make(f"{metric}[{layer}]", SUMMARY, heading, percent=True, metric=metric, layer=layer))
    return columns


def _radius_columns(make: "_Maker", attack: str, eps: list[float]) -> list[Column]:
    """Misclassification before the attack and at each radius."""
    metric = "misclassification"
    clean = make(f"{metric}[{attack},0]", attack, "clean", percent=True, metric=metric, attack="")
    return [
        clean,
        *(
            make(
                f"{metric}[{attack},{eps_label(radius)}]",
                attack,
                eps_label(radius),
                percent=True,
                metric=metric,
                attack=attack,
                eps=radius,
            )
            for radius in eps
        ),
    ]


def eps_label(eps: float) -> str:
    """Write a radius as the field does: 8/255."""
    return f"{255 * eps:.6g}/255"


def _d_adv_columns(make: "_Maker", attack: str, eps: float, layers: list[str]) -> list[Column]:
    """D_Adv and its companion at the last layer, under the first attack at the smallest radius."""
    columns = []
    for layer in layers[-1:]:
        for metric, name in (("d_adv", "D_Adv"), ("d_adv_relative", "relative D_Adv")):
            key = f"{metric}[{layer},{attack},{eps_label(eps)}]"
            where = {"metric": metric, "layer": layer, "attack": attack, "eps": eps}
            columns.append(make(key, SUMMARY, f"{name} {layer}", percent=False, **where))
    return columns


def _variance_columns(make: "_Maker", spec: dict[str, Any]) -> list[Column]:
    return [
        make(f"vr_{k}[{layer}]", SUMMARY, f"VR_{k} {layer}", percent=False, metric=f"vr_{k}", layer=layer)
        for layer in spec["layers"]
        for k in _telling(spec["k"])
    ]


def _telling(ks: list[int]) -> list[int]:
    """Choose the k to show: 10, the number of classes of the usual data sets, if it was asked for."""
    return [10] if 10 in ks else ks[-1:]


class _Maker:
    def __init__(self, aggregated: pd.DataFrame) -> None:
        self.aggregated = aggregated

    def __call__(self, key: str, group: str, heading: str, *, percent: bool, **where: object) -> Column:
        rows = self.aggregated
        for name, value in where.items():
            rows = rows[rows[name] == value]
        cells = {str(row["model"]): _cell(row) for row in rows.to_dict("records")}
        return Column(key, group, heading, percent, cells)


def _cell(row: dict[Hashable, Any]) -> Cell:
    interval = None if pd.isna(row["ci_low"]) else (float(row["ci_low"]), float(row["ci_high"]))
    return Cell(float(row["value"]), float(row["sd"]), interval, None if pd.isna(row["n"]) else int(row["n"]))

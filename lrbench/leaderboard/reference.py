"""Published figures beside the measured ones."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrbench.measures.registry import metric_named
from lrbench.names import eps_label
from lrbench.views import Cell, Form, cell_of, matching


@dataclass(frozen=True)
class Comparison:
    """One published figure, and what this run measured for it (None: nothing yet)."""

    model: str
    figure: str
    where: str
    form: Form
    published: float | str
    measured: Cell | None


def comparisons(aggregated: pd.DataFrame, suite: dict[str, Any]) -> list[Comparison]:
    """Give the suite's reference figures in their order; none if it has none."""
    reference = suite.get("reference") or {"figures": []}
    found = []
    for figure in reference["figures"]:
        wanted = {name: figure[name] for name in ("model", "metric", "layer", "attack")} | figure["parameters"]
        if figure["eps"] is not None:
            wanted["eps"] = figure["eps"]
        rows = matching(aggregated, wanted).to_dict("records")
        known = metric_named(figure["metric"])
        form: Form = "number" if known is None else known.form
        measured = cell_of(rows[0], len(suite["seeds"])) if len(rows) == 1 else None
        found.append(
            Comparison(
                figure["model"],
                _title(figure, suite["threat_model"]["norm"]),
                figure["where"],
                form,
                figure["value"],
                measured,
            )
        )
    return found


def _title(figure: dict[str, Any], norm: str) -> str:
    eps = "" if figure["eps"] is None else f"at {eps_label(figure['eps'], norm)}"
    parameters = (f"{name} {value}" for name, value in figure["parameters"].items())
    parts = [figure["metric"], *parameters, figure["layer"], figure["attack"], eps]
    return " ".join(part for part in parts if part)

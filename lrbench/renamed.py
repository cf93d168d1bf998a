"""Names that earlier versions of lrbench used, and what they are called now."""

import re
from collections.abc import Mapping
from typing import Any

FIGURES: tuple[tuple[str, str, dict[str, str]], ...] = (
    (r"vr_(?P<k>\d+)", "vr", {}),
    (r"centred_vr_(?P<k>\d+)", "centred_vr", {}),
    (r"vr_1_class_mean", "class_vr_mean", {"k": "1"}),
    (r"vr_1\[(?P<label>.*)\]", "class_vr", {"k": "1"}),
    (r"embedding_accuracy_(?P<dimensions>\d+|full)", "embedding_accuracy", {}),
    (r"transfer_(?P<labels>coarse|fine)", "linear_probe_accuracy", {}),
    (r"(?P<metric>parameters|multiply_adds|compression_accuracy)\[(?P<part>full|compressed)\]", "", {}),
    (r"(?P<metric>seconds_per_image(?:_beside_others)?)\[(?P<part>full|compressed)\]", "", {}),
    (r"corruption_accuracy\[(?P<corruption>\w+),(?P<severity>\d)\]", "corruption_accuracy", {}),
    (r"pca_share_(?P<component>\d+)", "pca_share", {}),
    (r"(?P<metric>(?:misclassification|robust_accuracy)_at_l2)_(?P<l2>[\d.e-]+)", "", {}),
    (r"(?P<metric>flag|check)\[(?P<check>[\w-]+)\]", "", {}),
)
"""Pattern of a figure with parameters in its name, what it is called now, and parameters that went without saying."""

COLUMN = {"label": "class"}
"""Group of a pattern -> column, where the column's name can be no group's."""


def renamed(metric: str) -> tuple[str, dict[str, str]]:
    """Give a figure's name and parameters as they are now; what never changed is given as it is."""
    for pattern, name, parameters in FIGURES:
        if found := re.fullmatch(pattern, metric):
            groups = found.groupdict()
            now = groups.pop("metric", None) or name
            return now, parameters | {COLUMN.get(group, group): value for group, value in groups.items()}
    return metric, {}


def renamed_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Give a row of results with its figure's name and parameters as they are now."""
    metric, parameters = renamed(row["metric"])
    if metric == "corruption_accuracy" and not (row.get("corruption") or parameters):
        metric = "mean_corruption_accuracy"
    return {**row, "metric": metric, **parameters}


KEYS = {
    "models": {"start": "init_from"},
    "attacks": {"source": "surrogate"},
    "threat_model": {"l2": "l2_dissimilarities"},
    "diagnostics": {"transfer": "linear_probe"},
}
"""Section of a suite -> keys below it, or below each of its models or attacks."""


def renamed_suite(content: Any) -> Any:  # noqa: ANN401
    """Give the content of a suite that an earlier version wrote, with the keys that there are now."""
    if not isinstance(content, dict):
        return content
    found = dict(content)
    if isinstance(models := content.get("models"), dict):
        found["models"] = {name: _renamed(spec, KEYS["models"]) for name, spec in models.items()}
    if isinstance(attacks := content.get("attacks"), list):
        found["attacks"] = [_renamed(attack, KEYS["attacks"]) for attack in attacks]
    for section in ("threat_model", "diagnostics"):
        if section in content:
            found[section] = _renamed(content[section], KEYS[section])
    return found


def _renamed(record: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401
    if not isinstance(record, dict):
        return record
    return {names.get(key, key): value for key, value in record.items()}

"""Tables and records of earlier versions, whose figures had their parameters in their names."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from lrbench import Leaderboard
from lrbench.columns import COLUMNS
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import read_record
from lrbench.leaderboard.kept.record import NAMES_WITH_PARAMETERS
from lrbench.measures.registry import metric_named
from lrbench.renamed import renamed, renamed_row
from lrbench.suite.load import load_suite

OLD = sorted((Path(__file__).parent / "older").glob("*.json"))
"""Records as they were published by the first version that wrote any."""

SUITE = """\
name: old
data: digits
models: {net: {arch: resnet18}, other: {extends: net, init_from: net}}
threat_model: {eps: [8/255], l2_dissimilarities: [0.1]}
attacks: [{name: pgd, surrogate: net}]
diagnostics: {linear_probe: {layer: avgpool}}
reference:
  source: x
  figures: [{model: net, metric: vr, parameters: {k: 20}, layer: avgpool, value: 1, where: x}]
"""

NOW = {
    "vr_10": ("vr", {"k": "10"}),
    "centred_vr_5": ("centred_vr", {"k": "5"}),
    "vr_1_class_mean": ("class_vr_mean", {"k": "1"}),
    "vr_1[T-shirt/top]": ("class_vr", {"k": "1", "class": "T-shirt/top"}),
    "vr_1[a]b]": ("class_vr", {"k": "1", "class": "a]b"}),
    "embedding_accuracy_full": ("embedding_accuracy", {"dimensions": "full"}),
    "embedding_accuracy_5": ("embedding_accuracy", {"dimensions": "5"}),
    "transfer_fine": ("linear_probe_accuracy", {"labels": "fine"}),
    "parameters[full]": ("parameters", {"part": "full"}),
    "multiply_adds[compressed]": ("multiply_adds", {"part": "compressed"}),
    "compression_accuracy[full]": ("compression_accuracy", {"part": "full"}),
    "seconds_per_image[full]": ("seconds_per_image", {"part": "full"}),
    "seconds_per_image_beside_others[full]": ("seconds_per_image_beside_others", {"part": "full"}),
    "corruption_accuracy": ("mean_corruption_accuracy", {}),
    "corruption_accuracy[gaussian_noise,3]": (
        "corruption_accuracy",
        {"corruption": "gaussian_noise", "severity": "3"},
    ),
    "pca_share_2": ("pca_share", {"component": "2"}),
    "misclassification_at_l2_0.15": ("misclassification_at_l2", {"l2": "0.15"}),
    "robust_accuracy_at_l2_0.2": ("robust_accuracy_at_l2", {"l2": "0.2"}),
    "check[not-growing-with-eps]": ("check", {"check": "not-growing-with-eps"}),
    "flag[gradients]": ("flag", {"check": "gradients"}),
}
SAME = ["accuracy", "misclassification", "d_adv", "stable_rank", "median_l2", "verdict", "mine:vr_1", "mine:vr_1[a]"]


@pytest.mark.parametrize("old", NOW)
def test_a_figure_has_a_name_and_parameters_now(old):
    row = renamed_row({"metric": old, "value": 1.0})
    name, parameters = NOW[old]
    assert row == {"metric": name, "value": 1.0, **parameters}
    assert set(parameters) == set(metric_named(name).parameters)
    assert renamed_row(row) == row, "what is of today stays as it is"


@pytest.mark.parametrize("metric", SAME)
def test_other_names_stay(metric):
    assert renamed(metric) == (metric, {})


def test_there_are_old_records():
    assert len(OLD) == 3


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_a_published_record_holds_the_same_figures(path):
    written = json.loads(path.read_text("utf-8"))
    assert written["format"] <= NAMES_WITH_PARAMETERS
    rows = read_record(path)["results"]
    for old, new in zip(written["results"], rows, strict=True):
        assert {name: value for name, value in new.items() if name in COLUMNS and name != "metric"} == {
            name: value for name, value in old.items() if name != "metric"
        }
        known = metric_named(new["metric"])
        assert known is None or {*new} - {*COLUMNS} == {*known.parameters}


def test_the_table_of_an_older_run_is_read(tmp_path, pair_run):
    """As the version before wrote it: without the columns, the names with the parameters."""
    board = Leaderboard.load(pair_run)
    backwards = {(name, *sorted(columns.items())): old for old, (name, columns) in NOW.items()}
    table, rows = board.results, []
    for row in table.to_dict("records"):
        parameters = sorted((name, row[name]) for name in row if name not in COLUMNS and row[name])
        name = backwards.get((row["metric"], *parameters), row["metric"])
        if parameters and name == row["metric"]:
            continue
        rows.append({column: row[column] for column in COLUMNS} | {"metric": name})
    assert any("[" in row["metric"] for row in rows)
    (tmp_path / "suite.yaml").write_bytes((pair_run / "suite.yaml").read_bytes())
    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    found = Leaderboard.load(tmp_path).results
    there = {tuple(map(str, row)) for row in table[[*found.columns]].itertuples(index=False)}
    assert {tuple(map(str, row)) for row in found.itertuples(index=False)} <= there
    assert len(found) > 10


def test_the_suite_of_an_older_record_has_the_keys_of_today():
    suites = [read_record(path)["configuration"] for path in OLD]
    assert all("l2" not in suite["threat_model"] for suite in suites)
    assert any(suite["threat_model"]["l2_dissimilarities"] == [0.1, 0.2] for suite in suites)
    assert any(attack["surrogate"] == "resnet18" for suite in suites for attack in suite["attacks"])
    assert any(spec["init_from"] == "resnet18-warm" for suite in suites for spec in suite["models"].values())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("linear_probe", "transfer", "diagnostics.transfer: unknown key; it is now called linear_probe"),
        ("l2_dissimilarities", "l2", "threat_model.l2: unknown key; it is now called l2_dissimilarities"),
        ("surrogate", "source", "attacks.0.source: unknown key; it is now called surrogate"),
        ("init_from", "start", "models.other.start: unknown key; it is now called init_from"),
        ("metric: vr, parameters: {k: 20}", "metric: vr_20", "metric: is now `metric: vr` with `parameters: {k: 20}`"),
    ],
)
def test_what_is_to_be_run_is_told_the_new_names(tmp_path, old, new, said):
    path = tmp_path / "old.yaml"
    path.write_text(SUITE)
    load_suite(path)
    assert old in SUITE
    path.write_text(SUITE.replace(old, new))
    with pytest.raises(UsageError, match=re.escape(said)):
        load_suite(path)

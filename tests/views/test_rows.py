"""Rows found by their metric are those that pandas finds by looking through all of them."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.leaderboard.aggregate import over_seeds
from lrbench.leaderboard.results import derived
from lrbench.statistics import wilson
from lrbench.views import matching, tidy
from lrbench.views.rows import Rows, records

ROW = st.fixed_dictionaries(
    {
        "model": st.sampled_from("ab"),
        "metric": st.sampled_from(["misclassification", "verdict", "accuracy"]),
        "seed": st.sampled_from([None, 0, 1]),
        "eps": st.sampled_from([None, 0.1, 0.2]),
        "value": st.one_of(st.none(), st.floats(0, 1), st.just(float("inf"))),
        "n": st.sampled_from([None, 10, 20]),
        "ci_low": st.sampled_from([None, 0.0]),
    },
    optional={"k": st.sampled_from([1, 2.5, "full", None]), "attack": st.sampled_from(["", "pgd"])},
)
# What is no share has no interval.
SOUND = ROW.map(lambda row: {**row, "ci_low": None} if row["value"] == float("inf") else row)
TABLES = st.lists(SOUND, max_size=12).map(tidy)


@given(TABLES)
def test_records_are_pandas_s(table):
    expected = table.to_dict("records")
    pd.testing.assert_frame_equal(pd.DataFrame(records(table)), pd.DataFrame(expected))
    assert [list(map(type, row.values())) for row in records(table)] == [
        list(map(type, row.values())) for row in expected
    ]


@given(
    TABLES,
    st.dictionaries(st.sampled_from(["eps", "k", "attack", "there is none"]), st.sampled_from([0.1, 2.5, 1, "pgd"])),
)
def test_rows_are_those_of_the_whole_table(table, where):
    for metric in ("accuracy", "verdict", "there is none"):
        expected = matching(table, {"metric": metric, **where})
        rows = Rows(table)
        pd.testing.assert_frame_equal(rows.frame(metric, where), expected)
        assert list(map(repr, rows.records(metric, where))) == list(map(repr, expected.to_dict("records")))


@given(TABLES)
def test_means_over_seeds_are_pandas_s(table):
    table = table.dropna(subset=["value"])
    cell = ["model", "layer", "attack", "eps", "space", "metric", *(name for name in ("k",) if name in table)]
    found = over_seeds(table)
    groups = list(table.groupby(cell, sort=False, dropna=False))
    assert len(groups) == len(found)
    for (_, group), row in zip(groups, records(found), strict=True):
        worst = row["metric"] == "verdict"
        value = group["value"].max() if worst else group["value"].mean()
        sd = float("nan") if worst or value == float("inf") else group["value"].std()
        assert row["value"] == value
        assert row["sd"] == pytest.approx(sd, rel=1e-12, nan_ok=True)
        assert row["seeds"] == group["seed"].nunique()
        assert pd.isna(row["n"]) if group["n"].isna().all() else row["n"] == group["n"].min()


def test_a_seed_that_names_no_n_leaves_the_others():
    row = {"metric": "misclassification", "model": "a", "attack": "pgd", "eps": 0.1, "value": 0.5, "ci_low": 0.3}
    (found,) = records(over_seeds(tidy([{**row, "seed": 0, "n": 10}, {**row, "seed": 1}])))
    assert (found["n"], found["seeds"]) == (10, 2)
    assert (found["ci_low"], found["ci_high"]) == wilson(0.5, 10)


def curve(*errors):
    rows = [{"metric": "misclassification", "value": 0.1, "n": 10}]
    rows += [{"metric": "l2_dissimilarity", "attack": "pgd", "eps": 0.1, "value": 0.5, "n": 10}]
    rows += [
        {"metric": "misclassification", "attack": "pgd", "eps": 0.1, "value": value, "n": n} for value, n in errors
    ]
    table, _ = derived(tidy([{"model": "a", "seed": 0, **row} for row in rows]))
    (area,) = [row for row in records(table) if row["metric"] == "auc_l2"]
    return area["value"], area["n"]


def test_a_point_of_a_curve_that_is_there_twice_is_their_mean():
    assert curve((0.2, 10), (0.6, None)) == curve((0.4, 10))

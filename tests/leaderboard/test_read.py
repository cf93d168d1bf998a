"""Tables as they were written."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrbench.leaderboard.read import read_table
from lrbench.views import tidy


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
@example([7.293223159007509e-08])
def test_a_figure_is_read_to_the_last_bit(values):
    table = tidy({"suite": "mine", "model": "net", "metric": "check", "value": value} for value in values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.csv"
        path.write_text(table.to_csv(index=False), "utf-8")
        assert read_table(path)["value"].tolist() == table["value"].tolist() == values


@pytest.mark.parametrize("text", ["1_000", "nan", "\u0663", "1\u00a0", " 1", "0x10", "1e5_0", "9" * 400, "one"])
def test_what_is_no_number_is_refused(text, tmp_path):
    table = tidy([{"suite": "mine", "model": "net", "metric": "check", "value": 0.5}]).to_csv(index=False)
    (tmp_path / "results.csv").write_text(table.replace("0.5", text), "utf-8")
    with pytest.raises(ValueError, match="not a number"):
        read_table(tmp_path / "results.csv")

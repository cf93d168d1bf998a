import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from lrbench.statistics import holm


@given(st.lists(st.floats(0, 1), max_size=40))
def test_holm_by_its_definition(ps):
    """In order of size, each times the number that is left, and never below one before."""
    expected, least = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        least = max(least, min(1.0, (len(ps) - rank) * ps[place]))
        expected[place] = least
    assert holm(ps) == pytest.approx(expected)


def test_holm_is_that_of_statsmodels():
    ps = [0.2, 0.011, 0.04, 0.011, 0.9, 0.0001, 0.03, 0.0499]
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist())


def test_known_values_and_faults():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # R: p.adjust(c(.01, .04, .03), "holm")
    assert holm([]) == []
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="p-values"):
            holm([0.5, wrong])

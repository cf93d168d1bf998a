"""What `make test` leaves to `make test-all`: never a value, nor a combination of what does not take turns."""

from collections import Counter
from itertools import product

import pytest
from support.turns import _taken

PLACES = {"radius": range(5), "space": range(2), "attack": range(7)}


def cases_of(turns):
    """Each case of the product, the values that take turns, and the others."""
    for case in product(*PLACES.values()):
        values = dict(zip(PLACES, case, strict=True))
        yield (
            case,
            *(tuple(pair for pair in values.items() if (pair[0] in turns) == wanted) for wanted in (True, False)),
        )


@pytest.mark.parametrize("turns", [{"radius"}, {"space"}, {"radius", "space"}, {"attack"}, {*PLACES}])
@pytest.mark.parametrize("each", [1, 2])
def test_no_value_is_left_out_and_each_combination_of_the_others_has_its_turns(turns, each):
    cases = list(cases_of(turns))
    taken = _taken(cases, each)
    chosen = [(values, others) for case, values, others in cases if case in taken]
    assert {pair for values, others in chosen for pair in values + others} == {
        (name, value) for name, values in PLACES.items() for value in values
    }
    for others in {others for *_, others in cases}:
        assert len([values for values, whose in chosen if whose == others]) >= each
    for name in turns:
        counts = Counter(dict(values)[name] for values, _ in chosen)
        assert max(counts.values()) - min(counts.values()) <= len(PLACES[name]), "all have about as many turns"
    assert len(taken) < len(cases) or turns == {"space"}
    assert taken == _taken(cases, each), "always the same"

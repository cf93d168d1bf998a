"""How many images a suite attacks: a number, or how closely figures are to be known."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import UsageError
from lrbench.suite import Suite, Until, looks
from lrbench.suite.document import Document
from lrbench.suite.faults import validated


def samples(value):
    raw = {
        "name": "a",
        "data": "digits",
        "models": {"a": {"arch": "resnet18"}, "b": {"arch": "vgg16"}},
        "threat_model": {"samples": value},
    }
    return validated(Suite, raw, Document("a", raw, {})).threat_model


@pytest.mark.parametrize("text", ["1.5 points", "1.5 point", "1.5points", "1.5 %", 1.5])
def test_points_are_written_as_people_do(text):
    threat = samples({"until": text})
    assert threat.until == Until(until=1.5, of="accuracy", most=None)
    assert samples(threat.model_dump(mode="json")["samples"]) == threat
    assert threat.most(300) == 300
    assert samples({"until": text, "most": 20}).most(300) == 20


@pytest.mark.parametrize("number", [None, 1, 300])
def test_a_number_stays_one(number):
    threat = samples(number)
    assert (threat.samples, threat.until) == (number, None)
    assert threat.most(1000) == (number or 1000)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"until": "1 pt"}, "samples.until: should be a number of points from 0.01 to 50"),
        ({"until": 0}, "should be a number of points"),
        ({"until": 51}, "should be a number of points"),
        ({"until": True}, "should be a number of points"),
        ({"untill": 1}, "samples.untill: unknown key; did you mean 'until'"),
        ({"until": 1, "most": 0}, "samples.most: should be greater than or equal to 1"),
        ({"until": 1, "of": "worst"}, "samples.of: should be 'accuracy' or 'difference'"),
        ({}, "samples.until: field required"),
        (0, "samples: should be greater than or equal to 1"),
        ("all", "samples: should be a valid integer"),
    ],
)
def test_a_mistake_is_answered_where_it_stands(value, says):
    with pytest.raises(UsageError, match=r"a: threat_model\.samples") as caught:
        samples(value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 20_000), st.integers(1, 3000), st.integers(1, 1000))
def test_looks_are_at_whole_batches_and_grow(most, batch_size, first):
    found = looks(most, batch_size, first)
    assert found[-1] == most
    assert all(count % batch_size == 0 for count in found[:-1])
    assert found[0] >= min(most, max(200, first))
    assert all(0 < after - before <= max(0.25 * before, 0) + 2 * batch_size for before, after in pairwise(found))
    assert len(found) < 30

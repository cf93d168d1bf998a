"""What differs between two sides is seen, however long what surrounds it is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrbench.leaderboard.comparable import differing
from lrbench.leaderboard.text import WIDEST, beside_each_other
from lrbench.runner.reasons import difference

LONG = st.text("ab", min_size=60, max_size=300)


@given(LONG, LONG, st.sampled_from(["c", "cc", "cdc", ""]))
@example("a" * 300, "b" * 300, "")
@example("", "a" * 300, "c")
def test_one_change_in_long_texts_is_shown_with_what_surrounds_it(before, after, new):
    shown = beside_each_other(f"{before}x{after}", f"{before}{new}{after}")
    assert shown[0] != shown[1]
    assert "x" in shown[0]
    assert new in shown[1]
    assert all(len(each) <= WIDEST + 2 * len("...") for each in shown)
    assert all(set(each) <= set("abcdx.") for each in shown)


@given(st.text("ab", max_size=200), st.text("ab", max_size=200))
@example("a" * 200, "a" * 201)
def test_any_two_texts_that_differ_are_shown_to(first, second):
    shown = beside_each_other(first, second)
    assert (shown[0] == shown[1]) == (first == second)
    if max(len(first), len(second)) <= WIDEST:
        assert shown == (first, second)


def test_what_is_long_and_differs_all_over_says_how_much_is_left_out():
    shown = beside_each_other("a" * 300, "b" * 100)
    assert shown == (f"{'a' * 40}...220 more...{'a' * 40}", f"{'b' * 40}...20 more...{'b' * 40}")


ATTACKS = [{"label": label, "name": "pgd", "eps": None, "steps": 10} for label in ("one", "two", "three")]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([*ATTACKS[:2], ATTACKS[2] | {"steps": 20}], {"attacks.three.steps": (10, 20)}),
        (ATTACKS[:2], {"attacks.three": (ATTACKS[2], None)}),
        ([], {f"attacks.{each['label']}": (each, None) for each in ATTACKS}),
        (ATTACKS[::-1], {"attacks": (ATTACKS, ATTACKS[::-1])}),
        (ATTACKS, {}),
    ],
    ids=["an option", "an attack", "all", "their order", "nothing"],
)
def test_attacks_are_held_against_each_other_by_their_labels(other, expected):
    assert differing({"attacks": ATTACKS}, {"attacks": other}) == expected


def test_a_plan_shows_where_two_long_values_differ():
    old = {"options": {"layers": [f"layer{number}" for number in range(30)]}}
    new = {"options": {"layers": [*old["options"]["layers"][:20], "avgpool", *old["options"]["layers"][20:]]}}
    assert "'avgpool'" in difference(old, new)

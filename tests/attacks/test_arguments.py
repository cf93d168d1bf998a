"""Arguments as people write them, for every attack and for `examine` and `d_adv`: the table of docs/inputs.md."""

import inspect
import math
import typing
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from support.inputs import rows
from support.models import net_of
from support.takers import EPS, LITTLE, MINIMAL, attack, d_adv_of, examined, same

from lrbench.attacks import d_adv
from lrbench.attacks.adapted import ExternalAttackError
from lrbench.catalogue import ATTACKS
from lrbench.diagnostics.masking import examine
from lrbench.errors import UsageError
from lrbench.runner.environment import pick_device
from lrbench.suite import ThreatModel

X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
NET = net_of((3, 8, 8), 10)
with torch.no_grad():
    Y = NET(X).argmax(dim=1)

CALLS = {name: lambda name=name, **given: attack(name, **given)(NET, X, Y) for name in LITTLE}
CALLS |= {
    "examine": lambda **given: examined(NET, X, Y, **given),
    "d_adv": lambda **given: d_adv_of(NET, X, Y, **given),
}


def hints_of(name):
    """What each argument of a taker is by its annotation: float, int, bool, the values of a choice, or "bounds"."""
    factory = ATTACKS[name].load() if name in LITTLE else {"examine": examine, "d_adv": d_adv}[name]
    hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    kinds = {
        argument: typing.get_args(hint)[0] if type(None) in typing.get_args(hint) else hint
        for argument, hint in hints.items()
    }
    found = {argument: kind for argument, kind in kinds.items() if kind in {float, int, bool}}
    for argument, kind in kinds.items():
        if typing.get_origin(kind) is typing.Literal:
            found[argument] = typing.get_args(kind)
        elif kind == tuple[float, float]:
            found[argument] = "bounds"
    return found


ARGUMENTS = [(name, argument, kind) for name in CALLS for argument, kind in hints_of(name).items()]

LINF = ["Linf", "LINF", "l_inf", "L-inf", "inf", np.inf, float("inf"), "L∞", "\N{SCRIPT SMALL L}∞", "linfinity"]
L2 = ["L2", "L_2", "l-2", "2", 2, 2.0, np.int64(2), "euclidean"]
L1 = ["L1", "L_1", "l-1", "1", 1, 1.0, np.int64(1), "Manhattan", "taxicab"]
OTHERS = {
    "linf": LINF,
    "l2": L2,
    "l1": L1,
    "cross-entropy": ["ce", "CE", "cross_entropy", "CrossEntropy", "Cross Entropy", "xent"],
    "margin": ["CW", "cw", "Margin"],
    "dlr": ["DLR", "Dlr"],
    "float32": ["fp32", "Float32", torch.float32],
    "bfloat16": ["bf16", "BFloat16", torch.bfloat16],
    "standard": ["Standard", "STANDARD"],
    "plus": ["Plus"],
    "rand": ["RAND"],
    "fast": ["Fast"],
    "likeliest": ["Likeliest"],
    "nearest": ["NEAREST"],
}
"""Other spellings of each choice."""

HALF = ["0.5", " 1/2 ", "128/256", np.float64(0.5), np.float16(0.5), np.array(0.5), np.array([0.5]),
        torch.tensor(0.5), torch.tensor([0.5]), torch.tensor(0.5, dtype=torch.float64), Fraction(1, 2),
        Decimal("0.5")]  # fmt: skip
TWO = ["2", "2.0", "4/2", 2.0, np.int8(2), np.uint64(2), np.float32(2), np.array(2), torch.tensor(2),
       torch.tensor([2.0]), Fraction(2), Decimal(2)]  # fmt: skip
SLOW = {"hopskipjump", "boundary"}
"""Attacks of ART, which read their arguments in one place for all: a few spellings will do."""

BOUNDS = [[0, 2], ("0", "2"), ("0/1", Fraction(2)), np.array([0, 2]), torch.tensor([0.0, 2.0]), (False + 0, 2.0)]

SPELT = {
    "`Linf`, `L_2`, `inf`, 2": [
        (name, argument, other, plain) for name, argument, kind in ARGUMENTS if argument == "norm"
        for plain in kind for other in OTHERS[plain]],
    "`ce`, `CW`, `DLR`, `Standard`, `bf16`": [
        (name, argument, other, plain) for name, argument, kind in ARGUMENTS
        if isinstance(kind, tuple) and argument != "norm" for plain in kind for other in OTHERS[plain]],
    "`\"8/255\"`, numpy's numbers, tensors and arrays of one value, fractions, decimals": [
        (name, argument, other, 0.5) for name, argument, kind in ARGUMENTS if kind is float for other in HALF],
    "`\"3\"`, 10.0 for a count": [
        (name, argument, other, 2) for name, argument, kind in ARGUMENTS if kind is int for other in TWO],
    "numpy's True and False": [
        (name, argument, np.bool_(plain), plain) for name, argument, kind in ARGUMENTS if kind is bool
        for plain in (True, False)],
    "a list, an array or a tensor of two numbers for bounds": [
        (name, argument, other, (0.0, 2.0)) for name, argument, kind in ARGUMENTS if kind == "bounds"
        for other in BOUNDS],
}  # fmt: skip

NO_NUMBER = [float("nan"), "nan", "abc", "", "1/0", "8/", "1/2/3", True, np.True_, torch.tensor(True), [0.5], (1, 2),
             {}, b"1", 1j, torch.tensor([1.0, 2.0]), np.array([1, 2]), torch.tensor(1j), object(), float("inf"),
             "1e400", 10**400, Decimal("Infinity"), -1, "-1/2"]  # fmt: skip
NO_COUNT = [2.5, "2.5", float("nan"), float("inf"), True, "two", "", [2], object(), 10**400, 2**63, "1e30"]
NO_FLAG = ["yes", "True", 1, 0, object(), [], 1.0]
NO_BOUNDS = [3, "01", "0,1", (0,), (0, 1, 2), {0: 1, 1: 2}, {0, 1}, (1, 0), (0, 0), (0, float("inf")),
             (0, float("nan")), ("a", "b"), torch.tensor(1.0), [None, 1]]  # fmt: skip
NO_CHOICE = ["l0", "l3", "", 3, 0, object(), True, ["linf"], b"l2", float("nan"), "crossentropi", "quick"]
SMALL = {"steps", "restarts", "eot", "draws", "queries", "targets", "candidates", "max_iter", "num_trial", "batch_size"}
"""Counts of which there has to be one."""

REFUSED = {
    "another name, `l3`": [
        (name, argument, other, "must be one of") for name, argument, kind in ARGUMENTS if isinstance(kind, tuple)
        for other in NO_CHOICE],
    "NaN, infinity, True, text or less than 0 for a number": [
        (name, argument, other, "must (be a|lie in)") for name, argument, kind in ARGUMENTS if kind is float
        for other in NO_NUMBER if name not in SLOW or argument == "eps"],
    "2.5, True, infinity or text for a count, 0 where one is needed": [
        (name, argument, other, "must be") for name, argument, kind in ARGUMENTS if kind is int
        for other in NO_COUNT + [0, -3] * (argument in SMALL and name not in SLOW)],
    "anything but True and False for a flag": [
        (name, argument, other, "must be True or False") for name, argument, kind in ARGUMENTS if kind is bool
        for other in NO_FLAG],
    "anything but two finite numbers in order for bounds": [
        (name, argument, other, r"must be (a|\(low)") for name, argument, kind in ARGUMENTS if kind == "bounds"
        for other in NO_BOUNDS],
    "an argument that is not there": [(name, "stepz", 1, "stepz") for name in CALLS],
}  # fmt: skip


def by_argument(table, *, in_turn=False):
    """The cases of each argument of each taker, a parameter of a test.

    One place reads all arguments, so that takers and arguments may take turns: each has as many cases as it takes for
    each spelling of a row to be tried, and the rest is slow.
    """
    found = {}
    for row, cases in table.items():
        for name, argument, *case in cases:
            found.setdefault((row, name, argument), []).append(case)
    found = {key: cases[:2] if key[1] in SLOW else cases for key, cases in found.items()}
    sharing = Counter(row for row, *_ in found)
    begun = Counter()
    for (row, name, argument), cases in found.items():
        at_once = math.ceil(len(cases) / sharing[row]) if in_turn else len(cases)
        now = {(begun[row] + n) % len(cases) for n in range(at_once)}
        begun[row] += at_once
        title = f"{name}-{argument}-{row}"
        yield pytest.param(name, argument, [cases[place] for place in sorted(now)], id=title)
        if later := [case for place, case in enumerate(cases) if place not in now]:
            yield pytest.param(name, argument, later, id=f"{title}, the rest", marks=pytest.mark.slow)


def test_the_table_is_what_is_tested_here():
    table = dict(rows("Arguments"))
    assert {row for row, outcome in table.items() if outcome != "refused"} == {*SPELT, "`CPU`, `CUDA:0` for a device"}
    assert {row for row, outcome in table.items() if outcome == "refused"} == {*REFUSED, "a device that is not there"}
    assert {name for name, *_ in ARGUMENTS} == set(CALLS)
    assert all(cases for cases in (SPELT | REFUSED).values())


@pytest.mark.parametrize(("name", "argument", "cases"), [*by_argument(SPELT, in_turn=True)])
def test_arguments_are_read_as_people_write_them(name, argument, cases):
    plain = {}
    for other, meant in cases:
        key = repr(meant)
        if key not in plain:
            plain[key] = outcome(name, argument, meant)
        found = outcome(name, argument, other)
        assert found == plain[key] if isinstance(found, str) else same(found, plain[key]), other


def outcome(name, argument, value):
    """What a taker gives, or says."""
    try:
        return CALLS[name](**{argument: value})
    except (ValueError, ExternalAttackError) as error:
        return str(error)


@pytest.mark.parametrize(("name", "argument", "cases"), [*by_argument(REFUSED)])
def test_what_cannot_be_read_is_named(name, argument, cases):
    for other, message in cases:
        with pytest.raises(
            (ValueError, TypeError), match=rf"{argument}.*{message}|has no argument '{argument}'"
        ) as error:
            CALLS[name](**{argument: other})
        assert "\n" not in str(error.value), other


@pytest.mark.parametrize("name", CALLS)
def test_what_another_library_calls_an_argument_is_told_by_our_name(name):
    known = {argument for each, argument, _ in ARGUMENTS if each == name}
    for other, ours in {"epsilon": "eps", "n_iter": "steps", "alpha": "step_size", "clip_min": "bounds"}.items():
        if ours in known and other not in known:
            with pytest.raises(TypeError, match=f"has no argument {other!r}; did you mean {ours!r}"):
                CALLS[name](**{other: 1})


@pytest.mark.parametrize("name", sorted(set(LITTLE) - MINIMAL))
def test_a_missing_radius_is_named(name):
    with pytest.raises(TypeError, match="missing a required argument: 'eps'"):
        ATTACKS[name].load()(**LITTLE[name])


@pytest.mark.parametrize(("plain", "others"), [("linf", LINF), ("l2", L2), ("l1", L1)])
def test_a_suite_s_norm_is_spelt_alike(plain, others):
    for other in others:
        assert ThreatModel(norm=other).norm == plain
    for other in ("l0", "l3", 3, True, None):
        with pytest.raises(ValueError, match=r"(?s)norm.*Input should be 'linf', 'l2' or 'l1'"):
            ThreatModel(norm=other)


def test_devices_are_found_in_other_spellings_or_named():
    for other in ("CPU", " cpu ", torch.device("cpu")):
        assert pick_device(other) == torch.device("cpu")
    for other in ("meta", "gpux", "cuda:99", "", None, 5):
        with pytest.raises(UsageError, match=r"no device .* here; valid: auto, cpu"):
            pick_device(other)


def test_a_radius_may_be_a_text_everywhere():
    for name in set(LITTLE) - MINIMAL:
        assert same(CALLS[name](eps="8/255"), CALLS[name](eps=EPS))

"""Attacks, `examine` and `d_adv` with whatever people bring: a result that keeps its promises, or a line that says why.

--draws 2000 draws more than the 200 of every run.
"""

import re
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.forms import CONTEXTS, INPUTS, LABELS, NO_INPUTS, NO_LABELS
from support.models import EXTREME, MODULES, NO_LOGITS, REFUSED_MODULES, SAME, Wrapped, net_of
from support.takers import BUDGET, LITTLE, arguments_of, attack, holds
from support.unchanged import differing, everything
from torch import nn

from lrbench.attacks import LeftOutWarning, LogitsWarning, d_adv
from lrbench.attacks.adapted import ExternalAttackError
from lrbench.attacks.gradients import NoGradientError
from lrbench.diagnostics.masking import examine

SHAPES = [(3, 8, 8), (3, 8, 8), (3, 8, 8), (1, 5, 7), (2, 1, 1), (29,), (1,), (4, 7), (2, 3, 4, 5)]
DTYPES = [torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16]
OUTPUTS = SAME | NO_LOGITS | EXTREME

NUMBERS = ["8/255", "0.1", " 1/4 ", np.float32(0.1), np.float64(0.1), torch.tensor(0.1), Fraction(1, 10),
           Decimal("0.1"), np.array(0.1), 1, 0.05, 1e-9, 1e-45, 7e4, 1e30]  # fmt: skip
COUNTS = [1, 2, "2", "2.0", 2.0, np.int64(2), np.uint8(1), torch.tensor(2), Fraction(2), True]
SPELT = {
    "eps": [*NUMBERS, 0, 0.0, "0", 3, 7e4, 1e30, 1e300],
    "norm": [
        "Linf",
        "L2",
        "l_inf",
        "L_2",
        "inf",
        "2",
        2,
        np.inf,
        float("inf"),
        "L∞",
        "l-2",
        "Euclidean",
        "l1",
        "L_1",
        1,
    ],
    "loss": ["CE", "ce", "Cross_Entropy", "CrossEntropy", "CW", "margin", "dlr", "DLR"],
    "precision": ["bf16", "bfloat16", "BFloat16", "torch.float32", torch.bfloat16, "fp32", torch.float32],
    "version": ["Standard", "PLUS", "rand", "fast"],
    "order": ["likeliest", "Nearest"],
    "bounds": [
        None,
        [0, 1],
        (0, "1"),
        (-1, 2),
        np.array([0.0, 1.0]),
        torch.tensor([0.0, 1.0]),
        ("0/1", "3/2"),
        (0, 1e30),
        (-1e300, 1e300),
        (0, 1e-30),
    ],
    "seed": [0, 7, "3", np.int64(9), -1, 2**31, 2**63 - 1],
    "layer": ["1"],
}
"""Values of arguments by name; of any other a number, a count or a flag."""

FLAGS = {"random_start", "targeted", "rescale"}
RATES = {"step_size", "patch", "overshoot", "learning_rate", "initial_const", "confidence", "start_radius", "enough",
         "weight"}  # fmt: skip
WRONG = [None, "", "abc", "1/0", "nan", float("nan"), float("inf"), -1, -0.5, [], [1, 2], (1,), {}, object(), b"1", 1j,
         True, torch.tensor([1.0, 2.0]), torch.tensor(1j), np.array([1, 2]), 10**400, "1e400", Decimal("NaN"), 2.5,
         "l1", "l3", np.bool_(True), Decimal("1e999"), (1, 0), (0, None), ("a", "b"), "1,0", int]  # fmt: skip

OWN = (LeftOutWarning, LogitsWarning)
REFUSALS = (ValueError, TypeError, NoGradientError, ExternalAttackError)
WORDS = {"x", "y", "x_adv", "model", "layer", "eps", "batch_size", "inputs"}
"""What a refusal may speak of, besides the arguments of who refuses."""

OTHERS = {"examine": ["eps", "norm", "bounds", "seed"], "d_adv": ["layer", "batch_size"]}
"""Arguments of what is no attack."""


def one_of(draw, values, label):
    """Draw one of some values that need not be hashable or comparable."""
    return draw(st.sampled_from(range(len(values))).map(values.__getitem__), label=label)


def named(draw, table, label):
    """Draw one of a table, and show its name."""
    return table[draw(st.sampled_from(sorted(table)), label=label)]


def spelt(draw, argument, *, wrong):
    if wrong:
        return one_of(draw, WRONG, argument)
    if argument in FLAGS:
        return one_of(draw, [True, False, np.True_, np.False_], argument)
    return one_of(draw, SPELT.get(argument) or (NUMBERS if argument in RATES else COUNTS), argument)


def arguments(draw, name):
    """Some arguments in some spelling; now and then one that is wrong, or that there is not."""
    counts = LITTLE.get(name, {"batch_size": 1})
    known = [each for each in takes(name) if each in SPELT or each in FLAGS or each in RATES or each in counts]
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=2, unique=True), label="arguments")
    wrong = draw(st.sampled_from([None] * 6 + [0, 1]), label="the wrong one")
    found = {each: spelt(draw, each, wrong=wrong == place) for place, each in enumerate(chosen)}
    return found | draw(st.sampled_from([{}] * 15 + [{"epsilon": 0.1}]), label="no argument")


def takes(name):
    return OTHERS.get(name) or arguments_of(name)


def brought(draw):
    """A model, inputs and labels."""
    shape = draw(st.sampled_from(SHAPES), label="shape")
    n = draw(st.sampled_from([0, 1, 2, 5, 5]), label="n")
    classes = draw(st.sampled_from([10, 10, 4, 3, 2, 1]), label="classes")
    dtype = draw(st.sampled_from(DTYPES), label="dtype of x")
    net = net_of(shape, classes, draw(st.sampled_from([dtype, dtype, *DTYPES]), label="dtype of the model"))
    x = torch.rand(n, *shape, generator=torch.Generator().manual_seed(n)).to(dtype)
    with torch.no_grad():
        y = net(x.to(net[1].weight.dtype)).argmax(dim=1) if classes > 1 else torch.zeros(n, dtype=torch.long)
    if draw(st.sampled_from([False, False, True]), label="some wrong"):
        y[::2] = (y[::2] + 1) % max(2, classes)
    tables = {"outputs": OUTPUTS, "modules": MODULES, "more modules": MODULES, "refused": REFUSED_MODULES}
    kind = draw(st.sampled_from(sorted(tables)), label="kind")
    given = named(draw, tables[kind], "model")
    model = Wrapped(net, given) if kind == "outputs" else given(net)
    if isinstance(model, nn.Module) and draw(st.booleans(), label="in training mode"):
        model.train()
    x = named(draw, draw(st.sampled_from([INPUTS] * 6 + [NO_INPUTS])), "x")(x)
    return model, x, named(draw, draw(st.sampled_from([LABELS] * 5 + [NO_LABELS])), "y")(y)


def taken(name, model, x, y, options):
    """Let an attack, `examine` or `d_adv` do what is asked, and hold an attack to its promises."""
    if name == "examine":
        examine(model, x, y, **{"eps": 0.1, "budget": BUDGET} | options)
    elif name == "d_adv":
        d_adv(model, x_adv=x, x=x, y=y, **{"layer": "1"} | options)
    else:
        made = attack(name, **options)
        holds(made, made(model, x, y), x.detach())


@settings.get_profile("draws")
@given(st.data())
def test_a_result_that_keeps_its_promises_or_a_line_that_says_what(data):
    model, x, y = brought(data.draw)
    name = data.draw(st.sampled_from([*sorted(LITTLE), *OTHERS]), label="taker")
    context = named(data.draw, CONTEXTS, "context")
    options = arguments(data.draw, name)
    outside = everything(model, x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in OWN:
            warnings.simplefilter("ignore", each)
        with context():
            inside = everything(model, x, y)
            try:
                taken(name, model, x, y, options)
            except REFUSALS as error:
                said = str(error)
                assert len(said.splitlines()) == 1, said
                assert (WORDS | {*takes(name), *options}) & set(re.findall(r"\w+", said)), said
            assert not differing(everything(model, x, y), inside)
    assert not differing(everything(model, x, y), outside)

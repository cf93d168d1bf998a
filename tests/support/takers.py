"""Every attack of the catalogue and what else takes a model, inputs and labels, with little to do."""

import inspect

import numpy as np
import pytest
import torch

from lrbench.attacks import d_adv
from lrbench.attacks.geometry import least_size
from lrbench.catalogue import ATTACKS
from lrbench.diagnostics.masking import Budget, examine

EPS = 8 / 255
LITTLE = {
    "iter-fsgm": {"steps": 2},
    "iter-ll-fsgm": {"steps": 2},
    "fgsm": {},
    "pgd": {"steps": 2},
    "apgd-ce": {"steps": 3},
    "apgd-t": {"steps": 3, "targets": 2},
    "square": {"queries": 5},
    "autoattack": {"steps": 3, "targets": 2, "queries": 5},
    "fab-t": {"steps": 3, "targets": 2},
    "deepfool": {"steps": 3},
    "fmn": {"steps": 4},
    "ddn": {"steps": 4},
    "carlini-wagner": {"steps": 4, "searches": 2, "learning_rate": 0.05},
    "hopskipjump": {"max_iter": 1, "max_eval": 8, "init_eval": 4, "norm": "l2"},
    "boundary": {"max_iter": 2, "num_trial": 4, "norm": "l2"},
    "adaptive-lr": {"steps": 2, "layer": "1"},
    "uniform-noise": {"draws": 2},
    "gaussian-noise": {"draws": 2},
}
"""Options of every attack of the catalogue, so that it takes a few milliseconds. A new attack joins by a line here."""

MINIMAL = {name for name in LITTLE if ATTACKS[name].load().kind == "minimal"}
BLIND = {name for name in LITTLE if not ATTACKS[name].load().needs_gradients}
"""Attacks that need no gradients."""

BUDGET = Budget(steps=2, queries=2, draws=1, unbounded=2)


def arguments_of(name):
    """Names of an attack's arguments."""
    return [each for each in inspect.signature(ATTACKS[name].load()).parameters if each != "self"]


def attack(name, **options):
    """An attack of the catalogue with little to do; `options` come before that."""
    given = LITTLE[name] | ({} if name in MINIMAL else {"eps": EPS}) | options
    return ATTACKS[name].load()(**given)


def examined(model, x, y, eps=EPS, **options):
    """What every check says."""
    verdict = examine(model, x, y, eps, **{"budget": BUDGET} | options)
    return [(each.check.id, each.figure, each.flagged) for each in verdict.findings]


def d_adv_of(model, x, y, layer="1", **options):
    """D_Adv of a shift."""
    shifted = x * 0.9 if isinstance(x, torch.Tensor) else x
    return tuple(d_adv(model, layer, x_adv=shifted, x=x, y=y, **options))


TAKERS = {name: attack(name) for name in LITTLE} | {"examine": examined, "d_adv": d_adv_of}

EACH = [pytest.param(name, marks=pytest.mark.slow) if name == "boundary" else name for name in TAKERS]
"""All of them, parameters of a test. Of ART's two attacks, which ours reach by one adapter, one is slow."""


def same(first, second):
    """Whether two results of a taker are the same, to the bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    return bool(
        np.array_equal(*(np.array([_figures(each) for each in given]) for given in (first, second)), equal_nan=True)
    )


def holds(made, x_adv, x):
    """Hold a result to what every attack promises: shape, dtype, bounds, ball, finite, detached."""
    assert isinstance(x_adv, torch.Tensor)
    assert (x_adv.shape, x_adv.dtype, x_adv.device) == (x.shape, x.dtype, x.device)
    assert not x_adv.requires_grad
    assert not x_adv.is_inference()
    assert x_adv.isfinite().all()
    if not x.numel():
        return
    if made.bounds is not None:
        assert made.bounds[0] <= x_adv.min()
        assert x_adv.max() <= made.bounds[1]
    if made.kind == "bounded":
        assert (least_size(x_adv, x, norm_of(made)) <= made.eps).all()


def norm_of(made):
    """The ball that a bounded attack stays in."""
    if hasattr(made, "norm"):
        return made.norm
    if hasattr(made, "ball"):
        return type(made.ball).__name__.lower()
    return "linf"


def _figures(each):
    return each if isinstance(each, float) else each[1:] if isinstance(each, tuple) else float(each)

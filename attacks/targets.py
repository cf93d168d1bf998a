"""Which wrong classes a targeted attack goes to, and in which order.

Source of the order by distance: Melamed, Yehudai and Shamir, *MALT powers up adversarial attacks*, 2024
(arXiv:2407.02240).
"""

import torch
from torch import Tensor, nn

from .geometry import DUAL, length, tiny
from .gradients import gradient_to, require_gradient
from .passes import parts_of

CANDIDATES = 30
"""Likeliest wrong classes among which the nearest are looked for, a backward pass each."""


def likeliest(logits: Tensor, y: Tensor, count: int) -> Tensor:
    """Give the wrong classes of the largest logits, (N, count or all that there are), the largest first."""
    others = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)
    return others[:, : min(count, logits.shape[1] - 1)]


def nearest(model: nn.Module, x: Tensor, y: Tensor, logits: Tensor, norm: str, count: int) -> Tensor:
    """Give the wrong classes whose boundaries would be nearest, were the model linear at x, the nearest first.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...)
    y : Tensor, (N,)
    logits : Tensor, (N, classes)
        Of x.
    norm : {"linf", "l2", "l1"}
        In which distances are.
    count : int
        Classes wanted.

    Returns
    -------
    Tensor, (N, count), int64
        Of the `CANDIDATES` likeliest; fewer columns where there are fewer classes.
    """
    candidates = likeliest(logits, y, max(count, CANDIDATES))
    distances = [_distances(model, x[each], y[each], candidates[each], norm) for each in parts_of(x)]
    order = torch.cat([each.argsort(dim=1, stable=True) for each in distances])
    return candidates.gather(1, order)[:, :count]


def _distances(model: nn.Module, x: Tensor, y: Tensor, candidates: Tensor, norm: str) -> Tensor:
    """Give how far the boundaries to some classes are, (N, k)."""
    with torch.enable_grad():
        points = x.detach().requires_grad_()
        logits = model(points)
        require_gradient(logits)
        gaps = logits.gather(1, y[:, None]) - logits.gather(1, candidates)
        slopes = [gradient_to(points, column.sum(), again=True) for column in gaps.unbind(dim=1)]
    steepness = torch.stack([length(slope, DUAL[norm]) for slope in slopes], dim=1)
    distances: Tensor = gaps.detach() / (steepness + tiny(x))
    return distances.nan_to_num(nan=torch.inf)

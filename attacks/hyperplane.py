"""The smallest perturbation within bounds that reaches a hyperplane, in closed form, for many examples at once."""

import torch
from torch import Tensor

from .inputs import Bounds
from .passes import waits


def onto_hyperplane(point: Tensor, normal: Tensor, gap: Tensor, norm: str, bounds: Bounds | None) -> Tensor:
    """Give the smallest d with <normal, d> = gap and point + d within bounds.

    Where the hyperplane lies beyond the bounds, d goes as far towards it as they allow. The optimum moves entry i by
    min(t u_i, room_i) in the direction of the gap, u = |normal| for L2 and 1 for Linf, room the distance to the bound.
    For L1 it moves entries as far as there is room, those of the largest |normal| first.
    <normal, d> is a concave, piecewise linear function of t: Newton's method from below, or sorting its breakpoints,
    gives the t that reaches the gap (what Croce and Hein, *Minimally distorted adversarial examples with a fast
    adaptive boundary attack*, 2020, solve by bisection).

    Parameters
    ----------
    point, normal : Tensor, (N, d)
    gap : Tensor, (N,)
    norm : {"linf", "l2", "l1"}
    bounds : (float, float) or None

    Returns
    -------
    Tensor, (N, d)
    """
    towards = normal.sign() * gap.sign()[:, None]
    steep = normal.abs()
    if norm == "l1":
        room = torch.full_like(point, torch.inf) if bounds is None else _room(point, towards, bounds)
        return towards * one_by_one(room, steep, gap.abs())
    unit = steep if norm == "l2" else (steep > 0).to(steep.dtype)
    slope = steep * unit
    tiny = torch.finfo(point.dtype).tiny
    if bounds is None:
        reach = gap.abs() / slope.sum(dim=1).clamp_min(tiny)
        return towards * reach[:, None] * unit
    room = _room(point, towards, bounds)
    # A few sums are less than a sort on the CPU; elsewhere each of them would wait for the device.
    reach_of = sorted_reach if waits(point.device) else climbed_reach
    reach = reach_of(room, unit, steep, slope, gap.abs())
    return towards * torch.minimum(reach[:, None] * unit, room)


def _room(point: Tensor, towards: Tensor, bounds: Bounds) -> Tensor:
    """Give how far each entry may be moved."""
    return torch.where(towards > 0, bounds[1] - point, point - bounds[0]).clamp_min(0)


def one_by_one(room: Tensor, steep: Tensor, gap: Tensor) -> Tensor:
    """Give the m <= room of the smallest sum with sum_i steep_i m_i = gap; all the room there is if none reaches it."""
    slopes, order = steep.sort(dim=1, descending=True, stable=True)
    ahead = room.gather(1, order)
    # What is infinitely far from its bound takes all of the gap.
    gained = torch.where(slopes > 0, slopes * ahead, 0).clamp_max(torch.finfo(room.dtype).max / room.shape[1])
    before = torch.nn.functional.pad(gained.cumsum(dim=1)[:, :-1], (1, 0))
    left = gap[:, None] - before
    moved = torch.where(slopes > 0, torch.minimum(left.clamp_min(0) / slopes, ahead), 0)
    return torch.zeros_like(room).scatter(1, order, moved)


def climbed_reach(room: Tensor, unit: Tensor, steep: Tensor, slope: Tensor, gap: Tensor) -> Tensor:
    """Give what `sorted_reach` gives, by Newton's method.

    Of a concave function each step from below ends below the solution, and behind another breakpoint if it is not the
    last one.
    """
    weight, tiny = steep * room, torch.finfo(room.dtype).tiny
    full = room <= 0
    while True:
        # Products, since torch.where takes several times as long.
        filled, left = full.to(room.dtype), (~full).to(room.dtype)
        rising = (slope * left).sum(dim=1)
        reach = (gap - (weight * filled).sum(dim=1)) / rising.clamp_min(tiny)
        more = full | (reach[:, None] * unit >= room)
        if torch.equal(more, full):
            break
        full = more
    short = rising <= 0
    if short.any():
        last = torch.where(unit > 0, room / unit.clamp_min(tiny), 0).amax(dim=1)
        reach = torch.where(short, last, reach)
    return reach


def sorted_reach(room: Tensor, unit: Tensor, steep: Tensor, slope: Tensor, gap: Tensor) -> Tensor:
    """Give the t at which sum_i steep_i min(t unit_i, room_i) = gap, (N,); the last breakpoint if none does."""
    tiny = torch.finfo(room.dtype).tiny
    breaks, order = torch.where(unit > 0, room / unit.clamp_min(tiny), 0).sort(dim=1)
    filled = (steep * room).gather(1, order).cumsum(dim=1)
    rising = slope.sum(dim=1, keepdim=True) - slope.gather(1, order).cumsum(dim=1)
    there = filled + breaks * rising.clamp_min(0)
    segment = (there < gap[:, None]).sum(dim=1, keepdim=True)
    beyond = segment.squeeze(1) == breaks.shape[1]
    before = (segment - 1).clamp_min(0)
    first = segment == 0
    full = torch.where(first, 0, filled.gather(1, before))
    left = torch.where(first, slope.sum(dim=1, keepdim=True), rising.gather(1, before)).clamp_min(tiny)
    reach = ((gap[:, None] - full) / left).squeeze(1)
    return torch.where(beyond, breaks[:, -1], reach)

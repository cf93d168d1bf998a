"""The L1 ball: sums of absolute entries, and steps that move few of them.

Sources: Croce and Hein, *Mind the box: l1-APGD for sparse adversarial attacks on image classifiers*, 2021, for the
projection; Tramèr and Boneh, *Adversarial training and robustness for multiple perturbations*, 2019, for the step.
"""

import torch
from torch import Tensor

from .inputs import Bounds, clipped
from .noise import FreshNoise, Noise
from .passes import waits

MOVED = 0.01
"""Share of the entries that a step moves (SLIDE's 99th percentile): the steepest step moves one, which bounds stop."""

NEWTON, HALVINGS = 30, 60
"""Rounds of the search for a threshold by Newton's method, of which ten are needed, then by halving alone."""

SUMMED = 1e-12
"""Share of the radius by which sums of many entries in float64 may miss it."""


class L1:
    """Sum of the absolute entries within eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give equal shares to the entries of the largest gradient, a hundredth of all; 0 where it is 0, or no number.

        A linear function rises most if one entry alone is moved, but then in an image hardly anything may be.
        """
        flat = gradient.flatten(1)
        count = torch.full_like(flat[:, 0], max(1, int(MOVED * flat.shape[1])), dtype=torch.int64)
        return steepest_entries(gradient, count)

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Give the nearest point of the ball that lies within the bounds.

        It moves entry i by min(max(|d_i| - t, 0), room_i), d the perturbation and room the distance to the bound, with
        the same t >= 0 for all (Croce and Hein, 2021, proposition 2.1). Each entry is rounded towards the clean one, so
        that the sum stays within eps however many entries there are.
        """
        boxed, exact = clipped(x_adv, bounds), x.dtype if x.device.type == "mps" else torch.float64
        clean, ahead, box = (each.flatten(1).to(exact) for each in (x, x_adv, boxed))
        delta, room = ahead - clean, (box - clean).abs()
        size, whole = delta.abs(), room.sum(dim=1, keepdim=True)
        # A number made a tensor by torch.as_tensor would be copied to a GPU, and waited for.
        radius = eps.to(exact).reshape(-1, 1) if isinstance(eps, Tensor) else torch.full_like(whole[:1], eps)
        radius = radius.expand(len(x), 1)
        inside = whole <= radius * (1 + SUMMED)
        if exact == x.dtype:
            # Differences are no more exact than the numbers, and what was projected has to stay as it is.
            unsure = torch.where(room > 0, torch.maximum(clean.abs(), box.abs()), 0).sum(dim=1, keepdim=True)
            inside |= whole <= radius + torch.finfo(exact).eps * unsure
        # A few sums are less than a sort on the CPU; elsewhere each of them would wait for the device.
        threshold_of = _sorted if waits(x.device) else _climbed
        threshold = threshold_of(size, room, torch.minimum(radius, whole))
        moved = torch.minimum((size - threshold).clamp_min_(0), room)
        found = (clean + delta.sign() * moved).to(x.dtype)
        beyond = (found.to(exact) - clean).abs() > moved
        found = torch.where(beyond, torch.nextafter(found, x.flatten(1)), found)
        return clipped(torch.where(inside, boxed.flatten(1), found).view_as(x), bounds)

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw uniformly from the ball: a random direction, and a radius by the d-th root of a uniform number."""
        features = x[0].numel() if len(x) else 1
        radius = noise.uniform(*(1,) * (x.ndim - 1)).pow(1 / features)
        signed = 2 * noise.uniform(*x.shape[1:]) - 1
        # Entries of this distribution, brought to one sum, are uniform on the sphere.
        laplace = -signed.sign() * torch.log1p(-signed.abs().clamp_max(1 - torch.finfo(x.dtype).eps))
        return x + eps * radius * _to_sum_1(laplace)

    def surface(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw from the normal distribution, and bring the sum to eps."""
        return x + eps * _to_sum_1(noise.normal(*x.shape[1:]))


def steepest_entries(gradient: Tensor, count: Tensor) -> Tensor:
    """Give the signs of the largest entries, `count` (N,) of each example, brought to sum 1; ties come along."""
    gradient = gradient.nan_to_num(nan=0.0)
    sizes = gradient.abs().flatten(1)
    most = sizes.shape[1] if waits(sizes.device) else int(count.max()) if len(count) else 1
    least = sizes.topk(most, dim=1).values.gather(1, count[:, None] - 1)
    signs = torch.where(sizes >= least, gradient.flatten(1).sign(), 0).view_as(gradient)
    return _to_sum_1(signs)


def entries_with_room(gradient: Tensor, x_adv: Tensor, bounds: Bounds | None) -> Tensor:
    """Give the gradient without the entries that are at the bound which it points to."""
    if bounds is None:
        return gradient
    ahead = torch.nextafter(x_adv, x_adv + gradient.sign())
    return torch.where(clipped(ahead, bounds) == x_adv, 0, gradient)


def _to_sum_1(values: Tensor) -> Tensor:
    # A sum of many entries is no number of float16.
    wide = torch.promote_types(values.dtype, torch.float32)
    sums = values.abs().flatten(1).sum(dim=1, dtype=wide).clamp_min(torch.finfo(wide).tiny)
    return (values / sums.view(-1, *(1,) * (values.ndim - 1))).to(values.dtype)


def _climbed(size: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """Give what `_sorted` gives, by Newton's method, which meets it exactly once it is on the right piece.

    The sum is neither convex nor concave in t, so that the interval is halved where Newton's method would leave it.
    """
    low, high = torch.zeros_like(radius), size.amax(dim=1, keepdim=True)
    threshold = torch.where(radius > 0, low, high)
    found, rows = threshold.clone(), torch.arange(len(size), device=size.device)
    for number in range(NEWTON + HALVINGS):
        left = (size - threshold).clamp_min_(0)
        excess = torch.minimum(left, room).sum(dim=1, keepdim=True) - radius
        low, high = torch.where(excess > 0, threshold, low), torch.where(excess > 0, high, threshold)
        slope = ((left > 0) & (left < room)).sum(dim=1, keepdim=True)
        ahead = threshold + excess / slope
        more = (excess.abs() > SUMMED / 8 * radius) & (ahead != threshold)
        between = (ahead > low) & (ahead < high) & (number < NEWTON)
        ahead = torch.where(between, ahead, (low + high) / 2)
        more &= ahead != threshold
        found[rows] = threshold = torch.where(more, ahead, threshold)
        going = more.squeeze(1)
        if not (count := int(going.sum())):
            break
        if 2 * count <= len(going):
            # Most are through in a few rounds.
            rows, size, room, radius, threshold, low, high = (
                each[going] for each in (rows, size, room, radius, threshold, low, high)
            )
    return found


def _sorted(size: Tensor, room: Tensor, radius: Tensor) -> Tensor:
    """Give the t at which entries, shortened by it and within their room, sum to the radius, (N, 1).

    The sum is piecewise linear in t: an entry begins to fall at size - room, and is 0 from its size on.
    """
    places, order = torch.cat([size - room, size], dim=1).sort(dim=1)
    falling = torch.where(order < size.shape[1], 1, -1).cumsum(dim=1)
    steps = falling[:, :-1] * places.diff(dim=1)
    sums = room.sum(dim=1, keepdim=True) - torch.nn.functional.pad(steps.cumsum(dim=1), (1, 0))
    piece = ((sums > radius).sum(dim=1, keepdim=True) - 1).clamp_min(0)
    reached = places.gather(1, piece)
    reached = reached + (sums.gather(1, piece) - radius).clamp_min(0) / falling.gather(1, piece).clamp_min(1)
    return torch.where(radius > 0, reached, places[:, -1:])

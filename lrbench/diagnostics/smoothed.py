"""A smoothed network as a model of its own, and its robust accuracy between a certificate and an attack.

>>> from lrbench.diagnostics.smoothed import bracket
>>> found = bracket(model, x, y, sigma=0.25, radii=[0.0, 0.25, 0.5])  # doctest: +SKIP
>>> found.certified.double().mean(dim=1), found.withstood.double().mean(dim=1)  # doctest: +SKIP

Source of the attack: Salman et al., *Provably robust deep learning via adversarially trained smoothed classifiers*,
2019.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.attacks import PGD, Bounds
from lrbench.attacks.inputs import as_inputs, as_labels
from lrbench.attacks.noise import Noise
from lrbench.attacks.outputs import as_logits, tensor_of
from lrbench.attacks.ranges import at_least, finite
from lrbench.diagnostics.smoothing import (
    ABSTAINS,
    DRAWS,
    Certificates,
    Done,
    Model,
    certify,
    predict,
    under_noise,
    wide,
)


class Smoothed(nn.Module):
    """A network averaged over Gaussian noise, as one that attacks, checks and boards can be asked of.

    Logits are the logarithms of the mean of softmax(model(x + sigma * noise)) over some draws. The noise of an image
    follows from the seed and its pixels, so that the same image always has the same logits, whatever its batch, and one
    that moves meets new noise at each step (expectation over transformation).

    Parameters
    ----------
    model : nn.Module or callable
        Inputs to logits.
    sigma : float, > 0
    draws : int, >= 1
    seed : int
    """

    def __init__(self, model: Model, sigma: float, draws: int = DRAWS, seed: int = 0) -> None:
        super().__init__()
        finite(sigma=sigma, above_zero=True)
        at_least(1, draws=draws)
        self.model, self.sigma, self.draws, self.seed = model, sigma, draws, seed

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (N, classes)."""
        noise = Noise(wide(x), self.seed, "smoothed").normal(self.draws, *x.shape[1:])
        noisy = under_noise(x, self.sigma, noise)
        output = self.model(noisy)
        logits = as_logits(output, len(noisy)) if len(x) else tensor_of(output)
        said = logits.log_softmax(dim=1).view(len(x), self.draws, logits.shape[1])
        return said.logsumexp(dim=1) - math.log(self.draws)


@dataclass(frozen=True)
class Bracket:
    """Robust accuracy of a smoothed network between two bounds, at each radius.

    Attributes
    ----------
    certificates : Certificates
    radii : sequence of float
        Ascending.
    certified, withstood : Tensor, (radii, N), bool
        Whether an image is certified within the radius, and whether no attack within it was found: an image that is
        certified is not attacked, and one on which the smoothed network abstains is no success of an attack.
    """

    certificates: Certificates
    radii: Sequence[float]
    certified: Tensor
    withstood: Tensor


def bracket(  # noqa: PLR0913
    model: Model,
    x: Tensor,
    y: Tensor,
    sigma: float,
    radii: Sequence[float],
    n0: int = 100,
    n: int = 1000,
    alpha: float = 0.001,
    *,
    steps: int = 20,
    draws: int = 8,
    bounds: Bounds | None = (0.0, 1.0),
    seed: int = 0,
    batch_size: int = 500,
    done: Done = lambda _share: None,
) -> Bracket:
    """Certify a smoothed network, and attack what is not certified.

    The attack is PGD in the L2 ball on the mean probability of `draws` draws a step (Salman et al., 2019). It counts
    where `predict` is certain of another class at the point that it found; then it counts at larger radii, too.

    Parameters
    ----------
    model, x, sigma, n0, n, alpha, seed, batch_size, done
        As for `certify`; `predict` takes n draws, too.
    y : Tensor, (N,), integers
    radii : sequence of float, >= 0
    steps, draws : int, >= 1
    bounds : (float, float) or None
        Valid range of an attacked image.

    Raises
    ------
    ValueError
        If an argument is out of range, or the model gives NaN.
    """
    ordered = _ordered(radii)
    at_least(1, steps=steps, draws=draws)
    x = as_inputs(x, bounds)
    y = as_labels(y, x)
    # Steps of an attack on images in half precision would be rounded out of its ball.
    rounded, x = model if wide(x) is x else _Rounding(model, x.dtype), wide(x)
    share = 1 / (1 + len(ordered))
    found = certify(
        rounded, x, sigma, n0, n, alpha, seed=seed, batch_size=batch_size, done=lambda each: done(each * share)
    )
    certified = torch.stack([found.certified(y, radius) for radius in ordered])
    fooled, withstood = (found.predicted != y) & (found.predicted != ABSTAINS), []
    for place, (radius, sure) in enumerate(zip(ordered, certified, strict=True)):
        open_ = (~fooled & ~sure).nonzero().squeeze(1)
        if radius > 0 and len(open_):
            attack = PGD(radius, steps=steps, norm="l2", bounds=bounds, seed=seed)
            smoothed = Smoothed(rounded, sigma, draws, seed)
            group = max(1, batch_size // draws)
            moved = torch.cat([attack(smoothed, x[rows], y[rows]) for rows in open_.split(group)])
            said = predict(rounded, moved, sigma, n, alpha, seed=seed, batch_size=batch_size)
            fooled = fooled.index_put((open_,), (said != y[open_]) & (said != ABSTAINS))
        withstood.append(~fooled)
        done(share * (place + 2))
    return Bracket(found, ordered, certified, torch.stack(withstood))


class _Rounding(nn.Module):
    """A network whose inputs are rounded to a dtype; gradients go through that as through the identity."""

    def __init__(self, model: Model, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401
        return self.model(x.to(self.dtype))


def _ordered(radii: Sequence[float]) -> list[float]:
    try:
        ordered = sorted({float(each) for each in radii})
    except (TypeError, ValueError) as error:
        msg = f"radii must be numbers, got {radii!r:.80}"
        raise ValueError(msg) from error
    if not ordered:
        msg = "radii must hold one radius at least"
        raise ValueError(msg)
    for each in ordered:
        finite(radius=each)
    return ordered

"""Randomised smoothing: what a network says under Gaussian noise, and how far that is certified in L2.

>>> from lrbench.diagnostics.smoothing import certify
>>> found = certify(model, x, sigma=0.25, n=10_000)  # doctest: +SKIP
>>> found.accuracy(y, radius=0.5)  # doctest: +SKIP

Source: Cohen, Rosenfeld and Kolter, *Certified adversarial robustness via randomized smoothing*, 2019 (algorithms
Certify and Predict).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from scipy import special
from torch import Tensor, nn
from torch.nn import functional

from lrbench.attacks import in_batches, prepared
from lrbench.attacks.geometry import at_least_float32
from lrbench.attacks.inputs import as_inputs
from lrbench.attacks.noise import Noise, contents
from lrbench.attacks.ranges import at_least, finite
from lrbench.statistics import clopper_pearson

ABSTAINS = -1
"""In place of a class."""

DRAWS = 20
"""Of an image, in one pass: fixed, so that no random number depends on how many images go through together."""

Model = Callable[[Tensor], Any]
Done = Callable[[float], object]


@dataclass(frozen=True)
class Certificates:
    """What Certify says of each image.

    Attributes
    ----------
    predicted : Tensor, (N,), int64
        Class of the smoothed network; `ABSTAINS` where none is certain.
    radius : Tensor, (N,), float64
        L2 distance within which it stays that class, with probability at least 1 - alpha an image; 0 where it abstains.
    guessed : Tensor, (N,), int64
        The most frequent class of the first n0 draws.
    count : Tensor, (N,), int64
        How many of n further draws were that class.
    n : int
    alpha : float
    """

    predicted: Tensor
    radius: Tensor
    guessed: Tensor
    count: Tensor
    n: int
    alpha: float

    def certified(self, y: Tensor, radius: float = 0.0) -> Tensor:
        """Whether each image is certified to stay of its class, y, within a radius: (N,), bool."""
        return (self.predicted == y) & (self.radius >= radius)

    def accuracy(self, y: Tensor, radius: float = 0.0) -> float:
        """Share of the images that are certified to stay of their class within a radius; who abstains is wrong."""
        return self.certified(y, radius).double().mean().item()


def certify(  # noqa: PLR0913
    model: Model,
    x: Tensor,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    *,
    seed: int = 0,
    batch_size: int = 500,
    done: Done = lambda _share: None,
) -> Certificates:
    """Certify a smoothed network on images (algorithm Certify): x -> argmax_c P(model(x + sigma * noise) = c).

    A class is guessed from n0 draws; of n others the share of that class has a lower bound p by Clopper and Pearson, at
    confidence 1 - alpha, and the radius is sigma * Phi^-1(p) if p is above 1/2. The largest radius that n can show is
    sigma * Phi^-1(alpha^(1/n)).

    Parameters
    ----------
    model : nn.Module or callable
        Inputs to logits, (N, classes); left as it was. Noisy inputs are not clipped.
    x : Tensor, (N, ...), floating point
    sigma : float, > 0
        Standard deviation of the noise, in the units of x. It is added in float32 at least; what reaches the model is
        rounded to the dtype of x, and is certified as a part of it.
    n0, n : int, >= 1
    alpha : float, in (0, 1)
    seed : int
        Of the noise, which depends on it and on the image alone: the same on every device, in batches of any size. A
        second copy of an image has noise of its own, so that certificates fail independently of one another.
    batch_size : int
        Noisy images a pass, in whole images of `DRAWS` draws each; halved where memory runs out.
    done : callable, optional
        Told which share of the images is done.

    Raises
    ------
    ValueError
        If an argument is out of range, there are no images, or the model gives NaN.
    """
    _check(sigma, alpha, n0=n0, n=n)
    first, counts = _counts(model, x, sigma, {"guess": n0, "certify": n}, seed, batch_size, done)
    guessed = first.argmax(dim=1)
    count = counts.gather(1, guessed[:, None]).squeeze(1)
    low = torch.tensor([clopper_pearson(each, n, alpha) for each in count.tolist()], dtype=torch.float64)
    certain = low > 0.5
    radius = torch.where(certain, sigma * torch.special.ndtri(low), 0.0).to(x.device)
    predicted = torch.where(certain.to(x.device), guessed, ABSTAINS)
    return Certificates(predicted, radius, guessed, count, n, alpha)


def predict(
    model: Model,
    x: Tensor,
    sigma: float,
    n: int = 1000,
    alpha: float = 0.001,
    *,
    seed: int = 0,
    batch_size: int = 500,
) -> Tensor:
    """Classes of a smoothed network, (N,), int64 (algorithm Predict); `ABSTAINS` where none is certain.

    A class is not the smoothed network's with probability at most alpha. Parameters and errors are those of `certify`.
    """
    _check(sigma, alpha, n=n)
    (counts,) = _counts(model, x, sigma, {"predict": n}, seed, batch_size)
    (first, second), classes = counts.topk(2, dim=1).values.T.tolist(), counts.argmax(dim=1)
    # Twice the tail is the exact two-sided p of a fair coin.
    p = [min(1.0, 2 * special.bdtr(less, more + less, 0.5)) for more, less in zip(first, second, strict=True)]
    return torch.where(torch.tensor(p, device=x.device) > alpha, ABSTAINS, classes)


def _check(sigma: float, alpha: float, **counts: int) -> None:
    finite(sigma=sigma, above_zero=True)
    at_least(1, **counts)
    finite(alpha=alpha)
    if not 0 < alpha < 1:
        msg = f"alpha must be in (0, 1), got {alpha:g}"
        raise ValueError(msg)


def _counts(
    model: Model,
    x: Tensor,
    sigma: float,
    asked: dict[str, int],
    seed: int,
    batch_size: int,
    done: Done = lambda _share: None,
) -> list[Tensor]:
    """How often each class is the largest output under noise, (N, classes), int64, for each purpose and its draws."""
    at_least(1, batch_size=batch_size)
    x = as_inputs(x, None)
    if not len(x):
        msg = "smoothing needs images, x holds none"
        raise ValueError(msg)
    with prepared(model, x) as net, torch.no_grad():
        copies = _copies(x)

        def work(rows: slice) -> list[Tensor]:
            return [
                _counted(net, x[rows], sigma, count, Noise(wide(x[rows]), seed, [why + each for each in copies[rows]]))
                for why, count in asked.items()
            ]

        images = max(1, batch_size // DRAWS)
        parts = in_batches(work, len(x), images, lambda so_far: done(so_far / len(x)))
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def _copies(x: Tensor) -> list[str]:
    """Give for each image a mark of how many like it come before: empty for the first of them."""
    seen: Counter[bytes] = Counter()
    marks = []
    for row in contents(x):
        marks.append(f"/{seen[row]}" if seen[row] else "")
        seen[row] += 1
    return marks


def wide(x: Tensor) -> Tensor:
    """Give images in float32 at least: noise that is drawn or added in float16 or bfloat16 is not Gaussian."""
    return x.to(at_least_float32(x))


def under_noise(x: Tensor, sigma: float, drawn: Tensor) -> Tensor:
    """Add noise, (N, draws, ...), from the standard normal distribution, to images, (N, ...): (N * draws, ...)."""
    return (wide(x)[:, None] + sigma * drawn).flatten(0, 1).to(x.dtype)


def _counted(net: nn.Module, x: Tensor, sigma: float, count: int, noise: Noise) -> Tensor:
    total: Tensor | int = 0
    unknown = torch.zeros((), dtype=torch.int64, device=x.device)
    for begin in range(0, count, DRAWS):
        drawn = noise.normal(min(DRAWS, count - begin), *x.shape[1:])
        logits: Tensor = net(under_noise(x, sigma, drawn))
        unknown += logits.isnan().any(dim=1).sum()
        said = functional.one_hot(logits.argmax(dim=1), logits.shape[1])
        total = total + said.view(len(x), -1, logits.shape[1]).sum(dim=1)
    if unknown:
        msg = f"the model gives NaN for {int(unknown)} noisy images"
        raise ValueError(msg)
    assert isinstance(total, Tensor)  # noqa: S101
    return total

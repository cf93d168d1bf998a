"""What is asked of a network before its figures are believed: each question once, with its answer's threshold."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

Predict = Callable[[Tensor], Tensor]

ROUNDING = 1e-3
"""Difference of logits, relative to how far apart they lie, that counts as rounding."""

ULPS = 64
"""Units in the last place of a logit that always count as rounding."""

FEW = 16
"""So many images are looked at more closely."""

DRAWS = 17
"""Calls on the same images: a network that draws the likelier of two things half of the time gives the same in all of
them in less than one case of 60,000."""

WITHOUT = 0.1
"""Share of images without a usable gradient up to which a network counts as one that has gradients."""

SUM = 1e-3
"""How far from 1 the sum of probabilities may be."""

MODAL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
"""Modules that do something else in training mode."""


class Answer(NamedTuple):
    """A figure, and whether it is past the threshold."""

    figure: float
    yes: bool


def is_random(predict: Predict, x: Tensor, logits: Tensor) -> Answer:
    """Whether predictions of the same images differ: by how much at most (`difference`).

    All images are predicted once more, and `FEW` of them `DRAWS` times, until a difference is found.

    Parameters
    ----------
    predict : callable
        (n, ...) -> logits (n, classes).
    x : Tensor, (N, ...)
    logits : Tensor, (N, classes)
        What `predict` gave for x.
    """
    figure = difference(predict(x), logits)
    few = x[:FEW]
    first = predict(few)
    for _ in range(DRAWS - 1):
        if figure > ROUNDING:
            break
        figure = max(figure, difference(predict(few), first))
    return Answer(figure, figure > ROUNDING)


def depends_on_batch(predict: Predict, x: Tensor, logits: Tensor) -> Answer:
    """Whether an image's logits depend on the others: by how much at most, alone and in a batch (`difference`).

    To be asked of a network that is not random. Parameters as of `is_random`.
    """
    few = x[:FEW]
    alone = torch.cat([predict(few[i : i + 1]) for i in range(len(few))])
    figure = max(difference(alone, predict(few)), difference(alone, logits[: len(few)]))
    return Answer(figure, figure > ROUNDING)


def share_of(images: Tensor) -> float:
    """Give the share of images, bool (N,), of which something is true.

    As the quotient of two counts: the mean in float32 of 10 of 100 is above 0.1, the limit of some questions.
    """
    return int(images.sum()) / len(images)


def gives_probabilities(logits: Tensor) -> Answer:
    """Whether outputs (N, classes) are probabilities, none negative and with sum 1: the share that are; yes if all.

    Of a single output, which stands as (0, z) here, whether it lies between 0 and 1.
    """
    single = logits.shape[1] == 2 and bool((logits[:, 0] == 0).all())
    summed = logits[:, 1] <= 1 if single else (logits.sum(dim=1) - 1).abs() < SUM
    share = share_of((logits >= 0).all(dim=1) & summed)
    return Answer(share, share == 1)


def lacks_gradients(gradient: Tensor | None) -> Answer:
    """Whether attacks would stand still: the share of images whose input gradient is zero or not finite.

    Parameters
    ----------
    gradient : Tensor, (N, ...), or None
        Of the cross-entropy; None where the network gives none.
    """
    if gradient is None:
        return Answer(1.0, yes=True)
    flat = gradient.flatten(1)
    share = share_of(~flat.isfinite().all(dim=1) | (flat == 0).all(dim=1))
    return Answer(share, share > WITHOUT)


def difference(first: Tensor, second: Tensor) -> float:
    """Largest difference of two batches of logits, relative to how far the second's lie apart.

    That is the median over images of the median gap below the largest logit: a class that is ruled out by a logit of
    -1e9 or minus infinity makes no other difference look small. Infinite where one batch has a logit that is not
    finite and the other has not the same.
    """
    a, b = first.double(), second.double()
    same = (a == b) | (a.isnan() & b.isnan())
    beyond = ~same & ~(a.isfinite() & b.isfinite())
    if beyond.any():
        return float("inf")
    rounding = ULPS * torch.finfo(second.dtype).eps * b.abs().nan_to_num(posinf=0.0, neginf=0.0)
    apart = torch.where(same, 0.0, (a - b).abs() - rounding).clamp_min(0)
    gaps = b.amax(dim=1, keepdim=True) - b
    others = gaps.sort(dim=1).values[:, 1:] if b.shape[1] > 1 else gaps
    # Of what is sorted; `median` along a dimension has no deterministic form on a GPU.
    middle = others.nan_to_num(posinf=torch.finfo(torch.float64).max)[:, (others.shape[1] - 1) // 2]
    scale = middle.median()
    return (apart.max() / scale.clamp_min(1e-12)).item()

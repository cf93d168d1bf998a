"""What is asked of a network before its figures are believed: each question once, with its answer's threshold."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

Predict = Callable[[Tensor], Tensor]

ROUNDING = 1e-3
"""Difference of logits, relative to the largest, that counts as rounding."""

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
    """Whether predictions of the same images differ: their largest difference, relative to the largest logit.

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
    """Whether an image's logits depend on the others: their largest difference alone and in a batch, relative.

    To be asked of a network that is not random. Parameters as of `is_random`.
    """
    few = x[:FEW]
    alone = torch.cat([predict(few[i : i + 1]) for i in range(len(few))])
    figure = max(difference(alone, predict(few)), difference(alone, logits[: len(few)]))
    return Answer(figure, figure > ROUNDING)


def gives_probabilities(logits: Tensor) -> Answer:
    """Whether outputs (N, classes) are probabilities, none negative and with sum 1: the share that are; yes if all."""
    share = ((logits >= 0).all(dim=1) & ((logits.sum(dim=1) - 1).abs() < SUM)).float().mean().item()
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
    share = (~flat.isfinite().all(dim=1) | (flat == 0).all(dim=1)).float().mean().item()
    return Answer(share, share > WITHOUT)


def difference(first: Tensor, second: Tensor) -> float:
    """Largest difference of two batches of logits, relative to the largest of the second."""
    return ((first - second).abs().max() / second.abs().max().clamp_min(1e-12)).item()

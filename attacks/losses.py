"""What gradient attacks increase: one value an example, shape (N,), of logits (N, classes) and labels (N,)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .geometry import tiny

Loss = Callable[[Tensor, Tensor], Tensor]

ROUNDED = 16
"""In units of the machine epsilon of logits, an error of theirs that is rounding."""


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of the true label."""
    return functional.cross_entropy(logits, y, reduction="none")


def misclassified(logits: Tensor, y: Tensor) -> Tensor:
    """Whether the class that the model gives is another than y, (N,), bool: what counts as a success everywhere.

    Of equal logits the first one is the class, so that a margin of 0 may be either.
    """
    return logits.argmax(dim=1) != y


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Largest other logit minus the true label's: positive where the example is misclassified, negative where not.

    Source: Carlini and Wagner, *Towards evaluating the robustness of neural networks*, 2017, f_6 without its floor.
    """
    true = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.max(dim=1).values - true


def rounding(logits: Tensor, y: Tensor) -> Tensor:
    """Give how much of the margin rounding may be, (N,): of the two logits that it is made of, whatever the others are.

    What else is in a pass, and where it is made, changes the last bits of logits.
    """
    true = logits.gather(1, y[:, None]).squeeze(1)
    largest = torch.maximum(true.abs(), (margin(logits, y) + true).abs())
    # An infinite logit is not rounded.
    return ROUNDED * torch.finfo(logits.dtype).eps * torch.where(largest.isfinite(), largest, 0)


def surely_misclassified(logits: Tensor, y: Tensor) -> Tensor:
    """Whether it is `misclassified` by more than rounding, and so will be in another pass, (N,), bool."""
    # Of infinite logits the margin may be no number.
    return misclassified(logits, y) & ~(margin(logits, y) <= rounding(logits, y))


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Difference of logits ratio: the margin over the spread of the three largest logits, which no scale can hide.

    Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks*, 2020, equation 6. Needs at least three classes.
    """
    ordered = logits.sort(dim=1, descending=True).values
    return margin(logits, y) / (ordered[:, 0] - ordered[:, 2] + tiny(logits))


def too_few(loss: Callable[..., Tensor], classes: int) -> str | None:
    """Say why a loss cannot be taken of so many classes; None if it can."""
    needed = CLASSES.get(loss, 2)
    if classes >= needed:
        return None
    what = {dlr: "the DLR loss", targeted_dlr: "the targeted DLR loss"}.get(loss, "an attack")
    return f"{what} needs at least {needed} classes; this model has {classes}"


def targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """DLR towards a target class (Croce and Hein, 2020, equation 7). Needs at least four classes."""
    ordered = logits.sort(dim=1, descending=True).values
    spread = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
    return targeted_margin(logits, y, target) / (spread + tiny(logits))


def targeted_margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Logit of a target class minus the true label's: positive where the target is likelier."""
    return (logits.gather(1, target[:, None]) - logits.gather(1, y[:, None])).squeeze(1)


CLASSES = {dlr: 3, targeted_dlr: 4}
"""Classes that a loss needs, of those that need more than two."""

LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "margin": margin, "dlr": dlr}

TARGETED: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"dlr": targeted_dlr, "margin": targeted_margin}

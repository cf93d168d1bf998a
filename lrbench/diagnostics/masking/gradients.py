"""Checks of the gradient that the attacks follow."""

import torch

from lrbench.attacks.geometry import BALLS
from lrbench.attacks.losses import margin
from lrbench.attacks.noise import Noise
from lrbench.attacks.precision import rounded_products
from lrbench.diagnostics.masking.check import Measured, check
from lrbench.diagnostics.masking.subject import Subject
from lrbench.models.questions import WITHOUT, lacks_gradients, share_of

SMALL = 0.1
"""Small step and small noise, as shares of eps."""


@check(
    "gradients",
    "suspicious",
    condition="share of images whose loss has no gradient, a gradient of zeros, or one that is not finite; "
    f"flagged above {WITHOUT:g}",
    explanation="Without a gradient a white-box attack stands still, and what it does not find proves nothing.",
    advice="Remove or approximate the step that stops the gradient (BPDA), use a loss that does not saturate (DLR, "
    "margin), and look at the black-box attacks.",
)
def gradients(subject: Subject) -> Measured:
    """Count images without a usable gradient."""
    return Measured(*lacks_gradients(subject.gradient))


@check(
    "misleading-gradients",
    "suspicious",
    condition="share of images whose margin falls on a step of eps / 10 along its own gradient; flagged above 0.1",
    explanation="The loss is so rough around the image that its gradient does not say where it rises.",
    advice="Smooth the attack: average gradients over noise around the image, take larger steps, or go black-box.",
)
def misleading_gradients(subject: Subject) -> Measured:
    """Step along the gradient and see whether the margin rises."""
    # Products rounded to ten bits (TF32) may change a margin by more than a small step does.
    with rounded_products(allowed=False):
        gradient = subject.gradient_of(margin)
        if gradient is None:
            return Measured(float("nan"), flagged=False)
        ball = BALLS[subject.norm]
        step = SMALL * subject.eps
        ahead = ball.project(subject.x + step * ball.direction(gradient), subject.x, step, subject.bounds)
        before, after = (margin(subject.logits(x), subject.y) for x in (subject.x, ahead))
    share = share_of(after < before - 1e-4 * before.abs())
    return Measured(share, share > 0.1)


@check(
    "unstable-predictions",
    "suspicious",
    condition="share of images whose class changes under noise of eps / 10; flagged above 0.1",
    explanation="Predictions that change under noise too small to see show a loss surface that is noisy itself.",
    advice="Average predictions and gradients over noise before judging them; report accuracy under noise.",
)
def unstable_predictions(subject: Subject) -> Measured:
    """Look at the classes under a few draws of small noise."""
    noise = Noise(subject.x, subject.seed, "unstable")
    ball = BALLS[subject.norm]
    size = SMALL * subject.eps
    classes = subject.clean_logits.argmax(dim=1)
    changed = torch.zeros_like(classes, dtype=torch.bool)
    for _ in range(5):
        near = ball.project(ball.random(subject.x, size, noise), subject.x, size, subject.bounds)
        changed |= subject.logits(near).argmax(dim=1) != classes
    share = share_of(changed)
    return Measured(share, share > 0.1)

"""Checks of attacks against each other: figures that an honest gradient could not give."""

import torch
from torch import Tensor

from lrbench.diagnostics.masking.check import Measured, check
from lrbench.diagnostics.masking.subject import Subject, differ
from lrbench.models.questions import share_of

POINT = 0.01
RISE = 1e-6
"""Of the larger of an image's two highest logits: a margin that rose by less counts as one that rose by so much."""
SURE = 0.01
"""Largest p-value at which one attack counts as stronger than another on the same images."""


def stronger(first: Tensor, *others: Tensor) -> Measured:
    """By how much the first attack fooled more than the weakest of the others.

    Flagged if it did so by more than a point, and hardly by chance.
    """
    found = [differ(first, other) for other in others]
    return Measured(max(lead for lead, _ in found), any(lead > POINT and p < SURE for lead, p in found))


@check(
    "single-step-stronger",
    "broken",
    condition="share of images misclassified under a single step minus that under an iterative attack (APGD or "
    "plain PGD, the larger difference); flagged above 0.01 with p < 0.01",
    explanation="An iterative attack can do whatever a single step does; if it does less, it was led astray.",
    advice="Do not trust the iterative attack's figure: check its step size, and the gradient after the first step.",
)
def single_step_stronger(subject: Subject) -> Measured:
    """Hold one step against many."""
    return stronger(subject.single, subject.white, subject.path.end)


@check(
    "single-step-only",
    "suspicious",
    condition="misclassified images that a single step adds to those without attack, divided by those that an "
    "iterative attack (APGD) adds; flagged below 0.2 where the latter are 30 % of the images or more",
    explanation="The model withstands single steps and falls to iterated ones: its gradient at the image is bent, as "
    "single-step adversarial training can do (catastrophic overfitting).",
    advice="Leave figures of single-step attacks out; train against iterated ones.",
)
def single_step_only(subject: Subject) -> Measured:
    """Compare the gains over no attack."""
    single, white = (int(fooled.sum()) - int(subject.wrong.sum()) for fooled in (subject.single, subject.white))
    if white / len(subject.wrong) < 0.3:
        return Measured(float("nan"), flagged=False)
    return Measured(single / white, single / white < 0.2)


@check(
    "not-growing-with-eps",
    "broken",
    condition="share of images misclassified at half the radius minus that at the radius, or at the radius minus "
    "that at twice it, the larger difference; flagged above 0.01 with p < 0.01",
    explanation="A larger ball holds the smaller one, so an attack that works cannot find less in it.",
    advice="Give the attack more steps of a size that fits the radius; check the gradient away from the image.",
)
def not_growing_with_eps(subject: Subject) -> Measured:
    """Attack at half, once and twice the radius."""
    widest = 2 * subject.eps
    if subject.bounds is not None and subject.norm == "linf":
        widest = min(widest, subject.bounds[1] - subject.bounds[0])
    fooled = [subject.pgd(subject.eps / 2), subject.path.end, subject.pgd(widest)]
    found = [stronger(fooled[0], fooled[1]), stronger(fooled[1], fooled[2])]
    return Measured(max(each.figure for each in found), any(each.flagged for each in found))


@check(
    "unbounded-fails",
    "broken",
    condition="share of images misclassified without a radius; flagged below 1",
    explanation="Without a radius every image can be turned into one of another class; an attack that cannot do that "
    "does not see the model.",
    advice="Debug the attack at a large radius before believing it at a small one.",
)
def unbounded_fails(subject: Subject) -> Measured:
    """Attack without a radius."""
    share = share_of(subject.unlimited)
    return Measured(share, share < 1)


@check(
    "black-box-stronger",
    "broken",
    condition="share of images misclassified under random search minus that under a white-box attack (APGD or plain "
    "PGD, the larger difference); flagged above 0.01 with p < 0.01",
    explanation="A white-box attack knows more than a black-box one; if it finds less, the gradient misleads it.",
    advice="Report the black-box figure, and attack through what hides the gradient.",
)
def black_box_stronger(subject: Subject) -> Measured:
    """Hold Square against what follows the gradient."""
    return stronger(subject.black, subject.white, subject.path.end)


@check(
    "noise-stronger",
    "broken",
    condition="share of images misclassified under random noise minus that under a white-box attack (APGD or plain "
    "PGD, the larger difference); flagged above 0.01 with p < 0.01",
    explanation="Noise of the same radius aims at nothing; an attack that finds less aims away from the target.",
    advice="Check the attack for a wrong sign, a wrong loss or a vanishing gradient.",
)
def noise_stronger(subject: Subject) -> Measured:
    """Hold noise against what follows the gradient."""
    return stronger(subject.noisy, subject.white, subject.path.end)


@check(
    "transfer-stronger",
    "broken",
    condition="share of images misclassified under an attack made on another model minus that under a white-box "
    "attack (APGD or plain PGD, the larger difference); flagged above 0.01 with p < 0.01; not asked where no "
    "transfer was run",
    explanation="Images made for another model fool this one more often than those made for it: its own gradient hides "
    "them.",
    advice="Report the transfer figure, and attack through what hides the gradient.",
)
def transfer_stronger(subject: Subject) -> Measured:
    """Hold each transfer attack against what follows the gradient."""
    found = [stronger(fooled | subject.wrong, subject.white, subject.path.end) for fooled in subject.transfers]
    if not found:
        return Measured(float("nan"), flagged=False)
    return Measured(max(each.figure for each in found), any(each.flagged for each in found))


@check(
    "still-rising",
    "suspicious",
    condition="share of the margin's rise that falls into the last fifth of the steps, of images that withstood; "
    "flagged above 0.2 with 5 such images or more",
    explanation="The loss was still rising when the attack ended, so it ended too early.",
    advice="Give the attack more steps.",
)
def still_rising(subject: Subject) -> Measured:
    """Look at the best margin so far of those who withstood."""
    margins, end = subject.path.margins, subject.path.end
    if len(margins) < 10 or int((~end).sum()) < 5:
        return Measured(float("nan"), flagged=False)
    best = margins[:, ~end].cummax(dim=0).values
    late = best[-1] - best[-1 - len(best) // 5]
    # A margin that does not rise still moves by rounding, which is as large as the logits make it.
    least = RISE * subject.clean_logits[~end].topk(2, dim=1).values.abs().amax(dim=1)
    whole = torch.maximum(best[-1] - best[0], least).sum()
    share = (late.sum() / whole).item() if whole > 0 else 0.0
    return Measured(share, share > 0.2)


@check(
    "silent-success",
    "suspicious",
    condition="share of images misclassified on the way of an attack but not at its end; flagged above 0.05",
    explanation="The attack found an adversarial image and returned another: its figure is too low.",
    advice="Keep the best point of the path, as APGD does.",
)
def silent_success(subject: Subject) -> Measured:
    """Compare the path with its end."""
    share = share_of((subject.path.margins > 0).any(dim=0) & ~subject.path.end)
    return Measured(share, share > 0.05)


@check(
    "more-effort-helps",
    "suspicious",
    condition="share of images misclassified under twice the steps and restarts but not under the attack itself; "
    "flagged above 0.02 with 3 images or more",
    explanation="The attack had not found all it could, so the figure is of the attack, not of the model.",
    advice="Use more steps and restarts until the figure stays.",
)
def more_effort_helps(subject: Subject) -> Measured:
    """Attack again, harder."""
    gained = int((subject.stronger & ~subject.white).sum())
    share = gained / len(subject.white)
    return Measured(share, share > 2 * POINT and gained >= 3)


@check(
    "weaker-than-checks",
    "suspicious",
    condition="share of images misclassified under the checks' own attacks minus that under all attacks under "
    "examination, at this radius and below; flagged above 0.01 with p < 0.01; not asked where none ran",
    explanation="Attacks of a few steps found more than the attacks whose figures are shown, which are too high.",
    advice="Report the checks' figure, or attack with AutoAttack.",
)
def weaker_than_checks(subject: Subject) -> Measured:
    """Hold the attacks whose figures are shown against the checks' own."""
    if subject.claimed is None:
        return Measured(float("nan"), flagged=False)
    own = subject.stronger | subject.black | subject.noisy | subject.single
    return stronger(own, subject.claimed | subject.wrong)

"""Checks of what the model does when it predicts."""

from typing import Any

import torch
from torch import Tensor

from lrbench.attacks.frozen import frozen
from lrbench.diagnostics.masking.check import Measured, check
from lrbench.diagnostics.masking.subject import Subject
from lrbench.models.questions import DRAWS, FEW, MODAL, ROUNDING, depends_on_batch, gives_probabilities


@check(
    "training-mode",
    "suspicious",
    condition="modules with batch norm or dropout that are in training mode; flagged from 1 on",
    explanation="In training mode batch norm and dropout make outputs depend on chance and on the rest of the batch.",
    advice="Call model.eval(), and see that the model's own forward does not undo it.",
)
def training_mode(subject: Subject) -> Measured:
    """Count modules in training mode."""
    count = sum(module.training for module in subject.model.modules() if isinstance(module, MODAL))
    return Measured(count, count > 0)


@check(
    "random-output",
    "suspicious",
    condition=f"largest difference of logits between calls on the same images, two on all and {DRAWS} on {FEW} of "
    f"them, relative to how far logits lie apart; flagged above {ROUNDING:g}",
    explanation="A gradient of one random draw says little about the next, so attacks of single draws fail.",
    advice="Attack the expectation: give the attacks `eot`, and report the accuracy over several draws.",
)
def random_output(subject: Subject) -> Measured:
    """Compare calls."""
    return Measured(*subject.randomness)


@check(
    "batch-dependent",
    "suspicious",
    condition="largest difference of an image's logits alone and in a batch, relative to how far logits lie apart; "
    f"flagged above {ROUNDING:g}",
    explanation="If an output depends on the other images of a batch, neither accuracy nor an attack means much alone.",
    advice="Use stored statistics in evaluation mode; predict images one by one to be sure.",
)
def batch_dependent(subject: Subject) -> Measured:
    """Compare images in a batch with images alone; a model that draws at random is not blamed for it here."""
    if subject.randomness.yes:
        return Measured(float("nan"), flagged=False)
    return Measured(*depends_on_batch(subject.logits, subject.x, subject.clean_logits))


@check(
    "probabilities",
    "suspicious",
    condition="share of outputs that are probabilities (none negative, sum 1); flagged if all are",
    explanation="Losses are made for logits; a softmax before them flattens gradients, to zero where it saturates.",
    advice="Give the attacks the logits: take the softmax out of the model.",
)
def probabilities(subject: Subject) -> Measured:
    """Look for a softmax at the end."""
    return Measured(*gives_probabilities(subject.clean_logits))


@check(
    "gradients-in-prediction",
    "suspicious",
    condition="whether the model builds a gradient graph when asked not to; flagged if it does",
    explanation="A model that optimises while it predicts (purification, test-time adaptation) is not the function "
    "whose gradient the attacks see.",
    advice="Attack through the whole procedure, or approximate its backward pass (BPDA), and report its cost.",
)
def gradients_in_prediction(subject: Subject) -> Measured:
    """Watch for saved tensors while gradients are off."""
    kept = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += 1
        return tensor

    def unpack(packed: Any) -> Any:  # noqa: ANN401
        return packed

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, unpack)
    with frozen(subject.model), torch.no_grad(), hooks:
        subject.model(subject.x[:FEW])
    return Measured(float(kept > 0), kept > 0)

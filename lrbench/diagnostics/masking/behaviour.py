"""Checks of what the model does when it predicts."""

from typing import Any

import torch
from torch import Tensor, nn

from lrbench.attacks.frozen import frozen
from lrbench.diagnostics.masking.check import Measured, check
from lrbench.diagnostics.masking.subject import Subject

ROUNDING = 1e-3
"""Difference of logits, relative to the largest, that counts as rounding."""

ALONE = 16
"""So many images are also predicted one by one."""

MODAL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


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
    condition="largest difference of logits between two calls, relative to the largest logit; flagged above 0.001",
    explanation="A gradient of one random draw says little about the next, so attacks of single draws fail.",
    advice="Attack the expectation: give the attacks `eot`, and report the accuracy over several draws.",
)
def random_output(subject: Subject) -> Measured:
    """Compare two calls."""
    figure = _difference(subject.logits(subject.x), subject.clean_logits)
    return Measured(figure, figure > ROUNDING)


@check(
    "batch-dependent",
    "suspicious",
    condition="largest difference of an image's logits alone and in a batch, relative; flagged above 0.001",
    explanation="If an output depends on the other images of a batch, neither accuracy nor an attack means much alone.",
    advice="Use stored statistics in evaluation mode; predict images one by one to be sure.",
)
def batch_dependent(subject: Subject) -> Measured:
    """Compare images in a batch with images alone; a model that draws at random is not blamed for it here."""
    if random_output(subject).flagged:
        return Measured(float("nan"), flagged=False)
    few = subject.x[:ALONE]
    alone = torch.cat([subject.logits(few[i : i + 1]) for i in range(len(few))])
    figure = max(_difference(alone, subject.logits(few)), _difference(alone, subject.clean_logits[: len(few)]))
    return Measured(figure, figure > ROUNDING)


@check(
    "probabilities",
    "suspicious",
    condition="share of outputs that are probabilities (none negative, sum 1); flagged if all are",
    explanation="Losses are made for logits; a softmax before them flattens gradients, to zero where it saturates.",
    advice="Give the attacks the logits: take the softmax out of the model.",
)
def probabilities(subject: Subject) -> Measured:
    """Look for a softmax at the end."""
    logits = subject.clean_logits
    share = ((logits >= 0).all(dim=1) & ((logits.sum(dim=1) - 1).abs() < 1e-3)).float().mean().item()
    return Measured(share, share == 1)


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
        subject.model(subject.x[:ALONE])
    return Measured(float(kept > 0), kept > 0)


def _difference(first: Tensor, second: Tensor) -> float:
    return ((first - second).abs().max() / second.abs().max().clamp_min(1e-12)).item()

"""Borrow a model for evaluation and give it back exactly as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Put `model` in evaluation mode without parameter gradients; restore every flag on leaving.

    Evaluation mode keeps batch-norm statistics untouched and makes outputs independent of the batch;
    parameters without `requires_grad` collect no `.grad` and make the backward pass cheaper.

    Parameters
    ----------
    model : nn.Module
        Any module. Modes are restored module by module, since parts may have been frozen on purpose.
    """
    modes = [(module, getattr(module, "training", None)) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield model
    finally:
        for module, training in modes:
            if training is None:
                # A frozen TorchScript has no modes; being put into one has given it the attribute.
                vars(module).pop("training", None)
            else:
                module.training = training
        for parameter, requires_grad in flags:
            parameter.requires_grad_(requires_grad)

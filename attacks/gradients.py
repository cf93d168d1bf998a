"""Gradients with respect to a model's inputs, and what is said where there are none."""

from collections.abc import Callable

import torch
from torch import Tensor

from .batches import out_of_memory
from .regular import NO_KERNEL, line_of


def input_gradient(
    model: Callable[[Tensor], Tensor], x_adv: Tensor, objective: Callable[[Tensor], Tensor], eot: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Give logits, values of an objective of them, (N,), and its gradient with respect to the input.

    The gradient of the sum, not the mean: an example's gradient must not depend on who else is in the batch. With
    `eot` above 1 all three are means over so many passes, for models that draw random numbers (expectation over
    transformation; Athalye, Engstrom, Ilyas and Kwok, *Synthesizing robust adversarial examples*, 2018).

    Raises
    ------
    RuntimeError
        If the model's output does not depend differentiably on its input.
    """
    if eot > 1:
        passes = [input_gradient(model, x_adv, objective) for _ in range(eot)]
        logits, values, gradient = (torch.stack(parts).mean(dim=0) for parts in zip(*passes, strict=True))
        return logits, values, gradient
    with torch.enable_grad():
        x_adv = x_adv.detach().requires_grad_()
        logits = _followed(model, x_adv)
        require_gradient(logits)
        values = objective(logits)
        gradient = gradient_to(x_adv, values.sum())
    return logits.detach(), values.detach(), gradient


def _followed(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    try:
        return model(x)
    except RuntimeError as error:
        if "Inference tensors" not in str(error):
            raise
        msg = (
            "the model holds tensors made inside torch.inference_mode(), which no gradient can pass; make them outside"
        )
        raise NoGradientError(msg) from error


def gradient_to(x: Tensor, value: Tensor, *, again: bool = False) -> Tensor:
    """Give the gradient of a value with respect to inputs; with `again`, another may be asked of the same pass.

    Raises
    ------
    NoGradientError
        If the value does not depend on them, or the model fails on the way back.
    """
    msg = "no gradient of the model's output reaches its input; a gradient attack cannot run on it"
    try:
        (gradient,) = torch.autograd.grad(value, x, retain_graph=again, allow_unused=True)
    except UserWarning as error:
        if NO_KERNEL not in str(error):
            raise
        raise NoGradientError(msg) from error
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        msg = f"the model fails in its backward pass: {line_of(error)}"
        raise NoGradientError(msg) from error
    if gradient is None:
        raise NoGradientError(msg)
    return gradient


class NoGradientError(RuntimeError):
    """The model's output does not depend differentiably on its input."""


def require_gradient(logits: Tensor) -> None:
    """Raise NoGradientError if logits do not depend differentiably on anything."""
    if not logits.requires_grad:
        msg = "the model's output carries no gradient to its input; a gradient attack cannot run on it"
        raise NoGradientError(msg)

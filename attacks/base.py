"""What every attack is: a callable of (model, x, y), and the loop that gradient attacks share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .arguments import spelled
from .batches import in_batches, out_of_memory
from .inputs import Bounds, as_inputs, as_labels, check_range, clipped, ordinary
from .prepared import Prepared, laid_out, only_channels_last, prepared
from .ranges import at_least, finite
from .regular import NO_KERNEL, line_of

Kind = Literal["bounded", "minimal", "noise"]

Precision = Literal["float32", "bfloat16"]


class Attack(ABC):
    """An attack turns correctly labelled images into adversarial ones of the same shape.

    Subclasses write `run`; calling the attack checks the input and works on a prepared model
    (`lrbench.attacks.prepared`). The caller's model stays exactly as it was (mode, `requires_grad`, `.grad`, buffers).
    When memory runs out, the batch is worked on in halves, which does not change the result.

    Attributes
    ----------
    kind : {"bounded", "minimal", "noise"}
        Stays within a radius; gives the closest adversarial point it finds, or the example itself if it finds none; or
        is no adversary at all and may go beyond its radius.
    needs_gradients : bool
        Whether it asks more of a model than logits.
    bounds : (float, float) or None
        Valid range of an entry; None for none.
    """

    kind: Kind = "bounded"
    needs_gradients: bool = True
    bounds: Bounds | None = None

    def __init_subclass__(cls) -> None:
        """Let the constructor of every attack take arguments as people write them (`arguments.spelled`)."""
        super().__init_subclass__()
        if "__init__" in cls.__dict__:
            cls.__init__ = spelled(cls.__init__)  # type: ignore[method-assign]

    def __call__(self, model: Callable[[Tensor], Any], x: Tensor, y: Any) -> Tensor:  # noqa: ANN401
        """Attack a batch.

        Parameters
        ----------
        model : nn.Module or callable
            Maps x to logits of shape (N, classes), or to what `outputs.as_logits` makes such of.
        x : Tensor, (N, ...), floating point
            Clean inputs, inside `bounds` if the attack has any, to rounding; entries that are not come back inside, or
            as they were.
        y : Tensor, array or list, (N,), integers
            True labels.

        Returns
        -------
        Tensor
            Adversarial inputs with the shape, dtype and device of x; detached.

        Raises
        ------
        ValueError
            If shapes do not fit, x is not floating point or lies outside `bounds`, y holds what is no class, the model
            cannot be run on x, gives nothing like logits, or is none that this attack can be made on.
        RuntimeError
            If the model's output does not depend differentiably on x.
        """
        x = as_inputs(x, self.bounds)
        check_range(x, eps=getattr(self, "eps", 0.0), bounds=self.bounds)
        with prepared(model, x) as lent:
            y = as_labels(y, x, lent.classes)
            if lent.classes is not None and (reason := self.unfit(lent.classes, tuple(x.shape[1:]))) is not None:
                raise ValueError(reason)
            if not len(x):
                return x.detach().clone()
            fast, given, y = self.sees(lent), ordinary(laid_out(x)), ordinary(y)
            start = clipped(given, self.bounds)
            found = torch.cat(in_batches(lambda rows: self.run(fast, start[rows], y[rows]), len(x), len(x)))
            found = torch.where(found == start, given, found)
            return found if only_channels_last(x) else found.contiguous()

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say why this attack cannot be made on a model of so many classes, with inputs of a shape; None if it can."""
        return None

    def sees(self, model: nn.Module) -> nn.Module:
        """Give what this attack works on of a model that was made ready.

        A minimal attack ends just behind the boundary, where a copy that rounds otherwise lies on the other side of it
        than the model: it works on the model itself.
        """
        return model.original if self.kind == "minimal" and isinstance(model, Prepared) else model

    @abstractmethod
    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack a checked batch of one example or more on a frozen model."""


class IterativeAttack(Attack):
    """The descent loop: start, ascend an objective along input gradients, project after each step.

    A new attack overrides `objective`, and where it differs, `start`, `step` or `project`.
    """

    steps: int
    eot: int = 1
    precision: Precision = "float32"

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Ascend from the start."""
        return self.ascend(model, self.start(x), x, y)

    def ascend(self, model: nn.Module, x_adv: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Ascend `objective` for `steps` iterations."""
        for _ in range(self.steps):
            gradient = self.gradient(model, x_adv, y)
            x_adv = self.project(x_adv + self.step(gradient), x)
        return x_adv

    def gradient(self, model: nn.Module, x_adv: Tensor, y: Tensor) -> Tensor:
        """Gradient of the objective with respect to the input, in the attack's precision."""
        if self.precision == "float32":
            return input_gradient(model, x_adv, lambda logits: self.objective(logits, y), self.eot)[2]

        def narrowed(x: Tensor) -> Tensor:
            with torch.autocast(x.device.type, torch.bfloat16):
                logits: Tensor = model(x)
            return logits.float()

        return input_gradient(narrowed, x_adv, lambda logits: self.objective(logits, y), self.eot)[2]

    def start(self, x: Tensor) -> Tensor:
        """Give the point that the loop starts from: the clean input."""
        return x.clone()

    @abstractmethod
    def objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """Per-example value to be increased, shape (N,)."""

    @abstractmethod
    def step(self, gradient: Tensor) -> Tensor:
        """Turn a gradient into a displacement."""

    @abstractmethod
    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Bring a point back into what the threat model allows around x."""


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


def check_ball(eps: float, bounds: Bounds | None, **counts: int) -> None:
    """Raise ValueError unless radius, bounds and counts of iterations are in range."""
    finite(eps=eps)
    at_least(1, **counts)
    check_bounds(bounds)


def check_bounds(bounds: Bounds | None) -> None:
    """Raise ValueError unless bounds are finite and in order."""
    if bounds is not None and not -math.inf < bounds[0] < bounds[1] < math.inf:
        msg = f"bounds must be (low, high), finite, with low < high, or None for none, got {bounds}"
        raise ValueError(msg)

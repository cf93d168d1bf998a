"""What every attack is: a callable of (model, x, y), and the loop that gradient attacks share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from .arguments import spelled
from .batches import in_batches
from .cost import Passes, passes_of
from .gradients import input_gradient
from .inputs import Bounds, as_inputs, as_labels, check_range, clipped, ordinary
from .passes import FEW, at_most
from .precision import Narrowed, Precision
from .prepared import Prepared, laid_out, only_channels_last, prepared

Kind = Literal["bounded", "minimal", "noise"]

A = TypeVar("A", bound="type[Attack]")


def named(name: str) -> Callable[[A], A]:  # noqa: ARG001
    """Say what suites call an attack of this folder: `lrbench.catalogue` finds it by this line, without running it."""
    return lambda attack: attack


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
    weak : bool
        Whether a model may withstand it without being robust: a board that shows it alone says so.
    effort : str, optional
        The option that a budget of passes sets: an attack is the stronger the larger it is, and costs the more. None
        of one that is what it is.
    standard : mapping, optional
        Of an attack that is known by one setting of its options, the defaults: what those that are None there come to.
        A board says where an attack ran with others.
    bounds : (float, float) or None
        Valid range of an entry; None for none.
    """

    kind: Kind = "bounded"
    needs_gradients: bool = True
    weak: ClassVar[bool] = False
    effort: ClassVar[str | None] = "steps"
    standard: ClassVar[Mapping[str, Any] | None] = None
    bounds: Bounds | None = None

    def __init_subclass__(cls) -> None:
        """Let the constructor of every attack take arguments as people write them (`arguments.spelled`)."""
        super().__init_subclass__()
        if not isinstance(cls.kind, property) and cls.kind not in get_args(Kind):
            msg = f"{cls.__name__}.kind is {cls.kind!r}; it is one of {', '.join(get_args(Kind))}"
            raise ValueError(msg)
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

            def work(rows: slice) -> Tensor:
                count = rows.stop - rows.start
                # Whoever asks for so many has memory for them; more are tried where they are few.
                with at_most(max(count, FEW) if count == len(x) else count):
                    return self._run(fast, start[rows], y[rows])

            found = torch.cat(in_batches(work, len(x), len(x)))
            found = torch.where(found == start, given, found)
            return found if only_channels_last(x) else found.contiguous()

    def _run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        # Copies: an attack may work in place, and is judged by the inputs and labels that there were.
        found = self.run(model, x.clone(), y.clone())
        if (instead := _no_inputs(found, x)) is not None:
            msg = f"{type(self).__name__} gave {instead} for inputs of shape {tuple(x.shape)}: an input each is wanted"
            raise ValueError(msg)
        return clipped(found.detach().to(x), self.bounds)

    @property
    def passes(self) -> Passes:
        """How many passes an image takes that withstands it.

        Plans are estimated by it. Unless an attack says otherwise, it follows
        from what its attributes are called: steps, restarts, eot, targets, searches, queries. One of your own may give
        a number: so many passes forwards and back.
        """
        return passes_of(getattr(self, "__dict__", {}), gradients=self.needs_gradients)

    @property
    def most(self) -> Passes:
        """How many passes an image can take: `passes`, unless it rarely needs as many. A budget is held by it."""
        return self.passes

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say why this attack cannot be made on a model of so many classes, with inputs of a shape; None if it can."""
        return None

    def sees(self, model: nn.Module) -> nn.Module:
        """Give what this attack works on of a model that was made ready.

        A minimal attack ends just behind the boundary, where a copy that rounds otherwise lies on the other side of it
        than the model: it works on the model itself.
        """
        return model.unfolded if self.kind == "minimal" and isinstance(model, Prepared) else model

    @abstractmethod
    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack a checked batch of one example or more on a frozen model."""


def _no_inputs(found: object, x: Tensor) -> str | None:
    """Say what an attack gave that are no inputs such as it was given; None if they are."""
    if not isinstance(found, Tensor):
        return type(found).__name__
    if found.shape != x.shape:
        return f"shape {tuple(found.shape)}"
    if found.layout != torch.strided or found.is_meta or not found.is_floating_point():
        layout = "" if found.layout == torch.strided else f", {found.layout}"
        return f"{str(found.dtype).removeprefix('torch.')} on {found.device}{layout}"
    return None if found.isfinite().all() else "NaN or infinite entries"


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
            x_adv = self.moved(x_adv, gradient, x)
        return x_adv

    def gradient(self, model: nn.Module, x_adv: Tensor, y: Tensor) -> Tensor:
        """Gradient of the objective with respect to the input, in the attack's precision."""
        followed = model if self.precision == "float32" else Narrowed(model)
        return input_gradient(followed, x_adv, lambda logits: self.objective(logits, y), self.eot)[2]

    def start(self, x: Tensor) -> Tensor:
        """Give the point that the loop starts from: the clean input."""
        return x.clone()

    def moved(self, x_adv: Tensor, gradient: Tensor, x: Tensor) -> Tensor:
        """Give the next point."""
        return self.project(x_adv + self.step(gradient), x)

    @abstractmethod
    def objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """Per-example value to be increased, shape (N,)."""

    @abstractmethod
    def step(self, gradient: Tensor) -> Tensor:
        """Turn a gradient into a displacement."""

    @abstractmethod
    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Bring a point back into what the threat model allows around x."""

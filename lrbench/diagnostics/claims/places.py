"""Where in a network gradients vanish or jump: found by what modules do with what they are given, not by their names.

Each module without children is taken along the segment between its inputs for an image and for a perturbed one, step
by step. Where its output moves in few leaps instead of many small steps, it jumps; where it moves otherwise than its
gradient says, the gradient misleads. So is what a network does to images before its first module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from lrbench.attacks.frozen import frozen
from lrbench.attacks.geometry import Ball, at_least_float32
from lrbench.attacks.inputs import Bounds
from lrbench.attacks.noise import Noise

POINTS = 24
"""Steps along a segment."""

LEAP = 0.5
"""Share of all that an entry moves that a single step has to be to be a leap."""

JUMPS = 0.1
"""Share of what an output moves that lies in leaps, above which a module jumps."""

MISLEADS = 0.1
"""Share of an output's changes, squared, that its gradient does not explain, above which it misleads.

Kinks of ReLU leave 2 % of them at 64/255; where half of the channels have no gradient it is a third.
"""

LOOKED_AT = 16
"""Images that modules are measured on."""

INPUT = "(input)"
"""Stands for what a network does to images before its first module."""


@dataclass(frozen=True)
class Place:
    """What was measured of a module.

    Attributes
    ----------
    name : str
        As of `named_modules`; `INPUT` for what comes before the first one.
    module : nn.Module
        The one itself; of `INPUT` the first one.
    leaps : float
        Share of what its output moves that lies in leaps.
    unexplained : float
        Share of its output's changes, squared, that its gradient does not explain.
    same_shape : bool
        Whether its output has the shape of its input, so that the identity can stand for its gradient.
    random : bool
        Whether it draws random numbers; then nothing else is measured.
    """

    name: str
    module: nn.Module
    leaps: float
    unexplained: float
    same_shape: bool
    random: bool = False

    @property
    def flagged(self) -> bool:
        """Whether its gradient vanishes, misleads or jumps."""
        return self.leaps > JUMPS or self.unexplained > MISLEADS

    def __str__(self) -> str:
        """Say what it does to gradients."""
        kind = "" if self.name == INPUT else f" ({type(self.module).__name__})"
        if self.random:
            return f"{self.name}{kind} draws random numbers"
        if self.leaps > JUMPS:
            what = f"{100 * self.leaps:.0f} % of what its output moves are leaps"
        else:
            what = f"its gradient leaves {100 * self.unexplained:.0f} % of what it does unexplained"
        return f"{self.name}{kind}: {what}"


class _EnoughError(Exception):
    """The first module was reached."""


@dataclass
class _Call:
    """A module's first call in a pass."""

    module: nn.Module
    given: Tensor


def measured(model: nn.Module, x: Tensor, eps: float, ball: Ball, bounds: Bounds | None) -> list[Place]:
    """Measure every module without children that takes one tensor and gives one, in the order of their calls.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...), float32
        The first `LOOKED_AT` are looked at.
    eps, ball, bounds
        Of the attack: how far images are moved, in a random direction and towards one another.
    """
    x = x[:LOOKED_AT]
    # In many dimensions features hardly move in random directions; neither direction asks for a gradient.
    ends = torch.cat([ball.surface(x, eps, Noise(x, 0, "places")), x + eps * ball.direction(x.roll(1, dims=0) - x)])
    x = x.repeat(2, *(1,) * (x.ndim - 1))
    moved = ball.project(ends, x, eps, bounds)
    found: list[Place] = []
    with frozen(model):
        before, after = _calls(model, x), _calls(model, moved)
        first = next(iter(before.values()), None)
        if first is not None and first.given.shape == x.shape and not torch.equal(first.given, x):
            found.append(_measured(INPUT, first.module, lambda given: _before_first(model, given), x, moved))
        for name, call in before.items():
            if name in after and after[name].given.shape == call.given.shape:
                found.append(_measured(name, call.module, call.module, call.given, after[name].given))
    return found


def _calls(model: nn.Module, x: Tensor) -> dict[str, _Call]:
    """Give each leaf's first call, by name, in the order in which they are made."""
    calls: dict[str, _Call] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(module: nn.Module, given: tuple[object, ...]) -> None:
            # LR-Layers and the like are given what has no gradient, and several things.
            if len(given) == 1 and isinstance(given[0], Tensor) and given[0].is_floating_point():
                calls.setdefault(name, _Call(module, given[0].detach().clone().to(_dtype(module, given[0]))))

        return hook

    handles = [module.register_forward_pre_hook(note(name)) for name, module in leaves(model)]
    try:
        with torch.no_grad():
            model(x.clone())
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _dtype(module: nn.Module, given: Tensor) -> torch.dtype:
    """Give the dtype of a module's parameters, else float32 at least: under autocast modules are given others."""
    return next((each.dtype for each in module.parameters() if each.is_floating_point()), at_least_float32(given))


def leaves(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Give the modules without children that can be hooked, by name."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if name and not any(module.children()) and not isinstance(module, torch.jit.ScriptModule)
    ]


def _before_first(model: nn.Module, x: Tensor) -> Tensor:
    """Give what the first module is given."""
    seen: list[Tensor] = []

    def stop(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0])
        raise _EnoughError

    handles = [module.register_forward_pre_hook(stop) for _, module in leaves(model)]
    try:
        model(x)
    except _EnoughError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return seen[0]


def _measured(name: str, module: nn.Module, function: Callable[[Tensor], Tensor], x: Tensor, end: Tensor) -> Place:
    with torch.no_grad():
        first, again = function(x.clone()), function(x.clone())
    if not isinstance(first, Tensor) or not first.is_floating_point() or first.shape != again.shape:
        return Place(name, module, 0.0, 0.0, same_shape=False)
    same = first.shape == x.shape
    if not torch.equal(first, again):
        return Place(name, module, 0.0, 0.0, same, random=True)
    outputs = [first]
    with torch.no_grad():
        outputs += [function(x + (end - x) * (point / POINTS)) for point in range(1, POINTS + 1)]
    steps = torch.stack([(after - before).abs() for before, after in pairwise(outputs)])
    whole, largest = steps.sum(dim=0), steps.amax(dim=0)
    if not float(whole.sum()) > 0:
        return Place(name, module, 0.0, 0.0, same)
    leaps = float((whole * (largest > LEAP * whole)).sum() / whole.sum())
    return Place(name, module, leaps, _unexplained(function, x, end, outputs), same)


def _unexplained(function: Callable[[Tensor], Tensor], x: Tensor, end: Tensor, outputs: list[Tensor]) -> float:
    """Give the share of the changes along random directions of the output that the gradient does not explain."""
    generator = torch.Generator().manual_seed(0)
    errors = changes = 0.0
    for point in (POINTS // 6, POINTS // 2, 5 * POINTS // 6):
        here = (x + (end - x) * (point / POINTS)).requires_grad_()
        with torch.enable_grad():
            output = function(here.clone())
            towards = torch.randn(output.shape, generator=generator).to(output)
            slope = None
            if output.requires_grad:
                (slope,) = torch.autograd.grad((output * towards).sum(), here, allow_unused=True)
        actual = ((outputs[point + 1] - outputs[point]) * towards).flatten(1).sum(dim=1)
        said = torch.zeros_like(actual) if slope is None else ((end - x) / POINTS * slope).flatten(1).sum(dim=1)
        errors += float((actual - said).square().sum())
        changes += float(torch.maximum(actual.square(), said.square()).sum())
    return errors / changes if changes > 0 else 0.0

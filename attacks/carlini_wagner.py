"""Carlini and Wagner's L2 attack: the smallest perturbation that fools, by descent and a search for its weight.

Source: Carlini and Wagner, *Towards evaluating the robustness of neural networks*, 2017, section VI.A.
"""

import torch
from torch import Tensor, nn

from .base import Attack, Kind, named
from .cost import GRADIENT, LOOK, Passes
from .geometry import at_least_float32, unsqueeze_like
from .gradients import input_gradient
from .inputs import Bounds, clipped
from .losses import margin, misclassified
from .ranges import at_least, check_bounds, finite

BETAS = (0.9, 0.999)
NEARLY = 1e-6
"""Share of half an entry's range, or a coarser dtype's rounding, by which the inverse of tanh ends before a bound."""


@named("carlini-wagner")
class CarliniWagner(Attack):
    """The smallest perturbation in L2, by Adam and a search for its weight.

    Minimises ||d||^2 + c max(-margin + confidence, 0), with a binary search over c for each example. With bounds, an
    example moves in the space of atanh, so that it cannot leave them; without, it moves as it is.

    Parameters
    ----------
    steps : int, >= 1
        Iterations for each c.
    searches : int, >= 1
        Values of c tried.
    learning_rate : float, > 0
    initial_const : float, > 0
        First c.
    confidence : float, >= 0
        Margin to be reached.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    kind: Kind = "minimal"
    norm = "l2"

    def __init__(
        self,
        steps: int = 200,
        searches: int = 9,
        *,
        learning_rate: float = 0.01,
        initial_const: float = 1e-3,
        confidence: float = 0.0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        finite(confidence=confidence)
        finite(learning_rate=learning_rate, initial_const=initial_const, above_zero=True)
        at_least(1, steps=steps, searches=searches)
        check_bounds(bounds)
        self.steps, self.searches, self.learning_rate = steps, searches, learning_rate
        self.initial_const, self.confidence, self.bounds = initial_const, confidence, bounds

    @property
    def passes(self) -> Passes:
        """A look at the image, and a gradient a step of each search."""
        return LOOK + self.searches * self.steps * GRADIENT

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search c for every example."""
        found = x.clone()
        with torch.no_grad():
            logits = model(x)
            distance = torch.where(misclassified(logits, y), 0.0, torch.inf).to(at_least_float32(x))
        const = torch.full_like(distance, self.initial_const)
        low, high = torch.zeros_like(const), torch.full_like(const, torch.inf)
        for _ in range(self.searches):
            reached = self._descend(model, x, y, const, found, distance)
            high = torch.where(reached, const, high)
            low = torch.where(reached, low, const)
            const = torch.where(high.isinf(), 10 * const, (low + high) / 2)
        return found

    def _descend(
        self, model: nn.Module, x: Tensor, y: Tensor, const: Tensor, found: Tensor, distance: Tensor
    ) -> Tensor:
        """Descend for one c, keep better points in `found` and `distance`, and give which examples were fooled."""
        # In half precision squared gradients and what is added to them would be 0.
        exact = x.to(at_least_float32(x))
        start = self._inner(exact)
        inner, first, second = start.clone(), torch.zeros_like(exact), torch.zeros_like(exact)
        reached = torch.zeros_like(const, dtype=torch.bool)
        for step in range(1, self.steps + 1):
            point = self._outer(inner, start, exact).to(x.dtype)
            logits, _, slope = input_gradient(
                model, point, lambda logits: const * (self.confidence - margin(logits, y)).clamp_min(0)
            )
            delta = point - exact
            length = delta.flatten(1).norm(dim=1)
            fooled = misclassified(logits, y) & (margin(logits, y) >= self.confidence)
            reached |= fooled
            better = fooled & (length < distance)
            found.copy_(torch.where(unsqueeze_like(better, point), point, found))
            distance.copy_(torch.where(better, length, distance))
            gradient = (slope + 2 * delta) * self._chain(inner)
            first = BETAS[0] * first + (1 - BETAS[0]) * gradient
            second = BETAS[1] * second + (1 - BETAS[1]) * gradient.square()
            scale = (second / (1 - BETAS[1] ** step)).sqrt() + 1e-8
            inner = inner - self.learning_rate * first / (1 - BETAS[0] ** step) / scale
        return reached

    def _inner(self, x: Tensor) -> Tensor:
        if self.bounds is None:
            return x
        low, high = self.bounds
        nearly = 1 - max(NEARLY, torch.finfo(x.dtype).eps)
        return torch.atanh((2 * (x - low) / (high - low) - 1) * nearly)

    def _outer(self, inner: Tensor, start: Tensor, x: Tensor) -> Tensor:
        """Give the point of `inner`; exactly x where it has not moved."""
        if self.bounds is None:
            return inner
        low, high = self.bounds
        point = low + (high - low) * (torch.tanh(inner) + 1) / 2
        return torch.where(inner == start, x, clipped(point, self.bounds))

    def _chain(self, inner: Tensor) -> Tensor:
        """Give the derivative of the point with respect to `inner`."""
        if self.bounds is None:
            return torch.ones_like(inner)
        return (self.bounds[1] - self.bounds[0]) / 2 * (1 - torch.tanh(inner).square())

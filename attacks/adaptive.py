"""An adaptive attack on models with LR-Layers: it leaves the low-rank subspace on purpose.

An LR-Layer claims that activations lie in an affine subspace and stay in it. An attack that knows of the layer raises
the loss and, at the same time, what of the activations lies outside the subspace, or without one, how far they move.
On why a defence has to be attacked by somebody who knows it: Tramèr, Carlini, Brendel and Madry, *On adaptive attacks
to adversarial example defenses*, 2020.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .base import named
from .cost import LOOK, Passes
from .inputs import Bounds
from .layers import find_module, reached, watched
from .pgd import PGD
from .ranges import finite

Subspace = tuple[Tensor, Tensor]


@named("adaptive-lr")
class AdaptiveLR(PGD):
    """PGD that also drives activations out of an LR-Layer's subspace.

    On the loss plus `weight` times the squared distance, in activation space, from where activations should be. It is
    that of the activation to the affine subspace {a : a + b in span(basis)}, or without a `subspace` to the clean
    activation; in units of the clean activation's norm, so that an LR-Layer's norm penalty, which shrinks activations,
    does not shrink it.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    layer : str
        The module whose output is meant: its name, or the end of its name in a wrapped model.
    weight : float
        Of the distance against the loss.
    subspace : (Tensor, Tensor), optional
        Orthonormal rows spanning the subspace, (k, m), and b, (m,).
    step_size, steps, norm, loss, restarts, eot, seed, bounds
        As for `PGD`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the model has no such layer.
    """

    def __init__(  # noqa: PLR0913
        self,
        eps: float,
        layer: str,
        weight: float = 1.0,
        step_size: float | None = None,
        steps: int = 40,
        *,
        subspace: Subspace | None = None,
        norm: Literal["linf", "l2", "l1"] = "linf",
        loss: Literal["cross-entropy", "margin", "dlr"] = "margin",
        restarts: int = 2,
        eot: int = 1,
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        super().__init__(
            eps, step_size, steps, norm=norm, loss=loss, restarts=restarts, eot=eot, seed=seed, bounds=bounds
        )
        finite(weight=weight)
        self.layer, self.weight, self.subspace = layer, weight, subspace

    @property
    def passes(self) -> Passes:
        """Those of PGD, and one for the clean activations."""
        return LOOK + super().passes

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack with the layer's output in view."""
        with watched(find_module(model, self.layer)) as self._seen:
            try:
                with torch.no_grad():
                    model(x)
                self._clean = reached(self._seen, self.layer).pop()
                self._scale = self._clean.square().sum(dim=1).clamp_min(1e-12)
                return super().run(model, x, y)
            finally:
                del self._seen
                self._clean = self._scale = torch.empty(0)

    def objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """Loss and distance of the pass just made."""
        activations = self._seen.pop()
        self._seen.clear()
        return self.loss(logits, y) + self.weight * self._away(activations) / self._scale

    def _away(self, activations: Tensor) -> Tensor:
        if self.subspace is None:
            return (activations - self._clean).square().sum(dim=1)
        basis, shift = (part.to(activations) for part in self.subspace)
        shifted = activations + shift
        return (shifted - shifted @ basis.T @ basis).square().sum(dim=1)

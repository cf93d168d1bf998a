"""Auto-PGD towards one class after the other.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .apgd import APGD
from .base import named
from .inputs import Bounds
from .losses import targeted_dlr, too_few
from .passes import logits_of
from .precision import Precision
from .ranges import at_least


@named("apgd-t")
class TargetedAPGD(APGD):
    """Auto-PGD towards each of the likeliest wrong classes, with the targeted DLR loss.

    Parameters
    ----------
    eps, steps, norm, eot, larger_radii, precision, seed, bounds
        As for `APGD`.
    targets : int, >= 1
        Wrong classes tried, the likeliest first; at most all.
    """

    def __init__(  # noqa: PLR0913
        self,
        eps: float,
        steps: int = 100,
        *,
        norm: Literal["linf", "l2", "l1"] = "linf",
        targets: int = 9,
        eot: int = 1,
        larger_radii: bool | None = None,
        precision: Precision = "float32",
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        super().__init__(
            eps, steps, norm=norm, eot=eot, larger_radii=larger_radii, precision=precision, seed=seed, bounds=bounds
        )
        at_least(1, targets=targets)
        self.targets = targets

    def _runs(self) -> int:
        return self.targets

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say whether there are too few classes for the loss."""
        return too_few(targeted_dlr, classes)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack towards each target what has withstood the ones before."""
        logits = logits_of(model, x)
        others = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)
        targets = others[:, : min(self.targets, logits.shape[1] - 1)]
        return self.climbed(model, x, y, logits, targeted_dlr, targets, "target")

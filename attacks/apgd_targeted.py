"""Auto-PGD towards one class after the other.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020.
"""

from typing import Literal

from torch import Tensor, nn

from .apgd import APGD
from .base import named
from .confirmed import made_in
from .cost import CLASSES, Passes
from .inputs import Bounds
from .losses import TARGETED, too_few
from .passes import logits_of
from .precision import Precision
from .ranges import at_least
from .targets import CANDIDATES, likeliest, nearest


@named("apgd-t")
class TargetedAPGD(APGD):
    """Auto-PGD towards one wrong class after the other, with the targeted DLR loss.

    Parameters
    ----------
    eps, steps, norm, eot, larger_radii, precision, seed, bounds
        As for `APGD`.
    targets : int, >= 1
        Wrong classes tried; at most all.
    loss : {"dlr", "margin"}
        margin: the target's logit minus the true label's; an example that no run fools comes back at its highest one,
        where with dlr, as in the authors' code, it does as the last run left it.
    order : {"likeliest", "nearest"}
        likeliest: by their logits. nearest: by how far their boundaries would be, were the model linear at the image,
        as in MALT (Melamed, Yehudai and Shamir, 2024); of the 30 likeliest, with a backward pass for each.
    """

    def __init__(  # noqa: PLR0913
        self,
        eps: float,
        steps: int = 100,
        *,
        norm: Literal["linf", "l2", "l1"] = "linf",
        targets: int = 9,
        loss: Literal["dlr", "margin"] = "dlr",
        order: Literal["likeliest", "nearest"] = "likeliest",
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
        self.targets, self.order, self.objective, self.ranked = targets, order, TARGETED[loss], loss == "margin"

    @property
    def passes(self) -> Passes:
        """As of `APGD`, towards each target; to find the nearest ones, a backward pass for each class."""
        return super().passes + (Passes(1, CLASSES - 1) if self.order == "nearest" else Passes())

    @property
    def most(self) -> Passes:
        """As of `APGD`; there may be more classes."""
        more = max(self.targets, CANDIDATES) - (CLASSES - 1) if self.order == "nearest" else 0
        return super().most + Passes(0, more)

    def _runs(self) -> int:
        return self.targets

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say whether there are too few classes for the loss."""
        return too_few(self.objective, classes)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack towards each target what has withstood the ones before."""
        logits = logits_of(model, x)
        if self.order == "nearest":
            passed, _ = made_in(self.precision, model)
            targets = nearest(passed, x, y, logits, self.norm, self.targets)
        else:
            targets = likeliest(logits, y, self.targets)
        return self.climbed(model, x, y, logits, self.objective, targets, "target")

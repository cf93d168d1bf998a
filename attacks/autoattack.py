"""AutoAttack: four attacks, each on what has withstood those before.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020 (the standard version).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .apgd import APGD, TargetedAPGD
from .base import Attack, Bounds
from .fab import FAB
from .geometry import length
from .losses import margin
from .square import Square


class AutoAttack(Attack):
    """APGD-CE, APGD-T, FAB-T and Square; the defaults are the standard version's.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    norm : {"linf", "l2"}
    steps : int, >= 1
        Iterations of APGD-CE, and of APGD-T and FAB-T towards each target.
    targets : int, >= 1
        Wrong classes tried by APGD-T and FAB-T.
    queries : int, >= 1
        Of Square.
    eot : int, >= 1
        Passes whose gradients APGD averages, for models that draw random numbers.
    seed : int
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the model has fewer than four classes (the targeted loss needs them).
    """

    def __init__(
        self,
        eps: float,
        *,
        norm: Literal["linf", "l2"] = "linf",
        steps: int = 100,
        targets: int = 9,
        queries: int = 5000,
        eot: int = 1,
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        self.eps, self.norm, self.bounds = eps, norm, bounds
        self.members: tuple[Attack, ...] = (
            APGD(eps, steps, norm=norm, eot=eot, seed=seed, bounds=bounds),
            TargetedAPGD(eps, steps, norm=norm, targets=targets, eot=eot, seed=seed, bounds=bounds),
            FAB(norm, steps, targets=targets, bounds=bounds),
            Square(eps, queries, norm=norm, seed=seed, bounds=bounds),
        )

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack in turn."""
        found = x.clone()
        for member in self.members:
            with torch.no_grad():
                rows = (margin(model(found), y) <= 0).nonzero().squeeze(1)
            if not len(rows):
                break
            tried = member.run(model, x[rows], y[rows])
            # FAB looks for the closest point, which may lie outside the radius.
            within = length(tried - x[rows], self.norm) <= self.eps * (1 + 1e-6)
            found[rows[within]] = tried[within]
        return found

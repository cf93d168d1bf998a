"""Projected gradient descent in the Linf ball.

Source: Madry, Makelov, Schmidt, Tsipras and Vladu, *Towards deep learning models resistant to adversarial
attacks*, 2018.
"""

import torch
from torch import Tensor

from .base import Bounds
from .fsgm import IterFSGM


class LinfPGD(IterFSGM):
    """PGD: sign gradient steps on the cross-entropy from a random start in the Linf ball.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    step_size : float, optional
        Step per iteration. Default: eps / 4.
    steps : int, >= 1
        Iterations.
    random_start : bool
        Start at a uniform point of the ball, drawn from torch's global generator; else at the clean input.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        eps: float,
        step_size: float | None = None,
        steps: int = 10,
        *,
        random_start: bool = True,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        super().__init__(eps, eps / 4 if step_size is None else step_size, steps, bounds)
        self.random_start = random_start

    def start(self, x: Tensor) -> Tensor:
        """Give a uniform point of the ball, within the bounds."""
        if not self.random_start:
            return x.clone()
        return self.project(x + self.eps * (2 * torch.rand_like(x) - 1), x)

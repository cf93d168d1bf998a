"""The paper's two attacks: iterated fast sign gradient steps, away from the label or to the least likely one.

Source: Sanyal, Kanade and Torr, *Low Rank Structure of Learned Representations*, section 5, after Kurakin,
Goodfellow and Bengio, *Adversarial examples in the physical world* (where they are called the basic
iterative and the iterative least-likely class method). "FSGM" is the paper's spelling.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .base import Bounds, IterativeAttack


def paper_steps(eps: float) -> int:
    """Give the paper's iteration count min(e + 4, 1.25 e), rounded up and at least 1, with e = 255 eps.

    Rounded to 1e-6 before rounding up, so that 8 / 255 * 255 counts as 8.
    """
    e = 255 * eps
    return max(1, math.ceil(round(min(e + 4, 1.25 * e), 6)))


class IterFSGM(IterativeAttack):
    """Iter-FSGM: x <- Clip(x + step_size * sign(grad_x L(x, y))), untargeted.

    Parameters
    ----------
    eps : float, >= 0
        Radius of the Linf ball around the clean input, in the units of the space attacked: 8/255 of the
        pixel range in pixel space, 8/255 of a standard deviation in normalised space.
    step_size : float, optional
        Step per iteration. Default: eps itself, as in the paper.
    steps : int, >= 1, optional
        Iterations. Default: the paper's `paper_steps(eps)`.
    bounds : (float, float) or None
        Valid range of an entry; None for none (the paper's threat model in normalised space).

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        eps: float,
        step_size: float | None = None,
        steps: int | None = None,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        if not 0 <= eps < math.inf:
            msg = f"eps must be a finite number >= 0, got {eps}"
            raise ValueError(msg)
        self.eps = eps
        self.step_size = eps if step_size is None else step_size
        self.steps = paper_steps(eps) if steps is None else steps
        self.bounds = bounds
        if not 0 <= self.step_size < math.inf:
            msg = f"step_size must be a finite number >= 0, got {step_size}"
            raise ValueError(msg)
        if self.steps < 1:
            msg = f"steps must be at least 1, got {steps}"
            raise ValueError(msg)
        if bounds is not None and not bounds[0] < bounds[1]:
            msg = f"bounds must be (low, high) with low < high, got {bounds}"
            raise ValueError(msg)

    def objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of the true label, to be increased."""
        return functional.cross_entropy(logits, y, reduction="none")

    def step(self, gradient: Tensor) -> Tensor:
        """Move every entry by `step_size` along the gradient's sign."""
        return self.step_size * gradient.sign()

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Clip to the Linf ball, then to the bounds."""
        x_adv = torch.clamp(x_adv, x - self.eps, x + self.eps)
        return x_adv if self.bounds is None else x_adv.clamp(*self.bounds)


class IterLLFSGM(IterFSGM):
    """Iter-LL-FSGM: x <- Clip(x - step_size * sign(grad_x L(x, y_t))), y_t = argmin_y P(y | x).

    The target is the class that the model finds least likely, chosen anew in every iteration. The true
    label is not used. Parameters as for `IterFSGM`.
    """

    def objective(self, logits: Tensor, y: Tensor) -> Tensor:  # noqa: ARG002
        """Negative cross-entropy of the least likely class, to be increased."""
        return -functional.cross_entropy(logits, logits.detach().argmin(dim=1), reduction="none")

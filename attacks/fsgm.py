"""The paper's two attacks: iterated fast sign gradient steps, away from the label or to the least likely one.

Source: Sanyal, Kanade and Torr, *Low Rank Structure of Learned Representations*, section 5, after Kurakin,
Goodfellow and Bengio, *Adversarial examples in the physical world* (where they are called the basic
iterative and the iterative least-likely class method). "FSGM" is the paper's spelling.
"""

import math

from torch import Tensor

from .base import named
from .inputs import Bounds
from .losses import cross_entropy
from .pgd import PGD
from .precision import Precision
from .ranges import check_ball


def paper_steps(eps: float) -> int:
    """Give the paper's iteration count min(e + 4, 1.25 e), rounded up and at least 1, with e = 255 eps.

    Rounded to 1e-6 before rounding up, so that 8 / 255 * 255 counts as 8.
    """
    e = 255 * eps
    return max(1, math.ceil(round(min(e + 4, 1.25 * e), 6)))


@named("iter-fsgm")
class IterFSGM(PGD):
    """The paper's Iter-FSGM: sign gradient steps of size eps away from the label.

    x <- Clip(x + step_size * sign(grad_x L(x, y))), untargeted. Weak: steps of the full eps search badly.

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
    precision : {"float32", "bfloat16"}
        Of the gradient passes alone. bfloat16 (autocast) can halve the time and turns some small gradients' signs.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    weak = True

    def __init__(
        self,
        eps: float,
        step_size: float | None = None,
        steps: int | None = None,
        bounds: Bounds | None = (0.0, 1.0),
        *,
        precision: Precision = "float32",
    ) -> None:
        check_ball(eps, bounds, "linf")
        super().__init__(
            eps,
            eps if step_size is None else step_size,
            paper_steps(eps) if steps is None else steps,
            random_start=False,
            precision=precision,
            bounds=bounds,
        )


@named("iter-ll-fsgm")
class IterLLFSGM(IterFSGM):
    """The paper's Iter-LL-FSGM: sign gradient steps of size eps to the least likely class.

    x <- Clip(x - step_size * sign(grad_x L(x, y_t))), y_t = argmin_y P(y | x). The target is the class that the model
    finds least likely, chosen anew in every iteration. The true label is not used. Parameters as for `IterFSGM`.
    """

    def objective(self, logits: Tensor, y: Tensor) -> Tensor:  # noqa: ARG002
        """Negative cross-entropy of the least likely class, to be increased."""
        return -cross_entropy(logits, logits.detach().argmin(dim=1))


@named("fgsm")
class FGSM(IterFSGM):
    """A single sign gradient step of size eps, to be compared with iterative attacks.

    Source: Goodfellow, Shlens and Szegedy, *Explaining and harnessing adversarial examples*, 2015.

    Parameters
    ----------
    eps : float, >= 0
        Radius of the Linf ball.
    bounds : (float, float) or None
        Valid range of an entry.
    """

    def __init__(self, eps: float, bounds: Bounds | None = (0.0, 1.0)) -> None:
        super().__init__(eps, steps=1, bounds=bounds)

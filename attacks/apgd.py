"""Auto-PGD: PGD that sets its own step size.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020, section 3 and algorithm 1, and *Mind the box: l1-APGD for sparse adversarial attacks on image
classifiers*, 2021, for L1. Where the paper leaves something open, or the authors' code
(fra31/auto-attack) does it otherwise, it is done as in their code, since that is what published figures come from.
"""

from typing import Literal

from torch import Tensor, nn

from .ascent import MomentumAscent, Objective, Rules
from .base import Attack, named
from .confirmed import made_in, once_a_pass, once_a_run
from .cost import GRADIENT, LOOK, Passes
from .engine import searched
from .geometry import BALLS
from .inputs import Bounds
from .losses import LOSSES, misclassified, too_few
from .passes import logits_of
from .precision import Precision
from .ranges import check_ball
from .sparse_ascent import SparseAscent, stages


@named("apgd-ce")
class APGD(Attack):
    """Auto-PGD: PGD that sets its own step size.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    steps : int, >= 1
        Iterations of a run.
    norm : {"linf", "l2", "l1"}
    loss : {"cross-entropy", "margin", "dlr"}
    restarts : int, >= 1
        Runs from different random starts; a later one sees only the examples that are still classified correctly.
    eot : int, >= 1
        Passes whose gradients are averaged, for models that draw random numbers.
    larger_radii : bool, optional
        Spend three tenths of the steps at three times the radius and as many at twice, before those at the radius
        itself. In L1 alone, where it is the default.
    precision : {"float32", "bfloat16"}
        Of the passes that look for a misclassified point. In bfloat16 (autocast), which can halve the time, what they
        find counts if the model itself misclassifies it in float32.
    seed : int
        Of the random starts, which depend on it and on the example alone.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    ranked = False

    def __init__(  # noqa: PLR0913
        self,
        eps: float,
        steps: int = 100,
        *,
        norm: Literal["linf", "l2", "l1"] = "linf",
        loss: Literal["cross-entropy", "margin", "dlr"] = "cross-entropy",
        restarts: int = 1,
        eot: int = 1,
        larger_radii: bool | None = None,
        precision: Precision = "float32",
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(eps, bounds, norm, steps=steps, restarts=restarts, eot=eot)
        if larger_radii and norm != "l1":
            msg = f"larger_radii goes with norm l1, got {norm}"
            raise ValueError(msg)
        self.norm, self.larger_radii = norm, norm == "l1" and larger_radii is not False
        self.eps, self.steps, self.eot, self.restarts, self.seed, self.bounds = eps, steps, eot, restarts, seed, bounds
        self.ball, self.loss, self.precision = BALLS[norm], LOSSES[loss], precision

    @property
    def passes(self) -> Passes:
        """A look at the image, and of each run a gradient at the start of each stage and after each step.

        In bfloat16 a look at the end of each run comes to it.
        """
        return LOOK + self._runs() * (self._points() * self.eot * GRADIENT + once_a_run(self.precision, self.eot))

    @property
    def most(self) -> Passes:
        """In bfloat16 a look more at every point that can count: no more if all seem misclassified and are not."""
        count = 1 + stages(self.steps, larger=self.larger_radii)[-1][1]
        return self.passes + self._runs() * once_a_pass(self.precision, count, self.eot)

    def _runs(self) -> int:
        return self.restarts

    def _points(self) -> int:
        return sum(1 + steps for _, steps in stages(self.steps, larger=self.larger_radii))

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack from each start what has withstood the ones before."""
        logits = logits_of(model, x)
        no_targets = y[:, None].expand(-1, self.restarts)
        return self.climbed(model, x, y, logits, lambda logits, y, _: self.loss(logits, y), no_targets, "restart")

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say whether there are too few classes for the loss."""
        return too_few(self.loss, classes)

    def climbed(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        logits: Tensor,
        objective: Objective,
        targets: Tensor,
        purpose: str,
    ) -> Tensor:
        """Make the runs on what is classified correctly; of an example the first misclassified point counts.

        Parameters
        ----------
        model, x, y
            As for `run`.
        logits : Tensor, (N, classes)
            Of x.
        objective, targets, purpose
            As for `Ascent` and its `Rules`.
        """
        found, rows = x.clone(), (~misclassified(logits, y)).nonzero().squeeze(1)
        common = (self.eps, self.steps, self.ball, self.eot, self.seed, self.bounds)
        rules = Rules(*common, objective, purpose, self.larger_radii, self.ranked)
        ends = x[rows]
        passed, real = made_in(self.precision, model)
        begun = (passed, ends.clone(), y[rows], rules, targets[rows], real)
        if self.norm == "l1":
            searched(SparseAscent(*begun), ends)
        else:
            searched(MomentumAscent(*begun), ends)
        found[rows] = ends
        return found

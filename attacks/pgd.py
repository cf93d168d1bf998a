"""Projected gradient descent, in the Linf, the L2 or the L1 ball.

Source: Madry, Makelov, Schmidt, Tsipras and Vladu, *Towards deep learning models resistant to adversarial
attacks*, 2018; for L1, Tramèr and Boneh, *Adversarial training and robustness for multiple
perturbations*, 2019 (SLIDE).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .base import IterativeAttack, named
from .confirmed import Claims, Confirmed, made_in, once_a_pass, once_a_run
from .cost import GRADIENT, LOOK, Passes
from .engine import Ended, searched
from .geometry import BALLS, unsqueeze_like
from .gradients import input_gradient
from .inputs import Bounds
from .l1 import entries_with_room
from .losses import LOSSES, margin, misclassified, too_few
from .noise import FreshNoise, Noise
from .precision import Precision
from .ranges import check_ball, finite


@named("pgd")
class PGD(IterativeAttack):
    """PGD: steps along the gradient of a loss from random starts, projected back after each.

    In L1 a step moves the entries of the largest gradient, a hundredth of all, of those that bounds do not stop.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    step_size : float, optional
        Step per iteration. Default: 2.5 eps / steps, as Madry et al. use.
    steps : int, >= 1
        Iterations.
    norm : {"linf", "l2", "l1"}
    loss : {"cross-entropy", "margin", "dlr"}
    random_start : bool
        Start at a random point of the ball, else at the clean input.
    restarts : int, >= 1
        Runs from different starts; of each example the point with the largest margin is kept.
    eot : int, >= 1
        Passes whose gradients are averaged, for models that draw random numbers.
    precision : {"float32", "bfloat16"}
        Of the gradient passes alone. bfloat16 (autocast) can halve the time and turns some small gradients' signs. With
        `stop`, what such a pass misclassifies counts if the model itself does, in float32.
    stop : bool
        Leave an example alone at its first misclassified point, which is then its result. For where it is asked whether
        an example falls, not how far the loss can be raised; one that does not fall has the result that it had without.
    seed : int or None
        Of the random starts, which depend on it and on the example alone. None: torch's global generator, so that every
        call draws anew.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(  # noqa: PLR0913
        self,
        eps: float,
        step_size: float | None = None,
        steps: int = 20,
        *,
        norm: Literal["linf", "l2", "l1"] = "linf",
        loss: Literal["cross-entropy", "margin", "dlr"] = "cross-entropy",
        random_start: bool = True,
        restarts: int = 1,
        eot: int = 1,
        precision: Precision = "float32",
        stop: bool = False,
        seed: int | None = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(eps, bounds, norm, steps=steps, restarts=restarts, eot=eot)
        self.eps = eps
        self.steps, self.eot, self.precision, self.stop = steps, eot, precision, stop
        finite(step_size=step_size or 0.0)
        self.step_size = 2.5 * eps / steps if step_size is None else step_size
        self.norm, self.ball, self.loss = norm, BALLS[norm], LOSSES[loss]
        self.random_start, self.restarts, self.seed, self.bounds = random_start, restarts, seed, bounds

    @property
    def passes(self) -> Passes:
        """A gradient a step; with several starts, a look at where each ends; to stop there, a gradient there, too."""
        if self.stop:
            run = (self.steps + 1) * self.eot * GRADIENT + once_a_run(self.precision, self.eot)
            return self.restarts * run
        looks = self.restarts if self.restarts > 1 else 0
        return self.restarts * self.steps * self.eot * GRADIENT + looks * LOOK

    @property
    def most(self) -> Passes:
        """Where it stops in bfloat16, a look more a step: no more if every point seems misclassified and is not."""
        again = once_a_pass(self.precision, self.steps + 1, self.eot) if self.stop else Passes()
        return self.passes + self.restarts * again

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Ascend from each start; with several, keep each example's best end."""
        if self.stop:
            found = x.clone()
            searched(_Stopped(self, model, x, y), found)
            return found
        best = self.ascend(model, self.start(x), x, y)
        if self.restarts == 1:
            return best
        with torch.no_grad():
            highest = margin(model(best), y)
            for restart in range(1, self.restarts):
                end = self.ascend(model, self.start(x, restart), x, y)
                reached = margin(model(end), y)
                better = reached > highest
                highest = torch.where(better, reached, highest)
                best = torch.where(unsqueeze_like(better, best), end, best)
        return best

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say whether there are too few classes for the loss."""
        return too_few(self.loss, classes)

    def start(self, x: Tensor, restart: int = 0) -> Tensor:
        """Give the point that a run starts from."""
        if not self.random_start:
            return x.clone()
        noise = FreshNoise(x) if self.seed is None else Noise(x, self.seed, f"start {restart}")
        return self.project(self.ball.random(x, self.eps, noise), x)

    def objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """Value of the loss, to be increased."""
        return self.loss(logits, y)

    def step(self, gradient: Tensor) -> Tensor:
        """Move by `step_size` in the norm's steepest direction."""
        return self.step_size * self.ball.direction(gradient)

    def moved(self, x_adv: Tensor, gradient: Tensor, x: Tensor) -> Tensor:
        """Give the next point."""
        if self.norm == "l1":
            gradient = entries_with_room(gradient, x_adv, self.bounds)
        return super().moved(x_adv, gradient, x)

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Come back into the ball and the bounds."""
        return self.ball.project(x_adv, x, self.eps, self.bounds)


@dataclass
class _Walk(Claims):
    """Where each run is; without a misclassified point, the best one is the last."""

    clean: Tensor
    here: Tensor  # the point to be evaluated
    seen: Tensor  # points that were
    margin: Tensor


class _Stopped(Confirmed[_Walk]):
    """Runs of PGD that end at the first misclassified point."""

    def __init__(self, attack: PGD, model: nn.Module, x: Tensor, y: Tensor) -> None:
        self.attack, self.x, self.y, self.draws = attack, x, y, attack.eot
        self.model, self.real = made_in(attack.precision, model)
        self.runs, self.shortest = attack.restarts, attack.steps + 1

    def begin(self, rows: Tensor, run: int) -> _Walk:
        clean = self.x[rows]
        start, none = self.attack.start(clean, run), torch.zeros_like(rows)
        return _Walk(
            rows=rows, over=none.bool(), clean=clean, label=self.y[rows], here=start, seen=none, best=start,
            margin=none.to(clean), fooled=none.bool(), claim=start, claimed=none.bool(),
        )  # fmt: skip

    def _advance(self, jobs: _Walk) -> None:
        attack = self.attack
        logits, _, gradient = input_gradient(
            self.model, jobs.here, lambda logits: attack.objective(logits, jobs.label), attack.eot
        )
        jobs.best = torch.where(unsqueeze_like(jobs.over, jobs.here), jobs.best, jobs.here)
        jobs.margin = torch.where(jobs.over, jobs.margin, margin(logits, jobs.label))
        wrong = misclassified(logits, jobs.label) & ~jobs.over
        jobs.fooled = jobs.fooled | self._certain(jobs, wrong, jobs.here)
        jobs.seen = jobs.seen + 1
        jobs.over = jobs.fooled | (jobs.seen > attack.steps)
        jobs.here = attack.moved(jobs.here, gradient, jobs.clean)

    def _end(self, jobs: _Walk) -> Ended:
        return Ended(jobs.best, jobs.fooled, -jobs.margin)

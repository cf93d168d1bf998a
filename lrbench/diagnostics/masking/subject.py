"""What is examined: a model with images, and the attacks on it that several checks read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from lrbench.attacks import APGD, FGSM, PGD, Attack, Bounds, Square, TargetedAPGD, UniformNoise, in_batches
from lrbench.attacks.frozen import frozen
from lrbench.attacks.gradients import NoGradientError, input_gradient
from lrbench.attacks.losses import margin, misclassified
from lrbench.attacks.prepared import prepared
from lrbench.models.questions import Answer, is_random
from lrbench.statistics import mcnemar

Norm = Literal["linf", "l2", "l1"]

UNBOUNDED = 25.0
"""Radius that counts as unbounded where the space has no bounds: so many times the range of the images' entries."""


TARGETS = 2
"""Classes that the checks' targeted attack aims at."""


@dataclass(frozen=True)
class Budget:
    """How much the checks' own attacks may do.

    Attributes
    ----------
    steps : int
        Iterations of the white-box attacks.
    queries : int
        Of the black-box attack.
    draws : int
        Of noise.
    unbounded : int
        Images attacked without a radius, by 4 x `steps` iterations.
    batch_size : int
    """

    steps: int = 40
    queries: int = 300
    draws: int = 20
    unbounded: int = 32
    batch_size: int = 128


@dataclass
class Subject:
    """A model under examination.

    Attributes
    ----------
    model : nn.Module
        Takes what is attacked, gives logits. Left as it was.
    x : Tensor, (N, ...)
    y : Tensor, (N,)
    eps : float
    norm : {"linf", "l2", "l1"}
    bounds : (float, float) or None
    budget : Budget
    seed : int
    transfers : tuple of Tensor, (N,), bool
        For each attack made on another model, whom it fooled.
    claimed : Tensor, (N,), bool, or None
        Whom the attacks fooled whose figures are to be believed.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    eps: float
    norm: Norm = "linf"
    bounds: Bounds | None = (0.0, 1.0)
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    transfers: tuple[Tensor, ...] = ()
    claimed: Tensor | None = None

    def logits(self, x: Tensor) -> Tensor:
        """Logits in evaluation mode, without gradients."""
        with frozen(self.model), torch.no_grad():
            return torch.cat(in_batches(lambda rows: self.model(x[rows]), len(x), self.budget.batch_size))

    def wrong_on(self, x: Tensor) -> Tensor:
        """Which of the images are misclassified, (N,) bool; x are versions of the first of them."""
        return misclassified(self.logits(x), self.y[: len(x)])

    @cached_property
    def clean_logits(self) -> Tensor:
        """Logits of the images."""
        return self.logits(self.x)

    @cached_property
    def randomness(self) -> Answer:
        """Whether the model draws random numbers."""
        return is_random(self.logits, self.x, self.clean_logits)

    @cached_property
    def wrong(self) -> Tensor:
        """Misclassified before any attack."""
        return misclassified(self.clean_logits, self.y)

    def fooled(self, attack: Attack, count: int | None = None) -> Tensor:
        """Which of the first `count` images the attack makes the model misclassify, those wrong from the start too.

        An attack that needs gradients fools nobody where there are none.
        """
        x, y = self.x[:count], self.y[:count]
        try:
            with prepared(self.model, x) as fast:
                parts = in_batches(lambda rows: attack(fast, x[rows], y[rows]), len(x), self.budget.batch_size)
        except NoGradientError:
            return self.wrong[:count]
        return self.wrong_on(torch.cat(parts)) | self.wrong[:count]

    @cached_property
    def single(self) -> Tensor:
        """Fooled by one step of size eps."""
        if self.norm == "linf":
            return self.fooled(FGSM(self.eps, bounds=self.bounds))
        return self.fooled(PGD(self.eps, self.eps, 1, norm=self.norm, random_start=False, bounds=self.bounds))

    @cached_property
    def white(self) -> Tensor:
        """Fooled by APGD on the cross-entropy or by APGD-T: what the other attacks are held against."""
        return self._white(self.budget.steps, 1)

    @cached_property
    def stronger(self) -> Tensor:
        """Fooled by the same with twice the steps and twice the restarts."""
        return self.white | self._white(2 * self.budget.steps, 2)

    def _white(self, steps: int, restarts: int) -> Tensor:
        common = {"norm": self.norm, "bounds": self.bounds, "seed": self.seed + restarts}
        fooled = self.fooled(APGD(self.eps, steps, restarts=restarts, **common))  # type: ignore[arg-type]
        if self.clean_logits.shape[1] < 4:
            return fooled | self.fooled(APGD(self.eps, steps, loss="margin", **common))  # type: ignore[arg-type]
        return fooled | self.fooled(TargetedAPGD(self.eps, steps, targets=TARGETS, **common))  # type: ignore[arg-type]

    @cached_property
    def black(self) -> Tensor:
        """Fooled by random search."""
        if self.x.ndim != 4:
            return self.wrong
        return self.fooled(Square(self.eps, self.budget.queries, norm=self.norm, seed=self.seed, bounds=self.bounds))

    @cached_property
    def noisy(self) -> Tensor:
        """Fooled by random noise."""
        noise = UniformNoise(self.eps, self.budget.draws, norm=self.norm, seed=self.seed, bounds=self.bounds)
        return self.fooled(noise)

    def pgd(self, eps: float) -> Tensor:
        """Fooled by plain PGD at another radius, at most that of the whole range."""
        if self.norm == "linf" and self.bounds is not None:
            eps = min(eps, self.bounds[1] - self.bounds[0])
        return self.fooled(PGD(eps, steps=max(10, self.budget.steps // 2), norm=self.norm, bounds=self.bounds))

    @cached_property
    def path(self) -> "Path":
        """What plain PGD meets on its way."""
        attack = _Recorded(self.eps, steps=max(10, self.budget.steps // 2), norm=self.norm, bounds=self.bounds)
        try:
            with prepared(self.model, self.x) as fast:
                parts = in_batches(
                    lambda rows: attack.followed(fast, self.x[rows], self.y[rows]), len(self.x), self.budget.batch_size
                )
        except NoGradientError:
            return Path(self.x.new_zeros(0, len(self.x)), self.wrong)
        ends, margins = (list(each) for each in zip(*parts, strict=True))
        return Path(torch.cat(margins, dim=1), self.wrong_on(torch.cat(ends)) | self.wrong)

    @cached_property
    def unlimited(self) -> Tensor:
        """Fooled by APGD without a radius; of the first `budget.unbounded` images."""
        low, high = self.bounds or (UNBOUNDED * self.x.min().item(), UNBOUNDED * self.x.max().item())
        radius = max(high - low, 2 * self.eps)
        radius *= self.x[0].numel() ** {"linf": 0.0, "l2": 0.5, "l1": 1.0}[self.norm]
        count = min(self.budget.unbounded, len(self.x))
        fooled = self.wrong[:count]
        for loss in ("cross-entropy", "margin"):
            if not fooled.all():
                steps = 4 * self.budget.steps
                attack = APGD(radius, steps, loss=loss, norm=self.norm, bounds=self.bounds)
                fooled = fooled | self.fooled(attack, count)
        return fooled

    @cached_property
    def gradient(self) -> Tensor | None:
        """Gradient of the cross-entropy at the images, on the model itself; None where there is none."""
        return self.gradient_of(lambda logits, y: nn.functional.cross_entropy(logits, y, reduction="none"))

    def gradient_of(self, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor | None:
        """Input gradient of a loss at the images; None if the model gives none."""

        def work(rows: slice) -> Tensor:
            return input_gradient(self.model, self.x[rows], lambda logits: loss(logits, self.y[rows]))[2]

        try:
            with frozen(self.model):
                return torch.cat(in_batches(work, len(self.x), self.budget.batch_size))
        except NoGradientError:
            return None


@dataclass(frozen=True)
class Path:
    """Margins on the way of an attack, (steps, N), before each step, and who was fooled at its end."""

    margins: Tensor
    end: Tensor


class _Recorded(PGD):
    """PGD that keeps the margins of the points it passes."""

    def followed(self, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Attack; give the ends, (N, ...), and the margins before each step, (steps, N)."""
        self._runs: list[Tensor] = []
        ends = self(model, x, y)
        return ends, torch.cat(self._runs, dim=1)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        # Runs that end for want of memory are made again on halves of their batch; their margins go with them.
        self._margins: list[Tensor] = []
        ends = super().run(model, x, y)
        self._runs.append(torch.stack(self._margins))
        return ends

    def gradient(self, model: nn.Module, x_adv: Tensor, y: Tensor) -> Tensor:
        logits, _, gradient = input_gradient(model, x_adv, lambda logits: self.objective(logits, y))
        self._margins.append(margin(logits, y))
        return gradient


def differ(first: Tensor, second: Tensor) -> tuple[float, float]:
    """Share by which the first fooled more than the second, and the p-value that they are equally strong."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return (only_first - only_second) / max(1, len(first)), mcnemar(only_first, only_second)

"""Searches whose passes may be rounded: whoever fools such a pass has to fool the model itself before he leaves."""

import copy
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor, nn

from .cost import LOOK, Passes
from .engine import Ended, Jobs, Search
from .geometry import unsqueeze_like
from .losses import margin, misclassified
from .passes import Steady, certainly_none
from .precision import Narrowed, Precision
from .prepared import Prepared


@dataclass
class Claims(Jobs):
    """What runs are at that may have found something.

    Attributes
    ----------
    label : Tensor, (N,)
    best : Tensor, (N, ...)
        The first misclassified point, once there is one.
    fooled : Tensor, (N,), bool
    claim : Tensor, (N, ...)
        A point that a rounded pass misclassifies.
    claimed : Tensor, (N,), bool
        Whether there is one of which the model itself has not been asked yet.
    """

    label: Tensor
    best: Tensor
    fooled: Tensor
    claim: Tensor
    claimed: Tensor


K = TypeVar("K", bound=Claims)


class Confirmed(Search[K]):
    """Runs whose passes may be rounded.

    Whoever fools a rounded pass waits where it is until the model itself has been asked of that point, without
    rounding, and goes on from there if it was not fooled. So it makes no difference to a run when that is asked. Where
    a run ends without success, the model is asked once more, of the best point.

    Attributes
    ----------
    real : nn.Module or None
        The model itself. None: passes are not rounded, and count as they are.
    draws : int
        Looks at a point whose logits are averaged.
    """

    real: nn.Module | None = None
    draws: int = 1

    def advance(self, jobs: K) -> None:
        """Take every job a pass further, but for those that wait."""
        waiting, before = jobs.claimed, copy.copy(jobs)
        self._advance(jobs)
        if self.real is None or certainly_none(waiting):
            return
        for each in fields(jobs):
            was, now = getattr(before, each.name), getattr(jobs, each.name)
            setattr(jobs, each.name, torch.where(unsqueeze_like(waiting, now), was, now))

    def settle(self, jobs: K) -> None:
        """Ask the model itself of what was claimed."""
        if self.real is None or certainly_none(jobs.claimed):
            return
        rows = jobs.claimed.nonzero().squeeze(1)
        if not len(rows):
            return
        true = torch.zeros_like(jobs.claimed)
        true[rows] = misclassified(self._looked(jobs.claim[rows]), jobs.label[rows])
        jobs.best = torch.where(unsqueeze_like(true, jobs.best), jobs.claim, jobs.best)
        jobs.fooled, jobs.over = jobs.fooled | true, jobs.over | true
        jobs.claimed = torch.zeros_like(jobs.claimed)

    def end(self, jobs: K) -> Ended:
        """Say what jobs that are over came to; of those that found nothing, ask the model itself."""
        ended = self._end(jobs)
        if self.real is None:
            return ended
        logits = self._looked(ended.points)
        ended.succeeded = ended.succeeded | misclassified(logits, jobs.label)
        if ended.rank is not None:
            ended.rank = -margin(logits, jobs.label)
        return ended

    @abstractmethod
    def _advance(self, jobs: K) -> None:
        """Take every job a pass further."""

    @abstractmethod
    def _end(self, jobs: K) -> Ended:
        """Say what jobs that are over came to, by what their passes said; ranks are margins."""

    def _certain(self, jobs: K, wrong: Tensor, points: Tensor) -> Tensor:
        """Say which misclassified points count, (N,), bool; rounded passes only claim theirs."""
        if self.real is None:
            return wrong
        jobs.claim = torch.where(unsqueeze_like(wrong, points), points, jobs.claim)
        jobs.claimed = jobs.claimed | wrong
        return torch.zeros_like(wrong)

    def _looked(self, points: Tensor) -> Tensor:
        assert self.real is not None  # noqa: S101
        with torch.no_grad():
            return torch.stack([self.real(points) for _ in range(self.draws)]).mean(dim=0)


def made_in(precision: Precision, model: nn.Module) -> tuple[nn.Module, nn.Module | None]:
    """Give a model as a search's passes are made on it, and the model itself where those are rounded."""
    if precision == "float32":
        return Steady(model), None
    real = model.unfolded if isinstance(model, Prepared) else model
    return Steady(Narrowed(model)), Steady(real)


def once_a_run(precision: Precision, draws: int = 1) -> Passes:
    """Give the looks at the model itself of a run that claims nothing: one, at its end, where passes are rounded."""
    return (0 if precision == "float32" else draws) * LOOK


def once_a_pass(precision: Precision, passes: int, draws: int = 1) -> Passes:
    """Give the looks at the model itself of a run that claims something at every pass, but for that at its end."""
    return (0 if precision == "float32" else passes * draws) * LOOK

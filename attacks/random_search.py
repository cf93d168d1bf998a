"""Random search that tries several points of a search in one pass, and keeps what it would have kept one by one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .confirmed import Claims, Confirmed
from .engine import Ended
from .geometry import Ball, unsqueeze_like
from .inputs import Bounds
from .losses import margin, misclassified
from .passes import LateNumber, certainly_none, pace, rounded_up, sent
from .patches import Moves

AHEAD = 64
"""Moves drawn at a time."""


@dataclass(frozen=True)
class Rules:
    """What a search is made by; attributes as of `Square`, and the side of the square tried at a query, from 0."""

    eps: float
    queries: int
    side: Callable[[int], int]
    ball: Ball
    seed: int
    bounds: Bounds | None


@dataclass
class Tries(Claims):
    """Where each search is."""

    clean: Tensor
    tried: Tensor  # points, the first one and those after it
    reached: Tensor  # the best point's margin
    quiet: Tensor  # points tried since the last one that was kept


class RandomSearch(Confirmed[Tries]):
    """A search on each example, by moves that are the same for all.

    Late in a search hardly any point is kept. A pass therefore takes several points of a search that would come one
    after the other, were none of them kept; the first that is to be kept is, and those after it, which began from
    another point than they should have, are tried anew.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, C, H, W)
    y : Tensor, (N,)
    rules : Rules
    moves : Moves
    real : nn.Module or None
        As of `Confirmed`.
    """

    runs, shortest, looks = 1, 1, 5

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        rules: Rules,
        moves: Moves,
        real: nn.Module | None = None,
    ) -> None:
        self.model, self.x, self.y, self.rules, self.moves, self.real = model, x, y, rules, moves, real
        self._generator = torch.Generator().manual_seed(rules.seed)
        self._shape = (x.shape[1], x.shape[2], x.shape[3])
        self._first = moves.start(self._shape, self._generator).to(x)
        self._drawn: dict[str, Tensor] = {}
        self._count = self._reached = self._passes = 0
        self._quiet = LateNumber(0)

    def begin(self, rows: Tensor, run: int) -> Tries:  # noqa: ARG002
        """Start at the clean example, whose margin nothing falls short of."""
        clean, none = self.x[rows], torch.zeros_like(rows)
        reached = torch.full_like(rows, -torch.inf, dtype=clean.dtype)
        return Tries(
            rows=rows, over=none.bool(), clean=clean, label=self.y[rows], tried=none, best=clean, reached=reached,
            quiet=none, fooled=none.bool(), claim=clean, claimed=none.bool(),
        )  # fmt: skip

    def _advance(self, jobs: Tries) -> None:
        """Try the next points of every search."""
        lookahead = self._lookahead(jobs)
        self._draw(lookahead.depth)
        rows, ahead = lookahead.entries(jobs.rows.device)
        places = jobs.tried[rows] + ahead
        points = self._points(lookahead.of(jobs.best, rows), lookahead.of(jobs.clean, rows), places)
        logits, labels = self.model(points), jobs.label[rows]
        value, wrong = margin(logits, labels), misclassified(logits, labels)
        live = (places <= self.rules.queries) & ~jobs.over[rows]
        higher = value > jobs.reached[rows]
        # What is misclassified is kept at any margin, but not again where it was only claimed.
        kept = lookahead.table((higher | wrong if self.real is None else higher) & live)
        first, any_kept = kept.to(torch.uint8).argmax(dim=1), kept.any(dim=1)
        if not certainly_none(any_kept):
            chosen = lookahead.entry(first)
            jobs.best = torch.where(unsqueeze_like(any_kept, jobs.best), lookahead.of(points, chosen), jobs.best)
            jobs.reached = torch.where(any_kept, value[chosen], jobs.reached)
            jobs.fooled = jobs.fooled | self._certain(jobs, any_kept & wrong[chosen], jobs.best)
        depths = lookahead.depths(first.device)
        jobs.tried = jobs.tried + torch.where(any_kept, first + 1, depths)
        jobs.quiet = torch.where(any_kept, 0, jobs.quiet + depths)
        jobs.over = jobs.fooled | (jobs.tried > self.rules.queries)

    def _end(self, jobs: Tries) -> Ended:
        """Of a search the best point."""
        return Ended(jobs.best, jobs.fooled)

    def _lookahead(self, jobs: Tries) -> "_Lookahead":
        """Share a pass out among the searches: what fills it, but hardly more points than were rejected so far."""
        speed, searches = pace(jobs.rows.device), len(jobs.rows)
        if self._passes % speed.every == 0:
            self._quiet.send(jobs.quiet.double().mean())
        self._passes += 1
        patience = 1 + int(self._quiet.read())
        return _Lookahead(searches, rounded_up(max(searches, min(speed.full, patience * searches))))

    def _points(self, best: Tensor, clean: Tensor, places: Tensor) -> Tensor:
        """Give the points at some places of searches, (N, C, H, W)."""
        rules = self.rules
        points = self.moves.move(best, clean, rules.eps, self._moves(places))
        if not certainly_none(places == 0):
            begun = self.moves.begin(clean, rules.eps, self._first)
            points = torch.where(unsqueeze_like(places == 0, points), begun, points)
        return rules.ball.project(points, clean, rules.eps, rules.bounds)

    def _moves(self, places: Tensor) -> dict[str, Tensor]:
        """Give what was drawn for the moves to some places, the first of which is 1."""
        return {name: values[(places - 1).clamp(0, self._count - 1)] for name, values in self._drawn.items()}

    def _draw(self, depth: int) -> None:
        """Draw the moves that a pass may need."""
        # No search is further than if all points had been rejected; where it is, only the device knows.
        self._reached += depth
        while self._count < min(self._reached, self.rules.queries):
            new = [
                self.moves.draw(self._shape, self.rules.side(query), self._generator)
                for query in range(self._count, min(self._count + AHEAD, self.rules.queries))
            ]
            stacked = {name: sent(torch.stack([each[name] for each in new]), self.x.device) for name in new[0]}
            self._drawn = {
                name: torch.cat([self._drawn[name], values]) if self._drawn else values
                for name, values in stacked.items()
            }
            self._count += len(new)


@dataclass(frozen=True)
class _Lookahead:
    """How the points of a pass are shared out: `least` for each search, then one more for the first searches."""

    searches: int
    points: int

    @property
    def least(self) -> int:
        return self.points // self.searches

    @property
    def more(self) -> int:
        return self.points % self.searches

    @property
    def depth(self) -> int:
        return self.least + (self.more > 0)

    def entries(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Give of every point its search, and how many come before it."""
        rows = torch.arange(self.searches, device=device)
        ahead = torch.arange(self.least, device=device).repeat(self.searches)
        return (
            torch.cat([rows.repeat_interleave(self.least), rows[: self.more]]),
            torch.cat([ahead, torch.full_like(rows[: self.more], self.least)]),
        )

    def depths(self, device: torch.device) -> Tensor:
        """Give the number of each search's points."""
        return self.least + (torch.arange(self.searches, device=device) < self.more)

    def of(self, values: Tensor, places: Tensor) -> Tensor:
        """Give entries of values, which are all of them, in order, where each search has one point."""
        return values if self.points == self.searches else values[places]

    def table(self, mask: Tensor) -> Tensor:
        """Lay out what holds of points: (searches, depth); False where there is no point."""
        split = self.searches * self.least
        table = mask[:split].view(self.searches, self.least)
        if not self.more:
            return table
        rest = torch.nn.functional.pad(mask[split:], (0, self.searches - self.more))
        return torch.cat([table, rest[:, None]], dim=1)

    def entry(self, ahead: Tensor) -> Tensor:
        """Give the entry of each search's point that has so many before it."""
        rows = torch.arange(self.searches, device=ahead.device)
        return torch.where(ahead < self.least, rows * self.least + ahead, self.searches * self.least + rows)

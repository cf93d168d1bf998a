"""Random search that tries several points of a search in one pass, and keeps what it would have kept one by one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .engine import Ended, Jobs, Search
from .geometry import Ball, wide
from .inputs import Bounds
from .losses import margin, misclassified
from .passes import certainly_none, pace
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
class Tries(Jobs):
    """Where each search is."""

    clean: Tensor
    label: Tensor
    tried: Tensor  # points, the first one and those after it
    best: Tensor
    reached: Tensor  # its margin
    quiet: Tensor  # points tried since the last one that was kept
    fooled: Tensor


class RandomSearch(Search[Tries]):
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
    """

    runs, shortest = 1, 1

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, rules: Rules, moves: Moves) -> None:
        self.model, self.x, self.y, self.rules, self.moves = model, x, y, rules, moves
        self._generator = torch.Generator().manual_seed(rules.seed)
        self._shape = (x.shape[1], x.shape[2], x.shape[3])
        self._first = moves.start(self._shape, self._generator).to(x)
        self._drawn: dict[str, Tensor] = {}
        self._count = self._reached = self._passes = self._patience = 0

    def begin(self, rows: Tensor, run: int) -> Tries:  # noqa: ARG002
        """Start at the clean example, whose margin nothing falls short of."""
        clean, none = self.x[rows], torch.zeros_like(rows)
        reached = torch.full_like(rows, -torch.inf, dtype=clean.dtype)
        return Tries(rows, none.bool(), clean, self.y[rows], none, clean, reached, none, none.bool())

    def advance(self, jobs: Tries) -> None:
        """Try the next points of every search."""
        depth = self._depth(jobs)
        self._draw(depth)
        places = jobs.tried[:, None] + torch.arange(depth, device=jobs.tried.device)
        points = self._points(jobs, places)
        logits = self.model(points)
        labels = jobs.label[:, None].expand(-1, depth).flatten()
        value, wrong = (each.view(-1, depth) for each in (margin(logits, labels), misclassified(logits, labels)))
        kept = ((value > jobs.reached[:, None]) | wrong) & (places <= self.rules.queries) & ~jobs.over[:, None]
        first, any_kept = kept.to(torch.uint8).argmax(dim=1), kept.any(dim=1)
        if not certainly_none(any_kept):
            chosen = first + depth * torch.arange(len(first), device=first.device)
            jobs.best = torch.where(wide(any_kept, jobs.best), _at(points, chosen, depth), jobs.best)
            jobs.reached = torch.where(any_kept, value.flatten()[chosen], jobs.reached)
            jobs.fooled = jobs.fooled | (any_kept & wrong.flatten()[chosen])
        jobs.tried = jobs.tried + torch.where(any_kept, first + 1, depth)
        jobs.quiet = torch.where(any_kept, 0, jobs.quiet + depth)
        jobs.over = jobs.fooled | (jobs.tried > self.rules.queries)

    def end(self, jobs: Tries) -> Ended:
        """Of a search the best point."""
        return Ended(jobs.best, jobs.fooled)

    def _depth(self, jobs: Tries) -> int:
        """Give how many points of each search a pass takes: what fills it, but hardly more than were rejected."""
        speed = pace(jobs.rows.device)
        if self._passes % speed.every == 0:
            self._patience = 1 + int(jobs.quiet.double().mean())
        self._passes += 1
        return max(1, min(speed.full // len(jobs.rows), self._patience))

    def _points(self, jobs: Tries, places: Tensor) -> Tensor:
        """Give the points at some places of each search, (N * depth, C, H, W)."""
        rules, depth = self.rules, places.shape[1]
        which = torch.arange(len(places), device=places.device)[:, None].expand(-1, depth).flatten()
        best, clean, places = _at(jobs.best, which, depth), _at(jobs.clean, which, depth), places.flatten()
        points = self.moves.move(best, clean, rules.eps, self._moves(places))
        if not certainly_none(places == 0):
            begun = self.moves.begin(clean, rules.eps, self._first)
            points = torch.where(wide(places == 0, points), begun, points)
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
            stacked = {name: torch.stack([each[name] for each in new]).to(self.x.device) for name in new[0]}
            self._drawn = {
                name: torch.cat([self._drawn[name], values]) if self._drawn else values
                for name, values in stacked.items()
            }
            self._count += len(new)


def _at(x: Tensor, places: Tensor, depth: int) -> Tensor:
    """Give x at some places, which at depth 1 are all of them, in order."""
    return x if depth == 1 else x[places]

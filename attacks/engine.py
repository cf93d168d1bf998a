"""The loop that iterative attacks share: passes stay full, and who needs no more of them leaves.

An attack makes one run or more on each example, such as one towards each target class, and an example's next run is
made only where those before it failed. A job is one run on one example. Jobs share passes whatever step each is at:
when one is over it leaves, and the next one takes its place. Where few examples are left, their next runs begin before
it is certain that they are needed, and are dropped where they turn out not to be. What becomes of an example is the
same as if its runs had been made one after the other, to the end and alone.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor

from .passes import pace, sent


@dataclass
class Jobs:
    """What runs are at: every tensor has one entry a job.

    Attributes
    ----------
    rows : Tensor, (N,)
        The example of each job.
    over : Tensor, (N,), bool
        Whether it needs no more passes; those made nevertheless do not change its result.
    """

    rows: Tensor
    over: Tensor

    def taken(self, places: Tensor) -> Self:
        """Give some of the jobs."""
        return type(self)(**{each.name: getattr(self, each.name)[places] for each in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put jobs together."""
        if len(parts) == 1:
            return parts[0]
        names = [each.name for each in fields(cls)]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


J = TypeVar("J", bound=Jobs)

Key = tuple[int, int]
"""Of a job: the number of its run, and its example."""


@dataclass
class Ended:
    """What runs came to: each one's point, whether that is what was looked for, and if it is not, its rank.

    Of an example the point of the first run that succeeded counts, else that of the lowest rank; without ranks, of the
    last run.
    """

    points: Tensor
    succeeded: Tensor
    rank: Tensor | None = None


class Search(ABC, Generic[J]):
    """An attack's runs, as the engine makes them.

    Attributes
    ----------
    runs : int
        On an example at most.
    shortest : int
        Passes after which a job that did not succeed can be over.
    looks : int
        Of so many times that the host could ask a GPU who is over it does once, where passes are short.
    """

    runs: int
    shortest: int
    looks: int = 1

    @abstractmethod
    def begin(self, rows: Tensor, run: int) -> J:
        """Give the jobs of a run on some examples."""

    @abstractmethod
    def advance(self, jobs: J) -> None:
        """Take every job a pass further."""

    def settle(self, jobs: J) -> None:
        """Before it is read who is over: decide what passes have left open."""

    @abstractmethod
    def end(self, jobs: J) -> Ended:
        """Say what jobs that are over came to."""


class _Queue:
    """Which run of which example is next."""

    def __init__(self, count: int, runs: int) -> None:
        self.next = [0] * count
        self.limit = [runs] * count
        self.active = [0] * count
        self.certain = deque(range(count))

    def taken(self, width: int, full: int) -> list[Key]:
        """Give the runs to begin, as (run, example): those that are certain up to a width, guesses until it is full."""
        begun = sum(self.active)
        found: list[Key] = []
        while self.certain and begun + len(found) < width:
            found.append(self._begin(self.certain.popleft()))
        while begun + len(found) < full:
            guesses = [row for row, active in enumerate(self.active) if active and self.next[row] < self.limit[row]]
            if not guesses:
                break
            found.append(self._begin(min(guesses, key=lambda row: self.active[row])))
        return sorted(found)

    def _begin(self, row: int) -> Key:
        run = self.next[row]
        self.next[row] += 1
        self.active[row] += 1
        return run, row

    def ended(self, keys: list[Key], succeeded: list[bool]) -> None:
        """Note which runs are over, and which of them succeeded."""
        for (run, row), success in zip(keys, succeeded, strict=True):
            if success:
                self.limit[row] = min(self.limit[row], run)
            self._left(row)

    def dropped(self, run: int, row: int) -> bool:
        """Drop a run if one before it succeeded; tell whether it was dropped."""
        needless = run >= self.limit[row]
        if needless:
            self._left(row)
        return needless

    def _left(self, row: int) -> None:
        self.active[row] -= 1
        if not self.active[row] and self.next[row] < self.limit[row]:
            self.certain.append(row)


def searched(search: Search[J], found: Tensor) -> None:
    """Make an attack's runs on all examples, and put what comes out in their place in `found`."""
    speed, queue, outcomes = pace(found.device), _Queue(len(found), search.runs), _Outcomes(found)
    jobs: J | None = None
    keys: list[Key] = []
    ages: list[int] = []
    while True:
        if begun := queue.taken(speed.width, speed.full):
            parts = _begun(search, begun, found.device)
            jobs = parts[0].joined(parts if jobs is None else [jobs, *parts])
            keys, ages = keys + begun, ages + [0] * len(begun)
        if jobs is None:
            return
        every = speed.every if speed.every == 1 else speed.every * search.looks
        passes = min([every, *(search.shortest - age for age in ages if age < search.shortest)])
        for _ in range(passes):
            search.advance(jobs)
        search.settle(jobs)
        ages = [age + passes for age in ages]
        over = jobs.over.tolist()
        if any(over):
            places = [place for place, each in enumerate(over) if each]
            ended = [keys[place] for place in places]
            queue.ended(ended, outcomes.note(search.end(_at(jobs, places)), ended))
            kept = [place for place, key in enumerate(keys) if not over[place] and not queue.dropped(*key)]
            keys, ages = [keys[place] for place in kept], [ages[place] for place in kept]
            jobs = _at(jobs, kept) if kept else None


def _begun(search: Search[J], begun: list[Key], device: torch.device) -> list[J]:
    """Begin runs, those of one number together."""
    return [
        search.begin(sent(torch.tensor([row for _, row in group], device="cpu"), device), run)
        for run, group in groupby(begun, key=lambda key: key[0])
    ]


def _at(jobs: J, places: list[int]) -> J:
    return jobs.taken(sent(torch.tensor(places, device="cpu"), jobs.rows.device))


def _read(ended: Ended, keys: list[Key]) -> tuple[list[bool], list[float]]:
    """Read which runs succeeded, and their ranks, at once: either would wait for the device."""
    if ended.rank is None:
        return ended.succeeded.tolist(), [-run for run, _ in keys]
    succeeded, ranks = torch.stack([ended.succeeded.double(), ended.rank.double()]).tolist()
    return [bool(each) for each in succeeded], ranks


class _Outcomes:
    """What counts of each example's runs so far."""

    def __init__(self, found: Tensor) -> None:
        self.found = found
        self._best: dict[int, tuple[bool, float, int]] = {}

    def note(self, ended: Ended, keys: list[Key]) -> list[bool]:
        """Keep what is better than before; tell which runs succeeded."""
        succeeded, ranks = _read(ended, keys)
        better: dict[int, int] = {}
        for place, ((run, row), success, rank) in enumerate(zip(keys, succeeded, ranks, strict=True)):
            order = (not success, float(run) if success else rank, run)
            if row not in self._best or order < self._best[row]:
                self._best[row], better[row] = order, place
        if better:
            device = self.found.device
            rows, places = (
                sent(torch.tensor(list(each), device="cpu"), device) for each in (better.keys(), better.values())
            )
            self.found[rows] = ended.points[places]
        return succeeded

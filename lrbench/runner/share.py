"""A share of a plan's steps, for the jobs of an array that a cluster's own queue runs."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lrbench.errors import UsageError
from lrbench.runner.step import Step


@dataclass(frozen=True)
class Share:
    """Steps that match a pattern, dealt out to `count` jobs, and the number of one of these, from 1.

    Every job deals alike: by what the plan alone says, so that none needs to know what the others did.

    Attributes
    ----------
    patterns : tuple of str
        As a shell's: `train/*`, `attack/resnet18/*`. A step counts that matches any of them.
    """

    patterns: tuple[str, ...] = ("*",)
    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, patterns: Sequence[str], share: str) -> "Share":
        """Read a share as the command line gives it, such as 3/16.

        Raises
        ------
        UsageError
            If it is none.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", share)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            msg = f"--share {share:.40}: expected I/N with I from 1 to N, such as 3/16"
            raise UsageError(msg)
        return cls(tuple(patterns) or ("*",), int(found[1]), int(found[2]))

    @property
    def name(self) -> str:
        """Name of its lock."""
        what = hashlib.sha256("\0".join(self.patterns).encode()).hexdigest()[:8]
        return f"{what}-{self.index}-of-{self.count}"

    def of(self, plan: Sequence[Step]) -> list[Step]:
        """Give this job's steps, in the plan's order: the most work first to the job that has least.

        Raises
        ------
        UsageError
            If a pattern matches nothing.
        """
        for pattern in self.patterns:
            if not any(fnmatchcase(step.id, pattern) for step in plan):
                kinds = ", ".join(dict.fromkeys(f"{step.id.partition('/')[0]}/*" for step in plan))
                msg = f"--steps {pattern:.100}: no step is called so; there are {kinds} (see `lrbench plan`)"
                raise UsageError(msg)
        matching = [step for step in plan if any(fnmatchcase(step.id, pattern) for pattern in self.patterns)]
        given = [0.0] * self.count
        mine = set()
        for step in sorted(matching, key=lambda step: -step.work):
            job = given.index(min(given))
            given[job] += step.work
            if job == self.index - 1:
                mine.add(step.id)
        return [step for step in matching if step.id in mine]


def takable(steps: Iterable[Step], done: set[str]) -> tuple[list[Step], list[Step]]:
    """Part steps in order into those whose needs are done or among those before, and those that wait for others."""
    ready, waiting = [], []
    there = set(done)
    for step in steps:
        if there.issuperset(step.needs):
            ready.append(step)
            there.add(step.id)
        else:
            waiting.append(step)
    return ready, waiting

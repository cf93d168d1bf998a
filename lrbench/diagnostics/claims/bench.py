"""What a ladder of attacks is tried on: a network with images and a claim, and what became of the images."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from lrbench.attacks import Attack, in_batches
from lrbench.attacks.counting import counted
from lrbench.attacks.frozen import frozen
from lrbench.attacks.geometry import BALLS, Ball
from lrbench.attacks.gradients import NoGradientError
from lrbench.attacks.losses import misclassified
from lrbench.attacks.prepared import prepared
from lrbench.diagnostics.claims.claim import Claim
from lrbench.diagnostics.claims.places import Place, measured
from lrbench.global_state import seeded
from lrbench.models.questions import Answer, is_random

DRAWS = 16
"""Passes whose mean logits say the class that a network gives which draws random numbers."""


@dataclass(frozen=True)
class Effort:
    """How much the rungs may do.

    Attributes
    ----------
    longer : int
        Times the claim's steps that "more steps" makes, and at least `least` in all.
    least : int
    apgd_steps : int
    restarts : int
    targets : int
        Of the targeted attack and of AutoAttack.
    queries : int
        Of random search by itself and in AutoAttack.
    version : {"fast", "standard"}
        Of AutoAttack.
    averaged : int
        Passes whose gradients are averaged, where a network draws random numbers.
    """

    longer: int = 5
    least: int = 50
    apgd_steps: int = 50
    restarts: int = 5
    targets: int = 3
    queries: int = 500
    version: str = "fast"
    averaged: int = 16


EFFORTS = {
    "short": Effort(),
    "full": Effort(
        longer=10, least=200, apgd_steps=100, restarts=20, targets=9, queries=5000, version="standard", averaged=32
    ),
}


@dataclass(frozen=True)
class Tried:
    """What an attack came to.

    Attributes
    ----------
    fooled : Tensor, (N,), bool
        Which images are misclassified after it, those among them that were before.
    forward, backward : float
        Passes an image.
    seconds : float
    note : str
        What has to be known of it besides.
    """

    fooled: Tensor
    forward: float = 0.0
    backward: float = 0.0
    seconds: float = 0.0
    note: str = ""


@dataclass
class Bench:
    """A network under audit; left as it was.

    Attributes
    ----------
    model : nn.Module
        Takes what is attacked, gives logits (N, classes).
    x : Tensor, (N, ...), float32
    y : Tensor, (N,), int64
    claim : Claim
    others : mapping
        Name -> network, on which attacks are made and tried on this one.
    effort : Effort
    batch_size : int
    seed : int
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    claim: Claim
    others: Mapping[str, nn.Module] = field(default_factory=dict)
    effort: Effort = field(default_factory=Effort)
    batch_size: int = 128
    seed: int = 0

    @property
    def ball(self) -> Ball:
        """Of the claim's norm."""
        return BALLS[self.claim.norm]

    @cached_property
    def classes(self) -> int:
        """How many the network tells apart."""
        return self._once(self.x[:1]).shape[1]

    @cached_property
    def randomness(self) -> Answer:
        """Whether the network draws random numbers, be it that what follows hides them."""
        with seeded(self.seed):
            found = is_random(self._once, self.x, self._once(self.x))
            return Answer(found.figure, found.yes or any(place.random for place in self.places))

    @cached_property
    def places(self) -> list[Place]:
        """What was measured of its modules."""
        return measured(self.model, self.x, self.claim.eps, self.ball, self.claim.bounds)

    @cached_property
    def wrong(self) -> Tensor:
        """Misclassified before any attack, (N,), bool."""
        return misclassified(self.logits(self.x), self.y)

    def logits(self, x: Tensor) -> Tensor:
        """Logits without gradients; the mean of `DRAWS` passes where the network draws random numbers."""
        if not self.randomness.yes:
            return self._once(x)
        with seeded(self.seed):
            return torch.stack([self._once(x) for _ in range(DRAWS)]).mean(dim=0)

    def tried(self, attack: Attack, victim: nn.Module | None = None) -> Tried:
        """Attack what is classified correctly before, and count what of it this network misclassifies after.

        Parameters
        ----------
        attack : Attack
        victim : nn.Module, optional
            What the attack is made on, if not this network. It may take another dtype: its parameters'.
        """
        victim, rows = self.model if victim is None else victim, (~self.wrong).nonzero().squeeze(1)
        fooled, started, note = self.wrong.clone(), time.perf_counter(), ""
        if not len(rows):
            return Tried(fooled)
        with counted() as count, seeded(self.seed):
            try:
                ends = self._attacked(attack, victim, self.x[rows], self.y[rows])
            except NoGradientError as error:
                ends, note = self.x[rows], str(error)
        seconds = time.perf_counter() - started
        fooled[rows] = misclassified(self.logits(ends), self.y[rows])
        each = count.each(max(1, len(rows)))
        return Tried(fooled, each.forward, each.backward, seconds, note)

    def _attacked(self, attack: Attack, victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        dtype = next((each.dtype for each in victim.parameters() if each.is_floating_point()), x.dtype)
        given = x.double() if dtype == torch.float64 else x
        with prepared(victim, given) as fast:
            parts = in_batches(lambda part: attack(fast, given[part], y[part]), len(x), self.batch_size)
        # What looks for the closest point, or adds noise, may end outside the ball.
        return self.ball.project(torch.cat(parts).to(x), x, self.claim.eps, self.claim.bounds)

    def _once(self, x: Tensor) -> Tensor:
        with frozen(self.model), torch.no_grad():
            return torch.cat(in_batches(lambda part: self.model(x[part]), len(x), self.batch_size))

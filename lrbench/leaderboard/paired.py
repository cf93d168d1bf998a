"""Two models on the same images: how much they differ, whether beyond chance, on which images, and why they might."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrbench.errors import UsageError
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.comparable import (
    Pairs,
    attacked_alike,
    codes,
    differing,
    judged_without,
    making,
    other_attacks,
    require_comparable,
    unit_is_open,
)
from lrbench.leaderboard.difference_rows import stopping_in
from lrbench.leaderboard.kept import Key
from lrbench.leaderboard.layout import labels, middle
from lrbench.leaderboard.outcomes import CLEAN, Run
from lrbench.leaderboard.said import is_weak
from lrbench.leaderboard.sides import Side, chosen_in, paired_seeds, pairs_of, parse_side
from lrbench.leaderboard.surrogates import made_on
from lrbench.names import WORST, radius_text
from lrbench.statistics import Estimate, Stopping, difference_of, holm, on_the_same_images


@dataclass(frozen=True)
class Difference:
    """Robust accuracy of B minus that of A, under one attack at one radius; without an attack, accuracy.

    Attributes
    ----------
    attack : str
        Empty without one.
    eps : float
    first, second : float
        Robust accuracy of A and of B, mean over seeds.
    seeds : tuple of int
        Places, among the seeds of both sides, of those for which both have it.
    estimate : Estimate
        Of the difference; positive where B is more robust.
    p_adjusted : float
        For all differences of its family: those in the worst case, or all others.
    only_first, only_second : list of list of int
        For each seed: images that only A, or only B, gets wrong, by their position among the images attacked.
    """

    attack: str
    eps: float
    first: float
    second: float
    seeds: tuple[int, ...]
    estimate: Estimate
    p_adjusted: float
    only_first: list[list[int]]
    only_second: list[list[int]]

    @property
    def n(self) -> int:
        """Images that were attacked."""
        return self.estimate.images

    @property
    def counts(self) -> bool:
        """Whether it is of the worst case, by which models are judged, and not of one attack or none."""
        return self.attack == WORST

    @property
    def identical(self) -> bool:
        """Whether both get the same images wrong with every seed."""
        return not any(self.only_first) and not any(self.only_second)


@dataclass(frozen=True)
class Paired:
    """Two sides, what differs between their outcomes, and what differs between their makings.

    Attributes
    ----------
    headline : Difference
        The one to judge by: in the worst case over attacks at the radius at which the suite is summed up.
    skipped : list of str
        What only one of them was measured under.
    fewer : list of str
        What some of the seeds lack, so that it is compared over the others.
    configuration, environment : dict
        What differs: key path -> (of A, of B).
    unit_is_open : bool
        Whether radii may be in another unit, which published boards do not keep.
    among : int
        Models that the two may have been picked from: all of their suite, where both are of one run.
    """

    first: Side
    second: Side
    norm: str
    space: str
    differences: list[Difference]
    headline: Difference
    skipped: list[str] = field(default_factory=list)
    fewer: list[str] = field(default_factory=list)
    configuration: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    environment: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    among: int = 2
    unit_is_open: bool = False

    def radius(self, eps: float) -> str:
        """Write a radius for readers, in its unit."""
        return radius_text(eps, self.norm, self.space)

    def family(self, *, counts: bool) -> list[Difference]:
        """Give the differences whose p are adjusted for one another: those in the worst case, or all others."""
        return [each for each in self.differences if each.counts == counts]

    @property
    def identical(self) -> bool:
        """Whether both get the same images wrong everywhere."""
        return all(each.identical for each in self.differences)


def compare(first: str, second: str) -> list[Paired]:
    """Compare two models, each named as DIR[:MODEL[@SEED,...]]; without a model, all that both runs have.

    Raises
    ------
    UsageError
        If there is no such run, model or seed, or the two were not measured on the same images in the same threat
        model.
    """
    (folder_a, named_a), (folder_b, named_b) = parse_side(first), parse_side(second)
    run_a = Run.open(folder_a)
    run_b = run_a if folder_a == folder_b else Run.open(folder_b)
    (model_a, seeds_a), (model_b, seeds_b) = chosen_in(run_a, named_a), chosen_in(run_b, named_b)
    pairs = pairs_of(run_a, model_a, run_b, model_b)
    found = []
    for name_a, name_b in pairs:
        chosen = paired_seeds(run_a, name_a, seeds_a, run_b, name_b, seeds_b)
        found.append(_compared(Side(run_a, name_a, chosen[0]), Side(run_b, name_b, chosen[1])))
    return found


def _compared(first: Side, second: Side) -> Paired:
    require_comparable(first, second)
    pairs = [
        (first.run.wrong(first.model, a), second.run.wrong(second.model, b))
        for a, b in zip(first.seeds, second.seeds, strict=True)
    ]
    threat = first.run.board.suite["threat_model"]
    other = other_attacks(first, second)
    own = made_on(first, second)
    if not attacked_alike(first, second, pairs, own, other):
        other.add(WORST)
    pairs = [(judged_without(first, a, own), judged_without(second, b, own)) for a, b in pairs]
    every = dict.fromkeys(key for pair in pairs for wrong in pair for key in wrong)
    seeds = {key: tuple(index for index, (a, b) in enumerate(pairs) if key in a and key in b) for key in every}
    shared = {key: of for key, of in seeds.items() if of and key[0] not in {*other, *own}}
    if not shared:
        msg = f"{first} and {second} cannot be compared: nothing was measured of both yet"
        raise UsageError(msg)
    own_a, own_b = codes(first, second)
    differences = _differences(shared, pairs, stopping_in(first.run.board.results.to_dict("records")))
    return Paired(
        first,
        second,
        threat["norm"],
        threat["space"],
        differences,
        _headline(differences, first.run.board),
        [f"{_named(key, threat)} ({_why_not(key, other, own, pairs)})" for key in every if key not in shared],
        [
            f"{_named(key, threat)} ({len(of)} of {len(pairs)} seeds)"
            for key, of in shared.items()
            if len(of) < len(pairs)
        ],
        differing(making(first) | own_a, making(second) | own_b),
        differing(first.run.environment, second.run.environment),
        _among(first, second),
        unit_is_open(first, second),
    )


def _among(first: Side, second: Side) -> int:
    one_run = first.run.folder.resolve() == second.run.folder.resolve()
    return len(first.run.board.suite["models"]) if one_run and first.model != second.model else 2


def _why_not(key: Key, other: set[str], own: set[str], pairs: Pairs) -> str:
    """Say why a figure is not compared."""
    if key[0] in own:
        return "made on one of the two, and no part of the worst case here"
    if key[0] in other:
        return "over other attacks" if key[0] == WORST else "other options, code or surrogate"
    lacking = [name for index, name in enumerate("AB") if not any(key in pair[index] for pair in pairs)]
    if not lacking:
        return "no seed for which both have it"
    return f"{' and '.join(lacking)} lack{'s' * (len(lacking) == 1)} it"


def _differences(seeds: dict[Key, tuple[int, ...]], pairs: Pairs, stopping: Stopping | None = None) -> list[Difference]:
    """Hold B against A under each key, over the seeds whose positions are given.

    What counts is the worst case, whose p are adjusted as on a board of the two: for its radii, and not for what each
    attack says, too, which repeats it.
    """
    both = {
        key: on_the_same_images([pairs[index][0][key] for index in of], [pairs[index][1][key] for index in of])
        for key, of in seeds.items()
    }
    estimates = {key: difference_of(~b, ~a, stopping) for key, (a, b) in both.items()}
    families = [key for key in both if key[0] == WORST], [key for key in both if key[0] != WORST]
    adjusted = {
        key: p for family in families for key, p in zip(family, holm([estimates[key].p for key in family]), strict=True)
    }
    return [
        Difference(
            *key,
            float((~a).mean()),
            float((~b).mean()),
            seeds[key],
            estimates[key],
            adjusted[key],
            _images(a & ~b),
            _images(b & ~a),
        )
        for key, (a, b) in both.items()
    ]


def _images(chosen: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(of_seed).tolist() for of_seed in chosen]


def _headline(differences: list[Difference], board: Leaderboard) -> Difference:
    """Choose by the suite alone: the worst case, else an attack that is not weak, nearest to the middle radius."""
    strong_first = sorted(board.suite["attacks"], key=lambda attack: is_weak(attack["name"], board.status.attacks))
    for wanted in (WORST, *labels({"attacks": strong_first})):
        there = [each for each in differences if each.attack == wanted]
        if there:
            return min(there, key=lambda each: abs(each.eps - middle(board.suite)))
    return differences[0]


def _named(key: Key, threat: dict[str, Any]) -> str:
    return "clean" if key == CLEAN else f"{key[0]} at {radius_text(key[1], threat['norm'], threat['space'])}"

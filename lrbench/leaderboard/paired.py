"""Two models on the same images: how much they differ, whether beyond chance, on which images, and why they might."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.errors import UsageError
from lrbench.leaderboard.layout import eps_label, labels
from lrbench.leaderboard.outcomes import CLEAN, Key, Run
from lrbench.statistics import mcnemar, paired_bootstrap
from lrbench.store import place_of


@dataclass(frozen=True)
class Side:
    """A model of a run, over some of its seeds."""

    run: Run
    model: str
    seeds: tuple[int, ...]

    def __str__(self) -> str:
        """Write as it would be given on the command line."""
        all_of_them = list(self.seeds) == self.run.seeds(self.model)
        seeds = "" if all_of_them else "@" + ",".join(map(str, self.seeds))
        return f"{self.run.folder}:{self.model}{seeds}"


@dataclass(frozen=True)
class Difference:
    """Share of images that B gets wrong, minus that of A, under one attack at one radius; in [-1, 1].

    Attributes
    ----------
    attack : str
        Empty without one.
    eps : float
    first, second : float
        Misclassification of A and of B, mean over seeds.
    interval : (float, float)
        95 % of the difference, by paired bootstrap over the images of the mean over seeds.
    p : float
        McNemar's exact p-value; with several seeds the largest of theirs.
    only_first, only_second : list of list of int
        For each seed: images that only A, or only B, gets wrong, by their place among the images attacked.
    """

    attack: str
    eps: float
    n: int
    first: float
    second: float
    interval: tuple[float, float]
    p: float
    only_first: list[list[int]]
    only_second: list[list[int]]

    @property
    def difference(self) -> float:
        """B minus A; negative where B is fooled less often."""
        return self.second - self.first


@dataclass(frozen=True)
class Paired:
    """Two sides, what differs between their outcomes, and what differs between their makings.

    Attributes
    ----------
    skipped : list of str
        What only one of them was measured under.
    configuration, environment : dict
        What differs: key path -> (of A, of B).
    """

    first: Side
    second: Side
    norm: str
    space: str
    differences: list[Difference]
    skipped: list[str] = field(default_factory=list)
    configuration: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    environment: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def parse_side(text: str) -> tuple[Path, str | None, tuple[int, ...]]:
    """Split DIR[:MODEL[@SEED,...]] into its parts; an @ that no numbers follow belongs to the name."""
    protocol, separator, rest = text.rpartition("://")
    prefix = protocol + separator
    if ":" not in rest or place_of(text).exists():
        return place_of(text), None, ()
    folder, _, model = rest.partition(":")
    while not place_of(prefix + folder).exists() and ":" in model:
        more, _, model = model.partition(":")
        folder = f"{folder}:{more}"
    place = place_of(prefix + folder)
    name, at, seeds = model.rpartition("@")
    if not at or not all(seed.strip().isdigit() for seed in seeds.split(",")):
        return place, model, ()
    return place, name, tuple(int(seed) for seed in seeds.split(","))


def compare(first: str, second: str) -> list[Paired]:
    """Compare two models, each named as DIR[:MODEL[@SEED,...]]; without a model, all that both runs have.

    Raises
    ------
    UsageError
        If there is no such run, model or seed, or the two were not measured on the same images in the same threat
        model.
    """
    (folder_a, model_a, seeds_a), (folder_b, model_b, seeds_b) = parse_side(first), parse_side(second)
    run_a = Run.open(folder_a)
    run_b = run_a if folder_a == folder_b else Run.open(folder_b)
    pairs = _pairs(run_a, model_a, run_b, model_b)
    found = []
    for name_a, name_b in pairs:
        chosen = _seeds(run_a, name_a, seeds_a, run_b, name_b, seeds_b)
        found.append(_compared(Side(run_a, name_a, chosen[0]), Side(run_b, name_b, chosen[1])))
    return found


def _pairs(run_a: Run, model_a: str | None, run_b: Run, model_b: str | None) -> list[tuple[str, str]]:
    if model_a is not None or model_b is not None:
        return [(model_a or _only(run_a, model_b), model_b or _only(run_b, model_a))]
    shared = [name for name in run_a.models if name in run_b.models]
    if not shared and len(run_a.models) == len(run_b.models) == 1:
        return [(run_a.models[0], run_b.models[0])]
    if not shared:
        msg = f"{run_a.folder} and {run_b.folder} share no model; name one of each: {run_a.folder}:{run_a.models[0]}"
        raise UsageError(msg)
    return [(name, name) for name in shared]


def _only(run: Run, other: str | None) -> str:
    if other in run.models:
        return str(other)
    if len(run.models) == 1:
        return run.models[0]
    msg = f"{run.folder} has several models; name one: {run.folder}:{run.models[0]}"
    raise UsageError(msg)


Seeds = tuple[int, ...]


def _seeds(run_a: Run, model_a: str, seeds_a: Seeds, run_b: Run, model_b: str, seeds_b: Seeds) -> tuple[Seeds, Seeds]:
    """Pair the seeds: those given, else those that both have."""
    there_a, there_b = run_a.seeds(model_a), run_b.seeds(model_b)
    shared = tuple(seed for seed in there_a if seed in there_b)
    chosen_a, chosen_b = seeds_a or seeds_b or shared, seeds_b or seeds_a or shared
    for run, model, chosen, there in ((run_a, model_a, chosen_a, there_a), (run_b, model_b, chosen_b, there_b)):
        missing = [seed for seed in chosen if seed not in there]
        if missing or not chosen:
            listed = ", ".join(map(str, there))
            msg = f"{run.folder} has {model} with the seeds {listed}, not {', '.join(map(str, missing)) or 'the other'}"
            raise UsageError(msg)
    if len(chosen_a) != len(chosen_b):
        msg = f"{len(chosen_a)} seeds against {len(chosen_b)}: name as many of each, such as {run_a.folder}:{model_a}@0"
        raise UsageError(msg)
    return chosen_a, chosen_b


def _compared(first: Side, second: Side) -> Paired:
    _require_comparable(first, second)
    wrong_a = [first.run.wrong(first.model, seed) for seed in first.seeds]
    wrong_b = [second.run.wrong(second.model, seed) for seed in second.seeds]
    threat = first.run.board.suite["threat_model"]
    other = _other_attacks(first, second)
    shared = [key for key in wrong_a[0] if key[0] not in other and all(key in each for each in (*wrong_a, *wrong_b))]
    differences = [_difference(key, [w[key] for w in wrong_a], [w[key] for w in wrong_b]) for key in shared]
    every = dict.fromkeys(key for each in (*wrong_a, *wrong_b) for key in each)
    skipped = [
        _named(key, threat["norm"]) + " (other options)" * (key[0] in other) for key in every if key not in shared
    ]
    return Paired(
        first,
        second,
        threat["norm"],
        threat["space"],
        differences,
        skipped,
        _differing(_making(first), _making(second)),
        _differing(first.run.environment, second.run.environment),
    )


def _require_comparable(first: Side, second: Side) -> None:
    """Refuse what was not measured on the same images in the same threat model."""
    prints = [_test_images(side) for side in (first, second)]
    reasons = []
    if prints[0] != prints[1]:
        names = [side.run.board.results["dataset"].iloc[0] for side in (first, second)]
        reasons.append(
            f"test images ({names[0]} and {names[1]}" + (", other examples)" if names[0] == names[1] else ")")
        )
    a, b = (side.run.board.suite["threat_model"] for side in (first, second))
    for key, what in (("space", "space"), ("norm", "norm"), ("samples", "number of images attacked")):
        if a[key] != b[key]:
            reasons.append(f"{what} ({a[key]} and {b[key]})")
    if not set(a["eps"]) & set(b["eps"]):
        radii = [", ".join(eps_label(eps, threat["norm"]) for eps in threat["eps"]) for threat in (a, b)]
        reasons.append(f"radii ({radii[0]} and {radii[1]})")
    if reasons:
        msg = f"{first} and {second} cannot be compared: they differ in {'; '.join(reasons)}"
        raise UsageError(msg)


def _test_images(side: Side) -> str:
    return side.run.test_images(side.model)


def _difference(key: Key, wrong_a: list[np.ndarray], wrong_b: list[np.ndarray]) -> Difference:
    a, b = np.mean(wrong_a, axis=0), np.mean(wrong_b, axis=0)
    only_first = [np.flatnonzero(x & ~y).tolist() for x, y in zip(wrong_a, wrong_b, strict=True)]
    only_second = [np.flatnonzero(y & ~x).tolist() for x, y in zip(wrong_a, wrong_b, strict=True)]
    p = max(mcnemar(len(x), len(y)) for x, y in zip(only_first, only_second, strict=True))
    interval = paired_bootstrap(b, a)
    return Difference(*key, len(a), float(a.mean()), float(b.mean()), interval, p, only_first, only_second)


def _named(key: Key, norm: str) -> str:
    return "clean" if key == CLEAN else f"{key[0]} at {eps_label(key[1], norm)}"


def _other_attacks(first: Side, second: Side) -> set[str]:
    """Find attacks that both ran under one label, but with other options: a difference would be theirs."""
    a, b = (
        dict(zip(labels(side.run.board.suite), side.run.board.suite["attacks"], strict=True))
        for side in (first, second)
    )
    return {label for label in a.keys() & b.keys() if a[label] != b[label]}


def _making(side: Side) -> dict[str, Any]:
    suite = side.run.board.suite
    spec = dict(suite["models"][side.model])
    training = spec.pop("training", None) or suite["training"]
    used = {"model": spec, "training": training if spec.get("train", True) else None}
    used["low_rank"] = suite["low_rank"] if spec.get("lr_layers") else None
    return used | {"data": suite["data"], "threat_model": suite["threat_model"], "attacks": suite["attacks"]}


def _differing(first: Any, second: Any, path: str = "") -> dict[str, tuple[Any, Any]]:  # noqa: ANN401
    if isinstance(first, dict) and isinstance(second, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in dict.fromkeys([*first, *second]):
            found |= _differing(first.get(key), second.get(key), f"{path}.{key}" if path else str(key))
        return found
    return {} if first == second else {path: (first, second)}

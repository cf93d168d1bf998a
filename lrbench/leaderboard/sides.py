"""What is compared: a model of a run, over some of its seeds, as it is named on the command line."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lrbench.errors import UsageError
from lrbench.leaderboard.outcomes import Run
from lrbench.store import as_path

Seeds = tuple[int, ...]

SEED = re.compile(r"[0-9]{1,20}")


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


def parse_side(text: str) -> tuple[Path, str | None]:
    """Split DIR[:MODEL[@SEED,...]] into the folder and what is named in it."""
    protocol, separator, rest = text.rpartition("://")
    prefix = protocol + separator
    if ":" not in rest or _is_there(text):
        return as_path(text), None
    folder, _, model = rest.partition(":")
    while not _is_there(prefix + folder) and ":" in model:
        more, _, model = model.partition(":")
        folder = f"{folder}:{more}"
    return as_path(prefix + folder), model


def chosen_in(run: Run, named: str | None) -> tuple[str | None, Seeds]:
    """Split MODEL[@SEED,...]; what a model of the run is called is its name, and so is what no numbers end."""
    return (None, ()) if named is None else split(named, run.models)


def split(named: str, models: Collection[str]) -> tuple[str, Seeds]:
    """Split MODEL[@SEED,...], where these are the models that there are."""
    name, at, seeds = named.rpartition("@")
    if named in models or not at or not all(SEED.fullmatch(seed.strip()) for seed in seeds.split(",")):
        return named, ()
    return name, tuple(int(seed) for seed in seeds.split(","))


def _is_there(text: str) -> bool:
    try:
        return as_path(text).exists()
    except UsageError:
        # With a model's name behind it, it may be too long for a path.
        return False


def pairs_of(run_a: Run, model_a: str | None, run_b: Run, model_b: str | None) -> list[tuple[str, str]]:
    """Pair the models that are given, else all that both runs have, by their names.

    Raises
    ------
    UsageError
        If that leaves a choice, or nothing.
    """
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


def paired_seeds(
    run_a: Run, model_a: str, seeds_a: Seeds, run_b: Run, model_b: str, seeds_b: Seeds
) -> tuple[Seeds, Seeds]:
    """Pair the seeds: those given, else those that both have.

    Raises
    ------
    UsageError
        If one is not there, is named twice, or one side has more than the other.
    """
    there_a, there_b = run_a.seeds(model_a), run_b.seeds(model_b)
    shared = tuple(seed for seed in there_a if seed in there_b)
    chosen_a, chosen_b = seeds_a or seeds_b or shared, seeds_b or seeds_a or shared
    for run, model, named in ((run_a, model_a, seeds_a), (run_b, model_b, seeds_b)):
        if len(set(named)) < len(named):
            msg = f"{run.folder}:{model}: a seed is named twice, and one training says nothing of another"
            raise UsageError(msg)
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

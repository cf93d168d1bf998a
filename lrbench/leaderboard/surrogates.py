"""What attacks are made on: whether it is one of two models that are compared, or the same for both."""

from collections.abc import Iterator
from typing import Any

from lrbench.catalogue import DATASETS
from lrbench.leaderboard.layout import labels
from lrbench.leaderboard.networks import is_ours, is_told, network_in
from lrbench.leaderboard.sides import Side


def made_on(first: Side, second: Side) -> set[str]:
    """Find attacks that meet one of the two by its gradients, and the other by those of a stranger.

    They say nothing of which is more robust. One that meets each by its own treats both alike.
    """
    a, b = (
        {label: attack["surrogate"] for label, attack in zip(labels(suite), suite["attacks"], strict=True)}
        for suite in (side.run.board.suite for side in (first, second))
    )
    found = set()
    for side, made in ((first, a), (second, b)):
        for label, surrogate in made.items():
            if (a.get(label), b.get(label)) == (first.model, second.model):
                continue
            if surrogate is not None and any(_is_kin(side, surrogate, each) for each in (first, second)):
                found.add(label)
    return found


def _is_kin(side: Side, surrogate: str, other: Side) -> bool:
    """Whether a surrogate is one of the compared, under whatever name, or one of the two starts from the other."""
    if surrogate == other.model:
        return True
    pairs = [(surrogate, start) for start in (other.model, *_starts(other, other.model))]
    pairs += [(start, other.model) for start in _starts(side, surrogate)]
    here = side.run.folder.resolve() == other.run.folder.resolve()
    return any((here and mine == its) or _is_one(side, mine, other, its) for mine, its in pairs)


def _is_one(side: Side, name: str, other: Side, its_name: str) -> bool:
    return any(
        network_in(side.run, name, mine).is_same(network_in(other.run, its_name, its), ours=True)
        for mine, its in zip(side.seeds, other.seeds, strict=True)
    )


def _starts(side: Side, model: str) -> Iterator[str]:
    """Give the models that a model starts from, one after the other."""
    models = side.run.board.suite["models"]
    seen = {model}
    while (start := models.get(model, {}).get("init_from")) and start not in seen:
        yield start
        seen.add(start)
        model = start


def same_networks(first: Side, second: Side, names: tuple[str | None, str | None]) -> bool:
    """Whether what attacks are made on is the same: of one run, the same networks, or such as are trained alike."""
    one, other = names
    if one is None or other is None:
        return one == other
    if (one, other) == (first.model, second.model):
        return True  # each meets it by its own gradients
    if first.run.folder.resolve() == second.run.folder.resolve():
        return one == other
    a, b = recipe_of(first, one), recipe_of(second, other)
    ours = bool(a and b) and all(is_told(each["model"]) for each in (a, b))
    pairs = [
        (network_in(first.run, one, seed), network_in(second.run, other, its))
        for seed, its in zip(first.seeds, second.seeds, strict=True)
    ]
    if all(mine.is_same(theirs, ours=ours) for mine, theirs in pairs):
        return True
    data = [side.run.board.suite["data"] for side in (first, second)]
    return (a, data[0]) == (b, data[1]) and is_ours(DATASETS, data[0]["name"]) and _says_all(a, data[0])


def _says_all(recipe: dict[str, Any], data: dict[str, Any]) -> bool:
    """Whether a suite says what a network is but for chance: it is no file's, nobody's code, and trained there."""
    spec = recipe.get("model")
    if spec is None or not spec.get("train", True) or spec.get("weights") or "path" in data or not is_told(spec):
        return False
    return "start" not in recipe or _says_all(recipe["start"], data)


def recipe_of(side: Side, name: str) -> dict[str, Any]:
    """Give what of a suite makes a network, and the one that it starts from; nothing where the suite lacks it.

    A published board may: its records are of one model each.
    """
    suite = side.run.board.suite
    if name not in suite["models"]:
        return {}
    spec = dict(suite["models"][name])
    training = spec.pop("training", None) or suite["training"]
    used = {"model": spec, "training": training if spec.get("train", True) else None}
    used["low_rank"] = suite["low_rank"] if spec.get("lr_layers") else None
    return used | ({"start": recipe_of(side, spec["init_from"])} if spec.get("init_from") else {})

"""Networks that several boards hold: figures of them are no independent evidence."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from lrbench.leaderboard.kept import Content
from lrbench.leaderboard.networks import CHECKPOINT
from lrbench.names import makes_network, model_in

TITLE = "Networks on several boards"

ABOUT = (
    "These have the same weights on each board of a line, bit for bit: what the boards say of them, and of others "
    "beside them, is not independent."
)


class Shared(NamedTuple):
    """What some boards have in common, as text."""

    boards: tuple[str, ...]
    networks: tuple[str, ...]
    """`MODELS (seeds 1, 2)`, with each of a network's names where boards call it differently."""


def shared(boards: dict[str, list[Content]]) -> list[Shared]:
    """Give the networks that at least two of these boards hold, for each set of boards, by their records."""
    holders: dict[tuple[str, ...], set[tuple[str, str, int]]] = defaultdict(set)
    for board, records in boards.items():
        for record in records:
            for step, files in record["artefacts"].items():
                if makes_network(step) and all(name in files for name in CHECKPOINT):
                    seed = int(step.rpartition("-")[2])
                    holders[tuple(files[name] for name in CHECKPOINT)].add((board, model_in(step), seed))
    found: dict[tuple[str, ...], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for there in holders.values():
        together = tuple(sorted({board for board, _, _ in there}))
        if len(together) > 1:
            names = " / ".join(sorted({model for _, model, _ in there}))
            found[together][names] |= {seed for _, _, seed in there}
    return [Shared(together, tuple(_by_seeds(models))) for together, models in sorted(found.items())]


def _by_seeds(models: dict[str, set[int]]) -> Iterator[str]:
    by_seeds: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for names, seeds in sorted(models.items()):
        by_seeds[tuple(sorted(seeds))].append(names)
    for alike, together in by_seeds.items():
        yield f"{', '.join(together)} (seed{'s' * (len(alike) > 1)} {', '.join(map(str, alike))})"

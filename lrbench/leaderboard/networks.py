"""Which networks figures rest on: by the keys of the steps that made them, which say from what, and by their files."""

from collections.abc import Mapping
from typing import NamedTuple

import lrbench
from lrbench.catalogue import MODELS, REGULARIZERS
from lrbench.leaderboard.kept import Content
from lrbench.leaderboard.outcomes import Run
from lrbench.names import makes_network, network_ids
from lrbench.registry import Registry

CHECKPOINT = ("weights.safetensors", "model.json")
"""Files that say what a network is."""


class Network(NamedTuple):
    """A network, by what is known of it; two of which nothing is are not the same."""

    key: str | None = None
    files: tuple[str | None, ...] = ()

    @classmethod
    def of_step(cls, step: str, keys: Mapping[str, str], files: Mapping[str, Mapping[str, str]]) -> "Network":
        """Give that of a step, by the keys and the files' checksums of all."""
        found = files.get(step, {})
        return cls(keys.get(step), tuple(found.get(name) for name in CHECKPOINT) if found else ())

    def is_same(self, other: "Network", *, ours: bool) -> bool:
        """Whether it was made from the same as another one, or came out the same.

        Files tell weights alone: where keys differ they do so only if the architecture is lrbench's (`ours`).
        """
        if self.key and other.key and not ours:
            return self.key == other.key
        return bool(self.key and self.key == other.key) or bool(any(self.files) and self.files == other.files)


def is_ours(registry: Registry, name: str) -> bool:
    """Whether what goes by a name is lrbench's own, and not somebody's code or a file's."""
    target = registry[name].target if name in registry and ":" not in name else None
    module = target if isinstance(target, str) else getattr(target, "__module__", "")
    return module.startswith(f"{lrbench.__name__}.")


def is_told(spec: Content) -> bool:
    """Whether a suite says all of a model's code: its architecture, and what regularizes it, are lrbench's."""
    regularizers = (name for name, asked in (spec.get("regularizers") or {}).items() if asked is not None)
    return is_ours(MODELS, spec["arch"]) and all(is_ours(REGULARIZERS, name) for name in regularizers)


def networks_of(record: Content) -> dict[str, Network]:
    """Give the networks of a published record's model, by their steps."""
    keys, files = record.get("keys") or {}, record.get("artefacts") or {}
    return {step: Network.of_step(step, keys, files) for step in {**files, **keys} if makes_network(step)}


def step_in(run: Run, model: str, seed: int) -> str | None:
    """Give the step of a run's plan that makes a network; None if there is no such network."""
    return next((step for step in network_ids(model, seed) if step in run.plan), None)


def network_in(run: Run, model: str, seed: int) -> Network:
    """Give the network that a model became in a run, or on a published board; of one that is not there nothing."""
    if run.published:
        there: dict[str, Network] = networks_of(run.published[model]) if model in run.published else {}
        return next((there[step] for step in network_ids(model, seed) if step in there), Network())
    if (step := step_in(run, model, seed)) is None:
        return Network()
    record = run.as_planned(step)
    return Network.of_step(step, run.plan, {step: record.files} if record is not None else {})

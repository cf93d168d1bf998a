"""What the steps of a run share: suite, data on the device, and the trained models."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lrbench.attacks.prepared import channels_last
from lrbench.data import ImageData
from lrbench.errors import LrbenchError
from lrbench.lowrank import attach_lr_layers
from lrbench.models import load_checkpoint, load_network, load_weights
from lrbench.names import model_in
from lrbench.regularizers.registry import attach_lasting
from lrbench.runner.assembly import Statistics, assembled
from lrbench.runner.step import Step
from lrbench.store import Row, Store
from lrbench.suite import ModelSpec, Normalization, Suite
from lrbench.training import seeded

KEPT = 2
"""Models kept in memory between steps: one that is attacked, and one that attacks are made on."""


@dataclass(frozen=True)
class Outcome:
    """What a step gives back: rows of results, and files to keep.

    `needless` tells that there was nothing to do, so that the time it took says nothing of other steps.
    """

    rows: list[Row]
    files: dict[str, bytes] = field(default_factory=dict)
    needless: bool = False


@dataclass
class Context:
    """Shared by the steps of one run; remembers the models that were loaded last.

    `elsewhere` makes such a one in another process; it can be pickled. `jobs` steps are taken side by side.
    `shared` is what measures keep from one model to the next.
    """

    suite: Suite
    data: ImageData
    device: torch.device
    store: Store
    elsewhere: Callable[[torch.device], "Context"] = field(default_factory=lambda: _refuse_elsewhere)
    check_stop: Callable[[], None] = lambda: None
    jobs: int = 1
    shared: dict[Any, Any] = field(default_factory=dict)
    _loaded: dict[str, nn.Module] = field(default_factory=dict)

    def build(self, name: str, *, start: str | None = None, finished: bool = False) -> nn.Module:
        """Build a model of the suite, its LR-Layers attached, on the device.

        Its weights are fresh, those it names, or those that the step `start` trained. A `finished` one waits for its
        checkpoint, and has all that regularizers leave in a network.
        """
        spec = self.suite.models[name]
        file = None if finished else spec.weights_file
        model = assembled(
            spec.arch,
            self.data.network_outputs,
            self.data.channels,
            spec.options,
            chosen=None if self.data.outputs is None else self.data.outputs.chosen,
            statistics=normalization(spec, self.data.channels) or self.data.statistics,
            fill=lambda net: None if file is None else load_weights(net, Path(file)),
        )
        if start is not None:
            load_network(model, self.store.folder(start))
        if spec.lr_layers:
            ranks = {layer: lr.options for layer, lr in spec.lr_layers.items()}
            attach_lr_layers(model, ranks, **self.suite.low_rank.layer_options)
        if finished:
            attach_lasting(model, spec.regularizers.content)
        return channels_last(model.to(self.device))

    def trained(self, step: Step, position: int = 0) -> nn.Module:
        """Load the model that a step measures, or the one at another `position` of what it needs, from its checkpoint.

        A step holds the models it works on: asked twice, this gives the same object.
        """
        training = step.needs[position]
        others = [each for each in self._loaded if each not in step.needs]
        for other in others[: max(0, len({*self._loaded, training}) - KEPT)]:
            del self._loaded[other]
        if training not in self._loaded:
            # Its first weights, which are thrown away, are not to move the generator that a step found.
            with torch.random.fork_rng():
                model = self.build(model_in(training), finished=True)
            self._loaded[training] = load_checkpoint(model, self.store.folder(training)).eval()
        return self._loaded[training]

    def file(self, step_id: str, name: str) -> bytes:
        """Read what an earlier step kept."""
        return (self.store.folder(step_id) / name).read_bytes()

    def forget(self) -> None:
        """Drop the models in memory; a new training replaces what one was loaded from."""
        self._loaded.clear()


def seeded_for(context: Context, step: Step, seed: int) -> AbstractContextManager[None]:
    """Seed a block that works on a step's models, with deterministic algorithms if all of them are to have those."""
    models = [model_in(needed) for needed in step.needs if needed.startswith(("train/", "load/"))]
    deterministic = all(context.suite.training_of(model).deterministic for model in models)
    return seeded(seed, deterministic=deterministic)


def generators(device: torch.device) -> list[object]:
    """States of the global generators of torch, NumPy and Python, from which a pass on a device may draw."""
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    torchs = [state.numpy().tobytes() for state in (torch.get_rng_state(), *cuda)]
    return [*torchs, bytes(np.asarray(keys)), rest, random.getstate()]


def _refuse_elsewhere(_device: torch.device) -> Context:
    msg = "this run cannot be taken up in another process"
    raise LrbenchError(msg)


def normalization(spec: ModelSpec, channels: int) -> Statistics | None:
    """Mean and standard deviation that a model's images are normalised by; None for those of the training images."""
    if isinstance(spec.normalize, Normalization):
        return spec.normalize.mean, spec.normalize.std
    if spec.normalize == "weights":
        msg = "how its weights want images normalised is not spelled out (`lrbench.runner.pretrained.with_weights`)"
        raise LrbenchError(msg)
    return None if spec.normalize else ([0.0] * channels, [1.0] * channels)

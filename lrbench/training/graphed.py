"""The training step as a CUDA graph: a thousand kernels begun at once, where Python takes longer than the GPU."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrbench.lowrank import LRLayers
from lrbench.lowrank.attach import observes
from lrbench.lowrank.recorded import RecordedUpdates, recordable
from lrbench.regularizers.activations import keeps
from lrbench.training.ranks import world

WARM = 3
"""Steps made one by one before a graph is recorded: they allocate, and choose algorithms."""

OWN = ("torch.nn.", "torchvision.", "lrbench.models.", "lrbench.lowrank.")
"""Whose modules compute the same way in every pass: nothing in Python, which a graph leaves out, decides there."""

Learn = Callable[[Tensor, Tensor, "float | Tensor"], Iterator[None]]
"""A step, of images, labels and the weight of the penalties, in three parts: before the penalties, they, and after."""


def alike(model: nn.Module, device: torch.device) -> bool:
    """Whether all steps of training a network are the same kernels, so that repeating one's is the same training."""
    everywhere = nn.modules.module
    watched = everywhere._global_forward_hooks or everywhere._global_forward_pre_hooks
    watched = watched or everywhere._global_backward_hooks or everywhere._global_backward_pre_hooks
    return device.type == "cuda" and world() == 1 and not watched and all(_plain(each) for each in model.modules())


def _plain(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    known = type(module).__module__.startswith(OWN) and not _decides(module)
    watched = any(
        parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None)
        for parameter in module.parameters(recurse=False)
    )
    return known and not watched and all(observes(hook) or keeps(hook) for each in hooks for hook in each.values())


def _decides(module: nn.Module) -> bool:
    """Whether something in Python, or a value that the host has to read, decides what a module computes."""
    averages = isinstance(module, nn.modules.batchnorm._NormBase) and module.momentum is None
    renorms = getattr(module, "max_norm", None) is not None
    changed = any(inspect.isroutine(each) for each in vars(module).values()) or hasattr(module, "parametrizations")
    return (
        changed or averages or renorms or getattr(module, "memory_efficient", False)
        or isinstance(module, nn.AdaptiveLogSoftmaxWithLoss | nn.DataParallel | nn.SyncBatchNorm)
    )  # fmt: skip


class Steps:
    """Makes steps one by one at first, and then repeats a recorded one.

    W and b of LR-Layers that can be recorded follow a batch while the network learns from it and sees the next one;
    `finish` lets them follow the last.

    Parameters
    ----------
    learn : callable
    optimizer : torch.optim.Optimizer
    generator : torch.Generator
        That a step draws from, torch's own apart.
    """

    def __init__(self, learn: Learn, optimizer: Optimizer, generator: torch.Generator) -> None:
        self.learn, self.optimizer, self.generator = learn, optimizer, generator
        self._apart = torch.cuda.Stream(generator.device)  # type: ignore[no-untyped-call]
        self._beside = torch.cuda.Stream(generator.device)  # type: ignore[no-untyped-call]
        self._layers: LRLayers | None = None
        self._updates: RecordedUpdates | None = None
        self._graph: _Graph | None = None
        self._made = 0

    def __call__(self, images: Tensor, labels: Tensor, weight: float, layers: LRLayers | None) -> None:
        """Make a step; `layers` are None where there are none, or they are off."""
        with torch.cuda.device(self.generator.device):
            if layers is not self._layers:
                self._land()
                self._layers, self._graph, self._made = layers, None, 0
                self._updates = _updates_of(layers)
            if self._repeatable():
                self._repeat(images, labels, weight)
            else:
                self._alone(images, labels, weight)

    def finish(self) -> None:
        """Let LR-Layers follow the last batch."""
        with torch.cuda.device(self.generator.device):
            self._land()
            if self._layers is not None:
                self._layers.update()

    def _repeatable(self) -> bool:
        if self._made < WARM:
            return False
        if self._updates is None:
            return self._layers is None
        return not self._updates.due or self._updates.ready()

    def _repeat(self, images: Tensor, labels: Tensor, weight: float) -> None:
        if self._graph is None:
            self._graph = _Graph(self.learn, self.optimizer, self.generator, self._updates, images, labels)
        if self._updates is None:
            self._graph(images, labels, weight)
            return
        self._begin()
        self._graph(images, labels, weight, self._land, self._follow)

    def _alone(self, images: Tensor, labels: Tensor, weight: float) -> None:
        """Make a step without a graph; beside the stream that others work on, as a recorded one will be."""
        self._land()
        here = torch.cuda.current_stream()
        self._apart.wait_stream(here)
        with torch.cuda.stream(self._apart):
            if self._layers is not None:
                self._layers.update()
            for _ in self.learn(images, labels, weight):
                pass
            if self._updates is not None:
                self._updates.hold()
                self._updates.put()
        here.wait_stream(self._apart)
        self._made += 1

    def _follow(self) -> None:
        """Begin to follow what was just penalised."""
        assert self._updates is not None  # noqa: S101
        self._updates.put()
        self._begin()

    def _begin(self) -> None:
        """Begin the update that is due, unless it has to be made exactly: then the next step is made alone."""
        assert self._updates is not None  # noqa: S101
        assert self._graph is not None  # noqa: S101
        if self._updates.due and self._updates.ready():
            self._beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._beside):
                self._graph.update.replay()
            self._updates.begun()

    def _land(self) -> None:
        """Take over what an update that is under way arrives at."""
        if self._updates is not None and self._updates.under_way:
            torch.cuda.current_stream().wait_stream(self._beside)
            self._updates.adopt()


def _updates_of(layers: LRLayers | None) -> RecordedUpdates | None:
    found = [] if layers is None else [layers[name] for name in layers]
    return RecordedUpdates(found) if found and all(recordable(layer) for layer in found) else None


class _Graph:
    """A recorded step, and the updates of LR-Layers, which others repeat beside its last part."""

    def __init__(
        self,
        learn: Learn,
        optimizer: Optimizer,
        generator: torch.Generator,
        updates: RecordedUpdates | None,
        images: Tensor,
        labels: Tensor,
    ) -> None:
        self.learn, self.optimizer, self.generator, self.updates = learn, optimizer, generator, updates
        self.images, self.labels = images.clone(), labels.clone()
        self.weight, self.rate = torch.zeros(2, device=images.device).unbind()
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = self.rate
        try:
            self._record()
        finally:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    def __call__(self, images: Tensor, labels: Tensor, weight: float, *between: Callable[[], None]) -> None:
        """Repeat it with other images; `between` are called after a part each."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.weight.fill_(weight)
        self.rate.fill_(self.optimizer.param_groups[0]["lr"])
        for part, then in itertools.zip_longest(self.parts, between):
            part.replay()
            if then is not None:
                then()

    def _record(self) -> None:
        # Memory that one part leaves free the next may use, as they are always repeated one after the other; an update
        # runs beside them.
        pool = torch.cuda.graph_pool_handle()
        if self.updates is None:
            self.parts = [self._captured(self._whole, pool)]
            return
        due = self.updates.due
        self.parts = [self._captured(part, pool) for part in (self._seen, self._penalised, self._learnt)]
        self.updates.put(due=due)
        self.update = self._captured(self.updates.follow, None)

    def _captured(self, work: Callable[[], None], pool: Any) -> torch.cuda.CUDAGraph:  # noqa: ANN401
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        # Other threads may read images meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            work()
        return graph

    def _whole(self) -> None:
        for _ in self.learn(self.images, self.labels, self.weight):
            pass

    def _seen(self) -> None:
        self._step = self.learn(self.images, self.labels, self.weight)
        next(self._step)

    def _penalised(self) -> None:
        assert self.updates is not None  # noqa: S101
        next(self._step)
        self.updates.hold()

    def _learnt(self) -> None:
        for _ in self._step:
            pass

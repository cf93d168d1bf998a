"""The training step as a CUDA graph: a thousand kernels begun at once, where Python takes longer than the GPU."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrbench.lowrank import LRLayers
from lrbench.lowrank.attach import observes
from lrbench.lowrank.recorded import RecordedUpdates, recordable
from lrbench.training.ranks import world

WARM = 3
"""Steps made one by one before a graph is recorded: they allocate, and choose algorithms."""

OWN = ("torch.nn.", "torchvision.", "lrbench.models.", "lrbench.lowrank.")
"""Whose modules compute the same way in every pass: nothing in Python, which a graph leaves out, decides there."""

Learn = Callable[[Tensor, Tensor, "float | Tensor", Callable[[], None]], None]
"""A step: images, labels, weight of the penalties, and what is to be called before penalties are taken."""


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
    return known and not watched and all(observes(hook) for each in hooks for hook in each.values())


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

    W and b of LR-Layers that can be recorded follow a batch while the network sees the next one; `finish` lets them
    follow the last.

    Parameters
    ----------
    learn : callable
    optimizer : torch.optim.Optimizer
    generator : torch.Generator
        That a step draws from, torch's own apart.
    """

    def __init__(self, learn: Learn, optimizer: Optimizer, generator: torch.Generator) -> None:
        self.learn, self.optimizer, self.generator = learn, optimizer, generator
        self._stream = torch.cuda.Stream(generator.device)  # type: ignore[no-untyped-call]
        self._layers: LRLayers | None = None
        self._updates: RecordedUpdates | None = None
        self._graph: _Graph | None = None
        self._made = 0

    def __call__(self, images: Tensor, labels: Tensor, weight: float, layers: LRLayers | None) -> None:
        """Make a step; `layers` are None where there are none, or they are off."""
        with torch.cuda.device(self.generator.device):
            self._step(images, labels, weight, layers)

    def _step(self, images: Tensor, labels: Tensor, weight: float, layers: LRLayers | None) -> None:
        if layers is not self._layers:
            self._layers, self._graph, self._made = layers, None, 0
            self._updates = _updates_of(layers)
        if (layers is not None and self._updates is None) or self._made < WARM or not self._ready():
            self._alone(images, labels, weight)
            return
        if self._graph is None:
            self._graph = _Graph(self.learn, self.optimizer, self.generator, self._updates, images, labels)
        self._graph(images, labels, weight)
        if self._updates is not None:
            self._updates.counted()

    def finish(self) -> None:
        """Let LR-Layers follow the last batch."""
        if self._layers is not None:
            self._layers.update()

    def _ready(self) -> bool:
        return self._updates is None or self._updates.ready()

    def _alone(self, images: Tensor, labels: Tensor, weight: float) -> None:
        """Make a step without a graph; beside the stream that others work on, as a recorded one will be."""
        here = torch.cuda.current_stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            if self._layers is not None:
                self._layers.update()
            self.learn(images, labels, weight, lambda: None)
            if self._updates is not None:
                self._updates.hold()
        here.wait_stream(self._stream)
        self._made += 1


def _updates_of(layers: LRLayers | None) -> RecordedUpdates | None:
    found = [] if layers is None else [layers[name] for name in layers]
    return RecordedUpdates(found) if found and all(recordable(layer) for layer in found) else None


class _Graph:
    """A recorded step."""

    def __init__(
        self,
        learn: Learn,
        optimizer: Optimizer,
        generator: torch.Generator,
        updates: RecordedUpdates | None,
        images: Tensor,
        labels: Tensor,
    ) -> None:
        self.optimizer, self.images, self.labels = optimizer, images.clone(), labels.clone()
        self.weight, self.rate = torch.zeros(2, device=images.device).unbind()
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(generator)
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = self.rate
        try:
            # Other threads may read images meanwhile.
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self._record(learn, updates)
        finally:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    def _record(self, learn: Learn, updates: RecordedUpdates | None) -> None:
        if updates is None:
            learn(self.images, self.labels, self.weight, lambda: None)
            return
        here, beside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            updates.follow()
        learn(self.images, self.labels, self.weight, lambda: here.wait_stream(beside))
        updates.hold()

    def __call__(self, images: Tensor, labels: Tensor, weight: float) -> None:
        """Repeat it with other images."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.weight.fill_(weight)
        self.rate.fill_(self.optimizer.param_groups[0]["lr"])
        self.graph.replay()

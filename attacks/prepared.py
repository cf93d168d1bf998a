"""A model made ready for many passes: evaluation mode, no parameter gradients, batch norm folded into convolutions."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .counting import noted
from .frozen import frozen
from .inputs import ordinary
from .interruption import ask
from .memory import memory_kept
from .precision import rounded_products
from .regular import PROBED, callers_modes_left, regular

EXAMPLES = PROBED
"""So many are run through a folded copy to see that it does what the model does."""

TOLERANCE = 1e-4
"""Largest difference of a class's logits, relative to the largest of them, that counts as rounding.

Of the median class at least, so that a class whose logits are all near 0 does not decide.
"""


class Prepared(nn.Module):
    """What `prepared` gives; an attack takes it as it is, without preparing it again.

    Attributes
    ----------
    original : callable
        The model that was lent, in evaluation mode: what an attack found counts on it alone.
    classes : int or None
        That it tells apart; None where it was lent without examples.
    """

    def __init__(self, net: nn.Module, original: nn.Module, classes: int | None = None) -> None:
        super().__init__()
        self.net, self.classes = net, classes
        # Not a submodule: its parameters are not this module's, and it moves and is copied on its own.
        self._original = (original,)
        self.training = False

    @property
    def original(self) -> nn.Module:
        """The model that was lent."""
        return self._original[0]

    @property
    def unfolded(self) -> "Prepared":
        """The model that was lent, as an attack takes it."""
        return Prepared(self.original, self.original, self.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        ask()
        return noted(self.net(x))


@contextmanager
def prepared(model: Callable[[Tensor], Any], x: Tensor, *, compiled: bool = False) -> Iterator[Prepared]:
    """Lend a model for attacks; it is given back exactly as it was.

    What is irregular about it is mended around it (`lrbench.attacks.regular`), and the caller's inference mode and
    autocast are left for as long as it is lent: the model alone is run under the caller's autocast.

    Convolutions that feed a batch norm and nothing else are folded with it in a copy, which saves a pass over every
    activation in each direction. The copy is used only if it gives the same logits as the model, to rounding, on the
    first examples; a model that cannot be copied, draws random numbers, or has hooks on those modules is used as it is.

    Parameters
    ----------
    model : nn.Module or callable
    x : Tensor, (N, ...)
        Examples that will be attacked.
    compiled : bool
        Pass the network through `torch.compile`; worth its minutes on long attacks, on a GPU above all.
    """
    if isinstance(model, Prepared):
        yield model
        return
    examples = laid_out(x[:EXAMPLES])
    whole, classes = regular(model, examples)
    with callers_modes_left(x.device), frozen(whole), memory_kept():
        net = _folded(whole, ordinary(examples)) if len(x) else whole
        yield Prepared(torch.compile(net) if compiled else net, whole, classes)  # type: ignore[arg-type]


def laid_out(x: Tensor) -> Tensor:
    """Give inputs in the memory layout in which attacks work on them."""
    return x.detach().contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.detach()


def only_channels_last(x: Tensor) -> bool:
    """Whether inputs lie in memory as channels_last, and not as rows."""
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _folded(model: nn.Module, x: Tensor) -> nn.Module:
    if not any(type(module) is nn.BatchNorm2d for module in model.modules()):
        return model
    try:
        twin = copy.deepcopy(model)
    except Exception:  # noqa: BLE001 - what holds a lock, a file or a handle raises what it likes, and is used as it is
        return model
    # Where a GPU may round factors to ten bits, it rounds those of a copy otherwise.
    with torch.no_grad(), rounded_products(allowed=False):
        pairs, expected = _pairs(twin, x)
        if not pairs:
            return model
        for conv_name, norm_name in pairs:
            conv, norm = twin.get_submodule(conv_name), twin.get_submodule(norm_name)
            assert isinstance(conv, nn.Conv2d)  # noqa: S101
            assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101
            twin.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
            twin.set_submodule(norm_name, nn.Identity())
        try:
            difference = (twin(x) - expected).abs()
        except (AttributeError, TypeError):
            return model  # its forward looks at what was folded away
    largest = expected.abs().amax(dim=0)
    same = bool((difference <= TOLERANCE * torch.maximum(largest, largest.median())).all())
    return channels_last(twin) if same else model


def channels_last(model: nn.Module) -> nn.Module:
    """Lay out a model's weights of four dimensions for images in channels_last; others have no such layout."""
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return model


def _pairs(model: nn.Module, x: Tensor) -> tuple[list[tuple[str, str]], Tensor]:
    """Convolutions, each with the batch norm that takes its output as it is, by name, and the logits of x."""
    watch = _Watch()
    handles = []
    for name, module in model.named_modules():
        if not name or _hooked(module):
            continue
        if type(module) is nn.Conv2d:
            handles.append(module.register_forward_hook(watch.convolution(name)))
        elif type(module) is nn.BatchNorm2d and module.track_running_stats:
            handles.append(module.register_forward_pre_hook(watch.norm(name)))
    try:
        logits = model(x)
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in watch.pairs if all(watch.calls[name] == 1 for name in pair)], logits


class _Watch:
    """Sees which tensors go from convolutions to batch norms in a pass."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.pairs: list[tuple[str, str]] = []
        self._outputs: dict[int, tuple[str, Tensor]] = {}  # holds the tensors, so that no two of them share an id

    def convolution(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self.calls[name] += 1
            self._outputs[id(output)] = (name, output)

        return hook

    def norm(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.calls[name] += 1
            if id(inputs[0]) in self._outputs:
                self.pairs.append((self._outputs[id(inputs[0])][0], name))

        return hook


def _hooked(module: nn.Module) -> bool:
    """Whether somebody watches or changes what this module does."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or hasattr(module, "parametrizations")

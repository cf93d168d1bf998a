"""Models as people bring them to attacks: what they are, and what they give."""

import threading
import warnings
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


def net_of(shape, classes, dtype=torch.float32):
    """A small network of one layer, by name "1", for inputs of a shape."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes, dtype=torch.float32))
    return net.to(dtype).eval()


class Wrapped(nn.Module):
    """Does something with what a network gives."""

    def __init__(self, net, after):
        super().__init__()
        self.net, self.after = net, after

    def forward(self, x):
        return self.after(self.net(x))


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


@dataclass
class Pair:
    first: torch.Tensor
    second: torch.Tensor


Named = namedtuple("Named", "logits aux")

SAME = {
    "a tuple of one": lambda z: (z,),
    "a list of one": lambda z: [z],
    "a named tuple": lambda z: Named(z, z * 2),
    "a dict": lambda z: {"logits": z, "hidden": z * 2},
    "a dict of one": lambda z: {"out": z},
    "a dataclass": lambda z: Output(z, z * 2),
    "trailing ones": lambda z: z[:, :, None, None],
    "double": lambda z: z.double(),
}
"""Outputs that hold the very logits of a network."""

NO_LOGITS = {
    "a tuple of two": lambda z: (z, z * 2),
    "a dict without logits": lambda z: {"a": z, "b": z},
    "a dataclass without logits": lambda z: Pair(z, z),
    "classes": lambda z: z.argmax(dim=1),
    "maps": lambda z: z[:, :, None, None].expand(-1, -1, 4, 4),
    "fewer": lambda z: z[:-1],
    "sparse": lambda z: z.to_sparse(),
    "none": lambda _: None,
    "text": lambda _: "logits",
    "a scalar": lambda z: z.sum(),
    "complex": lambda z: z.double() + 0j,
    "not a number": lambda z: z * torch.nan,
}
"""Outputs that hold none."""

EXTREME = {
    "infinite logits": lambda z: z * 1e30 * 1e30,
    "ties": lambda z: z * 0,
    "infinite for one class": lambda z: z.index_fill(1, torch.tensor([0], device=z.device), torch.inf),
    "minus infinity for one class": lambda z: z.index_fill(1, torch.tensor([0], device=z.device), -torch.inf),
    "a constant": torch.zeros_like,
    "rounded": lambda z: z.round(),
    "probabilities": lambda z: z.softmax(dim=1),
    "detached": lambda z: z.detach(),
    "logits far apart": lambda z: z * 1e4,
}
"""Outputs that are logits, and that attacks stumble over."""


class Inplace(nn.Module):
    """Writes into its input."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.sub_(0.5).div_(0.25))


class Shifted(nn.Module):
    """What `Inplace` does to its input, done to a copy."""

    def forward(self, x):
        return (x - 0.5) / 0.25


class Viewing(nn.Module):
    """Takes its input for row-major."""

    def __init__(self, net):
        super().__init__()
        self.net = net[1]

    def forward(self, x):
        return self.net(x.view(len(x), -1))


class Locked(nn.Module):
    """Cannot be copied."""

    def __init__(self, net):
        super().__init__()
        self.net, self.lock = net, threading.Lock()
        self.file = open("/dev/null")  # noqa: SIM115

    def forward(self, x):
        return self.net(x)


class Normed(nn.Module):
    """A batch norm, a dropout, and a parameter of five dimensions before the network."""

    def __init__(self, net):
        super().__init__()
        self.net, self.norm, self.dropout = net, nn.BatchNorm1d(net[1].in_features), nn.Dropout(0.5)
        self.wide = nn.Parameter(torch.zeros(1, 1, 1, 1, 1))
        self.to(net[1].weight.dtype).eval()

    def forward(self, x):
        return self.net(self.dropout(self.norm(x.flatten(1))) + self.wide.flatten()[0])


class Hooked(nn.Module):
    """Somebody watches its layer."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        net[1].register_forward_hook(lambda *_: None)
        net[1].register_full_backward_hook(lambda *_: None)

    def forward(self, x):
        return self.net(x)


def silently(make):
    """Build with the warnings that a library has for its own way of building."""

    def built(net):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(net)

    return built


def traced(net):
    return torch.jit.trace(net, torch.rand(2, net[1].in_features, dtype=net[1].weight.dtype))


def quantised(net):
    return torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, torch.qint8)


def in_inference_mode(net):
    with torch.inference_mode():
        return nn.Sequential(nn.Flatten(), nn.Linear(net[1].in_features, net[1].out_features)).to(net[1].weight)


MODULES = {
    "a module": lambda net: net,
    "a function": lambda net: lambda x: net(x),  # noqa: PLW0108
    "a method": lambda net: net.forward,
    "in place": Inplace,
    "view": Viewing,
    "traced": silently(traced),
    "scripted": silently(torch.jit.script),
    "frozen script": silently(lambda net: torch.jit.freeze(torch.jit.script(net))),
    "data parallel": nn.DataParallel,
    "locks and files": Locked,
    "batch norm and dropout": Normed,
    "hooks": Hooked,
}
"""Kinds of models that are attacked as they are, from a network of `net_of`."""

REFUSED_MODULES = {
    "quantised": silently(quantised),
    "made in inference mode": in_inference_mode,
    "for other inputs": lambda net: nn.Sequential(nn.Flatten(), nn.Linear(net[1].in_features + 1, 3)),
    "no model": lambda _: "resnet18",
    "a class": lambda _: nn.Linear,
}
"""Kinds of models that some or all attacks refuse."""

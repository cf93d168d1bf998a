"""Tensors that are said to lie on a CUDA device, on any machine: shapes without values.

What mixes devices raises, and so does whatever asks what a tensor holds. Memory that is pinned and events are not
there to be had.
"""

from torch import Tensor
from torch._subclasses import FakeTensorMode


def on_cuda(mode: FakeTensorMode, value):
    """The same value, tensors of it on a CUDA device: a tensor, or a list, tuple or dict of such."""
    if isinstance(value, Tensor):
        fake = mode.from_tensor(value.detach())
        with mode:
            return fake.to("cuda")
    if isinstance(value, dict):
        return {name: on_cuda(mode, each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(on_cuda(mode, each) for each in value)
    return value


def moved(mode: FakeTensorMode, holder):
    """Bring the tensors among an object's attributes to a CUDA device, in place."""
    for name, value in vars(holder).items():
        if isinstance(value, Tensor | dict):
            setattr(holder, name, on_cuda(mode, value))
    return holder

"""Inputs and labels in the forms that people bring, and contexts of theirs."""

import contextlib

import numpy as np
import torch
from torch import nn

LABELS = {
    "int64": lambda y: y,
    "int32": lambda y: y.int(),
    "uint8": lambda y: y.to(torch.uint8),
    "bool of classes 0 and 1": lambda y: (y > 0) if y.numel() and y.max() <= 1 else y,
    "a list": lambda y: y.tolist(),
    "a tuple": lambda y: tuple(y.tolist()),
    "a list of tensors": list,
    "numpy": lambda y: y.numpy(),
    "numpy, big-endian": lambda y: y.numpy().astype(">i2"),
    "numpy, uint32": lambda y: y.numpy().astype(np.uint32),
    "numpy, backwards": lambda y: y.flip(0).numpy()[::-1],
    "a column": lambda y: y[:, None],
    "a column of numpy": lambda y: y[:, None].numpy(),
}
"""Forms of labels that are taken."""

NO_LABELS = {
    "float": lambda y: y.float(),
    "float numpy": lambda y: y.numpy().astype(float),
    "complex": lambda y: y + 0j,
    "negative": lambda y: y - 20,
    "too large": lambda y: y + 20,
    "far too large": lambda y: y + 2**40,
    "beyond int64": lambda y: y.numpy().astype(np.uint64) + np.uint64(2**63),
    "one-hot": lambda y: torch.eye(30)[y],
    "one-hot integers": lambda y: torch.eye(30, dtype=torch.int64)[y],
    "text": lambda y: [str(each) for each in y.tolist()],
    "text numpy": lambda y: y.numpy().astype(str),
    "none": lambda _: None,
    "a number": lambda _: 3,
    "ragged": lambda y: [[each] * (1 + place) for place, each in enumerate(y.tolist())],
    "too few": lambda y: y[:-1],
    "too many": lambda y: torch.cat([y, y]),
    "objects": lambda y: [object() for _ in y],
    "on no device": lambda y: y.to("meta"),
    "sparse": lambda y: y.to_sparse(),
}
"""Forms of labels that are refused, where there are any."""

INPUTS = {
    "plain": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x,
    "a slice": lambda x: torch.stack([x, x], dim=-1)[..., 0],
    "requires grad": lambda x: x.clone().requires_grad_(),
    "with history": lambda x: x.clone().requires_grad_() * 1,
    "a parameter": lambda x: nn.Parameter(x.clone()),
    "expanded": lambda x: x[:1].expand(x.shape) if len(x) else x,
    "black": torch.zeros_like,
    "white": torch.ones_like,
    "subnormal": lambda x: x * 1e-40,
}
"""Forms of inputs that are taken."""

NO_INPUTS = {
    "uint8": lambda x: (x * 255).to(torch.uint8),
    "integers": lambda x: x.long(),
    "complex": lambda x: x.float() + 0j,
    "numpy": lambda x: x.float().numpy(),
    "a list": lambda x: x.tolist(),
    "nothing": lambda _: None,
    "not a number": lambda x: x * torch.nan,
    "infinite": lambda x: x / 0,
    "beyond the bounds": lambda x: x + 2,
    "a scalar": lambda _: torch.tensor(0.5),
    "flat": lambda x: x.flatten()[:4],
    "sparse": lambda x: x.to_sparse(),
    "on no device": lambda x: x.to("meta"),
    "8 bits": lambda x: x.to(torch.float8_e4m3fn),
    "without entries": lambda x: x[..., :0],
}
"""Forms of inputs that are refused, where there are any."""


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


CONTEXTS = {
    "none": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "enable_grad": torch.enable_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", torch.float16),
    "default dtype float64": lambda: default_dtype(torch.float64),
    "default dtype bfloat16": lambda: default_dtype(torch.bfloat16),
    "default device": lambda: torch.device("meta"),
    "deterministic algorithms": deterministic,
}
"""What the caller may have set."""

"""Weights that somebody else trained: safetensors, or a torch file read without running its code."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lrbench.errors import UsageError, printable, short
from lrbench.files import check_archive

WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "weights")
PREFIXES = ("module.", "_orig_mod.", "net.", "model.")


def load_weights(net: nn.Module, path: Path) -> nn.Module:
    """Load a network's weights; every parameter and buffer must be there and fit.

    A mapping under a usual key (`state_dict`, `model`, ...) is unwrapped, and prefixes that wrappers leave (`module.`,
    ...) are taken off.

    Parameters
    ----------
    net : nn.Module
    path : Path
        `.safetensors`, or anything that `torch.load(weights_only=True)` reads.

    Raises
    ------
    UsageError
        If the file cannot be read or does not fit.
    """
    path = path.expanduser()
    state = _stripped(_unwrapped(_read(path), path), set(net.state_dict()))
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = "; ".join(printable(line.strip()) for line in str(error).splitlines()[1:3])
        msg = f"{path} does not fit the model: {reason[:300]}"
        raise UsageError(msg) from error
    return net


def _read(path: Path) -> Any:  # noqa: ANN401
    check_archive(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # Of a pickle that is refused in a line anyway.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        msg = (
            f"{path} holds more than tensors, and reading that would run its author's code; where you trust it, load "
            "it yourself and save its state_dict() with safetensors"
        )
        raise UsageError(msg) from error
    # What a damaged file makes torch raise is open: RuntimeError, EOFError, KeyError, struct.error, ...
    except Exception as error:
        msg = f"cannot read weights from {path}: {short(error)}"
        raise UsageError(msg) from error


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values()):
        return {str(name): tensor for name, tensor in content.items()}
    msg = f"{path} holds no state dict (names and tensors)"
    raise UsageError(msg)


def _stripped(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """Take off prefixes that all names share and the network does not have."""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if set(state) - wanted and all(name.startswith(prefix) for name in state):
                state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state

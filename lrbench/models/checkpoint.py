"""Checkpoints: weights as safetensors, what they are as JSON. Loading one runs no code of its author's."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from lrbench.errors import LrbenchError
from lrbench.models.classifier import Classifier

WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"
NET = "net."


def save_checkpoint(model: nn.Module, description: dict[str, Any]) -> dict[str, bytes]:
    """Serialise a model: file name -> content, for the store to write.

    Parameters
    ----------
    model : nn.Module
        What its state dict holds besides tensors is not kept (`loose_state`): who builds it again has it.
    description : dict
        JSON-serialisable: how to build the model again.
    """
    state, kept = model.state_dict(), dict[str, Tensor]()
    pointers: set[int] = set()
    for name, tensor in state.items():
        if isinstance(tensor, Tensor):
            # Tied weights are kept once for each of their names: the format knows of no two names for one tensor.
            pointer = tensor.untyped_storage().data_ptr()
            value = tensor.detach().contiguous()
            kept[name] = value.clone() if pointer in pointers else value
            pointers.add(pointer)
    return {WEIGHTS: save(kept), DESCRIPTION: (json.dumps(description, indent=2) + "\n").encode()}


def loose_state(model: nn.Module) -> list[str]:
    """Name what a model's state holds besides tensors, as that of quantised networks: no checkpoint keeps it."""
    return [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]


def load_checkpoint(model: nn.Module, folder: Path) -> nn.Module:
    """Load the weights in `folder` into a model built like the saved one.

    Raises
    ------
    LrbenchError
        If the file is missing, damaged, or of another architecture.
    """
    _fill(model, _read(folder), folder)
    return model


def load_content(model: nn.Module, content: bytes, where: Path) -> nn.Module:
    """Load weights from the content of a checkpoint's file, which is told of as `where`.

    Raises
    ------
    LrbenchError
        As `load_checkpoint`.
    """
    _fill(model, load(content), where)
    return model


def load_network(model: Classifier, folder: Path) -> None:
    """Load the network of the checkpoint in `folder`, without its LR-Layers and normalisation, into another's.

    Raises
    ------
    LrbenchError
        If the file is missing, damaged, or of another architecture.
    """
    state = _read(folder)
    _fill(model.net, {name.removeprefix(NET): state[name] for name in state if name.startswith(NET)}, folder)


def _read(folder: Path) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        msg = f"cannot read the checkpoint {path}: {error}"
        raise LrbenchError(msg) from error


def _fill(module: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    # What is no tensor stays as the module has it, and so do the versions of the modules' formats.
    whole = module.state_dict()
    for name in [name for name, value in whole.items() if isinstance(value, Tensor)]:
        del whole[name]
    whole.update(state)
    try:
        module.load_state_dict(whole)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        msg = f"the checkpoint {folder / WEIGHTS} does not fit the model: {reason}"
        raise LrbenchError(msg) from error

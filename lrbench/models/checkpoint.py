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
        Any module whose state dict holds tensors.
    description : dict
        JSON-serialisable: how to build the model again.
    """
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    return {WEIGHTS: save(state), DESCRIPTION: (json.dumps(description, indent=2) + "\n").encode()}


def load_checkpoint(model: nn.Module, folder: Path) -> nn.Module:
    """Load the weights in `folder` into a model built like the saved one.

    Raises
    ------
    LrbenchError
        If the file is missing, damaged, or of another architecture.
    """
    _fill(model, _read(folder), folder)
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
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        msg = f"the checkpoint {folder / WEIGHTS} does not fit the model: {reason}"
        raise LrbenchError(msg) from error

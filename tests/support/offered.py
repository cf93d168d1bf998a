"""Weights as libraries keep them once they were fetched, made up: nothing is fetched in a test."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision import models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def torchvision_weights(folder: Path, patch, name: str, weights: str = "DEFAULT") -> None:
    """Lay random weights where torchvision looks for those that it has fetched."""
    patch.setenv("TORCH_HOME", str(folder))
    torch.manual_seed(0)
    file = folder / "hub" / "checkpoints" / Path(models.get_model_weights(name)[weights].url).name
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(models.get_model(name, weights=None).state_dict(), file)


def hub_weights(folder: Path, patch, repository: str, architecture: str, **config) -> None:
    """Lay random weights of a timm network where the Hugging Face hub's client looks for those that it has fetched."""
    import timm  # noqa: PLC0415 - an extra
    from huggingface_hub import constants  # noqa: PLC0415

    patch.setattr(constants, "HF_HUB_CACHE", str(folder))
    home = folder / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    torch.manual_seed(0)
    net = timm.create_model(architecture, num_classes=config.get("num_classes", 1000))
    save_file(net.state_dict(), snapshot / "model.safetensors")
    (snapshot / "config.json").write_text(json.dumps({"architecture": architecture, **config}))

"""Weights that torchvision, timm and the Hugging Face hub offer, and what is said of them where they are offered."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from lrbench.errors import UsageError, nearest
from lrbench.models.hub import cached_or_fetched, commit_of, hub_page


@dataclass(frozen=True)
class Pretrained:
    """What is said of weights.

    Attributes
    ----------
    arch : str
        Name of the model by which exactly these are had again: with timm's tag, or the hub's commit.
    weights : str, optional
        What torchvision calls them.
    source : str
        Where they are fetched from.
    outputs, channels : int
    categories : "imagenet" or tuple of str
        What the outputs are called: as the 1,000 of ILSVRC 2012, in torchvision's order; empty if nobody says.
    size : int, optional
        Sides of the square images that they take; None if they take no squares, or squares that are not cropped from
        the middle.
    resize : int
        The shorter side before the middle is kept.
    interpolation : str
    mean, std : tuple of float
        By which images in [0, 1] are normalised.
    """

    arch: str
    weights: str | None
    source: str
    outputs: int
    channels: int
    categories: Literal["imagenet"] | tuple[str, ...]
    size: int | None
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def require(self, num_classes: int, in_channels: int) -> None:
        """Refuse to have them for another number of classes or channels.

        Raises
        ------
        UsageError
            If they are for another one.
        """
        if in_channels != self.channels:
            msg = f"has weights for images of {self.channels} channels; these have {in_channels}"
            raise UsageError(msg)
        if num_classes != self.outputs:
            msg = (
                f"has weights with {self.outputs:,} outputs, for a data set of {num_classes:,} classes; "
                "`data: {classes: ...}` says which output is which class"
            )
            raise UsageError(msg)

    def __str__(self) -> str:
        """Say in two lines where they come from and what they take."""
        numbers = [" ".join(f"{each:.3g}" for each in values) for values in (self.mean, self.std)]
        square = f"{self.size} x {self.size} pixels, the middle of a shorter side of {self.resize}"
        takes = "no square crops" if self.size is None else f"{square} ({self.interpolation})"
        name = self.arch.partition(":")[2]
        return (
            f"weights {name if self.weights is None else self.weights}, from {self.source}\n"
            f"{self.outputs:,} outputs; made for {takes}; mean {numbers[0]}, std {numbers[1]}"
        )


def pretrained_of(arch: str, weights: str | None = None) -> Pretrained:
    """Look up weights.

    Parameters
    ----------
    arch : str
        "torchvision:NAME", "timm:NAME" or "hf-hub:ORG/NAME".
    weights : str, optional
        Of torchvision: their name, or "DEFAULT".

    Raises
    ------
    UsageError
        If there are none, or the hub cannot be asked.
    """
    library, _, name = arch.partition(":")
    if library == "torchvision":
        return of_torchvision(name, str(weights))
    return of_timm(name) if library == "timm" else of_hub(name)


def of_torchvision(name: str, weights: str) -> Pretrained:
    """Look up weights of torchvision, as `pretrained_of`."""
    from torchvision import models  # noqa: PLC0415

    offered = models.get_model_weights(name)
    if weights not in offered.__members__:
        msg = (
            f"torchvision has no weights {weights!r} of {name}; {nearest(weights, offered.__members__)}; "
            "a file is named with its ending, such as .safetensors"
        )
        raise UsageError(msg)
    chosen = offered[weights]
    images = chosen.transforms()
    categories = tuple(chosen.meta["categories"] or ())
    if not categories:
        msg = f"torchvision's weights {chosen.name} of {name} have no classes"
        raise UsageError(msg)
    known = tuple(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    return Pretrained(
        f"torchvision:{name}",
        chosen.name,
        chosen.url,
        len(categories),
        3,
        "imagenet" if categories == known else categories,
        images.crop_size[0],
        images.resize_size[0],
        images.interpolation.value,
        tuple(images.mean),
        tuple(images.std),
    )


def timm_library() -> ModuleType:
    """Import timm.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        return importlib.import_module("timm")
    except ImportError:
        msg = "timm is not installed; install it with `pip install 'lrbench[timm]'`"
        raise UsageError(msg) from None


def of_timm(name: str) -> Pretrained:
    """Look up weights of timm, as `pretrained_of`."""
    timm = timm_library()
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError:
        found = None
    if found is None or not found.has_weights:
        listed = timm.list_pretrained(f"{name.partition('.')[0]}*") or timm.list_pretrained()
        msg = f"timm has no weights for {name!r}; {nearest(name, listed)}"
        raise UsageError(msg)
    whole = f"{name.partition('.')[0]}.{found.tag}" if found.tag else name
    hub = found.hf_hub_id and (found.hf_hub_id + whole if found.hf_hub_id.endswith("/") else found.hf_hub_id)
    # Whoever has them by a URL may have them under another name there.
    source = hub_page(hub) if hub else found.url if isinstance(found.url, str) else found.url[0]
    return _by_config(timm, f"timm:{whole}", source, found.to_dict())


def of_hub(name: str) -> Pretrained:
    """Look up weights of the Hugging Face hub, as `pretrained_of`."""
    timm = timm_library()
    read: Callable[[str], Any] = timm.models.load_model_config_from_hf
    config = cached_or_fetched(lambda: read(name), f"{name}'s config.json", hub_page(name))[0]
    return _by_config(timm, f"hf-hub:{commit_of(name)}", hub_page(name), config)


def _by_config(timm: ModuleType, arch: str, source: str, config: dict[str, Any]) -> Pretrained:
    """Read what timm says of weights, as its own transforms for evaluation are made of it."""
    images = timm.data.resolve_data_config(pretrained_cfg=config)
    channels, height, width = images["input_size"]
    categories: Any = tuple(config.get("label_names") or ())
    if not categories and timm.data.infer_imagenet_subset(config) == "imagenet-1k":
        categories = "imagenet"
    plain = height == width and images["crop_mode"] == "center"
    return Pretrained(
        arch,
        None,
        source,
        int(config.get("num_classes", 1000)),
        channels,
        categories,
        height if plain else None,
        math.floor(height / images["crop_pct"]),
        images["interpolation"],
        tuple(images["mean"]),
        tuple(images["std"]),
    )

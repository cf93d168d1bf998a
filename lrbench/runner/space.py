"""Images in the space that is attacked, and back."""

from torch import Tensor, nn

from lrbench.attacks import NormalizedSpace
from lrbench.data import Split, to_unit


def encoded(model: nn.Module, split: Split) -> Tensor:
    """Images in the space attacked."""
    x = to_unit(split.pixels)
    return model.encode(x) if isinstance(model, NormalizedSpace) else x


def decoded(model: nn.Module, x: Tensor) -> Tensor:
    """Bring images from the space attacked to the pixels' scale."""
    return model.decode(x) if isinstance(model, NormalizedSpace) else x

"""The linear maps of a network: its linear layers and convolutions, by name."""

from collections.abc import Sequence

from torch import Tensor, nn

from lrbench.models.around import Around

LinearMap = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def linear_maps(model: nn.Module, layers: Sequence[str] | None = None) -> dict[str, LinearMap]:
    """Give the linear layers and convolutions of a model, in its order, or those that are named, in theirs.

    Raises
    ------
    ValueError
        If one that is named is no linear layer or convolution.
    """
    if layers is None:
        while isinstance(model, Around):
            model = model.net
        return {name: each for name, each in model.named_modules() if isinstance(each, LinearMap)}
    found: dict[str, LinearMap] = {}
    for name in layers:
        module = model.get_submodule(name)
        if not isinstance(module, LinearMap):
            msg = f"the layer {name!r:.80} is a {type(module).__name__}; name a linear layer or a convolution"
            raise ValueError(msg)
        found[name] = module
    return found


def weight_matrix(module: LinearMap) -> Tensor:
    """Give the weight as a matrix, float64: a row an output channel, with the entries of its kernel."""
    return module.weight.detach().double().flatten(1)

"""The weights that regularizers act on: those of convolutions and linear layers, each as a matrix."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from lrbench.errors import UsageError
from lrbench.regularizers.named import modules_named

Weighted = nn.Linear | nn.modules.conv._ConvNd


def weighted(model: nn.Module, layers: Sequence[str] | None) -> dict[str, Weighted]:
    """Give convolutions and linear layers by their names: those named, or all.

    Raises
    ------
    UsageError
        If a module that is named has no such weight, there is none, or a weight is computed from other parameters.
    """
    named = dict(model.named_modules()) if layers is None else modules_named(model, layers)
    found = {name: module for name, module in named.items() if isinstance(module, Weighted)}
    if not found and layers is None:
        msg = "this network has no convolution and no linear layer whose weights could be regularized"
        raise UsageError(msg)
    for name, module in named.items() if layers is not None else ():
        if name not in found:
            msg = f"{name} is a {type(module).__name__}; weights are those of convolutions and linear layers"
            raise UsageError(msg)
    for name, module in found.items():
        # Who writes a computed weight writes what the next pass computes anew.
        if module._parameters.get("weight") is None:
            msg = f"the network itself computes the weight of {name} from other parameters; name other `layers`"
            raise UsageError(msg)
    return found


def factorised(
    model: nn.Module, layers: Sequence[str] | None, factors: Callable[[Tensor], nn.Module]
) -> list[Weighted]:
    """Let weights be computed from factors.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of str, optional
        As `weighted`.
    factors : callable
        Weight -> its parametrization.

    Returns
    -------
    list of modules
        Whose weights are.

    Raises
    ------
    UsageError
        As `weighted`, and if a weight is another module's as well.
    """
    modules = weighted(model, layers)
    for name, module in modules.items():
        tied = [other for other, each in model.named_modules() if each is not module and _holds(each, module.weight)]
        if tied:
            msg = f"{name} and {tied[0]} share their weight, which factors would untie; name other `layers`"
            raise UsageError(msg)
    for module in modules.values():
        register_parametrization(module, "weight", factors(module.weight))
    return list(modules.values())


def _holds(module: nn.Module, weight: Tensor) -> bool:
    return any(each is weight for each in module._parameters.values())


def as_matrix(weight: Tensor) -> Tensor:
    """Give a weight as a matrix, (outputs, inputs x kernel), as Miyato et al. do; transposed convolutions are not."""
    return weight.flatten(1)


def precise(tensor: Tensor) -> Tensor:
    """Give a tensor in a precision that torch decomposes in: float64 as it is, others in float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()

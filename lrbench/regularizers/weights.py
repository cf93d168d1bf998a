"""The weights that regularizers act on: those of convolutions and linear layers, each as a matrix."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from lrbench.errors import UsageError

Weighted = nn.Linear | nn.modules.conv._ConvNd


def weighted(model: nn.Module, layers: Sequence[str] | None) -> Iterator[tuple[str, Weighted]]:
    """Give convolutions and linear layers by their names: those named, or all.

    Raises
    ------
    UsageError
        If a module that is named has no such weight, or there is none.
    """
    if layers is None:
        found = [(name, module) for name, module in model.named_modules() if isinstance(module, Weighted)]
        if not found:
            msg = "this network has no convolution and no linear layer whose weights could be regularized"
            raise UsageError(msg)
        yield from found
        return
    for name in layers:
        module = model.get_submodule(name)
        if not isinstance(module, Weighted):
            msg = f"{name} is a {type(module).__name__}; weights are those of convolutions and linear layers"
            raise UsageError(msg)
        yield name, module


def as_matrix(weight: Tensor) -> Tensor:
    """Give a weight as a matrix, (outputs, inputs x kernel), as Miyato et al. do; transposed convolutions are not."""
    return weight.flatten(1)

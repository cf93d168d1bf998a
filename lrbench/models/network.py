"""What a factory gave, as the network that is trained, attacked and measured."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from lrbench.errors import UsageError


class Function(nn.Module):
    """A function of a batch that is no module, as one without parameters and layers.

    Parameters
    ----------
    call : callable
        Takes normalised images, (N, C, H, W); gives what `lrbench.attacks.outputs.as_logits` makes logits of.
    """

    def __init__(self, call: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401
        """Give what the function gives."""
        return self.call(x)


def make_network(
    factory: Callable[..., Any],
    num_classes: int,
    in_channels: int,
    options: dict[str, Any],
) -> nn.Module:
    """Call a factory; what it gives is made a module where it is none.

    A factory may leave out `num_classes` or `in_channels`, where its network is for one number of them.
    The network inside DataParallel or torch.compile is taken: a suite says by keys of its own what is compiled, and on
    what it runs.

    Raises
    ------
    UsageError
        If it gives no network.
    """
    made = factory(**_taken(factory, {"num_classes": num_classes, "in_channels": in_channels}), **options)
    while inside := _inside(made):
        made = inside
    if isinstance(made, nn.Module):
        state = (*made.parameters(), *made.buffers())
        if any(isinstance(each, UninitializedParameter | UninitializedBuffer) for each in state):
            msg = "has parameters that take their shape from the first images; run it once before giving it back"
            raise UsageError(msg)
        if any(parameter.is_inference() for parameter in made.parameters()):
            msg = "was made inside torch.inference_mode(), so that no gradient can pass it; make it outside"
            raise UsageError(msg)
        return made
    if callable(made) and not isinstance(made, type):
        return Function(made)
    what = f"the class {made.__name__}" if isinstance(made, type) else type(made).__name__
    msg = f"cannot be built: its factory gives {what}, where a network (torch.nn.Module) or a function is expected"
    raise UsageError(msg)


def _taken(factory: Callable[..., Any], supplied: dict[str, int]) -> dict[str, int]:
    parameters = inspect.signature(factory).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return supplied
    return {name: value for name, value in supplied.items() if name in parameters}


def _inside(made: object) -> nn.Module | None:
    if not isinstance(made, nn.Module):
        return None
    around = isinstance(made, nn.DataParallel | nn.parallel.DistributedDataParallel)
    # Of torch.compile, whose class cannot be had without loading the compiler.
    inside = made.module if around else getattr(made, "_orig_mod", None)
    return inside if isinstance(inside, nn.Module) else None

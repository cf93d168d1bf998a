"""What a model is like before it is trained: its layers' sizes and its logits' shape, from two blank images."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.attacks.outputs import as_logits
from lrbench.catalogue import MODELS
from lrbench.errors import UsageError, short
from lrbench.models import layer_names, load_weights
from lrbench.runner.environment import memory_bytes
from lrbench.runner.foreign import guarded
from lrbench.suite import ModelSpec

Shape = tuple[int, ...]


def probe(
    factory: Callable[..., nn.Module], spec: ModelSpec, classes: int, image: Shape
) -> tuple[dict[str, int], Shape]:
    """Build a model and pass two blank images through it.

    Architectures that lrbench knows are built without memory, since a suite can ask for any size.

    Parameters
    ----------
    factory : callable
    spec : ModelSpec
    classes : int
    image : (C, H, W)

    Returns
    -------
    dict, tuple
        Entries an example of every layer's output, shallow modules first; the logits' shape.

    Raises
    ------
    UsageError
        If it cannot be built or run, or does not fit into memory.
    SystemExit
        If its code raises it.
    """
    where = torch.device("meta" if _is_known(spec.arch) else "cpu")
    try:
        # torch warns of empty layers and the like on lines of their own; what matters is said below.
        with guarded():
            with where, warnings.catch_warnings(action="ignore"):
                net = factory(num_classes=classes, in_channels=image[0], **spec.options)
            _require_memory(net)
            return _passed(net, torch.zeros(2, *image, device=where))
    except UsageError:
        raise
    # A factory is anybody's code, and may raise anything.
    except Exception as error:
        shape = "x".join(str(side) for side in image)
        msg = f"cannot be built or run on {shape} images: {_named(error)}"
        raise UsageError(msg) from error


def check_weights(factory: Callable[..., nn.Module], spec: ModelSpec, classes: int, channels: int) -> None:
    """Hold the weights that a suite names against a model that `probe` has passed.

    Raises
    ------
    UsageError
        If they cannot be read or do not fit.
    """
    if spec.weights is not None:
        with guarded():
            net = factory(num_classes=classes, in_channels=channels, **spec.options)
        load_weights(net, Path(spec.weights))


def _is_known(arch: str) -> bool:
    target = MODELS[arch].target
    return arch.startswith("torchvision:") or (isinstance(target, str) and target.startswith("lrbench."))


def _require_memory(net: nn.Module) -> None:
    parameters = sum(parameter.numel() for parameter in net.parameters())
    size = sum(parameter.numel() * parameter.element_size() for parameter in net.parameters())
    memory = memory_bytes()
    if size > memory:
        msg = (
            f"has {parameters:.3g} parameters, {size / 2**30:,.0f} GiB; this machine has {memory / 2**30:,.0f} GiB of "
            "memory"
        )
        raise UsageError(msg)


def _passed(net: nn.Module, images: Tensor) -> tuple[dict[str, int], Shape]:
    sizes: dict[str, int] = {}

    def size_hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                sizes[name] = output[0].numel()

        return hook

    for name in layer_names(net):
        net.get_submodule(name).register_forward_hook(size_hook(name))
    net.eval()
    with torch.no_grad():
        logits = as_logits(net(images), len(images))
    shallow_first = sorted(sizes, key=lambda name: name.count("."))
    return {name: sizes[name] for name in shallow_first}, tuple(logits.shape)


def _named(error: Exception) -> str:
    """Say what went wrong, and where in the user's own file."""
    text = short(error)
    if not isinstance(error, RuntimeError | ValueError | TypeError):
        text = f"{type(error).__name__}: {text}"
    trace, last = error.__traceback__, None
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "site-packages" not in file.parts and "lrbench" not in file.parts:
            last = f"{file.name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return text if last is None else f"{text} ({last})"

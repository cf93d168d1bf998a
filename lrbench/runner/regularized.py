"""Whether a model's regularizers fit it, before anything is trained."""

from collections.abc import Iterator

import torch
from torch import nn

from lrbench.catalogue import MODELS
from lrbench.data import ImageData
from lrbench.models import make_network
from lrbench.regularizers.attached import misfit
from lrbench.regularizers.registry import made
from lrbench.runner.external import guarded
from lrbench.runner.probe import is_known
from lrbench.suite import ModelSpec, Training


def misfits(spec: ModelSpec, training: Training, data: ImageData) -> Iterator[tuple[str, str]]:
    """Say which regularizers cannot be attached to a model that was built before, or trained as asked; and why."""
    asked = made(spec.regularizers.content)
    for name, each in asked.items():
        if training.compile and not each.compiles:
            yield name, "cannot be computed of a compiled network; give the model `training: {compile: false}`"
    if asked and (found := _attached(spec, data)) is not None:
        yield found


def _attached(spec: ModelSpec, data: ImageData) -> tuple[str, str] | None:
    """Attach them, to a network without memory if that will do: most look at sizes alone."""
    with torch.random.fork_rng():
        try:
            with torch.device("meta"):
                return misfit(_built(spec, data, memory=False), made(spec.regularizers.content))
        # What is built and attached is anybody's code, and raises anything where it asks for a value and there is none.
        except Exception:  # noqa: BLE001
            return misfit(_built(spec, data, memory=True), made(spec.regularizers.content), Exception)


def _built(spec: ModelSpec, data: ImageData, *, memory: bool) -> nn.Module:
    factory = MODELS[spec.arch].load()
    # What is not known was built on the CPU when it was looked at, and may read a file or a value on the way.
    with guarded(), torch.device("cpu" if memory or not is_known(spec.arch) else "meta"):
        net = make_network(factory, data.network_outputs, data.channels, spec.options)
    return net if memory else without_memory(net)


def without_memory(net: nn.Module) -> nn.Module:
    """Take a network's values away; tensors that were one stay one, where `nn.Module.to` makes several of them."""
    found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for module in net.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    # With what it stands for, whose number no other may get meanwhile.
                    found.setdefault(id(tensor), (tensor, _alike(tensor)))
                    held[name] = found[id(tensor)][1]  # type: ignore[assignment]
    return net


def _alike(tensor: torch.Tensor) -> torch.Tensor:
    alike = tensor.detach().to("meta")
    return nn.Parameter(alike, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else alike

"""Whatever a caller of an attack has, seen before and after."""

import random

import numpy as np
import torch
from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def everything(model, *values):
    """Bytes of tensors and arrays, flags of modules, modes and generators, to be held against each other."""
    return {
        "values": [_bytes(each) for each in values],
        "the model": _of_model(model),
        "torch's modes": _of_torch(),
        "generators": _generators(),
    }


def differing(before, after):
    """What has changed."""
    return [name for name, each in before.items() if each != after[name]]


def _bytes(value):
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if not isinstance(value, torch.Tensor):
        return repr(value)
    flags = (value.dtype, value.shape, value.requires_grad, value.is_leaf, value.layout, value.device)
    flags += (None if value.is_inference() else value._version,)
    held = value.detach()
    if value.layout is not torch.strided or value.is_meta:
        return flags
    rows = torch.empty(held.shape, dtype=held.dtype, device="cpu")
    grad = value.grad if value.is_leaf else None
    return flags, held.stride(), rows.copy_(held).flatten().view(torch.uint8).numpy().tobytes(), grad is None


def _of_model(model):
    if not isinstance(model, nn.Module):
        return None
    tensors = [*model.named_parameters(), *model.named_buffers()]
    modules = [
        (name, getattr(module, "training", None), [len(getattr(module, kind, ())) for kind in HOOKS])
        for name, module in model.named_modules()
    ]
    return [(name, _bytes(tensor), tensor.grad is None) for name, tensor in tensors], modules


def _of_torch():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
    )


def _generators():
    numpy = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy[1].tobytes(), numpy[2:]

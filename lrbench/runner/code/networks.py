"""What networks and tensors hold."""

import hashlib
import io
import re
import secrets
import zipfile
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

OF_MODULES = frozenset(vars(nn.Module()))
"""What every network holds."""

HOOKS = {
    "_forward_pre_hooks": ("_forward_pre_hooks_with_kwargs",),
    "_forward_hooks": ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    "_backward_pre_hooks": (),
    "_backward_hooks": (),
}
"""Where a network keeps what changes its outputs or gradients, and where it says how that is called."""

TORCHSCRIPT = (torch.jit.ScriptModule, torch.jit.ScriptFunction)

NOT_CONTENT = (".debug_pkl", "/.data/serialization_id")
"""How files of TorchScript end that hold paths and lines, or a number made of the others as they are."""

NAMES = re.compile(rb"__torch__(?:\.\w+)*(?:\n\w+(?=\n))?")
MANGLED = re.compile(rb"\.___torch_mangle_\d+")
CONSTANTS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)
"""Of a class, which come in another order in each process."""


def network_parts(value: nn.Module) -> Iterator[Any]:
    """Give what a network is and holds, and the mode it is in: in one inside a function, that stays as it is."""
    inside = vars(value)
    yield from (type(value), {name: each for name, each in sorted(inside.items()) if name not in OF_MODULES})
    yield from (inside["_parameters"], inside["_buffers"], inside["_modules"], inside.get("training"))
    yield from _hooks(inside)


def torchscript_parts(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what a file of TorchScript would hold; where none can be written, what is never the same again."""
    try:
        file = io.BytesIO()
        torch.jit.save(value, file)
        yield from _contents(file)
    # Operators of libraries refuse as they like.
    except Exception:  # noqa: BLE001
        yield secrets.token_hex()
    if isinstance(value, nn.Module):
        # What traces keep another module for.
        inside = vars(value.__dict__.get("_actual_script_module", value))
        methods = torch._C.ScriptMethod
        yield {
            name: each
            for name, each in sorted(inside.items())
            if not name.startswith("_") and not isinstance(each, methods)
        }
        yield from _hooks(vars(value))


def tensor_parts(value: Tensor) -> Iterator[Any]:
    """Give a tensor's type, shape and values."""
    whole = value.detach().cpu()
    if whole.layout != torch.strided or whole.is_quantized:
        whole = whole.dequantize() if whole.is_quantized else whole.to_dense()
    whole = whole.contiguous()
    yield from (str(whole.dtype), tuple(whole.shape))
    yield hashlib.sha256(whole.reshape(-1).view(torch.uint8).numpy().data).hexdigest() if whole.numel() else ""


def _hooks(inside: dict[str, Any]) -> Iterator[Any]:
    for kind, ways in HOOKS.items():
        # Their numbers count all hooks of a process.
        hooks = inside.get(kind) or {}
        yield [(hook, *(number in inside.get(way, ()) for way in ways)) for number, hook in hooks.items()]
        if hooks and kind == "_backward_hooks":
            yield inside.get("_is_full_backward_hook")


def _contents(file: io.BytesIO) -> Iterator[str]:
    """Hash code, constants and state, without the numbers by which a process tells classes of one name apart."""
    seen: dict[bytes, int] = {}

    def told(match: re.Match[bytes]) -> bytes:
        number = seen.setdefault(match[0].replace(b"\n", b"."), len(seen))
        return MANGLED.sub(b"", match[0]) + b" %d" % number

    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if not name.endswith(NOT_CONTENT):
                content = archive.read(name)
                if not name.partition("/")[2].startswith(("data/", "constants/")):
                    content = CONSTANTS.sub(_sorted, NAMES.sub(told, content))
                yield hashlib.sha256(content).hexdigest()


def _sorted(lines: re.Match[bytes]) -> bytes:
    return b"".join(sorted(lines[0].splitlines(keepends=True)))

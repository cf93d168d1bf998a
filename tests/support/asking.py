"""How often the host asks for what a tensor holds; on a GPU it would wait for it."""

import traceback
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import lrbench.attacks

ATTACKS = Path(lrbench.attacks.__file__).resolve().parent
READ = {
    "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal",
    "_unique2", "unique_dim", "unique_consecutive",
}  # fmt: skip
"""Operations of torch whose result, or its shape, the host has to know."""
DECOMPOSED = {"_linalg_eigh", "_linalg_svd"}
"""Those that read on the device whether they converged."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}
"""Those that are such where an index is a mask."""
COPIED = {Tensor.tolist, Tensor.cpu}
"""Functions that read a tensor without one of these, where it is on the CPU. What is there may be made an array."""


class _Functions(TorchFunctionMode):
    def __init__(self, note):
        super().__init__()
        self.note = note

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in COPIED:
            self.note(func.__name__)
        return func(*args, **kwargs or {})


class _Operations(TorchDispatchMode):
    def __init__(self, note):
        super().__init__()
        self.note = note

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        masks = (each for each in args[1] if isinstance(each, Tensor)) if name in INDEXED else ()
        if name in READ | DECOMPOSED or any(mask.dtype in (torch.bool, torch.uint8) for mask in masks):
            self.note(name)
        return func(*args, **kwargs or {})


@contextmanager
def asked(*folders):
    """Count what is asked in a block, by the function that asked: its file, name and what it did.

    Parameters
    ----------
    folders : Path, optional
        Where functions count that lie in one of them. Default: lrbench.attacks.
    """
    folders = folders or (ATTACKS,)
    found = Counter()

    def note(what):
        frames = (frame for frame, _ in traceback.walk_stack(None))
        ours = (frame.f_code for frame in frames if Path(frame.f_code.co_filename).resolve().parent in folders)
        if (code := next(ours, None)) is not None:
            found.update([f"{Path(code.co_filename).name} {code.co_name}: {what}"])

    with _Functions(note), _Operations(note):
        yield found

"""Precision of products of float32 on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

_BACKENDS: list[Any] = [
    torch.backends.cuda.matmul,
    *(getattr(torch.backends.cudnn, part) for part in ("conv", "rnn")),
]


@contextmanager
def unrounded_products() -> Iterator[None]:
    """Let no GPU round factors of products and convolutions to ten bits (TF32) in a block."""
    before, older = [each.fp32_precision for each in _BACKENDS], None
    # Asked in a state that the newer settings alone can describe, the older ones raise.
    with suppress(RuntimeError):
        older = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        if older is not None:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = older
        for each, value in zip(_BACKENDS, before, strict=True):
            # Not where it is so already: what the newer ones have set, the older ones do not tell any more.
            if each.fp32_precision != value:
                each.fp32_precision = value

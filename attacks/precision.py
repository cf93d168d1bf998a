"""Precision: of products of float32 on a GPU, and of passes that are made in bfloat16."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]

_OLDER: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
"""What has a setting that says yes or no."""
_NEWER: list[Any] = [torch.backends.cuda.matmul, *(getattr(torch.backends.cudnn, part) for part in ("conv", "rnn"))]
"""What has one that names a precision."""


@contextmanager
def rounded_products(*, allowed: bool) -> Iterator[None]:
    """Let a GPU round factors of float32 products and convolutions to ten bits (TF32) in a block, or forbid it."""
    before = [each.fp32_precision for each in _NEWER]
    older = [_told(each) for each in _OLDER]
    for each in _OLDER:
        each.allow_tf32 = allowed
    try:
        yield
    finally:
        for each, value in zip(_OLDER, older, strict=True):
            if value is not None:
                each.allow_tf32 = value
        for each, value in zip(_NEWER, before, strict=True):
            # Not where it is so already: what the newer ones have set, the older ones do not tell any more.
            if each.fp32_precision != value:
                each.fp32_precision = value


class Narrowed(nn.Module):
    """A model whose passes are made in bfloat16 (autocast), and whose logits are given in float32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # Not a submodule: it is lent, and stays as it is.
        self._model = (model,)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        try:
            with torch.autocast(x.device.type, torch.bfloat16):
                logits: Tensor = self._model[0](x)
        except RuntimeError as error:
            # Of its kind still, since one for want of memory is caught elsewhere.
            error.args = (f"{error} (in a pass with precision: bfloat16, which takes models that run under autocast)",)
            raise
        return logits.float()


def _told(backend: Any) -> bool | None:  # noqa: ANN401
    """Give the older setting; None in a state that the newer ones alone can describe."""
    with suppress(RuntimeError):
        return bool(backend.allow_tf32)
    return None

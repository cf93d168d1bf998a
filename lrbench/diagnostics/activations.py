"""What a network says, and what its layers hold, over a whole split."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lrbench.attacks.frozen import frozen
from lrbench.data import Split
from lrbench.diagnostics import blocks
from lrbench.diagnostics.blocks import Matrix, StoredMatrix


def evaluate(model: nn.Module, split: Split, batch_size: int = 256) -> Tensor:
    """Predicted classes, int64 (N,), in evaluation mode; the model is left as it was.

    Raises
    ------
    ValueError
        If it gives NaN, of which the largest is no class.
    """
    with frozen(model), torch.no_grad():
        # A row's largest entry is NaN where one of them is.
        largest = [model(images).max(dim=1) for images, _ in split.batches(batch_size)]
    values, classes = (torch.cat(each) for each in zip(*largest, strict=True))
    if unknown := int(values.isnan().sum()):
        msg = f"the model gives NaN for {unknown} of {len(values)} images"
        raise ValueError(msg)
    return classes


def activations(model: nn.Module, split: Split, layers: list[str], batch_size: int = 256) -> dict[str, Tensor]:
    """Collect outputs of named modules over a split, each flattened to (N, m), float32, on the CPU, in memory.

    Evaluation mode, no augmentation; the model is left as it was.

    Raises
    ------
    AttributeError
        If the model has no module of a given name.
    """
    collected: dict[str, Tensor] = {}
    for rows, seen in _passes(model, split, layers, batch_size):
        for name, batch in seen.items():
            if name not in collected:
                collected[name] = torch.empty(len(split), batch.shape[1])
            collected[name][rows] = batch.cpu().float()
    return collected


@dataclass(frozen=True)
class StoredActivations:
    """Activations of a layer, (N, m), float32, in memory or on disk, and which example each row is of, int64 (N,).

    On disk the rows are sorted by class, so that each class is a run of rows.
    """

    matrix: Matrix
    order: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Bring values of the examples, such as their labels, into the order of the rows; on the CPU."""
        return values.cpu()[self.order]


@contextmanager
def stored_activations(
    model: nn.Module,
    split: Split,
    layers: Sequence[str],
    shifts: Mapping[str, Tensor | float] | None = None,
    batch_size: int = 256,
) -> Iterator[dict[str, StoredActivations]]:
    """Lend the outputs of named modules over a split; what takes more than 4 GiB lies in a temporary file.

    Otherwise as `activations`.

    Parameters
    ----------
    shifts : mapping, optional
        Layer -> what is added to each of its rows, (m,) or a number.
    """
    shifts = shifts or {}
    with tempfile.TemporaryDirectory(prefix="lrbench-", ignore_cleanup_errors=True) as folder:
        writers: dict[str, _LayerWriter] = {}
        for rows, seen in _passes(model, split, list(layers), batch_size):
            for name, batch in seen.items():
                if name not in writers:
                    path = Path(folder) / f"{len(writers)}.npy"
                    writers[name] = _LayerWriter(path, split.labels.cpu(), batch.shape[1])
                writers[name].put(rows, batch.cpu().float() + shifts.get(name, 0.0))
        lent = {name: writer.finish() for name, writer in writers.items()}
        # What is taken out of what was lent is nobody's any more.
        writers.clear()
        with blocks.computed_on(split.labels.device):
            yield lent


class _LayerWriter:
    """Keeps the rows of a layer as they come, in memory or in a file."""

    def __init__(self, path: Path, labels: Tensor, features: int) -> None:
        self.path, shape = path, (len(labels), features)
        self.stored = 4 * len(labels) * features > blocks.MEMORY_BYTES
        self.order = torch.argsort(labels, stable=True) if self.stored else torch.arange(len(labels))
        self.row_of = torch.argsort(self.order)
        self.memory = torch.empty(0 if self.stored else len(labels), features)
        self.file = np.lib.format.open_memmap(path, "w+", np.float32, shape) if self.stored else None

    def put(self, rows: slice, batch: Tensor) -> None:
        if self.file is None:
            self.memory[rows] = batch
        else:
            self.file[self.row_of[rows].numpy()] = batch.numpy()

    def finish(self) -> StoredActivations:
        if self.file is None:
            return StoredActivations(self.memory, self.order)
        self.file.flush()
        return StoredActivations(StoredMatrix(self.path), self.order)


def _passes(
    model: nn.Module, split: Split, layers: list[str], batch_size: int
) -> Iterator[tuple[slice, dict[str, Tensor]]]:
    """Rows of each batch, and the outputs of the named modules, flattened."""
    seen: dict[str, Tensor] = {}

    def remember(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # A copy: what follows may work in place (ReLU, a sum with a shortcut), and a view would hold its output.
            seen[name] = output.clone(memory_format=torch.contiguous_format).flatten(1)

        return model.get_submodule(name).register_forward_hook(hook)

    handles = [remember(name) for name in layers]
    try:
        with frozen(model), torch.no_grad():
            start = 0
            for images, _ in split.batches(batch_size):
                model(images)
                yield slice(start, start + len(images)), seen
                start += len(images)
    finally:
        for handle in handles:
            handle.remove()

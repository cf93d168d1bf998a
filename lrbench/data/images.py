"""What a data set is: two splits of uint8 images, class names, statistics and a fingerprint."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from lrbench.data.streamed import Streamed, ahead
from lrbench.errors import UsageError

STATISTICS_SAMPLE = 10_000
"""Streamed images that stand for all of them in the channels' statistics."""

BLOCK = 1024


@dataclass(frozen=True)
class Split:
    """Images and labels: uint8 (N, C, H, W) and int64 (N,), on one device; `fine` labels where there are two kinds.

    Images are a tensor, or stay on disk (`lrbench.data.streamed`); whoever needs pixels takes `pixels`.
    """

    images: Tensor | Streamed
    labels: Tensor
    fine: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pixels(self) -> Tensor:
        """All images as one tensor, uint8 (N, C, H, W); those on disk are read."""
        return self.images.read() if isinstance(self.images, Streamed) else self.images

    def stream(self, choices: Iterable[Tensor | slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels and labels of each choice of examples, in order; those on disk are read ahead."""
        if isinstance(self.images, Streamed):
            yield from ahead(partial(self._read, self.images, choice) for choice in choices)
            return
        for choice in choices:
            part = self[choice]
            yield part.pixels, part.labels

    def _read(self, images: Streamed, choice: Tensor | slice) -> tuple[Tensor, Tensor]:
        if isinstance(choice, Tensor) and self.labels.is_cuda and not choice.is_cuda:
            # Named on the CPU, so that reading waits for nothing: nor does the choice of labels.
            return images[choice].read(), self.labels[choice.pin_memory().to(self.labels.device, non_blocking=True)]
        return images[choice].read(), self.labels[choice]

    def to(self, device: torch.device) -> "Split":
        """Move to a device."""
        fine = None if self.fine is None else self.fine.to(device)
        return Split(self.images.to(device), self.labels.to(device), fine)

    def __getitem__(self, chosen: Tensor | slice) -> "Split":
        """Choose examples by index, mask or slice."""
        fine = None if self.fine is None else self.fine[chosen]
        return Split(self.images[chosen], self.labels[chosen], fine)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in order, images as float32 in [0, 1]."""
        for pixels, labels in self.stream(slice(start, start + size) for start in range(0, len(self), size)):
            yield to_unit(pixels), labels

    def balanced(self, count: int | None) -> "Split":
        """Choose `count` examples with (fine) classes as even as they can be; always the same ones, in order.

        Raises
        ------
        UsageError
            If the split holds fewer.
        """
        return self if count is None or count == len(self) else self.halves(count)[0]

    def chosen(self, count: int | None) -> Tensor:
        """Ascending indices of the examples that `balanced` chooses; of a larger count they are among those chosen."""
        if count is None:
            return torch.arange(len(self), device=self.labels.device)
        return balanced_indices(self.labels if self.fine is None else self.fine, count)

    def ranked(self, count: int | None) -> Tensor:
        """Give indices of the same examples in the order in which `chosen` takes them in: more examples come behind."""
        if count is None:
            count = len(self)
        return ranked_indices(self.labels if self.fine is None else self.fine, count)

    def shuffled(self, count: int) -> Tensor:
        """Give indices of `count` examples in a fixed random order, whatever their labels: as if drawn one by one."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))
        return order[:count].to(self.labels.device)

    def halves(self, count: int) -> tuple["Split", "Split"]:
        """Split off `count` examples as `balanced` chooses them; give them and the rest."""
        chosen = torch.zeros(len(self), dtype=torch.bool, device=self.labels.device)
        chosen[self.chosen(count)] = True
        return self[chosen], self[~chosen]


@dataclass(frozen=True)
class Outputs:
    """Which of a network's outputs are a data set's classes: `chosen` of them, in the classes' order, among `count`."""

    chosen: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class ImageData:
    """A data set for image classification.

    Attributes
    ----------
    name : str
    train, test : Split
    classes : tuple of str
    fine_classes : tuple of str
        Of the splits' `fine` labels; empty if there are none.
    outputs : Outputs, optional
        Where networks know more classes than these. Default: an output for each class.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    fine_classes: tuple[str, ...] = ()
    outputs: Outputs | None = None

    @property
    def network_outputs(self) -> int:
        """Outputs that a network for this data set has."""
        return len(self.classes) if self.outputs is None else self.outputs.count

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return int(self.train.images.shape[1])

    @cached_property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation per channel of the training images in [0, 1].

        Exact: from the 256-bin histogram of each channel, of at most `STATISTICS_SAMPLE` images where they stay on
        disk. A constant channel gets a deviation of 1.

        Raises
        ------
        UsageError
            If there are no training images.
        """
        if not len(self.train):
            msg = f"{self.name} has no training images, and so no mean and standard deviation to normalise by"
            raise UsageError(msg)
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for counts in self._histograms():
            weights = counts / counts.sum()
            mean = (weights * levels).sum()
            variance = (weights * (levels - mean).square()).sum().item()
            means.append(mean.item())
            stds.append(variance**0.5 if variance > 0 else 1.0)
        return tuple(means), tuple(stds)

    def _histograms(self) -> Tensor:
        """Count the levels of each channel, (C, 256), float64."""
        train = self.train
        if isinstance(train.images, Streamed):
            train = train.balanced(min(len(train), STATISTICS_SAMPLE))
        counts = torch.zeros(self.channels, 256, dtype=torch.float64)
        for pixels, _ in train.stream(slice(start, start + BLOCK) for start in range(0, len(train), BLOCK)):
            for channel in range(self.channels):
                counts[channel] += torch.bincount(pixels[:, channel].flatten(), minlength=256).cpu()
        return counts

    @cached_property
    def train_fingerprint(self) -> str:
        """SHA-256 of the training images, labels and class names: their identity wherever they came from.

        Of images that stay on disk, their files' names, sizes and times stand for the pixels.
        """
        return self._fingerprint(self.train)

    @cached_property
    def test_fingerprint(self) -> str:
        """SHA-256 of the test images, labels and class names."""
        return self._fingerprint(self.test)

    def _fingerprint(self, split: Split) -> str:
        digest = hashlib.sha256("\0".join([*self.classes, *self.fine_classes]).encode())
        images = split.images
        if isinstance(images, Streamed):
            digest.update(images.identity.encode())
            images = images.index
        for tensor in (images, split.labels, *(() if split.fine is None else (split.fine,))):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device) -> "ImageData":
        """Move both splits to a device."""
        return replace(self, train=self.train.to(device), test=self.test.to(device))


def to_unit(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1], the same numbers on every device."""
    # By a number of Python a GPU would not divide, but multiply by what is nearly 1 / 255.
    return images.float().div_(torch.full((), 255.0, device=images.device))


def balanced_indices(labels: Tensor, count: int) -> Tensor:
    """Ascending indices of `count` examples, classes as even as they can be; seeded, so always the same.

    Raises
    ------
    UsageError
        If there are fewer than `count` examples.
    """
    return ranked_indices(labels, count).sort().values


def ranked_indices(labels: Tensor, count: int) -> Tensor:
    """Give the same indices with one example of each class in turn; those of a smaller count begin those of a larger.

    Raises
    ------
    UsageError
        If there are fewer than `count` examples.
    """
    if count > len(labels):
        msg = f"{count} examples asked for, but there are only {len(labels)}"
        raise UsageError(msg)
    generator = torch.Generator().manual_seed(0)
    shuffled = torch.randperm(len(labels), generator=generator)
    rank_in_class = torch.empty(len(labels), dtype=torch.int64)
    cpu_labels = labels.cpu()
    for label in torch.unique(cpu_labels):
        members = shuffled[cpu_labels[shuffled] == label]
        rank_in_class[members] = torch.arange(len(members))
    # Sorting by rank within the class takes one example of each class in turn.
    order = torch.argsort(rank_in_class[shuffled], stable=True)
    return shuffled[order][:count].to(labels.device)

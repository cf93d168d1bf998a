"""Augmentation of whole batches on the device."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Random shift (crop from a zero-padded image), horizontal flip and Gaussian noise, drawn for each image.

    Attributes
    ----------
    crop : int
        Padding in pixels; images shift by up to that much in each direction. 0 for none.
    flip : bool
        Flip each image left to right with probability 1/2.
    noise: float
        Standard deviation of what `noisy` adds.
    """

    crop: int = 0
    flip: bool = False
    noise: float = 0.0

    def __call__(
        self, images: Tensor, generator: torch.Generator, rows: slice = slice(None), count: int | None = None
    ) -> Tensor:
        """Augment a batch, or some rows of one, each as it would be with all of them there.

        Parameters
        ----------
        images : Tensor, (N, C, H, W)
            Any dtype.
        generator : torch.Generator
            On the images' device.
        rows : slice, optional
            Which rows of the whole batch `images` are.
        count : int, optional
            Rows of the whole batch. Default: N.
        """
        count = len(images) if count is None else count
        device = images.device
        if self.crop:
            drawn = torch.randint(2 * self.crop + 1, (2, count, 1, 1), generator=generator, device=device)
            images = self._shifted(images, *drawn[:, rows])
        if self.flip:
            flipped = torch.rand(count, generator=generator, device=device)[rows] < 0.5
            images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(3), images)
        return images

    def noisy(
        self, images: Tensor, generator: torch.Generator, rows: slice = slice(None), count: int | None = None
    ) -> Tensor:
        """Add noise to a batch, or some rows of one, each as it would be with all of them there; nothing is clipped.

        Parameters
        ----------
        images : Tensor, (N, C, H, W), floating point
        generator, rows, count
            As for a call.
        """
        if not self.noise:
            return images
        count = len(images) if count is None else count
        drawn = torch.randn(count, *images.shape[1:], generator=generator, device=images.device, dtype=images.dtype)
        return images + self.noise * drawn[rows]

    def _shifted(self, images: Tensor, down: Tensor, right: Tensor) -> Tensor:
        n, _, height, width = images.shape
        device = images.device
        padded = torch.nn.functional.pad(images, (self.crop,) * 4)
        rows = down + torch.arange(height, device=device).view(1, -1, 1)
        columns = right + torch.arange(width, device=device).view(1, 1, -1)
        examples = torch.arange(n, device=device).view(n, 1, 1)
        # Whole pixels are copied, not their channels one by one; the result is channels-last, as convolutions want it.
        pixels = padded.permute(0, 2, 3, 1).flatten(0, 2)
        chosen = (examples * padded.shape[2] + rows) * padded.shape[3] + columns
        return pixels.index_select(0, chosen.flatten()).view(n, height, width, -1).permute(0, 3, 1, 2)

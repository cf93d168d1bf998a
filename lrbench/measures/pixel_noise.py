"""Accuracy with Gaussian noise on a random share of the pixels (1804.07090v5)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Measure, Metric, Options, Progress, Row, Subject, at_most, proportion
from lrbench.strict import Count, Distinct, Positive, Share

if TYPE_CHECKING:
    from torch import Tensor

    from lrbench.views import Block, Chart, Shown


BATCH = 256


class PixelNoiseOptions(Options):
    """Accuracy with noise on the given `shares` of the pixels, chosen at random, of at most `samples` images.

    `sigma` is the noise's standard deviation in pixels of [0, 1]; noisy images are clipped to that.
    """

    shares: Annotated[list[Share], Field(min_length=1), Distinct] = Field(default_factory=lambda: [0.4, 0.6, 0.8, 1.0])
    sigma: Positive = 0.25
    samples: Count | None = None


@named("pixel_noise")
class PixelNoise(Measure):
    """Accuracy with Gaussian noise on a random share of the pixels."""

    Options = PixelNoiseOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "pixel_noise_accuracy": Metric("accuracy", "percent", "higher", ("share",)),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the accuracy for each share."""
        from lrbench.views import Block

        figure = "pixel_noise_accuracy"
        columns = [
            shown.column(figure, f"{share:.0%} of the pixels", "percent", f"{figure}[{share:g}]", share=share)
            for share in dict.fromkeys(options.shares)
        ]
        yield Block(f"Accuracy with noise of sigma {options.sigma:g} on random pixels", columns)

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw the accuracy by share."""
        import pandas as pd

        from lrbench.views import Axis, Chart, Panel, n_suffix

        rows = shown.rows("pixel_noise_accuracy")
        if rows.empty:
            return
        ends = {"low": 100 * rows["ci_low"], "high": 100 * rows["ci_high"]}
        table = rows.assign(share=100 * pd.to_numeric(rows["share"]), value=100 * rows["value"], **ends)
        table = table.sort_values("share", kind="stable")
        y = Axis("value", f"accuracy, %{n_suffix(rows)}")
        caption = (
            f"Gaussian noise of sigma {options.sigma:g}, in pixels of [0, 1]; the band is the 95 % Wilson interval."
        )
        panel = Panel(table, Axis("share", "pixels with noise, %"), y, "line")
        yield Chart("pixel-noise", "Noise on random pixels", caption, [panel], shown.labels)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the test images once a share."""
        return 0.4 * len(options.shares) * min(options.samples or test, test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Count what the model gets right; the noise of an image is the same for every model and share."""
        import torch

        from lrbench.attacks.frozen import frozen

        split, shares = at_most(options.samples, subject.test), list(dict.fromkeys(options.shares))
        right = torch.zeros(len(shares), dtype=torch.int64, device=subject.device)
        done = 0
        with frozen(subject.model), torch.no_grad():
            for images, labels in split.batches(BATCH):
                for index, noisy in enumerate(noised(images, shares, options.sigma)):
                    right[index] += (subject.model(noisy).argmax(dim=1) == labels).sum()
                done += len(labels)
                progress(done / len(split), "noise")
        for share, count in zip(shares, right.tolist(), strict=True):
            yield proportion("pixel_noise_accuracy", count / len(split), len(split), share=share)


def noised(images: "Tensor", shares: list[float], sigma: float) -> Iterator["Tensor"]:
    """Add noise to a share of the pixels of each image, all channels of a pixel together, clipped to [0, 1].

    Pixels of a smaller share are among those of a larger one. Which they are, and their noise, follows from the image.

    Parameters
    ----------
    images : Tensor, (N, C, H, W), in [0, 1]
    shares : list of float in [0, 1]
        Of H W, rounded to whole pixels.
    sigma : float
    """
    from lrbench.attacks.noise import Noise

    noise = Noise(images, 0, "pixels")
    rank = noise.uniform(1, *images.shape[2:]).flatten(1).argsort(dim=1).argsort(dim=1).view(-1, 1, *images.shape[2:])
    drawn = sigma * noise.normal(*images.shape[1:])
    pixels = images[0, 0].numel()
    for share in shares:
        yield (images + drawn * (rank < round(share * pixels))).clamp(0, 1)

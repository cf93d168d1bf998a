"""Accuracy under the common corruptions of CIFAR-10-C (Hendrycks and Dietterich, 2019)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Measure, Metric, Options, Progress, Row, Subject, proportion
from lrbench.strict import Count, KeyPath

if TYPE_CHECKING:
    from torch import Tensor

    from lrbench.data import ImageData, Split
    from lrbench.views import Block, Shown

Family = Literal[
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
    "speckle_noise", "gaussian_blur", "spatter", "saturate",
]  # fmt: skip

FIFTEEN: list[Family] = list(get_args(Family)[:15])

KEPT_BYTES = 2**30
"""Of corrupted images kept from one model to the next, in the machine's memory and not on the device."""


class CorruptionsOptions(Options):
    """Accuracy under the families of common corruptions of CIFAR-10-C, on `samples` test images (default: all)."""

    families: Annotated[list[Family], Field(min_length=1)] = Field(default_factory=lambda: list(FIFTEEN))
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = Field(
        default_factory=lambda: [1, 3, 5]
    )
    samples: Count | None = None


@named("corruptions")
class Corruptions(Measure):
    """Accuracy under the common corruptions of CIFAR-10-C."""

    Options = CorruptionsOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "mean_corruption_accuracy": Metric("mean", "percent", "higher", mean_of="corruption_accuracy"),
        "corruption_accuracy": Metric("accuracy", "percent", "higher", ("corruption", "severity")),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the mean and each family at each severity."""
        from lrbench.views import Block

        columns = [shown.column("mean_corruption_accuracy", "mean", "percent")]
        columns += [
            shown.column(
                "corruption_accuracy",
                f"{family.replace('_', ' ')} {severity}",
                "percent",
                f"corruption_accuracy[{family},{severity}]",
                corruption=family,
                severity=severity,
            )
            for family in options.families
            for severity in options.severities
        ]
        yield Block(f"Accuracy under common corruptions, severities {', '.join(map(str, options.severities))}", columns)

    def unfit(self, options: Any, data: "ImageData") -> Iterator[tuple[KeyPath, str]]:
        """Ask for as many images, of a size and with the libraries that corruptions need."""
        from lrbench.diagnostics.corruptions import corrupted

        if options.samples is not None and options.samples > len(data.test):
            yield ("samples",), f"asks for {options.samples} of {len(data.test)} test images"
            return
        try:
            corrupted(data.test[:1].pixels, "brightness", 1)
        except (ImportError, ValueError) as error:
            yield (), str(error)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Corrupt and pass the test images."""
        return 20.0 * test

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Go through the families."""
        from dataclasses import replace

        from lrbench.diagnostics import evaluate

        split = subject.test.balanced(options.samples)
        found: list[float] = []
        for index, family in enumerate(options.families):
            progress(index / len(options.families), family)
            for severity in options.severities:
                noisy = replace(split, images=_corrupted(subject, split, family, severity).to(subject.device))
                right = (evaluate(subject.model, noisy) == split.labels).double().mean().item()
                found.append(right)
                yield proportion("corruption_accuracy", right, len(split), corruption=family, severity=severity)
        yield {"metric": "mean_corruption_accuracy", "value": sum(found) / len(found), "n": len(split)}


def _corrupted(subject: Subject, split: "Split", family: str, severity: int) -> "Tensor":
    """Give the images that every model sees, off the device; kept for the next model while memory is set aside."""
    from lrbench.diagnostics.corruptions import corrupted

    known: dict[tuple[str, int], Tensor] = subject.shared.setdefault("corruptions", {})
    images = known.get((family, severity))
    if images is None:
        images = corrupted(split.pixels.cpu(), family, severity)
        kept = sum(each.numel() for each in known.values())
        if kept + images.numel() <= KEPT_BYTES:
            known[family, severity] = images
    return images

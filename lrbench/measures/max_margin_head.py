"""A max-margin linear classifier on a representation, in place of the network's own end, attacked end to end."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import (
    Layer,
    Measure,
    Metric,
    Options,
    Progress,
    Row,
    Subject,
    Within,
    at_most,
    proportion,
)
from lrbench.strict import Count, Eps

if TYPE_CHECKING:
    from lrbench.views import Block, Shown

PARTS = ("full", "head")

BATCH = 128


class MaxMarginHeadOptions(Options):
    """All behind `layer` replaced by `dim` principal components and a max-margin classifier, attacked end to end.

    The attack is PGD of `steps` steps on the margin loss at `radii` of `norm`, in pixels of [0, 1], on at most
    `samples` test images; the whole network is attacked in the same way beside it.
    """

    layer: Layer
    dim: Annotated[Count, Within("layer")]
    radii: Annotated[list[Eps], Field(min_length=1)] = Field(default_factory=lambda: [8 / 255])
    norm: Literal["linf", "l2"] = "linf"
    steps: Count = 20
    samples: Count | None = 200


@named("max_margin_head")
class MaxMarginHead(Measure):
    """Accuracy and robust accuracy of a max-margin classifier on a layer, beside the network's own end."""

    Options = MaxMarginHeadOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "head_accuracy": Metric("accuracy", "percent", "higher", ("part",)),
        "head_robust_accuracy": Metric("robust accuracy", "percent", "higher", ("part", "radius")),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give both of the whole network and of the one with the other end."""
        from lrbench.names import radius_text
        from lrbench.views import Block

        columns = []
        for part in PARTS:
            key = f"head_accuracy[{part}]"
            columns.append(shown.column("head_accuracy", f"{part}, clean", "percent", key, part=part))
            for radius in sorted(set(options.radii)):
                key, where = f"head_robust_accuracy[{part},{radius:g}]", {"part": part, "radius": radius}
                heading = f"{part}, {radius_text(radius, options.norm, 'pixel')}"
                columns.append(shown.column("head_robust_accuracy", heading, "percent", key, **where))
        yield Block(f"Everything behind {options.layer} replaced by a max-margin classifier, under PGD", columns)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the training images, fit, and attack twice at each radius."""
        return 0.8 * train + float(2 * len(options.radii) * options.steps * min(options.samples or test, test))

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Fit on the training images, then attack both on the test images."""
        from lrbench.attacks import PGD
        from lrbench.data import to_unit
        from lrbench.diagnostics import compressed, evaluate, stored_activations

        with stored_activations(subject.model, subject.train, [options.layer]) as collected:
            layer = collected[options.layer]
            pair = layer.matrix, layer.of(subject.train.labels)
            head = compressed(subject.model, options.layer, pair, options.dim, subject.seed)
        split, radii = at_most(options.samples, subject.test), sorted(set(options.radii))
        images, labels, total = to_unit(split.pixels), split.labels, len(split)
        for place, (part, network) in enumerate(zip(PARTS, (subject.model, head), strict=True)):
            right = evaluate(network, split) == labels
            yield proportion("head_accuracy", right.double().mean().item(), total, part=part, layer=options.layer)
            for index, radius in enumerate(radii):
                attack = PGD(radius, steps=options.steps, norm=options.norm, loss="margin", stop=True)
                batches = (slice(begin, begin + BATCH) for begin in range(0, total, BATCH))
                moved = [attack(network, images[rows], labels[rows]) for rows in batches]
                # What falls at a radius has fallen at larger ones.
                right = right & _right(network, moved, labels)
                share = right.double().mean().item()
                columns = {"part": part, "radius": radius, "layer": options.layer}
                yield proportion("head_robust_accuracy", share, total, **columns)
                progress((place + (index + 1) / len(radii)) / 2, part)


def _right(network: Any, moved: Any, labels: Any) -> Any:
    import torch

    from lrbench.attacks.frozen import frozen

    with frozen(network), torch.no_grad():
        return torch.cat([network(images).argmax(dim=1) for images in moved]) == labels

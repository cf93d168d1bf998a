"""The input Jacobian of the margin: how fast a network's decision can change, to first order."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.base import Measure, Metric, Options, Progress, Row, Subject, at_most
from lrbench.strict import Count

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lrbench.views import Block, Shown

DUAL = {"l2": "l2", "linf": "l1"}
"""Norm of a perturbation -> norm of the gradient that it meets."""


class InputJacobianOptions(Options):
    """Gradient of the margin (true logit minus the largest other) by the input, of at most `samples` images.

    Its L1 norm is what a perturbation in Linf can make of it, its L2 norm what one in L2 can.
    """

    samples: Count | None = 500


@named("input_jacobian")
class InputJacobian(Measure):
    """Norm of the margin's gradient by the input, and the distance to the boundary to first order."""

    Options = InputJacobianOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "input_jacobian_norm": Metric("norm of the gradient against", better="lower", parameters=("norm",)),
        "first_order_distance": Metric("median distance to first order in", better="higher", parameters=("norm",)),
        "logit_margin": Metric("margin of the logits", better="higher"),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the gradient, the margin and their ratio."""
        from lrbench.views import Block

        columns = [shown.column("logit_margin", "margin", "number")]
        for figure, word in (("input_jacobian_norm", "gradient against"), ("first_order_distance", "distance in")):
            for norm in DUAL:
                heading = f"{word} {norm.capitalize()}"
                columns.append(shown.column(figure, heading, "number", f"{figure}[{norm}]", norm=norm))
        yield Block("Margin, its gradient by the input, and the distance to first order", columns)

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say what a small gradient may mean."""
        yield (
            "The norm of the margin's gradient is a mean over images, in pixels of [0, 1]; margin and gradient grow "
            "with the logits. Their ratio does not: the distance to first order, over images that are classified "
            "correctly. A gradient that is masked is small, too."
        )

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the images forwards and backwards."""
        return float(min(options.samples or test, test))

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Take the gradient of each image."""
        from lrbench.data import to_unit

        split = at_most(options.samples, subject.test)
        margins, norms = margin_gradients(subject.model, to_unit(split.pixels), split.labels)
        progress(1.0, "gradients")
        yield {"metric": "logit_margin", "value": margins.mean(), "n": len(margins)}
        right = margins > 0
        for norm, lengths in norms.items():
            yield {"metric": "input_jacobian_norm", "norm": norm, "value": lengths.mean(), "n": len(lengths)}
            known = right & (lengths > 0)
            if known.any():
                distance = (margins[known] / lengths[known]).median()
                yield {"metric": "first_order_distance", "norm": norm, "value": distance, "n": int(known.sum())}


def margin_gradients(
    model: "nn.Module", x: "Tensor", y: "Tensor", batch_size: int = 128
) -> tuple["Tensor", dict[str, "Tensor"]]:
    """Give the margin of each image, (N,), and the norms of its gradient, by the norm of a perturbation: (N,) each.

    Raises
    ------
    RuntimeError
        If no gradient reaches the input.
    """
    import torch

    from lrbench.attacks import in_batches, prepared
    from lrbench.attacks.geometry import length
    from lrbench.attacks.gradients import input_gradient
    from lrbench.attacks.losses import margin

    with prepared(model, x) as net:

        def work(rows: slice) -> tuple["Tensor", ...]:
            _, values, gradient = input_gradient(net, x[rows], lambda logits: -margin(logits, y[rows]))
            return values, *(length(gradient, dual) for dual in DUAL.values())

        parts = in_batches(work, len(x), batch_size)
    margins, *lengths = (torch.cat(each).double() for each in zip(*parts, strict=True))
    return margins, dict(zip(DUAL, lengths, strict=True))

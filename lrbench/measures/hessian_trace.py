"""Trace of the Hessian of the training loss, by Hutchinson's estimator (Hutchinson, 1989; Yao et al., 2020)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Measure, Metric, Options, Progress, Row, Subject, at_most
from lrbench.strict import Count

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lrbench.data import Split


class HessianTraceOptions(Options):
    """Trace of the Hessian of the mean cross-entropy by all parameters, on at most `samples` training images.

    Of each of `probes` random vectors v of signs v^T H v is taken; the trace is their mean. `batch_size` images are
    looked at together, whose graph has to fit into memory.
    """

    samples: Count = 500
    probes: Annotated[int, Field(ge=2, le=10_000)] = 10
    batch_size: Count = 100


@named("hessian_trace")
class HessianTrace(Measure):
    """Trace of the Hessian of the training loss: how sharp the minimum is."""

    Options = HessianTraceOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "hessian_trace": Metric("trace", better="lower"),
        "hessian_trace_error": Metric("standard error"),
    }

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the images, and backwards twice a probe."""
        return float(min(options.samples, train) * (2 + 2 * options.probes))

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Probe."""
        split = at_most(options.samples, subject.train)
        values = quadratic_forms(subject.model, split, options.probes, options.batch_size, progress)
        n = len(split)
        yield {"metric": "hessian_trace", "value": values.mean(), "n": n}
        yield {"metric": "hessian_trace_error", "value": values.std() / len(values) ** 0.5, "n": n}


def quadratic_forms(
    model: "nn.Module", split: "Split", probes: int, batch_size: int, progress: Progress = lambda *_: None
) -> "Tensor":
    """Give v^T H v for random vectors v of signs, float64, (probes,); their mean is an estimate of the trace of H.

    H is the Hessian of the mean cross-entropy over the images by the parameters, in evaluation mode. The model is left
    as it was.
    """
    import torch
    from torch.func import functional_call
    from torch.nn import functional

    from lrbench.attacks.frozen import frozen

    values = torch.zeros(probes, dtype=torch.float64)
    with frozen(model), torch.enable_grad():
        leaves = {name: each.detach().clone().requires_grad_() for name, each in model.named_parameters()}
        vectors = [_signs(leaves, probe) for probe in range(probes)]
        done = 0
        for images, labels in split.batches(batch_size):
            loss = functional.cross_entropy(functional_call(model, leaves, (images,)), labels)
            given = tuple(leaves.values())
            first = torch.autograd.grad(loss, given, create_graph=True, materialize_grads=True)
            share = len(labels) / len(split)
            for probe, vector in enumerate(vectors):
                values[probe] += share * _form(first, given, vector)
            done += len(labels)
            progress(done / len(split), "Hessian")
    return values


def _form(first: tuple["Tensor", ...], given: tuple["Tensor", ...], vector: list["Tensor"]) -> float:
    import torch

    # A network that is linear in some parameters has gradients without any of them.
    along = sum((one * other).sum() for one, other in zip(first, vector, strict=True))
    assert isinstance(along, torch.Tensor)  # noqa: S101
    if not along.requires_grad:
        return 0.0
    second = torch.autograd.grad(along, given, retain_graph=True, materialize_grads=True)
    return sum((one.double() * other).sum().item() for one, other in zip(second, vector, strict=True))


def _signs(leaves: Mapping[str, "Tensor"], seed: int) -> list["Tensor"]:
    """Draw signs, the same on every device."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    drawn = (torch.randint(2, each.shape, generator=generator) for each in leaves.values())
    return [(2 * each - 1).to(leaf) for each, leaf in zip(drawn, leaves.values(), strict=True)]

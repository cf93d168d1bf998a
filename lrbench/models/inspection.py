"""What to know of a stranger's network before its figures are believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lrbench.errors import short
from lrbench.models.classifier import Classifier
from lrbench.models.questions import (
    DRAWS,
    FEW,
    MODAL,
    Predict,
    depends_on_batch,
    gives_probabilities,
    is_random,
    lacks_gradients,
    share_of,
)

Level = Literal["good", "warning", "fault"]

CONVENTIONS: dict[str, tuple[float, float]] = {
    "[0, 1]": (0.0, 1.0),
    "[-1, 1]": (0.5, 0.5),
    "[0, 255]": (0.0, 1 / 255),
}
"""What networks are fed with: (mean, std) by which pixels in [0, 1] are shifted and scaled."""


@dataclass(frozen=True)
class Finding:
    """Something found of a network: good, to be known (`warning`), or a reason not to measure it (`fault`)."""

    level: Level
    text: str


def inspect_network(
    net: nn.Module,
    images: Tensor,
    statistics: tuple[Sequence[float], Sequence[float]],
    labels: Tensor | None = None,
) -> list[Finding]:
    """Look a network over; it is left as it was, in evaluation mode.

    Parameters
    ----------
    net : nn.Module
        Takes normalised images; gives logits, or what they are made of.
    images : Tensor, (N, C, H, W) float32 in [0, 1]
        At least 8.
    statistics : (mean, std)
        By which lrbench would normalise them.
    labels : Tensor, (N,) int64, optional
        For trained networks: tells which input convention they were trained with.
    """
    model = Classifier(net, *statistics).eval()

    @torch.no_grad()
    def predict(x: Tensor) -> Tensor:
        logits: Tensor = model(x)
        return logits

    logits = predict(images)
    found = [Finding("good", f"{sum(p.numel() for p in net.parameters()):,} parameters, {logits.shape[1]} classes")]
    found += _form(model, images, "")
    found += _outputs(logits)
    if found[-1].level == "fault":
        return found
    found += _behaviour(net, predict, images, logits)
    found += _training_mode(model, predict, images, logits)
    found += _gradients(model, images, logits.argmax(dim=1) if labels is None else labels)
    found += _normalises_itself(net, images.shape[1])
    if labels is not None:
        found += _convention(net, images, labels, statistics)
    return found


def _form(model: Classifier, x: Tensor, when: str) -> Iterator[Finding]:
    """Say what holds the logits, where something does."""
    with torch.no_grad():
        output = model.net(model.given(x[:FEW]))
    if not isinstance(output, Tensor):
        yield Finding("good", f"{when}it gives a {type(output).__name__}, of which the logits are taken")


def _outputs(logits: Tensor) -> Iterator[Finding]:
    if not logits.isfinite().all():
        yield Finding("fault", "its outputs are not finite")
        return
    if gives_probabilities(logits).yes:
        yield Finding(
            "warning", "it gives probabilities, not logits: gradients vanish where it is sure; leave out the softmax"
        )
    else:
        yield Finding("good", "it gives logits")


def _behaviour(net: nn.Module, predict: Predict, x: Tensor, logits: Tensor) -> Iterator[Finding]:
    if is_random(predict, x, logits).yes:
        yield Finding("warning", "it is random in evaluation mode: attacks need eot > 1 to see its mean gradient")
    elif depends_on_batch(predict, x, logits).yes:
        yield Finding(
            "warning", "an image's logits depend on the others in its batch: figures will depend on batch_size"
        )
    else:
        yield Finding("good", "each image's logits are its own, the same each time")
    if any(parameter.dtype != torch.float32 for parameter in net.parameters()):
        yield Finding("warning", "some parameters are not float32")


def _training_mode(model: Classifier, predict: Predict, x: Tensor, logits: Tensor) -> Iterator[Finding]:
    kinds = sorted({type(m).__name__ for m in model.modules() if isinstance(m, MODAL)})
    # Not of a copy: what holds a lock, a file or a generator has none. Batch norm writes into its buffers.
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        model.train()
        # Dropout of few entries may drop none of them now and then.
        differs = any(
            not torch.allclose(predict(x), logits, rtol=1e-3, atol=1e-4) for _ in range(DRAWS if kinds else 1)
        )
        form = list(_form(model, x, "in training mode "))
    except Exception as error:  # noqa: BLE001 - a network's own code may raise anything
        yield Finding("warning", f"it does not run in training mode: {short(error, 100)}")
        return
    finally:
        model.eval()
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
    yield from form
    if differs:
        why = f" ({', '.join(kinds)})" if kinds else ""
        yield Finding("good", f"training mode differs from evaluation mode{why}; it is measured in evaluation mode")
    elif kinds:
        yield Finding("good", "training mode and evaluation mode agree")


def _gradients(model: nn.Module, x: Tensor, labels: Tensor) -> Iterator[Finding]:
    given = x.clone().requires_grad_()
    try:
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(given), labels, reduction="sum"), given)
    except RuntimeError:
        yield Finding("warning", "no gradient reaches its input: suites leave out attacks that need one")
        return
    found = lacks_gradients(gradient)
    if found.yes:
        yield Finding(
            "warning",
            f"its input gradients are all zero or not finite for {100 * found.figure:.0f} % of the images: white-box "
            "attacks will stand still there",
        )
    else:
        yield Finding("good", "gradients reach its input")


def _normalises_itself(net: nn.Module, channels: int) -> Iterator[Finding]:
    for name, tensor in [*net.named_buffers(), *net.named_parameters()]:
        last = name.rpartition(".")[2].lower()
        if last in {"mean", "mu", "std", "sigma", "_mean", "_std"} and tensor.numel() == channels:
            yield Finding(
                "warning", f"it seems to normalise its input itself ({name}): then register it with --no-normalize"
            )
            return


def _convention(
    net: nn.Module, images: Tensor, labels: Tensor, statistics: tuple[Sequence[float], Sequence[float]]
) -> Iterator[Finding]:
    def accuracy(mean: Sequence[float], std: Sequence[float]) -> float:
        with torch.no_grad():
            return share_of(Classifier(net, mean, std).eval()(images).argmax(dim=1) == labels)

    ours = accuracy(*statistics)
    others = {name: accuracy([mean], [std]) for name, (mean, std) in CONVENTIONS.items()}
    best = max(others, key=lambda name: others[name])
    text = f"accuracy {100 * ours:.1f} % on {len(images)} test images, normalised by the data set's statistics"
    if others[best] > ours + 0.05:
        text += f", but {100 * others[best]:.1f} % on images in {best}: was it trained so? Then use " + (
            "--no-normalize" if best == "[0, 1]" else "`normalize: {mean: ..., std: ...}` in lrbench.yaml"
        )
        yield Finding("warning", text)
    else:
        yield Finding("good", text)

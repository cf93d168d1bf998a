"""The rest of a network replaced by PCA and a linear classifier, and what that saves (paper, sections 3.5 and 4.4)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lrbench.attacks.frozen import frozen
from lrbench.diagnostics.blocks import Matrix
from lrbench.diagnostics.embeddings import embed, linear_classifier
from lrbench.diagnostics.principal import principal

if TYPE_CHECKING:
    from sklearn.linear_model import SGDClassifier


class _Reached(Exception):  # noqa: N818
    """Control flow: the layer's output is there, and nothing behind it is wanted."""


class Truncated(nn.Module):
    """A network up to and including a named layer: gives that layer's output, flattened to (N, m).

    What stands behind the layer is not run. The network is shared, not copied.
    """

    def __init__(self, model: nn.Module, layer: str) -> None:
        super().__init__()
        self.model, self.layer = model, layer

    def forward(self, x: Tensor) -> Tensor:
        """Output of the layer."""
        reached: list[Tensor] = []

        def stop(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            reached.append(output)
            raise _Reached

        handle = self.model.get_submodule(self.layer).register_forward_hook(stop)
        try:
            self.model(x)
        except _Reached:
            pass
        finally:
            handle.remove()
        return reached[0].flatten(1)


def compressed(model: nn.Module, layer: str, train: tuple[Matrix, Tensor], dim: int, seed: int = 0) -> nn.Sequential:
    """Replace everything behind a layer by PCA to `dim` dimensions and a max-margin linear classifier.

    Centring and scaling are folded into the two linear maps: m -> dim -> classes.

    Parameters
    ----------
    model : nn.Module
        Shared with the result.
    layer : str
    train : (Tensor (N, m) or StoredMatrix, Tensor (N,))
        The layer's training activations, and labels that number the classes from 0.
    dim : int
    seed : int

    Returns
    -------
    nn.Sequential
        Takes what `model` takes; gives (N, classes) decision values.
    """
    activations, labels = train
    found = principal(activations, dim, center=True, seed=seed)
    classifier = linear_classifier(seed).fit(embed(found, activations), labels.cpu().numpy())
    scaler, hinge = classifier[0], classifier[-1]
    project = nn.Linear(activations.shape[1], dim)
    decide = nn.Linear(dim, int(labels.max()) + 1)
    with torch.no_grad():
        components = found.components.float()
        project.weight.copy_(components)
        project.bias.copy_(-(components @ found.mean.float().to(components.device)))
        weight, bias = _hinge_maps(hinge, len(decide.bias), dim)
        scale, mean = (torch.from_numpy(values).float() for values in (scaler.scale_, scaler.mean_))
        decide.weight.copy_(weight / scale)
        decide.bias.copy_(bias - (weight / scale) @ mean)
    device = next(model.parameters()).device
    return nn.Sequential(Truncated(model, layer), project.to(device), decide.to(device)).eval()


def _hinge_maps(hinge: "SGDClassifier", classes: int, dim: int) -> tuple[Tensor, Tensor]:
    """One row a class; a class that never occurred never wins, and two classes are the two signs of one row."""
    coef, intercept = torch.from_numpy(hinge.coef_).float(), torch.from_numpy(hinge.intercept_).float()
    if len(coef) == 1:
        coef, intercept = torch.cat([-coef, coef]), torch.cat([-intercept, intercept])
    weight, bias = torch.zeros(classes, dim), torch.full((classes,), -torch.finfo(torch.float32).max)
    seen = torch.from_numpy(hinge.classes_)
    weight[seen], bias[seen] = coef, intercept
    return weight, bias


@dataclass(frozen=True)
class Cost:
    """Parameters that a forward pass uses, multiply-adds of one image, and seconds of one image in a batch."""

    parameters: int
    multiply_adds: int
    seconds: float


def cost(model: nn.Module, images: Tensor, repeats: int = 5) -> Cost:
    """Cost of a forward pass over `images`, (N, ...), in evaluation mode; the model is left as it was.

    Only parameters of modules that the pass runs through count. Multiply-adds are half of what torch's flop counter
    counts, which are those of convolutions and matrix products. Time is the median of `repeats` passes after one to
    warm up, for the batch as a whole, on the device of `images`.
    """
    with frozen(model), torch.no_grad():
        with _touched(model) as parameters, FlopCounterMode(display=False) as counter:
            model(images[:1])
        times = [_timed(model, images) for _ in range(repeats + 1)][1:]
    used = sum(parameter.numel() for parameter in parameters)
    return Cost(used, counter.get_total_flops() // 2, sorted(times)[repeats // 2] / len(images))


@contextmanager
def _touched(model: nn.Module) -> Iterator[dict[nn.Parameter, None]]:
    """Collect the parameters of the modules that are called."""
    parameters: dict[nn.Parameter, None] = {}

    def note(module: nn.Module, _inputs: Any) -> None:  # noqa: ANN401
        parameters.update(dict.fromkeys(module.parameters(recurse=False)))

    handles = [module.register_forward_pre_hook(note) for module in model.modules()]
    try:
        yield parameters
    finally:
        for handle in handles:
            handle.remove()


def _timed(model: nn.Module, images: Tensor) -> float:
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    start = time.perf_counter()
    model(images)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - start

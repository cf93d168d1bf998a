"""How far an attack moved the input, and how far that moved the representation."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .arguments import spelled
from .frozen import frozen
from .geometry import length
from .inputs import as_inputs, as_labels
from .layers import find_module, reached, watched
from .outputs import as_logits
from .ranges import at_least
from .regular import PROBED, callers_modes_left, regular


def l2_dissimilarity(x_adv: Tensor, x: Tensor) -> Tensor:
    """Normalised L2 dissimilarity ||x_adv - x||_2 / ||x||_2 per example (paper, section 5, equation 10).

    Parameters
    ----------
    x_adv, x : Tensor, (N, ...)
        Adversarial and clean inputs, in the space that the attack worked in.

    Returns
    -------
    Tensor, (N,)
        NaN for an all-zero input, against which nothing can be held.
    """
    return length(x_adv - x, "l2") / length(x, "l2").masked_fill(~x.flatten(1).any(dim=1), torch.nan)


class DAdv(NamedTuple):
    """Result of `d_adv`: value, its scale-free companion, and the number of examples behind both."""

    value: float
    relative: float
    n: int


class Displacement(NamedTuple):
    """How far each example's activations moved: ||f(x_adv) - f(x)||^2 and its share of ||f(x)||^2, float64, (N,).

    NaN for examples that the model misclassifies before the attack; the share also where f(x) is 0.
    """

    squared: Tensor
    relative: Tensor

    def mean(self) -> DAdv:
        """D_Adv of these examples; NaN if none of them counts."""
        counts = ~self.squared.isnan()
        if not counts.any():
            return DAdv(float("nan"), float("nan"), 0)
        return DAdv(self.squared[counts].mean().item(), self.relative[counts].nanmean().item(), int(counts.sum()))


@spelled
def d_adv(
    model: nn.Module,
    layer: str | nn.Module,
    *,
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    batch_size: int = 256,
) -> DAdv:
    """Mean squared distance that an attack moves a layer's activations (paper, section 5, D_Adv).

    D_Adv = mean ||f(x_adv) - f(x)||_2^2 over the examples that the model classifies correctly before the
    attack. It grows with the square of the activations' scale, which the LR-Layer's norm penalty shrinks;
    `relative`, the mean of ||f(x_adv) - f(x)||^2 / ||f(x)||^2 over those whose f(x) is not 0, does not.

    Parameters
    ----------
    model : nn.Module
        Maps inputs to logits; left as it was.
    layer : str or nn.Module
        The module whose output is f: its name, or the end of its name in a wrapped model; or itself.
    x_adv, x : Tensor, (N, ...)
        Adversarial and clean inputs.
    y : Tensor, array or list, (N,), integers
        True labels.
    batch_size : int
        Examples a forward pass; does not change the result beyond rounding.

    Returns
    -------
    DAdv
        NaN for both figures when no example is classified correctly (n = 0).

    Raises
    ------
    ValueError
        If the model has no module of that name or does not run through it, x, x_adv or y is not as it should be, or the
        model cannot be run on them.
    """
    at_least(1, batch_size=batch_size)
    net, classes = regular(model, as_inputs(x, None)[:PROBED])
    module = find_module(model, layer)
    if as_inputs(x_adv, None, "x_adv").shape != x.shape:
        msg = f"x_adv must have the shape of x, {tuple(x.shape)}, got {tuple(x_adv.shape)}"
        raise ValueError(msg)
    with callers_modes_left(x.device):
        y = as_labels(y, x, classes)
        return displacement(net, module, x_adv=x_adv, x=x, y=y, batch_size=batch_size).mean()


def displacement(
    model: nn.Module,
    layer: str | nn.Module,
    *,
    x_adv: Tensor,
    x: Tensor,
    y: Tensor,
    batch_size: int = 256,
) -> Displacement:
    """Give what `d_adv` is the mean of, for each example. Parameters and errors are those of `d_adv`."""
    module = find_module(model, layer)
    squared, relative = [], []
    with frozen(model), torch.no_grad():
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            clean, logits = _activations(model, module, x[rows])
            reached, _ = _activations(model, module, x_adv[rows])
            wrong = logits.argmax(dim=1) != y[rows]
            distance = (reached - clean).double().square().sum(dim=1).masked_fill(wrong, torch.nan)
            scale = clean.double().square().sum(dim=1)
            squared.append(distance)
            relative.append(distance / scale.masked_fill(scale == 0, torch.nan))
    none = x.new_zeros(0, dtype=torch.float64)
    return Displacement(torch.cat(squared) if squared else none, torch.cat(relative) if relative else none)


def _activations(model: nn.Module, module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    with watched(module) as seen:
        logits = as_logits(model(x), len(x))
    return torch.cat(reached(seen, module), dim=1), logits

"""A network as it is trained, attacked and measured: built by its architecture's factory, normalisation around it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from lrbench.catalogue import MODELS
from lrbench.models import ChosenOutputs, Classifier, make_network

Statistics = tuple[Sequence[float], Sequence[float]]


def assembled(
    arch: str,
    outputs: int,
    channels: int,
    options: Mapping[str, Any],
    *,
    chosen: Sequence[int] | None = None,
    statistics: Statistics | None = None,
    fill: Callable[[nn.Module], object] = lambda _: None,
) -> Classifier:
    """Build a network with fresh weights, on the CPU, without LR-Layers.

    Parameters
    ----------
    arch : str
    outputs, channels : int
        Of the network.
    options : mapping
        Of its factory.
    chosen : sequence of int, optional
        Outputs that count. Default: all.
    statistics : pair of sequences of float, optional
        Mean and standard deviation that images are normalised by. Default: they are not.
    fill : callable
        Given the network, to put weights in.
    """
    net = make_network(MODELS[arch].load(), outputs, channels, dict(options))
    fill(net)
    if chosen is not None:
        net = ChosenOutputs(net, chosen)
    return Classifier(net, *(statistics or ([0.0] * channels, [1.0] * channels)))

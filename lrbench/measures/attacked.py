"""Measures of what attacks do: they look at the images while they are there, and are summed up over all of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrbench.measures.base import BaseMeasure, Row

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Attacked:
    """A batch of images before and after an attack.

    Attributes
    ----------
    model : nn.Module
        As attacks see it: images in the attacked space, (N, C, H, W) float32, to logits (N, classes).
    network : nn.Module
        The trained model inside it, whose layers have the names that suites use.
    x, x_adv : Tensor, (N, C, H, W)
    y : Tensor, (N,), int64
    """

    model: "nn.Module"
    network: "nn.Module"
    x: "Tensor"
    x_adv: "Tensor"
    y: "Tensor"


class AttackMeasure(BaseMeasure, ABC):
    """One thing to be known of every attack with a radius, on every model.

    It is asked of each batch, so that an attack can be made in parts, and of all images together for its rows.
    """

    @abstractmethod
    def each(self, options: Any, attacked: Attacked) -> Mapping[str, "Tensor"]:
        """Give what becomes of each image of a batch, under names of the measure's choice: (N,) each."""

    @abstractmethod
    def rows(self, options: Any, each: Mapping[str, "Tensor"]) -> Iterator[Row]:
        """Give the rows, as `Measure.take` does, from what `each` gave of all images; of an attack and radius."""

"""D_Adv: how far an attack moves a layer's activations (paper, section 5)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.attacked import Attacked, AttackMeasure
from lrbench.measures.base import Layer, Metric, Options, Row
from lrbench.names import eps_label

if TYPE_CHECKING:
    from torch import Tensor

    from lrbench.views import Block, Column, Shown


class DAdvOptions(Options):
    """D_Adv under every attack at every radius (paper, section 5); by default at the layers of `variance_ratio`.

    No `layers` are none: it is not taken.
    """

    layers: list[Layer]


@named("d_adv")
class DAdv(AttackMeasure):
    """How far attacks move a layer's activations."""

    Options = DAdvOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "d_adv": Metric("D_Adv", better="lower"),
        "d_adv_relative": Metric("relative D_Adv", better="lower"),
    }

    def unasked(self, asked: Mapping[str, Any]) -> Any:
        """Take it where variance ratios are."""
        layers = getattr(asked.get("variance_ratio"), "layers", None)
        return None if layers is None else DAdvOptions(layers=list(layers))

    def summary(self, options: Any, shown: "Shown") -> Iterator["Column"]:
        """Give both at the last layer, under the first attack that has them, at its smallest radius."""
        if (chosen := self._shown_for(options, shown)) is None:
            return
        layer, attack, eps = chosen
        for figure, metric in self.figures.items():
            key = f"{figure}[{layer},{attack},{eps_label(eps, shown.norm)}]"
            yield shown.column(figure, f"{metric.heading} {layer}", "number", key, layer=layer, attack=attack, eps=eps)

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give none beside the summary."""
        yield from ()

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say under which attack, and which of the two compares models."""
        if (chosen := self._shown_for(options, shown)) is not None:
            _, attack, eps = chosen
            yield (
                f"D_Adv is under {attack} at {shown.radius(eps)}: mean squared distance by which it moves a layer's "
                "activations, over images that are classified correctly before it. It grows with their scale; compare "
                "models by the relative one."
            )

    def _shown_for(self, options: Any, shown: "Shown") -> tuple[str, str, float] | None:
        """Give the layer, attack and radius that the summary shows; None if there are none."""
        for layer in options.layers[-1:]:
            for attack in shown.attacks:
                radii = shown.rows("d_adv", layer=layer, attack=attack)["eps"]
                if len(radii):
                    return layer, attack, float(radii.min())
        return None

    def each(self, options: Any, attacked: Attacked) -> Mapping[str, "Tensor"]:
        """Give both of each image, NaN where the model was wrong before."""
        from lrbench.attacks.distances import displacement

        found: dict[str, Tensor] = {}
        for layer in dict.fromkeys(options.layers):
            module = attacked.network.get_submodule(layer)
            x, x_adv, y = attacked.x, attacked.x_adv, attacked.y
            squared, relative = displacement(attacked.model, module, x_adv=x_adv, x=x, y=y, batch_size=len(x))
            found |= {f"squared[{layer}]": squared, f"relative[{layer}]": relative}
        return found

    def rows(self, options: Any, each: Mapping[str, "Tensor"]) -> Iterator[Row]:
        """Give the means over images that were right; none where there are none."""
        from math import isfinite

        from lrbench.attacks.distances import Displacement

        for layer in dict.fromkeys(options.layers):
            mean = Displacement(each[f"squared[{layer}]"], each[f"relative[{layer}]"]).mean()
            for figure, value in (("d_adv", mean.value), ("d_adv_relative", mean.relative)):
                if isfinite(value):
                    yield {"metric": figure, "value": value, "layer": layer, "n": mean.n}

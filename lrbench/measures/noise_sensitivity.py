"""How much a layer amplifies a perturbation: white-box, transferred or random (Arora et al., 2018; 1804.07090v5)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.attacked import Attacked, AttackMeasure
from lrbench.measures.base import Layer, Metric, Options, Row

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lrbench.views import Block, Chart, Column, Shown


class NoiseSensitivityOptions(Options):
    """||f(x + d) - f(x)||^2 / ||f(x)||^2 at `layers`, against ||d||^2 / ||x||^2, under every attack at every radius.

    The suite's attacks say which d: `pgd` is white-box, with a `surrogate` transferred, and `gaussian-noise` random.
    """

    layers: Annotated[list[Layer], Field(min_length=1)]


@named("noise_sensitivity")
class NoiseSensitivity(AttackMeasure):
    """How much a perturbation grows up to a layer: its relative square there and at the input."""

    Options = NoiseSensitivityOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "noise_sensitivity": Metric("noise sensitivity", better="lower"),
        "relative_noise": Metric("relative noise at the input"),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give both, a row an attack and radius."""
        from lrbench.views import Block

        yield Block("Noise sensitivity", list(_columns(options, shown)), by="attack")

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw the sensitivity of each layer by the noise at the input, a panel an attack."""
        from lrbench.views import Axis, Chart, Panel, n_suffix

        noise = shown.rows("relative_noise")[["model", "attack", "eps", "value"]].rename(columns={"value": "noise"})
        for layer in dict.fromkeys(options.layers):
            rows = shown.rows("noise_sensitivity", layer=layer).merge(noise, on=["model", "attack", "eps"])
            rows = rows[(rows["noise"] > 0) & (rows["value"] > 0)]
            if rows.empty:
                continue
            # Attacks and random noise are an order of magnitude apart: panels share their axes.
            ends = [(each.min() / 1.2, 1.2 * each.max()) for each in (rows["noise"], rows["value"])]
            x = Axis("noise", "relative noise at the input", scale="log", domain=ends[0])
            y = Axis("value", f"noise sensitivity of {layer}{n_suffix(rows)}", scale="log", domain=ends[1])
            panels = [
                Panel(part.sort_values("noise", kind="stable"), x, y, "line", attack)
                for attack in shown.attacks
                if len(part := rows[rows["attack"] == attack])
            ]
            caption = (
                f"Mean of ||f(x + d) - f(x)||^2 / ||f(x)||^2 at {layer}, by the mean of ||d||^2 / ||x||^2, in the "
                "attacked space."
            )
            yield Chart(f"noise-sensitivity-{layer}", f"Noise sensitivity of {layer}", caption, panels, shown.labels)

    def each(self, options: Any, attacked: Attacked) -> Mapping[str, "Tensor"]:
        """Give both of each image; NaN where what is divided by is 0."""
        layers = {layer: attacked.network.get_submodule(layer) for layer in options.layers}
        clean, noisy = (outputs_of(attacked.model, layers, x) for x in (attacked.x, attacked.x_adv))
        found = {f"layer[{layer}]": relative_square(noisy[layer], clean[layer]) for layer in layers}
        return {"input": relative_square(attacked.x_adv, attacked.x), **found}

    def rows(self, options: Any, each: Mapping[str, "Tensor"]) -> Iterator[Row]:
        """Give the means over images for which there is one."""
        for key, values in each.items():
            known = values[values.isfinite()]
            if not len(known):
                continue
            row: Row = {"metric": "relative_noise", "value": known.mean(), "n": len(known)}
            if key != "input":
                row |= {"metric": "noise_sensitivity", "layer": key.removeprefix("layer[").removesuffix("]")}
            yield row


def relative_square(moved: "Tensor", before: "Tensor") -> "Tensor":
    """Give ||moved - before||^2 / ||before||^2 of each row of (N, ...), float64, (N,); NaN where `before` is 0."""
    import torch

    distance = (moved - before).double().flatten(1).square().sum(dim=1)
    scale = before.double().flatten(1).square().sum(dim=1)
    return distance / scale.masked_fill(scale == 0, torch.nan)


def outputs_of(model: "nn.Module", layers: Mapping[str, "nn.Module"], x: "Tensor") -> dict[str, "Tensor"]:
    """Give what modules of a model give in one pass, (N, m) each."""
    from contextlib import ExitStack

    import torch

    from lrbench.attacks.frozen import frozen
    from lrbench.attacks.layers import reached, watched

    with ExitStack() as stack, frozen(model), torch.no_grad():
        seen = {layer: stack.enter_context(watched(module)) for layer, module in layers.items()}
        model(x)
    return {layer: torch.cat(reached(given, layer), dim=1) for layer, given in seen.items()}


def _columns(options: Any, shown: "Shown") -> Iterator["Column"]:
    from dataclasses import replace

    from lrbench.names import eps_label

    for attack in shown.attacks:
        for eps in sorted(set(shown.rows("relative_noise", attack=attack)["eps"])):
            row = f"{attack} {shown.radius(eps)}"
            key = f"{attack},{eps_label(eps, shown.norm)}"
            where = {"attack": attack, "eps": eps}
            noise = shown.column("relative_noise", "at the input", "number", f"relative_noise[{key}]", **where)
            yield replace(noise, row=row)
            for layer in dict.fromkeys(options.layers):
                name = f"noise_sensitivity[{layer},{key}]"
                column = shown.column("noise_sensitivity", f"at {layer}", "number", name, layer=layer, **where)
                yield replace(column, row=row)

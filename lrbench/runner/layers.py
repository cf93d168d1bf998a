"""Layers that a suite names, against those that a model has."""

from collections.abc import Iterator
from dataclasses import dataclass

from lrbench.errors import nearest
from lrbench.measures import dimensions, named_layers
from lrbench.strict import KeyPath, Strict
from lrbench.suite import ModelSpec, Suite
from lrbench.suite.document import Document


@dataclass(frozen=True)
class Layers:
    """Checks the names, ranks and dimensions of layers; an error names the line in the suite's document.

    Attributes
    ----------
    suite : Suite
    document : Document
    images : int
        That there are to train on: more dimensions cannot be told apart.
    """

    suite: Suite
    document: Document
    images: int

    def check(self, name: str, spec: ModelSpec, sizes: dict[str, int]) -> None:
        """Check the layers that a suite names of a model.

        Parameters
        ----------
        name : str
        spec : ModelSpec
        sizes : dict
            Entries an example of every layer's output.

        Raises
        ------
        UsageError
            With the first layer that is not there, and the first rank or dimension that is too large.
        """
        for layer, lr in spec.lr_layers.items():
            where: KeyPath = ("models", name, "lr_layers", layer)
            self._require(layer, sizes, where, name)
            if lr.rank > sizes[layer]:
                message = f"rank {lr.rank} exceeds the layer's {sizes[layer]} features"
                raise self.document.error(where, message)
        for regularizer, options in spec.regularizers.asked.items():
            for option, layer in named_layers(options):
                self._require(layer, sizes, ("models", name, "regularizers", regularizer, option), name)
        if not sizes:
            return  # what is asked of layers is left out of a model that has none
        for where, layer in self._measured_layers():
            self._require(layer, sizes, where, name)
        for kind, options in self.suite.diagnostics.of_layers.items():
            self._check_dims(kind, options, sizes, name)

    def _measured_layers(self) -> Iterator[tuple[KeyPath, str]]:
        diagnostics = self.suite.diagnostics
        for index, attack in enumerate(self.suite.attacks):
            layer = attack.options.get("layer")
            if isinstance(layer, str):
                yield ("attacks", index, "layer"), layer
        for kind, options in diagnostics.of_layers.items():
            for option, layer in named_layers(options):
                yield ("diagnostics", kind, option), layer

    def _check_dims(self, kind: str, options: Strict, sizes: dict[str, int], model: str) -> None:
        for option, within in dimensions(type(options)).items():
            layer = getattr(options, within.layer)
            limit = min(sizes[layer], self.images)
            value = getattr(options, option)
            listed = (
                [((option,), value)]
                if isinstance(value, int)
                else [((option, index), each) for index, each in enumerate(value)]
            )
            for where, dim in listed:
                if isinstance(dim, int) and dim > limit:
                    message = f"{dim} dimensions, but {layer} of {model} has only {limit}"
                    raise self.document.error(("diagnostics", kind, *where), message)

    def _require(self, layer: str, sizes: dict[str, int], where: KeyPath, model: str) -> None:
        if layer not in sizes:
            raise self.document.error(where, f"model {model} has no layer {layer!r}; {nearest(layer, sizes)}")

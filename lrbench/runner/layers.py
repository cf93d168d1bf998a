"""Layers that a suite names, against those that a model has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lrbench.errors import nearest
from lrbench.suite import ModelSpec, Suite
from lrbench.suite.document import Document, KeyPath


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
        if not sizes:
            return  # what is asked of layers is left out of a model that has none
        for where, layer in self._measured_layers():
            self._require(layer, sizes, where, name)
        diagnostics = self.suite.diagnostics
        if diagnostics.embeddings:
            dims = [(("dims", index), dim) for index, dim in enumerate(diagnostics.embeddings.dims) if dim != "full"]
            self._check_dims("embeddings", diagnostics.embeddings.layer, dims, sizes, name)
        if diagnostics.compression:
            dim = [(("dim",), diagnostics.compression.dim)]
            self._check_dims("compression", diagnostics.compression.layer, dim, sizes, name)

    def _measured_layers(self) -> Iterator[tuple[KeyPath, str]]:
        diagnostics = self.suite.diagnostics
        for index, attack in enumerate(self.suite.attacks):
            layer = attack.options.get("layer")
            if isinstance(layer, str):
                yield ("attacks", index, "layer"), layer
        for kind in ("variance_ratio", "d_adv"):
            spec = getattr(diagnostics, kind)
            for layer in spec.layers if spec else ():
                yield ("diagnostics", kind, "layers"), layer
        for kind in ("embeddings", "transfer", "compression", "clusters"):
            spec = getattr(diagnostics, kind)
            if spec:
                yield ("diagnostics", kind, "layer"), spec.layer

    def _check_dims(
        self,
        kind: str,
        layer: str,
        dims: Sequence[tuple[KeyPath, int]],
        sizes: dict[str, int],
        model: str,
    ) -> None:
        limit = min(sizes[layer], self.images)
        for where, dim in dims:
            if dim > limit:
                message = f"{dim} dimensions, but {layer} of {model} has only {limit}"
                raise self.document.error(("diagnostics", kind, *where), message)

    def _require(self, layer: str, sizes: dict[str, int], where: KeyPath, model: str) -> None:
        if layer not in sizes:
            raise self.document.error(where, f"model {model} has no layer {layer!r}; {nearest(layer, sizes)}")

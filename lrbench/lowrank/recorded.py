"""Updates of LR-Layers as part of CUDA graphs: always the same kernels, in the same memory."""

from collections.abc import Sequence

from lrbench.lowrank.layer import LRLayer
from lrbench.lowrank.pieces import Batch, Updated
from lrbench.lowrank.projection import Subspace
from lrbench.lowrank.watch import CHECK


def recordable(layer: LRLayer) -> bool:
    """Whether every update is the same kernels, whatever the batch."""
    return isinstance(layer.project, Subspace) and layer.every == 1


class RecordedUpdates:
    """Updates that are made while the network learns from their batch, and taken over before the next is penalised.

    Parameters
    ----------
    layers : sequence of LRLayer
        Each `recordable`.
    """

    def __init__(self, layers: Sequence[LRLayer]) -> None:
        self.layers = layers
        self.under_way = False
        self._held: list[Batch] = []
        self._updated: list[Updated] = []

    @property
    def due(self) -> bool:
        """Whether a batch waits to be followed."""
        return all(layer.batches for layer in self.layers)

    def ready(self) -> bool:
        """Whether the update that is due may be the one recorded: no layer's has to be made exactly."""
        watched = [layer.watch for layer in self.layers if layer.updates % CHECK == 0]
        for watch in watched:
            watch.settle()
        return not any(watch.over for watch in watched)

    def hold(self) -> None:
        """Put the batches penalised last where `follow` finds them; to be recorded."""
        newest = [layer.batches[-1] for layer in self.layers]
        if not self._held:
            self._held = [Batch(*(part.clone() for part in batch)) for batch in newest]
        for batch, held in zip(newest, self._held, strict=True):
            for kept, part in zip(held, batch, strict=True):
                if kept is not part:
                    kept.copy_(part)

    def put(self, *, due: bool = True) -> None:
        """Let the held batches be what the layers follow next; or nothing."""
        for layer, held in zip(self.layers, self._held, strict=True):
            layer.batches = [held] if due else []

    def follow(self) -> None:
        """See where the held batches move W and b; to be recorded."""
        self._updated = [
            layer.updated([held], layer.project) for layer, held in zip(self.layers, self._held, strict=True)
        ]

    def begun(self) -> None:
        """Say that `follow` is being repeated."""
        self.put(due=False)
        self.under_way = True

    def adopt(self) -> None:
        """Move W and b to where `follow` says."""
        self.under_way = False
        for layer, new in zip(self.layers, self._updated, strict=True):
            layer.calls += 1
            layer.adopt(new)

"""Updates of LR-Layers as part of a CUDA graph: always the same kernels, in the same memory."""

from collections.abc import Sequence

from lrbench.lowrank.layer import LRLayer
from lrbench.lowrank.pieces import Batch
from lrbench.lowrank.projection import Subspace
from lrbench.lowrank.watch import CHECK


def recordable(layer: LRLayer) -> bool:
    """Whether every update is the same kernels, whatever the batch."""
    return isinstance(layer.project, Subspace) and layer.every == 1


class RecordedUpdates:
    """Updates that are made just before the next batch is penalised, not just after the last one was.

    Parameters
    ----------
    layers : sequence of LRLayer
        Each `recordable`.
    """

    def __init__(self, layers: Sequence[LRLayer]) -> None:
        self.layers = layers
        self._held: list[Batch] = []

    def ready(self) -> bool:
        """Whether `follow` may be repeated: a batch is held, and no layer's update has to be made exactly."""
        if not self._held or not all(layer.batches for layer in self.layers):
            return False
        due = [layer.watch for layer in self.layers if layer.updates % CHECK == 0]
        for watch in due:
            watch.settle()
        return not any(watch.over for watch in due)

    def follow(self) -> None:
        """Move W and b by the batches that are held; to be recorded."""
        for layer in self.layers:
            batches, layer.batches = layer.batches, []
            layer.follow(batches, layer.project)

    def hold(self) -> None:
        """Put the batches penalised last where the next `follow` finds them; to be recorded."""
        newest = [layer.batches[-1] for layer in self.layers]
        if not self._held:
            self._held = [Batch(*(part.clone() for part in batch)) for batch in newest]
        for layer, batch, held in zip(self.layers, newest, self._held, strict=True):
            for kept, part in zip(held, batch, strict=True):
                if kept is not part:
                    kept.copy_(part)
            layer.batches = [held]

    def counted(self) -> None:
        """Count an update that was repeated."""
        for layer in self.layers:
            layer.calls += 1
            layer.watch.send(layer.updates, layer.figures["error"])
            layer.counted()

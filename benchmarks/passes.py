"""How many images pass a model."""

from torch import Tensor, nn


class Passes:
    """Counts the images that pass a model, copies of it among them, either way."""

    def __init__(self, model: nn.Module) -> None:
        self.forward = self.backward = 0
        self._handle = model.register_forward_hook(self._seen)

    def stop(self) -> None:
        """Count no longer."""
        self._handle.remove()

    def _seen(self, _module: nn.Module, _inputs: object, logits: Tensor) -> None:
        self.forward += len(logits)
        if logits.requires_grad:
            logits.register_hook(self._back)

    def _back(self, gradient: Tensor) -> None:
        self.backward += len(gradient)

    def __deepcopy__(self, memo: dict) -> "Passes":
        return self

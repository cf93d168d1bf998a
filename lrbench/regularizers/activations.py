"""What layers give in a step, for penalties on activations."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class Activations:
    """Keeps what named modules give in the last pass of the network in training mode.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of str
    """

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        self.of: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = [
            model.get_submodule(name).register_forward_hook(Keep(self.of, name)) for name in layers
        ]

    def taken(self) -> dict[str, Tensor]:
        """Give them, flat, (N, m), in float32; they are kept no longer."""
        found = {name: activation.flatten(1).float() for name, activation in self.of.items()}
        self.of.clear()
        return found

    def remove(self) -> None:
        """Let go of the modules."""
        for handle in self._handles:
            handle.remove()
        self.of.clear()


class Keep:
    """Forward hook; a class, so that a recorded step can tell it from others' (`lrbench.training.graphed`)."""

    def __init__(self, kept: dict[str, Tensor], name: str) -> None:
        self.kept, self.name = kept, name

    def __call__(self, module: nn.Module, _inputs: object, output: object) -> None:
        """Keep what a module gives in training mode."""
        # Attacks on a batch run the network in evaluation mode.
        if not module.training:
            return
        if not isinstance(output, Tensor):
            msg = f"a penalty on activations needs a tensor; {self.name} gives a {type(output).__name__}"
            raise TypeError(msg)
        self.kept[self.name] = output


def keeps(hook: object) -> bool:
    """Whether a hook is one that keeps activations for a penalty."""
    return isinstance(hook, Keep)

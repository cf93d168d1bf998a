"""What layers give in a step, for penalties on activations."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lrbench.regularizers.named import modules_named


class Activations:
    """Keeps what named modules give in the last pass of the network in training mode.

    Parameters
    ----------
    model : nn.Module
        That is called, as a whole, in each pass.
    layers : sequence of str

    Raises
    ------
    UsageError
        If there is no such module, or two names are of the same one.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        self.of: dict[str, list[Tensor]] = {}
        modules = modules_named(model, layers)
        self._handles: list[RemovableHandle] = [model.register_forward_pre_hook(Begin(self.of))]
        self._handles += [module.register_forward_hook(Keep(self.of, name)) for name, module in modules.items()]

    def taken(self) -> dict[str, list[Tensor]]:
        """Give them, flat, (N, m), in float32, one for each call of a module; they are kept no longer.

        A module that was not called in the pass is not there.
        """
        found = {name: [each.flatten(1).float() for each in calls] for name, calls in self.of.items()}
        self.of.clear()
        return found

    def remove(self) -> None:
        """Let go of the modules."""
        for handle in self._handles:
            handle.remove()
        self.of.clear()


class Begin:
    """Forward pre-hook of the network: what an earlier pass left behind is not part of this one."""

    def __init__(self, kept: dict[str, list[Tensor]]) -> None:
        self.kept = kept

    def __call__(self, model: nn.Module, _inputs: object) -> None:
        """Forget."""
        if model.training:
            self.kept.clear()


class Keep:
    """Forward hook; a class, so that a recorded step can tell it from others' (`lrbench.training.graphed`)."""

    def __init__(self, kept: dict[str, list[Tensor]], name: str) -> None:
        self.kept, self.name = kept, name

    def __call__(self, module: nn.Module, _inputs: object, output: object) -> None:
        """Keep what a module gives in training mode."""
        # Attacks on a batch run the network in evaluation mode.
        if not module.training:
            return
        if not isinstance(output, Tensor):
            msg = f"a penalty on activations needs a tensor; {self.name} gives a {type(output).__name__}"
            raise TypeError(msg)
        # What follows may work in place, and would change what is kept.
        self.kept.setdefault(self.name, []).append(output.clone())


def keeps(hook: object) -> bool:
    """Whether a hook is one that keeps activations for a penalty."""
    return isinstance(hook, Keep | Begin)

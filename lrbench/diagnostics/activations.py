"""What a network says, and what its layers hold, over a whole split."""

import torch
from torch import Tensor, nn

from lrbench.attacks.frozen import frozen
from lrbench.data import Split


def evaluate(model: nn.Module, split: Split, batch_size: int = 256) -> Tensor:
    """Predicted classes, int64 (N,), in evaluation mode; the model is left as it was."""
    with frozen(model), torch.no_grad():
        return torch.cat([model(images).argmax(dim=1) for images, _ in split.batches(batch_size)])


def activations(model: nn.Module, split: Split, layers: list[str], batch_size: int = 256) -> dict[str, Tensor]:
    """Collect outputs of named modules over a split, each flattened to (N, m), float32, on the CPU.

    Evaluation mode, no augmentation; the model is left as it was.

    Raises
    ------
    AttributeError
        If the model has no module of a given name.
    """
    collected: dict[str, Tensor] = {}
    seen: dict[str, Tensor] = {}

    def remember(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            seen[name] = output.flatten(1)

        return model.get_submodule(name).register_forward_hook(hook)

    handles = [remember(name) for name in layers]
    try:
        with frozen(model), torch.no_grad():
            start = 0
            for images, _ in split.batches(batch_size):
                model(images)
                for name, batch in seen.items():
                    if name not in collected:
                        collected[name] = torch.empty(len(split), batch.shape[1])
                    collected[name][start : start + len(batch)] = batch
                start += len(images)
    finally:
        for handle in handles:
            handle.remove()
    return collected

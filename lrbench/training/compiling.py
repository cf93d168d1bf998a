"""Networks passed through `torch.compile`."""

import torch
from torch import nn


def compiled(model: nn.Module) -> nn.Module:
    """Compile a network, its LR-Layers' hooks included.

    By itself torch takes what was compiled for the same network without hooks, earlier in this process, for this one
    too: LR-Layers would see nothing.
    """
    torch._dynamo.config.skip_nnmodule_hook_guards = False
    network: nn.Module = torch.compile(model)  # type: ignore[assignment]
    return network

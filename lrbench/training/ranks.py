"""What the processes of a data-parallel training share; in a training of one process, nothing."""

import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """Give the number of this process, from 0."""
    return dist.get_rank() if _together() else 0


def world() -> int:
    """Say how many processes train together."""
    return dist.get_world_size() if _together() else 1


def averaged(values: Tensor) -> Tensor:
    """Mean over the processes; `values` itself where there is one."""
    if world() == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total / world()


def own_seed(seed: int, epoch: int) -> None:
    """Let the processes but the first draw numbers of their own from torch's global generators in an epoch."""
    if rank():
        torch.manual_seed(hash((seed, epoch, rank())) % 2**63)


def agree(model: nn.Module) -> None:
    """Take the first process's running statistics, as a training that is resumed from its snapshot does.

    DDP does so in each pass of its own; attacks on a batch come before that.
    """
    for buffer in model.buffers() if world() > 1 else ():
        if buffer.numel():
            dist.broadcast(buffer, 0)


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()

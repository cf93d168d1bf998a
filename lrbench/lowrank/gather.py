"""Rows of all ranks of a data-parallel training."""

import torch
import torch.distributed as dist
from torch import Tensor


def gathered(rows: Tensor) -> Tensor:
    """Rows of every rank, in the order of the ranks; `rows` itself outside of a distributed run.

    All ranks must hold equally many rows, as samplers that drop the last batch give them.

    Parameters
    ----------
    rows : Tensor, (n, ...)

    Returns
    -------
    Tensor, (world size * n, ...)
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)

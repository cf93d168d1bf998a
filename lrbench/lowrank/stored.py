"""W and b of an LR-Layer, as they lie in memory and in a checkpoint."""

from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.watch import LateWatch


class Stored(nn.Module):
    """What an `LRLayer` keeps: W as thin factors, b, and how often they moved.

    Parameters
    ----------
    features : int or None
    rank : int
    watch : LateWatch
    """

    rows: Tensor
    mix: Tensor
    gram: Tensor
    bias: Tensor

    def __init__(self, features: int | None, rank: int, watch: LateWatch) -> None:
        super().__init__()
        self.rank, self.watch = rank, watch
        self.enabled = True
        self.calls = self.updates = 0
        self.started = False
        for name in ("rows", "mix", "gram", "bias"):
            self.register_buffer(name, torch.zeros(0))
        if features is not None:
            self._allocate(features, torch.empty(0))

    @property
    def features(self) -> int | None:
        """m, or None before the first batch of a layer that was made without it."""
        return len(self.bias) or None

    @property
    def factored(self) -> LowRank:
        """W as a product of thin matrices."""
        return LowRank(self.rows, self.mix, self.gram)

    @property
    def weight(self) -> Tensor:
        """W, dense, (m, m); for inspection only."""
        return self.factored.dense()

    def get_extra_state(self) -> Tensor:
        """Give what the buffers do not hold: counts, whether W has started, whether the layer is on, and `watch`."""
        self.watch.settle()
        return torch.tensor([self.calls, self.updates, int(self.started), int(self.enabled), int(self.watch.over)])

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of `get_extra_state`."""
        self.calls, self.updates, *flags = (int(entry) for entry in state)
        # Four entries before there was a watch.
        self.started, self.enabled, self.watch.over = (bool(flag) for flag in [*flags, 0][:3])

    def _allocate(self, features: int, like: Tensor) -> None:
        if self.rank > features:
            msg = f"rank {self.rank} is larger than the {features} features of this layer; choose 1..{features}"
            raise ValueError(msg)
        device = self.bias.device if like.numel() == 0 else like.device
        self.rows = torch.zeros(self.rank, features, device=device)
        self.mix = torch.eye(self.rank, device=device)
        self.gram = torch.zeros(self.rank, self.rank, device=device)
        self.bias = torch.zeros(features, device=device)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        stored = state_dict.get(prefix + "bias")
        if stored is not None and not self.features and len(stored):
            self._allocate(len(stored), torch.empty(0))
        super()._load_from_state_dict(state_dict, prefix, *args)

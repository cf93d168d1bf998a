"""MeanSparse: features that are near their mean become their mean, on top of a trained network.

Source: Amini, Teymoorianfard, Ma and Houmansadr, *MeanSparse: Post-Training Robustness Enhancement Through
Mean-Centered Feature Sparsification*, 2024, arXiv 2406.05927.
"""

import torch
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.data import Split
from lrbench.errors import UsageError
from lrbench.measures.base import Layer, Options
from lrbench.regularizers.base import Regularizer
from lrbench.strict import Count, NonNegative


class MeanSparseOptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    threshold : float, >= 0
        alpha: half the band's width, in standard deviations of the channel.
    layers : list of str, optional
        Whose outputs are made sparse. Default: every batch norm, whose output goes into an activation function.
    batch_size : int
        Training images in a pass that measures.
    """

    threshold: NonNegative = 0.2
    layers: list[Layer] | None = None
    batch_size: Count = 500


@REGULARIZERS.register("mean_sparse")
class MeanSparse(Regularizer):
    """MeanSparse (Amini et al., 2024): activations within a band around their channel's mean are set to it."""

    Options = MeanSparseOptions
    options: MeanSparseOptions

    training_free = True
    lasting = True

    def attach(self, model: nn.Module) -> None:
        """Put a module behind each layer; it changes nothing until `fit` has measured."""
        names = self.options.layers
        if names is None:
            norms = nn.modules.batchnorm._BatchNorm
            names = [name for name, module in model.named_modules() if isinstance(module, norms)]
        if not names:
            msg = "mean_sparse: this network has no batch norm; name the `layers` whose outputs are made sparse"
            raise UsageError(msg)
        self.sparse = {name: Sparse(self.options.threshold) for name in names}
        for name, sparse in self.sparse.items():
            outer, _, inner = name.rpartition(".")
            parent = model.get_submodule(outer)
            module = parent.get_submodule(inner)
            setattr(parent, inner, nn.Sequential(module, sparse))

    @torch.no_grad()
    def fit(self, model: nn.Module, train: Split) -> None:
        """Measure each channel's mean and standard deviation on the training images, layer by layer.

        Means are those of the network as it was: no feature is sparse yet while one is measured.
        """
        model.eval()
        for sparse in self.sparse.values():
            sparse.measuring = Moments()
        for images, _ in train.batches(self.options.batch_size):
            model(images.contiguous(memory_format=torch.channels_last))
        for sparse in self.sparse.values():
            sparse.settle()


class Sparse(nn.Module):
    """Sets what is within `threshold` standard deviations of its channel's mean to the mean.

    The gradient is the operator's own: 0 within the band, 1 outside.

    Parameters
    ----------
    threshold : float
    """

    mean: Tensor
    width: Tensor

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.measuring: Moments | None = None
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("width", torch.zeros(0))

    def forward(self, x: Tensor) -> Tensor:
        """Give activations, (N, C, ...), made sparse; unchanged where nothing was measured yet."""
        if self.measuring is not None:
            self.measuring.add(x)
        if self.measuring is not None or not len(self.mean):
            return x
        mean, width = (each.to(x).view(-1, *[1] * (x.ndim - 2)) for each in (self.mean, self.width))
        return torch.where((x - mean).abs() <= width, mean, x)

    def settle(self) -> None:
        """Take over what was measured."""
        assert self.measuring is not None  # noqa: S101
        mean, deviation = self.measuring.result()
        self.mean, self.width = mean.float(), (self.threshold * deviation).float()
        self.measuring = None

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: object) -> None:
        for name in ("mean", "width"):
            if (stored := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.zeros_like(stored, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args)


class Moments:
    """Sums of channels and their squares, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, x: Tensor) -> None:
        """Take in activations, (N, C, ...)."""
        channels = x.double().transpose(0, 1).flatten(1)
        self.count += channels.shape[1]
        self.sums = self.sums + channels.sum(dim=1)
        self.squares = self.squares + channels.square().sum(dim=1)

    def result(self) -> tuple[Tensor, Tensor]:
        """Give mean and standard deviation, (C,)."""
        mean = torch.as_tensor(self.sums) / self.count
        return mean, (torch.as_tensor(self.squares) / self.count - mean.square()).clamp_min(0).sqrt()

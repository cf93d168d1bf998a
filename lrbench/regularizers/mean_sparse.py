"""MeanSparse: features that are near their mean become their mean, on top of a trained network.

Source: Amini, Teymoorianfard, Ma and Houmansadr, *MeanSparse: Post-Training Robustness Enhancement Through
Mean-Centered Feature Sparsification*, 2024, arXiv 2406.05927.
"""

import torch
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.data import Split
from lrbench.errors import UsageError
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.named import Layers, modules_named
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
    layers: Layers | None = None
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
        # All of them before the first is put away behind another name.
        modules = self._layers(model)
        self.sparse = {name: Sparse(self.options.threshold) for name in modules}
        for name, module in modules.items():
            put_around(model, name, module, nn.Sequential(module, self.sparse[name]))

    def _layers(self, model: nn.Module) -> dict[str, nn.Module]:
        if self.options.layers is not None:
            return modules_named(model, self.options.layers)
        norms = nn.modules.batchnorm._BatchNorm
        found: dict[str, nn.Module] = {name: each for name, each in model.named_modules() if isinstance(each, norms)}
        if not found:
            msg = "this network has no batch norm; name the `layers` whose outputs are made sparse"
            raise UsageError(msg)
        return found

    @torch.no_grad()
    def fit(self, model: nn.Module, train: Split) -> None:
        """Measure each channel's mean and standard deviation on the training images, layer by layer.

        Means are those of the network as it was: no feature is sparse yet while one is measured.

        Raises
        ------
        UsageError
            If a layer that is named is called for no image.
        """
        model.eval()
        for sparse in self.sparse.values():
            sparse.measuring = Moments()
        for images, _ in train.batches(self.options.batch_size):
            model(images.contiguous(memory_format=torch.channels_last))
        for name, sparse in self.sparse.items():
            # Batch norms that nobody named may be for training alone.
            if self.options.layers is not None and not sparse.measured:
                msg = f"mean_sparse: {name} gave nothing for the training images; name `layers` that each pass calls"
                raise UsageError(msg)
            sparse.settle()


def put_around(model: nn.Module, name: str, module: nn.Module, around: nn.Module) -> None:
    """Let each parent of a module call another one in its place.

    Raises
    ------
    UsageError
        If it has none.
    """
    # Not by name: what stands around a network has its modules' names, and is not their parent.
    parents = [(each, key) for each in model.modules() for key, child in each._modules.items() if child is module]
    if not parents:
        msg = f"{name!r} is the whole network; name `layers` inside it"
        raise UsageError(msg)
    for parent, key in parents:
        setattr(parent, key, around)


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

    @property
    def measured(self) -> bool:
        """Whether there was something to measure."""
        return self.measuring is not None and self.measuring.count > 0

    def settle(self) -> None:
        """Take over what was measured, if anything was."""
        if self.measuring is not None and self.measured:
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

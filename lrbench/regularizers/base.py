"""What a regularizer says of itself, and when a training calls it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.measures.base import Options

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrbench.data import Split


@dataclass(frozen=True)
class Seen:
    """What a step's loss is computed of.

    Attributes
    ----------
    images : Tensor, (N, C, H, W), float32 in [0, 1]
        As they are learnt: augmented, and attacked in adversarial training. A leaf that requires a gradient where a
        regularizer says `needs_input_gradient`.
    logits : Tensor, (N, classes)
        Of these images; in bfloat16 under mixed precision.
    labels : Tensor, (N,), int64
    generator : torch.Generator
        Of the training, on the device: what a regularizer draws from it is the same in a resumed one.
    ramp : float or Tensor
        Share of their full weight that LR-Layers have reached.
    """

    images: "Tensor"
    logits: "Tensor"
    labels: "Tensor"
    generator: "torch.Generator"
    ramp: "float | Tensor" = 1.0


class Regularizer:
    """Something that a training does besides descending its loss. Override what it needs; nothing is needed.

    In the order of their calls: `attach`, then in each step `penalty` and `after_step`, after each epoch `after_epoch`,
    and at the end `finish`.

    Parameters
    ----------
    options : Options

    Attributes
    ----------
    Options : type
        What a suite can say of it, below its name under a model's `regularizers`.
    recordable : bool
        Whether its penalty is the same kernels in every step, whatever the values, and `attach` leaves the modules and
        their hooks as a CUDA graph may hold them. Where one says no, a training on a GPU makes its steps one by one
        (`lrbench.training.graphed`); `after_step` is outside of the graph in any case.
    compiles : bool
        Whether a training with it may pass the network through `torch.compile`.
    needs_input_gradient : bool
        Whether `Seen.images` have to require a gradient.
    training_free : bool
        Whether it is set up from training images by `fit`, without any training (`train: false`).
    lasting : bool
        Whether what `attach` puts into the network stays there. Who loads a checkpoint then attaches it as well. It is
        attached behind those that are not.
    writes_weights : bool
        Whether it sets the weights of the convolutions and linear layers that its option `layers` names (all of them,
        where that is None or there is none). No two that do can share one.
    """

    Options: ClassVar[type[Options]] = Options
    recordable: ClassVar[bool] = False
    compiles: ClassVar[bool] = True
    needs_input_gradient: ClassVar[bool] = False
    training_free: ClassVar[bool] = False
    lasting: ClassVar[bool] = False
    writes_weights: ClassVar[bool] = False

    def __init__(self, options: Any) -> None:  # noqa: ANN401
        self.options = options

    def attach(self, model: "nn.Module") -> None:
        """Take hold of the network before its optimiser is made; may rewrite its modules."""

    def penalty(self, seen: Seen) -> "Tensor | None":  # noqa: ARG002
        """Give a scalar that is added to the loss of a step; None for nothing."""
        return None

    def after_step(self, model: "nn.Module") -> None:
        """Change the network after the optimiser's step."""

    def after_epoch(self, accuracy: float) -> None:
        """Hear an epoch's training accuracy."""

    def finish(self, model: "nn.Module") -> None:
        """Leave a plain network: let go of modules, and put weights in place of what they were computed from."""

    def fit(self, model: "nn.Module", train: "Split") -> None:
        """Set what is set from training images, once the network is trained; not called unless `training_free`."""

    def state(self) -> dict[str, Any]:
        """Give what the rest of a training depends on and is not in the network's state: tensors, numbers, flags."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Counterpart of `state`, called after `attach`."""

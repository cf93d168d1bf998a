"""What networks are, where they come from, and what their LR-Layers are like."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, SerializeAsAny, model_validator

from lrbench.catalogue import MODELS
from lrbench.recipes import Training
from lrbench.regularizers.registry import regularizer_of
from lrbench.renamed import KEYS
from lrbench.strict import Count, NonNegative, Number, Positive, Strict
from lrbench.suite.regularizers import Regularizers, read_regularizers


def _ranked(value: Any) -> Any:  # noqa: ANN401
    """Let a bare number stand for a layer with that rank."""
    return {"rank": value} if isinstance(value, int) and not isinstance(value, bool) else value


class LowRank(Strict):
    """Defaults of all LR-Layers (paper, sections 2-3).

    `penalty_warmup` is the number of epochs over which the penalties grow to their full weight after the
    LR-Layers are switched on.
    """

    projection: Literal["exact", "nystrom", "subspace"] = "exact"
    lambda_1: NonNegative = 1.0
    lambda_2: NonNegative = 0.1
    step: Annotated[Number, Field(gt=0, le=1)] = 1.0
    bias_step: Annotated[Number, Field(gt=0, le=1)] = 0.1
    every: Count = 1
    columns: Count | None = None
    runs: Count = 1
    penalty_warmup: NonNegative = 1.0

    @property
    def layer_options(self) -> dict[str, Any]:
        """Keyword arguments of `lrbench.lowrank.LRLayer`."""
        return self.model_dump(exclude={"penalty_warmup"})


class LayerSpec(Strict):
    """One LR-Layer: its target rank, and what differs from the suite's `low_rank`."""

    rank: Count
    projection: Literal["exact", "nystrom", "subspace"] | None = None
    lambda_1: NonNegative | None = None
    lambda_2: NonNegative | None = None
    every: Count | None = None
    columns: Count | None = None
    runs: Count | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `lrbench.lowrank.LRLayer` that were given."""
        return self.model_dump(exclude_none=True)


class Normalization(Strict):
    """Channel statistics of a network's own, for images in [0, 1]."""

    mean: Annotated[list[Number], Field(min_length=1)]
    std: Annotated[list[Positive], Field(min_length=1)]


Lack = Literal["gradients", "layers"]


def comes_trained(arch: object) -> bool:
    """Whether an architecture brings its own weights."""
    return isinstance(arch, str) and (arch.startswith(("robustbench:", "object:")) or arch.endswith(".onnx"))


def offered(arch: object, weights: object, options: Mapping[str, object]) -> bool:
    """Whether weights are meant that a library offers, and says how images are prepared for.

    Torchvision's have names, such as IMAGENET1K_V2; files have endings.
    """
    if not isinstance(arch, str):
        return False
    if arch.startswith("torchvision:"):
        return isinstance(weights, str) and weights.isidentifier()
    return arch.startswith("hf-hub:") or (arch.startswith("timm:") and options.get("pretrained") is True)


def comes_untrained(arch: str) -> bool:
    """Whether an architecture brings no weights; what others made may, without anybody knowing."""
    if arch.startswith(("torchvision:", "timm:")):
        return True
    target = MODELS[arch].target if arch in MODELS else None
    return isinstance(target, str) and target.startswith("lrbench.")


class ModelSpec(Strict):
    """A network by architecture, with the options of its factory, and where its LR-Layers sit.

    Attributes
    ----------
    regularizers : Regularizers
        What its training is regularized by besides LR-Layers.
    weights : str, optional
        Path of weights to start from, or their name among those that torchvision offers. Such a model is trained only
        with `train: true`.
    init_from : str, optional
        Name of another model of the suite: training begins with the network that it trained with the same seed.
    train : bool
        Default: true without `weights`, else false.
    training : Training, optional
        What differs from the suite's `training`.
    normalize : bool, "weights" or Normalization
        By the training images' statistics (true), not at all, as weights of a library ask for, or by given statistics.
    lacks : list of {"gradients", "layers"}, optional
        What it cannot be asked. Found when it is looked over before a run, and spelled out in the run's suite.
    """

    __pydantic_extra__: dict[str, JsonValue]

    model_config = ConfigDict(extra="allow")
    renamed: ClassVar = KEYS["models"]

    arch: str
    lr_layers: dict[str, Annotated[LayerSpec, BeforeValidator(_ranked)]] = Field(default_factory=dict)
    regularizers: Annotated[SerializeAsAny[Regularizers], BeforeValidator(read_regularizers)] = Field(
        default_factory=lambda: read_regularizers({})
    )
    weights: str | None = None
    init_from: str | None = None
    train: bool = True
    training: Training | None = None
    normalize: bool | Literal["weights"] | Normalization = True
    lacks: list[Lack] | None = None

    @model_validator(mode="before")
    @classmethod
    def _loaded_is_not_trained(cls, data: Any) -> Any:  # noqa: ANN401
        if not isinstance(data, dict):
            return data
        if comes_trained(arch := data.get("arch")):
            # These take pixels and normalise them themselves.
            own = {"normalize": False} if str(arch).startswith(("robustbench:", "object:")) else {}
            return {"train": False, **own, **data}
        if offered(arch, data.get("weights"), data):
            return {"train": False, "normalize": "weights", **data}
        if data.get("weights") is not None and "train" not in data:
            return {**data, "train": False}
        return data

    @model_validator(mode="after")
    def _something_to_measure(self) -> "ModelSpec":
        if not self.train and self.lr_layers:
            msg = "LR-Layers act in training only; add `train: true`, or leave out lr_layers"
            raise ValueError(msg)
        acting = [name for name in self.regularizers.asked if not regularizer_of(name).training_free]
        if not self.train and acting:
            msg = f"{acting[0]} acts in training only; add `train: true`, or leave it out of `regularizers`"
            raise ValueError(msg)
        if self.init_from is not None and (self.weights is not None or not (self.train or self.regularizers.asked)):
            msg = (
                "`init_from` is where a training begins; it goes neither with `weights` nor with `train: false`, but "
                "for `regularizers` that need no training"
            )
            raise ValueError(msg)
        begins = self.weights is not None or self.init_from is not None or self.offered
        if not self.train and not begins and comes_untrained(self.arch):
            msg = f"`train: false` needs `weights`: {self.arch} comes without any"
            raise ValueError(msg)
        if self.arch.startswith("timm:") and str(self.weights).isidentifier() and self.weights is not None:
            msg = f"`weights: {self.weights}` would be a file; timm's weights come by `pretrained: true`"
            raise ValueError(msg)
        if self.normalize == "weights" and not self.offered:
            msg = "`normalize: weights` is for weights that torchvision, timm or the Hugging Face hub offer"
            raise ValueError(msg)
        return self

    @property
    def offered(self) -> bool:
        """Whether its weights are a library's, which says how images are prepared for them."""
        return offered(self.arch, self.weights, self.__pydantic_extra__)

    @property
    def weights_file(self) -> str | None:
        """Path of its weights, where they are in a file."""
        return None if self.arch.startswith("torchvision:") and self.offered else self.weights

    @property
    def options(self) -> dict[str, Any]:
        """Options of the architecture's factory."""
        named = {} if self.weights_file == self.weights else {"weights": self.weights}
        return {**self.__pydantic_extra__, **named}

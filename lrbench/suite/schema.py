"""What a suite can say. Each field's default is spelled out in the `suite.yaml` of a run's folder."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lrbench.suite.strict import Count, Eps, Name, NonNegative, Number, Positive, Share, Strict


def _named(value: Any) -> Any:  # noqa: ANN401
    """Let a bare name stand for a record with that name."""
    return {"name": value} if isinstance(value, str) else value


def _ranked(value: Any) -> Any:  # noqa: ANN401
    """Let a bare number stand for a layer with that rank."""
    return {"rank": value} if isinstance(value, int) and not isinstance(value, bool) else value


class DataSpec(Strict):
    """A data set by name, with the options of its source.

    `train` and `test` keep that many examples, classes as even as they can be; all of them if left out.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    train: Count | None = None
    test: Count | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options of the data set's source."""
        return dict(self.__pydantic_extra__ or {})


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
    columns: Count | None = None
    runs: Count | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `lrbench.lowrank.LRLayer` that were given."""
        return self.model_dump(exclude_none=True)


class ModelSpec(Strict):
    """A network by architecture, with the options of its factory, and where its LR-Layers sit."""

    model_config = ConfigDict(extra="allow")

    arch: str
    lr_layers: dict[str, Annotated[LayerSpec, BeforeValidator(_ranked)]] = Field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """Options of the architecture's factory."""
        return dict(self.__pydantic_extra__ or {})


class Augment(Strict):
    """Random shift by up to `crop` pixels, and horizontal flip."""

    crop: Annotated[int, Field(ge=0, le=64)] = 0
    flip: bool = False


class Training(Strict):
    """SGD, and when the LR-Layers are switched on (paper, section 4)."""

    epochs: Count = 30
    batch_size: Count = 128
    learning_rate: Positive = 0.1
    schedule: Literal["constant", "cosine", "one-cycle"] = "cosine"
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 5e-4
    gradient_clip: Positive | None = 5.0
    warmup_accuracy: Share = 0.65
    augment: Augment = Augment()


class ThreatModel(Strict):
    """What an attacker may do: radii, the space they are measured in, and how many images are attacked.

    `space: normalized` is the paper's: eps is added to the image after normalisation, without clipping to a
    pixel range. `space: pixel` is the field's: eps in [0, 1] pixels, clipped to [0, 1].
    """

    norm: Literal["linf"] = "linf"
    space: Literal["pixel", "normalized"] = "pixel"
    eps: Annotated[list[Eps], Field(min_length=1, max_length=100)] = Field(default_factory=lambda: [8 / 255])
    samples: Count | None = None
    batch_size: Count = 128

    @field_validator("eps")
    @classmethod
    def _ascending(cls, eps: list[float]) -> list[float]:
        if len(set(eps)) != len(eps):
            msg = "lists a value twice"
            raise ValueError(msg)
        return sorted(eps)


class AttackSpec(Strict):
    """An attack by name, with its options."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Options of the attack's constructor."""
        return dict(self.__pydantic_extra__ or {})


class VarianceRatio(Strict):
    """VR_k of the training activations at each layer, and class-wise VR_1 (paper, sections 4.2-4.3)."""

    layers: Annotated[list[str], Field(min_length=1)]
    k: Annotated[list[Count], Field(min_length=1)] = Field(default_factory=lambda: [1, 5, 10, 20])
    class_wise: bool = True


class Embeddings(Strict):
    """Accuracy of a linear classifier on PCA embeddings of a layer (paper, section 4.4)."""

    layer: str
    dims: Annotated[list[Count], Field(min_length=1)]


class DAdvSpec(Strict):
    """Layers at which D_Adv is measured (paper, section 5)."""

    layers: list[str]


class Diagnostics(Strict):
    """What is measured besides accuracy and attacks. `d_adv` defaults to the layers of `variance_ratio`."""

    variance_ratio: VarianceRatio | None = None
    embeddings: Embeddings | None = None
    d_adv: DAdvSpec | None = None

    @model_validator(mode="after")
    def _same_layers(self) -> "Diagnostics":
        if self.d_adv is None and self.variance_ratio is not None:
            object.__setattr__(self, "d_adv", DAdvSpec(layers=list(self.variance_ratio.layers)))
        return self


class Suite(Strict):
    """What is to be known: which models on which data, trained how, attacked with what, measured where."""

    name: Name
    data: Annotated[DataSpec, BeforeValidator(_named)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=1000)] = Field(
        default_factory=lambda: [0]
    )
    models: Annotated[dict[Name, ModelSpec], Field(min_length=1)]
    training: Training = Training()
    low_rank: LowRank = LowRank()
    threat_model: ThreatModel = ThreatModel()
    attacks: list[Annotated[AttackSpec, BeforeValidator(_named)]] = Field(default_factory=list)
    diagnostics: Diagnostics = Diagnostics()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            msg = "lists a seed twice"
            raise ValueError(msg)
        return seeds

    @field_validator("attacks")
    @classmethod
    def _one_each(cls, attacks: list[AttackSpec]) -> list[AttackSpec]:
        names = [attack.name for attack in attacks]
        if len(set(names)) != len(names):
            msg = "lists an attack twice"
            raise ValueError(msg)
        return attacks

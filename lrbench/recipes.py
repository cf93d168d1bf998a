"""How networks are trained: what a suite says of it, and what the training loop reads."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lrbench.strict import Count, Eps, NonNegative, Number, Positive, Share, Strict


class Augment(Strict):
    """Random shift by up to `crop` pixels, horizontal flip, and Gaussian noise.

    `noise` is a standard deviation in pixels of [0, 1]; noisy images are not clipped (Cohen et al., 2019). With PGD
    training it comes on top of the perturbation.
    """

    crop: Annotated[int, Field(ge=0, le=64)] = 0
    flip: bool = False
    noise: NonNegative = 0.0

    @model_serializer(mode="wrap")
    def _without_noise_that_there_is_none_of(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of noise where there is none: runs and records of earlier versions stay what they are."""
        content: dict[str, Any] = plainly(self)
        return {name: value for name, value in content.items() if name != "noise" or value}


class Adversarial(Strict):
    """PGD training (Madry et al., 2018): each batch is attacked in the Linf ball before it is learnt.

    `step_size` defaults to eps / 4. In `space: normalized` eps is in standard deviations and nothing is clipped. One
    step of 1.25 eps is FGSM-RS (Wong et al., 2020). `trades` is the weight beta of TRADES (Zhang et al., 2019): the
    network learns the images, and that their attack, by the divergence of its logits, moves those little.
    """

    eps: Eps
    steps: Count = 7
    step_size: Eps | None = None
    space: Literal["pixel", "normalized"] = "pixel"
    trades: NonNegative | None = None


class Averaging(Strict):
    """What is evaluated in place of the last weights: their average over the training's steps.

    `ema` forgets with `decay` at each step, but for the first ones, which are weighted as if there were few; `swa` is
    equal over all steps. Nothing is averaged before the share `start` of the steps (default: 0, of `swa` 0.75).
    """

    kind: Literal["ema", "swa"] = "ema"
    decay: Annotated[Number, Field(ge=0, lt=1)] = 0.999
    start: Annotated[Number, Field(ge=0, lt=1)] | None = None

    @property
    def begin(self) -> float:
        """The share of the steps that `start` stands for."""
        default = 0.75 if self.kind == "swa" else 0.0
        return default if self.start is None else self.start


class Training(Strict):
    """SGD, and when the LR-Layers are switched on (paper, section 4).

    `precision: bfloat16` runs the network under autocast; weights and LR-Layers stay in float32. `compile` passes the
    network through `torch.compile`. `deterministic: false` lets torch choose faster algorithms, in training and in what
    attacks the model, and a run that is repeated then differs in its last digits. With `processes` above 1 each batch
    is shared out among so many processes of one machine, one GPU each where there are some (data-parallel training).
    """

    epochs: Count = 30
    batch_size: Count = 128
    learning_rate: Positive = 0.1
    schedule: Literal["constant", "cosine", "one-cycle"] = "cosine"
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 5e-4
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    gradient_clip: Positive | None = 5.0
    warmup_accuracy: Share = 0.65
    augment: Augment = Augment()
    adversarial: Adversarial | None = None
    averaging: Averaging | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    deterministic: bool = True
    processes: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def content(self) -> dict[str, Any]:
        """What a training's key holds of it: what came later, only where it is given, so that older keys stay."""
        given = self.model_dump(mode="json")
        if self.averaging is None:
            del given["averaging"]
        if self.adversarial is not None and self.adversarial.trades is None:
            del given["adversarial"]["trades"]
        return given

    @model_validator(mode="after")
    def _even_shares(self) -> "Training":
        if self.batch_size % self.processes:
            msg = f"batch_size {self.batch_size} cannot be shared evenly among {self.processes} processes"
            raise ValueError(msg)
        return self

    def changed(self, other: "Training") -> "Training":
        """Give this with the fields that `other` sets."""
        changes = {name: getattr(other, name) for name in other.model_fields_set}
        return Training.model_validate({name: getattr(self, name) for name in Training.model_fields} | changes)

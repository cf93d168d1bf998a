"""What is attacked and measured of a trained network, and what it is held against."""

import math
import re
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from lrbench.catalogue import MEASURES
from lrbench.measures import Options, layer_options
from lrbench.measures.registry import is_own, measure_of
from lrbench.names import WORST, eps_digits
from lrbench.renamed import KEYS, renamed
from lrbench.strict import Count, Eps, Name, Number, Positive, Strict
from lrbench.suite.masking import Masking
from lrbench.suite.samples import Samples, Until


def _plain(name: Any) -> Any:  # noqa: ANN401
    """Give a norm's name in the spelling that is used here: Linf, inf, L_2 and 2 are linf and l2."""
    if name in NORMS:
        return name
    # It loads torch, which a suite in plain spelling does without.
    from lrbench.attacks.arguments import choice  # noqa: PLC0415

    try:
        return choice("norm", name, NORMS)
    except ValueError:
        return name


NORMS = ("linf", "l2", "l1")

_SPACES = re.compile(r"[^A-Za-z0-9._+-]+")


class ThreatModel(Strict):
    """What an attacker may do: radii, the space they are measured in, and how many images are attacked.

    `space: normalized` is the paper's: eps is added to the image after normalisation, without clipping to a
    pixel range. `space: pixel` is the field's: eps in [0, 1] pixels, clipped to [0, 1]. Under `norm: l2` eps is the
    Euclidean length of the whole perturbation, under `norm: l1` the sum of its absolute entries. `l2_dissimilarities`
    are those at which misclassification is read off each attack's curve. Within a `budget` every attack makes as many
    steps, or queries, as take an image that withstands it so many passes of the model, one forwards and one backwards
    being two. `compile` passes the attacked network through `torch.compile`. An attack on more than `part` images is
    split into parts of so many (whole batches), which may run side by side; the results are the same. `keep_images`
    keeps what attacks leave of every image, for `lrbench.load_adversarial`.
    """

    renamed: ClassVar = KEYS["threat_model"]

    norm: Annotated[Literal["linf", "l2", "l1"], BeforeValidator(_plain)] = "linf"
    space: Literal["pixel", "normalized"] = "pixel"
    eps: Annotated[list[Eps], Field(min_length=1, max_length=100)] = Field(default_factory=lambda: [8 / 255])
    l2_dissimilarities: list[Positive] = Field(default_factory=list)
    samples: Samples | None = None
    batch_size: Count = 128
    part: Count = 1000
    budget: Count | None = None
    compile: bool = False
    keep_images: bool = False

    @property
    def until(self) -> Until | None:
        """How closely the figures are to be known, where that decides how many images are attacked."""
        return self.samples if isinstance(self.samples, Until) else None

    def most(self, images: int) -> int:
        """Give how many of so many images are attacked, or may be."""
        asked = self.samples.most if isinstance(self.samples, Until) else self.samples
        return images if asked is None else asked

    def parts(self, samples: int) -> list[tuple[int, int]]:
        """Give (begin, end) of the parts that an attack on so many images is split into; none if it is not split."""
        size = math.ceil(self.part / self.batch_size) * self.batch_size
        if samples <= size:
            return []
        return [(begin, min(begin + size, samples)) for begin in range(0, samples, size)]

    @field_validator("eps", "l2_dissimilarities")
    @classmethod
    def _each_once(cls, sizes: list[float], of: ValidationInfo) -> list[float]:
        if len({eps_digits(size) for size in sizes}) != len(sizes):
            msg = "lists a value twice (six digits count)"
            raise ValueError(msg)
        return sorted(sizes) if of.field_name == "eps" else sizes


class AttackSpec(Strict):
    """An attack by name, with its options.

    `label` is what tables call it (default: its name), so that one attack can be listed twice with other options. `eps`
    picks some of the threat model's radii (default: all). With `surrogate`, the name of another model of the suite, the
    attack is made on that model and its images are tried on this one: transfer.
    """

    __pydantic_extra__: dict[str, JsonValue]

    model_config = ConfigDict(extra="allow")
    renamed: ClassVar = KEYS["attacks"]

    name: str
    label: Name
    eps: Annotated[list[Eps], Field(min_length=1)] | None = None
    surrogate: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, data: Any) -> Any:  # noqa: ANN401
        """Fill in the label."""
        if isinstance(data, dict) and isinstance(data.get("name"), str) and data.get("label") is None:
            surrogate, name = data.get("surrogate"), data["name"]
            if ".py:" in name:
                # Of a file of the user's, wherever it lies.
                name = name.replace("\\", "/").rpartition("/")[2]
            # The fast version is not to be taken for the attack that goes by the name alone.
            label = name + ("-fast" if data.get("version") == "fast" else "")
            label += f"-from-{surrogate}" if surrogate else ""
            return {**data, "label": _SPACES.sub("-", label).lstrip("._+-")}
        return data

    @field_validator("label")
    @classmethod
    def _of_one_attack(cls, label: str) -> str:
        if label == WORST:
            msg = f"{WORST!r} is what all attacks together leave; give the attack another label"
            raise ValueError(msg)
        return label

    def radii(self, eps: list[float]) -> list[float]:
        """Radii at which this attack runs, of those given."""
        return eps if self.eps is None else [radius for radius in eps if radius in self.eps]

    @property
    def options(self) -> dict[str, Any]:
        """Options of the attack's constructor."""
        return dict(self.__pydantic_extra__)


OWN: dict[str, type[Strict]] = {"masking": Masking}
"""What stands beside measures under `diagnostics`, so that no measure has such a name."""


class Diagnostics(Strict):
    """What is measured besides accuracy and attacks: `masking`, and measures by their names."""

    renamed: ClassVar = KEYS["diagnostics"]

    masking: Masking | Literal[False] | None = None

    @property
    def measures(self) -> dict[str, Options]:
        """Measures that are asked for, each with its options."""
        names = [name for name in type(self).model_fields if name not in Diagnostics.model_fields]
        return {name: options for name in names if (options := getattr(self, name)) is not None}

    @property
    def of_layers(self) -> dict[str, Options]:
        """What is asked for that names layers, each with its options."""
        named = {name: options for name, options in self.measures.items() if layer_options(type(options))}
        # A fault in what somebody wrote is reported before one in what follows from it.
        return dict(sorted(named.items(), key=lambda each: each[0] not in self.model_fields_set))

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of measures that are not asked for: another process, or another machine, may not know them."""
        content: dict[str, Any] = plainly(self)
        return {name: value for name, value in content.items() if name in Diagnostics.model_fields or value is not None}

    @model_validator(mode="after")
    def _unasked(self) -> "Diagnostics":
        """Fill in what measures of lrbench's are taken with although nobody asked."""
        for entry in MEASURES:
            if not is_own(entry.name) and getattr(self, entry.name, self) is None:
                object.__setattr__(self, entry.name, measure_of(entry.name).unasked(self.measures))
        return self


def read_diagnostics(value: Any) -> Any:  # noqa: ANN401
    """Read what is asked of the measures that there are now, with their own options."""
    if isinstance(value, Diagnostics):
        return value
    asked = value if isinstance(value, dict) else {}
    known = [entry.name for entry in MEASURES if not hasattr(Diagnostics, entry.name) and entry.name not in OWN]
    # In the suite's order, in which they are shown; what is taken unasked comes behind.
    names = [*(name for name in asked if name in known), *(name for name in known if name not in asked)]
    # What nobody asks for is not loaded: it may be somebody else's, and broken.
    kinds = tuple(
        (name, measure_of(name).Options if asked.get(name) is not None or not is_own(name) else None) for name in names
    )
    return _diagnostics(kinds).model_validate(value)


def options_of(name: str) -> type[Strict]:
    """Give what can be said below a name of `diagnostics`."""
    return OWN[name] if name in OWN else measure_of(name).Options


@cache
def _diagnostics(options: tuple[tuple[str, type[Options] | None], ...]) -> type[Diagnostics]:
    fields: dict[str, Any] = {name: (NoneType if kind is None else kind | None, None) for name, kind in options}
    return create_model("Diagnostics", __base__=Diagnostics, **fields)


class ReferenceFigure(Strict):
    """A published figure that a leaderboard shows beside the measured one.

    `model`, `metric`, `layer`, `attack` and `eps` name the row of `results.csv` it belongs to, and `parameters` what
    else its figure has, such as `{k: 20}`. `value` is a number, or what can be said instead of one, such as "below 50".
    """

    model: str
    metric: str
    layer: str = ""
    attack: str = ""
    eps: Eps | None = None
    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    value: Number | str
    where: str

    @field_validator("metric")
    @classmethod
    def _called_as_now(cls, metric: str) -> str:
        now, parameters = renamed(metric)
        if now == metric:
            return metric
        settings = ", ".join(f"{name}: {value}" for name, value in parameters.items())
        msg = f"is now `metric: {now}` with `parameters: {{{settings}}}`"
        raise ValueError(msg)


class Reference(Strict):
    """What somebody else measured, and what differs from it in this suite."""

    source: str
    figures: Annotated[list[ReferenceFigure], Field(min_length=1)]
    caveat: str = ""

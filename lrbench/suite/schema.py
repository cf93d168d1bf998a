"""What a suite can say. Each field's default is spelled out in the `suite.yaml` of a run's folder."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializeAsAny,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lrbench.errors import nearest
from lrbench.recipes import Training
from lrbench.strict import Count, KeyPath, Name, Strict, Title
from lrbench.suite.claims import ClaimSpec, asked_of_claims
from lrbench.suite.masking import Masking
from lrbench.suite.measures import AttackSpec, Diagnostics, Reference, ThreatModel, read_diagnostics
from lrbench.suite.places import fault_at
from lrbench.suite.training import LowRank, ModelSpec


def _named(value: Any) -> Any:  # noqa: ANN401
    """Let a bare name stand for a record with that name."""
    return {"name": value} if isinstance(value, str) else value


def _text(value: Any) -> Any:  # noqa: ANN401
    """Let a class be named by a number, as YAML reads the digits' classes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ClassName = Annotated[str, BeforeValidator(_text)]


def _known_outputs(value: Any) -> Any:  # noqa: ANN401
    """Refuse in one line what would be several faults of a union."""
    if value is None or value == "imagenet" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return value
    msg = "should be the number of outputs, a list of their names, or imagenet"
    raise PydanticCustomError("outputs", msg)


def _output(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    msg = "should be the number of an output, from 0, or its name"
    raise PydanticCustomError("output", msg)


class OutputsSpec(Strict):
    """Which of a network's outputs are the data set's classes, where networks know more.

    `of` is the number of outputs, their names, or `imagenet`; left out, it is what the weights of a library have.
    `classes` gives outputs by class, each by its number, from 0, or its name; other classes are found by their own
    names, among ImageNet's by WordNet ids as well. `among` says which outputs compete: those of these `classes`, or
    `all`.
    """

    of: Annotated[int | Literal["imagenet"] | list[str] | None, BeforeValidator(_known_outputs)] = None
    classes: dict[ClassName, Annotated[int | str, BeforeValidator(_output)]] = Field(default_factory=dict)
    among: Literal["classes", "all"] = "classes"


def _of(value: Any) -> Any:  # noqa: ANN401
    """Let `imagenet` stand for a record with no classes of its own."""
    return value if isinstance(value, dict | OutputsSpec) else {"of": value}


class DataSpec(Strict):
    """A data set by name, with the options of its source.

    `train` and `test` keep that many examples, classes as even as they can be; all of them if left out. `superclasses`
    groups the classes: networks learn the groups, and the classes become the fine labels of the transfer diagnostic.
    `outputs` says which outputs of networks that know more classes are these; so does a mapping in the place of the
    names of `classes`.
    """

    __pydantic_extra__: dict[str, JsonValue]

    model_config = ConfigDict(extra="allow")

    name: str
    train: Count | None = None
    test: Count | None = None
    superclasses: dict[ClassName, list[ClassName]] | None = None
    outputs: Annotated[OutputsSpec, BeforeValidator(_of)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _classes_are_outputs(cls, data: Any) -> Any:  # noqa: ANN401
        if not isinstance(data, dict) or not isinstance(classes := data.get("classes"), dict | str):
            return data
        outputs = data.get("outputs") or {}
        key = "of" if isinstance(classes, str) else "classes"
        if not isinstance(outputs, dict) or key in outputs:
            msg = "`classes` and `outputs` both say which outputs the classes are; leave one of them out"
            raise PydanticCustomError("twice", msg)
        rest = {name: value for name, value in data.items() if name != "classes"}
        return {**rest, "outputs": {**outputs, key: classes}}

    @property
    def options(self) -> dict[str, Any]:
        """Options of the data set's source."""
        return dict(self.__pydantic_extra__)


def _paragraph(text: str) -> str:
    """Put text of several lines on one, as it is shown; a page or a terminal is not driven by it."""
    text = " ".join(text.split())
    if not text or not text.isprintable():
        msg = "should be text of printable characters"
        raise PydanticCustomError("paragraph", msg)
    return text


Paragraph = Annotated[str, AfterValidator(_paragraph)]


class Suite(Strict):
    """What is to be known: which models on which data, trained how, attacked with what, measured where."""

    name: Name
    question: Paragraph | None = None
    data: Annotated[DataSpec, BeforeValidator(_named)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=1000)] = Field(
        default_factory=lambda: [0]
    )
    models: Annotated[dict[Title, ModelSpec], Field(min_length=1)]
    training: Training = Training()
    low_rank: LowRank = LowRank()
    threat_model: ThreatModel = ThreatModel()
    attacks: list[Annotated[AttackSpec, BeforeValidator(_named)]] = Field(default_factory=list)
    diagnostics: Annotated[SerializeAsAny[Diagnostics], BeforeValidator(read_diagnostics)] = Field(
        default_factory=lambda: read_diagnostics({})
    )
    claims: list[ClaimSpec] = Field(default_factory=list)
    reference: Reference | None = None

    def training_of(self, model: str) -> Training:
        """Training of one model: its own, else the suite's."""
        return self.models[model].training or self.training

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
        labels = [attack.label for attack in attacks]
        if len(set(labels)) != len(labels):
            msg = "lists an attack twice; give one of them a label"
            raise ValueError(msg)
        return attacks

    @model_validator(mode="after")
    def _spell_out_training(self) -> "Suite":
        """Complete what a model's own training leaves out from the suite's."""
        models = {
            name: spec
            if spec.training is None
            else spec.model_copy(update={"training": self.training.changed(spec.training)})
            for name, spec in self.models.items()
        }
        object.__setattr__(self, "models", models)
        return self

    @model_validator(mode="after")
    def _masking_by_default(self) -> "Suite":
        """Ask for masked gradients wherever something is attacked."""
        diagnostics = self.diagnostics
        if diagnostics.masking is None and self.attacks and any(self.threat_model.eps):
            object.__setattr__(self, "diagnostics", diagnostics.model_copy(update={"masking": Masking()}))
        return self

    @model_validator(mode="after")
    def _claims_are_measured(self) -> "Suite":
        """Refuse claims of models that there are not, and ask for what is measured of claims."""
        self._refuse_unknown(("claims",), [claim.model for claim in self.claims])
        names = [(claim.model, claim.label) for claim in self.claims]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise fault_at(("claims", place), f"claimed twice of {name[0]}: {name[1]}")
        if self.claims:
            object.__setattr__(self, "diagnostics", asked_of_claims(self.diagnostics))
        return self

    @model_validator(mode="after")
    def _difference_of_two(self) -> "Suite":
        until = self.threat_model.until
        if until is not None and until.of == "difference" and len(self.models) == 1:
            message = "`of: difference` is of two models and more; this suite has one"
            raise fault_at(("threat_model", "samples"), message)
        return self

    @model_validator(mode="after")
    def _masking_has_a_radius(self) -> "Suite":
        masking = self.diagnostics.masking
        if masking and self.attacks and masking.eps is None and not any(self.threat_model.eps):
            message = "threat_model.eps has no radius above 0 to check at; give masking an `eps`"
            raise fault_at(("diagnostics", "masking"), message)
        return self

    @model_validator(mode="after")
    def _names_apart(self) -> "Suite":
        """Refuse names that a disk or a reader takes for one."""
        for kind, names in (("models", list(self.models)), ("attacks", [attack.label for attack in self.attacks])):
            seen: dict[str, str] = {}
            for name in names:
                other = seen.setdefault(name.casefold(), name)
                if other != name:
                    place = name if kind == "models" else names.index(name)
                    raise fault_at((kind, place), f"{other!r} and {name!r} differ by case alone; rename one of them")
        return self

    @model_validator(mode="after")
    def _reference_names_models(self) -> "Suite":
        figures = self.reference.figures if self.reference else ()
        self._refuse_unknown(("reference", "figures"), [figure.model for figure in figures])
        return self

    def _refuse_unknown(self, where: KeyPath, models: list[str]) -> None:
        """Refuse entries of a list that are of no model of the suite."""
        for place, model in enumerate(models):
            if model not in self.models:
                raise fault_at((*where, place, "model"), f"unknown model {model!r}; {nearest(model, self.models)}")

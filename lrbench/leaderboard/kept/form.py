"""What a record is made of: which keys, and of which types. What they say is held against each other elsewhere."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from lrbench.errors import short
from lrbench.verdicts import VerdictName

Digits = Annotated[str, StringConstraints(pattern=r"^\d{1,10}$")]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(date.fromisoformat)]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Whole = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """Nothing more than it says, and no other type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Row(BaseModel):
    """A row of `results.csv`, with the parameters of its figure; what else is missing is None."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[Annotated[str, StringConstraints(pattern=r"^\w+$")], str]

    suite: str
    model: str
    seed: Whole | None
    dataset: str
    layer: str
    attack: str
    eps: float | None
    space: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: Whole | None


class Check(Strict):
    """What one check for masked gradients found."""

    id: str
    flagged: bool
    figure: float | None
    severity: Literal["suspicious", "broken"]
    condition: str
    explanation: str
    advice: str


class Checked(Strict):
    """What all of them found of one training."""

    verdict: VerdictName
    eps: float
    checks: list[Check]


class Environment(BaseModel):
    """What is read of an environment; the rest of it is shown at most."""

    packages: dict[str, Any] = {}
    torch_threads: Annotated[int, Field(strict=True, ge=1)] | None = None


class Steps(Strict):
    """How many of the model's steps are done, which are not, and how long those took, one after the other."""

    done: Whole
    planned: Whole
    missing: list[str]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Said(Strict):
    """What an attack says of itself."""

    weak: bool
    noise: bool


class Part(BaseModel):
    """Of a suite's configuration, which its own schema holds in full: what boards are put together by."""

    model_config = ConfigDict(extra="allow", strict=True)


class Attack(Part):
    """An attack, by its label."""

    label: str


class ThreatModel(Part):
    """What an attacker may do."""

    space: str


class Configuration(Part):
    """A suite's sections, all spelled out."""

    seeds: list[int]
    models: dict[str, dict[str, Any]]
    threat_model: ThreatModel
    attacks: list[Attack]
    diagnostics: dict[str, Any]


class Form(Strict):
    """A record. `environment` is of older ones, which name a single one."""

    format: int
    suite: str
    model: str
    baseline: str
    dataset: str
    test_images: str
    configuration: Configuration
    steps: Steps | None = None
    published: Day | None = None
    environments: Annotated[list[Environment], Field(min_length=1)] | None = None
    environment: Environment | None = None
    attacks: dict[str, Said] = {}
    cautions: list[str] = []
    verdict: VerdictName | None
    masking: dict[Digits, Checked]
    results: Annotated[list[Row], Field(min_length=1)]
    outcomes: dict[Digits, dict[str, Any]] = {}
    artefacts: dict[str, dict[str, str]]
    keys: dict[str, Key] = {}
    sha256: str

    @model_validator(mode="after")
    def _whole(self) -> "Form":
        if (self.environments is None) == (self.environment is None):
            msg = "it says of no machine"
            raise ValueError(msg)
        lacking = self.format > 1 and (self.steps is None or self.environments is None)
        lacking |= self.format > 2 and "attacks" not in self.model_fields_set
        lacking |= self.format > 3 and not self._dated
        lacking |= self.format > 4 and "keys" not in self.model_fields_set
        if lacking:
            msg = f"it lacks what format {self.format} has"
            raise ValueError(msg)
        return self

    @property
    def _dated(self) -> bool:
        return self.published is not None and self.steps is not None and self.steps.seconds is not None


def misshapen(content: Any) -> str | None:  # noqa: ANN401
    """Say what is not as a record's form wants it; None if all is."""
    try:
        Form.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return short(ValueError(f"{where}: {first['msg']}".removeprefix(": ")))
    return None

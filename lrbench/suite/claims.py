"""What a suite says that others claim of its models."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from lrbench.catalogue import MEASURES
from lrbench.measures import Measure
from lrbench.measures.registry import is_own, measure_of
from lrbench.names import eps_digits
from lrbench.strict import Eps, Number, Strict
from lrbench.suite.measures import AttackSpec, Diagnostics


def _named(value: Any) -> Any:  # noqa: ANN401
    return {"name": value} if isinstance(value, str) else value


class ClaimSpec(Strict):
    """A robust accuracy that is claimed of a model: under which `attack`, at which radius, and where.

    `eps` is in the norm and the space of the threat model, `robust_accuracy` in percent.
    """

    model: str
    attack: Annotated[AttackSpec, BeforeValidator(_named)]
    eps: Annotated[Eps, Field(gt=0)]
    robust_accuracy: Annotated[Number, Field(ge=0, le=100)] | None = None
    source: str = ""

    @field_validator("attack")
    @classmethod
    def _of_the_model_itself(cls, attack: AttackSpec) -> AttackSpec:
        for key in ("surrogate", "eps"):
            if getattr(attack, key) is not None:
                message = "made on the model itself" if key == "surrogate" else "at the claim's own `eps`"
                raise PydanticCustomError("claimed", "{message}", {"message": f"a claim's attack is {message}"})
        return attack

    @property
    def label(self) -> str:
        """What sets it apart from other claims of the model."""
        options = [f"{name} {value}" for name, value in self.attack.options.items()]
        return ", ".join([self.attack.name, *options, eps_digits(self.eps)])


def asked_of_claims(diagnostics: Diagnostics) -> Diagnostics:
    """Ask for what is measured of claims, where a suite does not say otherwise."""
    kinds = {entry.name: measure_of(entry.name) for entry in MEASURES if not is_own(entry.name)}
    asked = {
        name: kind.Options()
        for name, kind in kinds.items()
        if isinstance(kind, Measure) and kind.of_claims and getattr(diagnostics, name, None) is None
    }
    return diagnostics.model_copy(update=asked) if asked else diagnostics

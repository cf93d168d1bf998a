"""How far a run has come, and on what it was made: `status.json` in its folder."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrbench.leaderboard.left import PLAN, Left
from lrbench.leaderboard.said import Said

Environment = dict[str, Any]
"""What `environment.json` says of a machine, its software and its settings."""

OUT_OF_DATE = "out of date"
"""How far tables have come that are of another plan than their run's."""


@dataclass(frozen=True)
class Status:
    """How many steps of its plan a run has done, and the environments in which they were taken.

    Attributes
    ----------
    done, planned : int, optional
        None where it is not known, as of a board that was published before records said.
    environments : list of dict
        Each of them once.
    models : dict
        Model -> its own (done, planned), on a published board, whose models come from several runs; those alone of
        which it is known.
    attacks : dict
        Name -> what an attack said of itself when it ran (`lrbench.leaderboard.said`).
    suite : str, optional
        SHA-256 of the run's `suite.yaml` as it stands for its tables; None on a published board.
    left : Left, optional
        What the folder holds of the run's plan, where it is a run's and not all of it is in the tables.
    """

    done: int | None = None
    planned: int | None = None
    environments: list[Environment] = field(default_factory=list)
    models: dict[str, tuple[int, int]] = field(default_factory=dict)
    suite: str | None = None
    attacks: dict[str, Said] = field(default_factory=dict)
    left: Left | None = None

    @classmethod
    def of_run(cls, folder: Path) -> "Status | None":
        """Read that of a run's folder, and look there for what its tables lack; None if it says nothing of itself.

        Raises
        ------
        OSError, ValueError, KeyError, TypeError
            If a file is nothing of the kind.
        """
        file = folder / "status.json"
        if not file.exists():
            return None
        status = cls.read(file.read_text("utf-8"))
        left = Left.of(folder) if status.progress and (folder / PLAN).exists() else None
        return replace(status, left=left)

    @classmethod
    def of_models(
        cls, models: dict[str, tuple[int, int]], environments: list[Environment], attacks: dict[str, Said]
    ) -> "Status":
        """Make that of a published board from what is known of its models."""
        done, planned = (sum(counts) for counts in zip(*models.values(), strict=True)) if models else (None, None)
        return cls(done, planned, environments, models, attacks=attacks)

    @classmethod
    def read(cls, text: str) -> "Status":
        """Read what `write` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is nothing of the kind.
        """
        content = json.loads(text)
        done, planned = content["done"], content["planned"]
        models = {str(model): (each["done"], each["planned"]) for model, each in content.get("models", {}).items()}
        for counts in ((done, planned), *models.values()):
            if counts != (None, None) and not all(type(count) is int and count >= 0 for count in counts):
                msg = f"status.json: {counts[0]!r} of {counts[1]!r} steps"
                raise ValueError(msg)
        environments = [dict(each) for each in content["environments"]]
        said = content.get("attacks", {})
        attacks = {str(name): {str(what): bool(is_so) for what, is_so in each.items()} for name, each in said.items()}
        return cls(done, planned, environments, models, content.get("suite"), attacks)

    def write(self) -> str:
        """Write it as JSON."""
        content: dict[str, Any] = {"done": self.done, "planned": self.planned, "environments": self.environments}
        if self.models:
            content["models"] = {model: {"done": a, "planned": b} for model, (a, b) in self.models.items()}
        if self.attacks:
            content["attacks"] = self.attacks
        if self.suite is not None:
            content["suite"] = self.suite
        return json.dumps(content, indent=1) + "\n"

    @property
    def known(self) -> bool:
        """Whether it is known how many steps are done."""
        return self.planned is not None

    def knows(self, model: str) -> bool:
        """Whether it is known how many steps are done of a model, or else of the run that it is from."""
        return model in self.models if self.models else self.known

    @property
    def progress(self) -> str:
        """Say how much is done of what is not whole; empty if nothing is missing."""
        return OUT_OF_DATE if self.outdated else _progress(self.done, self.planned)

    @property
    def outdated(self) -> bool:
        """Whether the tables are of another plan than that of the run, as where it was cut off after its suite changed.

        Of their own plan at least one step is done, or there would be none.
        """
        return self.left is not None and self.done == 0

    @property
    def lack(self) -> str:
        """Say what the tables lack where they are not whole."""
        if self.left is not None and self.outdated:
            return self.left.of_another_plan
        return "what is missing is not in these figures"

    def progress_of(self, model: str) -> str:
        """Say how much is done of a model, or else of the run that it is from; empty if nothing is missing."""
        return _progress(*self.models[model]) if model in self.models else "" if self.models else self.progress


def _progress(done: int | None, planned: int | None) -> str:
    return "" if done == planned else f"{done} of {planned} steps done"


def distinct(environments: Iterable[Environment]) -> list[Environment]:
    """Give each environment once, in order."""
    found: list[Environment] = []
    for each in environments:
        if each and each not in found:
            found.append(each)
    return found


def in_what_they_differ(environments: Sequence[Environment]) -> dict[str, list[Any]]:
    """Give what differs between environments: key path -> its values, each once."""
    flat = [_flat(each) for each in environments]
    values = {key: [each.get(key) for each in flat] for key in dict.fromkeys(key for each in flat for key in each)}
    found = {key: [value for index, value in enumerate(of) if value not in of[:index]] for key, of in values.items()}
    return {key: of for key, of in found.items() if len(of) > 1}


def _flat(environment: Environment, above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in environment.items():
        path = f"{above}{key}"
        found |= _flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found

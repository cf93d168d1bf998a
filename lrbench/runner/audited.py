"""One model and what is claimed of it, as a suite."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrbench.catalogue import MEASURES
from lrbench.data import ImageData
from lrbench.diagnostics.claims import read
from lrbench.errors import UsageError
from lrbench.leaderboard.sides import split
from lrbench.measures.registry import is_own
from lrbench.models.objects import PREFIX, Handed
from lrbench.names import in_path
from lrbench.runner.claims import of_claims
from lrbench.runner.derived import spec_of, suite_for
from lrbench.runner.loading import load_model
from lrbench.store import as_path
from lrbench.suite import Suite, load_suite, read_run
from lrbench.suite.document import Document

Raw = dict[str, Any]

SUITE = "quick"

OTHERWISE = {"norm": "linf", "space": "pixel"}
"""What a claim is in that does not say, whichever space the suite attacks in."""


@dataclass(frozen=True)
class Audited:
    """What is audited, of which claims.

    Attributes
    ----------
    model : str
        Of the suite, registered, or of a run: DIR:MODEL or DIR:MODEL@SEED.
    claims : sequence of str
        Such as "pgd, steps 20, 8/255: 78.5".
    suite : str or Path, optional
        Which data, and which models beside. Default: that of the run, else the quick one.
    options : mapping
        Of what is measured of claims.
    beside : sequence of str
        Models of the suite that attacks are made on, too.
    """

    model: str
    claims: Sequence[str]
    suite: str | Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    beside: Sequence[str] = ()

    @property
    def of_run(self) -> tuple[Path, str, int] | None:
        """The folder, the model and the seed (default: the run's first), where it is a run's."""
        folder, colon, name = self.model.rpartition(":")
        if not colon or not (as_path(folder) / "suite.yaml").exists():
            return None
        suite = read_run(as_path(folder))[0]
        name, seeds = split(name, suite.models)
        if len(seeds) > 1 or (not seeds and name not in suite.models and "@" in name):
            msg = f"{self.model:.100}: expected DIR:MODEL or DIR:MODEL@SEED, one seed"
            raise UsageError(msg)
        return as_path(folder), name, seeds[0] if seeds else suite.seeds[0]

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.model if self.of_run is None else self.of_run[1]

    @property
    def source(self) -> str | Path:
        """The suite."""
        if self.suite is not None:
            return self.suite
        return SUITE if self.of_run is None else str(self.of_run[0] / "suite.yaml")

    @property
    def folder(self) -> str:
        """Where the results lie, if nothing else is said."""
        named = self.of_run is not None and self.model.rpartition(":")[2] != self.of_run[1]
        seed = f"-seed-{self.of_run[2]}" if self.of_run is not None and named else ""
        return f"runs/audit-{in_path(load_suite(self.source)[0].name)}-{in_path(self.name)}{seed}"

    def networks(self) -> dict[str, Handed]:
        """Load the network of a run; none of any other model."""
        if self.of_run is None:
            return {}
        folder, name, seed = self.of_run
        return {name: Handed(load_model(folder, name, seed))}

    def __call__(self, raw: Raw) -> None:
        """Change what a suite says: these claims, and nothing else is asked."""
        said = [read(text) for text in self.claims]
        threat = dict.fromkeys(OTHERWISE, "")
        for key, otherwise in OTHERWISE.items():
            kinds = {str(each.get(key, otherwise)) for each in said}
            if len(kinds) > 1:
                msg = f"claims of one audit are in one {key}, not in {' and '.join(sorted(kinds))}"
                raise UsageError(msg)
            threat[key] = kinds.pop()
        raw["threat_model"] = {**_only(raw.get("threat_model", {}), "batch_size"), **threat}
        raw["claims"] = [
            {"model": self.name, **{key: value for key, value in each.items() if key not in threat}} for each in said
        ]
        measured = [entry.name for entry in MEASURES if not is_own(entry.name) and of_claims(entry.name)]
        # Whoever names models to make attacks on means each of them.
        options = {"surrogates": max(1, len(self.beside)), **self.options}
        raw |= {"attacks": [], "diagnostics": {"masking": False, **dict.fromkeys(measured, options)}}
        raw["seeds"] = raw.get("seeds", [0])[:1] if self.of_run is None else [self.of_run[2]]

    def as_suite(
        self, root: Path, announce: Callable[[str], None], *, rehearse: bool
    ) -> tuple[Suite, Document, ImageData, list[str]]:
        """Give the suite, its document, its data, and what was left out; networks of a run are handed over before.

        Raises
        ------
        UsageError
            If a claim cannot be read, or the model, its data or the attack is not there.
        """
        for text in self.claims:
            read(text)
        models: dict[str, Raw] = {}
        beside = list(self.beside)
        if self.of_run is not None:
            models[self.name] = {"arch": f"{PREFIX}{self.name}"}
        elif self.name in load_suite(self.source)[0].models:
            beside = [self.name, *(each for each in beside if each != self.name)]
        else:
            name, at, seed = self.name.rpartition("@")
            if at and seed.isdecimal() and ":" not in name:
                msg = f"{self.model:.100}: a seed is named of a run's model alone, such as runs/{SUITE}:{name}@{seed}"
                raise UsageError(msg)
            models[self.name] = spec_of(self.name)
        return suite_for(models, self.source, root, beside, None, announce, changes=self, rehearse=rehearse)


def _only(spec: Raw, *keys: str) -> Raw:
    return {key: spec[key] for key in keys if key in spec}

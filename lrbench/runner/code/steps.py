"""What goes into a step's key besides its configuration."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from lrbench.registry import Entry
from lrbench.runner.code.closure import closure
from lrbench.runner.code.libraries import versions
from lrbench.runner.code.own import named_file, own_code
from lrbench.runner.kinds import taker

AROUND = "lrbench.global_state:seeded"
"""What every step is taken in."""

ELSEWHERE = {
    "torchvision": "lrbench.models.libraries:from_torchvision",
    "timm": "lrbench.models.libraries:from_timm",
    "hf-hub": "lrbench.models.libraries:from_hub",
    "robustbench": "lrbench.models.libraries:from_robustbench",
    "art": "lrbench.attacks.external:_art",
    "foolbox": "lrbench.attacks.external:_foolbox",
    "torchattacks": "lrbench.attacks.external:_torchattacks",
    "adv-lib": "lrbench.attacks.external:_adv_lib",
}
"""Libraries that a name with a colon calls, and what of lrbench calls them."""

INSTALLED = {"hf-hub": "timm"}
"""What is installed for them, where it is called otherwise."""


@dataclass(frozen=True)
class Dependencies:
    """Of a step: hashes of lrbench's code by module, of the user's by file, and versions of libraries.

    Attributes
    ----------
    code, libraries : dict of str
    own : dict
        Name of a file with a factory -> hashes of that file and of those that it imports from beside it.
    """

    code: dict[str, str]
    libraries: dict[str, str]
    own: dict[str, dict[str, str]]

    @property
    def config(self) -> dict[str, Any]:
        """As it stands in a step's configuration."""
        return {"code": self.code, "libraries": self.libraries} | ({"own": self.own} if self.own else {})


def dependencies(*kinds: str, entries: Iterable[Entry] = (), without: Iterable[str] = ()) -> Dependencies:
    """Give what a step depends on.

    Parameters
    ----------
    kinds : str
        Of `lrbench.runner.kinds.KINDS`, or a measure: its own, and others whose result it takes for its own.
    entries : iterable of Entry
        Factories that it calls: its architecture, its attack, its measure.
    without : iterable of str
        Modules that it does not call into with its configuration.
    """
    starts, libraries = [AROUND, *(taker(kind) for kind in kinds)], {"torch"}
    own: dict[str, dict[str, str]] = {}
    for entry in entries:
        library = entry.name.partition(":")[0] if ":" in entry.name else ""
        if library in ELSEWHERE:
            starts.append(ELSEWHERE[library])
            libraries.add(INSTALLED.get(library, library))
        elif isinstance(entry.target, str) and entry.target.startswith("lrbench."):
            starts.append(entry.target)
        else:
            found = own_code(entry.load(), named_file(entry))
            found.require_as_imported()
            starts += sorted(found.lrbench)
            libraries |= found.libraries
            own |= {next(iter(found.files)): found.files} if found.files else {}
    return Dependencies(*_shared(tuple(starts), frozenset(without), frozenset(libraries)), own)


@cache
def _shared(
    starts: tuple[str, ...], without: frozenset[str], libraries: frozenset[str]
) -> tuple[dict[str, str], dict[str, str]]:
    found = closure(starts, without)
    return found.modules, versions(found.libraries | libraries)

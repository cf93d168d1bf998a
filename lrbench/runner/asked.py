"""What a call from Python asks otherwise than a suite does."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from lrbench.catalogue import DATASETS
from lrbench.data import ImageData
from lrbench.data.handed import FILE
from lrbench.diagnostics.claims import read
from lrbench.errors import UsageError, nearest

Raw = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a call asks otherwise than the suite; None is as the suite has it.

    `alone` tells whether no network is trained beside: then one seed says all that there is to know.
    """

    data: Raw | None
    threat: Raw
    attacks: Sequence[str | Raw] | None
    diagnostics: Raw | None
    alone: bool
    claims: Sequence[Raw] = ()

    def __call__(self, raw: Raw) -> None:
        """Change what a suite says."""
        if self.data is not None:
            raw["data"] = self.data
        threat = {key: value for key, value in self.threat.items() if value is not None}
        if isinstance(threat.get("samples"), Integral) and not isinstance(threat["samples"], bool):
            threat["samples"] = int(threat["samples"])
        raw["threat_model"] = {**raw.get("threat_model", {}), **threat}
        if "eps" in threat:
            # Radii of single attacks are some of those that no longer are.
            raw["attacks"] = [_without(attack, "eps") for attack in raw.get("attacks", [])]
            if isinstance(masking := (raw.get("diagnostics") or {}).get("masking"), dict):
                raw["diagnostics"]["masking"] = _without(masking, "eps")
        if self.attacks is not None:
            raw["attacks"] = [each if isinstance(each, str) else dict(each) for each in listed(self.attacks, "attacks")]
        if self.diagnostics is not None:
            if not isinstance(self.diagnostics, Mapping):
                msg = (
                    f"diagnostics: expected a mapping as a suite has it, or {{}} for none, got {self.diagnostics!r:.60}"
                )
                raise UsageError(msg)
            raw["diagnostics"] = dict(self.diagnostics) or {"masking": False}
        raw["claims"] = [*self.claims, *raw.get("claims", [])]
        if self.alone:
            raw["seeds"] = raw.get("seeds", [0])[:1]


def listed(given: Any, what: str) -> list[str | Raw]:  # noqa: ANN401
    """Give names, or mappings, as a list: one of them, or several.

    Raises
    ------
    UsageError
        If it is something else.
    """
    found: list[Any] = (
        [given] if isinstance(given, str | Mapping) else [*given] if isinstance(given, Iterable) else [None]
    )
    if not all(isinstance(each, str | Mapping) for each in found):
        msg = f"{what}: expected a name or a mapping, or several, got {given!r:.60}"
        raise UsageError(msg)
    return found


def claim_of(said: str | Raw, model: str) -> Raw:
    """Give a claim as a suite has it; in one that names no model, of this one."""
    return {"model": model, **(read(said) if isinstance(said, str) else said)}


def radii_of(eps: Any) -> list[Any]:  # noqa: ANN401
    """Give radii as a suite has them: numbers, or texts such as "8/255"; one of them, or several."""
    one = isinstance(eps, str) or not hasattr(eps, "__len__") or getattr(eps, "ndim", 1) == 0
    several = [eps] if one else eps
    with suppress(TypeError, ValueError):
        if not any(isinstance(each, bool) for each in several):
            return [each if isinstance(each, str) else float(each) for each in several]
    msg = f"eps: expected a number, or several, got {eps!r:.60}"
    raise UsageError(msg)


def data_spec(data: Any, images: ImageData | None) -> Raw | None:  # noqa: ANN401
    """Say of the data what a suite would."""
    if images is not None:
        return {"name": "npz", "path": FILE, "classes": list(images.classes)}
    if data is None:
        return None
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, str) and (data in DATASETS or DATASETS.offers(data) or DATASETS.is_elsewhere(data)):
        return {"name": data}
    path = Path(data).expanduser() if isinstance(data, str | Path) else None
    if path is None or not path.exists():
        known = [entry.name for entry in DATASETS]
        hint = nearest(data, known) if isinstance(data, str) else "a name, a path, a mapping or (x, y)"
        msg = f"data: no data set, folder or .npz {str(data)!r:.100}; {hint}"
        raise UsageError(msg)
    return {"name": "image-folder" if path.is_dir() else "npz", "path": str(path.absolute())}


def _without(spec: Any, key: str) -> Any:  # noqa: ANN401
    return {name: value for name, value in spec.items() if name != key} if isinstance(spec, dict) else spec

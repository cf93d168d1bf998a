"""What a call from Python asks otherwise than a suite does."""

from collections.abc import Mapping, Sequence
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
        if isinstance(threat.get("samples"), Integral):
            threat["samples"] = int(threat["samples"])
        raw["threat_model"] = {**raw.get("threat_model", {}), **threat}
        if "eps" in threat:
            # Radii of single attacks are some of those that no longer are.
            raw["attacks"] = [_without(attack, "eps") for attack in raw.get("attacks", [])]
            if isinstance(masking := (raw.get("diagnostics") or {}).get("masking"), dict):
                raw["diagnostics"]["masking"] = _without(masking, "eps")
        if self.attacks is not None:
            listed = [self.attacks] if isinstance(self.attacks, str | Mapping) else self.attacks
            raw["attacks"] = [each if isinstance(each, str) else dict(each) for each in listed]
        if self.diagnostics is not None:
            raw["diagnostics"] = dict(self.diagnostics) or {"masking": False}
        raw["claims"] = [*self.claims, *raw.get("claims", [])]
        if self.alone:
            raw["seeds"] = raw.get("seeds", [0])[:1]


def claim_of(said: str | Raw, model: str) -> Raw:
    """Give a claim as a suite has it; in one that names no model, of this one."""
    return {"model": model, **(read(said) if isinstance(said, str) else said)}


def radii_of(eps: Any) -> list[Any]:  # noqa: ANN401
    """Give radii as a suite has them: numbers, or texts such as "8/255"; one of them, or several."""
    if isinstance(eps, str) or not hasattr(eps, "__len__") or getattr(eps, "ndim", 1) == 0:
        eps = [eps]
    try:
        return [each if isinstance(each, str) else float(each) for each in eps]
    except (TypeError, ValueError):
        msg = f"eps: expected a number, or several, got {eps!r:.60}"
        raise UsageError(msg) from None


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

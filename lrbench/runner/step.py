"""A step of a plan, and the key that says whether it is done."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One piece of work that is done or not.

    Attributes
    ----------
    id : str
        Where it is stored: kind/model/seed and what else sets it apart.
    kind : str
        One of `lrbench.runner.kinds.KINDS`, or the name of a measure.
    model : str
    seed : int
        Of a step over all seeds the first.
    config : dict
        Everything that determines the result, JSON-serialisable: configuration, data, code, keys of what it needs.
        Its hash is the step's key, so it holds no names: whoever renames a model makes nothing again.
    needs : tuple of str
        Ids of the steps whose artefacts it reads.
    work : float
        Rough cost, in forward-and-backward passes of one image.
    labels : tuple of str
        Labels of the attacks that its rows are of.
    """

    id: str
    kind: str
    model: str
    seed: int
    config: dict[str, Any]
    needs: tuple[str, ...] = ()
    work: float = 1.0
    labels: tuple[str, ...] = ()
    key: str = field(init=False)

    def __post_init__(self) -> None:
        canonical = json.dumps(self.config, sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "key", hashlib.sha256(canonical.encode()).hexdigest())


Trainings = dict[tuple[str, int], Step]

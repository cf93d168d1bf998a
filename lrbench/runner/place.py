"""Where a run's steps are taken."""

import os
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Place:
    """An engine and what it is given.

    Attributes
    ----------
    engine : {"local", "ray"}
    jobs : int
        Steps side by side; of a cluster that is started for the run, else what it has room for.
    address : str, optional
        Of a running Ray cluster.
    gpus : float
        What a step takes of a GPU, on a Ray cluster and a CUDA device.
    """

    engine: Literal["local", "ray"] = "local"
    jobs: int = 1
    address: str | None = None
    gpus: float = 1.0

    @property
    def threads(self) -> int:
        """Threads of a step in a process of its own: its share of the cores, at most OMP_NUM_THREADS."""
        share = max(1, (os.cpu_count() or 1) // self.jobs) if self.address is None else 1
        allowed = os.environ.get("OMP_NUM_THREADS", "")
        return min(share, int(allowed)) if allowed.isdigit() and int(allowed) else share

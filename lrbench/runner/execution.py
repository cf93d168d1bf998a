"""How a run's steps are executed: by which engine, and with what."""

import os
from dataclasses import dataclass
from typing import Literal

import torch

from lrbench.engines import Engine, InProcess


@dataclass(frozen=True)
class Execution:
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
    step_timeout : float, optional
        Seconds that a step may take. Default: as long as it likes.
    own_process : bool
        Whether a single job, too, is a process beside this one: a step that ends it ends nothing else. Models must then
        be loadable by name.
    """

    engine: Literal["local", "ray"] = "local"
    jobs: int = 1
    address: str | None = None
    gpus: float = 1.0
    step_timeout: float | None = None
    own_process: bool = False

    @property
    def out_of_process(self) -> bool:
        """Whether steps are taken in other processes than this one."""
        return self.engine != "local" or self.jobs > 1 or self.step_timeout is not None or self.own_process

    @property
    def threads(self) -> int:
        """Threads of a step: of a single job this process', else its share of the cores, at most OMP_NUM_THREADS."""
        if self.engine == "local" and self.jobs == 1:
            return torch.get_num_threads()
        share = max(1, (os.cpu_count() or 1) // self.jobs) if self.address is None else 1
        allowed = os.environ.get("OMP_NUM_THREADS", "")
        return min(share, int(allowed)) if allowed.isdigit() and int(allowed) else share

    def open(self, device: torch.device) -> Engine:
        """Give the engine that takes a run's steps on a device."""
        # What takes steps elsewhere is loaded where it is asked for.
        if self.engine == "ray":
            from lrbench.engines.cluster import Cluster, Resources  # noqa: PLC0415

            gpus = self.gpus if device.type == "cuda" else 0.0
            jobs = self.jobs if self.jobs > 1 else None
            return Cluster(self.address, Resources(self.threads, gpus), jobs, self.step_timeout)
        if self.out_of_process:
            from lrbench.engines.processes import Processes  # noqa: PLC0415

            return Processes(self.jobs, self.step_timeout)
        return InProcess()

"""How long a pass takes, before anything has been taken: timed on the network itself, on images of the data."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lrbench.attacks.gradients import input_gradient
from lrbench.attacks.prepared import channels_last
from lrbench.data import ImageData, to_unit
from lrbench.runner.assembly import assembled
from lrbench.runner.external import guarded, is_external
from lrbench.suite import ModelSpec, Suite

FEW, MANY = 4, 128
"""Images of a first batch, and of the one that counts where the first took little."""

PASSES = 4

LITTLE = 0.2
"""Seconds."""

HOPELESS = 5
"""Times what is known that a pass takes which no other is worth waiting for."""


@dataclass
class PassTimes:
    """Seconds of a forward and backward pass of an image, by model; models that are built alike are timed once.

    `apart` tells that steps are taken in other processes: external code, which may end its process, is not called here.
    """

    suite: Suite
    data: ImageData
    device: torch.device
    apart: bool = False
    _known: dict[str, float | None] = field(default_factory=dict)

    def __call__(self, name: str) -> float | None:
        """Time a model; None if it cannot be run so."""
        spec = self.suite.models[name]
        if self.apart and is_external(spec.arch):
            return None
        alike = spec.model_dump_json(include={"arch", *spec.options})
        if alike not in self._known:
            self._known[alike] = self._timed(spec)
        return self._known[alike]

    def _timed(self, spec: ModelSpec) -> float | None:
        try:
            with guarded(), torch.random.fork_rng():
                parts = (spec.arch, self.data.network_outputs, self.data.channels, spec.options)
                model = channels_last(assembled(*parts).to(self.device)).eval()
                seconds = self._seconds(model, FEW)
                return self._seconds(model, MANY) / MANY if seconds < LITTLE else seconds / FEW
        # Somebody's own code may raise anything, and its steps will say so; until one has finished nothing is known.
        except (Exception, SystemExit):  # noqa: BLE001
            return None

    def _seconds(self, model: nn.Module, count: int) -> float:
        """Give the time of the fastest of some passes: the first makes ready, and others work on this machine, too.

        On a CPU that others keep busy, several threads wait for one another hundreds of times as long as they work: one
        thread's processor time is then nearer to what a step will take.
        """
        x = to_unit(self.data.test[:count].pixels).to(self.device)
        threads = torch.get_num_threads()
        if self.device.type != "cpu" or threads == 1:
            return self._fastest(model, x, time.perf_counter) * count / len(x)
        try:
            torch.set_num_threads(1)
            alone = self._fastest(model, x, time.process_time)
        finally:
            torch.set_num_threads(threads)
        return min(alone, self._fastest(model, x, time.perf_counter, alone)) * count / len(x)

    def _fastest(self, model: nn.Module, x: Tensor, clock: Callable[[], float], known: float = math.inf) -> float:
        """Time some passes, or until one has taken several times as long as what is known already."""
        fastest = math.inf
        for _ in range(PASSES):
            self._wait()
            started = clock()
            input_gradient(model, x, lambda logits: logits.logsumexp(dim=1))
            self._wait()
            taken = clock() - started
            fastest = min(fastest, taken)
            if taken > HOPELESS * known:
                break
        return fastest

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

"""Which steps there are, how the time is shared out, and what comes of each."""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch._dynamo  # noqa: F401 - every optimiser loads it at its first step: once here, not in each step

from benchmarks.gpu import child
from benchmarks.gpu.record import ENDED, Record
from benchmarks.gpu.setting import Setting
from lrbench.data import ImageData
from lrbench.data.folder import image_folder
from lrbench.data.sources import digits
from lrbench.errors import UsageError

RESERVE = 4.0
"""Seconds of --minutes that are left when the last step ends."""
LEAST = 3.0
"""Seconds without which no step is begun."""


@dataclass(frozen=True)
class Step:
    """A step: its module, and its share of the time beside those after it; about seconds of nine minutes."""

    module: str
    share: float
    images: bool = True


STEPS = {
    "tests": Step("cuda_tests", 90, images=False),
    "lr-update": Step("updates", 30, images=False),
    "training-step": Step("training_steps", 35, images=False),
    "throughput": Step("throughput", 75),
    "attacks": Step("attacks", 50),
    "paper": Step("paper", 95),
    "robust": Step("robust", 140),
    "autoattack": Step("whole", 60),
}


class Clock:
    """How much of --minutes is left."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes - RESERVE

    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def share(self, step: str, later: list[str]) -> float:
        """Seconds of a step: its share of what is left, whatever those before it took."""
        return self.left() * STEPS[step].share / sum(STEPS[name].share for name in [step, *later])


def measure(given: argparse.Namespace) -> None:
    """Take all steps, as far as time allows."""
    device = given.device or ("cpu" if given.rehearse else "cuda")
    data = Images(given)
    run = Run(given, device, data)
    run.look()
    steps = [name for name in STEPS if name in given.only]
    for place, name in enumerate(steps):
        if run.record.finished(name, run.identity):
            print(f"{name}: there already", flush=True)
        elif run.clock.left() < LEAST:
            print(f"{name}: no time is left", flush=True)
        else:
            run.step(name, steps[place + 1 :])


class Images:
    """Images, read when the first step asks for them."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.found = given, None
        if not given.rehearse and not (given.data_dir and (given.data_dir / "cifar10-jpeg").is_dir()):
            msg = "--data-dir must hold cifar10-jpeg: nothing is measured on random images; or give --rehearse"
            raise UsageError(msg)

    def get(self) -> ImageData:
        """Read them once."""
        if self.found is None:
            if self.given.rehearse:
                self.found = digits(Path(), train=None, test=None)
            else:
                self.found = image_folder(self.given.data_dir, train=None, test=None, path="cifar10-jpeg")
            _ = self.found.statistics
        return self.found


class Run:
    """One call of the program."""

    def __init__(self, given: argparse.Namespace, device: str, images: Images) -> None:
        self.given, self.device, self.images = given, device, images
        self.clock, self.record = Clock(given.minutes), Record(given.out)
        self.identity = {"commit": "unknown", "device": device, "rehearse": given.rehearse}
        self.method = "fork"
        # Not in --out, which holds what is small enough to be sent on.
        key = hashlib.sha256(str(given.out.resolve()).encode()).hexdigest()[:12]
        self.work = Path(tempfile.gettempdir()) / f"lrbench-gpu-{key}"

    def look(self) -> None:
        """Say what machine this is; that decides which rows of an earlier call count."""
        for method in ("fork", "spawn"):
            self.method = method
            failure = ""
            for kind, row, content in child.run("benchmarks.gpu.machine", self._setting(60, None, set()), method):
                if kind == "ok":
                    self.identity |= {"commit": content[0]["commit"], "device": content[0]["device"]}
                    self._add("machine", row, "ok", content)
                    return
                if kind in ("time", "lost"):
                    failure = failure or str(content or "no answer within a minute")
                elif kind == "error":
                    failure = content[0].strip().splitlines()[-1]
                    self.record.error("machine", content[1])
        msg = f"no measurement on {self.device}: {failure}; --rehearse runs at toy size on the CPU"
        raise UsageError(msg)

    def step(self, name: str, later: list[str]) -> None:
        """Take a step; where its process is lost, begin another one for the rows behind that at which it was."""
        data = self.images.get() if STEPS[name].images else None
        limit, start = self.clock.share(name, later), time.monotonic()
        done = self.record.done(name, self.identity)
        # Images are read while tests run, which are not timed.
        ahead = name == "tests" and any(STEPS[each].images for each in later)
        status, sound = "lost", True
        while status == "lost" and limit - (time.monotonic() - start) > LEAST:
            setting = self._setting(limit - (time.monotonic() - start), data, done)
            status, fine, begun = self._rows(name, setting, self.images.get if ahead else lambda: None)
            sound = sound and fine
            if not begun:
                break  # another process would be lost as soon
            done = done | begun
        ended = "ok" if sound else {"ended": "not all rows", "time": "over its time"}.get(status, status)
        self._add(name, ENDED, ended, {"seconds": time.monotonic() - start, "limit": limit})

    def _rows(self, name: str, setting: Setting, meanwhile: Callable[[], object]) -> tuple[str, bool, set[str]]:
        """Take rows as they come; say how it ended, whether all was well, and which rows were begun."""
        begun: list[str] = []
        sound, failed = True, ""
        for kind, row, content in child.run(f"benchmarks.gpu.{STEPS[name].module}", setting, self.method, meanwhile):
            if kind == "begun":
                begun.append(row)
            elif kind == "error":
                sound, failed = False, row
                self.record.error(f"{name}: {row}", content[1])
                self._add(name, row, "error", {"why": content[0].strip().splitlines()[-1][:300]})
            elif kind in ("time", "lost"):
                at = begun[-1] if begun else "start"
                if failed != at:
                    why = {"why": content or "killed"}
                    self._add(name, at, "over its time" if kind == "time" else "lost", why)
                return kind, False, set(begun)
            elif kind != "ended":
                sound = sound and kind != "not now"
                self._add(name, row, kind, content)
        return "ended", sound, set(begun)

    def _setting(self, limit: float, data: ImageData | None, done: set[str]) -> Setting:
        return Setting(
            device=self.device,
            rehearse=self.given.rehearse,
            data=data,
            out=self.given.out,
            work=self.work,
            commit=str(self.identity["commit"]),
            deadline=time.monotonic() + limit,
            done=done,
        )

    def _add(self, step: str, row: str, status: str, values: object) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.record.add(
            {"step": step, "row": row, "status": status, "identity": self.identity, "at": moment, "values": values}
        )
        for each in _lines(values):
            print(f"{step}: {row}: {status}: {each}", flush=True)


def _lines(values: object) -> Iterator[str]:
    for each in values if isinstance(values, list) else [values]:
        yield ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in each.items()
        )

"""Step 2, second half: what LR-Layers add to a training step."""

import contextlib
import gc
import time
import warnings
from collections.abc import Callable, Iterator

import torch

from benchmarks import lowrank
from benchmarks.gpu.setting import LeftOut, Setting
from benchmarks.gpu.timing import WAIT, in_turns, settled, spread, waits
from lrbench.data import Split
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

WEAK = {"lambda_1": 0.003, "lambda_2": 0.003}
RANKS = {
    "normal": {},
    "1-LR": {"avgpool": {"rank": 50, "lambda_1": 0.1}},
    "2-LR": {"layer3": {"rank": 1000, **WEAK}, "avgpool": {"rank": 50, "lambda_1": 0.1}},
}
TOY_RANKS = {
    "normal": {},
    "1-LR": {"avgpool": {"rank": 4}},
    "2-LR": {"layer3": {"rank": 8, **WEAK}, "avgpool": {"rank": 4}},
}
WARM, WATCHED, TIMED = 16, 16, 40
"""Batches of the second epoch before it is looked at, while waits are counted, and of each of two timings."""


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], object]]]:
    """Take steps as `train` makes them, then those of a plain loop, at last compiled, since that takes a minute."""
    batches = setting.pick((512, 128), (16,))
    for mixed in (True, False):
        for batch in batches:
            name = f"train, batch {batch}, {'bfloat16' if mixed else 'float32'}"
            yield name, lambda batch=batch, mixed=mixed: trained(setting, batch, mixed)
    for projection in ("exact", "nystrom"):
        name = f"train, batch {batches[0]}, bfloat16, {projection}"
        yield name, lambda projection=projection: trained(setting, batches[0], True, projection)
    for compiled in (False, True):
        name = f"plain loop, batch {batches[0]}, bfloat16{', compiled' if compiled else ''}"
        yield name, lambda compiled=compiled: stepped(setting, batches[0], compiled)


def trained(setting: Setting, batch: int, mixed: bool, projection: str = "subspace") -> list[dict]:
    """Time steps within `lrbench.training.train`, on random images: one row each for 0, 1 and 2 LR-Layers."""
    setting.enough(6)
    found: list[dict] = []
    for name, ranks in setting.pick(RANKS, TOY_RANKS).items():
        gc.collect()
        each = _Watched(setting.device, *setting.pick((WARM, WATCHED, TIMED), (2, 2, 2)))
        images = torch.randint(256, (batch * each.batches, 3, 32, 32), dtype=torch.uint8, device=setting.place)
        split = Split(images, torch.arange(len(images), device=setting.place) % 10)
        config = Training(
            epochs=2,
            batch_size=batch,
            learning_rate=0.01,
            warmup_accuracy=0,
            augment={"crop": 4, "flip": True},
            precision="bfloat16" if mixed else "float32",
            deterministic=False,
        )
        with seeded(0, deterministic=False):
            model = Classifier(resnet18(10, 3, setting.pick(64, 4)), [0.5] * 3, [0.25] * 3)
            model = model.to(setting.place, memory_format=torch.channels_last)
            if ranks:
                attach_lr_layers(model, ranks, projection=projection)
            train(model, split, config, seed=0, on_batch=each.seen)
        found.append({"network": name} | each.values(batch))
    return [each | {"ratio": each["ms"] / found[0]["ms"]} for each in found]


class _Watched:
    """Counts waits and takes times in the second epoch of a training, told before each batch."""

    def __init__(self, device: str, warm: int, watched: int, timed: int) -> None:
        self.device, self.timed = device, timed
        self.from_, self.to = warm, warm + watched
        self.ends = (self.to, self.to + timed, self.to + 2 * timed)
        self.batches = self.ends[-1] + 1
        self.count, self.times, self.waits = 0, [], 0
        self._stack = contextlib.ExitStack()
        self._warned: list[warnings.WarningMessage] = []

    def seen(self) -> None:
        place, self.count = self.count - self.batches, self.count + 1
        if place == self.from_ and self.device == "cuda":
            settled(self.device)
            self._warned = self._stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
        if place == self.to and self.device == "cuda":
            torch.cuda.set_sync_debug_mode("default")
            self._stack.close()
        if place in self.ends:
            settled(self.device)
            self.times.append(time.perf_counter())

    def values(self, batch: int) -> dict:
        seconds = [(after - before) / self.timed for before, after in zip(self.times, self.times[1:], strict=False)]
        found = spread([1000 * each for each in seconds], "ms") | {"steps": 2 * self.timed}
        found |= {"images/s": 1000 * batch / found["ms"]}
        if self.device == "cuda":
            said = [each for each in self._warned if WAIT in str(each.message)]
            found["waits a step"] = len(said) / (self.to - self.from_)
            found["waits at"] = "; ".join(sorted({f"{each.filename[-40:]}:{each.lineno}" for each in said}))
        return found


def stepped(setting: Setting, batch: int, compiled: bool) -> list[dict]:
    """Time steps of a loop that one writes for a network with LR-Layers, in turns."""
    if compiled and setting.rehearse:
        msg = "torch.compile takes minutes on a CPU"
        raise LeftOut(msg)
    setting.enough(75 if compiled else 5)
    # Else a graph compiled for the network without hooks would be taken for those with LR-Layers.
    torch._dynamo.config.skip_nnmodule_hook_guards = False
    trainings = {
        name: lowrank.Training(
            each, setting.device, batch, width=setting.pick(64, 4), mixed=True, compiled=compiled
        )
        for name, each in setting.pick(RANKS, TOY_RANKS).items()
    }  # fmt: skip
    for training in trainings.values():
        training.seconds(setting.pick(5, 1))
    found = in_turns(
        {name: training.step for name, training in trainings.items()},
        setting.device,
        rounds=setting.pick(5, 2),
        budget=setting.pick(0.75, 0.02),
    )
    for name, training in trainings.items():
        found[name]["waits a step"] = waits(training.step, setting.device, 16)
    return [{"network": name, "images/s": 1000 * batch / each["ms"]} | each for name, each in found.items()]

"""Taking a step, in whichever process: it is done and kept, or put down as failed with its traceback."""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lrbench.attacks.batches import out_of_memory
from lrbench.attacks.interruption import before_each_pass
from lrbench.data import ImageData
from lrbench.data.streamed import Streamed
from lrbench.engines import Done, Worker
from lrbench.engines.base import Report
from lrbench.errors import LrbenchError, UsageError
from lrbench.global_state import seeded
from lrbench.measures import Progress
from lrbench.models.objects import OBJECTS, Handed
from lrbench.names import makes_network
from lrbench.registry import load_target
from lrbench.runner.check import Checker
from lrbench.runner.context import Context, Outcome
from lrbench.runner.environment import describe_environment, own_device
from lrbench.runner.external import exit_reason, import_code
from lrbench.runner.kinds import taker
from lrbench.runner.step import Step
from lrbench.runner.turns import InTurn
from lrbench.store import Hold, Record, Store, StoreError
from lrbench.suite import Suite
from lrbench.suite.document import Document

ASK_SECONDS = 0.1
"""Between two looks, within a batch, at whether somebody asked to stop."""


def every(seconds: float, ask: Callable[[], None]) -> Callable[[], None]:
    """Ask at most once in so many seconds, however often it is called."""
    asked = time.monotonic()

    def now_and_then() -> None:
        nonlocal asked
        if time.monotonic() - asked >= seconds:
            asked = time.monotonic()
            ask()

    return now_and_then


@dataclass(frozen=True)
class StepWorker:
    """Takes the steps of a plan."""

    context: Context
    steps: dict[str, Step]

    @cached_property
    def environment(self) -> str:
        """Hash of the description of this process, its machine, and what runs beside it."""
        return self.context.store.save_environment(describe_environment(self.context.device, jobs=self.context.jobs))

    def take(self, task: str, report: Report, stop: Callable[[], bool]) -> Done:
        """Take a step and save it; whatever goes wrong in it comes back as a reason, with the traceback.

        Raises
        ------
        StoreError
            If the folder cannot be written.
        LrbenchError
            If the device is lost.
        KeyboardInterrupt
            If it was asked to stop.
        """
        step, context = self.steps[task], self.context

        def check_stop() -> None:
            if stop():
                raise KeyboardInterrupt

        def progress(fraction: float, note: str) -> None:
            check_stop()
            report(fraction, note)

        context.check_stop = check_stop
        started = time.perf_counter()
        try:
            with before_each_pass(every(ASK_SECONDS, check_stop)):
                outcome = self._outcome(step, progress)
        except StoreError:
            raise
        # Whatever a step does, the other steps can continue: code of others may raise SystemExit or KeyboardInterrupt.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and stop():
                raise
            return self._failed(step, error, time.perf_counter() - started)
        seconds = 0.0 if outcome.needless else time.perf_counter() - started
        record = Record(
            step.id,
            step.key,
            step.config,
            seconds,
            outcome.rows,
            labels=list(step.labels),
            environment=self.environment,
        )
        context.store.save(record, outcome.files)
        return Done(step.id, seconds, notes=tuple(warnings(context.suite, step, outcome)))

    def _outcome(self, step: Step, progress: Progress) -> Outcome:
        trainings = [self.steps[each] for each in (step.id, *step.needs) if makes_network(each)]
        import_code(self.context.suite, trainings)
        # A model that draws random numbers draws the same ones whatever was done before, and in whichever process.
        with seeded(step.seed):
            outcome: Outcome = load_target(taker(step.kind))(self.context, step, progress)
        return outcome

    def _failed(self, step: Step, error: BaseException, seconds: float) -> Done:
        reason = one_line(error)
        if lost_device(error):
            msg = f"{step.id}: the device failed ({reason}); what was finished is kept, run the command again"
            raise LrbenchError(msg) from error
        self.context.forget()
        return Done(step.id, seconds, reason, details="".join(traceback.format_exception(error)))


@dataclass(frozen=True)
class Recipe:
    """What another process needs to take steps of a run; can be pickled.

    Attributes
    ----------
    suite : str
        As JSON; the user's own files by absolute paths.
    plan : tuple of Step
    data_dir : Path
    out : Path
    device : str
    threads : int
        Of torch.
    jobs : int
        Steps that are taken side by side.
    hold : Hold, optional
        Of the folder, by the process that began the run.
    directory : Path
        Where the run was begun: what models open by relative paths is looked up there, on machines that have it.
    objects : mapping
        Name -> network, of those that were handed over in Python.
    """

    suite: str
    plan: tuple[Step, ...]
    data_dir: Path
    out: Path
    device: str
    threads: int
    jobs: int = 1
    hold: Hold | None = None
    directory: Path = field(default_factory=Path.cwd)
    objects: Mapping[str, Handed] = field(default_factory=dict)

    def __call__(self) -> Worker:
        """Make a worker in this process.

        Raises
        ------
        UsageError
            If the data is not here as it was where the run began.
        """
        OBJECTS.update(self.objects)
        if self.directory.is_dir():
            os.chdir(self.directory)
        # Not where it is so already: asked for a number, MKL takes it for an order.
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        suite, data = self._loaded()
        return self.worker(suite, data, self._store())

    def worker(self, suite: Suite, data: ImageData, store: Store) -> Worker:
        """Make a worker of what is in this process already."""
        device = own_device(torch.device(self.device))
        context = Context(suite, data.to(device), device, store, self.context, jobs=self.jobs)
        steps = {step.id: step for step in self.plan}
        return InTurn(StepWorker(context, steps), steps, store)

    def context(self, device: torch.device) -> Context:
        """Make what steps share, in this process.

        Raises
        ------
        UsageError
            If the data is not here as it was where the run began.
        """
        suite, data = self._loaded()
        return Context(suite, data.to(device), device, self._store())

    def _store(self) -> Store:
        return Store(self.out, self.hold, torch.device(self.device).type)

    def _loaded(self) -> tuple[Suite, ImageData]:
        suite = Suite.model_validate_json(self.suite)
        document = Document(suite.name, suite.model_dump(mode="json"), {})
        data = Checker(suite, document).load_data(self.data_dir)
        self._require_planned(data)
        return suite, data

    def _require_planned(self, data: ImageData) -> None:
        """Refuse images that are not those of the steps' keys; files may lie elsewhere with other times."""
        planned = {part: mark for step in self.plan for part, mark in (step.config.get("data") or {}).items()}
        for part, split in (("train", data.train), ("test", data.test)):
            if part not in planned or isinstance(split.images, Streamed):
                continue
            if planned[part] != getattr(data, f"{part}_fingerprint"):
                msg = f"data: {data.name} gave other {part} images than where the run began; they have to be the same"
                raise UsageError(msg)


def one_line(error: BaseException) -> str:
    """Say what an error is in a line of at most 300 characters."""
    if out_of_memory(error):
        return "out of memory even for a single batch; lower batch_size, or take a device with more memory"
    if isinstance(error, SystemExit):
        return exit_reason(error)
    text = " ".join(str(error).split()) or "no message"
    if "does not have a deterministic implementation" in text:
        operation = text.partition(" does not")[0]
        return f"{operation} has no deterministic form here; give the model `training: {{deterministic: false}}`"
    shown = text if isinstance(error, LrbenchError) else f"{type(error).__name__}: {text}"
    return shown if len(shown) <= 300 else shown[:297] + "..."


def lost_device(error: BaseException) -> bool:
    """Whether a CUDA device is unusable from here on; running out of its memory is another thing."""
    accelerator: Any = getattr(torch, "AcceleratorError", ())
    known = isinstance(error, accelerator) or "CUDA error" in str(error)
    return known and not out_of_memory(error)


def warnings(suite: Suite, step: Step, outcome: Outcome) -> Iterator[str]:
    """Say what is no failure but should be known."""
    for row in outcome.rows:
        if row["metric"] == "lr_layer_epochs" and not row["value"]:
            needed = suite.training_of(step.model).warmup_accuracy
            yield (
                f"{step.model}, seed {step.seed}: training accuracy never reached {needed:g} "
                "(training.warmup_accuracy), so its LR-Layers never acted"
            )

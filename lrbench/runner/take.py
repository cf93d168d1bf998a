"""Taking a plan's steps: one after the other; what fails is put down and the others go on."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lrbench.attacks.batches import out_of_memory
from lrbench.errors import LrbenchError
from lrbench.registry import load_target
from lrbench.runner.context import Context, Outcome
from lrbench.runner.interrupt import Interrupt
from lrbench.runner.plan import Step
from lrbench.runner.reporter import Costs, Reporter
from lrbench.store import Record, StoreError
from lrbench.suite import Suite

KINDS = {
    "train": "lrbench.runner.train:train_step",
    "load": "lrbench.runner.train:load_step",
    "accuracy": "lrbench.runner.measure:accuracy_step",
    "variance": "lrbench.runner.measure:variance_step",
    "embeddings": "lrbench.runner.represent:embeddings_step",
    "transfer": "lrbench.runner.represent:transfer_step",
    "compression": "lrbench.runner.represent:compression_step",
    "clusters": "lrbench.runner.represent:clusters_step",
    "corruptions": "lrbench.runner.measure:corruptions_step",
    "attack": "lrbench.runner.attack:attack_step",
    "minimal": "lrbench.runner.attack:minimal_step",
    "masking": "lrbench.runner.judge:masking_step",
    "worst": "lrbench.runner.judge:worst_step",
    "difference": "lrbench.runner.judge:difference_step",
}
"""What takes a step of each kind; imported when one is taken, so that a finished run loads no torchvision."""


@dataclass(frozen=True)
class Taking:
    """What taking steps needs, and how it is told about."""

    context: Context
    reporter: Reporter
    costs: Costs
    interrupt: Interrupt

    def take(self, plan: list[Step], pending: list[Step]) -> dict[str, str]:
        """Take the pending steps in order; give those that failed, and those that needed one of them, with the reason.

        Raises
        ------
        StoreError
            If the folder cannot be written.
        LrbenchError
            If the device is lost.
        KeyboardInterrupt
            If the user or the system asked to stop.
        """
        failed: dict[str, str] = {}
        self.reporter.begin(len(plan), len(plan) - len(pending))
        for index, step in enumerate(pending):
            missing = next((needed for needed in step.needs if needed in failed), None)
            if missing is not None:
                failed[step.id] = f"needs {missing}, which failed"
                continue
            if reason := self._attempt(step, pending[index + 1 :]):
                failed[step.id] = reason
        return failed

    def _attempt(self, step: Step, after: list[Step]) -> str | None:
        """Take a step and save it; None, or what went wrong in a line."""
        self.interrupt.check()
        self.reporter.start(step)
        started = time.perf_counter()
        try:
            outcome: Outcome = load_target(KINDS[step.kind])(self.context, step, self._progress)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a step does, the other steps can go on
            return self._failed(step, error)
        seconds = time.perf_counter() - started
        record = Record(step.id, step.key, step.config, seconds, outcome.rows)
        self.context.store.save(record, outcome.files)
        self.costs.learn(step, seconds)
        self.reporter.finish(step, seconds, self.costs.estimate(after))
        warn(self.context.suite, step, outcome, self.reporter.note)
        return None

    def _progress(self, fraction: float, note: str) -> None:
        self.interrupt.check()
        self.reporter.progress(fraction, note)

    def _failed(self, step: Step, error: Exception) -> str:
        reason = one_line(error)
        if lost_device(error):
            msg = f"{step.id}: the device failed ({reason}); what was finished is kept, run the command again"
            raise LrbenchError(msg) from error
        self.context.forget()
        details = "".join(traceback.format_exception(error))
        self.context.store.save_failure(step.id, details)
        self.reporter.note(f"{step.id} failed: {reason}")
        return reason


def one_line(error: BaseException) -> str:
    """Say what an error is in a line of at most 300 characters."""
    if out_of_memory(error):
        return "out of memory even for a single batch; lower batch_size, or take a device with more memory"
    text = " ".join(str(error).split()) or "no message"
    shown = text if isinstance(error, LrbenchError) else f"{type(error).__name__}: {text}"
    return shown if len(shown) <= 300 else shown[:297] + "..."


def lost_device(error: BaseException) -> bool:
    """Whether a CUDA device is unusable from here on; running out of its memory is another thing."""
    accelerator: Any = getattr(torch, "AcceleratorError", ())
    known = isinstance(error, accelerator) or "CUDA error" in str(error)
    return known and not out_of_memory(error)


def warn(suite: Suite, step: Step, outcome: Outcome, note: Callable[[str], None]) -> None:
    """Tell of what is no failure but should be known."""
    for row in outcome.rows:
        if row["metric"] == "lr_layer_epochs" and not row["value"]:
            needed = suite.training_of(step.model).warmup_accuracy
            note(
                f"{step.model}, seed {step.seed}: training accuracy never reached {needed:g} "
                "(training.warmup_accuracy), so its LR-Layers never acted"
            )

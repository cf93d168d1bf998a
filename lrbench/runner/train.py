"""The steps that make a model: trained from fresh or given weights, or loaded."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from lrbench.measures import Progress
from lrbench.models import save_checkpoint
from lrbench.regularizers import Regularizer
from lrbench.regularizers.attached import attach
from lrbench.regularizers.registry import made
from lrbench.runner.context import Context, Outcome
from lrbench.runner.step import Step
from lrbench.training import EpochLog, in_processes, seeded, train
from lrbench.training.loop import Snapshot
from lrbench.training.parallel import Send

SNAPSHOT_SECONDS = 10.0
"""At most so much finished training is lost when a run is killed, the running epoch apart."""

Fitted = tuple[list[EpochLog], dict[str, bytes]]
"""History of a training, and its checkpoint's files."""


def train_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Train a model of the suite; keep weights, history and how to build it again.

    It starts from the network that the step it needs has trained, if there is one.
    """
    context.forget()
    epochs, processes = (getattr(context.suite.training_of(step.model), key) for key in ("epochs", "processes"))

    def show(log: EpochLog) -> None:
        accuracy = f"training accuracy {100 * log.accuracy:.1f} %"
        progress(log.epoch / epochs, f"epoch {log.epoch}/{epochs}, {accuracy}")

    def keep(snapshot: bytes) -> None:
        context.store.save_unfinished(step.id, step.key, snapshot)

    resume = context.store.unfinished(step.id, step.key)
    start = step.needs[0] if step.needs else None
    job = _Job(step.model, step.seed, start, _description(context, step), resume)
    if processes == 1:
        history, files = job.fit(context, show, keep, context.check_stop)
    else:
        history, files = _together(context, job, processes, show, keep)
    last = history[-1]
    rows = [
        {"metric": "training_accuracy", "value": last.accuracy, "n": len(context.data.train)},
        {"metric": "training_loss", "value": last.loss, "n": len(context.data.train)},
    ]
    if context.suite.models[step.model].lr_layers:
        rows.append({"metric": "lr_layer_epochs", "value": float(sum(log.lr_layers_on for log in history))})
    files["history.json"] = (json.dumps([asdict(log) for log in history], indent=1) + "\n").encode()
    return Outcome(rows, files)


@dataclass(frozen=True)
class _Job:
    """A model to be trained; can be pickled."""

    name: str
    seed: int
    start: str | None
    description: dict[str, object]
    resume: bytes | None

    def fit(
        self,
        context: Context,
        show: Callable[[EpochLog], None],
        keep: Callable[[bytes], None],
        on_batch: Callable[[], None] = lambda: None,
    ) -> Fitted:
        """Build and train it in this process."""
        config = context.suite.training_of(self.name)
        kept = time.monotonic()

        def on_epoch(log: EpochLog, snapshot: Snapshot) -> None:
            nonlocal kept
            show(log)
            if log.epoch < config.epochs and time.monotonic() - kept >= SNAPSHOT_SECONDS:
                keep(snapshot())
                kept = time.monotonic()

        with seeded(self.seed, deterministic=config.deterministic):
            model = context.build(self.name, start=self.start)
            regularizers = made(context.suite.models[self.name].regularizers.content)
            history = train(
                model,
                context.data.train,
                config,
                seed=self.seed,
                penalty_warmup=context.suite.low_rank.penalty_warmup,
                statistics=context.data.statistics,
                regularizers=regularizers,
                resume=self.resume,
                on_epoch=on_epoch,
                on_batch=on_batch,
            )
            _fit(regularizers, model, context)
        return history, save_checkpoint(model, self.description)


@dataclass(frozen=True)
class _Part:
    """What each process of a data-parallel training does; can be pickled."""

    job: _Job
    open_context: Callable[[torch.device], Context]

    def __call__(self, device: torch.device, send: Send) -> None:
        context = self.open_context(device)
        fitted = self.job.fit(context, lambda log: send(("epoch", log)), lambda state: send(("snapshot", state)))
        send(("done", fitted))


def _together(
    context: Context,
    job: _Job,
    processes: int,
    show: Callable[[EpochLog], None],
    keep: Callable[[bytes], None],
) -> Fitted:
    """Train in several processes."""
    fitted: list[Fitted] = []
    receivers: dict[str, Callable[[Any], None]] = {"epoch": show, "snapshot": keep, "done": fitted.append}

    def receive(message: tuple[str, Any]) -> None:
        what, content = message
        receivers[what](content)

    in_processes(processes, _Part(job, context.elsewhere), context.device, receive, context.check_stop)
    return fitted[0]


def load_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Load a model of the suite from its weights; keep a copy, so that the run can be resumed without them.

    Or take the network that the step it needs has trained. What needs no training is put on top of either.
    """
    context.forget()
    with seeded(step.seed, deterministic=context.suite.training_of(step.model).deterministic):
        model = context.build(step.model, start=step.needs[0] if step.needs else None)
        regularizers = made(context.suite.models[step.model].regularizers.content)
        attach(model, regularizers)
        _fit(regularizers, model, context)
    progress(1.0, "")
    return Outcome([], save_checkpoint(model, _description(context, step)))


def _fit(regularizers: Mapping[str, Regularizer], model: nn.Module, context: Context) -> None:
    for each in regularizers.values():
        if each.training_free:
            each.fit(model, context.data.train)


def _description(context: Context, step: Step) -> dict[str, object]:
    kept = ("arch", "options", "lr_layers", "low_rank", "regularizers", "classes", "outputs", "seed")
    described = {key: step.config[key] for key in kept if key in step.config}
    return {**described, "channels": context.data.channels}

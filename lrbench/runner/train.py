"""The steps that make a model: trained from fresh or given weights, or loaded."""

import json
import time
from dataclasses import asdict

from lrbench.models import save_checkpoint
from lrbench.runner.context import Context, Outcome, Progress
from lrbench.runner.plan import Step
from lrbench.training import EpochLog, seeded, train
from lrbench.training.loop import Snapshot

SNAPSHOT_SECONDS = 10.0
"""At most so much finished training is lost when a run is killed, the running epoch apart."""


def train_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Train a model of the suite; keep weights, history and how to build it again."""
    context.forget()
    config = context.suite.training_of(step.model)
    kept = time.monotonic()

    def show(log: EpochLog, snapshot: Snapshot) -> None:
        nonlocal kept
        accuracy = f"training accuracy {100 * log.accuracy:.1f} %"
        progress(log.epoch / config.epochs, f"epoch {log.epoch}/{config.epochs}, {accuracy}")
        if log.epoch < config.epochs and time.monotonic() - kept >= SNAPSHOT_SECONDS:
            context.store.save_unfinished(step.id, step.key, snapshot())
            kept = time.monotonic()

    with seeded(step.seed, deterministic=config.deterministic):
        model = context.build(step.model)
        history = train(
            model,
            context.data.train,
            config,
            seed=step.seed,
            penalty_warmup=context.suite.low_rank.penalty_warmup,
            statistics=context.data.statistics,
            resume=context.store.unfinished(step.id, step.key),
            on_epoch=show,
            on_batch=context.check_stop,
        )
    last = history[-1]
    rows = [
        {"metric": "training_accuracy", "value": last.accuracy, "n": len(context.data.train)},
        {"metric": "training_loss", "value": last.loss, "n": len(context.data.train)},
    ]
    if context.suite.models[step.model].lr_layers:
        rows.append({"metric": "lr_layer_epochs", "value": float(sum(log.lr_layers_on for log in history))})
    files = save_checkpoint(model, _description(context, step))
    files["history.json"] = (json.dumps([asdict(log) for log in history], indent=1) + "\n").encode()
    return Outcome(rows, files)


def load_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Load a model of the suite from its weights; keep a copy, so that the run can be gone on with without them."""
    context.forget()
    with seeded(step.seed):
        model = context.build(step.model)
    progress(1.0, "")
    return Outcome([], save_checkpoint(model, _description(context, step)))


def _description(context: Context, step: Step) -> dict[str, object]:
    described = {key: step.config[key] for key in ("arch", "options", "lr_layers", "low_rank", "classes", "seed")}
    return {**described, "channels": context.data.channels}

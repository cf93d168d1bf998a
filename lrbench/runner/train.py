"""The training step: a network from fresh weights to a checkpoint."""

import json
from dataclasses import asdict

from lrbench.models import save_checkpoint
from lrbench.runner.context import Context, Outcome, Progress
from lrbench.runner.plan import Step
from lrbench.training import EpochLog, seeded, train


def train_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Train a model of the suite; keep weights, history and how to build it again."""
    context.forget()
    suite = context.suite
    epochs = suite.training.epochs

    def show(log: EpochLog) -> None:
        progress(log.epoch / epochs, f"epoch {log.epoch}/{epochs}, training accuracy {100 * log.accuracy:.1f} %")

    with seeded(step.seed):
        model = context.build(step.model)
        history = train(
            model,
            context.data.train,
            suite.training,
            seed=step.seed,
            penalty_warmup=suite.low_rank.penalty_warmup,
            on_epoch=show,
        )
    last = history[-1]
    rows = [
        {"metric": "training_accuracy", "value": last.accuracy, "n": len(context.data.train)},
        {"metric": "training_loss", "value": last.loss, "n": len(context.data.train)},
    ]
    if suite.models[step.model].lr_layers:
        rows.append({"metric": "lr_layer_epochs", "value": float(sum(log.lr_layers_on for log in history))})
    description = {key: step.config[key] for key in ("arch", "options", "lr_layers", "low_rank", "classes", "seed")}
    description["channels"] = context.data.channels
    files = save_checkpoint(model, description)
    files["history.json"] = (json.dumps([asdict(log) for log in history], indent=1) + "\n").encode()
    return Outcome(rows, files)

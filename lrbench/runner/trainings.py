"""The steps that make models: each training, after that which it starts from."""

from lrbench.data import ImageData
from lrbench.names import model_path
from lrbench.runner.configs import train_config
from lrbench.runner.step import Step, Trainings
from lrbench.suite import Suite


def add_training(trainings: Trainings, suite: Suite, data: ImageData, name: str, seed: int) -> Step:
    """Add the step that makes a model, and before it the one that makes the network it starts from."""
    if (name, seed) not in trainings:
        start = suite.models[name].init_from
        before = None if start is None else add_training(trainings, suite, data, start, seed)
        trainings[name, seed] = _train_step(suite, data, name, seed, before)
    return trainings[name, seed]


def _train_step(suite: Suite, data: ImageData, name: str, seed: int, before: Step | None) -> Step:
    spec, training = suite.models[name], suite.training_of(name)
    kind = "train" if spec.train else "load"
    config = train_config(suite, data, name, seed)
    if before is not None:
        config["init_from"] = before.key
    needs = () if before is None else (before.id,)
    attacked = training.adversarial
    passes = 1 if attacked is None else 1 + attacked.steps + (attacked.trades is not None)
    work = 1.3 * training.epochs * passes * len(data.train) if spec.train else 1.0
    # Those that need no training look at each training image once.
    work += 0.4 * len(data.train) if spec.regularizers.asked and not spec.train else 0.0
    return Step(f"{kind}/{model_path(name, seed)}", kind, name, seed, config, needs, work)

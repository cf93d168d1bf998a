"""A training, and what it leaves at the end of every epoch."""

from lrbench.suite import Training
from lrbench.training import seeded, train


def fitted(model, digits, split, seed=0, resume=None, regularizers=None, **options):
    """Train a model; gives it, its history and the snapshots of all epochs."""
    snapshots, config = [], Training(**options)
    with seeded(seed, deterministic=config.deterministic):
        history = train(
            model,
            split,
            config,
            seed=0,
            resume=resume,
            regularizers=regularizers,
            statistics=digits.statistics,
            on_epoch=lambda _log, snapshot: snapshots.append(snapshot()),
        )
    return model, history, snapshots

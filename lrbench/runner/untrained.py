"""What a suite asks of data without training images."""

from collections.abc import Iterator

from lrbench.data import ImageData
from lrbench.measures import Measure
from lrbench.measures.registry import measure_of
from lrbench.strict import KeyPath
from lrbench.suite import Suite


def asked_in_vain(suite: Suite, data: ImageData) -> Iterator[tuple[KeyPath, str]]:
    """Say what of a suite needs training images, where data has none: the key, and why."""
    if len(data.train):
        return
    lacking = f"needs training images, and {data.name} has none"
    for name, spec in suite.models.items():
        if spec.train:
            yield ("models", name), f"{lacking}; `train: false` evaluates it without training"
        for each in spec.regularizers.asked if not spec.train else ():
            yield ("models", name, "regularizers", each), lacking
        if spec.normalize is True:
            yield ("models", name, "normalize"), f"{lacking} to take statistics from; give mean and std, or false"
    if suite.threat_model.space == "normalized" and (suite.attacks or suite.claims):
        yield ("threat_model", "space"), f"{lacking} to take its unit from; attack in `space: pixel`"
    yield from ((("diagnostics", kind), lacking) for kind in suite.diagnostics.measures if needs_training_images(kind))


def needs_training_images(kind: str) -> bool:
    """Whether a measure looks at training images."""
    measure = measure_of(kind)
    return isinstance(measure, Measure) and measure.needs_train

"""Whether a model's regularizers fit it, before anything is trained."""

from collections.abc import Iterator

import torch

from lrbench.catalogue import MODELS
from lrbench.data import ImageData
from lrbench.errors import UsageError
from lrbench.models import make_network
from lrbench.regularizers.registry import made
from lrbench.runner.external import guarded
from lrbench.suite import ModelSpec, Training


def misfits(spec: ModelSpec, training: Training, data: ImageData) -> Iterator[tuple[str, str]]:
    """Say which regularizers cannot be attached to a model that was built before, or trained as it is to be; and why.

    They are attached to a network without memory: values do not matter.
    """
    asked = made(spec.regularizers.content)
    if not asked:
        return
    with guarded(), torch.device("meta"), torch.random.fork_rng():
        net = make_network(MODELS[spec.arch].load(), data.network_outputs, data.channels, spec.options)
    net.to("meta")
    for name, each in asked.items():
        if training.compile and not each.compiles:
            yield name, "cannot be computed of a compiled network; give the model `training: {compile: false}`"
        try:
            with torch.device("meta"):
                each.attach(net)
        except UsageError as error:
            yield name, str(error)

"""What is said of a training whose loss is not finite names what can make it so."""

import pytest
import torch
from support.nets import conv_net, images

from lrbench.data import Split
from lrbench.errors import TrainingDivergedError
from lrbench.lowrank import attach_lr_layers
from lrbench.regularizers.registry import made
from lrbench.suite import Training
from lrbench.training import train

ALWAYS = "training.learning_rate"
CASES = {
    "rate": ({}, {"learning_rate": 1e30}, False, f"{ALWAYS} or training.gradient_clip"),
    "lr_layers": ({}, {"learning_rate": 1e30}, True, f"{ALWAYS}, training.gradient_clip or low_rank.lambda_1"),
    "jacobian": ({"jacobian": {"weight": 1e38}}, {}, False, r".* or regularizers.jacobian.weight"),
    "nuclear": (
        {"jacobian": {"weight": 0}, "nuclear_norm": {"layers": ["2"], "weight": 1e38}}, {}, False,
        r".* regularizers.jacobian.weight or regularizers.nuclear_norm.weight",
    ),
    "noise": ({}, {"augment": {"noise": 1e308}}, False, r".* or training.augment.noise"),
    "trades": ({}, {"adversarial": {"eps": 0.1, "trades": 1e38}}, False, r".* or training.adversarial.trades"),
    "factors": ({"condlr": {}, "jacobian": {"weight": 1e38}}, {}, False, r".* or regularizers.jacobian.weight"),
}  # fmt: skip


@pytest.mark.parametrize(("regularizers", "config", "layered", "words"), CASES.values(), ids=CASES)
def test_it_names_what_can_be_lowered(regularizers, config, layered, words):
    net = conv_net()
    if layered:
        attach_lr_layers(net, {"2": 2}, projection="subspace")
    x, y = images(40)
    config = Training(**{"epochs": 2, "batch_size": 10, "warmup_accuracy": 1.0, "gradient_clip": None, **config})
    with pytest.raises(TrainingDivergedError, match=rf"^the training loss is not finite in epoch 1; lower {words}$"):
        train(net, Split((255 * x).to(torch.uint8), y), config, seed=0, regularizers=made(regularizers))

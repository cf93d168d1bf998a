"""What the processes of a data-parallel training do in tests; other processes can load it."""

import os
import signal
import sys
from dataclasses import dataclass, field

import torch
from torch import nn

from lrbench.data.sources import digits
from lrbench.errors import TrainingDivergedError
from lrbench.lowrank import attach_lr_layers
from lrbench.models.resnet import resnet18
from lrbench.regularizers.registry import made
from lrbench.suite import Training
from lrbench.training import seeded, train


def plain_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.0), nn.Linear(32, 10))


def dropping_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))


def normed_net():
    return resnet18(10, 1, width=4)


NETS = {"plain": plain_net, "dropping": dropping_net, "normed": normed_net}


@dataclass(frozen=True)
class Fit:
    """Trains a network on a few digits and tells its weights, history and a snapshot of each epoch."""

    net: str
    lr_layers: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    resume: bytes | None = None
    regularizers: dict = field(default_factory=dict)

    def __call__(self, device, send):
        config = Training(**{"epochs": 3, "batch_size": 50, "warmup_accuracy": 0.0, **self.options})
        split = digits(None, train=220, test=None).train
        snapshots = []
        with seeded(0):
            model = NETS[self.net]()
            if self.lr_layers:
                attach_lr_layers(model, self.lr_layers)
            history = train(
                model,
                split.to(device),
                config,
                seed=0,
                resume=self.resume,
                regularizers=made(self.regularizers),
                on_epoch=lambda _log, snapshot: snapshots.append(snapshot()),
            )
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        send((weights, history, snapshots))


@dataclass(frozen=True)
class Fails:
    """Fails in one of the processes, while the others wait for it."""

    how: str

    def __call__(self, _device, send):
        rank = torch.distributed.get_rank()
        send("begun")
        if rank == 1:
            if self.how == "raises":
                raise ArithmeticError("broken")
            if self.how == "diverges":
                raise TrainingDivergedError("the loss is not finite")
            if self.how == "exits":
                sys.exit(0)
            if self.how == "ends":
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        torch.distributed.barrier()


@dataclass(frozen=True)
class Waits:
    """Waits for something that never comes."""

    def __call__(self, _device, send):
        send("begun")
        signal.pause()

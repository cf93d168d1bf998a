"""Networks that are trained in the time there is, kept, and attacked in the time that is left."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.gpu.setting import NotNow, Setting
from benchmarks.gpu.throughput import network
from benchmarks.gpu.timing import settled
from lrbench.attacks import AutoAttack
from lrbench.attacks.passes import logits_of
from lrbench.attacks.prepared import prepared
from lrbench.data import to_unit
from lrbench.lowrank import attach_lr_layers
from lrbench.suite import Training
from lrbench.training import seeded, train

EPS = 8 / 255
LR_OPTIONS = {"projection": "subspace", "lambda_1": 0.1, "lambda_2": 0.1}
"""Otherwise as in the paper's suites."""
RECIPE = {"schedule": "one-cycle", "augment": {"crop": 4, "flip": True}, "precision": "bfloat16"}
MOST = 40
"""Epochs at most."""
TOO_FEW = 4.0
"""Seconds in which nothing is learnt."""


def made(setting: Setting, ranks: dict) -> nn.Module:
    """Give an untrained network, with LR-Layers if any are named."""
    model = network(setting)
    if ranks:
        attach_lr_layers(model, ranks, **LR_OPTIONS)
    return model


def trained(setting: Setting, name: str, ranks: dict, recipe: dict, budget: float) -> dict:
    """Train for as many epochs as fit into so many seconds, and keep the network."""
    setting.enough(TOO_FEW)
    until = time.monotonic() + budget
    split = setting.images.train.balanced(setting.pick(None, 96)).to(setting.place)
    options = recipe | {"batch_size": setting.pick(512, 16), "deterministic": False}
    if setting.rehearse:
        options |= {"warmup_accuracy": 0}
    an_epoch = _epoch(setting, len(split), ranks, options)
    # Of what is left when it is known; a twentieth is kept for epochs that take longer.
    epochs = min(setting.pick(MOST, 2), max(1, int(0.95 * (until - time.monotonic()) / an_epoch)))
    model = made(setting, ranks)
    start = time.perf_counter()
    with seeded(0, deterministic=False):
        log = train(model, split, Training(epochs=epochs, **options), seed=0)
    settled(setting.device)
    seconds = time.perf_counter() - start
    path = kept(setting, name)
    torch.save(model.eval().to("cpu"), path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)
    model.to(setting.place)
    return {
        "images": len(split),
        "batch": options["batch_size"],
        "epochs": epochs,
        "s": seconds,
        "images/s": epochs * len(split) / seconds,
        "expected s an epoch": an_epoch,
        "training accuracy": log[-1].accuracy,
        "LR-Layers on": sum(each.lr_layers_on for each in log),
        "clean accuracy": clean(setting, model),
        "test images": len(setting.images.test),
    }


def _epoch(setting: Setting, images: int, ranks: dict, options: dict) -> float:
    """Seconds that an epoch will take, from 20 batches with the LR-Layers on, after 20 to warm up."""
    batches = setting.pick(40, 4)
    split = setting.images.train.balanced(batches * options["batch_size"]).to(setting.place)
    ends: list[float] = []

    def seen() -> None:
        if len(ends) == batches // 2:
            settled(setting.device)
        ends.append(time.perf_counter())

    with seeded(0, deterministic=False):
        train(
            made(setting, ranks), split, Training(epochs=1, **options | {"warmup_accuracy": 0}), seed=0, on_batch=seen
        )
    settled(setting.device)
    taken = time.perf_counter() - ends[batches // 2]
    return taken / (batches - batches // 2) * (images / options["batch_size"])


def kept(setting: Setting, name: str) -> Path:
    """Where a network is kept."""
    setting.work.mkdir(parents=True, exist_ok=True)
    return setting.work / f"{name}-{setting.commit}-{setting.device}.pt"


def load(setting: Setting, name: str) -> nn.Module:
    """Give a network that an earlier row trained."""
    path = kept(setting, name)
    if not path.exists():
        msg = f"no network {name!r} is kept: its training did not end"
        raise NotNow(msg)
    return torch.load(path, weights_only=False).to(setting.place).eval()


def clean(setting: Setting, model: nn.Module) -> float:
    """Accuracy on all test images."""
    split = setting.images.test.to(setting.place)
    logits = logits_of(model, to_unit(split.pixels))
    return (logits.argmax(dim=1) == split.labels).float().mean().item()


def chosen(setting: Setting, count: int) -> tuple[Tensor, Tensor]:
    """Test images in [0, 1], classes even, in an order in which any first so many are about even."""
    split = setting.images.test
    split = split[split.ranked(min(count, len(split)))].to(setting.place)
    return to_unit(split.pixels), split.labels


def standard(setting: Setting) -> AutoAttack:
    """AutoAttack's standard version in pixel space; of a rehearsal, a little of it."""
    return AutoAttack(EPS, **setting.pick({}, {"steps": 2, "targets": 2, "queries": 4}))


def autoattacked(setting: Setting, name: str, count: int) -> dict:
    """Attack so many images with the standard version, and tell after each of its members what has withstood so far."""
    model, (x, y) = load(setting, name), chosen(setting, setting.pick(count, 16))
    AutoAttack(EPS, steps=1, targets=1, queries=1)(model, x[:64], y[:64])  # kernels are loaded before the clock starts
    settled(setting.device)
    start = time.perf_counter()
    with prepared(model, x) as lent:
        correct = withstood = int((logits_of(model, x).argmax(dim=1) == y).sum())
        values = {"network": name, "eps": "8/255", "images": len(x), "correct": correct / len(x)}
        values["robust accuracy"] = values["correct"]
        for member, rows, _ in standard(setting).rounds(lent, x, y):
            withstood -= len(rows)
            values |= {f"after {member}": withstood / len(x), "robust accuracy": withstood / len(x)}
            values["s"] = time.perf_counter() - start
            setting.tell(values)
    seconds = time.perf_counter() - start
    return values | {"s": seconds, "images a minute": 60 * len(x) / seconds}


Rows = Iterator[tuple[str, Callable[[], dict]]]

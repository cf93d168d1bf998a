"""Step 3, second half: images a second that are attacked, beside torchattacks and a plain loop."""

import importlib
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.gpu.networks import EPS
from benchmarks.gpu.setting import LeftOut, Setting
from benchmarks.gpu.throughput import network
from benchmarks.gpu.timing import seconds_of
from benchmarks.passes import Passes
from lrbench.attacks import APGD, PGD, Square
from lrbench.attacks.passes import logits_of
from lrbench.data import to_unit
from lrbench.suite import Training
from lrbench.training import seeded, train

Attack = Callable[[Tensor, Tensor], Tensor]
SMALL = 0.1 / 255
"""A radius at which hardly an image falls, and so none leaves: what an attack costs at its dearest."""


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Every attack and code at both batches, on a network of two epochs; at a small radius, and at 8/255."""
    batches, steps = setting.pick((1024, 128), (16,)), setting.pick((10, 100, 500), (2, 3, 4))
    model: list[nn.Module] = []
    for eps, label in ((SMALL, "0.1/255"), (EPS, "8/255")):
        for batch in batches:
            for attack, code in (
                ("PGD", "lrbench"), ("PGD", "plain loop"), ("PGD", "torchattacks"),
                ("APGD-CE", "lrbench"), ("APGD-CE", "torchattacks"),
                ("Square", "lrbench"), ("Square", "torchattacks"),
            ):  # fmt: skip
                count = dict(zip(("PGD", "APGD-CE", "Square"), steps, strict=True))[attack]
                yield (
                    f"{attack} {count}, {label}, {batch}, {code}",
                    partial(measured, setting, model, attack, code, eps, count, batch),
                )


def learnt(setting: Setting) -> nn.Module:
    """A network that classifies most images correctly, since what is misclassified is not attacked."""
    split = setting.images.train[: setting.pick(None, 160)].to(setting.place)
    options = {"learning_rate": 0.2, "schedule": "one-cycle", "precision": "bfloat16", "deterministic": False}
    with seeded(0, deterministic=False):
        model = network(setting)
        train(model, split, Training(epochs=2, batch_size=setting.pick(512, 16), **options), seed=0)
    return model.eval()


def measured(
    setting: Setting, cache: list[nn.Module], attack: str, code: str, eps: float, count: int, batch: int
) -> dict:
    """Images and passes a second."""
    if not cache:
        cache.append(learnt(setting))
    model = cache[0]
    split = setting.images.test[:batch].to(setting.place)
    x, y = to_unit(split.pixels).contiguous(), split.labels
    run = CODES[code](attack, model, eps, count)
    run(x, y)
    seconds = [seconds_of(lambda: run(x, y), setting.device) for _ in range(setting.pick(2, 1))]
    handle_free = Passes(model)
    found = run(x, y)
    forward, backward = handle_free.forward, handle_free.backward
    model._forward_hooks.clear()
    best = min(seconds)
    accuracy = (logits_of(model, found).argmax(dim=1) == y).float().mean().item()
    return {
        "batch": len(x),
        "s": best,
        "s max": max(seconds),
        "rounds": len(seconds),
        "images/s": len(x) / best,
        "forward/s": forward / best,
        "backward/s": backward / best,
        "accuracy after": accuracy,
    }


def ours(attack: str, model: nn.Module, eps: float, count: int) -> Attack:
    """This project's."""
    made = {"PGD": lambda: PGD(eps, eps / 4, count), "APGD-CE": lambda: APGD(eps, count)}
    made["Square"] = lambda: Square(eps, count)
    return partial(made[attack](), model)


def theirs(attack: str, model: nn.Module, eps: float, count: int) -> Attack:
    """Those of torchattacks, where it is installed."""
    try:
        torchattacks = importlib.import_module("torchattacks")
    except ImportError as error:
        msg = f"torchattacks cannot be imported: {error}"
        raise LeftOut(msg) from None
    if attack == "PGD":
        return torchattacks.PGD(model, eps=eps, alpha=eps / 4, steps=count)
    if attack == "APGD-CE":
        return torchattacks.APGD(model, eps=eps, steps=count, loss="ce")
    return torchattacks.Square(model, eps=eps, n_queries=count)


def plain(_attack: str, model: nn.Module, eps: float, count: int) -> Attack:
    """PGD in ten lines."""

    def run(x: Tensor, y: Tensor) -> Tensor:
        found = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
        for _ in range(count):
            found = found.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(found), y), found)
            found = found.detach() + eps / 4 * gradient.sign()
            found = torch.minimum(torch.maximum(found, x - eps), x + eps).clamp(0, 1)
        return found

    return run


CODES = {"lrbench": ours, "torchattacks": theirs, "plain loop": plain}

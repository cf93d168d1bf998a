"""Step 3, second half: images a second that are attacked, beside torchattacks and a plain loop."""

import importlib
import statistics
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.gpu.networks import EPS, chosen
from benchmarks.gpu.setting import LeftOut, Setting
from benchmarks.gpu.throughput import network
from benchmarks.gpu.timing import seconds_of, spread
from benchmarks.passes import Passes
from lrbench.attacks import APGD, PGD, Square
from lrbench.attacks.passes import logits_of
from lrbench.attacks.precision import rounded_products
from lrbench.suite import Training
from lrbench.training import seeded, train

Attack = Callable[[Tensor, Tensor], Tensor]
SMALL = 0.1 / 255
"""A radius at which hardly an image falls, and so none leaves: what an attack costs at its dearest."""
AGAIN = 1.5
"""Seconds below which an attack is timed three times."""


FORMS = {
    "PGD": ("lrbench", "lrbench without TF32", "plain loop", "torchattacks"),
    "APGD-CE": ("lrbench", "lrbench without TF32", "torchattacks"),
    "Square": ("lrbench", "torchattacks"),
}


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Every attack and code at both batches; at a small radius, and at 8/255."""
    model: list[nn.Module] = []
    dear, usual = setting.pick(((10, 50, 200), (10, 100, 500)), ((2, 3, 4), (2, 3, 4)))
    for batch in setting.pick((1024, 128), (16,)):
        for eps, label, counts in ((SMALL, "0.1/255", dear), (EPS, "8/255", usual)):
            for (attack, codes), count in zip(FORMS.items(), counts, strict=True):
                for code in codes:
                    name = f"{attack} {count}, {label}, {batch}, {code}"
                    yield name, partial(measured, setting, model, attack, code, eps, count, batch)


def learnt(setting: Setting) -> nn.Module:
    """Train one that classifies most images correctly, since what is misclassified is not attacked."""
    split = setting.images.train.balanced(setting.pick(25_600, 160)).to(setting.place)
    options = {"learning_rate": 0.2, "schedule": "one-cycle", "precision": "bfloat16", "deterministic": False}
    with seeded(0, deterministic=False):
        model = network(setting)
        train(model, split, Training(epochs=3, batch_size=setting.pick(512, 16), **options), seed=0)
    return model.eval()


def measured(
    setting: Setting, cache: list[nn.Module], attack: str, code: str, eps: float, count: int, batch: int
) -> dict:
    """Images and passes a second."""
    if not cache:
        cache.append(learnt(setting))
    model = cache[0]
    x, y = chosen(setting, batch)
    x = x.contiguous()
    run = CODES[code](attack, model, eps, count)
    CODES[code](attack, model, eps, 1)(x, y)
    counted, found = Passes(model), []
    seconds = [seconds_of(lambda: found.append(run(x, y)), setting.device)]
    counted.stop()
    if seconds[0] < AGAIN:
        seconds += [seconds_of(lambda: run(x, y), setting.device) for _ in range(2)]
    middle = statistics.median(seconds)
    return {
        "batch": len(x),
        **spread(seconds, "s"),
        "rounds": len(seconds),
        "images/s": len(x) / middle,
        "forward/s": counted.forward / middle,
        "backward/s": counted.backward / middle,
        "accuracy before": (logits_of(model, x).argmax(dim=1) == y).float().mean().item(),
        "accuracy after": (logits_of(model, found[0]).argmax(dim=1) == y).float().mean().item(),
    }


def ours(attack: str, model: nn.Module, eps: float, count: int) -> Attack:
    """Give that of this project."""
    made = {"PGD": lambda: PGD(eps, eps / 4, count), "APGD-CE": lambda: APGD(eps, count)}
    made["Square"] = lambda: Square(eps, count)
    return partial(made[attack](), model)


def exact(attack: str, model: nn.Module, eps: float, count: int) -> Attack:
    """Give that of this project, in float32 that is not rounded, for which batch norm is folded into convolutions."""
    run = ours(attack, model, eps, count)

    def unrounded(x: Tensor, y: Tensor) -> Tensor:
        with rounded_products(allowed=False):
            return run(x, y)

    return unrounded


def theirs(attack: str, model: nn.Module, eps: float, count: int) -> Attack:
    """Give that of torchattacks, where it is installed."""
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


CODES = {"lrbench": ours, "lrbench without TF32": exact, "torchattacks": theirs, "plain loop": plain}

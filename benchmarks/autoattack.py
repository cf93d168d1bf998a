"""AutoAttack's standard version beside the authors' code and torchattacks, on the same networks and images, in turns.

    git clone https://github.com/fra31/auto-attack PATH
    python -m benchmarks.autoattack --data-dir DIR [--reference PATH] [--keep FOLDER] [--rounds 5] [CASE ...]
    python -m benchmarks.autoattack --data-dir DIR [CASE ...] --beside bfloat16 fast

A case is NETWORK:RADIUS[:IMAGES], the radius in 255ths: `undefended:8 undefended:4 lr:4 pgd-trained:8:64`. The networks
are ResNet-18s of width 16 trained on 12,000 images of DIR/cifar10-jpeg for 8 epochs, plain, by PGD of three steps at
8/255, and with LR-Layers; `--keep` keeps them for the next time. Times are of the processor, so that other work on the
machine counts for less; run with OMP_NUM_THREADS=1. All have 100 steps, 9 targets and 5,000 queries: torchattacks,
whose default is 10 steps, is given them. With `--device cuda` times are the clock's, in one process, after a first
run that is not counted. Passes are images through the network, counted by hooks: forward, and backward. With
`--beside`, lrbench's standard version is set beside its own passes in bfloat16 or its fast version instead of other
codes.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.arguments import positive
from benchmarks.machine import describe
from benchmarks.passes import Passes
from lrbench.attacks import AutoAttack
from lrbench.attacks.losses import misclassified
from lrbench.data import ImageData, to_unit
from lrbench.data.folder import image_folder
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

PLAIN = {
    "epochs": 8, "batch_size": 128, "learning_rate": 0.1, "augment": {"flip": True}, "precision": "bfloat16",
}  # fmt: skip
NETWORKS = {
    "undefended": PLAIN,
    "pgd-trained": PLAIN | {"adversarial": {"eps": 8 / 255, "steps": 3}},
    "lr": PLAIN | {"warmup_accuracy": 0.3},
}
BESIDE = {"bfloat16": {"precision": "bfloat16"}, "fast": {"version": "fast"}}
CASES = ("undefended:8", "undefended:4", "lr:6", "pgd-trained:8:64")


def network(name: str, data: ImageData, keep: Path | None) -> nn.Module:
    """Train a network, or take it from where it was kept."""
    kept = keep / f"attacks-{name}.pt" if keep else None
    if kept and kept.exists():
        return torch.load(kept, weights_only=False)
    with seeded(0, deterministic=False):
        model = Classifier(resnet18(len(data.classes), data.channels, 16), *data.statistics)
        if name == "lr":
            attach_lr_layers(model, {"layer3": 256, "avgpool": 50}, lambda_1=0.01)
        model = model.to(memory_format=torch.channels_last)
        train(model, data.train, Training.model_validate(NETWORKS[name]), seed=0, statistics=data.statistics)
    if kept:
        torch.save(model.eval(), kept)
    return model.eval()


Run = Callable[[Tensor, Tensor], Tensor]


def forms(model: nn.Module, eps: float, reference: str | None, device: str) -> dict[str, Run]:
    """Give the codes, ours first."""
    import torchattacks  # noqa: PLC0415

    theirs = torchattacks.AutoAttack(model, eps=eps, n_classes=10, seed=0)
    for member in theirs._autoattack.attacks:
        if hasattr(member, "steps"):
            member.steps = 100
    found: dict[str, Run] = {"lrbench": lambda x, y: AutoAttack(eps)(model, x, y), "torchattacks": theirs}
    if reference:
        sys.path.insert(0, reference)
        from autoattack import AutoAttack as Reference  # noqa: PLC0415

        made = Reference(model, norm="Linf", eps=eps, seed=0, verbose=False, device=device)
        found["fra31/auto-attack"] = lambda x, y: made.run_standard_evaluation(x, y, bs=len(x))
    return found


def ours(model: nn.Module, eps: float, beside: list[str]) -> dict[str, Run]:
    """Give the standard version, and others of ours."""
    options = {"lrbench": {}} | {f"lrbench, {name}": BESIDE[name] for name in beside}
    return {name: lambda x, y, how=how: AutoAttack(eps, **how)(model, x, y) for name, how in options.items()}


def clock(device: str) -> float:
    """Give the processor's seconds, or the clock's once the device has done its work."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measured(run: Run, model: nn.Module, counted: Passes, x: Tensor, y: Tensor) -> tuple[float, tuple]:
    """Give seconds, and passes an image with how many images withstood."""
    counted.forward = counted.backward = 0
    start = clock(x.device.type)
    found = run(x, y)
    taken, passes = clock(x.device.type) - start, (counted.forward / len(x), counted.backward / len(x))
    with torch.no_grad():
        return taken, (passes, int((~misclassified(model(found), y)).sum()))


def alone(work: Callable[[], tuple[float, tuple]]) -> tuple[float, tuple]:
    """Work in a process of its own: what one code does to the allocator is not to help or harm the next."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=lambda: theirs.send(work()))
    process.start()
    # Else nobody would notice that the other end has none left to write to it.
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        sys.exit("error: the process that measured has failed, see above")
    finally:
        process.join()


class Case(NamedTuple):
    """A network, a radius in 255ths, and how many images, if not as many as for the others."""

    network: str
    radius: float
    images: int | None = None

    @classmethod
    def case(cls, text: str) -> "Case":
        """Read NETWORK:RADIUS[:IMAGES]."""
        name, radius, *rest = text.split(":")
        case = cls(name, float(radius), *(positive(each) for each in rest))
        if name not in NETWORKS or not 0 < case.radius <= 255:
            raise ValueError
        return case


def compared(case: Case, given: argparse.Namespace, data: ImageData) -> None:
    """Compare on a case; print a table."""
    name, eps, images = case.network, case.radius / 255, case.images or given.images
    model = network(name, data, given.keep).to(given.device, memory_format=torch.contiguous_format)
    split = data.test.balanced(images)
    x, y, counted = to_unit(split.images).to(given.device), split.labels.to(given.device), Passes(model)
    runs = ours(model, eps, given.beside) if given.beside else forms(model, eps, given.reference, given.device)
    seconds, lines = {}, {}
    if given.device != "cpu":
        for run in runs.values():
            run(x[:16], y[:16])
    for number in range(given.rounds):
        for form, run in runs.items():
            work = partial(measured, run, model, counted, x, y)
            taken, lines[form] = alone(work) if given.device == "cpu" else work()
            seconds.setdefault(form, []).append(taken)
            print(f"round {number + 1}: {form} {taken:.1f} s", file=sys.stderr, flush=True)
    with torch.no_grad():
        clean = int((~misclassified(model(x), y)).sum())
    print(
        f"\n{name}, {case.radius:g}/255, {images} images, {clean} of them classified correctly, {given.rounds} rounds\n"
    )
    taken = "processor time" if given.device == "cpu" else "time"
    print(f"| code | {taken} | against lrbench | passes an image (forward, backward) | withstood |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for form, ((forward, backward), left) in lines.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[form], seconds["lrbench"], strict=True))
        print(
            f"| {form} | {statistics.median(seconds[form]):.1f} s | {ratio:.2f} | {forward:,.0f}, {backward:,.0f} | "
            f"{left} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", type=Case.case, default=[Case.case(each) for each in CASES], metavar="CASE")
    parser.add_argument("--reference")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--images", type=positive, default=256)
    parser.add_argument("--beside", nargs="+", choices=BESIDE, default=[])
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    print(describe(given.device), f"torchattacks {version('torchattacks')}", flush=True)
    data = image_folder(Path(given.data_dir), train=12_000, test=2000, path="cifar10-jpeg")
    for case in given.cases:
        compared(case, given, data)


if __name__ == "__main__":
    main()

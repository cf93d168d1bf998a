"""AutoAttack's standard version beside the authors' code, member by member, on three networks.

    git clone https://github.com/fra31/auto-attack PATH
    python -m benchmarks.references --reference PATH --data-dir DIR [--images 256] [--norm linf l2 l1] [--out FILE]

A plain, a PGD-trained and an LR network (three convolutions) are trained on cifar10-jpeg and attacked in pixel space
at three radii in each norm. Each member of both AutoAttacks sees all images that the network classifies correctly,
and the whole standard version runs once more. A figure is the number of images that withstood, of `--images`. APGD's
random starts are the same on both sides; Square's patches cannot be, so that an image more or less is chance there. So
it is in L1, where the authors' projection leaves entries that it puts back off by rounding, and counts them as moved.
Lines go to FILE as they are found, and networks are kept beside it.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.arguments import positive
from benchmarks.machine import describe
from lrbench.attacks import Attack, AutoAttack, ascent, passes, sparse_ascent
from lrbench.attacks.geometry import least_size
from lrbench.attacks.losses import misclassified
from lrbench.data import ImageData, Split, to_unit
from lrbench.data.folder import image_folder
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.suite import Training
from lrbench.training import seeded, train

RADII = {"linf": (1 / 255, 4 / 255, 8 / 255), "l2": (0.1, 0.25, 0.5), "l1": (2.0, 5.0, 12.0)}
NAMES = {"linf": "Linf", "l2": "L2", "l1": "L1"}
PLAIN = {"epochs": 15, "batch_size": 128, "learning_rate": 0.1, "augment": {"flip": True}}
NETWORKS = {
    "plain": PLAIN,
    "pgd-trained": PLAIN | {"adversarial": {"eps": 8 / 255, "steps": 3}},
    "lr": PLAIN | {"warmup_accuracy": 0.3},
}


class Small(nn.Sequential):
    """Three convolutions with batch norm, a pool and a linear layer: as fast as 18 full evaluations need."""

    def __init__(self, channels: int, classes: int) -> None:
        layers: list[nn.Module] = []
        for width, stride in ((16, 2), (32, 2), (64, 1)):
            layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def network(name: str, data: ImageData) -> nn.Module:
    """Train one of the networks."""
    with seeded(0):
        model = Classifier(Small(data.channels, len(data.classes)), *data.statistics)
        if name == "lr":
            attach_lr_layers(model, {"net.8": 64, "net.9": 10}, lambda_1=0.01)
        train(model, data.train, Training.model_validate(NETWORKS[name]), seed=0, statistics=data.statistics)
    return model.eval()


class Shared:
    """Random numbers as the authors' code draws them: one generator, seeded before each attack, for the whole batch."""

    def __init__(self, x: Tensor, *_: object) -> None:
        self.x = x

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(len(self.x), *shape)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(len(self.x), *shape)


class Staged(Shared):
    """The same for L1, where the authors' code also draws at each of three stages what it does not use."""

    def normal(self, *shape: int) -> Tensor:
        drawn, *_ = [super(Staged, self).normal(*shape) for _ in range(4)]
        return drawn


def seeded_member(member: Attack) -> Attack:
    """Seed torch's generator before a member begins, as the authors' code does."""
    run = member.run

    def begin(*given: object) -> Tensor:
        torch.manual_seed(0)
        return run(*given)

    member.run = begin
    return member


def reference(path: str) -> type:
    """Give the authors' AutoAttack."""
    if not (Path(path) / "autoattack").is_dir():
        sys.exit(
            f"error: --reference {path} is no clone of https://github.com/fra31/auto-attack: it has no autoattack/"
        )
    sys.path.insert(0, path)
    from autoattack import AutoAttack as Theirs  # noqa: PLC0415

    return Theirs


def withstood(model: nn.Module, x_adv: Tensor, x: Tensor, y: Tensor, eps: float, norm: str) -> int:
    """Count the images that were classified correctly and still are; refuse points that left the ball."""
    beyond = (least_size(x_adv, x, norm) - eps).max().item()
    # The authors' code sums in float32, which leaves its points up to 1e-6 outside in L2 and up to 1e-4 in L1.
    if beyond > (1e-4 if norm == "l1" else 2e-6):
        msg = f"a point lies {beyond:.2g} outside the ball of radius {eps:.4g}"
        raise ValueError(msg)
    with torch.no_grad():
        return int((~misclassified(model(x_adv), y) & ~misclassified(model(x), y)).sum())


def ours(model: nn.Module, x: Tensor, y: Tensor, eps: float, norm: str) -> Iterator[tuple[str, Tensor]]:
    """Attack with each member on its own, as AutoAttack does, and with all of them."""
    whole, alone = AutoAttack(eps, norm=norm), AutoAttack(eps, norm=norm)
    for name, member in whole.members.items():
        alone.members = {name: seeded_member(member)}
        yield name, alone(model, x, y)
    yield "standard", whole(model, x, y)


def theirs(made: type, model: nn.Module, x: Tensor, y: Tensor, eps: float, norm: str) -> Iterator[tuple[str, Tensor]]:
    """Attack with the authors' code in the same ways."""
    common = {"norm": NAMES[norm], "eps": eps, "device": "cpu", "seed": 0, "verbose": False}
    for name in ("apgd-ce", "apgd-t", "fab-t", "square"):
        alone = made(model, version="standard", **common)
        alone.attacks_to_run = [name]
        yield name, alone.run_standard_evaluation(x, y, bs=len(x))
    yield "standard", made(model, version="standard", **common).run_standard_evaluation(x, y, bs=len(x))


def timed(found: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor, float]]:
    """Add the processor's seconds that each took."""
    while True:
        start = time.process_time()
        each = next(found, None)
        if each is None:
            return
        yield *each, time.process_time() - start


def compared(made: type, name: str, model: nn.Module, split: Split, norms: list[str], out: Path) -> None:
    """Compare on one network; keep and print a line for each radius and member."""
    x, y = to_unit(split.images), split.labels
    with torch.no_grad():
        clean = int((~misclassified(model(x), y)).sum())
    for norm, eps in [(each, radius) for each in norms for radius in RADII[each]]:
        pairs = zip(timed(ours(model, x, y, eps, norm)), timed(theirs(made, model, x, y, eps, norm)), strict=True)
        for (member, own, own_seconds), (_, other, seconds) in pairs:
            line = {
                "network": name, "clean": clean, "norm": norm, "eps": eps, "member": member,
                "lrbench": withstood(model, own, x, y, eps, norm),
                "reference": withstood(model, other, x, y, eps, norm),
                "lrbench_seconds": round(own_seconds, 1), "reference_seconds": round(seconds, 1),
            }  # fmt: skip
            print(json.dumps(line), flush=True)
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")


def table(lines: list[dict]) -> str:
    """Write the lines as a table: a row for each network and radius, ours / theirs for each member."""
    members = list(dict.fromkeys(line["member"] for line in lines))
    found = ["| network | clean | norm | eps | " + " | ".join(members) + " |", "| --- " * (4 + len(members)) + "|"]
    for key in dict.fromkeys((line["network"], line["clean"], line["norm"], line["eps"]) for line in lines):
        mine = {x["member"]: x for x in lines if (x["network"], x["clean"], x["norm"], x["eps"]) == key}
        eps = f"{255 * key[3]:.4g}/255" if key[2] == "linf" else f"{key[3]:g}"
        cells = [f"{mine[m]['lrbench']} / {mine[m]['reference']}" if m in mine else "" for m in members]
        found.append(f"| {key[0]} | {key[1]} | {NAMES[key[2]]} | {eps} | {' | '.join(cells)} |")
    return "\n".join(found)


def arguments(images: int, out: str) -> argparse.ArgumentParser:
    """Give the arguments of a benchmark on these networks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--images", type=positive, default=images)
    parser.add_argument("--train", type=positive, default=20_000)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--out", type=Path, default=Path(out))
    return parser


def networks(given: argparse.Namespace, data: ImageData) -> Iterator[tuple[str, nn.Module]]:
    """Give the networks that are asked for; they are kept beside the lines, and read from there."""
    for name in given.networks:
        kept = given.out.with_name(f"{given.out.stem}-{name}.pt")
        model = torch.load(kept, weights_only=False) if kept.exists() else network(name, data)
        torch.save(model, kept)
        yield name, model


def main() -> None:
    parser = arguments(256, "references.jsonl")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--norm", nargs="*", choices=RADII, default=list(RADII))
    given = parser.parse_args()
    made = reference(given.reference)
    print(describe())
    data = image_folder(Path(given.data_dir), train=given.train, test=max(2000, given.images), path="cifar10-jpeg")
    # Half of the numbers drawn would be for other images if memory were short and batches halved; 256 images fit.
    ascent.Noise = Shared
    sparse_ascent.Noise = Staged
    # All images begin a run together, as they do in the authors' code.
    passes.PACES["cpu"] = passes.Pace(width=given.images, full=0, every=1)
    for name, model in networks(given, data):
        compared(made, name, model, data.test.balanced(given.images), given.norm, given.out)
    print(table([json.loads(line) for line in given.out.read_text().splitlines()]))


if __name__ == "__main__":
    main()

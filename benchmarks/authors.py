"""The authors' AutoAttack on the networks of a run: on the images that ours left, or again on those that ours missed.

    git clone https://github.com/fra31/auto-attack PATH
    python -m benchmarks.authors RUN left MODEL@SEED ... --reference PATH --data-dir DIR [--eps 8/255]
    python -m benchmarks.authors RUN missed [MODEL@SEED:IMAGE ...] --reference PATH --data-dir DIR [--draws 40]

RUN is a run's folder, or that of a published board with weights. `left`: which of the images that are right in the
worst case over the run's attacks the authors' code fools, with all its members or those of `--members`. `missed`: both
codes attack one image alone with as many seeds as there are draws, and how many of these fool it says whether that the
run missed it was the luck of its random numbers; the images are those that are named, or all that standard AutoAttack
leaves in the run and another of its attacks fools. Linf only. Where the run attacks normalised images, which are
clipped to no range, the authors' code, which always clips to [0, 1], sees them scaled so that no clipping binds.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.arguments import positive
from benchmarks.machine import describe
from benchmarks.references import reference
from lrbench import load_data, load_model
from lrbench.attacks import AutoAttack, NormalizedSpace
from lrbench.attacks.losses import misclassified
from lrbench.errors import LrbenchError, UsageError
from lrbench.leaderboard.layout import labels
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.said import other_than_standard
from lrbench.names import WORST

STANDARD = ["apgd-ce", "apgd-t", "fab-t", "square"]
ROUNDING = 1e-6
"""How far outside the ball rounding may leave a point, of images in [0, 1], whose float32 numbers lie 6e-8 apart."""


class Named(NamedTuple):
    """A network of a run, and one of the attacked images, if any."""

    model: str
    seed: int
    image: int | None = None

    @classmethod
    def named(cls, text: str) -> "Named":
        """Read MODEL@SEED or MODEL@SEED:IMAGE."""
        if (parts := re.fullmatch(r"(.+)@(\d+)(?::(\d+))?", text, re.ASCII)) is None:
            msg = f"expected MODEL@SEED or MODEL@SEED:IMAGE, got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return cls(parts[1], *(int(each) for each in parts.groups()[1:] if each))

    def __str__(self) -> str:
        return f"{self.model}@{self.seed}" + ("" if self.image is None else f":{self.image}")


class Scaled(nn.Module):
    """A network of normalised images, as one of images in [0, 1] all of which lie a radius or more from both ends."""

    def __init__(self, model: nn.Module, low: float, scale: float) -> None:
        super().__init__()
        self.model, self.low, self.scale = model, low, scale

    def encode(self, z: Tensor) -> Tensor:
        return (z - self.low) * self.scale

    def forward(self, u: Tensor) -> Tensor:
        return self.model(u / self.scale + self.low)


class Attacked(NamedTuple):
    """What is attacked: a network, its images and radius, as our code sees them and as the authors' does."""

    ours: tuple[nn.Module, Tensor, float]
    theirs: tuple[nn.Module, Tensor, float]
    y: Tensor


def as_both_see(model: nn.Module, x: Tensor, y: Tensor, eps: float, statistics: tuple | None) -> Attacked:
    """Give a network and images in [0, 1] as both codes see them; `statistics` if normalised images are attacked."""
    if statistics is None:
        return Attacked((model, x, eps), (model, x, eps), y)
    space = NormalizedSpace(model, *statistics).eval()
    z = space.encode(x)
    low = float(z.min()) - eps
    scaled = Scaled(space, low, 1 / (float(z.max()) + eps - low)).eval()
    return Attacked((space, z, eps), (scaled, scaled.encode(z), eps * scaled.scale), y)


def statistics_of(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel."""
    wide = images.double().transpose(0, 1).flatten(1)
    return wide.mean(1).tolist(), wide.std(1, correction=0).tolist()


def lrbench_attack(attacked: Attacked, rows: Tensor, seed: int) -> Tensor:
    """Say which rows our standard version fools."""
    model, x, eps = attacked.ours
    bounds = None if isinstance(model, NormalizedSpace) else (0.0, 1.0)
    return fooled(model, AutoAttack(eps, seed=seed, bounds=bounds)(model, x[rows], attacked.y[rows]), attacked, rows)


def authors_attack(made: type, attacked: Attacked, rows: Tensor, seed: int, members: list[str]) -> Tensor:
    """Say which rows the authors' code fools."""
    model, x, eps = attacked.theirs
    attack = made(model, norm="Linf", eps=eps, version="standard", device="cpu", verbose=False, seed=seed)
    attack.attacks_to_run = members
    found = attack.run_standard_evaluation(x[rows], attacked.y[rows], bs=min(60, len(rows)))
    if (beyond := float((found - x[rows]).abs().max()) - eps) > ROUNDING:
        msg = f"a point lies {beyond:.2g} outside the ball of radius {eps:.4g}"
        raise ValueError(msg)
    return fooled(model, found, attacked, rows)


def fooled(model: nn.Module, found: Tensor, attacked: Attacked, rows: Tensor) -> Tensor:
    """Say of which rows the points that were found are misclassified."""
    with torch.no_grad():
        return misclassified(model(found), attacked.y[rows])


def require_right(network: Named, attacked: Attacked, rows: Tensor) -> None:
    """Refuse images that are misclassified as they are: no attack would be needed there."""
    for model, x, _ in (attacked.ours, attacked.theirs) if len(rows) else ():
        if wrong := rows[fooled(model, x[rows], attacked, rows)].tolist():
            msg = f"{network}: misclassified without an attack: image {', '.join(map(str, wrong))}"
            raise UsageError(msg)


def standard(suite: dict) -> str:
    """Give the label of the suite's standard AutoAttack."""
    attacks = zip(labels(suite), suite["attacks"], strict=True)
    found = [label for label, each in attacks if each["name"] == "autoattack" and not other_than_standard(each)]
    if not found:
        msg = f"{suite['name']} has no standard AutoAttack (100 steps, 9 targets, 5,000 queries), which could miss any"
        raise UsageError(msg)
    return found[0]


def missed(run: Run, eps: float) -> Iterator[Named]:
    """Give the images of all networks that standard AutoAttack leaves and another of the run's attacks fools."""
    label = standard(run.board.suite)
    for model in run.models:
        for seed in run.seeds(model):
            wrong = run.wrong(model, seed)
            if (label, eps) not in wrong:
                msg = f"{label} did not run on {model}@{seed} at {255 * eps:.4g}/255; give --eps"
                raise UsageError(msg)
            left = wrong[WORST, eps] & ~wrong[label, eps]
            yield from (Named(model, seed, int(image)) for image in left.nonzero()[0])


def left(run: Run, network: Named, eps: float) -> Tensor:
    """Give the images that a network gets right in the worst case over the run's attacks."""
    return torch.from_numpy(~run.wrong(network.model, network.seed)[WORST, eps]).nonzero().squeeze(1)


def radius(known: list[float], asked: Fraction | None) -> float:
    """Give the run's radius that is asked for, or its largest."""
    found = [each for each in known if asked is None or math.isclose(each, asked, rel_tol=1e-6)]
    if not found:
        msg = f"the run has no radius {asked}; it has {', '.join(f'{255 * each:.4g}/255' for each in known)}"
        raise UsageError(msg)
    return max(found)


def drawn(attack: Callable[[int], Tensor], draws: int) -> int:
    """Count the seeds with which an attack fools the one image that it is given."""
    return sum(int(attack(seed).sum()) for seed in range(draws))


def arguments() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("what", choices=["left", "missed"])
    parser.add_argument("networks", nargs="*", type=Named.named, metavar="MODEL@SEED[:IMAGE]")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--eps", type=Fraction, help="one of the run's radii; default: its largest")
    parser.add_argument("--members", nargs="+", choices=STANDARD)
    parser.add_argument("--draws", type=positive, default=40)
    given = parser.parse_args()
    if any((each.image is None) is (given.what == "missed") for each in given.networks):
        parser.error("left takes MODEL@SEED, missed MODEL@SEED:IMAGE")
    if given.what == "left" and not given.networks:
        parser.error("left takes at least one MODEL@SEED")
    if given.what == "missed" and given.members:
        parser.error("--members goes with left: draws are of the whole standard version")
    return given


def asked_of_left(given: argparse.Namespace, run: Run, made: type, network: Named, attacked: Attacked) -> str:
    """Run the authors' code on what a network has left, and say what it fools."""
    rows = left(run, network, radius(run.board.suite["threat_model"]["eps"], given.eps))
    require_right(network, attacked, rows)
    members = given.members or STANDARD
    theirs = rows[authors_attack(made, attacked, rows, 0, members)].tolist() if len(rows) else []
    return f"{network}: {len(rows)} left, of which the authors' {', '.join(members)} fool {theirs}"


def asked_of_missed(given: argparse.Namespace, made: type, network: Named, attacked: Attacked) -> str:
    """Draw both codes' standard versions on one image, and say how often each fools it."""
    if network.image >= len(attacked.y):
        msg = f"{network}: the run attacked {len(attacked.y)} images, the first of which is 0"
        raise UsageError(msg)
    rows = torch.tensor([network.image])
    require_right(network, attacked, rows)
    ours = drawn(partial(lrbench_attack, attacked, rows), given.draws)
    theirs = drawn(lambda seed: authors_attack(made, attacked, rows, seed, STANDARD), given.draws)
    return f"{network}: fooled in {ours} of {given.draws} draws, by the authors' code in {theirs}"


def compared(given: argparse.Namespace) -> None:
    """Print what is asked."""
    run, made = Run.open(given.run), reference(given.reference)
    threat = run.board.suite["threat_model"]
    if threat["norm"] != "linf":
        msg = f"{given.run} is in {threat['norm']}; this compares in linf alone"
        raise UsageError(msg)
    eps = radius(threat["eps"], given.eps)
    x, y = load_data(given.run, "attacked", given.data_dir)
    statistics = statistics_of(load_data(given.run, "train", given.data_dir)[0]) if threat["space"] != "pixel" else None
    print(describe(), flush=True)
    for each in given.networks or missed(run, eps):
        attacked = as_both_see(load_model(given.run, each.model, each.seed), x, y, eps, statistics)
        if given.what == "left":
            print(asked_of_left(given, run, made, each, attacked), flush=True)
        else:
            print(asked_of_missed(given, made, each, attacked), flush=True)


def main() -> None:
    try:
        compared(arguments())
    except LrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

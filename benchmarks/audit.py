"""What the audit of a claim says of networks with sound gradients, and of the same ones with their gradients hidden.

    python -m benchmarks.audit --data-dir DIR [--images 60] [--networks plain pgd-trained single-step] [--out FILE]

The plain and the PGD-trained network of `benchmarks.references`, one trained against single steps (FGSM, no random
start) until it withstands these alone, and forms of them that hide gradients, one way each: none of them is among the
networks on which the audit's thresholds were chosen. Audits have less effort than `lrbench audit` (`EFFORT`). A verdict
is right if an honest network has a clean bill, and if of one that hides gradients the cause is one of those named here;
where other attacks find no more than is usual there is nothing to explain, and a clean bill is right, too. Lines go to
FILE, each with all rungs, as they are found; what is in it is not climbed again, but judged anew. Networks are kept
beside it. Behind "clean, but" stands what was measured although other attacks find little more.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.arguments import positive
from benchmarks.machine import describe
from benchmarks.references import network
from lrbench.attacks import FGSM
from lrbench.data import ImageData, Split, to_unit
from lrbench.data.folder import image_folder
from lrbench.data.sources import fashion_mnist
from lrbench.diagnostics.claims import Audit, Effort, audit
from lrbench.models import Classifier
from lrbench.regularizers.mean_sparse import MeanSparse, MeanSparseOptions
from lrbench.training import seeded

NETWORKS = ("plain", "pgd-trained", "single-step")
SMALL = 0.05
"""Share of the images up to which nothing has to be explained."""

EFFORT = Effort(longer=3, least=30, apgd_steps=20, restarts=3, targets=3, queries=100, averaged=16)
ENSEMBLE = "autoattack, version fast, steps 20, targets 3, queries 100, 8/255"


class Changed(nn.Module):
    """A network with something done to its images and its logits.

    Parameters
    ----------
    net : nn.Module
    before, after : callable
    """

    def __init__(
        self, net: nn.Module, before: Callable[[Tensor], Tensor] | None = None, after: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.net, self.before, self.after = net, before or nn.Identity(), after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.net(self.before(x)))


class Scaled(nn.Module):
    """Logits times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return self.factor * logits


class Sigmoid(nn.Module):
    """Logits between 0 and 1, of which most are near either."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * logits)


class Winners(nn.Module):
    """k-winners-take-all (Xiao, Zhong and Zheng, 2020): of an image's activations the largest pass, others are 0."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        least = flat.topk(int(self.share * flat.shape[1]), dim=1).values[:, -1:]
        return torch.where(flat >= least, flat, 0.0).view_as(x)


class HalfDetached(nn.Module):
    """Gradients reach only every other channel."""

    def forward(self, x: Tensor) -> Tensor:
        passing = torch.arange(x.shape[1], device=x.device).view(-1, 1, 1) % 2 == 0
        return torch.where(passing, x, x.detach())


def quantised(levels: int, *, straight: bool = False) -> Callable[[Tensor], Tensor]:
    """Round images to so many levels."""

    def rounded(x: Tensor) -> Tensor:
        found = (x * (levels - 1)).round() / (levels - 1)
        return x + (found - x).detach() if straight else found

    return rounded


def jpeg_like(x: Tensor, step: float = 0.1) -> Tensor:
    """Round the coefficients of a cosine transform in blocks of 8 x 8, coarser for higher frequencies."""
    at = torch.arange(8, dtype=x.dtype)
    basis = torch.cos(torch.pi / 8 * (at[None, :] + 0.5) * at[:, None]) / 2
    basis[0] /= 2**0.5
    steps = step * (1 + at[:, None] + at[None, :])
    n, channels, height, width = x.shape
    blocks = x.view(n, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    found = basis.T @ ((basis @ blocks @ basis.T / steps).round() * steps) @ basis
    return found.transpose(3, 4).reshape(x.shape).clamp(0, 1)


def behind(net: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Put a module behind another one in a copy of a network."""
    copied = copy.deepcopy(net)
    outer, _, inner = name.rpartition(".")
    parent = copied.get_submodule(outer)
    setattr(parent, inner, nn.Sequential(parent.get_submodule(inner), module))
    return copied


def mean_sparse(net: nn.Module, train: Split, threshold: float) -> nn.Module:
    """Make features sparse behind each batch norm, as measured on training images."""
    copied, regularizer = copy.deepcopy(net), MeanSparse(MeanSparseOptions(threshold=threshold))
    regularizer.attach(copied)
    regularizer.fit(copied, train)
    return copied


@dataclass(frozen=True)
class Form:
    """A network that hides its gradients in some way, and the causes that may be named for it; none if it is honest."""

    make: Callable[[nn.Module, Split], nn.Module]
    causes: frozenset[str] = frozenset()


def _form(make: Callable[[nn.Module, Split], nn.Module], *causes: str) -> Form:
    return Form(make, frozenset(causes))


FORMS = {
    "as trained": _form(lambda net, _: net),
    "logits / 1,000": _form(lambda net, _: Changed(net, after=Scaled(1e-3)), "uniform"),
    "8 levels, straight-through": _form(lambda net, _: Changed(net, quantised(8, straight=True)), "jumping"),
    "16 levels, straight-through": _form(lambda net, _: Changed(net, quantised(16, straight=True)), "jumping"),
    "logits x 100": _form(lambda net, _: Changed(net, after=Scaled(100)), "saturated"),
    "logits x 10,000": _form(lambda net, _: Changed(net, after=Scaled(1e4)), "saturated"),
    "softmax(100 logits)": _form(
        lambda net, _: Changed(net, after=nn.Sequential(Scaled(100), nn.Softmax(1))), "saturated", "vanishing"
    ),
    "sigmoid(30 logits)": _form(lambda net, _: Changed(net, after=Sigmoid(30)), "saturated", "vanishing"),
    "8 levels": _form(lambda net, _: Changed(net, quantised(8)), "vanishing"),
    "16 levels": _form(lambda net, _: Changed(net, quantised(16)), "vanishing"),
    "JPEG-like": _form(lambda net, _: Changed(net, jpeg_like), "vanishing"),
    "noise 0.05": _form(lambda net, _: Changed(net, lambda x: x + 0.05 * torch.randn_like(x)), "noisy"),
    "noise 0.2": _form(lambda net, _: Changed(net, lambda x: x + 0.2 * torch.randn_like(x)), "noisy"),
    "winners 0.3": _form(lambda net, _: behind(net, "net.8", Winners(0.3)), "jumping"),
    "half detached": _form(lambda net, _: behind(net, "net.2", HalfDetached()), "jumping"),
    "all detached": _form(lambda net, _: Changed(net, lambda x: x.detach()), "vanishing"),
    "8 levels, straight-through, and logits x 10,000": _form(
        lambda net, _: Changed(net, quantised(8, straight=True), Scaled(1e4)), "saturated"
    ),
    "noise 0.05 and logits x 10,000": _form(
        lambda net, _: Changed(net, lambda x: x + 0.05 * torch.randn_like(x), Scaled(1e4)), "noisy", "saturated"
    ),
    "MeanSparse 0.2": _form(lambda net, train: mean_sparse(net, train, 0.2), "jumping"),
    "MeanSparse 0.5": _form(lambda net, train: mean_sparse(net, train, 0.5), "jumping"),
    "MeanSparse 1": _form(lambda net, train: mean_sparse(net, train, 1.0), "jumping"),
}


def cases() -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Give network, form, claim and the causes that may be named."""
    for name in ("plain", "pgd-trained"):
        for claim in (*(f"pgd, steps 10, {eps}/255" for eps in (2, 8, 16)), "pgd, steps 10, 0.25, norm l2"):
            yield name, "as trained", claim, frozenset()
    for form, made in FORMS.items():
        if form != "as trained":
            yield "plain", form, "pgd, steps 10, 2/255", made.causes
            yield "pgd-trained", form, "pgd, steps 10, 8/255", made.causes
    for form in ("as trained", "logits x 100", "16 levels", "half detached"):
        yield "pgd-trained", form, "pgd, steps 10, 0.5, norm l2", FORMS[form].causes
    for form in ("as trained", "MeanSparse 0.2", "MeanSparse 0.5", "MeanSparse 1"):
        yield "pgd-trained", form, ENSEMBLE, FORMS[form].causes
    yield "pgd-trained", "as trained", "fgsm, 8/255", frozenset()
    yield "single-step", "as trained", "fgsm, 64/255", frozenset(("single-step",))
    yield "single-step", "as trained", "pgd, steps 20, 64/255", frozenset()


def single_step(data: ImageData, eps: float = 64 / 255, epochs: int = 7) -> nn.Module:
    """Train against FGSM without a random start until the network withstands that alone (catastrophic overfitting)."""
    with seeded(0):
        layers: list[nn.Module] = []
        for given, width in ((data.channels, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(given, width, 3, 2, 1), nn.ReLU()]
        model = Classifier(nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 10)), *data.statistics)
        optimiser, x, y = torch.optim.Adam(model.parameters(), 3e-3), to_unit(data.train.images), data.train.labels
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(64):
                seen = FGSM(eps)(model, x[rows], y[rows])
                optimiser.zero_grad()
                functional.cross_entropy(model.train()(seen), y[rows]).backward()
                optimiser.step()
    return model.eval()


def networks(given: argparse.Namespace) -> dict[str, tuple[nn.Module, ImageData]]:
    """Give the networks with their data; they are kept beside the lines, and read from there."""
    root, found = Path(given.data_dir), {}
    photographs = image_folder(root, train=given.train, test=2000, path="cifar10-jpeg")
    for name in given.networks:
        data = fashion_mnist(root, train=10_000, test=2000) if name == "single-step" else photographs
        kept = given.out.with_name(f"{given.out.stem}-{name}.pt")
        if not kept.exists():
            torch.save(single_step(data) if name == "single-step" else network(name, data), kept)
        found[name] = torch.load(kept, weights_only=False).eval(), data
    return found


def right(found: Audit, causes: frozenset[str]) -> bool:
    """Say whether a verdict is one of those that were to be given."""
    verdict = found.verdict
    unmasked = verdict.bill in {"clean", "nothing left"}
    return (not causes or verdict.gap <= SMALL) if unmasked else verdict.cause in causes


def row(name: str, form: str, found: Audit, causes: frozenset[str]) -> str:
    """Write a row of the table."""
    verdict = found.verdict
    said = ", but ".join(each for each in (verdict.bill, verdict.cause) if each)
    if verdict.bill in {"masked", "weak attack"}:
        said = f"{verdict.bill}: {verdict.cause}, by `{verdict.rung}`"
    left = f"{100 * found.own.value:.0f} | {100 * found.left.value:.0f}"
    wanted, is_right = " or ".join(sorted(causes)) or "clean", "yes" if right(found, causes) else "**no**"
    return f"| {name} | {form} | {found.claim.label} | {left} | {said} | {wanted} | {is_right} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--images", type=positive, default=60)
    parser.add_argument("--train", type=positive, default=20_000)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--out", type=Path, default=Path("audit.jsonl"))
    given = parser.parse_args()
    print(describe())
    known = {}
    if given.out.exists():
        known = {line["case"]: line["rungs"] for line in map(json.loads, given.out.read_text().splitlines())}
    made, verdicts = networks(given), []
    print("| network | form | claim | own, % | left, % | verdict | to be named | right |")
    print("| --- | --- | --- | ---: | ---: | --- | --- | --- |")
    for name, form, claim, causes in cases():
        if name not in made:
            continue
        net, data = made[name]
        torch.manual_seed(0)
        model, split = FORMS[form].make(net, data.train).eval(), data.test.balanced(given.images)
        case = f"{name} | {form} | {claim} | {given.images}"
        rungs: dict[str, Any] = {}
        found = audit(
            model, to_unit(split.images), split.labels, claim,
            effort=EFFORT, known=known.get(case, {}), keep=rungs.__setitem__,
        )  # fmt: skip
        if case not in known:
            with given.out.open("a") as file:
                file.write(json.dumps({"case": case, "rungs": rungs}) + "\n")
        verdicts.append(right(found, causes))
        print(row(name, form, found, causes), flush=True)
    print(f"\n{sum(verdicts)} of {len(verdicts)} right")


if __name__ == "__main__":
    main()

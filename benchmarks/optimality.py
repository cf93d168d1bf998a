"""Optimality of lrbench's attacks and of the same attacks of other libraries, on the same networks and images.

    python -m benchmarks.optimality --data-dir DIR [--images 64] [--networks plain pgd-trained lr] [--out FILE]

The networks of `benchmarks.references` in pixel space, in Linf and L2. Optimality as AttackBench defines it (arXiv
2404.19460): the area under an attack's curve of success against radius, over that of the best of all attacks here of
each image, up to the radius at which none is left; of images that are classified correctly. An attack that keeps to a
radius runs at eight, at which equal shares of the images fall to the searches for the smallest perturbation, and an
image's size is the smallest of them at which it is fooled. Options that name the same thing are the same in all
libraries, the others are each library's defaults. Passes are counted on the model. ART's Carlini-Wagner is left out: it
takes six seconds an image here, and misses half of the images with the options that the others have. Lines go to FILE
once a network's attacks in a norm are through, and what is in it already is not measured again.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.machine import describe
from benchmarks.references import arguments, networks
from lrbench.attacks import APGD, DDN, FAB, FMN, CarliniWagner, DeepFool, TargetedAPGD
from lrbench.attacks.counting import counted
from lrbench.attacks.external import factory_of
from lrbench.attacks.geometry import least_size
from lrbench.attacks.losses import misclassified
from lrbench.attacks.prepared import prepared
from lrbench.data import to_unit
from lrbench.data.folder import image_folder

STEPS = 100
SEARCHES = 5
RADII = 8
BATCH = 256
"""Of ART, whose attacks take one image at a time by themselves."""
WIDE = {"linf": 0.3, "l2": 5.0}
"""A radius for what asks for one and looks for the smallest perturbation."""

Made = Callable[..., Any]


def minimal(norm: str) -> Iterator[tuple[str, str, Made]]:
    """Give family, library and constructor of searches for the smallest perturbation."""
    yield "FMN", "lrbench", lambda: FMN(norm, STEPS)
    yield "FMN", "foolbox", external(f"foolbox:{'LInf' if norm == 'linf' else 'L2'}FMNAttack", norm, steps=STEPS)
    yield "FMN", "adv-lib", external("adv-lib:fmn", norm, steps=STEPS)
    yield "FAB", "lrbench", lambda: FAB(norm, STEPS, targeted=False)
    yield "FAB", "torchattacks", external("torchattacks:FAB", norm, eps=WIDE[norm], steps=STEPS, multi_targeted=False)
    yield "FAB", "adv-lib", external("adv-lib:fab", norm, n_iter=STEPS)
    yield "FAB, targeted", "lrbench", lambda: FAB(norm, STEPS)
    yield (
        "FAB, targeted",
        "torchattacks",
        external("torchattacks:FAB", norm, eps=WIDE[norm], steps=STEPS, multi_targeted=True),
    )
    yield "DeepFool", "lrbench", lambda: DeepFool(norm)
    deepfool = f"foolbox:{'Linf' if norm == 'linf' else 'L2'}DeepFoolAttack"
    yield "DeepFool", "foolbox", external(deepfool, norm, steps=50, candidates=10)
    yield "DeepFool", "adv-lib", external("adv-lib:df", norm, steps=50)
    if norm == "l2":
        yield "DeepFool", "torchattacks", external("torchattacks:DeepFool", norm, steps=50)
        yield "DeepFool", "ART", external("art:DeepFool", norm, max_iter=50, batch_size=BATCH)
        yield "DDN", "lrbench", lambda: DDN(STEPS)
        yield "DDN", "foolbox", external("foolbox:DDNAttack", norm, steps=STEPS)
        yield "DDN", "adv-lib", external("adv-lib:ddn", norm, steps=STEPS)
        yield "Carlini-Wagner", "lrbench", lambda: CarliniWagner(STEPS, SEARCHES)
        cw = {"binary_search_steps": SEARCHES}
        yield "Carlini-Wagner", "foolbox", external("foolbox:L2CarliniWagnerAttack", norm, steps=STEPS, **cw)
        more = {"max_iterations": STEPS} | cw
        yield "Carlini-Wagner", "adv-lib", external("adv-lib:carlini_wagner_l2", norm, **more)
        yield "Carlini-Wagner, c = 1", "lrbench", lambda: CarliniWagner(STEPS, 1, initial_const=1.0)
        yield "Carlini-Wagner, c = 1", "torchattacks", external("torchattacks:CW", norm, c=1.0, steps=STEPS)


def bounded(norm: str) -> Iterator[tuple[str, str, Made]]:
    """Give those that keep to a radius; their constructors take it."""
    yield "APGD", "lrbench", lambda eps: APGD(eps, STEPS, norm=norm)
    yield "APGD", "torchattacks", external("torchattacks:APGD", norm, steps=STEPS)
    art = {"max_iter": STEPS, "nb_random_init": 1, "loss_type": "cross_entropy", "batch_size": BATCH}
    yield "APGD", "ART", external("art:AutoProjectedGradientDescent", norm, **art)
    yield "APGD", "adv-lib", external("adv-lib:apgd", norm, n_iter=STEPS, loss_function="ce")
    yield "APGD, targeted", "lrbench", lambda eps: TargetedAPGD(eps, STEPS, norm=norm)
    yield "APGD, targeted", "torchattacks", external("torchattacks:APGDT", norm, steps=STEPS)
    yield "APGD, targeted", "adv-lib", external("adv-lib:apgd_targeted", norm, n_iter=STEPS)


def external(name: str, norm: str, **options: Any) -> Made:
    """Give the constructor of another library's attack; ART's APGD is given steps for the radius."""

    def made(eps: float = options.pop("eps", 0.0)) -> Any:
        more = {"eps_step": eps / 10} if name == "art:AutoProjectedGradientDescent" else {}
        more |= {"norm": norm} if name.startswith(("art:", "torchattacks:", "adv-lib:")) or eps else {}
        return factory_of(name)(**({"eps": eps} if eps else {}), **more, **options)

    return made


def spent(attack: Any, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Attack; give the images, and passes and processor time an image."""
    with counted() as count:
        start = time.process_time()
        found = attack(model, x, y)
        seconds = time.process_time() - start
    each = count.each(len(x))
    return found, {"forward": each.forward, "backward": each.backward, "ms": 1000 * seconds / len(x)}


def sizes(model: nn.Module, found: Tensor, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Give the size of each perturbation, inf where the model is right."""
    with torch.no_grad():
        wrong = misclassified(model(found), y)
    return torch.where(wrong, least_size(found, x, norm), torch.inf)


def at_radii(made: Made, model: nn.Module, x: Tensor, y: Tensor, norm: str, radii: list[float]) -> tuple[Tensor, dict]:
    """Give the smallest radius at which each image is fooled, and what it took over all of them."""
    size, total = (
        torch.full((len(x),), torch.inf, dtype=torch.float64),
        dict.fromkeys(("forward", "backward", "ms"), 0.0),
    )
    for eps in reversed(radii):
        found, taken = spent(made(eps), model, x, y)
        size = torch.where(sizes(model, found, x, y, norm) <= eps, eps, size)
        total = {name: total[name] + taken[name] for name in total}
    return size, total


def measured(name: str, model: nn.Module, x: Tensor, y: Tensor, norm: str, out: Path) -> None:
    """Measure all attacks in a norm; print and keep a line each."""
    rows: list[tuple[str, str, Tensor, dict]] = []
    with prepared(model, x) as fast:
        for family, library, made in minimal(norm):
            found, taken = spent(made(), fast, x, y)
            rows.append((family, library, sizes(model, found, x, y, norm), taken))
        best = torch.stack([size for _, _, size, _ in rows]).amin(dim=0)
        shares = (torch.arange(RADII, dtype=torch.float64) + 1) / RADII
        radii = best[best.isfinite()].quantile(shares).tolist()
        for family, library, made in bounded(norm):
            rows.append((family, library, *at_radii(made, fast, x, y, norm, radii)))
    best = torch.stack([size for _, _, size, _ in rows]).amin(dim=0)
    end = best[best.isfinite()].max()
    area, lines = (end - best).clamp_min(0).mean(), []
    for family, library, size, taken in rows:
        optimality = ((end - size).clamp_min(0).mean() / area).item()
        line = {"network": name, "norm": norm, "attack": family, "library": library, "n": len(x)}
        line |= {"optimality": optimality, "median": size.median().item(), **taken}
        print(json.dumps(line), flush=True)
        lines.append(json.dumps(line) + "\n")
    # In one piece: half of a network's attacks would be taken for all of them.
    with out.open("a") as file:
        file.write("".join(lines))


def lines_in(out: Path) -> list[dict]:
    """Give what was measured; a line that was not written to its end was not."""
    lines = out.read_text().splitlines(keepends=True) if out.exists() else []
    if lines and not lines[-1].endswith("\n"):
        out.write_text("".join(lines[:-1]))
    return [json.loads(line) for line in lines if line.endswith("\n")]


def table(lines: list[dict]) -> str:
    """Write optimality in percent: a row for each attack and library, a column for each network and norm."""
    places = list(dict.fromkeys((line["network"], line["norm"], line["n"]) for line in lines))
    found = ["| attack | library | " + " | ".join(f"{name}, {norm}, n = {n}" for name, norm, n in places) + " |"]
    found.append("| --- | --- |" + " ---: |" * len(places))
    for key in sorted({(line["attack"], line["library"] != "lrbench", line["library"]) for line in lines}):
        mine = [line for line in lines if (line["attack"], line["library"]) == key[::2]]
        own = {(line["network"], line["norm"], line["n"]): line for line in mine}
        cells = [f"{100 * own[place]['optimality']:.1f}" if place in own else "" for place in places]
        found.append(f"| {key[0]} | {key[2]} | {' | '.join(cells)} |")
    return "\n".join(found)


def main() -> None:
    """Measure, and print the table."""
    given = arguments(64, "optimality.jsonl").parse_args()
    print(describe())
    data = image_folder(Path(given.data_dir), train=given.train, test=2000, path="cifar10-jpeg")
    for name, model in networks(given, data):
        split = data.test.balanced(2 * given.images)
        x, y = to_unit(split.images), split.labels
        with torch.no_grad():
            right = (~misclassified(model(x), y)).nonzero().squeeze(1)[: given.images]
        done = {line["norm"] for line in lines_in(given.out) if (line["network"], line["n"]) == (name, len(right))}
        for norm in sorted({"linf", "l2"} - done, reverse=True):
            measured(name, model, x[right], y[right], norm, given.out)
    print(table(lines_in(given.out)))


if __name__ == "__main__":
    main()

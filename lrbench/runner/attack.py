"""The attack steps: one attack at one radius on one trained model, or its search for the smallest perturbation."""

import torch
from safetensors.torch import save
from torch import Tensor, nn

from lrbench.attacks import Attack, NormalizedSpace, d_adv, in_batches, l2_dissimilarity
from lrbench.attacks.adaptive import Subspace
from lrbench.attacks.frozen import frozen
from lrbench.attacks.geometry import length
from lrbench.attacks.prepared import prepared
from lrbench.catalogue import ATTACKS
from lrbench.data import Split, to_unit
from lrbench.runner.context import Context, Outcome, Progress, lr_subspace
from lrbench.runner.measure import proportion
from lrbench.runner.plan import Step
from lrbench.runner.threat import make_attack, viewed
from lrbench.store import Row
from lrbench.suite import AttackSpec, ThreatModel
from lrbench.training import seeded

SHOWN = 6
"""Images of each attack that are kept for people to look at."""


def attack_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Attack the chosen test images; keep what became of each."""
    eps: float = step.config["threat_model"]["eps"]
    spec = _spec(context, step)
    threat = context.suite.threat_model
    model, split, x = _seen(context, step)
    victim = model if spec.source is None else _seen(context, step, place=1)[0]
    attack = _made(context, spec, eps, context.trained(step, place=0 if spec.source is None else 1))
    with seeded(step.seed):
        x_adv, predicted = _attacked(attack, victim, model, x, split, threat, progress)
    distances = l2_dissimilarity(x_adv, x).cpu()
    columns = {"attack": spec.label, "eps": eps, "space": threat.space}
    wrong = (predicted != split.labels).cpu()
    rows: list[Row] = [
        proportion("misclassification", wrong.double().mean().item(), len(wrong), **columns),
        {"metric": "l2_dissimilarity", "value": distances.double().mean().item(), "n": len(wrong), **columns},
    ]
    for layer in step.config["d_adv"]:
        module = context.trained(step).get_submodule(layer)
        moved = d_adv(model, module, x_adv=x_adv, x=x, y=split.labels, batch_size=threat.batch_size)
        common = {"layer": layer, "n": moved.n, **columns}
        rows.append({"metric": "d_adv", "value": moved.value, **common})
        rows.append({"metric": "d_adv_relative", "value": moved.relative, **common})
    outcomes = {"predicted": predicted.cpu(), "label": split.labels.cpu(), "l2_dissimilarity": distances}
    examples = _examples(model, split, x_adv)
    return Outcome(rows, {"outcomes.safetensors": save(outcomes), "examples.safetensors": save(examples)})


def _examples(model: nn.Module, split: Split, x_adv: Tensor) -> dict[str, Tensor]:
    """Give the first images before and after, on the pixels' scale, for people to look at."""
    decode = model.decode if isinstance(model, NormalizedSpace) else torch.nn.Identity()
    shown = slice(SHOWN)
    return {
        "clean": split.images[shown].cpu(),
        "adversarial": decode(x_adv[shown]).half().cpu().contiguous(),
    }


def minimal_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Look for each image's smallest perturbation; keep its size in L2 and Linf.

    Misclassification at a radius is the share of images whose perturbation is no larger in the threat model's norm.
    """
    spec = _spec(context, step)
    threat = context.suite.threat_model
    model, split, x = _seen(context, step)
    attack = _made(context, spec, max(threat.eps), context.trained(step))
    with seeded(step.seed):
        x_adv, predicted = _attacked(attack, model, model, x, split, threat, progress)
    wrong = predicted != split.labels
    sizes = {norm: torch.where(wrong, length(x_adv - x, norm), torch.inf).cpu() for norm in ("linf", "l2")}
    columns = {"attack": spec.label, "space": threat.space}
    n = len(wrong)
    rows: list[Row] = []
    for eps in threat.eps:
        # A hair of room: the size of a perturbation is itself rounded.
        share = (sizes[threat.norm] <= eps * (1 + 1e-6)).double().mean().item()
        rows.append(proportion("misclassification", share, n, eps=eps, **columns))
    for norm, size in sizes.items():
        rows.append({"metric": f"median_{norm}", "value": _median(size), "n": n, **columns})
    rows.append(proportion("found", wrong.double().mean().item(), n, **columns))
    outcomes = {"predicted": predicted.cpu(), "label": split.labels.cpu(), **sizes}
    examples = _examples(model, split, x_adv)
    return Outcome(rows, {"outcomes.safetensors": save(outcomes), "examples.safetensors": save(examples)})


def _median(sizes: Tensor) -> float:
    """Give the median; inf where half of the images or more were not fooled."""
    ordered = sizes.double().sort().values
    return ((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2).item()


def _spec(context: Context, step: Step) -> AttackSpec:
    return next(attack for attack in context.suite.attacks if attack.label == step.config["attack"]["label"])


def _seen(context: Context, step: Step, place: int = 0) -> tuple[nn.Module, Split, Tensor]:
    """Give a model as attacks see it, the images' split, and the images in the space attacked."""
    threat = context.suite.threat_model
    split = context.data.test.balanced(threat.samples)
    model = context.trained(step, place=place)
    space = viewed(model, threat, context.data)
    x = to_unit(split.images)
    return (model, split, x) if space is None else (space, split, space.encode(x))


def _made(context: Context, spec: AttackSpec, eps: float, model: nn.Module) -> Attack:
    layer = spec.options.get("layer")
    subspace: Subspace | None = lr_subspace(model, layer) if isinstance(layer, str) else None
    return make_attack(ATTACKS[spec.name].load(), spec, context.suite.threat_model, eps, subspace)


def _attacked(
    attack: Attack,
    victim: nn.Module,
    model: nn.Module,
    x: Tensor,
    split: Split,
    threat: ThreatModel,
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Images made to fool the victim, and the classes that the model gives them."""
    with prepared(victim, x, compiled=threat.compile) as fast:

        def work(rows: slice) -> tuple[Tensor, Tensor]:
            images = attack(fast, x[rows], split.labels[rows])
            # What an attack found counts on the model itself, not on a folded copy of it.
            with frozen(model), torch.no_grad():
                return images, model(images).argmax(dim=1)

        def tell(done: int) -> None:
            progress(done / len(x), f"{done}/{len(x)} images")

        parts = in_batches(work, len(x), threat.batch_size, tell)
    images, classes = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(classes)

"""The attack steps: one attack at one radius on one trained model, or its search for the smallest perturbation."""

from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from lrbench.attacks import Attack, NormalizedSpace, in_batches, l2_dissimilarity
from lrbench.attacks.adaptive import Subspace
from lrbench.attacks.distances import Moved, moved
from lrbench.attacks.frozen import frozen
from lrbench.attacks.geometry import held, least_size
from lrbench.attacks.prepared import EXAMPLES, prepared
from lrbench.catalogue import ATTACKS
from lrbench.data import Split, to_unit
from lrbench.runner.context import Context, Outcome, Progress, lr_subspace
from lrbench.runner.measure import proportion
from lrbench.runner.plan import Step
from lrbench.runner.threat import bounds_of, kind_of, make_attack, viewed
from lrbench.store import Row
from lrbench.suite import AttackSpec
from lrbench.training import seeded

SHOWN = 6
"""Images of each attack that are kept for people to look at."""

NORMS = ("linf", "l2")


def part_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Attack a part of the chosen test images; keep what became of each, for the step that joins the parts."""
    begin, end = step.config["part"]
    return Outcome([], _files(_attacked(context, step, slice(begin, end), progress)))


def attack_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Attack the chosen test images at one radius, or join the parts that did; keep what became of each."""
    found = _joined(context, step, progress)
    spec, outcomes = _spec(context, step), found.outcomes
    columns = {"attack": spec.label, "eps": _radius(context, step), "space": context.suite.threat_model.space}
    wrong = outcomes["predicted"] != outcomes["label"]
    rows: list[Row] = [proportion("misclassification", wrong.double().mean().item(), len(wrong), **columns)]
    # A black image has none.
    distances = outcomes["l2_dissimilarity"].double()
    if counted := int(distances.isfinite().sum()):
        rows.append({"metric": "l2_dissimilarity", "value": distances.nanmean().item(), "n": counted, **columns})
    for layer in step.config["d_adv"]:
        mean = Moved(outcomes[f"d_adv[{layer}]"], outcomes[f"d_adv_relative[{layer}]"]).mean()
        common = {"layer": layer, "n": mean.n, **columns}
        rows.append({"metric": "d_adv", "value": mean.value, **common})
        rows.append({"metric": "d_adv_relative", "value": mean.relative, **common})
    return Outcome(rows, _files(found))


def minimal_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Look for each image's smallest perturbation, or join the parts that did; keep its size in L2 and Linf.

    Misclassification at a radius is the share of images whose perturbation is no larger in the threat model's norm.
    """
    found = _joined(context, step, progress)
    spec, threat, outcomes = _spec(context, step), context.suite.threat_model, found.outcomes
    columns = {"attack": spec.label, "space": threat.space}
    wrong = outcomes["predicted"] != outcomes["label"]
    n = len(wrong)
    rows: list[Row] = []
    for eps in threat.eps:
        share = (outcomes[threat.norm] <= eps).double().mean().item()
        rows.append(proportion("misclassification", share, n, eps=eps, **columns))
    rows += [{"metric": f"median_{norm}", "value": _median(outcomes[norm]), "n": n, **columns} for norm in NORMS]
    rows.append(proportion("found", wrong.double().mean().item(), n, **columns))
    return Outcome(rows, _files(found))


@dataclass(frozen=True)
class _Found:
    """What became of images, one entry each, and the first of them for people to look at."""

    outcomes: dict[str, Tensor]
    examples: dict[str, Tensor]


def _files(found: _Found) -> dict[str, bytes]:
    return {"outcomes.safetensors": save(found.outcomes), "examples.safetensors": save(found.examples)}


def _joined(context: Context, step: Step, progress: Progress) -> _Found:
    """Give what the step's parts found, in order; without parts, attack all images now."""
    parts: list[str] = step.config["parts"]
    if not parts:
        return _attacked(context, step, slice(0, step.config["samples"]), progress)
    outcomes = [load(context.file(part, "outcomes.safetensors")) for part in parts]
    examples = load(context.file(parts[0], "examples.safetensors"))
    return _Found({name: torch.cat([part[name] for part in outcomes]) for name in outcomes[0]}, examples)


def _attacked(context: Context, step: Step, rows: slice, progress: Progress) -> _Found:
    """Attack some of the chosen test images."""
    spec, threat = _spec(context, step), context.suite.threat_model
    place = 0 if spec.source is None else 1
    model = _viewed(context, step, 0)
    victim = model if place == 0 else _viewed(context, step, place)
    eps = _radius(context, step)
    attack = _made(context, spec, eps, context.trained(step, place))
    bounded = kind_of(ATTACKS[spec.name].load()) == "bounded"
    everything = context.data.test[context.data.test.chosen(threat.samples)]
    split = everything[rows]
    examples: dict[str, Tensor] = {}
    with prepared(victim, _encoded(model, everything[:EXAMPLES]), compiled=threat.compile) as fast:

        def work(part: slice) -> dict[str, Tensor]:
            batch = split[part]
            x = _encoded(model, batch)
            # Whoever draws from torch's global generator finds it as if no images had been split off.
            with seeded(step.seed + rows.start + part.start):
                x_adv = attack(fast, x, batch.labels)
                if bounded:
                    x_adv = held(x_adv, x, eps, threat.norm, bounds_of(threat), spec.name)
                if part.start == 0:
                    examples.update(_examples(model, batch, x_adv))
                return _outcomes(context, step, model, batch.labels, x, x_adv)

        def tell(done: int) -> None:
            progress(done / len(split), f"{done}/{len(split)} images")

        batches = in_batches(work, len(split), threat.batch_size, tell)
    return _Found({name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}, examples)


def _outcomes(
    context: Context, step: Step, model: nn.Module, labels: Tensor, x: Tensor, x_adv: Tensor
) -> dict[str, Tensor]:
    """Say what became of each image of a batch, on the CPU."""
    # What an attack found counts on the model itself, not on a folded copy of it.
    with frozen(model), torch.no_grad():
        predicted = model(x_adv).argmax(dim=1)
    outcomes = {"predicted": predicted, "label": labels}
    if step.config["minimal"]:
        wrong = predicted != labels
        outcomes |= {norm: torch.where(wrong, least_size(x_adv, x, norm), torch.inf) for norm in NORMS}
    else:
        outcomes["l2_dissimilarity"] = l2_dissimilarity(x_adv, x)
        for layer in step.config["d_adv"]:
            module = context.trained(step).get_submodule(layer)
            each = moved(model, module, x_adv=x_adv, x=x, y=labels, batch_size=len(x))
            outcomes[f"d_adv[{layer}]"], outcomes[f"d_adv_relative[{layer}]"] = each
    return {name: values.cpu() for name, values in outcomes.items()}


def _examples(model: nn.Module, split: Split, x_adv: Tensor) -> dict[str, Tensor]:
    """Give the first images before and after, on the pixels' scale, for people to look at."""
    decode = model.decode if isinstance(model, NormalizedSpace) else torch.nn.Identity()
    return {
        "clean": split[:SHOWN].pixels.cpu().contiguous(),
        "adversarial": decode(x_adv[:SHOWN]).half().cpu().contiguous(),
    }


def _median(sizes: Tensor) -> float:
    """Give the median; inf where half of the images or more were not fooled."""
    ordered = sizes.double().sort().values
    return ((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2).item()


def _spec(context: Context, step: Step) -> AttackSpec:
    return next(attack for attack in context.suite.attacks if attack.label == step.config["attack"]["label"])


def _radius(context: Context, step: Step) -> float:
    eps: float = max(context.suite.threat_model.eps) if step.config["minimal"] else step.config["threat_model"]["eps"]
    return eps


def _viewed(context: Context, step: Step, place: int) -> nn.Module:
    """Give a model as attacks see it."""
    model = context.trained(step, place=place)
    return viewed(model, context.suite.threat_model, context.data) or model


def _encoded(model: nn.Module, split: Split) -> Tensor:
    """Images in the space attacked."""
    x = to_unit(split.pixels)
    return model.encode(x) if isinstance(model, NormalizedSpace) else x


def _made(context: Context, spec: AttackSpec, eps: float, model: nn.Module) -> Attack:
    layer = spec.options.get("layer")
    subspace: Subspace | None = lr_subspace(model, layer) if isinstance(layer, str) else None
    return make_attack(ATTACKS[spec.name].load(), spec, context.suite.threat_model, eps, subspace)

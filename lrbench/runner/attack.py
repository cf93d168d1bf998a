"""The attack steps: one attack at one radius on one trained model, or its search for the smallest perturbation."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from lrbench.attacks import Attack, in_batches, l2_dissimilarity
from lrbench.attacks.adaptive import Subspace
from lrbench.attacks.frozen import frozen
from lrbench.attacks.geometry import checked_projection, least_size
from lrbench.attacks.inputs import clipped
from lrbench.attacks.prepared import EXAMPLES, prepared
from lrbench.catalogue import ATTACKS
from lrbench.data import Split
from lrbench.lowrank import subspace_at
from lrbench.measures import Attacked, AttackMeasure, Options, Progress, proportion
from lrbench.measures.checked import checked_each, checked_rows
from lrbench.measures.registry import measure_of
from lrbench.runner.context import Context, Outcome, generators, seeded_for
from lrbench.runner.found import Found, already_enough, attacked_in, earlier, keeps_images, parts_of, unfinished
from lrbench.runner.space import decoded, encoded
from lrbench.runner.spent import spending, spent_rows
from lrbench.runner.step import Step
from lrbench.runner.taken import interval_column, taken_in
from lrbench.runner.threat import bounds_of, kind_of, make_attack, viewed
from lrbench.store import Row
from lrbench.suite import AttackSpec

SHOWN = 6
"""Images of each attack that are kept for people to look at: those taken in first, whatever their number."""

NORMS = ("linf", "l2")
"""In which the smallest perturbation is measured, besides the threat model's."""


def part_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Attack a part of the chosen test images; keep what became of each, for the step that joins the parts.

    Nothing where a look at the parts before has found that these are enough.
    """
    begin, end = step.config["part"]
    if already_enough(context.store, step):
        return Outcome([], needless=True)
    return Outcome([], _attacked(context, step, slice(begin, end), progress).files)


def attack_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Attack the chosen test images at one radius, or join the parts that did; keep what became of each."""
    found = _joined(context, step, progress)
    spec, outcomes = _spec(context, step), found.outcomes
    columns = {
        "attack": spec.label,
        "eps": step.config["threat_model"]["eps"],
        "space": context.suite.threat_model.space,
    }
    wrong = outcomes["predicted"] != outcomes["label"]
    share, by = wrong.double().mean().item(), interval_column(context.suite.threat_model, len(context.data.test))
    rows: list[Row] = [proportion("misclassification", share, len(wrong), **columns, **by)]
    # A black image has none.
    distances = outcomes["l2_dissimilarity"].double()
    if counted := int(distances.isfinite().sum()):
        rows.append({"metric": "l2_dissimilarity", "value": distances.nanmean().item(), "n": counted, **columns})
    for kind, measure, options in _measures(context, step):
        of = f"{kind}:"
        each = {name.removeprefix(of): values for name, values in outcomes.items() if name.startswith(of)}
        rows += [{**row, **columns} for row in checked_rows(kind, measure, measure.rows(options, each))]
    rows += spent_rows(found.spent, columns)
    return Outcome(rows, found.files)


def minimal_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Look for each image's smallest perturbation, or join the parts that did; keep its size.

    It knows of no radius; whom it fooled within each is counted with the worst case.
    """
    found = _joined(context, step, progress)
    spec, threat, outcomes = _spec(context, step), context.suite.threat_model, found.outcomes
    columns = {"attack": spec.label, "space": threat.space}
    wrong = outcomes["predicted"] != outcomes["label"]
    n = len(wrong)
    rows: list[Row] = [
        {"metric": f"median_{norm}", "value": _median(outcomes[norm]), "n": n, **columns} for norm in _norms(context)
    ]
    by = interval_column(threat, len(context.data.test))
    rows.append(proportion("found", wrong.double().mean().item(), n, **columns, **by))
    rows += spent_rows(found.spent, columns)
    return Outcome(rows, found.files)


def _joined(context: Context, step: Step, progress: Progress) -> Found:
    """Give what the step's parts found; without parts, attack all images now.

    In the order of the test images, or, where figures decide how many there are, as they were taken in.
    """
    if parts := attacked_in(context.store, parts_of(step)):
        found = Found.joined([Found.load(context.store, part, images=keeps_images(step)) for part in parts])
    else:
        found = _attacked(context, step, slice(0, step.config["samples"]), progress)
    return found.in_order() if context.suite.threat_model.until is None else found


def _attacked(context: Context, step: Step, ranks: slice, progress: Progress) -> Found:
    """Attack some of the chosen test images, by the order in which they are taken in, but for those attacked before."""
    wanted = taken_in(context.data.test, context.suite.threat_model)[ranks]
    known = earlier(context.store, step, wanted.cpu())
    if known is None:
        return _newly(context, step, wanted, ranks.start, progress)
    if len(known) == len(wanted):
        return known
    rest = _newly(context, step, wanted[len(known) :], ranks.start + len(known), progress)
    # Who drew random numbers would have met others, had all been attacked at once.
    return _newly(context, step, wanted, ranks.start, progress) if rest.drew else Found.joined([known, rest])


def _newly(context: Context, step: Step, chosen: Tensor, rank: int, progress: Progress) -> Found:
    """Attack the test images with these indices, the first of which is the `rank`-th to be taken in.

    Where that was stopped before, the batches that were finished then are taken as they are.
    """
    before = unfinished(context.store, step, chosen, context.suite.threat_model.batch_size)
    done: list[Found] = [] if before is None else [before]
    begin = sum(map(len, done))
    try:
        if begin < len(chosen) or not done:
            _in_batches(context, step, chosen[begin:], rank + begin, progress, done.append)
    except KeyboardInterrupt:
        if done:
            context.store.save_unfinished(step.id, step.key, Found.joined(done).packed)
        raise
    return Found.joined(done)


def _in_batches(
    context: Context, step: Step, chosen: Tensor, rank: int, progress: Progress, keep: Callable[[Found], None]
) -> None:
    """Attack batch by batch, and keep what becomes of each."""
    spec, threat = _spec(context, step), context.suite.threat_model
    position = 0 if spec.surrogate in {None, step.model} else 1
    model = _viewed(context, step, 0)
    victim = model if position == 0 else _viewed(context, step, position)
    eps = _radius(step)
    attack = _made(context, spec, eps, context.trained(step, position))
    bounded = kind_of(ATTACKS[spec.name].load()) == "bounded"
    split = context.data.test[chosen]
    with prepared(victim, encoded(model, context.data.test[:EXAMPLES]), compiled=threat.compile) as fast:

        def work(part: slice) -> None:
            batch = split[part]
            x = encoded(model, batch)
            # Whoever draws from torch's global generator finds it as if no images had been split off.
            with seeded_for(context, step, step.seed + rank + part.start):
                before = generators(x.device)
                # Copies: it is judged by the images and labels that there were.
                with spending(len(batch), x.device) as spent:
                    x_adv = attack(fast, x.clone(), batch.labels.clone())
                if bounded:
                    x_adv = checked_projection(x_adv, x, eps, threat.norm, bounds_of(threat), spec.name)
                else:
                    x_adv = clipped(x_adv, bounds_of(threat))
                index, wanted = chosen[part].cpu(), max(0, SHOWN - rank - part.start)
                outcomes = _outcomes(context, step, model, batch.labels, x, x_adv)
                # The model that is tried may draw where the one that was attacked does not.
                drew = torch.full((len(batch),), generators(x.device) != before)
                shown = _examples(model, batch[:wanted], x_adv[:wanted]) | {"index": index[:wanted]} if wanted else {}
                images = decoded(model, x_adv).float().cpu().contiguous() if threat.keep_images else None
                keep(Found(outcomes | {"index": index, "drew": drew}, spent, shown, images))

        def show(done: int) -> None:
            progress(done / len(split), f"{done}/{len(split)} images")

        in_batches(work, len(split), threat.batch_size, show)


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
        outcomes |= {norm: torch.where(wrong, least_size(x_adv, x, norm), torch.inf) for norm in _norms(context)}
    else:
        outcomes["l2_dissimilarity"] = l2_dissimilarity(x_adv, x)
        attacked = Attacked(model, context.trained(step), x, x_adv, labels)
        for kind, measure, options in _measures(context, step):
            each = checked_each(kind, measure.each(options, attacked), len(x))
            outcomes |= {f"{kind}:{name}": values for name, values in each.items()}
    return {name: values.cpu() for name, values in outcomes.items()}


def _measures(context: Context, step: Step) -> Iterator[tuple[str, AttackMeasure, Options]]:
    """Give what is measured of the attack."""
    for kind in step.config["measures"]:
        measure = measure_of(kind)
        assert isinstance(measure, AttackMeasure)  # noqa: S101
        yield kind, measure, context.suite.diagnostics.measures[kind]


def _examples(model: nn.Module, split: Split, x_adv: Tensor) -> dict[str, Tensor]:
    """Give images before and after, on the pixels' scale, for people to look at."""
    return {
        "clean": split.pixels.cpu().contiguous(),
        "adversarial": decoded(model, x_adv).half().cpu().contiguous(),
    }


def _median(sizes: Tensor) -> float:
    """Give the median; inf where half of the images or more were not fooled."""
    ordered = sizes.double().sort().values
    return ((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2).item()


def _norms(context: Context) -> list[str]:
    """Give the norms in which the smallest perturbation is measured."""
    return list(dict.fromkeys([*NORMS, context.suite.threat_model.norm]))


def _spec(context: Context, step: Step) -> AttackSpec:
    return next(attack for attack in context.suite.attacks if attack.label == step.labels[0])


def _radius(step: Step) -> float:
    """Radius of a bounded attack; one that looks for the smallest perturbation is given none."""
    return float(step.config["threat_model"]["eps"] or 0.0)


def _viewed(context: Context, step: Step, position: int) -> nn.Module:
    """Give a model as attacks see it."""
    model = context.trained(step, position=position)
    return viewed(model, context.suite.threat_model, context.data) or model


def _made(context: Context, spec: AttackSpec, eps: float, model: nn.Module) -> Attack:
    layer = spec.options.get("layer")
    subspace: Subspace | None = subspace_at(model, layer) if isinstance(layer, str) else None
    return make_attack(ATTACKS[spec.name].load(), spec, context.suite.threat_model, eps, subspace)

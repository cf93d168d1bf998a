"""The attack step: one attack at one radius on one trained model."""

import torch
from safetensors.torch import save
from torch import Tensor, nn

from lrbench.attacks import Attack, NormalizedSpace, d_adv, l2_dissimilarity
from lrbench.attacks.frozen import frozen
from lrbench.attacks.prepared import prepared
from lrbench.catalogue import ATTACKS
from lrbench.data import Split, to_unit
from lrbench.runner.context import Context, Outcome, Progress
from lrbench.runner.measure import proportion
from lrbench.runner.plan import Step
from lrbench.store import Row
from lrbench.training import seeded


def attack_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Attack the chosen test images; keep what became of each."""
    name, eps = step.config["attack"]["name"], step.config["threat_model"]["eps"]
    threat = context.suite.threat_model
    split = context.data.test.balanced(threat.samples)
    model = context.trained(step)
    x = to_unit(split.images)
    viewed: nn.Module = model
    bounds: tuple[float, float] | None = (0.0, 1.0)
    if threat.space == "normalized":
        space = NormalizedSpace(model, *context.data.statistics)
        viewed, bounds, x = space, None, space.encode(x)
    spec = next(attack for attack in context.suite.attacks if attack.name == name)
    attack: Attack = ATTACKS[name].load()(eps=eps, bounds=bounds, **spec.options)
    with seeded(step.seed):
        x_adv, predicted = _attacked(attack, viewed, x, split, threat.batch_size, progress)
    distances = l2_dissimilarity(x_adv, x).cpu()
    columns = {"attack": name, "eps": eps, "space": threat.space}
    wrong = (predicted != split.labels).cpu()
    rows: list[Row] = [
        proportion("misclassification", wrong.double().mean().item(), len(wrong), **columns),
        {"metric": "l2_dissimilarity", "value": distances.double().mean().item(), "n": len(wrong), **columns},
    ]
    for layer in step.config["d_adv"]:
        module = model.get_submodule(layer)
        moved = d_adv(viewed, module, x_adv=x_adv, x=x, y=split.labels, batch_size=threat.batch_size)
        common = {"layer": layer, "n": moved.n, **columns}
        rows.append({"metric": "d_adv", "value": moved.value, **common})
        rows.append({"metric": "d_adv_relative", "value": moved.relative, **common})
    outcomes = {"predicted": predicted.cpu(), "label": split.labels.cpu(), "l2_dissimilarity": distances}
    return Outcome(rows, {"outcomes.safetensors": save(outcomes)})


def _attacked(
    attack: Attack, model: nn.Module, x: Tensor, split: Split, batch_size: int, progress: Progress
) -> tuple[Tensor, Tensor]:
    """Adversarial images, and the classes that the model gives them."""
    images, classes = [], []
    with prepared(model, x) as fast:
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            images.append(attack(fast, x[rows], split.labels[rows]))
            # What an attack found counts on the model itself, not on a folded copy of it.
            with frozen(model), torch.no_grad():
                classes.append(model(images[-1]).argmax(dim=1))
            done = min(start + batch_size, len(x))
            progress(done / len(x), f"{done}/{len(x)} images")
    return torch.cat(images), torch.cat(classes)

"""Step 5: how soon adversarial training reaches 45 % and 50 % under AutoAttack at 8/255."""

import torch

from benchmarks.gpu.networks import EPS, RECIPE, Rows, autoattacked, chosen, load, trained
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.timing import seconds_of
from lrbench.attacks import PGD
from lrbench.attacks.passes import logits_of

NAME = "pgd-2"
OPTIONS = RECIPE | {
    "learning_rate": 0.3,
    "warmup_accuracy": 1.0,
    # One step (Wong et al., 2020) is soon overfitted to; two, each of more than half the radius, are not.
    "adversarial": {"eps": EPS, "steps": 2, "step_size": 5 / 255},
}
TRAINING = 0.65
"""Of the step's time: AutoAttack of images that withstand it takes as long, whose Square is 5,000 passes in a row."""


def rows(setting: Setting) -> Rows:
    """Training, then PGD of 20 steps and AutoAttack."""
    yield "training", lambda: trained(setting, NAME, {}, OPTIONS, TRAINING * setting.left())
    yield "PGD-20", lambda: weak(setting)
    yield "AutoAttack", lambda: judged(setting)


def weak(setting: Setting) -> dict:
    """PGD of 20 steps."""
    model, (x, y) = load(setting, NAME), chosen(setting, setting.pick(2000, 16))
    found: list[torch.Tensor] = []
    seconds = seconds_of(lambda: found.append(PGD(EPS, EPS / 4, 20)(model, x, y)), setting.device)
    withstood = (logits_of(model, found[0]).argmax(dim=1) == y).float().mean().item()
    return {"images": len(x), "robust accuracy": withstood, "s": seconds}


def judged(setting: Setting) -> dict:
    """Attack with the standard version, and say which of the two marks were reached."""
    values = autoattacked(setting, NAME, 1000)
    robust = values["robust accuracy"]
    return values | {
        "45 %": "reached" if robust >= 0.45 else "missed",
        "50 %": "reached" if robust >= 0.5 else "missed",
    }

"""What takes a step of each kind; imported when one is taken, so that a finished run loads no torchvision."""

KINDS = {
    "train": "lrbench.runner.train:train_step",
    "load": "lrbench.runner.train:load_step",
    "accuracy": "lrbench.runner.measure:accuracy_step",
    "part": "lrbench.runner.attack:part_step",
    "attack": "lrbench.runner.attack:attack_step",
    "minimal": "lrbench.runner.attack:minimal_step",
    "enough": "lrbench.runner.enough:enough_step",
    "masking": "lrbench.runner.joint:masking_step",
    "worst": "lrbench.runner.joint:worst_step",
    "difference": "lrbench.runner.joint:difference_step",
}

MEASURE = "lrbench.runner.measure:measure_step"


def taker(kind: str) -> str:
    """Give what takes a step of a kind; any other kind is a measure's name."""
    return KINDS.get(kind, MEASURE)

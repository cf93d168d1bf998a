"""Step 4: the paper's networks, on all images, for as long as there is."""

from benchmarks.gpu.networks import RECIPE, Rows, autoattacked, trained
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.training_steps import RANKS, TOY_RANKS

OPTIONS = RECIPE | {"learning_rate": 0.2, "warmup_accuracy": 0.65}
"""Of suites/paper/table4-short.yaml, at a batch four times as large and twice its learning rate."""
TRAINING = 0.7
"""Share of a network's time that its training gets."""


def rows(setting: Setting) -> Rows:
    """Each network's training, and AutoAttack on 1,000 images."""
    ranks = setting.pick(RANKS, TOY_RANKS)
    for place, (name, each) in enumerate(ranks.items()):
        # What a network leaves of its time is the next one's.
        share = (setting.left() - 2) / (len(ranks) - place)
        yield (
            f"{name}, training",
            lambda name=name, each=each, share=share: trained(setting, name, each, OPTIONS, TRAINING * share),
        )
        yield (
            f"{name}, AutoAttack",
            lambda name=name: autoattacked(setting, name, 1000),
        )

"""PGD training: each batch is attacked before it is learnt (Madry et al., 2018)."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lrbench.attacks import LinfPGD, NormalizedSpace
from lrbench.suite import Adversarial

Statistics = tuple[Sequence[float], Sequence[float]]
Perturb = Callable[[Tensor, Tensor], Tensor]


def perturbation(model: nn.Module, config: Adversarial, statistics: Statistics) -> Perturb:
    """Give the function that attacks a batch: images in [0, 1] and labels in, images out.

    The attack sees the network in evaluation mode, as it will be attacked later; its random start is drawn from torch's
    global generator. In normalised space the images that come back may leave [0, 1].
    """
    if config.space == "pixel":
        attack = LinfPGD(config.eps, config.step_size, config.steps)
        return lambda images, labels: attack(model, images, labels)
    space = NormalizedSpace(model, *statistics)
    unbounded = LinfPGD(config.eps, config.step_size, config.steps, bounds=None)
    return lambda images, labels: space.decode(unbounded(space, space.encode(images), labels))

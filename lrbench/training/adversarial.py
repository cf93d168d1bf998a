"""PGD training: each batch is attacked before it is learnt (Madry et al., 2018)."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lrbench.attacks import PGD, Bounds, NormalizedSpace
from lrbench.attacks.frozen import frozen
from lrbench.attacks.precision import Precision
from lrbench.recipes import Adversarial

Statistics = tuple[Sequence[float], Sequence[float]]
Perturb = Callable[[Tensor, Tensor], Tensor]


def perturbation(model: nn.Module, config: Adversarial, statistics: Statistics, precision: Precision) -> Perturb:
    """Give the function that attacks a batch: images in [0, 1] and labels in, images out.

    The attack sees the network in evaluation mode, as it will be attacked later; its random start is drawn from torch's
    global generator, and its gradients are of the training's precision. In normalised space the images that come back
    may leave [0, 1].
    """
    bounds: Bounds | None = (0.0, 1.0) if config.space == "pixel" else None
    step_size = config.eps / 4 if config.step_size is None else config.step_size
    attack = PGD(config.eps, step_size, config.steps, seed=None, bounds=bounds, precision=precision)
    space = NormalizedSpace(model, *statistics) if config.space == "normalized" else None

    def perturb(images: Tensor, labels: Tensor) -> Tensor:
        # Not through a call of the attack: that would check and prepare anew for each batch, and wait for the device.
        with frozen(model):
            if space is None:
                return attack.run(model, images, labels)
            return space.decode(attack.run(space, space.encode(images), labels))

    return perturb

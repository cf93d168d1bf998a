"""What a training descends, regularizers apart: cross-entropy, of images as they are or attacked, and TRADES."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.recipes import Training
from lrbench.training.adversarial import Statistics, perturbation
from lrbench.training.trades import divergence, diverging


class Objective:
    """Computes images as they are learnt, logits and loss of a batch.

    Parameters
    ----------
    network : nn.Module
        That learns.
    attacked : nn.Module
        The same without what connects processes.
    config : Training
    statistics : (mean, std)
        Of the channels, for attacks in normalised space.
    input_gradient : bool
        Whether the images have to require a gradient.
    """

    def __init__(
        self, network: nn.Module, attacked: nn.Module, config: Training, statistics: Statistics, *, input_gradient: bool
    ) -> None:
        self.network, self.attacked = network, attacked
        device = next(network.parameters()).device
        self.config, self.input_gradient = config, input_gradient
        self.adversarial = config.adversarial
        self.dtype = torch.bfloat16 if config.precision == "bfloat16" else None
        self.perturb = None
        # On the device from the start: a recorded step can bring nothing there.
        self.scale = torch.ones((), device=device)
        if self.adversarial is not None and self.adversarial.space == "normalized":
            self.scale = torch.tensor(list(statistics[1]), device=device).view(-1, 1, 1)
        if self.adversarial is not None and self.adversarial.trades is None:
            self.perturb = perturbation(attacked, self.adversarial, statistics, config.precision)

    def __call__(
        self, images: Tensor, labels: Tensor, noisy: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the images, (N, C, H, W), their logits, and the loss, a scalar; `noisy` adds noise to what is learnt."""
        trades = None if self.adversarial is None else self.adversarial.trades
        moved = None
        if self.adversarial is not None and trades is not None:
            # The divergence is that around the image that is learnt.
            images, noisy = noisy(images), lambda learnt: learnt
            moved = diverging(self.attacked, images, self.adversarial, self.scale, self.dtype)
        if self.perturb is not None:
            images = self.perturb(images, labels)
        images = noisy(images)
        if self.input_gradient:
            images = images.detach().requires_grad_()
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.dtype is not None):
            # First, so that it is the images themselves whose activations regularizers see.
            attacked = None if moved is None else self.network(moved)
            logits = self.network(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
            if attacked is not None and trades is not None:
                loss = loss + trades * divergence(attacked, logits)
        return images, logits, loss

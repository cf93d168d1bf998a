"""Averages of a training's weights, which are evaluated in their place.

Sources: Polyak and Juditsky, *Acceleration of stochastic approximation by averaging*, 1992; Izmailov et al., *Averaging
Weights Leads to Wider Optima and Better Generalization* (SWA), 2018; in adversarial training, Gowal et al., *Uncovering
the Limits of Adversarial Training*, 2020 (EMA).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.recipes import Averaging


class WeightAverage:
    """Averages parameters, and batch norm's running means and variances, over the steps of a training.

    Running statistics are averaged with the weights and not measured anew: they are those of the images that the
    network learnt from, which in adversarial training are attacked, and no pass over the data has to attack them again.
    What regularizers keep in the network is left as it is.

    Parameters
    ----------
    model : nn.Module
    config : Averaging
    steps : int
        Of the whole training.
    """

    def __init__(self, model: nn.Module, config: Averaging, steps: int) -> None:
        self.model, self.config = model, config
        self.begin = int(round(config.begin * steps, 9))
        self.seen = self.taken = 0
        self.averages = [each.detach().clone() for each in self._averaged()]

    @torch.no_grad()
    def after_step(self) -> None:
        """Take in the weights after a step."""
        self.seen += 1
        if self.seen > self.begin:
            torch._foreach_lerp_(self.averages, [each.detach() for each in self._averaged()], self._share())
            self.taken += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Put the averages into the network."""
        torch._foreach_copy_(self._averaged(), self.averages)

    def state(self) -> dict[str, Any]:
        """Give what a resumed training continues with."""
        return {"seen": self.seen, "taken": self.taken, "averages": self.averages}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Counterpart of `state`."""
        self.seen, self.taken = state["seen"], state["taken"]
        for average, stored in zip(self.averages, state["averages"], strict=True):
            average.copy_(stored)

    def _share(self) -> float:
        """Share of the newest weights: of an equal average, or of one that forgets, more of them at first.

        The first are taken whole: those before them, the initialisation's among them, are in no average.
        """
        if self.config.kind == "swa" or not self.taken:
            return 1 / (self.taken + 1)
        return max(1 - self.config.decay, 9 / (10 + self.taken))

    def _averaged(self) -> list[Tensor]:
        norms = [each for each in self.model.modules() if isinstance(each, nn.modules.batchnorm._NormBase)]
        running = [each for norm in norms for each in (norm.running_mean, norm.running_var) if each is not None]
        return [*self.model.parameters(), *running]

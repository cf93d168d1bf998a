"""Spectral normalisation: every weight is divided by its largest singular value.

Source: Miyato, Kataoka, Koyama and Yoshida, *Spectral Normalization for Generative Adversarial Networks*, ICLR 2018;
for robustness, Farnia, Zhang and Tse, *Generalizable Adversarial Training via Spectral Normalization*, ICLR 2019.
"""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations

from lrbench.catalogue import REGULARIZERS
from lrbench.errors import UsageError
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.named import Layers
from lrbench.regularizers.weights import weighted
from lrbench.strict import Count


class SpectralNormOptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    iterations : int
        Power iterations in each pass.
    layers : list of str, optional
        Convolutions and linear layers. Default: all.
    """

    iterations: Count = 1
    layers: Layers | None = None


@REGULARIZERS.register("spectral_norm")
class SpectralNorm(Regularizer):
    """Spectral normalisation (Miyato et al., 2018): weights are trained as W / sigma_1(W)."""

    Options = SpectralNormOptions
    options: SpectralNormOptions

    writes_weights = True

    def attach(self, model: nn.Module) -> None:
        """Parametrize the weights."""
        modules = weighted(model, self.options.layers)
        for name, module in modules.items():
            if not module.weight.is_meta and not module.weight.any():
                msg = f"the weights of {name} are all 0, and so is what they would be divided by; name other `layers`"
                raise UsageError(msg)
        self.modules = list(modules.values())
        for module in self.modules:
            spectral_norm(module, n_power_iterations=self.options.iterations)

    def finish(self, model: nn.Module) -> None:  # noqa: ARG002
        """Put the normalised weights in their place."""
        for module in self.modules:
            remove_parametrizations(module, "weight")

"""TRADES: clean accuracy, and logits that an attack cannot move far from it.

Source: Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan, *Theoretically Principled Trade-off between Robustness and
Accuracy*, ICML 2019 (algorithm 1).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrbench.attacks.frozen import frozen
from lrbench.recipes import Adversarial

START = 0.001
"""Standard deviation of the noise that the attack starts with: at the image itself there is no slope."""


def divergence(logits: Tensor, clean: Tensor) -> Tensor:
    """Mean over a batch of KL(softmax(clean) || softmax(logits)), for logits (N, classes)."""
    exact = torch.promote_types(logits.dtype, torch.float32)
    log_p = functional.log_softmax(logits, dim=1, dtype=exact)
    return functional.kl_div(log_p, functional.softmax(clean, dim=1, dtype=exact), reduction="batchmean")


def diverging(
    model: nn.Module, images: Tensor, config: Adversarial, scale: Tensor, dtype: torch.dtype | None
) -> Tensor:
    """Move images in the Linf ball to where the network's logits diverge most from those of the images.

    Parameters
    ----------
    model : nn.Module
        Attacked in evaluation mode.
    images : Tensor, (N, C, H, W), in [0, 1]
    config : Adversarial
    scale : Tensor, (C, 1, 1) or ()
        What radius and step are multiplied by: 1, or each channel's standard deviation in normalised space, where
        nothing is clipped.
    dtype : torch.dtype, optional
        Of autocast; None for none.
    """
    step = config.eps / 4 if config.step_size is None else config.step_size
    with frozen(model), torch.autocast(images.device.type, dtype=dtype, enabled=dtype is not None):
        with torch.no_grad():
            clean = model(images)
        moved = images + START * scale * torch.randn_like(images)
        for _ in range(config.steps):
            moved.requires_grad_()
            (gradient,) = torch.autograd.grad(divergence(model(moved), clean), moved)
            moved = moved.detach() + step * scale * gradient.sign()
            moved = torch.maximum(torch.minimum(moved, images + config.eps * scale), images - config.eps * scale)
            if config.space == "pixel":
                moved = moved.clamp(0.0, 1.0)
    return moved.detach()

"""Jacobian regularisation: logits that move little when the image does.

Source: Hoffman, Roberts and Yaida, *Robust Learning with Jacobian Regularization*, 2019 (algorithm 1).
"""

import torch
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer, Seen
from lrbench.strict import Count, NonNegative


class JacobianOptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    weight : float, >= 0
        lambda_JR: of half the squared Frobenius norm of the Jacobian with respect to pixels, mean over the batch.
    projections : int
        Random projections in each step, each a backward pass; their mean is unbiased.
    """

    weight: NonNegative = 0.01
    projections: Count = 1


@REGULARIZERS.register("jacobian")
class Jacobian(Regularizer):
    """Jacobian regularisation (Hoffman et al., 2019): the input Jacobian of the logits is penalised."""

    Options = JacobianOptions
    options: JacobianOptions

    # torch.compile takes no gradient of a gradient.
    compiles = False
    recordable = True
    needs_input_gradient = True

    def penalty(self, seen: Seen) -> Tensor:
        """Give the weighted estimate."""
        logits = seen.logits.float()
        squares = []
        for _ in range(self.options.projections):
            drawn = torch.randn(logits.shape, generator=seen.generator, device=logits.device)
            squares.append(projected_square(logits, seen.images, nn.functional.normalize(drawn, dim=1)))
        penalty: Tensor = 0.5 * self.options.weight * torch.stack(squares).mean()
        return penalty


def projected_square(logits: Tensor, images: Tensor, directions: Tensor) -> Tensor:
    """Estimate the mean of ||J||_F^2 over a batch, as C ||v^T J||^2.

    Parameters
    ----------
    logits : Tensor, (N, C)
        Computed from `images`.
    images : Tensor, (N, ...)
        Require a gradient.
    directions : Tensor, (N, C)
        Unit vectors v, one an image.
    """
    (gradient,) = torch.autograd.grad((logits * directions).sum(), images, create_graph=True)
    return logits.shape[1] * gradient.square().sum() / len(images)

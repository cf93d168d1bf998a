"""Low-dimensional embeddings: PCA and a max-margin linear classifier (paper, section 4.4 and appendix B)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from lrbench.diagnostics.principal import Principal, principal


def linear_classifier(seed: int = 0) -> Pipeline:
    """Build the paper's classifier: mean 0 and variance 1 per component, then hinge loss by SGD.

    l2 penalty, at most 1000 iterations; everything random follows `seed`.
    """
    classifier = SGDClassifier(loss="hinge", penalty="l2", max_iter=1000, random_state=seed)
    return make_pipeline(StandardScaler(), classifier)


def embedding_accuracies(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], dims: list[int], seed: int = 0
) -> dict[int, float]:
    """Test accuracy of `linear_classifier` on the first principal components, everything fitted on `train`.

    Parameters
    ----------
    train, test : (Tensor (N, m), Tensor (N,))
        Activations and labels.
    dims : list of ints, 1..min(N, m)
    seed : int

    Returns
    -------
    dict
        Dimension -> accuracy in [0, 1].

    Raises
    ------
    ValueError
        If a dimension exceeds min(N, m).
    """
    limit = min(train[0].shape)
    if max(dims) > limit:
        msg = f"{max(dims)} dimensions asked of activations that have {limit}"
        raise ValueError(msg)
    components = principal(train[0], max(dims), center=True, seed=seed)
    (x_train, y_train), (x_test, y_test) = _embedded(components, *train), _embedded(components, *test)
    return {
        dim: float(linear_classifier(seed).fit(x_train[:, :dim], y_train).score(x_test[:, :dim], y_test))
        for dim in dims
    }


def _embedded(
    components: Principal, activations: Tensor, labels: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    centred = activations - components.mean.to(activations.dtype)
    embedded = centred @ components.components.T.to(activations.dtype)
    return embedded.cpu().float().numpy(), labels.cpu().numpy()

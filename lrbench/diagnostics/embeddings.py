"""Low-dimensional embeddings: PCA and a max-margin linear classifier (paper, section 4.4 and appendix B)."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


def embedding_classifier(dim: int, seed: int = 0) -> Pipeline:
    """Build the paper's classifier: PCA to `dim`, mean 0 and variance 1 per component, hinge loss by SGD.

    l2 penalty, at most 1000 iterations; everything random follows `seed`.
    """
    classifier = SGDClassifier(loss="hinge", penalty="l2", max_iter=1000, random_state=seed)
    return make_pipeline(PCA(dim, random_state=seed), StandardScaler(), classifier)


def embedding_accuracies(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], dims: list[int], seed: int = 0
) -> dict[int, float]:
    """Test accuracy of `embedding_classifier` for each dimension, everything fitted on `train`.

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
        From scikit-learn, if a dimension exceeds min(N, m).
    """
    (x_train, y_train), (x_test, y_test) = _arrays(train), _arrays(test)
    return {dim: float(embedding_classifier(dim, seed).fit(x_train, y_train).score(x_test, y_test)) for dim in dims}


def _arrays(pair: tuple[Tensor, Tensor]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return pair[0].cpu().float().numpy(), pair[1].cpu().numpy()

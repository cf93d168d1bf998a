"""Low-dimensional embeddings: PCA and a max-margin linear classifier (paper, section 4.4 and appendix B)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.diagnostics.blocks import Matrix, blocks_of
from lrbench.diagnostics.principal import Principal, principal
from lrbench.errors import LrbenchError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Dim = int | Literal["full"]


def linear_classifier(seed: int = 0) -> "Pipeline":
    """Build the paper's classifier: mean 0 and variance 1 per component, then hinge loss by SGD.

    l2 penalty, at most 1000 iterations; everything random follows `seed`. One classifier a class, on all cores.
    """
    # Takes a second to load, which every command would wait for.
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    classifier = SGDClassifier(loss="hinge", penalty="l2", max_iter=1000, random_state=seed, n_jobs=-1)
    return make_pipeline(StandardScaler(), classifier)


def embedding_accuracies(
    train: tuple[Matrix, Tensor], test: tuple[Matrix, Tensor], dims: Sequence[Dim], seed: int = 0
) -> dict[Dim, float]:
    """Test accuracy of `linear_classifier` on the first principal components, everything fitted on `train`.

    Parameters
    ----------
    train, test : (Tensor (N, m) or StoredMatrix, Tensor (N,))
        Activations and labels.
    dims : sequence of ints in 1..min(N, m), or "full"
        "full" stands for the activations themselves, without PCA.
    seed : int

    Returns
    -------
    dict
        Dimension -> accuracy in [0, 1].

    Raises
    ------
    ValueError
        If a dimension exceeds min(N, m).
    LrbenchError
        If "full" is asked of activations that are stored since they do not fit into memory.
    """
    limit = min(train[0].shape)
    counts = [dim for dim in dims if dim != "full"]
    if any(dim > limit for dim in counts):
        msg = f"{max(counts)} dimensions asked of activations that have {limit}"
        raise ValueError(msg)
    y_train, y_test = train[1].cpu().numpy(), test[1].cpu().numpy()

    def score(x_train: NDArray[Any], x_test: NDArray[Any]) -> float:
        return float(linear_classifier(seed).fit(x_train, y_train).score(x_test, y_test))

    accuracies: dict[Dim, float] = {}
    if counts:
        found = principal(train[0], max(counts), center=True, seed=seed)
        x_train, x_test = embed(found, train[0]), embed(found, test[0])
        accuracies.update({dim: score(x_train[:, :dim], x_test[:, :dim]) for dim in counts})
    if "full" in dims:
        accuracies["full"] = score(_whole(train[0]), _whole(test[0]))
    return {dim: accuracies[dim] for dim in dims}


def _whole(activations: Matrix) -> NDArray[np.float32]:
    if not isinstance(activations, Tensor):
        rows, features = activations.shape
        msg = f"all {features:,} activations of {rows:,} images are too many for a classifier; name smaller dimensions"
        raise LrbenchError(msg)
    whole: NDArray[np.float32] = activations.cpu().float().numpy()
    return whole


def embed(found: Principal, activations: Matrix) -> NDArray[np.float32]:
    """Coordinates of activations, (N, m), in the principal components: (N, k), float32."""
    # Centred before the product, which loses fewer digits; block by block, which saves a second copy.
    embedded = torch.cat([_coordinates(found.to(block.device), block) for block in blocks_of(activations)])
    result: NDArray[np.float32] = embedded.cpu().float().numpy()
    return result


def _coordinates(found: Principal, block: Tensor) -> Tensor:
    return (block - found.mean.to(block.dtype)) @ found.components.to(block.dtype).T

"""Follow a change of subspace by exchanging rows of the factor, not by rotating it.

A factor F' = B^T T, with T of shape (p, k), p = n + k, usually costs a product of m x p with p x k. But T can be
written as [I; Z] T_pivot after a permutation (LU with row pivoting: Z = L_2 L_1^-1), so k of the p rows of B stay as
they are and the other n are added to them: 2 m n k operations in place of 2 m (n + k) k, and in place. This is the
interpolative decomposition (Cheng, Gimbutas, Martinsson and Rokhlin, SIAM J. Sci. Comput. 26, 2005) of B^T T; pivoting
keeps Z small.
"""

import torch
from torch import Tensor

from lrbench.lowrank import devices
from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.step import Stepped


def followed(stepped: Stepped, T: Tensor, gram: Tensor) -> LowRank:
    """W = F' F'^T for F' = B^T T, by whichever way is faster where the tensors are; arguments as of `interpolated`.

    A GPU multiplies faster than it pivots: there the product is made, and W comes out refreshed.
    """
    if devices.on_cpu(T):
        return interpolated(stepped, T, gram)
    W, n = stepped.W, len(stepped.X)
    rows = torch.addmm(T[:n].T @ stepped.X, (W.mix @ T[n:]).T, W.rows)
    return LowRank(rows, torch.eye(W.rank, dtype=T.dtype, device=T.device), gram)


def interpolated(stepped: Stepped, T: Tensor, gram: Tensor) -> LowRank:
    """W = F' F'^T for F' = B^T T; takes over and changes the memory of `stepped.W.rows`.

    No host synchronisation on a GPU: every shape is known beforehand.

    Parameters
    ----------
    stepped : Stepped
        With B = [X; F^T].
    T : Tensor, (n + k, k)
        Coefficients in the rows of B.
    gram : Tensor, (k, k)
        F'^T F'.
    """
    W, X = stepped.W, stepped.X
    n, k = stepped.Q.shape
    # X's rows are scaled to the length of the factor's, lest their size decide the pivots.
    scale = (stepped.G.diagonal().mean().clamp_min(torch.finfo(X.dtype).tiny)).rsqrt()
    coefficients = torch.cat([W.mix @ T[n:], T[:n] / scale])
    LU, pivots, _ = torch.linalg.lu_factor_ex(coefficients)
    order = torch.lu_unpack(LU, pivots, unpack_data=False)[0].argmax(dim=0)
    kept, added = order[:k], order[k:]
    Z = torch.linalg.solve_triangular(LU[:k].T, LU[k:].T, upper=True, unitriangular=True)
    from_rows = W.rows[added.clamp(max=k - 1)]
    from_X = X[(added - k).clamp(min=0)].mul_(scale)
    others = torch.where((added < k)[:, None], from_rows, from_X)
    slots, entering = _slots(kept, k)
    count = min(n, k)
    newcomers = (kept[entering[:count]] - k).clamp(min=0)
    seats = slots[entering[:count]]
    enters = (kept[entering[:count]] >= k)[:, None]
    W.rows.index_copy_(0, seats, torch.where(enters, X[newcomers].mul_(scale), W.rows[seats]))
    W.rows.addmm_(torch.empty_like(Z).index_copy_(0, slots, Z), others)
    mix = torch.empty_like(W.mix).index_copy_(0, slots, coefficients[kept])
    return LowRank(W.rows, mix, gram)


def _slots(kept: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Where each kept row of [rows; X] goes, and the order of the kept ones with X's first.

    A row of the factor stays where it is; one of X takes the place of a row of the factor that is not kept.
    """
    from_rows = kept < k
    entering = torch.argsort(from_rows.to(torch.uint8), stable=True)
    stays = torch.zeros(k, dtype=torch.uint8, device=kept.device)
    stays.index_put_((kept.clamp(max=k - 1),), from_rows.to(torch.uint8), accumulate=True)
    vacant = torch.argsort(stays, stable=True)
    slots = torch.empty_like(kept)
    slots[entering] = torch.where(from_rows[entering], kept[entering], vacant)
    return slots, entering

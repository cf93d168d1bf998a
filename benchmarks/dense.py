"""The update of Algorithm 1 on an explicit m x m matrix, as the paper writes it and as fast as torch makes it."""

import torch


def stepped(W, X, step):
    """W - eta sym(dL_c/dW), in W's own memory."""
    R = X @ W
    R -= X
    gradient = X.T @ R
    symmetric = gradient + gradient.T
    del gradient
    bound = torch.linalg.matrix_norm(X @ X.T)
    return W.sub_(symmetric * (step / (2 * bound)))


def nystrom_update(W, X, columns, rank, step=1.0):
    """W_k = C W_l,k^+ C^T with C the sampled columns of the stepped matrix (section 3.3, equation 6)."""
    W = stepped(W, X, step)
    C = W[:, columns]
    eigenvalues, U = torch.linalg.eigh(C[columns])
    cutoff = len(columns) * torch.finfo(W.dtype).eps * eigenvalues[-1]
    kept = (eigenvalues > cutoff) & (torch.arange(len(columns), device=W.device) >= len(columns) - rank)
    F = C @ (U * torch.where(kept, eigenvalues, torch.inf).rsqrt())[:, -rank:]
    del C
    return torch.matmul(F, F.T, out=W)


def eigh_update(W, X, rank, step=1.0):
    """Best rank-k approximation by a full decomposition (section 3.2, equation 5)."""
    eigenvalues, U = torch.linalg.eigh(stepped(W, X, step))
    U = U[:, -rank:]
    return U * eigenvalues[-rank:] @ U.T

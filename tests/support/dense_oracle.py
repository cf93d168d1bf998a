"""Algorithm 1 of the paper on explicit matrices, written as it is printed: the oracle for the factored layer."""

import torch


def exact_projection(W, rank):
    """Pi_k by a full decomposition (section 3.2, equation 5)."""
    eigenvalues, eigenvectors = torch.linalg.eigh(W)
    order = eigenvalues.abs().argsort(descending=True)[:rank]
    U = eigenvectors[:, order]
    return U @ torch.diag(eigenvalues[order]) @ U.T


def nystrom_projection(W, rank, columns):
    """W_k = C W_l,k^+ C^T (section 3.3, equation 6)."""
    C = W[:, columns]
    W_l = C[columns, :]
    U, sigma, _ = torch.linalg.svd(W_l)
    cutoff = len(W_l) * torch.finfo(W.dtype).eps * sigma[0]
    kept = [i for i in range(rank) if sigma[i] > cutoff]
    W_l_pinv = sum(torch.outer(U[:, i], U[:, i]) / sigma[i] for i in kept)
    return C @ W_l_pinv @ C.T


class DenseLRLayer:
    """W = (W_S + W_S^T) / 2 with W_S and b as autograd parameters, updated by a plain gradient step."""

    def __init__(self, W, b, lambda_1, lambda_2):
        self.W_S = W.clone().requires_grad_()
        self.b = b.clone().requires_grad_()
        self.lambda_1, self.lambda_2 = lambda_1, lambda_2

    @property
    def W(self):  # noqa: N802
        return (self.W_S + self.W_S.T) / 2

    def penalties(self, A):
        n = len(A)
        Z = (A + self.b) @ self.W.T
        D1 = self.lambda_1 / n * (Z - (A + self.b)).square().sum()
        D2 = self.lambda_2 / n * (1 - A.norm(dim=1)).abs().sum()
        return D1, D2

    def update(self, A, eta, eta_b, project):
        D1, _ = self.penalties(A.detach())
        gradient_W_S, gradient_b = torch.autograd.grad(D1, [self.W_S, self.b])
        with torch.no_grad():
            self.W_S -= eta * gradient_W_S
            self.b -= eta_b * gradient_b
            self.W_S.copy_(project(self.W))

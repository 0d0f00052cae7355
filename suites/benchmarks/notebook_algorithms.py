"""The notebooks' matrices of softmax regression, transcribed: slow, as they are there.

Of experiment E1 the loop over samples, of E4 the product of all samples at once, its K-FAC, and its empirical Fisher with one
backward pass a sample.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def compute_fisher_analytic(model: nn.Module, inputs: Tensor) -> Tensor:
    """The exact Fisher by a loop over samples: ``(CD, CD)``."""
    with torch.no_grad():
        probs = F.softmax(model(inputs), dim=1)
        count, classes = probs.shape
        width = inputs.shape[1]
        fisher = torch.zeros(classes * width, classes * width, dtype=inputs.dtype, device=inputs.device)
        for i in range(count):
            p = probs[i]
            x = inputs[i]
            hessian = torch.diag(p) - torch.outer(p, p)
            sample = torch.kron(hessian, torch.outer(x, x))
            fisher += sample
        fisher /= count
        return (fisher + fisher.T) / 2


def compute_exact_fisher(model: nn.Module, X: Tensor) -> Tensor:
    """The exact Fisher by way of all samples' Kronecker products at once: ``(N, CD, CD)``."""
    with torch.no_grad():
        probs = torch.softmax(model(X), dim=1)
    B, C = probs.shape
    D = X.shape[1]
    diag_p = torch.diag_embed(probs)
    outer_p = torch.einsum("bc,bd->bcd", probs, probs)
    fisher_class = diag_p - outer_p
    outer_x = torch.einsum("bi,bj->bij", X, X)
    fisher = torch.einsum("bik,bjl->bijkl", fisher_class, outer_x)
    fisher = fisher.reshape(B, C * D, C * D)
    F_exact = fisher.mean(dim=0)
    return 0.5 * (F_exact + F_exact.T)


def compute_kfac_fisher(model: nn.Module, X: Tensor) -> Tensor:
    """K-FAC: S kron A from the means of both factors."""
    with torch.no_grad():
        probs = torch.softmax(model(X), dim=1)
        B = len(probs)
        A = (X.T @ X) / B
        A = 0.5 * (A + A.T)
        S = torch.diag(probs.mean(dim=0)) - (probs.T @ probs) / B
        S = 0.5 * (S + S.T)
        F_kfac = torch.kron(S, A)
        return 0.5 * (F_kfac + F_kfac.T)


def compute_empirical_fisher(model: nn.Module, X: Tensor, y: Tensor) -> Tensor:
    """The empirical Fisher from one backward pass a sample."""
    grads = []
    for i in range(len(X)):
        model.zero_grad()
        log_prob = torch.log_softmax(model(X[i : i + 1]), dim=1)
        loss: Any = -log_prob[0, y[i]]
        loss.backward()
        grads.append(torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]))
    stacked = torch.stack(grads)
    F_emp = (stacked.T @ stacked) / len(X)
    return 0.5 * (F_emp + F_emp.T)

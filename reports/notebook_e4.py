"""The algorithm of the E4 notebook, transcribed: the slow baseline. E3 is its part with the exact Fisher and SGD."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reports.data import DataSet
from fishergauge.reports.initial_parameters import initial_parameters
from fishergauge.reports.transport import Steps
from fishergauge.suites.benchmarks.notebook_algorithms import (
    compute_empirical_fisher,
    compute_exact_fisher,
    compute_kfac_fisher,
)


def run_notebook_e4(
    data: DataSet, seed: int, kappas: Sequence[float], eta: float, rcond: float, methods: Sequence[str]
) -> Steps:
    """One seed of the notebook: every matrix as the notebook forms it, and one pseudo-inverse a matrix and kappa.

    The order of the operations and the sizes of the arrays are the notebook's; the global random state and
    default dtype, which the notebook sets, are left alone. ``compute_exact_fisher`` holds an array of
    size N x CD x CD, and ``compute_empirical_fisher`` runs backward once a sample.

    Args:
        data: the training part is used.
        seed: of the initial parameters.
        kappas: condition numbers; the first one is the reference.
        eta: length of the step.
        rcond: relative cut-off of the pseudo-inverse.
        methods: out of ``"sgd"``, ``"exact"``, ``"kfac"``, ``"empirical"``. With the first two it is E3.

    Returns:
        The steps by method and kappa; see :func:`fishergauge.reports.transport.deviations`.
    """
    X, y = data.inputs, data.targets
    model = nn.Linear(data.num_features, data.num_classes, bias=False, device="meta")  # draws no initial weight
    model.weight = nn.Parameter(initial_parameters(seed, data.num_features, data.num_classes, str(X.device)))
    loss: Any = nn.functional.cross_entropy(model(X), y)
    loss.backward()
    g_theta = torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]).detach()
    matrices = {"exact": compute_exact_fisher(model, X)}
    matrices["sgd"] = matrices["exact"]  # not used by SGD
    if "kfac" in methods:
        matrices["kfac"] = compute_kfac_fisher(model, X)
    if "empirical" in methods:
        matrices["empirical"] = compute_empirical_fisher(model, X, y)
    steps: Steps = {method: {} for method in methods}
    for method in methods:
        for kappa in kappas:
            S_vec = scaling_vector(kappa, data.num_classes, data.num_features, X)
            steps[method][kappa] = one_step_update_in_theta_space(g_theta, matrices[method], S_vec, method, eta, rcond)
    return steps


def pinv_psd(F_mat: Tensor, rcond: float = 1e-8) -> Tensor:
    """The notebook's pseudo-inverse of a positive semi-definite matrix."""
    evals, evecs = torch.linalg.eigh(0.5 * (F_mat + F_mat.T))
    inv = torch.zeros_like(evals)
    mask = evals > rcond * evals.max()
    inv[mask] = 1.0 / evals[mask]
    inverse: Tensor = (evecs * inv.unsqueeze(0)) @ evecs.T
    return inverse


def scaling_vector(kappa: float, n_classes: int, n_features: int, like: Tensor) -> Tensor:
    """The scaling: sqrt(kappa) for the first half of the features, 1/sqrt(kappa) for the others, for each class."""
    s_feat = torch.ones(n_features, device=like.device, dtype=like.dtype)
    half = n_features // 2
    s_feat[:half] = math.sqrt(kappa)
    s_feat[half:] = 1.0 / math.sqrt(kappa)
    return s_feat.repeat(n_classes)


def one_step_update_in_theta_space(
    g_theta: Tensor, F_theta: Tensor, S_vec: Tensor, method: str, eta: float, rcond: float = 1e-8
) -> Tensor:
    """The step in scaled coordinates, pushed back; the matrix is transported by congruence, S F S."""
    g_phi = S_vec * g_theta
    F_phi = (S_vec[:, None] * F_theta) * S_vec[None, :]
    F_phi = 0.5 * (F_phi + F_phi.T)
    delta_phi = -eta * g_phi if method == "sgd" else -eta * pinv_psd(F_phi, rcond=rcond) @ g_phi
    return S_vec * delta_phi

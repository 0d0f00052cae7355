"""The notebook's algorithm of E1, transcribed: the slow baseline, its mistake included."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fishergauge.suites.benchmarks.notebook_algorithms import compute_fisher_analytic

GUARD = 1e-10
CUTOFF = 1e-8


def notebook_e1(inputs: Tensor, targets: Tensor, weight: Tensor, epsilons: Sequence[float]) -> dict[str, Any]:
    r"""All steps of one seed as the notebook computes them.

    The Fisher is a loop over samples, every natural-gradient step decomposes it again, and ``logits_before`` is
    evaluated after the parameters have been set to those after the step.

    Args:
        inputs: ``(N, D)``, float64.
        targets: ``(N,)``.
        weight: initial parameters, ``(C, D)``; left as they are.
        epsilons: per-step KL divergences asked for.

    Returns:
        ``gate``, the outcome of Gate A, and ``rows``, one a step, both with the notebook's columns (the column
        ``direction``, a tensor, is left out).

    Reference:
        The notebook of experiment E1, functions ``compute_fisher_analytic``, ``sgd_step`` and ``natgrad_step``.
    """
    model = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype, device=weight.device)
    set_parameters_flat(model, weight.reshape(-1))
    fisher = compute_fisher_analytic(model, inputs)
    gate = gate_a_fisher_quality(fisher)
    theta_0 = get_parameters_flat(model).clone()
    rows = []
    for epsilon in epsilons:
        directions = {}
        for method, natural in (("sgd", False), ("natgrad", True)):
            set_parameters_flat(model, theta_0)
            row, directions[method] = _step(model, inputs, targets, epsilon, fisher, natural)
            rows.append({"epsilon": epsilon, "method": method, **row})
        rows[-1]["cos_g_v"] = torch.dot(directions["sgd"], directions["natgrad"]).item()
    return {"gate": gate, "rows": rows}


def gate_a_fisher_quality(fisher: Tensor, threshold: float = -1e-7) -> dict[str, Any]:
    """Gate A with the notebook's columns."""
    fisher_sym = (fisher + fisher.T) / 2
    eigenvalues = torch.linalg.eigvalsh(fisher_sym)
    low = eigenvalues.min().item()
    high = eigenvalues.max().item()
    return {
        "gate_a_passed": not low < threshold * abs(high),
        "min_eigenvalue": low,
        "max_eigenvalue": high,
        "condition_number": high / low if low > 0 else float("inf"),
    }


def kl_reported(logits_before: Tensor, logits_after: Tensor) -> float:
    r"""The notebook's formula for the KL divergence, with its two guards :math:`\delta = 10^{-10}`.

    .. math:: -\frac{1}{N} \sum_n \sum_c p_c \log\Big(\frac{q_c}{p_c + \delta} + \delta\Big)

    For q = p each term is :math:`-p_c \log(1 - \delta / p_c + \delta) \approx \delta - \delta p_c`, so that the
    formula yields :math:`(C - 1) \delta`, 9e-10 for ten classes, whatever the step was.

    Args:
        logits_before: ``(N, C)``.
        logits_after: ``(N, C)``.

    Returns:
        The mean over the samples.

    Example:
        >>> logits = torch.zeros(1, 10, dtype=torch.float64)
        >>> round(kl_reported(logits, logits) / 1e-10, 4)
        9.0
    """
    probs_before = F.softmax(logits_before, dim=1)
    probs_after = F.softmax(logits_after, dim=1)
    return float(-(probs_before * torch.log(probs_after / (probs_before + GUARD) + GUARD)).sum(1).mean().item())


def get_parameters_flat(model: nn.Module) -> Tensor:
    """All parameters as one vector."""
    return torch.cat([p.flatten() for p in model.parameters()])


def set_parameters_flat(model: nn.Module, params: Tensor) -> None:
    """Set all parameters from one vector."""
    offset = 0
    for p in model.parameters():
        p.data.copy_(params[offset : offset + p.numel()].view_as(p))
        offset += p.numel()


def compute_loss_and_grad(model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[float, Tensor]:
    """The loss, and its gradient by backpropagation."""
    model.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def natural_gradient(fisher: Tensor, grad: Tensor) -> Tensor:
    """F^+ g through all eigenvectors, eigenvalues below the absolute cut-off set to zero."""
    eigvals, eigvecs = torch.linalg.eigh(fisher)
    eigvals_inv = torch.where(eigvals > CUTOFF, 1.0 / eigvals, torch.zeros_like(eigvals))
    fisher_inv: Tensor = eigvecs @ torch.diag(eigvals_inv) @ eigvecs.T
    return fisher_inv @ grad


def _step(
    model: nn.Module, inputs: Tensor, targets: Tensor, epsilon: float, fisher: Tensor, natural: bool
) -> tuple[dict[str, float], Tensor]:
    """One step of either method, and its unit direction."""
    loss_before, grad = compute_loss_and_grad(model, inputs, targets)
    direction = natural_gradient(fisher, grad) if natural else grad
    curvature = torch.dot(direction, fisher @ direction)
    eta = torch.sqrt(2 * epsilon / curvature)
    theta_before = get_parameters_flat(model)
    theta_after = theta_before - eta * direction
    set_parameters_flat(model, theta_after)
    with torch.no_grad():
        logits_before = model(inputs)  # the mistake: these are the logits after the step
    set_parameters_flat(model, theta_after)
    with torch.no_grad():
        logits_after = model(inputs)
        kl_actual = kl_reported(logits_before, logits_after)
    loss_after = F.cross_entropy(logits_after, targets).item()
    row = {
        "loss_before": loss_before,
        "loss_after": loss_after,
        "delta_loss": loss_before - loss_after,
        "kl_step": kl_actual,
        "kl_ratio": kl_actual / epsilon,
        "eta": eta.item(),
    }
    return row, direction / torch.norm(direction)

"""The three gates of the paper's experiments, as functions that can fail."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError

GATE_A_THRESHOLDS = (1e-7, 1e-8)  # relative to the largest eigenvalue: experiment E1, and E4


@dataclass(frozen=True)
class GateA:
    """Outcome of :func:`gate_a`: the extreme eigenvalues and the least one allowed."""

    passed: bool
    minimum: float
    maximum: float
    allowed: float


@dataclass(frozen=True)
class GateB:
    """Outcome of :func:`gate_b`: the fraction of ratios inside the interval, and their mean."""

    passed: bool
    fraction: float
    mean: float


@dataclass(frozen=True)
class GateC:
    """Outcome of :func:`gate_c`: the largest deviation, and the deviations beyond the threshold by condition number."""

    passed: bool
    deviation: float
    failures: dict[float, float]


def gate_a(matrix: Tensor, threshold: float = 1e-8) -> GateA:
    r"""Gate A: the matrix is positive semi-definite up to a threshold.

    .. math:: \lambda_{min} \ge -\text{threshold} \cdot |\lambda_{max}|

    Args:
        matrix: ``(P, P)``; its symmetric part is examined.
        threshold: relative to the largest eigenvalue; the notebooks use 1e-7 (E1) and 1e-8 (E4).

    Returns:
        The outcome; not passed for a matrix with NaN or infinite entries.

    Raises:
        ProblemError: the matrix is not square, or the threshold is negative.

    Example:
        >>> gate_a(torch.diag(torch.tensor([1.0, -1e-3]))).passed
        False
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ProblemError(f"expected a square matrix, got shape {tuple(matrix.shape)}")
    if threshold < 0:
        raise ProblemError(f"the threshold is a non-negative fraction of the largest eigenvalue, got {threshold}")
    if not bool(matrix.isfinite().all()):
        return GateA(False, float("nan"), float("nan"), float("nan"))
    values = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    minimum, maximum = float(values[0]), float(values[-1])
    allowed = -threshold * abs(maximum)
    return GateA(minimum >= allowed, minimum, maximum, allowed)


def gate_b(ratios: Tensor, low: float = 0.8, high: float = 1.2) -> GateB:
    r"""Gate B: the divergence of every step is near its target.

    .. math:: \text{low} \le KL / \varepsilon \le \text{high}

    Args:
        ratios: KL of the step over its target, any shape, at least one.
        low: least ratio allowed.
        high: largest ratio allowed.

    Returns:
        The outcome; NaN counts as outside.

    Raises:
        ProblemError: there is no ratio; a gate that nothing has to pass says nothing.

    Example:
        >>> gate_b(torch.tensor([1.0, 1.3])).fraction
        0.5
    """
    if ratios.numel() == 0:
        raise ProblemError("gate B needs at least one ratio")
    inside = (ratios >= low) & (ratios <= high)
    return GateB(bool(inside.all()), float(inside.double().mean()), float(ratios.double().mean()))


def gate_c(logits: Mapping[float, Tensor], threshold: float = 1e-5) -> GateC:
    r"""Gate C: the models in all coordinates compute the same function before the step.

    .. math:: \max |z_\kappa - z_{\kappa_0}| \le \text{threshold}

    Args:
        logits: outputs of the model by condition number; the first entry is the reference.
        threshold: absolute, as in the notebook (E4).

    Returns:
        The outcome; NaN counts as a failure.

    Raises:
        ProblemError: there are fewer than two models, or their outputs differ in shape.

    Example:
        >>> gate_c({1.0: torch.zeros(2, 3), 10.0: torch.ones(2, 3)}).failures
        {10.0: 1.0}
    """
    if len(logits) < 2:
        raise ProblemError("gate C compares at least two models")
    (_, reference), *others = logits.items()
    if any(other.shape != reference.shape for _, other in others):
        raise ProblemError(f"outputs differ in shape: {[tuple(z.shape) for z in logits.values()]}")
    deviations = {kappa: float((other - reference).abs().max()) for kappa, other in others}
    failures = {kappa: d for kappa, d in deviations.items() if not d <= threshold}
    return GateC(not failures, max(deviations.values()), failures)

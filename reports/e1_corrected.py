"""E1 as it should be: both methods step until the true KL divergence is the same, and the limit of small steps is known."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fishergauge.reference.stable_exponential import categorical_kl
from fishergauge.reports.natural_gradient import both_directions
from fishergauge.reports.ray import Rays

SMALL = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
"""Divergences below the paper's: the loss reduction at 1e-12 is about 1e-6, ten digits above rounding."""


def matched_e1(inputs: Tensor, targets: Tensor, weight: Tensor, epsilons: Sequence[float]) -> dict[str, Any]:
    r"""Steps of both methods with exactly the same true KL divergence, for one seed.

    The relative advantage of the natural gradient, :math:`\Delta L_{nat} / \Delta L_{sgd} - 1`, tends to

    .. math:: \frac{\sqrt{(g' F^+ g)(g' F g)}}{g'g} - 1

    as the divergence falls, and differs from it by about :math:`\sqrt{2 \varepsilon}\,(c_{nat} - c_{sgd})` with the
    coefficients of :func:`first_order`.

    Args:
        inputs: ``(N, D)``, float64.
        targets: ``(N,)``.
        weight: initial parameters, ``(C, D)``.
        epsilons: divergences of the steps.

    Returns:
        ``rows``, one a divergence: lengths, relative errors of the divergence (evaluated by a second formula), loss
        reductions, the advantage; and ``limit`` and ``slope`` of the seed.
    """
    logits = inputs @ weight.T
    directions, fisher = both_directions(inputs, targets, weight)
    limit = small_step_limit(fisher, *directions)
    goals = torch.tensor(epsilons, dtype=inputs.dtype, device=inputs.device)
    steps = [_steps(inputs, targets, logits, direction.view_as(weight), goals) for direction in directions]
    coefficients = [first_order(logits, inputs @ v.view_as(weight).T, float(directions[0] @ v)) for v in directions]
    rows = []
    for e, epsilon in enumerate(epsilons):
        row: dict[str, Any] = {"epsilon": epsilon}
        for method, step in zip(("sgd", "natgrad"), steps, strict=True):
            row.update({f"{name}_{method}": float(values[e]) for name, values in step.items()})
        row["advantage"] = row["delta_loss_natgrad"] / row["delta_loss_sgd"] - 1
        rows.append(row)
    return {"rows": rows, "limit": limit, "slope": (1 + limit) * (coefficients[1] - coefficients[0])}


def small_step_limit(fisher: Tensor, gradient: Tensor, natural: Tensor) -> float:
    r"""The advantage of the natural gradient for vanishing steps, :math:`\sqrt{(g'F^+g)(g'Fg)} / g'g - 1 \ge 0`.

    It is the inequality of Kantorovich and, before it, of Cauchy and Schwarz: zero where g is an eigenvector of F.

    Args:
        fisher: F, ``(P, P)``.
        gradient: g, ``(P,)``.
        natural: F^+ g, ``(P,)``.

    Returns:
        A fraction.

    Example:
        >>> g = torch.ones(2)
        >>> round(small_step_limit(torch.diag(torch.tensor([4.0, 1.0])), g, torch.tensor([0.25, 1.0])), 6)
        0.25
    """
    return float(((gradient @ natural) * (gradient @ fisher @ gradient)).sqrt() / (gradient @ gradient)) - 1


def first_order(logits: Tensor, changes: Tensor, slope: float) -> float:
    r"""The first-order coefficient of the loss reduction at exact divergence.

    .. math:: \Delta L = a \sqrt{2 \varepsilon} \, (1 + c \sqrt{2 \varepsilon} + O(\varepsilon))

    Since :math:`\Delta L = \eta g'v - KL` exactly, with q = v'Fv and the third moment t of the logits' change under p,

    .. math:: c = \frac{t}{6 q^{3/2}} - \frac{\sqrt{q}}{2 g'v}

    Args:
        logits: W x, ``(N, C)``.
        changes: V x, ``(N, C)``.
        slope: g'v.

    Returns:
        c.
    """
    rays = Rays(logits, changes[None])
    q, third = float(rays.moment(2)), float(rays.moment(3))
    return float(third / (6 * q**1.5) - q**0.5 / (2 * slope))


def _steps(inputs: Tensor, targets: Tensor, logits: Tensor, direction: Tensor, goals: Tensor) -> dict[str, Tensor]:
    """Matched lengths along one direction, and what the steps do: tensors ``(E,)`` by name."""
    changes = inputs @ direction.T
    lengths = Rays(logits, changes[None]).matched_length(goals)
    before = F.cross_entropy(logits, targets)
    after, kl = torch.empty_like(goals), torch.empty_like(goals)
    for e, length in enumerate(lengths):
        moved = logits - length * changes
        after[e] = F.cross_entropy(moved, targets)
        kl[e] = categorical_kl(logits, moved).mean()
    return {"eta": lengths, "kl_error": kl / goals - 1, "delta_loss": before - after}

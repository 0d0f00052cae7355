"""E1 as published, by few matrix products and in little memory: the figures of the notebook, its mistake included."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fishergauge.reports.natural_gradient import complete_kernel_
from fishergauge.reports.notebook_e1 import CUTOFF, GUARD, natural_gradient
from fishergauge.suites.gates import GATE_A_THRESHOLDS

CHUNK = 125  # samples at a time: what is held at once stays far below one array of all logits
METHODS = ("sgd", "natgrad")


class Start(NamedTuple):
    """What one pass over the samples yields at the initial parameters, with means over the samples."""

    fisher: Tensor  # (CD, CD)
    expected: Tensor  # (C, D), mean of p x'
    observed: Tensor  # (C, D), mean of e_y x'
    log_partition: Tensor  # scalar, mean of log sum exp z


def fast_e1(inputs: Tensor, targets: Tensor, weight: Tensor, epsilons: Sequence[float]) -> dict[str, Any]:
    r"""All steps of one seed: what :func:`fishergauge.reports.notebook_e1.notebook_e1` yields, and the true KL.

    The samples are visited twice, a few at a time: once for Fisher, gradient and loss, once for all steps of both
    methods. With :math:`A(W)` the mean of :math:`\log \sum_c e^{z_c}`, both the loss and the true KL divergence follow from it:

    .. math:: L(W) = A(W) - \langle W, \overline{e_y x'} \rangle, \qquad
        KL(W \,\|\, W - \eta V) = A(W - \eta V) - A(W) + \eta \langle V, \overline{p x'} \rangle

    Args:
        inputs: ``(N, D)``, float64.
        targets: ``(N,)``.
        weight: initial parameters, ``(C, D)``.
        epsilons: per-step KL divergences asked for.

    Returns:
        ``gate`` and ``rows`` as the notebook's, with ``gate_a_passed_1e-8``, and ``true_kl`` and ``true_kl_ratio`` a step.
    """
    start = _start(inputs, targets, weight)
    gradient = (start.expected - start.observed).reshape(-1)
    values = torch.linalg.eigvalsh(start.fisher)
    slope = gradient @ start.fisher @ gradient
    natural = _natural_gradient(start.fisher, gradient, values, len(weight))
    start = start._replace(fisher=values)  # releases the matrix
    directions = torch.stack([gradient, natural])
    curvatures = torch.stack([slope, natural @ gradient])  # v'Fv for v = g and v = F^+ g
    lengths = (2 * torch.tensor(epsilons, dtype=weight.dtype, device=weight.device) / curvatures[:, None]).sqrt()
    directions = directions.view(2, *weight.shape)
    partitions, reported = _outcomes(inputs, weight, directions, lengths)
    rows = _rows(start, weight, directions, lengths, partitions, reported, epsilons)
    return {"gate": gate_row(values), "rows": rows}


def gate_row(values: Tensor) -> dict[str, Any]:
    """Gate A from the eigenvalues (ascending), with the notebook's columns and both of its thresholds."""
    low, high = float(values[0]), float(values[-1])
    loose, strict = (low >= -threshold * abs(high) for threshold in GATE_A_THRESHOLDS)
    return {
        "gate_a_passed": loose,
        "gate_a_passed_1e-8": strict,
        "min_eigenvalue": low,
        "max_eigenvalue": high,
        "condition_number": high / low if low > 0 else float("inf"),
    }


def _start(inputs: Tensor, targets: Tensor, weight: Tensor) -> Start:
    """One pass: F = sum of diag(p) kron xx' less (p kron x)(p kron x)', in place."""
    (count, width), classes = inputs.shape, len(weight)
    size = classes * width
    fisher = inputs.new_zeros(size, size)
    own = inputs.new_zeros(width, size)
    expected, observed = inputs.new_zeros(classes, width), inputs.new_zeros(classes, width)
    partition = inputs.new_zeros(())
    buffer = inputs.new_empty(classes, width, min(CHUNK, count))  # samples last: long rows
    for first in range(0, count, CHUNK):
        x = inputs[first : first + CHUNK]
        columns = x.T.contiguous()
        p = weight @ columns
        top = p.amax(0)
        totals = p.sub_(top).exp_().sum(0)
        partition += (top + totals.log()).sum()
        p /= totals
        products = torch.mul(p[:, None], columns, out=buffer[..., : len(x)]).reshape(size, len(x))
        fisher.addmm_(products, products.T, alpha=-1)
        own.addmm_(columns, products.T)
        expected.addmm_(p, x)
        observed.index_add_(0, targets[first : first + CHUNK], x)
    blocks = fisher.view(classes, width, classes, width).diagonal(dim1=0, dim2=2)
    blocks += own.view(width, classes, width).transpose(1, 2)
    return Start(fisher.div_(count), expected.div_(count), observed.div_(count), partition / count)


def _natural_gradient(fisher: Tensor, gradient: Tensor, values: Tensor, classes: int) -> Tensor:
    """F^+ g with the notebook's cut-off; overwrites F.

    Where the absolute cut-off selects exactly the range, the complement of the common shift of the logits, a Cholesky
    factorisation of the completed matrix does; otherwise the notebook's own algorithm.
    """
    if int((values > CUTOFF).sum()) < len(fisher) - len(fisher) // classes:
        return natural_gradient(fisher.add_(fisher.T.clone()).div_(2), gradient)
    factor = complete_kernel_(fisher, classes)
    torch.linalg.cholesky(factor, out=factor)
    return torch.cholesky_solve(gradient[:, None], factor)[:, 0]


def _outcomes(inputs: Tensor, weight: Tensor, directions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Mean log partition function and the notebook's ``kl_step`` after every step: ``(2, E)`` each."""
    classes, steps = len(weight), lengths.shape[1]
    partitions, reported = torch.zeros_like(lengths), torch.zeros_like(lengths)
    buffers = inputs.new_empty(2, 2, steps, classes, min(CHUNK, len(inputs)))  # samples last: long rows
    moves = directions.reshape(2 * classes, -1)
    for first in range(0, len(inputs), CHUNK):
        x = inputs[first : first + CHUNK].T
        p, terms = buffers[..., : x.shape[1]]
        torch.mul((moves @ x).view(2, 1, classes, -1), -lengths[:, :, None, None], out=p)
        p += weight @ x
        top = p.amax(2, keepdim=True)
        p.sub_(top).exp_()
        totals = p.sum(2, keepdim=True)
        p /= totals
        partitions += (top + totals.log_()).sum((2, 3))
        torch.add(p, GUARD, out=terms)  # the mistake: before and after are both the distribution after the step
        torch.div(p, terms, out=terms).add_(GUARD).log_().mul_(p)
        reported -= terms.sum((2, 3))
    return partitions / len(inputs), reported / len(inputs)


def _rows(
    start: Start,
    weight: Tensor,
    directions: Tensor,
    lengths: Tensor,
    partitions: Tensor,
    reported: Tensor,
    epsilons: Sequence[float],
) -> list[dict[str, Any]]:
    """A row a step, in the notebook's order and with its columns."""
    before = start.log_partition - (weight * start.observed).sum()
    gains = (directions * start.observed).sum((1, 2))[:, None]
    after = partitions - (weight * start.observed).sum() + lengths * gains
    kl = partitions - start.log_partition + lengths * (directions * start.expected).sum((1, 2))[:, None]
    cosine = float(torch.nn.functional.cosine_similarity(directions[0].reshape(-1), directions[1].reshape(-1), dim=0))
    rows: list[dict[str, Any]] = []
    for e, epsilon in enumerate(epsilons):
        for m, method in enumerate(METHODS):
            row = {
                "epsilon": epsilon,
                "method": method,
                "loss_before": float(before),
                "loss_after": float(after[m, e]),
                "delta_loss": float(before - after[m, e]),
                "kl_step": float(reported[m, e]),
                "kl_ratio": float(reported[m, e]) / epsilon,
                "eta": float(lengths[m, e]),
                "true_kl": float(kl[m, e]),
                "true_kl_ratio": float(kl[m, e]) / epsilon,
            }
            rows.append(row)
        rows[-1]["cos_g_v"] = cosine
    return rows

"""E2 as published: training at a prescribed divergence per step, the Fisher computed once at the start."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fishergauge.reference.softmax_regression import softmax_regression_fisher
from fishergauge.reports.data import DataSet
from fishergauge.reports.natural_gradient import complete_kernel_
from fishergauge.reports.notebook_e1 import CUTOFF, GUARD
from fishergauge.reports.published_test_set import compare_test_sets
from fishergauge.reports.short_softmax import short_softmax
from fishergauge.suites.gates import gate_a, gate_b

CHUNK = 400  # samples at a time: the arrays of all runs stay in the cache
CORRECTIONS = 2
LOW, HIGH = 0.8, 1.2  # Gate B
METHODS = ("sgd", "natgrad")


def controlled_training(data: DataSet, weight: Tensor, epsilons: Sequence[float], epochs: int) -> dict[str, Any]:
    r"""Train by SGD and by the natural gradient at each divergence, all runs side by side.

    Each step has the length of the quadratic model with the initial Fisher, :math:`\eta = \sqrt{2 \varepsilon / d'F_0 d}`, and
    is corrected at most twice by :math:`\eta \leftarrow \eta \sqrt{\varepsilon / KL}` until Gate B passes.

    Args:
        data: trained full-batch on its training part.
        weight: initial parameters, ``(C, D)``.
        epsilons: divergences per step.
        epochs: number of steps.

    Returns:
        ``rows``, one a run with the published columns (the loss is that of the training set; ``final_accuracy`` is measured
        on the published test set where there is one), and ``gate_b_fraction``, ``final_accuracy_fair`` and ``train_accuracy``;
        ``gate_a_passed``; and ``test_set`` of the first run, see
        :func:`fishergauge.reports.published_test_set.compare_test_sets`.
    """
    inputs, targets = data.inputs, data.targets
    logits = inputs @ weight.T
    fisher = softmax_regression_fisher(inputs, logits)
    gate = gate_a(fisher, 1e-7)
    solve = _solver(fisher, len(weight))
    runs = [(method, epsilon) for epsilon in epsilons for method in METHODS]
    goals = weight.new_tensor([epsilon for _, epsilon in runs])
    weights = weight.expand(len(runs), *weight.shape).clone()
    ratios, corrections = [], torch.zeros(len(runs), dtype=torch.long, device=weight.device)
    probabilities = inputs.new_empty(len(inputs), len(runs), len(weight))
    for _ in range(epochs):
        directions = _gradients(inputs, targets, weights, probabilities)
        directions[1::2] = solve(directions[1::2].T).T
        lengths = (2 * goals / ((directions @ fisher) * directions).sum(-1)).sqrt()
        ratio, lengths, used = _corrected(inputs, probabilities, directions.view_as(weights), lengths, goals)
        weights = weights - lengths[:, None, None] * directions.view_as(weights)
        corrections += used
        ratios.append(ratio)
    history = torch.stack(ratios)
    rows = []
    for i, (method, epsilon) in enumerate(runs):
        row = {"method": method, "epsilon": epsilon, **_final(data, weights[i])}
        row |= {"mean_kl_ratio": float(history[:, i].mean()), "std_kl_ratio": float(history[:, i].std(correction=0))}
        row |= {
            "mean_corrections": float(corrections[i]) / epochs,
            "gate_b_fraction": gate_b(history[:, i], LOW, HIGH).fraction,
        }
        rows.append(row)
    record: dict[str, Any] = {"rows": rows, "gate_a_passed": gate.passed}
    if data.published_test is not None:
        record["test_set"] = compare_test_sets(data, weights[0])
    return record


def accuracy(inputs: Tensor, targets: Tensor, weight: Tensor) -> float:
    """The fraction of samples whose largest logit is that of the label."""
    return float(((inputs @ weight.T).argmax(1) == targets).double().mean())


def _final(data: DataSet, weight: Tensor) -> dict[str, float]:
    test = data.published_test or (data.test_inputs, data.test_targets)
    return {
        "final_loss": float(F.cross_entropy(data.inputs @ weight.T, data.targets)),
        "final_accuracy": accuracy(*test, weight),
        "final_accuracy_fair": accuracy(data.test_inputs, data.test_targets, weight),
        "train_accuracy": accuracy(data.inputs, data.targets, weight),
    }


def _solver(fisher: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """Products with F^+, factorised once, with the notebook's absolute cut-off where it cuts into the range."""
    values, vectors = torch.linalg.eigh(fisher)
    if int((values > CUTOFF).sum()) == len(fisher) - len(fisher) // classes:
        factor = torch.linalg.cholesky(complete_kernel_(fisher.clone(), classes))
        return lambda right: torch.cholesky_solve(right, factor)
    kept = values > CUTOFF
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return lambda right: inverse @ right


def _gradients(inputs: Tensor, targets: Tensor, weights: Tensor, probabilities: Tensor) -> Tensor:
    """Gradients of all runs, a few samples at a time: ``(R, CD)``; fills in the probabilities, ``(N, R, C)``."""
    runs, classes, width = weights.shape
    flat = weights.reshape(runs * classes, width)
    expected, observed = torch.zeros_like(flat), torch.zeros_like(weights[0])
    for first in range(0, len(inputs), CHUNK):
        x = inputs[first : first + CHUNK]
        p = probabilities[first : first + CHUNK] = short_softmax((x @ flat.T).view(-1, runs, classes))
        expected.addmm_(p.view(-1, runs * classes).T, x)
        observed.index_add_(0, targets[first : first + CHUNK], x)
    return (expected.view_as(weights) - observed).div_(len(inputs)).view(runs, -1)


def _corrected(
    inputs: Tensor, probabilities: Tensor, directions: Tensor, lengths: Tensor, goals: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Ratios, lengths and numbers of corrections after Gate B has been asked for at most three times."""
    used = torch.zeros(len(goals), dtype=torch.long, device=goals.device)
    for attempt in range(CORRECTIONS + 1):
        ratios = reported_divergence(inputs, probabilities, directions, lengths) / goals
        outside = (ratios < LOW) | (ratios > HIGH)
        if attempt == CORRECTIONS or not bool(outside.any()):
            break
        lengths = torch.where(outside, lengths / ratios.sqrt(), lengths)
        used += outside.long()
    return ratios, lengths, used


def reported_divergence(inputs: Tensor, probabilities: Tensor, directions: Tensor, lengths: Tensor) -> Tensor:
    """The notebooks' divergence formula with its guards for every run, a few samples at a time.

    Args:
        inputs: ``(N, D)``.
        probabilities: p before the step, positive, ``(N, R, C)``.
        directions: V, ``(R, C, D)``; the step is -a V.
        lengths: a, ``(R,)``.

    Returns:
        ``(R,)``.
    """
    runs, classes, width = directions.shape
    change = (directions * -lengths[:, None, None]).reshape(runs * classes, width).T
    total = torch.zeros_like(lengths)
    for first in range(0, len(inputs), CHUNK):
        p = probabilities[first : first + CHUNK]
        moved = (inputs[first : first + CHUNK] @ change).view(-1, runs, classes)
        q = short_softmax(moved.add_(p.clamp(min=torch.finfo(p.dtype).tiny).log()))
        total -= q.div_(p + GUARD).add_(GUARD).log_().mul_(p).sum((0, 2))
    return total / len(inputs)

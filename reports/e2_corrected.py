"""E2 as it should be: the Fisher at the current parameters, steps of exactly equal true divergence, equal budgets."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fishergauge.reference.stable_exponential import categorical_kl
from fishergauge.reports.data import DataSet
from fishergauge.reports.e2_published import METHODS, accuracy
from fishergauge.reports.lanes import NaturalGradients
from fishergauge.reports.ray import Rays
from fishergauge.reports.short_softmax import short_softmax

SOLVED = 0.01  # of the initial loss: beyond it separable data are all but memorised, and a step of given KL has no limit


def matched_training(data: DataSet, weight: Tensor, epsilons: Sequence[float], epochs: int) -> dict[str, Any]:
    r"""Train by SGD and by the natural gradient so that every step has exactly the divergence asked for.

    Then k steps have spent the same budget, :math:`k \varepsilon`, by either method. Test data are from the classes
    of the training data. Both runs of a divergence end when either has brought the loss below a hundredth of the initial one.

    Args:
        data: trained full-batch.
        weight: initial parameters, ``(C, D)``.
        epsilons: divergences per step.
        epochs: number of steps.

    Returns:
        ``rows``, one a run and step (0 is the start): ``method``, ``epsilon``, ``step``, ``budget``, ``loss``, ``accuracy``;
        ``kl_error``, the largest relative error of a step's divergence, evaluated by a second formula every 25 steps.
    """
    runs = [(method, epsilon) for epsilon in epsilons for method in METHODS]
    goals = weight.new_tensor([epsilon for _, epsilon in runs])
    weights = weight.expand(len(runs), *weight.shape).clone()
    natural = NaturalGradients(data.inputs)
    onehot = F.one_hot(data.targets, data.num_classes).to(weight)
    rows: list[dict[str, Any]] = []
    error, solved = 0.0, 0.0
    for step in range(epochs + 1):
        logits = torch.matmul(data.inputs, weights.mT)
        losses = logits.logsumexp(-1).mean(-1) - (logits * onehot).sum(-1).mean(-1)
        for i, (method, epsilon) in enumerate(runs):
            row = {"method": method, "epsilon": epsilon, "step": step, "budget": step * epsilon, "loss": float(losses[i])}
            rows.append(row | {"accuracy": accuracy(data.test_inputs, data.test_targets, weights[i])})
        solved = solved or SOLVED * float(losses[0])
        going = (losses.view(-1, 2).amin(1) > solved).repeat_interleave(2)
        if not bool(going.all()):
            runs = [run for run, goes in zip(runs, going, strict=True) if goes]
            goals, weights, logits = goals[going], weights[going], logits[going]
            natural = NaturalGradients(data.inputs)
        if step == epochs or not runs:
            break
        p = short_softmax(logits)
        directions = torch.matmul((p - onehot).mT, data.inputs) / len(data.inputs)
        directions[1::2] = natural(logits[1::2], directions[1::2])
        changes = torch.matmul(data.inputs, directions.mT)
        lengths = Rays(logits, changes, p).matched_length(goals)[:, None, None]
        if step % 25 == 0:
            kl = categorical_kl(logits, logits - lengths * changes).mean(-1)
            error = max(error, float((kl / goals - 1).abs().max()))
        weights = weights - lengths * directions
    return {"rows": rows, "kl_error": error}

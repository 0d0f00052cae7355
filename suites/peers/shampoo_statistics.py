"""Shampoo-like optimisers as approximations: their statistics after one step a sample, at a learning rate of zero."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import own_model, quiet, trained

Statistics = Callable[[Any, nn.Parameter], Sequence[Tensor]]


def power_step(
    problem: Problem, make: Callable[[nn.Module], Any], read: Statistics, decay: float = 1.0, gain: float = 1.0
) -> Tensor:
    r"""The blocks :math:`(L \otimes R) / \operatorname{tr} L` from what an optimiser accumulates.

    One step for each term, with the gradient of its own loss. A running average that weighs step i of n by
    ``(1 - decay) decay^(n - i)`` is undone beforehand: the loss of that step is divided by the root of its weight.

    Args:
        problem: with one term a sample.
        make: the optimiser of a model; it is not to move the parameters.
        read: the statistics of a parameter, an axis each, without what they began with.
        decay: 1 for a plain sum.
        gain: of the losses, divided out again; what is read as a difference keeps its digits if it is large.
    """
    outputs = problem.outputs
    if problem.likelihood.split(outputs).shape[1] > 1:
        raise NotImplementedError("an optimiser sees the gradient of a sample, which has several terms here")
    model, loss = own_model(problem), _summed(problem.loss)
    optimizer, count = make(model), problem.num_samples
    with quiet():
        for step, (inputs, target) in enumerate(
            zip(torch.split(problem.inputs, 1), torch.split(problem.targets, 1), strict=True)
        ):
            weight = 1.0 if decay == 1 else (1 - decay) * decay ** (count - 1 - step)
            optimizer.zero_grad()
            (gain * loss(model(inputs), target) / weight**0.5).backward()
            optimizer.step()
    divisor = gain**2 * float(problem.likelihood.divisor(outputs, problem.targets))
    blocks = [_block(read(optimizer, parameter)) / divisor for parameter in trained(model)]
    result: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return result


def _summed(loss: nn.Module) -> nn.Module:
    """The loss of one term: the same module with a sum, which divides by nothing."""
    own = copy.deepcopy(loss)
    setattr(own, "reduction", "sum")  # noqa: B010
    return own


def _block(factors: Sequence[Tensor]) -> Tensor:
    if len(factors) == 1:
        return factors[0]
    if len(factors) > 2:
        raise NotImplementedError(f"{len(factors)} factors, one for each axis of a kernel, are no factorisation of a matrix")
    left, right = factors
    trace = left.diagonal().sum()
    return torch.kron(left, right) / trace if bool(trace > 0) else torch.kron(left, right)

"""The same problem in another precision."""

import copy
from dataclasses import replace

import torch
from torch import Tensor

from fishergauge.reference import Problem


def converted(problem: Problem, dtype: torch.dtype) -> Problem:
    """A problem whose parameters, buffers, data and loss weights are those of ``problem`` in ``dtype``.

    Widening is exact, so that a float32 result can be judged by a float64 computation at the same numbers.
    """

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    model, loss = copy.deepcopy(problem.model).to(dtype), copy.deepcopy(problem.loss).to(dtype)
    return replace(problem, model=model, loss=loss, batches=[(cast(x), cast(y)) for x, y in problem.batches])

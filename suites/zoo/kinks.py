"""Problems with ReLUs are drawn so that no pre-activation is near a kink, where derivatives jump."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ProblemError

MARGIN = 1e-3
DRAWS = 100


def distance_to_kinks(problem: Problem) -> float:
    """The smallest absolute value that enters a ReLU or PReLU; infinite where there is none.

    Args:
        problem: any problem; it is left as it was.

    Returns:
        A number that is not negative.
    """
    model = copy.deepcopy(problem.model)
    smallest = [math.inf]

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        entering: Tensor = inputs[0]
        smallest.append(float(entering.abs().min()))

    for module in model.modules():
        if isinstance(module, nn.ReLU | nn.PReLU):
            module.register_forward_pre_hook(note)
    with torch.no_grad():
        model(problem.inputs)
    return min(smallest)


def away_from_kinks(draw: Callable[[], Problem]) -> Problem:
    """The first draw that keeps the distance :data:`MARGIN`; the draws go on from the same source, so they repeat.

    Raises:
        ProblemError: no draw does; the layers are too wide for that.
    """
    for _ in range(DRAWS):
        problem = draw()
        if distance_to_kinks(problem) > MARGIN:
            return problem
    raise ProblemError(
        f"none of {DRAWS} draws keeps its pre-activations {MARGIN} away from a kink; take fewer units or samples"
    )

"""What the implementations of other libraries share: how they are made, and their refusals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.implementation import Call, Implementation, flattened
from fishergauge.suites.benchmarks.of_reference import LARGEST_ARRAY, too_large
from fishergauge.suites.benchmarks.task import Operation, Task
from fishergauge.suites.peers.adapting import trained

Refusal = Callable[[Problem], str | None]


@dataclass(frozen=True)
class Peer:
    """Makes the implementations of a library.

    Args:
        library: its name.
        module: what must be importable.
    """

    library: str
    module: str

    def __call__(
        self,
        quantity: str,
        operation: Operation,
        prepare: Callable[[Problem], Call],
        refuses: Refusal,
        variant: str = "",
        canonical: Callable[[Problem, Any], Tensor] = flattened,
    ) -> Implementation:
        """One of them; the variant stands behind a colon in its name."""
        name = f"{self.library}:{variant}" if variant else self.library
        return Implementation(name, "peer", Task(quantity, operation), prepare, canonical, refuses, (self.module,))


def either(*refusals: Refusal) -> Refusal:
    """The first reason among several, or None."""
    return lambda problem: next((reason for refuses in refusals if (reason := refuses(problem)) is not None), None)


def not_classification(problem: Problem) -> str | None:
    """Why a problem is no plain classification with one label a sample under ``mean``, or None if it is."""
    loss = problem.loss
    if not isinstance(loss, nn.CrossEntropyLoss) or loss.weight is not None or loss.label_smoothing:
        return "adapted for cross-entropy without weights and smoothing"
    if loss.reduction != "mean" or problem.outputs.ndim != 2 or problem.targets.ndim != 1:
        return "adapted for the mean over one label a sample"
    return "some labels are masked" if bool((problem.targets == loss.ignore_index).any()) else None


def not_layered(problem: Problem) -> str | None:
    """Why the parameters do not all belong to ``Linear`` and plain ``Conv2d``, or None if they do."""
    for module in problem.model.modules():
        own = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
        plain = type(module) is nn.Linear or (type(module) is nn.Conv2d and module.groups == 1 and module.dilation == (1, 1))
        if own and not plain:
            return f"a {type(module).__name__} is not covered"
    shared = len(trained(problem.model)) != len(list(problem.model.named_parameters(remove_duplicate=False)))
    return "parameters are tied or frozen" if shared else None


def too_many_rows(problem: Problem) -> str | None:
    """Why the gradients of the samples, ``(N, P)``, take too much memory, or None."""
    return _refused(problem.num_samples, problem)


def jacobian_too_large(problem: Problem) -> str | None:
    """Why the Jacobian of the outputs, ``(N, C, P)``, takes too much memory, or None."""
    return _refused(problem.outputs.numel(), problem)


def _refused(rows: int, problem: Problem) -> str | None:
    size = rows * problem.num_parameters * problem.dtype.itemsize
    return f"it keeps {rows} gradients, {size / 2**30:.1f} GiB" if size > LARGEST_ARRAY else None


matrix_too_large: Refusal = too_large

"""The part of a problem's data that one rank holds, which may be no data at all."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.problem import Problem


@dataclass(frozen=True, eq=False)
class Shard(Problem):
    r"""A problem that is one rank's part of the data of a larger one; the model, the loss and the name are those of the whole.

    The objective is that of all ranks together, so that a shard may be what a problem may not:

    - without data: one batch of zero samples, which still says shape, dtype and device; ``num_samples`` is zero;
    - without a label that counts (all are ignored, or have weight zero), so that its own mean would divide by zero.

    Args:
        model: as for :class:`~fishergauge.reference.Problem`; at the same parameters on all ranks.
        loss: as for a problem; its reduction is that over all ranks.
        batches: as for a problem; all of them may be empty.
        name: as for a problem.
        facts: as for a problem.

    Raises:
        ProblemError: model, loss and data do not fit together.

    Example:
        >>> import torch
        >>> empty = Shard(torch.nn.Linear(2, 1), torch.nn.MSELoss(), [(torch.ones(0, 2), torch.zeros(0, 1))])
        >>> empty.num_samples, empty.num_parameters
        (0, 3)
    """

    def __post_init__(self) -> None:
        batches = tuple((inputs, targets) for inputs, targets in self.batches)
        if not batches or not all(isinstance(t, Tensor) for pair in batches for t in pair):
            raise ProblemError("a shard has batches of tensors (inputs, targets); without data, one of zero samples")
        object.__setattr__(self, "batches", batches)
        _ = self.likelihood, self.inputs, self.targets
        if self.num_samples:
            summed(self)  # it is examined as a problem of its own, whose divisor is one
        elif len(self.inputs) != len(self.targets):
            raise ProblemError(f"{len(self.inputs)} inputs, but {len(self.targets)} targets")


def summed(problem: Problem) -> Problem | None:
    """The data of a shard as a problem under a sum: what ranks add up. None where there are no data.

    Args:
        problem: a shard, or any problem.
    """
    if problem.num_samples == 0:
        return None
    loss = copy.deepcopy(problem.loss)
    setattr(loss, "reduction", "sum")  # noqa: B010 (torch types attributes as tensors)
    kept = [(inputs, targets) for inputs, targets in problem.batches if len(inputs)]
    return Problem(problem.model, loss, kept, problem.name, problem.facts)


def shards_of(problem: Problem, counts: Sequence[int]) -> list[Shard]:
    """A problem's samples in pieces, in their order.

    Args:
        problem: N samples.
        counts: of the samples of each rank; zero for a rank without data.

    Returns:
        A shard a rank, with one batch.

    Raises:
        ProblemError: the counts are negative, or do not add up to N.

    Example:
        >>> import torch
        >>> problem = Problem(torch.nn.Linear(2, 1), torch.nn.MSELoss(), [(torch.ones(10, 2), torch.zeros(10, 1))])
        >>> [shard.num_samples for shard in shards_of(problem, (7, 0, 3))]
        [7, 0, 3]
    """
    if any(count < 0 for count in counts) or sum(counts) != problem.num_samples:
        raise ProblemError(f"shards of {list(counts)} samples are not the {problem.num_samples} of {problem.name}")
    inputs, targets = (torch.split(tensor, list(counts)) for tensor in (problem.inputs, problem.targets))
    settings = (problem.name, problem.facts)
    return [Shard(problem.model, problem.loss, [pair], *settings) for pair in zip(inputs, targets, strict=True)]


__all__ = ["Shard", "shards_of", "summed"]

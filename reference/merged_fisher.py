"""One curvature matrix of data that lie with several workers."""

import math
from collections.abc import Sequence

import torch

from fishergauge.reference.curvature import Curvature
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.linear_combination import LinearCombination
from fishergauge.reference.terms import terms_of


def merged(curvatures: Sequence[Curvature | None], counts: Sequence[float] | None = None) -> LinearCombination:
    r"""The curvature of all data from those of the workers' shards.

    .. math:: F = \frac{\sum_w M_w F_w}{\sum_w M_w} \text{ under mean}, \quad F = \sum_w F_w \text{ under sum}

    The workers exchange two things, the sum :math:`M_w F_w` and the count :math:`M_w`. The mean of the workers' means is
    something else as soon as the counts differ.

    Args:
        curvatures: one a worker, at the same parameters; None for a worker without data.
        counts: M_w, what the reduction of each shard divides by: its labels that count, times C for ``MSELoss`` and
            ``BCEWithLogitsLoss``; any common factor is immaterial. Zero for a worker without data. By default it is
            taken from the shards themselves.

    Returns:
        An operator of shape (P, P).

    Raises:
        ProblemError: no worker has data, counts do not fit, or the workers differ in loss, reduction or parameters.

    Example:
        >>> import torch
        >>> from fishergauge.reference import Problem, fisher
        >>> model, loss = torch.nn.Linear(1, 1, bias=False), torch.nn.MSELoss()
        >>> large = Problem(model, loss, [(torch.ones(7, 1), torch.zeros(7, 1))])
        >>> small = Problem(model, loss, [(3 * torch.ones(3, 1), torch.zeros(3, 1))])
        >>> merged([fisher(large), fisher(small), None], [7, 3, 0]).dense()
        tensor([[6.8000]])

    Reference:
        Osawa et al., "Large-scale distributed second-order optimization using Kronecker-factored approximate curvature",
        CVPR 2019, sec. 5 (equal shards); Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983), for
        merging sums and counts.
    """
    if counts is not None and len(counts) != len(curvatures):
        raise ProblemError(f"{len(curvatures)} workers, but {len(counts)} counts; give one a worker, 0 where there are no data")
    if counts is None:
        counts = [0.0 if one is None else float(terms_of(one.problem).divisor) for one in curvatures]
    if not all(0 <= count < math.inf for count in counts):
        raise ProblemError(f"counts must not be negative, and finite; got {list(counts)}")
    if any((one is None) != (count == 0) for one, count in zip(curvatures, counts, strict=True)):
        raise ProblemError("a worker without data has no curvature (None) and count 0; every other has both")
    present = [one for one in curvatures if one is not None]
    if not present:
        raise ProblemError("no worker has data; curvature of no data is undefined")
    if len({type(one.problem.loss) for one in present}) > 1:
        raise ProblemError("the workers have different losses; one objective has one")
    if len({one.problem.likelihood.reduction for one in present}) > 1:
        raise ProblemError("some workers average and some sum; give all losses the same reduction")
    if not all(torch.equal(one.problem.vector, present[0].problem.vector) for one in present):
        raise ProblemError("the workers are at different parameters; bring them to the same ones before merging")
    if present[0].problem.likelihood.reduction == "sum":
        return LinearCombination(present, [1.0] * len(present))
    total = sum(counts)
    return LinearCombination(present, [count / total for count in counts if count > 0])

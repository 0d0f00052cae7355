"""Matrices of several ranks, put together in a wrong way; in one process, without a group, all of them are right."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed

from fishergauge.reference import Problem, ggn
from fishergauge.reference.distributed import Ranks, sharded_curvature, sharded_kfac
from fishergauge.reference.distributed_shard import summed
from fishergauge.reference.kfac import kfac
from fishergauge.suites.meta.bank.defect import Declaration, Defect, unmatched

GGN = Declaration(target="ggn")
KFAC = Declaration("ggn", "kronecker", bias="joint")
Group = distributed.ProcessGroup | None
Mistake = Callable[[Problem, distributed.ProcessGroup], Any]
SEEN = ("T26-shards",)


def added(tensor: Tensor, group: Group) -> Tensor:
    """The sum over the ranks."""
    total = tensor.clone()
    distributed.all_reduce(total, group=group)
    return total


def matrix_and_weight(shard: Problem) -> tuple[Tensor, float]:
    """The sum over the terms of a shard, and what its part of the reduction divides by; zeros without data."""
    local = summed(shard)
    if local is None:
        return shard.vector.new_zeros(shard.num_parameters, shard.num_parameters), 0.0
    return ggn(local).dense(), float(shard.likelihood.divisor(shard.outputs, shard.targets))


def right(shard: Problem, group: Group) -> Tensor:
    """The GGN of all ranks."""
    return sharded_curvature(shard, group, ggn).dense()


def is_mean(shard: Problem) -> bool:
    """Whether the loss is a mean."""
    return shard.likelihood.reduction == "mean"


def mean_of_rank_means(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """Each rank with data weighs the same."""
    total, weight = matrix_and_weight(shard)
    own = total / weight if weight else total
    ranks = added(torch.tensor([float(weight > 0)], dtype=total.dtype), group)
    return added(own, group) / ranks if is_mean(shard) else right(shard, group)


def products_averaged(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """The Kronecker products of the ranks averaged, with the right weights, and not their factors."""
    local = summed(shard)
    if local is None:
        part, weight = shard.vector.new_zeros(shard.num_parameters, shard.num_parameters), 0.0
    else:
        part, weight = kfac(local, "ggn").dense(), float(shard.likelihood.divisor(shard.outputs, shard.targets))
    total = added(part, group)
    return total / added(torch.tensor([weight], dtype=part.dtype), group) if is_mean(shard) else total


def weighed_by_samples(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """The means of the ranks, weighed by their samples where the loss counts labels or weights."""
    total, weight = matrix_and_weight(shard)
    samples = float(shard.num_samples)
    mean = samples * total / weight if weight else total
    together = added(torch.tensor([samples], dtype=total.dtype), group)
    return added(mean, group) / together if is_mean(shard) else right(shard, group)


def first_rank_alone(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """The sum goes to rank 0; the others return what they have."""
    total, weight = matrix_and_weight(shard)
    weights = torch.tensor([weight], dtype=total.dtype)
    for tensor in (total, weights):
        distributed.reduce(tensor, group=group, group_dst=0)
    return total / weights if is_mean(shard) and bool(weights > 0) else total


def stays_away_without_data(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """A rank without data returns at once: the others wait for it."""
    if shard.num_samples == 0:
        return shard.vector.new_zeros(shard.num_parameters, shard.num_parameters)
    return right(shard, group)


def no_exchange(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """Each rank returns the matrix of its own data."""
    total, weight = matrix_and_weight(shard)
    return total / weight if weight and is_mean(shard) else total


def default_group(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """Added up over all processes, not over those of the group."""
    return right(shard, None)


def averaged_under_a_sum(shard: Problem, group: distributed.ProcessGroup) -> Tensor:
    """Divided by the number of ranks where the loss is a sum."""
    return right(shard, group) / (1 if is_mean(shard) else Ranks(group).size)


def of_ranks(mistake: Mistake, alone: Callable[[Problem], Any] = ggn) -> Callable[[], Callable[..., Any]]:
    """The mistake on the ranks of a group, what is right without one."""

    def build(problem: Problem, group: Group = None) -> Any:
        return alone(problem) if group is None else mistake(problem, group)

    return lambda: build


def factored(problem: Problem) -> Any:
    """The right K-FAC."""
    return sharded_kfac(problem, None, "ggn")


SHARDING: tuple[Defect, ...] = (
    unmatched(
        "P281",
        "the mean of rank means, with uneven shards",
        "likely: all_reduce(AVG)",
        of_ranks(mean_of_rank_means),
        GGN,
        sees=SEEN,
    ),
    unmatched(
        "P282",
        "Kronecker products averaged over the ranks, not their factors",
        "likely",
        of_ranks(products_averaged, factored),
        KFAC,
        sees=SEEN,
    ),
    unmatched(
        "P283",
        "rank means weighed by samples where the loss counts labels",
        "likely",
        of_ranks(weighed_by_samples),
        GGN,
        sees=SEEN,
    ),
    unmatched(
        "P284",
        "only rank 0 has the matrix of all data",
        "likely: reduce for all_reduce",
        of_ranks(first_rank_alone),
        GGN,
        sees=SEEN,
    ),
    unmatched(
        "P285", "a rank without data stays away: the others wait", "likely", of_ranks(stays_away_without_data), GGN, sees=SEEN
    ),
    unmatched("P286", "each rank has the matrix of its own data", "likely: no exchange", of_ranks(no_exchange), GGN, sees=SEEN),
    unmatched(
        "P287",
        "added up over the default group, not the given one",
        "likely: group= forgotten",
        of_ranks(default_group),
        GGN,
        sees=SEEN,
    ),
    unmatched(
        "P288",
        "divided by the number of ranks under a sum as well",
        "likely: DDP's mean",
        of_ranks(averaged_under_a_sum),
        GGN,
        sees=SEEN,
    ),
)

"""Correct subjects that work on the ranks of a group."""

from torch import Tensor, distributed

from fishergauge.reference import KroneckerFactored, Problem, ggn
from fishergauge.reference.distributed import ShardedCurvature, sharded_curvature, sharded_kfac
from fishergauge.suites.subject import Subject

Group = distributed.ProcessGroup | None


def _dense(problem: Problem, group: Group = None) -> Tensor:
    """The Fisher, formed."""
    return sharded_curvature(problem, group).dense()


def _products(problem: Problem, group: Group = None) -> ShardedCurvature:
    """The GGN as an operator: each product is a collective."""
    return sharded_curvature(problem, group, ggn)


def _factored(problem: Problem, group: Group = None) -> KroneckerFactored:
    """The Kronecker factors."""
    return sharded_kfac(problem, group)


def sharded_subjects() -> list[Subject]:
    """The correct subjects of this kind.

    Example:
        >>> [subject.name for subject in sharded_subjects()]
        ['fisher-of-ranks', 'ggn-products-of-ranks', 'kfac-of-ranks']
    """
    return [
        Subject("fisher-of-ranks", _dense),
        Subject("ggn-products-of-ranks", _products, "ggn"),
        Subject("kfac-of-ranks", _factored, "fisher", "kronecker", bias="joint", solve=KroneckerFactored.solve),
    ]

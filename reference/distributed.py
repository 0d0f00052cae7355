"""One curvature matrix of data that lie with the ranks of a group: local sums, added up, and divided once."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, distributed

from fishergauge.reference.curvature import Curvature, Per, block_slices
from fishergauge.reference.distributed_factors import kronecker_sums
from fishergauge.reference.distributed_ranks import SECONDS, RankError, Ranks
from fishergauge.reference.distributed_shard import Shard, shards_of, summed
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.fisher import fisher
from fishergauge.reference.gradient import gradient
from fishergauge.reference.kfac import BiasMode, KfacTarget, KroneckerFactored, SharingMode
from fishergauge.reference.problem import Problem

Group = distributed.ProcessGroup
Make = Callable[[Problem], Curvature]

__all__ = [
    "RankError",
    "Ranks",
    "Shard",
    "ShardedCurvature",
    "sharded_curvature",
    "sharded_gradient",
    "sharded_kfac",
    "shards_of",
]


class ShardedCurvature(Curvature):
    """See :func:`sharded_curvature`. Every method is a collective: all ranks call the same ones in the same order.

    Args:
        shard: of this rank.
        local: the matrix of its data under a sum; None where it has none.
        divisor: M of all ranks.
        ranks: of the group.
    """

    def __init__(self, shard: Problem, local: Curvature | None, divisor: float, ranks: Ranks) -> None:
        super().__init__(shard)
        self.local, self.divisor, self.ranks = local, divisor, ranks

    def dense(self) -> Tensor:
        return self._total(lambda local: local.dense(), self.shape, "the dense matrix")

    def diagonal(self) -> Tensor:
        return self._total(lambda local: local.diagonal(), self.shape[:1], "the diagonal")

    def blocks(self, per: Per = "layer") -> dict[str, Tensor]:
        sizes = {name: part.stop - part.start for name, part in block_slices(self.problem, per).items()}

        def flat(local: Curvature) -> Tensor:
            blocks = local.blocks(per)
            return torch.cat([blocks[name].reshape(-1) for name in sizes])

        together = self._total(flat, (sum(n * n for n in sizes.values()),), "the diagonal blocks")
        pieces = torch.split(together, [n * n for n in sizes.values()])
        return {name: piece.view(n, n) for (name, n), piece in zip(sizes.items(), pieces, strict=True)}

    def _products(self, vectors: Tensor) -> Tensor:
        part = torch.zeros_like(vectors) if self.local is None else (self.local @ vectors.T).T
        return self.ranks.total(part, "a product") / self.divisor

    def _total(self, form: Callable[[Curvature], Tensor], shape: tuple[int, ...], what: str) -> Tensor:
        vector, local = self.problem.vector, self.local
        part = self.ranks.made(lambda: vector.new_zeros(shape) if local is None else form(local), what, vector.device)
        return self.ranks.total(part, what) / self.divisor


def sharded_curvature(
    shard: Problem, group: Group | None = None, curvature: Make = fisher, seconds: float = SECONDS
) -> ShardedCurvature:
    r"""The curvature of the data of all ranks, from what each has.

    With the sum :math:`S_r = \sum_{k \in r} F_k` over the terms of rank r and what its part of the reduction divides by,
    :math:`M_r`, the ranks exchange sums and counts, and no means:

    .. math:: F = \frac{\sum_r S_r}{\sum_r M_r} \text{ under mean}, \quad F = \sum_r S_r \text{ under sum}

    :math:`M_r` counts labels, entries or weights, as the loss does, and not samples. A rank without data, or without a label
    that counts, adds zero to both and takes part in every collective. The mean of the ranks' means is something else as soon
    as the :math:`M_r` differ.

    Args:
        shard: the data of this rank, see :class:`Shard`; model and loss are those of all ranks.
        group: of processes; by default the default group, or this process alone where none is initialised.
        curvature: of which matrix: a sum over terms that is divided by M, such as :func:`~fishergauge.reference.ggn`.
        seconds: that a collective may take.

    Returns:
        An operator of shape (P, P). Making it exchanges some numbers; a product exchanges P of them, the diagonal P, the
        blocks :math:`\sum_l P_l^2` and the dense matrix :math:`P^2`. All ranks must call the same methods in the same order.

    Raises:
        ProblemError: no rank has a label that counts, or the ranks differ in parameters or loss; on every rank.
        RankError: another rank failed, is gone or did not come in time.

    Example:
        >>> from fishergauge.reference import ggn
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> sharded_curvature(problem, curvature=ggn) @ torch.ones(2)  # one process has all data
        tensor([4.0000, 4.0000])

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015, sec. 5, for
        averages over the data; Osawa et al., "Large-scale distributed second-order optimization using Kronecker-factored
        approximate curvature", CVPR 2019, sec. 5, for the exchange.
    """
    ranks = Ranks(group, seconds)
    local, divisor = _local(shard, ranks, curvature)
    return ShardedCurvature(shard, local, divisor, ranks)


def sharded_kfac(
    shard: Problem,
    group: Group | None = None,
    target: KfacTarget = "fisher",
    bias: BiasMode = "joint",
    sharing: SharingMode = "expand",
    seconds: float = SECONDS,
) -> KroneckerFactored:
    r"""The Kronecker factors of the data of all ranks, from sums over what each has.

    .. math::
        A = \frac{\sum_r \sum_{n \in r} a_n a_n'}{\sum_r n_r}, \qquad
        G = \frac{\sum_r \sum_{k \in r} g_k g_k'}{\sum_r M_r}

    with the :math:`n_r` positions of rank r that count. Factors are added up, never their products: the average of the
    ranks' :math:`G_r \otimes A_r` is another matrix.

    Args:
        shard: the data of this rank.
        group: as for :func:`sharded_curvature`.
        target: as for :func:`~fishergauge.reference.kfac`.
        bias: as for :func:`~fishergauge.reference.kfac`.
        sharing: as for :func:`~fishergauge.reference.kfac`.
        seconds: that a collective may take.

    Returns:
        The same operator on every rank; its products and solutions exchange nothing more.

    Raises:
        ProblemError: as :func:`sharded_curvature`.
        RankError: as :func:`sharded_curvature`.
        UnsupportedError: as :func:`~fishergauge.reference.kfac`.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> sharded_kfac(problem).dense().round(decimals=4)
        tensor([[2., 2.],
                [2., 2.]])

    Reference:
        Osawa et al., CVPR 2019, sec. 5, with factors reduced over the ranks.
    """
    ranks = Ranks(group, seconds)
    settings: dict[str, str] = {"target": target, "treatment of the bias": bias, "treatment of sharing": sharing}
    divisor = _divisor(shard, ranks, settings)
    local = ranks.made(lambda: summed(shard), "its part of the problem", shard.device)
    return KroneckerFactored(shard, kronecker_sums(shard, local, divisor, ranks, target, bias, sharing))


def sharded_gradient(shard: Problem, group: Group | None = None, seconds: float = SECONDS) -> Tensor:
    r"""The gradient of the objective of all ranks, :math:`\sum_r \sum_{k \in r} J_k' \nabla \ell_k / \sum_r M_r`.

    With it, ``-sharded_kfac(shard, group).solve(gradient, damping)`` is one natural-gradient step, the same on every rank.

    Args:
        shard: the data of this rank.
        group: as for :func:`sharded_curvature`.
        seconds: that a collective may take.

    Returns:
        ``(P,)``, the same on every rank.

    Raises:
        ProblemError: as :func:`sharded_curvature`.
        RankError: as :func:`sharded_curvature`.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> sharded_gradient(Problem(model, torch.nn.MSELoss(), [(torch.ones(4, 1), torch.ones(4, 1))]))
        tensor([-2.])
    """
    ranks = Ranks(group, seconds)
    divisor = _divisor(shard, ranks, {})

    def part() -> Tensor:
        local = summed(shard)
        return torch.zeros_like(shard.vector) if local is None else gradient(local)

    return ranks.total(ranks.made(part, "its gradient", shard.device), "the gradient") / divisor


def _local(shard: Problem, ranks: Ranks, curvature: Make) -> tuple[Curvature | None, float]:
    """The matrix of the data of this rank under a sum, None where there are none; and the divisor of all ranks."""
    divisor = _divisor(shard, ranks, {})

    def make() -> Curvature | None:
        local = summed(shard)
        return None if local is None else curvature(local)

    return ranks.made(make, "its part of the matrix", shard.device), divisor


def _divisor(shard: Problem, ranks: Ranks, settings: Mapping[str, str]) -> float:
    """M of all ranks: what the mean divides by, one under a sum. The ranks agree on parameters and loss beforehand.

    Raises:
        ProblemError: they do not, or nothing counts.
    """
    reduction = shard.likelihood.reduction
    facts = {"loss": type(shard.loss).__name__, "reduction": reduction, "number of parameters": shard.num_parameters}
    ranks.agree({**facts, **settings, "parameters": shard.vector}, shard.device)

    def own() -> list[float]:
        if shard.num_samples == 0:
            return [0.0, 0.0]
        return [float(shard.likelihood.divisor(shard.outputs, shard.targets)), float(shard.num_samples)]

    counts = ranks.made(own, "its count", shard.device)
    divisor, samples = ranks.total(torch.tensor(counts, dtype=torch.float64, device=shard.device), "counts").tolist()
    if samples == 0:
        raise ProblemError("no rank has data; curvature of no data is undefined")
    if reduction == "sum":
        return 1.0
    if not divisor > 0:
        raise ProblemError("no label of any rank counts (all are ignored or have weight 0): a mean over nothing is undefined")
    return float(divisor)

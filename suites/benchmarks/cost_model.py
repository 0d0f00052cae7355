"""On paper: operations, bytes moved and memory of each operation on a model of 1e9 parameters and a thousand GPUs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fishergauge.suites.benchmarks import theory_of_layers as layered
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes, perceptron_sizes
from fishergauge.suites.benchmarks.scaling_theory import factor_numbers, widths


@dataclass(frozen=True)
class Fleet:
    """The GPUs, as they are assumed to be.

    Args:
        gpus: W.
        rate: operations a second of one of them, in float32.
        network: bytes a second that one of them sends, and receives as many at the same time.
        memory: bytes of one of them.
    """

    gpus: int = 1024
    rate: float = 5e13
    network: float = 5e10
    memory: float = 8e10


FLEET = Fleet()
BILLION = perceptron_sizes((*[4096] * 61, 1000), 2**20, itemsize=4)
"""Sixty square layers of 4096 units and 1000 classes: P = 1.01e9; N = 2^20 samples, float32."""


@dataclass(frozen=True)
class Cost:
    """What an operation takes.

    Args:
        flops: of all GPUs together.
        sent: bytes that each GPU sends.
        held: bytes on each GPU at the peak.
    """

    flops: float
    sent: float
    held: float

    def seconds(self, fleet: Fleet = FLEET) -> float:
        """Computing, then sending; nothing overlaps."""
        return self.flops / fleet.gpus / fleet.rate + self.sent / fleet.network

    def fits(self, fleet: Fleet = FLEET) -> bool:
        """Whether it fits into the memory of a GPU."""
        return self.held <= fleet.memory


@dataclass(frozen=True)
class Operation:
    """An operation with its formulas, in numbers rather than bytes.

    Args:
        what: it does, for the table.
        flops: of all samples.
        sent: numbers that each of W ranks sends.
        held: numbers on each of W ranks.
        task: the task of the benchmarks whose counted operations must grow in the same way; empty where none does.
    """

    what: str
    flops: Callable[[LayerSizes], float]
    sent: Callable[[LayerSizes, int], float]
    held: Callable[[LayerSizes, int], float]
    task: str = ""

    def cost(self, s: LayerSizes = BILLION, fleet: Fleet = FLEET) -> Cost:
        """What it takes at these sizes."""
        return Cost(self.flops(s), s.itemsize * self.sent(s, fleet.gpus), s.itemsize * self.held(s, fleet.gpus))


def all_reduced(numbers: float, ranks: int) -> float:
    r"""What each of W ranks sends to add up n numbers: :math:`2 n (W - 1) / W`, and no algorithm sends less.

    Reference:
        Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", J. Parallel Distrib.
        Comput. 69 (2009), theorem 1.

    Example:
        >>> all_reduced(100, 4), all_reduced(100, 1)
        (150.0, 0.0)
    """
    return 2 * numbers * (ranks - 1) / ranks


def scattered(numbers: float, ranks: int) -> float:
    """What each rank sends to add up numbers of which it keeps its part alone, or to hand round a part to all: half of that."""
    return all_reduced(numbers, ranks) / 2


def activations(s: LayerSizes, ranks: int, vectors: int = 1) -> float:
    """Numbers that a rank keeps of its samples at every layer, for an evaluation and so many vectors a sample."""
    return (s.input_numbers + s.samples * vectors * widths(s)) / ranks


def _blocks(s: LayerSizes) -> float:
    return sum(layer.parameters**2 for layer in s.layers)


def _panels(s: LayerSizes, ranks: int) -> float:
    """Numbers that a rank sends in a factorisation of a divided (P, P) array: P^2 / sqrt(W), up to a logarithm."""
    return 0.0 if ranks == 1 else s.parameters**2 / ranks**0.5


OPERATIONS: Mapping[str, Operation] = {
    "gradient": Operation(
        "evaluation and gradient",
        lambda s: s.forward + layered.gradient(s),
        lambda s, w: all_reduced(s.parameters, w),
        lambda s, w: 2 * s.parameters + activations(s, w),
    ),
    "product": Operation(
        "product of the GGN or Fisher",
        layered.product,
        lambda s, w: all_reduced(s.parameters, w),
        lambda s, w: 3 * s.parameters + activations(s, w, 2),
        "ggn/product",
    ),
    "hessian-product": Operation(
        "product of the Hessian, evaluation included",
        lambda s: layered.hessian_product(s) + s.forward + s.into_inputs,
        lambda s, w: all_reduced(s.parameters, w),
        lambda s, w: 3 * s.parameters + activations(s, w, 4),
        "hessian/first-product",
    ),
    "factors": Operation(
        "Kronecker factors",
        lambda s: layered.factors(s, s.outputs),
        lambda s, w: all_reduced(factor_numbers(s), w),
        lambda s, w: s.parameters + 2 * factor_numbers(s) + activations(s, w, 2),
        "kfac/factors",
    ),
    "kfac-product": Operation(
        "product of K-FAC, layers divided",
        layered.kronecker_product,
        lambda s, w: scattered(s.parameters, w),
        lambda s, w: 2 * s.parameters + factor_numbers(s),
        "kfac/product",
    ),
    "kfac-solve": Operation(
        "solution with K-FAC by its eigenbases, layers divided",
        lambda s: 2 * layered.kronecker_product(s) + 9 * sum(a.outputs**3 + a.columns**3 for a in s.layers),
        lambda s, w: scattered(s.parameters, w),
        lambda s, w: 2 * s.parameters + 2 * factor_numbers(s),
        "kfac/solve",
    ),
    "diagonal": Operation(
        "diagonal",
        lambda s: layered.diagonal(s, s.outputs),
        lambda s, w: all_reduced(s.parameters, w),
        lambda s, w: 2 * s.parameters + activations(s, w, 2),
        "ggn/diagonal",
    ),
    "blocks": Operation(
        "blocks of all layers, divided",
        lambda s: layered.blocks(s, s.outputs),
        lambda s, w: scattered(_blocks(s), w),
        lambda s, w: s.parameters + _blocks(s) / w + activations(s, w, 2),
        "ggn/blocks",
    ),
    "dense": Operation(
        "dense matrix, divided",
        lambda s: layered.dense(s, s.outputs),
        lambda s, w: scattered(s.parameters**2, w),
        lambda s, w: s.parameters + s.parameters**2 / w + activations(s, w, 2),
        "ggn/dense",
    ),
    "cholesky": Operation(
        "solution with the dense matrix",
        lambda s: layered.cholesky_solve(s.parameters),
        _panels,
        lambda s, w: s.parameters**2 / w,
        "ggn/solve",
    ),
    "spectrum": Operation(
        "eigenvalues of the dense matrix",
        lambda s: 4 / 3 * s.parameters**3,
        _panels,
        lambda s, w: s.parameters**2 / w,
    ),
}
"""Samples are divided among the ranks, parameters and vectors are on each of them, matrices and layers are divided.

Reference:
    Operations: :mod:`~fishergauge.suites.benchmarks.theory_of_layers`. A divided factorisation sends at least P^2 / sqrt(W):
    Ballard, Demmel, Holtz and Schwartz, "Minimizing communication in numerical linear algebra", SIAM J. Matrix Anal. Appl. 32
    (2011), sec. 4. Eigenvalues by tridiagonalisation: Golub and Van Loan, "Matrix computations", 4th ed. (2013), sec. 8.3.
"""

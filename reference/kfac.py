"""Kronecker-factored approximate curvature (K-FAC) from exact factors."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from fishergauge.reference.empirical_fisher import empirical_fisher
from fishergauge.reference.errors import ProblemError
from fishergauge.reference.factored_blocks import Block, FactoredBlocks, grouped, kept, parameter_index
from fishergauge.reference.fisher import fisher
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.ggn import ggn
from fishergauge.reference.layer_statistics import Layer, LayerStatistics
from fishergauge.reference.problem import Problem
from fishergauge.reference.second_moment import add_outer_products, mirrored
from fishergauge.reference.terms import Terms

KfacTarget = Literal["fisher", "ggn", "empirical-fisher"]
BiasMode = Literal["joint", "separate"]
SharingMode = Literal["expand", "reduce"]


class Target(Protocol):
    """A function that makes one of the matrices."""

    def __call__(self, problem: Problem, *, terms: Terms | None = None) -> GaussNewton:
        """The matrix, at terms that are evaluated by default."""


def _fisher_from_hessians(problem: Problem, *, terms: Terms | None = None) -> GaussNewton:
    """The Fisher of type 2, which is that of type 1 by fewer vectors: a gradient at each label and a root have one sum."""
    return fisher(problem, 2, terms)


TARGETS: dict[str, Target] = {"fisher": _fisher_from_hessians, "ggn": ggn, "empirical-fisher": empirical_fisher}


@dataclass(frozen=True, eq=False)
class KroneckerBlock:
    """The two factors of a layer.

    Args:
        name: of the module.
        input_factor: A, ``(D_in, D_in)``, or ``(D_in + 1, D_in + 1)`` where a joint bias is the last input. Of a layer
            without a trained weight: ``(1, 1)``, a one.
        output_factor: G, ``(D_out, D_out)``; all of the scale 1/M is here.
        joint: whether the bias is an input of the weight; otherwise its block is G.
        weight: name of the weight, None if it is frozen.
        bias: name of the bias, None if there is none or it is frozen.
    """

    name: str
    input_factor: Tensor
    output_factor: Tensor
    joint: bool
    weight: str | None
    bias: str | None


def kfac(
    problem: Problem,
    target: KfacTarget = "fisher",
    bias: BiasMode = "joint",
    sharing: SharingMode = "expand",
    root_of: GaussNewton | None = None,
) -> "KroneckerFactored":
    r"""The Kronecker-factored approximation :math:`G \otimes A` of each layer's block.

    With layer inputs :math:`a_{nt}` at positions t of sample n (a 1 appended for a joint bias), and gradients
    :math:`g_{kt}` of term k with respect to the layer's outputs, squared in the expectation of the target:

    .. math::
        \text{expand:}\quad A = \operatorname{mean}_{n,t} a_{nt} a_{nt}',
        \quad G = \frac{1}{M} \sum_{k,t} \mathrm E[g_{kt} g_{kt}']

        \text{reduce:}\quad A = \operatorname{mean}_n \bar a_n \bar a_n', \quad \bar a_n = \operatorname{mean}_t a_{nt},
        \quad G = \frac{1}{M} \sum_k \mathrm E\Big[\sum_t g_{kt} \Big(\sum_t g_{kt}\Big)'\Big]

    Masked terms are absent, from the means of A as well (see :meth:`LayerStatistics.counted`).

    Args:
        problem: a model whose trained parameters belong to ``Linear`` and ungrouped convolutions, used once.
        target: the matrix whose blocks are approximated.
        bias: ``"joint"``: weight and bias of a layer share a block; ``"separate"``: the block of a bias is G.
        sharing: how positions that share a weight are treated.
        root_of: a matrix of this problem whose output-space root is taken in place of that of ``target``, such as a
            drawn :func:`monte_carlo_fisher`.

    Returns:
        An operator of shape (P, P); positive semi-definite, zero between layers.

    Raises:
        UndefinedError: the target is the Fisher and the objective is no negative log-likelihood.
        UnsupportedError: a trained parameter belongs to another kind of module, is tied or used several times.
        ProblemError: target, bias or sharing is none of the above.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> kfac(problem).dense().round(decimals=4)
        tensor([[2., 2.],
                [2., 2.]])

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015,
        sec. 3; sharing: Eschenhagen et al., "Kronecker-factored approximate curvature for modern neural network
        architectures", NeurIPS 2023, eq. 18 to 23.
    """
    require(bias, ("joint", "separate"), "bias")
    require(sharing, ("expand", "reduce"), "sharing")
    matrix, statistics = evaluated_once(problem, target, root_of)
    return KroneckerFactored(problem, kronecker_blocks(matrix, statistics, bias, sharing))


def evaluated_once(
    problem: Problem, target: KfacTarget, root_of: GaussNewton | None = None
) -> tuple[GaussNewton, LayerStatistics]:
    """The matrix of that name, or the one that is given, and the layers; of one evaluation of the model where both are made."""
    if root_of is not None:
        return root_of, LayerStatistics(problem, root_of.terms)
    require(target, tuple(TARGETS), "target")
    if target == "fisher":
        problem.likelihood.require_likelihood("the Fisher", problem.targets)
    statistics = LayerStatistics(problem)
    return gauss_newton_of(problem, target, statistics.terms), statistics


def gauss_newton_of(problem: Problem, target: KfacTarget, terms: Terms | None = None) -> GaussNewton:
    """The matrix of that name, not yet formed; at these terms, if the model was evaluated already."""
    require(target, tuple(TARGETS), "target")
    return TARGETS[target](problem, terms=terms)


def require(value: str, allowed: tuple[str, ...], what: str) -> None:
    """Refuse an option that does not exist."""
    if value not in allowed:
        raise ProblemError(f"{what} is one of {', '.join(map(repr, allowed))}, not {value!r}")


def kronecker_blocks(
    matrix: GaussNewton,
    statistics: LayerStatistics,
    bias: BiasMode,
    sharing: SharingMode,
    pulled: Iterable[dict[str, Tensor]] | None = None,
) -> dict[str, KroneckerBlock]:
    """The factors of every layer, from the output-space root of a matrix, or from what it is at the layers."""
    outputs = {name: matrix.root.new_empty(layer.width, layer.width) for name, layer in statistics.layers.items()}
    scale = 1 / float(matrix.terms.divisor)
    for place, gradients in enumerate(statistics.gradients_in_turn(matrix.root) if pulled is None else pulled):
        for name, g in gradients.items():
            columns = (g.sum(2) if sharing == "reduce" else g).movedim(-1, 0).flatten(1)
            add_outer_products(outputs[name], columns, scale, keep=float(place > 0))
    blocks = {}
    for name, layer in statistics.layers.items():
        joint = bias == "joint" and layer.weight is not None and layer.bias is not None
        inputs = _input_factor(layer, joint, statistics.counted(name), sharing)
        output_factor = mirrored(outputs[name])
        blocks[name] = KroneckerBlock(name, inputs, output_factor, joint, layer.weight, layer.bias)
    return blocks


def block_inputs(layer: Layer, joint: bool) -> Tensor:
    """Inputs that belong to the block of a weight, ``(N, T, D)``: with a 1 for a joint bias; the 1 alone without a weight."""
    ones = torch.ones_like(layer.inputs[..., :1])
    if layer.weight is None:
        return ones
    return torch.cat([layer.inputs, ones], -1) if joint else layer.inputs


def _input_factor(layer: Layer, joint: bool, counted: Tensor, sharing: SharingMode) -> Tensor:
    """A: the mean of products over the positions, or over the samples, that count."""
    columns = _counted_columns(layer.inputs, counted, sharing)
    width = 0 if layer.weight is None else len(columns)
    one = 1 if joint or layer.weight is None else 0  # the input of a joint bias, or of a layer without a weight
    factor = columns.new_empty(width + one, width + one)
    scale = 1 / max(1, columns.shape[1])
    add_outer_products(factor[:width, :width], columns[:width], scale, keep=0.0)
    if one:
        factor[:width, width] = scale * columns[:width].sum(1)
        factor[width, width] = scale * columns.shape[1]
    return mirrored(factor)


def _counted_columns(inputs: Tensor, counted: Tensor, sharing: SharingMode) -> Tensor:
    """The inputs at each position that counts, or their means for each sample, ``(D_in, n)``."""
    everywhere = bool(counted.all())
    if sharing == "expand":
        return inputs.movedim(-1, 0).flatten(1) if everywhere else inputs[counted].T
    if everywhere:
        return inputs.mean(1).T
    weights = counted.to(inputs.dtype)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("nt,nti->ni", weights, inputs)[counted.any(1)].T


class Kronecker(Block):
    r"""The block :math:`G \otimes A` over a matrix of parameters V: its product is G V A.

    Args:
        index: where the entries of V stand in the parameter vector.
        output_factor: G.
        input_factor: A; None where G is all, for a bias of its own.
    """

    def __init__(self, index: Tensor, output_factor: Tensor, input_factor: Tensor | None) -> None:
        super().__init__(index)
        self.alone = input_factor is None
        self.output_factor = output_factor.contiguous()  # torch.kron fails on mixed layouts
        self.input_factor = output_factor.new_ones(1, 1) if input_factor is None else input_factor.contiguous()

    def dense(self) -> Tensor:
        return torch.kron(self.output_factor, self.input_factor)

    def diagonal(self) -> Tensor:
        return torch.outer(self.output_factor.diagonal(), self.input_factor.diagonal())

    def product(self, matrices: Tensor) -> Tensor:
        return self.output_factor @ matrices @ self.input_factor

    def solve(self, matrix: Tensor, damping: float, pi: bool) -> Tensor:
        """The inverse with damped factors, applied to V; a lone factor is damped by lambda itself."""
        if damping == 0 or self.alone:
            return self.solve_exactly(matrix, damping)
        balance = pi_of(self.input_factor, self.output_factor) if pi else 1.0
        root = math.sqrt(damping)
        return self._divided(matrix, lambda outer, inner: torch.outer(outer + root / balance, inner + root * balance))

    def solve_exactly(self, matrix: Tensor, damping: float) -> Tensor:
        """(G kron A + lambda I)^-1 applied to V; the pseudo-inverse at zero damping."""

        def values(outer: Tensor, inner: Tensor) -> Tensor:
            products = torch.outer(outer, inner)
            if damping > 0:
                return products + damping
            return products.masked_fill(~torch.outer(kept(outer), kept(inner)), math.inf)

        return self._divided(matrix, values)

    def _divided(self, matrix: Tensor, values: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """V divided, in the eigenbases of G and A, by a function of their eigenvalues."""
        (outer, U), (inner, V) = torch.linalg.eigh(self.output_factor), torch.linalg.eigh(self.input_factor)
        divided: Tensor = U @ (U.mT @ matrix @ V / values(outer.clamp(min=0), inner.clamp(min=0))) @ V.mT
        return divided


class KroneckerFactored(FactoredBlocks):
    """See :func:`kfac`.

    Args:
        problem: the problem.
        factors: of each layer, by the name of its module.
    """

    def __init__(self, problem: Problem, factors: Mapping[str, KroneckerBlock]) -> None:
        self.factors = dict(factors)
        super().__init__(problem, self._blocks(problem))

    @property
    def kronecker(self) -> tuple[Kronecker, ...]:
        """The blocks, by layer or by parameter."""
        return self.pieces  # type: ignore[return-value]

    def _blocks(self, problem: Problem) -> Iterator[Kronecker]:
        index = parameter_index(problem)
        for block in self.factors.values():
            for names in grouped(block.weight, block.bias, block.joint):
                inputs = None if names == [block.bias] else block.input_factor
                yield Kronecker(torch.cat([index[name] for name in names], 1), block.output_factor, inputs)

    def solve(self, vector: Tensor, damping: float = 0.0, pi: bool = True) -> Tensor:
        r"""The inverse with factored damping, applied to a vector.

        .. math:: (G + \tfrac{\sqrt\lambda}{\pi} I)^{-1} \otimes (A + \pi \sqrt\lambda I)^{-1}, \qquad
            \pi = \sqrt{\frac{\operatorname{tr} A / \dim A}{\operatorname{tr} G / \dim G}}

        A block of one factor alone, G of a separate bias, is damped exactly, :math:`G + \lambda I`.

        Args:
            vector: ``(P,)``.
            damping: lambda, not negative; the pseudo-inverse at zero.
            pi: whether the damping is balanced; otherwise pi is one.

        Returns:
            ``(P,)``.

        Raises:
            ProblemError: the damping is negative, or the vector has another shape.

        Reference:
            Martens and Grosse, ICML 2015, sec. 6.3 and 6.6 (with the trace norm).
        """
        return self._by_piece(vector, damping, lambda piece, part: piece.solve(part, damping, pi))

    def solve_exactly(self, vector: Tensor, damping: float = 0.0) -> Tensor:
        """(K + lambda I)^-1 v by the eigenbases of the factors; the pseudo-inverse at zero damping.

        Args:
            vector: ``(P,)``.
            damping: lambda, not negative.

        Returns:
            ``(P,)``.

        Raises:
            ProblemError: as :meth:`solve`.
        """
        return self._by_piece(vector, damping, lambda piece, part: piece.solve_exactly(part, damping))


def pi_of(input_factor: Tensor, output_factor: Tensor) -> float:
    """The balance of factored damping in the trace norm, sqrt of the ratio of mean eigenvalues; one where a factor is zero.

    Reference:
        Martens and Grosse, ICML 2015, sec. 6.3.
    """
    inner = float(input_factor.diagonal().mean())
    outer = float(output_factor.diagonal().mean())
    return math.sqrt(inner / outer) if inner > 0 and outer > 0 else 1.0

"""How a curvature and a prior are joined to a posterior precision: full, block-diagonal, Kronecker, diagonal, low-rank."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from fishergauge.reference.composed_precision import ComposedPrecision, Piece
from fishergauge.reference.curvature import Curvature, block_slices, symmetrized
from fishergauge.reference.dense_precision import DensePrecision
from fishergauge.reference.diagonal_precision import DiagonalPrecision
from fishergauge.reference.eigen_kfac import EigenKronecker
from fishergauge.reference.eigenbasis_precision import EigenbasisPrecision
from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.factored_blocks import FactoredBlocks
from fishergauge.reference.gaussian_prior import ParameterPrior
from fishergauge.reference.kfac import TARGETS, Kronecker, kfac
from fishergauge.reference.low_rank_precision import LowRankPrecision
from fishergauge.reference.posterior_precision import PosteriorPrecision, diagonal_prior
from fishergauge.reference.problem import Problem

Structure = Literal["full", "block-diagonal", "kronecker", "diagonal", "low-rank"]
Joined = Callable[[Tensor, Tensor], PosteriorPrecision]

STRUCTURES: tuple[Structure, ...] = ("full", "block-diagonal", "kronecker", "diagonal", "low-rank")


def joined(
    problem: Problem, curvature: Any, structure: Structure | None, rank: int | None, prior: ParameterPrior
) -> tuple[Structure, Joined]:
    """The precision as a function of factor and prior, :math:`(f, \\Delta) \\mapsto f C + \\Delta` in the structure.

    Everything that does not depend on the two (blocks, eigenvectors) is computed once, here.

    Args:
        problem: P parameters.
        curvature: C: ``"ggn"``, ``"fisher"``, ``"empirical-fisher"`` or a matrix.
        structure: None stands for ``"kronecker"`` where the matrix is K-FAC, EKFAC or Shampoo, else for ``"full"``.
        rank: number of eigenpairs of a low-rank structure; all above rounding by default.
        prior: decides what can be added.

    Returns:
        The structure that was taken, and the function.

    Raises:
        ProblemError: name, structure, rank or matrix make no sense; the message names the cause.
        UnsupportedError: the structure cannot be had from this matrix, or cannot take this prior.
    """
    if isinstance(curvature, str) and curvature not in TARGETS:
        raise ProblemError(f"curvature is one of {', '.join(map(repr, TARGETS))} or a matrix, not {curvature!r}")
    if not isinstance(curvature, str):
        _check_shape(problem, curvature)
    if structure is None:
        structure = "kronecker" if _factors(curvature) is not None else "full"
    if structure not in STRUCTURES:
        raise ProblemError(f"structure is one of {', '.join(map(repr, STRUCTURES))}, not {structure!r}")
    if rank is not None and structure != "low-rank":
        raise ProblemError(f"a rank belongs to structure 'low-rank', not to {structure!r}")
    if structure != "full" and prior.kind == "dense":
        raise UnsupportedError(f"a dense prior precision needs structure 'full', not {structure!r}")
    if structure == "kronecker":
        return structure, _kronecker(problem, curvature, prior)
    matrix = TARGETS[curvature](problem) if isinstance(curvature, str) else curvature
    if structure == "block-diagonal":
        return structure, _block_diagonal(problem, matrix)
    if structure == "diagonal":
        diagonal = matrix.diagonal() if isinstance(matrix, Curvature) else dense_of(problem, matrix).diagonal()
        return structure, lambda factor, prior: DiagonalPrecision(diagonal, factor, diagonal_prior(prior, "diagonal"))
    dense = dense_of(problem, matrix)
    if structure == "low-rank":
        values, vectors = leading_eigenpairs(dense, rank)
        return structure, lambda factor, prior: LowRankPrecision(vectors, values, factor, diagonal_prior(prior, "low-rank"))
    return structure, lambda factor, prior: DensePrecision(dense, factor, prior)


def dense_of(problem: Problem, matrix: Any) -> Tensor:
    """The entries of a matrix, ``(P, P)``: of a tensor, a :class:`Curvature`, or the products with the unit vectors.

    Raises:
        ProblemError: it is not symmetric, or has entries that are NaN, infinite or complex.
    """
    if isinstance(matrix, Tensor):
        dense = matrix.detach().to_dense()
    elif isinstance(matrix, Curvature):
        dense = matrix.dense().detach()
    else:
        identity = torch.eye(problem.num_parameters, dtype=problem.dtype, device=problem.device)
        try:
            product = matrix @ identity
        except (TypeError, AttributeError):  # of numpy or scipy
            product = matrix @ identity.cpu().numpy()
        dense = torch.as_tensor(product).detach()
    if dense.is_complex():
        raise ProblemError("the curvature has complex entries; a precision is real")
    dense = dense.to(problem.dtype).to(problem.device)
    if not bool(dense.isfinite().all()):
        raise ProblemError("the curvature has entries that are NaN or infinite")
    if not bool((dense - dense.T).norm() <= torch.finfo(dense.dtype).eps ** 0.5 * dense.norm()):
        raise ProblemError("the curvature is not symmetric, so it is no precision; take its symmetric part")
    return symmetrized(dense)


def _check_shape(problem: Problem, matrix: Any) -> None:
    """Refuse what is no matrix over the parameters."""
    size, shape = problem.num_parameters, tuple(getattr(matrix, "shape", ()))
    if shape != (size, size):
        raise ProblemError(f"expected a matrix of shape ({size}, {size}) with a product @, got shape {shape}")


def leading_eigenpairs(matrix: Tensor, rank: int | None) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues and their eigenvectors: ``(k,)``, descending, and ``(P, k)``; all above rounding by default.

    Raises:
        ProblemError: the rank is not between zero and P.
    """
    values, vectors = torch.linalg.eigh(matrix)
    if rank is None:
        rank = int((values > len(values) * torch.finfo(values.dtype).eps * values[-1].clamp(min=0)).sum())
    if not isinstance(rank, int) or not 0 <= rank <= len(values):
        raise ProblemError(f"the rank lies between 0 and {len(values)} and is an integer, got {rank}")
    kept = slice(len(values) - rank, None)
    return values[kept].flip(0), vectors[:, kept].flip(1)


def _block_diagonal(problem: Problem, matrix: Any) -> Joined:
    """One dense block a layer."""
    slices = block_slices(problem)
    if isinstance(matrix, Curvature):
        blocks = matrix.blocks()
    else:
        dense = dense_of(problem, matrix)
        blocks = {name: dense[part, part] for name, part in slices.items()}
    places = torch.arange(problem.num_parameters, device=problem.device)

    def join(factor: Tensor, prior: Tensor) -> PosteriorPrecision:
        diagonal_prior(prior, "block-diagonal")
        return ComposedPrecision(
            [(places[part], DensePrecision(blocks[name], factor, prior[part])) for name, part in slices.items()]
        )

    return join


def _kronecker(problem: Problem, curvature: Any, prior: ParameterPrior) -> Joined:
    """Each block in its Kronecker-factored eigenbasis, where a prior that is constant in the block adds exactly."""
    if prior.kind == "diagonal":
        raise UnsupportedError(
            "a diagonal prior is not diagonal in the eigenbasis of a Kronecker block, so that it cannot be added exactly; "
            "give one number, or one a layer, or take structure 'block-diagonal'"
        )
    pieces = _factors(kfac(problem, root_of=TARGETS[curvature](problem)) if isinstance(curvature, str) else curvature)
    if pieces is None:
        raise UnsupportedError(
            f"a {type(curvature).__name__} has no Kronecker factors; pass kfac(problem, ...), eigen_kfac(problem, ...) or a "
            "name, or take another structure"
        )

    def join(factor: Tensor, prior: Tensor) -> PosteriorPrecision:
        diagonal_prior(prior, "kronecker")
        composed: list[Piece] = []
        for index, outer, inner, values in pieces:
            composed.append((index, EigenbasisPrecision(outer, inner, values, factor, prior[index[0]])))
        return ComposedPrecision(composed)

    return join


def _factors(matrix: Any) -> list[tuple[Tensor, Tensor, Tensor, Tensor]] | None:
    """Places, bases and eigenvalues of each Kronecker block; None where the matrix has no such blocks."""
    if isinstance(matrix, EigenKronecker):
        return [(piece.index.flatten(), piece.outer, piece.inner, piece.values) for piece in matrix.eigen]
    if not isinstance(matrix, FactoredBlocks):
        return None
    pieces = [piece for piece in matrix.pieces if isinstance(piece, Kronecker)]
    if len(pieces) < len(matrix.pieces):  # quasi-diagonal
        return None
    result = []
    for piece in pieces:
        (outer, U), (inner, V) = torch.linalg.eigh(piece.output_factor), torch.linalg.eigh(piece.input_factor)
        result.append((piece.index.flatten(), U, V, torch.outer(outer, inner)))
    return result

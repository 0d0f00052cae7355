"""The step of a matrix on its range, and how much rounding can move it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from fishergauge.reference import ProblemError, newton_step

ITERATIONS = 24
CHAIN = 256
CLEAR = 100.0  # cut-offs
SMALLEST = 32  # a cut-off in units of round-off for matrices that are smaller than this


@dataclass(frozen=True, eq=False)
class Solution:
    r"""The step :math:`-M^+ g`, and what it is made of.

    Args:
        step: ``(P,)``.
        rank: number of eigenvalues above the cut-off.
        condition: of M on its range, the worst of its irreducible blocks.
        amplification: K of the outputs, see :func:`solve_on_range`.
        amplification_theta: K of the parameters.
        kernel: an orthonormal basis of the directions that are cut off, ``(P, P - rank)``.
        size: the mean modulus of the eigenvalues.
    """

    step: Tensor
    rank: int
    condition: float
    amplification: float
    amplification_theta: float
    kernel: Tensor
    size: float


def cutoff_of(dtype: torch.dtype, size: int) -> float:
    """What counts as zero relative to the largest eigenvalue: P times the unit round-off, for small P 32 times."""
    return max(size, SMALLEST) * torch.finfo(dtype).eps


def spectral_norm(matrix: Tensor) -> float:
    """The largest singular value, by :func:`power_iteration`.

    Args:
        matrix: ``(K, P)``.

    Example:
        >>> round(spectral_norm(torch.tensor([[3.0, 0.0], [0.0, 1.0]])), 6)
        3.0
    """
    return power_iteration(lambda v: matrix @ v, lambda w: matrix.mT @ w, matrix[0])


def power_iteration(push: Callable[[Tensor], Tensor], pull: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """The norm of a linear map, a few per cent too small at worst: a condition estimate needs no more.

    Args:
        push: v to A v.
        pull: w to A' w.
        like: a vector ``(P,)``, for size, dtype and device.
    """
    if len(like) == 0:
        return 0.0
    v = torch.arange(1, len(like) + 1, dtype=like.dtype, device=like.device).sqrt().cos()
    found = 0.0
    for _ in range(ITERATIONS):
        v = v / v.norm()
        pushed = push(v)
        found = float(pushed.norm())
        if found == 0:
            break
        v = pull(pushed)
    return found


def summed(count: int) -> float:
    """The growth of rounding in a sum of n terms that a GEMM adds in chains of at most 256: the square root of what is added.

    Reference:
        Higham and Mary, SIAM Journal on Scientific Computing 41 (2019), for the square root; Blanchard, Higham and Mary, same
        journal 42 (2020), for sums by blocks.
    """
    return math.sqrt(min(count, CHAIN) + count / CHAIN)


def irreducible_blocks(matrix: Tensor) -> tuple[list[Tensor], Tensor]:
    """The finest blocks, up to a permutation, outside which a matrix is zero.

    Args:
        matrix: ``(P, P)``, symmetric.

    Returns:
        The index of each block of several entries, and that of the entries which are alone in their row.

    Example:
        >>> irreducible_blocks(torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))
        ([tensor([0, 2])], tensor([1]))
    """
    nonzero = (matrix != 0).cpu()
    if bool(nonzero.all()) and len(matrix) > 1:
        return [torch.arange(len(matrix), device=matrix.device)], torch.arange(0, device=matrix.device)
    count, labels = connected_components(csr_matrix(nonzero.numpy()), directed=False)
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1])
    alone = sorted(int(part[0]) for part in parts if len(part) == 1)
    blocks = [torch.from_numpy(part).to(matrix.device) for part in parts if len(part) > 1]
    return blocks, torch.tensor(alone, dtype=torch.long, device=matrix.device)


def solve_on_range(
    matrix: Tensor,
    gradient: Tensor,
    outputs: Tensor,
    transform: Tensor,
    noise: Tensor,
    magnified: float = 1.0,
    power: float = 1.0,
) -> Solution:
    r"""The step of a matrix on its range, block by block, with a bound of what rounding does to it.

    Eigenvalues up to :func:`cutoff_of` relative to the largest one of a block in modulus count as zero.

    With u the distance from one to the next number (``finfo.eps``): a symmetric eigensolver is backward stable; for each
    irreducible block the computed step solves :math:`(M + E) \hat s = -(g + e)` with :math:`\|E\| \le c u \|M\|` and
    :math:`\|e\| \le c u \, \|n\|`, where n are the moduli of what g is summed up from, so that to first order

    .. math::
        \|R (\hat s - s)\| \le 2 c u \, \|R M^+\| \max(\|M\| \|s\|, \|n\|) =: 2 c u \, K \|R s\|

    for the matrix R through which the step is looked at: the outputs in the Fisher norm, or the pushed-back parameters.
    Where M is singular, the computed range is off by :math:`c u \, \mathrm{cond}(M)` towards the kernel (Wedin), which adds
    :math:`\|R Z\| \, \mathrm{cond}(M) \|s\|` with a basis Z of the kernel. Blocks add up. A block of one entry is
    solved by division.

    Args:
        matrix: M, ``(P, P)``, symmetric; not necessarily definite.
        gradient: g, ``(P,)``.
        outputs: R, with R'R the Fisher in these coordinates, ``(K, P)`` in float64.
        transform: T, which pushes a step back, ``(P, P)`` in float64.
        noise: what the entries of g are sums of, in modulus, ``(P,)``: near a stationary point they cancel, and
            :math:`\|e\|` is relative to them.
        magnified: how much more than rounding the matrix itself may be off, relative to its norm: an eigenbasis, say.
        power: p where M is B^p and B is what is right up to rounding: the smallest eigenvalue is then off by u cond(B) relative
            to itself, and cond(B) = cond(M)^(1/p).

    Returns:
        The solution.

    Raises:
        ProblemError: the matrix is zero.

    Reference:
        Higham, "Accuracy and stability of numerical algorithms", 2nd ed. (2002), theorem 7.2; Wedin, BIT 13 (1973).
    """
    M = (matrix + matrix.mT) / 2
    if not bool(M.any()):
        raise ProblemError("the matrix is zero, and has no step")
    blocks, alone = irreducible_blocks(M)
    pieces = [_block(M, gradient, block, (outputs, transform), noise, magnified, power) for block in blocks]
    pieces += [_entries(M, gradient, alone, (outputs, transform), noise)] if len(alone) else []
    step = torch.zeros_like(gradient)
    for piece in pieces:
        step[piece.places] = piece.step
    lengths = [float((through @ step.double()).norm()) for through in (outputs, transform)]
    moved, moved_theta = (sum(piece.moved[i] for piece in pieces) / lengths[i] if lengths[i] else math.inf for i in (0, 1))
    return Solution(
        step,
        sum(piece.rank for piece in pieces),
        max(piece.condition for piece in pieces),
        moved,
        moved_theta,
        torch.cat([piece.kernel for piece in pieces], 1),
        sum(piece.total for piece in pieces) / len(M),
    )


def step_on_range(matrix: Tensor, gradient: Tensor, cutoff: float) -> Tensor:
    """The step -M^+ g with a given cut-off, relative to the largest eigenvalue of each block.

    Args:
        matrix: M, ``(P, P)``.
        gradient: g, ``(P,)``.
        cutoff: of the pseudo-inverse.
    """
    M = (matrix + matrix.mT) / 2
    blocks, alone = irreducible_blocks(M)
    step = torch.zeros_like(gradient)
    for index in blocks:
        step[index] = newton_step(M[index[:, None], index], gradient[index], cutoff)
    if len(alone):
        step[alone] = _quotients(M, gradient, alone)[0]
    return step


def _range(block: Tensor, cutoff: float) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvectors and eigenvalues above a relative cut-off, and the other eigenvectors."""
    values, vectors = torch.linalg.eigh(block)
    kept = values.abs() > cutoff * values.abs().max()
    return vectors[:, kept], values[kept], vectors[:, ~kept]


def _quotients(M: Tensor, gradient: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Steps of entries that are alone in their row, and which of them count; zero is what rounding squared explains."""
    values = M.diagonal()[index]
    kept = values.abs() > torch.finfo(M.dtype).eps ** 2 * float(M.abs().max())
    return torch.where(kept, -gradient[index] / torch.where(kept, values, 1), 0), kept


class _Piece(NamedTuple):
    """The part of a solution that comes from one block."""

    places: Tensor
    step: Tensor
    rank: int
    condition: float
    moved: tuple[float, float]
    kernel: Tensor
    total: float


def _block(
    M: Tensor,
    gradient: Tensor,
    index: Tensor,
    through: tuple[Tensor, Tensor],
    noise: Tensor,
    magnified: float,
    power: float,
) -> _Piece:
    basis, inside, outside = _range(M[index[:, None], index], cutoff_of(M.dtype, len(index)))
    step = -(basis @ ((basis.mT @ gradient[index]) / inside))
    largest = float(inside.abs().max())
    condition = largest / float(inside.abs().min())
    length = float(step.double().norm())
    force = max(largest * length, float(noise[index].norm()))
    worse = magnified * condition ** (1 / power - 1)
    inverse, beside = basis.double() / inside.double(), outside.double()
    moved, moved_theta = (
        (spectral_norm(seen[:, index] @ inverse) * force + spectral_norm(seen[:, index] @ beside) * condition * length) * worse
        for seen in through
    )
    kernel = torch.zeros(len(M), outside.shape[1], dtype=torch.float64, device=M.device)
    kernel[index] = outside.double()
    return _Piece(index, step, len(inside), condition, (moved, moved_theta), kernel, float(inside.abs().sum()))


def _entries(M: Tensor, gradient: Tensor, index: Tensor, through: tuple[Tensor, Tensor], noise: Tensor) -> _Piece:
    """Entries that are alone in their row: a division each."""
    step, kept = _quotients(M, gradient, index)
    lengths = torch.where(kept, noise[index] / torch.where(kept, M.diagonal()[index].double().abs(), 1), 0)
    lengths = torch.maximum(step.double().abs(), lengths)
    moved, moved_theta = (float((torch.linalg.vector_norm(seen[:, index], dim=0) * lengths).sum()) for seen in through)
    kernel = torch.eye(len(M), dtype=torch.float64, device=M.device)[:, index[~kept]]
    return _Piece(index, step, int(kept.sum()), 1.0, (moved, moved_theta), kernel, float(M.diagonal()[index].abs().sum()))


def clear_rank(matrix: Tensor, dtype: torch.dtype) -> int:
    """How many eigenvalues are so large that rounding cannot sink them below the cut-off of a precision.

    Args:
        matrix: ``(P, P)``, symmetric, in float64.
        dtype: the precision in question.
    """
    M = (matrix + matrix.mT) / 2
    blocks, alone = irreducible_blocks(M)
    found = sum(int((_sizes(M[index[:, None], index]) > CLEAR * cutoff_of(dtype, len(index))).sum()) for index in blocks)
    smallest = CLEAR * torch.finfo(dtype).eps ** 2 * float(M.abs().max())
    return found + int((M.diagonal()[alone].abs() > smallest).sum())


def _sizes(block: Tensor) -> Tensor:
    values = torch.linalg.eigvalsh(block).abs()
    sizes: Tensor = values / values.max().clamp(min=torch.finfo(values.dtype).tiny)
    return sizes

"""Entries changed at the end: precision, symmetry, damping, what is lost on the way."""

import torch
from torch import Tensor

from fishergauge.suites.meta.altered import asymmetric, first_parameter_favoured, indefinite, last_bias_lost, rounded
from fishergauge.suites.meta.bank.defect import ALL, ANY, NO_HESSIAN, Declaration, Defect, Family, Wrong, planted
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import changed, full
from fishergauge.suites.subject import Subject

ANYTHING = Family(ANY, ALL)
COUPLED = Family(ANY, ("dense", "block-diagonal", "kronecker", "eigen-kronecker"))
GGN = Declaration(target="ggn")


def identity_like(matrix: Tensor) -> Tensor:
    """The identity of its size."""
    return torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def damped(pieces: Pieces, matrix: Tensor) -> Tensor:
    """1e-3 I left inside."""
    return matrix + 1e-3 * identity_like(matrix)


def jittered(pieces: Pieces, matrix: Tensor) -> Tensor:
    """1e-6 I left inside, as before a Cholesky decomposition."""
    return matrix + 1e-6 * identity_like(matrix)


def relatively_damped(pieces: Pieces, matrix: Tensor) -> Tensor:
    """A thousandth of the mean diagonal left inside."""
    return matrix + 1e-3 * matrix.diagonal().mean() * identity_like(matrix)


def signs_flipped(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Entries off the diagonal with the other sign."""
    return 2 * matrix.diagonal().diag() - matrix


def upper_triangle(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Only one triangle filled."""
    return matrix.triu()


def both_triangles_added(pieces: Pieces, matrix: Tensor) -> Tensor:
    """A + A' without the 1/2 on the diagonal alone."""
    return matrix + matrix.diagonal().diag()


def coarse(dtype: torch.dtype) -> Wrong:
    """Rounded to a coarse type on the way."""
    return changed(lambda pieces, matrix: matrix.to(dtype).to(matrix.dtype))


def accumulated_coarsely(pieces: Pieces, subject: Subject) -> Tensor:
    """Sums over the terms kept in bfloat16."""
    rows = pieces.rows(pieces.root(subject.target))
    total = rows.new_zeros(rows.shape[-1], rows.shape[-1], dtype=torch.bfloat16)
    for term in rows:
        total += (term.T @ term / pieces.divisor).to(torch.bfloat16)
    return total.to(rows.dtype)


def trace_one(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Scaled to trace one."""
    return matrix / matrix.diagonal().sum()


def small_cut(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Entries below a hundredth of the largest set to zero."""
    return matrix * (matrix.abs() >= 1e-2 * matrix.abs().max())


def inverted(pieces: Pieces, matrix: Tensor) -> Tensor:
    """The damped inverse in the place of the matrix."""
    inverse: Tensor = torch.linalg.inv(matrix + 1e-3 * identity_like(matrix))
    return inverse


def squared(pieces: Pieces, matrix: Tensor) -> Tensor:
    """The matrix times itself."""
    return matrix @ matrix


def without_biases(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Zero for all biases."""
    matrix = matrix.clone()
    for name, place in pieces.places().items():
        if name.endswith("bias"):
            matrix[place] = matrix[:, place] = 0
    return matrix


ENTRIES: tuple[Defect, ...] = (
    planted(
        "P140",
        "an asymmetry of one millionth",
        "likely: two ways to compute both triangles",
        changed(lambda p, m: asymmetric(p.problem, m)),
        COUPLED,
        GGN,
        sees=("T1", "T15", "T18", "T26-outputs", "T26-symmetric"),
    ),
    planted(
        "P141",
        "computed in float32 on the way",
        "likely",
        changed(lambda p, m: rounded(p.problem, m)),
        ANYTHING,
        GGN,
        sees=("T1", "T15", "T18", "T26-psd", "T26-sum-over-mean"),
    ),
    planted(
        "P142",
        "sums kept in bfloat16",
        "likely",
        full(accumulated_coarsely),
        Family(NO_HESSIAN, ("dense", "block-diagonal", "diagonal", "quasi-diagonal")),
        GGN,
        sees=("T1", "T15", "T18", "T26-duplicated", "T26-psd"),
    ),
    planted(
        "P143",
        "rounded to bfloat16",
        "likely",
        coarse(torch.bfloat16),
        ANYTHING,
        GGN,
        sees=("T1", "T15", "T18", "T26-psd", "T26-sum-over-mean"),
    ),
    planted(
        "P144",
        "rounded to float16",
        "likely",
        coarse(torch.float16),
        ANYTHING,
        GGN,
        sees=("T1", "T15", "T18", "T26-psd", "T26-sum-over-mean"),
    ),
    planted(
        "P145",
        "damping of 1e-3 left inside",
        "likely",
        changed(damped),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-sum-over-mean"),
    ),
    planted(
        "P146",
        "a jitter of 1e-6 left inside",
        "likely",
        changed(jittered),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-sum-over-mean"),
    ),
    planted(
        "P147",
        "damping of a thousandth of the mean diagonal left inside",
        "likely",
        changed(relatively_damped),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T16", "T18"),
    ),
    planted(
        "P148",
        "the sign of the entries off the diagonal flipped",
        "likely",
        changed(signs_flipped),
        COUPLED,
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-psd"),
    ),
    planted(
        "P149",
        "only one triangle filled",
        "likely: a symmetric product routine",
        changed(upper_triangle),
        COUPLED,
        GGN,
        sees=("T1", "T15", "T18", "T26-symmetric", "T26-units"),
    ),
    planted(
        "P150",
        "the diagonal counted twice when symmetrising",
        "likely",
        changed(both_triangles_added),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T16", "T18"),
    ),
    planted(
        "P151",
        "the last parameter lost",
        "likely",
        changed(lambda p, m: last_bias_lost(p.problem, m)),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-outputs"),
    ),
    planted(
        "P152",
        "the first entry too large",
        "likely",
        changed(lambda p, m: first_parameter_favoured(p.problem, m)),
        ANYTHING,
        GGN,
        sees=("T1", "T15", "T18", "T26-sum-over-mean", "T26-units"),
    ),
    planted(
        "P153",
        "slightly indefinite",
        "likely: cancellation",
        changed(lambda p, m: indefinite(p.problem, m)),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-psd"),
    ),
    planted(
        "P154",
        "scaled to trace one",
        "likely",
        changed(trace_one),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T16", "T26-sum-over-mean"),
    ),
    planted(
        "P155",
        "small entries cut off",
        "likely: a sparse format",
        changed(small_cut),
        COUPLED,
        GGN,
        sees=("T1", "T3", "T15", "T18", "T26-psd"),
    ),
    planted(
        "P156",
        "the damped inverse for the matrix",
        "likely",
        changed(inverted),
        ANYTHING,
        GGN,
        sees=("T1", "T15", "T18", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "P157",
        "the matrix squared",
        "likely: the product applied twice",
        changed(squared),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T16", "T26-sum-over-mean"),
    ),
    planted(
        "P158",
        "no curvature for biases",
        "likely: biases skipped",
        changed(without_biases),
        ANYTHING,
        GGN,
        sees=("T1", "T3", "T15", "T17", "T18"),
    ),
)

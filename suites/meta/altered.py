"""Changes of a dense curvature matrix, from which the defects are built."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.reference import Curvature, Problem
from fishergauge.suites.dense import Dense

Change = Callable[[Problem, Tensor], Tensor]
OfProblem = Callable[[Problem], Curvature]


def altered(quantity: OfProblem, change: Change) -> OfProblem:
    """The quantity with its dense matrix changed; all its operations follow."""
    return lambda problem: Dense(problem, change(problem, quantity(problem).dense()))


def inconsistent(quantity: OfProblem, operation: str) -> OfProblem:
    """The quantity with one operation (``diagonal``, ``blocks``, ``_products``) off by one per cent, the others right."""

    def build(problem: Problem) -> Curvature:
        matrix = quantity(problem)
        right = getattr(matrix, operation)

        def wrong(*args: object) -> object:
            result = right(*args)
            return {k: 1.01 * v for k, v in result.items()} if isinstance(result, dict) else 1.01 * result

        setattr(matrix, operation, wrong)
        return matrix

    return build


class AnyShape(Dense):
    """Multiplies with whatever comes."""

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return vectors


def asymmetric(problem: Problem, matrix: Tensor) -> Tensor:
    """An asymmetry of one millionth."""
    upper = torch.triu(torch.ones_like(matrix), 1)
    return matrix + 1e-6 * matrix.abs().max() * upper


def rounded(problem: Problem, matrix: Tensor) -> Tensor:
    """Computed in float32 on the way."""
    return matrix.float().to(matrix.dtype)


def column_major(problem: Problem, matrix: Tensor) -> Tensor:
    """Weights flattened column by column: A kron G where G kron A belongs."""
    order = torch.cat([t.mT.reshape(-1) if t.ndim == 2 else t.reshape(-1) for t in _positions(problem)])
    return matrix[order][:, order]


def last_bias_lost(problem: Problem, matrix: Tensor) -> Tensor:
    """The last parameter is left out."""
    matrix = matrix.clone()
    matrix[-1] = matrix[:, -1] = 0
    return matrix


def first_parameter_favoured(problem: Problem, matrix: Tensor) -> Tensor:
    """One entry depends on its place: not equivariant under permutations."""
    matrix = matrix.clone()
    matrix[0, 0] += 0.01 * matrix.diagonal().sum() + 1e-3
    return matrix


def indefinite(problem: Problem, matrix: Tensor) -> Tensor:
    """The smallest eigenvalue pushed below zero."""
    return matrix - 1e-4 * matrix.diagonal().sum() * torch.eye(len(matrix), dtype=matrix.dtype)


def scaled(factor: float) -> Change:
    """A constant factor."""
    return lambda problem, matrix: factor * matrix


def times_samples(problem: Problem, matrix: Tensor) -> Tensor:
    """A factor N."""
    return problem.num_samples * matrix


def per_batch(problem: Problem, matrix: Tensor) -> Tensor:
    """Divided by the number of batches."""
    return matrix / len(problem.batches)


def _positions(problem: Problem) -> list[Tensor]:
    indices = torch.arange(problem.num_parameters)
    pieces = torch.split(indices, [p.numel() for p in problem.parameters.values()])
    return [piece.view(p.shape) for piece, p in zip(pieces, problem.parameters.values(), strict=True)]

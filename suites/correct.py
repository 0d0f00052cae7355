"""Correct subjects of every kind: what the checks must clear, and what the defects are planted in."""

from collections.abc import Callable
from typing import Any

import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, distributions

from fishergauge import reference
from fishergauge.reference import Problem, solve_damped
from fishergauge.reference.curvature import Per
from fishergauge.reference.fisher import label_gradients
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.pseudo_inverse import range_eigenpairs
from fishergauge.reference.terms import terms_of
from fishergauge.suites.ranks_subjects import sharded_subjects
from fishergauge.suites.subject import Subject

LEAST_EIGENVALUE = 0.05  # of the largest one, where the low-rank subject cuts


class ProductsOnly:
    """The GGN as products J' H J v with one vector ``(P,)`` at a time, and nothing else.

    Args:
        problem: whose Jacobian and output Hessians are kept.
    """

    def __init__(self, problem: Problem) -> None:
        terms = terms_of(problem)
        self.shape = (problem.num_parameters, problem.num_parameters)
        self._jacobian = reference.output_jacobian(problem)
        self._hessian = problem.likelihood.hessian(terms.outputs, terms.labels) / terms.divisor

    def __matmul__(self, vector: Tensor) -> Tensor:
        if vector.ndim != 1:
            raise ValueError("one vector at a time")
        pushed = self._jacobian @ vector
        return torch.einsum("kcp,kcd,kd->p", self._jacobian, self._hessian, pushed)


class Diagonal:
    """A diagonal matrix.

    Args:
        entries: ``(P,)``.
    """

    def __init__(self, entries: Tensor) -> None:
        self.entries = entries
        self.shape = (len(entries), len(entries))

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return (self.entries * vectors.movedim(0, -1)).movedim(-1, 0)  # one vector, or columns

    def diagonal(self) -> Tensor:
        """The entries."""
        return self.entries

    def solve(self, vector: Tensor, damping: float) -> Tensor:
        """The damped inverse, or the pseudo-inverse at zero damping, applied to a vector."""
        if damping > 0:
            return vector / (self.entries + damping)
        noise = len(self.entries) * torch.finfo(vector.dtype).eps * self.entries.max()
        return torch.where(self.entries > noise, vector / self.entries, 0)


class LowRank:
    """Some eigenpairs of a matrix, U diag(s) U'.

    Args:
        values: s, ``(r,)``, positive.
        vectors: U, ``(P, r)``, orthonormal.
    """

    def __init__(self, values: Tensor, vectors: Tensor) -> None:
        self.values, self.vectors = values, vectors
        self.shape = (len(vectors), len(vectors))

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return (self.vectors * self.values) @ (self.vectors.T @ vectors)

    def solve(self, vector: Tensor, damping: float) -> Tensor:
        """The damped inverse, or the pseudo-inverse at zero damping, applied to a vector."""
        inside = self.vectors.T @ vector
        solved = self.vectors @ (inside / (self.values + damping))
        return solved if damping == 0 else solved + (vector - self.vectors @ inside) / damping


def correct_subjects() -> dict[str, Subject]:
    """The correct subjects by name.

    Returns:
        A subject for each structure, target, treatment of the bias and of sharing, and form of a matrix.

    Example:
        >>> correct_subjects()["exact-fisher"].target
        'fisher'
    """
    subjects = [*_dense(), *_blocks(), *_kronecker(), *_eigen(), *_drawn(), _low_rank(), *sharded_subjects()]
    return {subject.name: subject for subject in subjects}


def _dense() -> list[Subject]:
    return [
        Subject("exact-fisher", lambda p: reference.fisher(p).dense(), solve=solve_damped),
        Subject("exact-fisher-type2", lambda p: reference.fisher(p, kind=2).dense(), solve=solve_damped),
        Subject("exact-ggn", lambda p: reference.ggn(p).dense(), "ggn", solve=solve_damped),
        Subject("ggn-products", ProductsOnly, "ggn"),
        Subject("ggn-scipy", _scipy_ggn, "ggn"),
        Subject("ggn-operator", reference.ggn, "ggn"),
        Subject("exact-hessian", lambda p: reference.hessian(p).dense(), "hessian"),
        Subject(
            "exact-empirical-fisher", lambda p: reference.empirical_fisher(p).dense(), "empirical-fisher", solve=solve_damped
        ),
    ]


def _blocks() -> list[Subject]:
    return [
        Subject("fisher-layer-blocks", _block_diagonal("layer"), structure="block-diagonal", bias="joint", solve=solve_damped),
        Subject(
            "fisher-parameter-blocks",
            _block_diagonal("parameter"),
            structure="block-diagonal",
            bias="separate",
            solve=solve_damped,
        ),
        Subject(
            "fisher-diagonal", lambda p: Diagonal(reference.fisher(p).diagonal()), structure="diagonal", solve=Diagonal.solve
        ),
        Subject(
            "empirical-fisher-diagonal",
            lambda p: reference.empirical_fisher(p).diagonal().diag(),
            "empirical-fisher",
            "diagonal",
            solve=solve_damped,
        ),
        Subject(
            "fisher-quasi-diagonal",
            reference.quasi_diagonal,
            structure="quasi-diagonal",
            solve=reference.QuasiDiagonal.solve,
        ),
    ]


def _kronecker() -> list[Subject]:
    kfac, pi_damped = reference.kfac, reference.KroneckerFactored.solve
    exactly_damped = reference.KroneckerFactored.solve_exactly
    return [
        Subject("kfac-joint", lambda p: kfac(p), "fisher", "kronecker", bias="joint", solve=pi_damped),
        Subject(
            "kfac-separate", lambda p: kfac(p, bias="separate"), "fisher", "kronecker", bias="separate", solve=exactly_damped
        ),
        Subject(
            "kfac-reduce-joint",
            lambda p: kfac(p, sharing="reduce"),
            "fisher",
            "kronecker",
            bias="joint",
            sharing="reduce",
            solve=pi_damped,
        ),
        Subject(
            "kfac-reduce-separate",
            lambda p: kfac(p, bias="separate", sharing="reduce").dense(),
            "fisher",
            "kronecker",
            bias="separate",
            sharing="reduce",
        ),
        Subject("kfac-ggn", lambda p: kfac(p, "ggn").dense(), "ggn", "kronecker", bias="joint"),
        Subject("kfac-empirical", lambda p: kfac(p, "empirical-fisher").dense(), "empirical-fisher", "kronecker", bias="joint"),
    ]


def _eigen() -> list[Subject]:
    solve = reference.EigenKronecker.solve
    return [
        Subject("ekfac-joint", lambda p: reference.eigen_kfac(p), "fisher", "eigen-kronecker", bias="joint", solve=solve),
        Subject(
            "ekfac-separate",
            lambda p: reference.eigen_kfac(p, bias="separate"),
            "fisher",
            "eigen-kronecker",
            bias="separate",
            solve=solve,
        ),
        Subject("ekfac-ggn", lambda p: reference.eigen_kfac(p, "ggn").dense(), "ggn", "eigen-kronecker", bias="joint"),
    ]


def _drawn() -> list[Subject]:
    return [
        Subject("monte-carlo-1", _monte_carlo, samples=1),
        Subject("monte-carlo-8", _monte_carlo, samples=8, solve=solve_damped),
        Subject(
            "monte-carlo-diagonal",
            lambda p, samples=1: drawn_globally(p, samples).diagonal().diag(),
            structure="diagonal",
            samples=1,
        ),
        Subject(
            "monte-carlo-kfac",
            lambda p: reference.kfac(p, root_of=drawn_globally(p, 8)),
            structure="kronecker",
            samples=8,
            bias="joint",
        ),
        Subject(
            "monte-carlo-kfac-separate",
            lambda p: reference.kfac(p, bias="separate", root_of=drawn_globally(p, 8)).dense(),
            structure="kronecker",
            samples=8,
            bias="separate",
        ),
    ]


def _low_rank() -> Subject:
    return Subject("fisher-low-rank", _leading_eigenpairs, structure="low-rank", solve=LowRank.solve)


def _block_diagonal(per: Per) -> Callable[[Problem], Tensor]:
    return lambda problem: reference.fisher(problem).block_diagonal(per)


def _scipy_ggn(problem: Problem) -> LinearOperator:
    """The GGN as an operator on arrays."""
    matrix = reference.ggn(problem)

    def product(array: Any) -> Any:
        vector = torch.as_tensor(array).to(problem.device, problem.dtype)
        return (matrix @ vector).cpu().numpy()

    dtype = str(problem.dtype).removeprefix("torch.")
    return LinearOperator(matrix.shape, matvec=product, matmat=product, rmatvec=product, dtype=dtype)


def _monte_carlo(problem: Problem, generator: torch.Generator, samples: int = 1) -> Tensor:
    """The estimate from labels drawn from a given generator."""
    return reference.monte_carlo_fisher(problem, samples, generator).dense()


def drawn_globally(problem: Problem, samples: int) -> GaussNewton:
    """A Monte-Carlo Fisher whose labels come from torch's global generator, as most libraries draw them.

    Args:
        problem: whose loss is a negative log-likelihood.
        samples: S, the number of labels drawn for each term.

    Returns:
        As :func:`fishergauge.reference.monte_carlo_fisher`.

    Raises:
        UndefinedError: the objective is no negative log-likelihood.
    """
    problem.likelihood.require_likelihood("the Monte-Carlo Fisher", problem.targets)
    terms = terms_of(problem)
    kind = type(problem.likelihood).__name__
    drawn: distributions.Distribution
    if kind == "Categorical":
        drawn = distributions.Categorical(logits=terms.outputs)
    elif kind == "Bernoulli":
        drawn = distributions.Bernoulli(logits=terms.outputs)
    else:
        drawn = distributions.Normal(terms.outputs, 0.5**0.5)  # the squared error has no factor 1/2
    gradients = label_gradients(problem, terms, drawn.sample((samples,)))  # type: ignore[no-untyped-call]
    return GaussNewton(problem, terms, gradients / samples**0.5)


def _leading_eigenpairs(problem: Problem) -> LowRank:
    """The Fisher without its small eigenvalues; the cut is relative, so that eigenvalues that are equal stay together."""
    return LowRank(*range_eigenpairs(reference.fisher(problem).dense(), LEAST_EIGENVALUE))


__all__ = ["Diagonal", "LowRank", "ProductsOnly", "correct_subjects", "drawn_globally"]

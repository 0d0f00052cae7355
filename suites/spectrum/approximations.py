"""The approximations of the spectrum: from the exact Fisher to the plain gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import KroneckerFactored, Problem
from fishergauge.reference.factored_blocks import FactoredBlocks, kept
from fishergauge.reference.fisher import label_gradients
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import Kronecker
from fishergauge.reference.terms import terms_of
from fishergauge.suites.eigenbasis import basis_condition
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.subject import Bias, Subject

Matrix = Callable[[Problem], Tensor]


_QUANTITIES = QuantityCache()


def _exact_fisher(problem: Problem) -> Tensor:
    """By enumeration of labels, once for all that take parts of it: another route than that of the GGN."""
    return _QUANTITIES.once(problem, "enumerated", lambda: reference.fisher(problem).dense())


def _empirical_fisher(problem: Problem) -> Tensor:
    return _QUANTITIES.target(problem, "empirical-fisher")


def approximations() -> dict[str, Approximation]:
    """The approximations by name, from those that depend least on coordinates to those that depend most.

    Example:
        >>> list(approximations())[0], len(approximations())
        ('exact-fisher', 19)
    """
    every = [*_dense(), *_blocks(), *_kronecker(), *_eigen(), *_adaptive()]
    return {one.name: one for one in every}


def standards() -> list[Approximation]:
    """The exact Fisher and the empirical one, whole and in blocks, from the largest group to the smallest."""
    return [
        Approximation(f"{name}-{group}", f"{label}, {per} blocks" if per else label, _blocks_of(matrix, per), group)
        for name, label, matrix in (
            ("fisher", "exact Fisher", _exact_fisher),
            ("empirical", "empirical Fisher", _empirical_fisher),
        )
        for per, group in ((None, "all"), ("layer", "layers"), ("parameter", "parameters"))
    ]


def _dense() -> list[Approximation]:
    return [
        Approximation("exact-fisher", "exact Fisher", _blocks_of(_exact_fisher), "all"),
        Approximation("ggn", "GGN", lambda p, _: reference.ggn(p).dense(), "all"),
        Approximation("hessian", "Hessian", lambda p, _: reference.hessian(p).dense(), "all", tensorial=False),
        Approximation("empirical-fisher", "empirical Fisher", _blocks_of(_empirical_fisher), "all"),
        Approximation("monte-carlo-fisher", "Monte-Carlo Fisher, common draws", _with_common_draws, "all"),
    ]


def _blocks() -> list[Approximation]:
    return [
        Approximation("fisher-layer-blocks", "Fisher, layer blocks", _blocks_of(_exact_fisher, "layer"), "layers"),
        Approximation(
            "fisher-parameter-blocks", "Fisher, parameter blocks", _blocks_of(_exact_fisher, "parameter"), "parameters"
        ),
        Approximation(
            "quasi-diagonal",
            "Fisher, quasi-diagonal",
            lambda p, _: reference.quasi_diagonal(p),
            "units",
            solve=reference.QuasiDiagonal.solve,
            layered=True,
        ),
        Approximation("fisher-diagonal", "Fisher, diagonal", _blocks_of(_exact_fisher, "entry"), "scales"),
    ]


def _kronecker() -> list[Approximation]:
    def made(bias: Bias, **options: Any) -> Callable[[Problem, Problem], Any]:
        return lambda p, _: reference.kfac(p, bias=bias, **options)

    def listed(name: str, label: str, bias: Bias, solve: Any, **options: Any) -> Approximation:
        exact = "layers" if bias == "joint" else "parameters"
        return Approximation(name, label, made(bias, **options), f"{bias}-kronecker", exact, solve=solve, layered=True)

    return [
        listed("kfac-joint", "K-FAC, joint bias, pi-damped", "joint", KroneckerFactored.solve),
        listed("kfac-reduce", "K-FAC, reduce, joint bias", "joint", KroneckerFactored.solve_exactly, sharing="reduce"),
        listed("kfac-separate", "K-FAC, separate bias", "separate", KroneckerFactored.solve_exactly),
    ]


def _eigen() -> list[Approximation]:
    def made(bias: Bias) -> Approximation:
        subject = Subject("ekfac", reference.eigen_kfac, "fisher", "eigen-kronecker", bias=bias)
        return Approximation(
            f"ekfac-{bias}",
            f"EKFAC, {bias} bias",
            lambda p, _: reference.eigen_kfac(p, bias=bias),
            f"{bias}-conformal",
            "layers" if bias == "joint" else "parameters",
            solve=reference.EigenKronecker.solve,
            layered=True,
            magnified=lambda p: basis_condition(p, subject, _exact_fisher(p)),
        )

    return [made("joint"), made("separate")]


def _adaptive() -> list[Approximation]:
    def powered(power: float) -> Callable[[Problem, Problem], Any]:
        return lambda p, _: _shampoo_power(p, power)

    return [
        Approximation("shampoo", "Shampoo, L kron R / tr L", lambda p, _: reference.shampoo(p), "separate-conformal"),
        Approximation("shampoo-half", "Shampoo, power 1/2", powered(0.5), "separate-conformal", power=0.5),
        Approximation("shampoo-quarter", "Shampoo, power 1/4", powered(0.25), "orthogonal-kronecker", power=0.25),
        Approximation("adam", "root of the diagonal (Adam)", _root_of_diagonal, "signed-permutations"),
        Approximation("gradient", "identity (plain gradient)", lambda p, _: _identity(p), "orthogonal"),
    ]


def _blocks_of(matrix: Matrix, per: str | None = None) -> Callable[[Problem, Problem], Tensor]:
    """A matrix without what lies outside its diagonal blocks, of layers or of parameters; all of it for None."""
    if per is None:
        return lambda problem, _: matrix(problem)
    return lambda problem, _: _QUANTITIES.restricted(problem, matrix(problem), per)


def _with_common_draws(problem: Problem, original: Problem) -> Tensor:
    """One label drawn for each term from the model in the original coordinates: the same labels in all coordinates."""
    before, terms = terms_of(original), terms_of(problem)
    labels = original.likelihood.sample(
        before.outputs, 1, generator("common draws", original.name, device=str(original.device))
    )
    return GaussNewton(problem, terms, label_gradients(problem, terms, labels)).dense()


def _shampoo_power(problem: Problem, power: float) -> FactoredBlocks:
    r"""The matrix :math:`(L \otimes R)^p` for each parameter, on the range of the factors."""
    pieces = []
    for piece in reference.shampoo(problem).pieces:
        assert isinstance(piece, Kronecker)
        trace = piece.output_factor.diagonal().sum()  # shampoo() divides by it
        roots = [_power(factor, power) for factor in (piece.output_factor, piece.input_factor * trace)]
        pieces.append(Kronecker(piece.index, *roots))
    return FactoredBlocks(problem, pieces)


def _power(factor: Tensor, power: float) -> Tensor:
    values, vectors = torch.linalg.eigh(factor)
    values = torch.where(kept(values), values, 0)
    powered: Tensor = (vectors * values**power) @ vectors.mT
    return powered


def _root_of_diagonal(problem: Problem, _: Problem) -> Tensor:
    """The square root of the diagonal of the empirical Fisher."""
    return _empirical_fisher(problem).diagonal().sqrt().diag()


def _identity(problem: Problem) -> Tensor:
    return torch.eye(problem.num_parameters, dtype=problem.dtype, device=problem.device)

"""Samples of every structure: independent, and of the covariance that the formula says, by exact tests."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from fishergauge.reference import Problem, block_slices, eigen_kfac, ggn, kfac, shampoo
from fishergauge.reference.eigenbasis_precision import EigenbasisPrecision
from fishergauge.reference.gaussian_prior import GaussianPrior, prior_of
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import joint_covariance, linearized_outputs, linearized_predictive
from fishergauge.suites.bartlett_decomposition import LEVEL, assert_independent_draws
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

DRAWS = 20_000
RANK = 6
LAYERS = (0.02, 0.2)

KINDS = (
    "full",
    "full, dense prior",
    "block-diagonal",
    "kronecker",
    "kfac, separate bias",
    "eigen_kfac",
    "eigen_kfac, separate bias",
    "shampoo",
    "diagonal",
    "low-rank",
)
FACTORED = ("kronecker", "kfac, separate bias", "eigen_kfac", "eigen_kfac, separate bias", "shampoo")

every_kind = pytest.mark.parametrize("kind", KINDS)


def _problem(dtype: torch.dtype = torch.float64) -> Problem:
    return zoo_problem("mlp-sigmoid-binary", dtype=dtype)


def _matrix(kind: str, problem: Problem) -> Any:
    """The approximation where it is an object of its own."""
    made: Mapping[str, Callable[[], Any]] = {
        "kfac, separate bias": lambda: kfac(problem, bias="separate"),
        "eigen_kfac": lambda: eigen_kfac(problem),
        "eigen_kfac, separate bias": lambda: eigen_kfac(problem, bias="separate"),
        "shampoo": lambda: shampoo(problem),
    }
    return made[kind]() if kind in made else None


def _prior(kind: str, problem: Problem) -> GaussianPrior:
    """Not isotropic, so that the side on which it is applied matters; with a mean."""
    size = problem.num_parameters
    if kind in FACTORED:
        return GaussianPrior(LAYERS, mean=0.2)
    diagonal = torch.linspace(0.02, 0.2, size, dtype=torch.float64)
    if kind != "full, dense prior":
        return GaussianPrior(diagonal, mean=0.2)
    root = torch.randn(size, size, generator=generator("dense prior"), dtype=torch.float64)
    return GaussianPrior(root @ root.T / (10 * size) + diagonal.diag(), mean=0.2)


def _posterior(kind: str, dtype: torch.dtype = torch.float64) -> LaplacePosterior:
    problem = _problem(dtype)
    matrix, prior = _matrix(kind, problem), _prior(kind, problem)
    if matrix is not None:
        return laplace(problem, matrix, prior=prior)
    structure: Any = kind.partition(",")[0]
    return laplace(problem, "ggn", structure, prior, rank=RANK if structure == "low-rank" else None)


def _expected(kind: str) -> Tensor:
    """The precision by its formula: the number of labels times the approximation, and the prior."""
    problem = _problem()
    matrix = _matrix(kind, problem)
    dense: Tensor = (kfac(problem, "ggn") if kind == "kronecker" else ggn(problem) if matrix is None else matrix).dense()
    if kind == "block-diagonal":
        kept = torch.zeros_like(dense)
        for part in block_slices(problem).values():
            kept[part, part] = dense[part, part]
        dense = kept
    elif kind == "diagonal":
        dense = dense.diagonal().diag()
    elif kind == "low-rank":
        left, values, right = torch.linalg.svd(dense)
        dense = (left[:, :RANK] * values[:RANK]) @ right[:RANK]
    return problem.targets.numel() * dense + prior_of(problem, _prior(kind, problem)).dense()


@every_kind
def test_draws_are_independent_and_have_the_covariance_of_the_formula(kind: str, note: Note) -> None:
    posterior = _posterior(kind)
    samples = posterior.sample(DRAWS, generator("bartlett", kind))
    expected = _expected(kind)
    note(assert_independent_draws(samples, posterior.mean, expected, f"draws, {kind}"))
    variance, condition = torch.linalg.inv(expected).diagonal(), float(torch.linalg.cond(expected))
    assert_close(posterior.precision.variance(), variance, "variance", condition=condition)
    assert_apart(posterior.precision.variance(), variance.sqrt(), "standard deviation")


@every_kind
def test_draws_in_single_precision_have_it_too(kind: str) -> None:
    posterior = _posterior(kind, torch.float32)
    samples = posterior.sample(DRAWS, generator("bartlett, single", kind))
    assert samples.dtype == torch.float32
    assert_independent_draws(samples.double(), posterior.mean.double(), _expected(kind), f"draws, {kind}")


def _transposed(posterior: LaplacePosterior, normal: Tensor) -> Tensor:
    """Draws with the transposes of the eigenvectors of each factor."""
    result = torch.zeros_like(normal)
    one, zero = torch.tensor(1.0).double(), torch.tensor(0.0).double()
    for index, piece in posterior.precision.pieces:  # type: ignore[attr-defined]
        wrong = EigenbasisPrecision(piece.outer.T, piece.inner.T, piece.values, one, zero)
        result[:, index] = wrong.unwhiten(normal[:, index])
    return result


@every_kind
def test_wrong_roots_are_noticed(kind: str) -> None:
    """On the standard normal numbers of the right draws, so that nothing but the root differs."""
    posterior = _posterior(kind)
    offset = posterior.sample(DRAWS, generator("bartlett", kind)) - posterior.mean
    normal = posterior.precision.whiten(offset)
    expected = _expected(kind)
    wrong = {
        "no draw of the prior": offset @ expected / 10,
        "precision for covariance": posterior.precision.whiten(normal),
        "covariance as its root": posterior.precision.solve(normal.T).T,
        "a variance off by a tenth": math.sqrt(1.1) * offset,
        "one variance off by a tenth": torch.cat([math.sqrt(1.1) * offset[:, :1], offset[:, 1:]], 1),
        "parameters in another order": offset.roll(1, 1),
    }
    if kind != "diagonal":  # W' z in place of W z, for Cholesky factors L^-1 z in place of L'^-1 z
        wrong["root transposed"] = posterior.precision.project(normal)
    if kind in FACTORED:
        wrong["eigenvectors transposed"] = _transposed(posterior, normal)
    for what, mistaken in wrong.items():
        with pytest.raises(ClaimViolated):
            assert_independent_draws(posterior.mean + mistaken, posterior.mean, expected, what)
    with pytest.raises(ClaimViolated, match="the mean is off"):
        assert_independent_draws(posterior.mean + offset + 0.1 * offset.std(), posterior.mean, expected, "another mean")
    assert_independent_draws(posterior.mean + posterior.precision.unwhiten(normal), posterior.mean, expected, "right")


def _halves(normal: Tensor, sign: float) -> Tensor:
    half = normal[: len(normal) // 2]
    return torch.cat([half, sign * half])


def _twins(normal: Tensor, sign: float) -> Tensor:
    half = normal[: len(normal) // 2]
    return torch.stack([half, sign * half], 1).flatten(0, 1)


def _moving(normal: Tensor, correlation: float) -> Tensor:
    """Each draw correlated with the one before."""
    return correlation * normal.roll(1, 0) + math.sqrt(1 - correlation**2) * normal


CORRELATED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "the second half repeats the first": (lambda normal: _halves(normal, 1.0), "half the sample apart"),
    "the second half mirrors the first": (lambda normal: _halves(normal, -1.0), "half the sample apart"),
    "each draw twice": (lambda normal: _twins(normal, 1.0), "neighbours"),
    "antithetic draws": (lambda normal: _twins(normal, -1.0), "neighbours"),
    "neighbours correlated by a tenth": (lambda normal: _moving(normal, 0.1), "neighbours"),
}


@pytest.mark.parametrize("what", CORRELATED)
@pytest.mark.parametrize("kind", ["full", "eigen_kfac", "low-rank"])
def test_correlated_draws_are_noticed(kind: str, what: str) -> None:
    """Their covariance is right: the pairs tell, or the correlations of all draws, which come too near to each other."""
    posterior = _posterior(kind)
    change, where = CORRELATED[what]
    normal = posterior.precision.whiten(posterior.sample(DRAWS, generator("bartlett", kind)) - posterior.mean)
    draws = posterior.mean + posterior.precision.unwhiten(change(normal))
    with pytest.raises(ClaimViolated, match=f"{where}|mean square"):
        assert_independent_draws(draws, posterior.mean, _expected(kind), what)


@every_kind
def test_linearised_outputs_at_several_inputs_have_their_joint_covariance(kind: str, note: Note) -> None:
    posterior = _posterior(kind)
    inputs = posterior.problem.inputs[:2]
    samples = posterior.sample(DRAWS, generator("joint", kind))
    outputs = linearized_outputs(posterior, inputs, samples).flatten(1)
    precision = torch.linalg.inv(joint_covariance(posterior, inputs))
    mean = posterior.problem.outputs[:2].flatten()
    note(assert_independent_draws(outputs, mean, precision, f"outputs at two inputs, {kind}"))
    blocks = linearized_predictive(posterior, inputs).covariance
    separate = torch.linalg.inv(torch.einsum("nm,ncd->ncmd", torch.eye(2).double(), blocks).reshape(precision.shape))
    for wrong in (separate, precision.flip(0, 1), 1.1 * precision):
        with pytest.raises(ClaimViolated):
            assert_independent_draws(outputs, mean, wrong, "inputs apart, in another order, or too narrow")


def _refusals(scale: float, repetitions: int = 200) -> int:
    """How often 50 standard normal draws, scaled, are refused at level 1/10."""
    source, one = generator("level"), torch.eye(3, dtype=torch.float64)
    refused = 0
    for _ in range(repetitions):
        try:
            normal = torch.randn(50, 3, generator=source, dtype=torch.float64)
            assert_independent_draws(scale * normal, 0 * one[0], one, "standard normal", level=0.1)
        except ClaimViolated:
            refused += 1
    return refused


def test_right_draws_are_refused_no_more_often_than_the_level_says() -> None:
    """The statistics are exact, so that few draws and a coarse level can be counted."""
    allowed = int(binom.isf(LEVEL, 200, 0.1))
    assert 0 < _refusals(1.0) <= allowed
    assert _refusals(1.3) > allowed

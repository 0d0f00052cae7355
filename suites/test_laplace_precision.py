"""Posterior precisions: each structure against its dense formula, and what follows from it without an inverse."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor
from torch.autograd.functional import hessian
from torch.distributions import MultivariateNormal, Normal

from fishergauge.reference import (
    Curvature,
    Problem,
    ProblemError,
    UndefinedError,
    UnsupportedError,
    block_slices,
    eigen_kfac,
    empirical_fisher,
    fisher,
    ggn,
    kfac,
    quasi_diagonal,
    shampoo,
)
from fishergauge.reference.dense_precision import DensePrecision
from fishergauge.reference.gaussian_prior import GaussianPrior
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.low_rank_precision import LowRankPrecision
from fishergauge.reference.posterior_precision import PosteriorPrecision
from fishergauge.reference.posterior_structure import STRUCTURES, Structure
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.joint_density import log_density, log_joint
from fishergauge.suites.sample_covariance import assert_covariance
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

PROBLEMS = ["linear-regression", "mlp-tanh-softmax", "mlp-tanh-gaussian", "mlp-sigmoid-binary"]

every_problem = pytest.mark.parametrize("name", PROBLEMS)
every_structure = pytest.mark.parametrize("structure", STRUCTURES)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])

PRIOR = 1.7
VARIANCE = 0.3
RANK = 4


def _posterior(name: str, structure: Structure, dtype: torch.dtype = torch.float64, **options: Any) -> LaplacePosterior:
    problem = zoo_problem(name, dtype=dtype)
    return laplace(problem, "ggn", structure, PRIOR, _variance(problem), RANK if structure == "low-rank" else None, **options)


def _variance(problem: Problem) -> float | None:
    return VARIANCE if problem.likelihood.why_no_likelihood is None and "MSE" in type(problem.loss).__name__ else None


def _factor(problem: Problem) -> float:
    """By hand: the number of labels or outputs under ``mean``, over 2 sigma^2 for squared error."""
    if "MSE" in type(problem.loss).__name__:
        return problem.outputs.numel() / (2 * VARIANCE)
    return float(problem.targets.numel())


def _by_formula(problem: Problem, structure: Structure) -> Tensor:
    """The precision as its definition says, dense."""
    matrix = ggn(problem).dense()
    size = problem.num_parameters
    if structure == "block-diagonal":
        mask = torch.zeros_like(matrix)
        for part in block_slices(problem).values():
            mask[part, part] = 1
        matrix = matrix * mask
    elif structure == "kronecker":
        matrix = kfac(problem, "ggn").dense()
    elif structure == "diagonal":
        matrix = torch.diag(matrix.diagonal())
    elif structure == "low-rank":
        values, vectors = torch.linalg.eigh(matrix)
        matrix = (vectors[:, -RANK:] * values[-RANK:]) @ vectors[:, -RANK:].T
    return _factor(problem) * matrix + PRIOR * torch.eye(size, dtype=matrix.dtype)


def _condition(matrix: Tensor) -> float:
    values = torch.linalg.eigvalsh(matrix.double())
    return float(values[-1] / values[0])


@both_dtypes
@every_structure
@every_problem
def test_the_precision_is_the_scaled_curvature_plus_the_prior(name: str, structure: Structure, dtype: torch.dtype) -> None:
    problem = zoo_problem(name, dtype=dtype)
    found, expected = _posterior(name, structure, dtype).precision.dense(), _by_formula(problem, structure)
    assert_close(found, expected, structure)
    prior = PRIOR * torch.eye(len(expected), dtype=dtype)
    for wrong, what in (
        (2 * (expected - prior) + prior, "factor 2 in the likelihood"),
        ((expected - prior) / _factor(problem) + prior, "curvature of the mean loss"),
        (expected - prior + prior / PRIOR**2, "a prior variance in place of its precision"),
    ):
        assert_apart(found, wrong, what)


def test_structures_differ_where_their_formulas_do() -> None:
    found = [_posterior("mlp-tanh-softmax", structure).precision.dense() for structure in STRUCTURES]
    for first, one in enumerate(found):
        for other in found[first + 1 :]:
            assert_apart(one, other, "two structures")


@pytest.mark.parametrize("curvature", ["ggn", "fisher", "empirical-fisher"])
@every_problem
def test_the_curvature_of_that_name_is_taken(name: str, curvature: str) -> None:
    problem = zoo_problem(name)
    matrices: dict[str, Callable[[Problem], Curvature]] = {"ggn": ggn, "fisher": fisher, "empirical-fisher": empirical_fisher}
    for structure, matrix in (
        ("full", matrices[curvature](problem).dense()),
        ("kronecker", kfac(problem, curvature).dense()),  # type: ignore[arg-type]
    ):
        expected = laplace(problem, matrix, prior=PRIOR).precision.dense()
        found = laplace(problem, curvature, structure, PRIOR).precision.dense()  # type: ignore[arg-type]
        assert_close(found, expected, curvature)
        others = laplace(problem, "ggn" if curvature == "empirical-fisher" else "empirical-fisher", prior=PRIOR)
        assert_apart(found, others.precision.dense(), "another curvature")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "name", ["linear-regression", "logistic-regression", "softmax-uneven-batches", "multilabel-regression"]
)
def test_full_precision_is_the_hessian_of_the_negative_log_joint(name: str, reduction: str) -> None:
    """The joint density is written by torch.distributions; in these models the GGN is the Hessian."""
    problem = zoo_problem(name, reduction=reduction)
    prior = torch.linspace(0.5, 3, problem.num_parameters, dtype=torch.float64)
    variance = _variance(problem)
    found = laplace(problem, prior=prior, observation_variance=variance).precision.dense()
    expected = hessian(lambda vector: -log_joint(problem, vector, prior, variance), problem.vector)  # type: ignore[no-untyped-call]
    assert_close(found, expected, "Hessian", size=problem.targets.numel() * problem.num_parameters)
    for factor in (0.5, 2.0):
        assert_apart(factor * (found - torch.diag(prior)) + torch.diag(prior), expected, "a factor 2")
    if variance is not None:
        assert_apart(laplace(problem, prior=prior, observation_variance=variance**0.5).precision.dense(), expected, "sd")


@every_structure
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-tanh-gaussian", "mlp-sigmoid-binary"])
def test_the_reduction_of_the_loss_does_not_matter(name: str, structure: Structure) -> None:
    mean, total = (zoo_problem(name, reduction=reduction) for reduction in ("mean", "sum"))
    one, other = (laplace(problem, structure=structure, prior=PRIOR).precision.dense() for problem in (mean, total))
    condition = _condition(other) if structure == "low-rank" else 1.0  # gaps between eigenvalues
    assert_close(one, other, "mean and sum", condition=condition)
    assert_apart(ggn(mean).dense(), ggn(total).dense(), "the curvatures themselves")


def test_masked_labels_are_absent() -> None:
    problem = zoo_problem("masked-labels")
    kept = torch.ne(problem.targets, int(problem.loss.ignore_index))  # type: ignore[arg-type]
    assert not bool(kept.all())
    assert kept.ndim == 1
    without = Problem(problem.model, problem.loss, [(problem.inputs[kept], problem.targets[kept])])
    assert_close(laplace(problem).precision.dense(), laplace(without).precision.dense(), "masked = absent")
    assert_apart(laplace(problem).precision.dense(), len(kept) * ggn(problem).dense(), "counted")


@both_dtypes
@every_structure
@every_problem
def test_what_follows_from_the_precision_agrees_with_its_dense_inverse(
    name: str, structure: Structure, dtype: torch.dtype
) -> None:
    precision = _posterior(name, structure, dtype).precision
    _check_consequences(precision)


def _check_consequences(precision: PosteriorPrecision) -> None:
    dense = precision.dense()
    wide, condition = dense.double(), _condition(dense)
    inverse = torch.linalg.solve(wide, torch.eye(len(wide), dtype=torch.float64))
    draws = generator("right", len(dense))
    right = torch.randn(len(dense), 3, generator=draws, dtype=torch.float64).to(dense.dtype)
    jacobian = torch.randn(2, 3, len(dense), generator=draws, dtype=torch.float64).to(dense.dtype)
    assert_close(precision.solve(right), inverse @ right.double(), "solve", condition=condition)
    assert_close(precision.solve(right[:, 0]), inverse @ right[:, 0].double(), "solve one", condition=condition)
    assert_close(precision.covariance(), inverse, "covariance", condition=condition)
    assert_close(precision.variance(), inverse.diagonal(), "variance", condition=condition)
    expected = jacobian.double() @ inverse @ jacobian.double().mT
    assert_close(precision.quadratic(jacobian), expected, "J Sigma J'", condition=condition, size=len(dense))
    logdet = torch.linalg.slogdet(wide)[1]
    scale = float(torch.linalg.eigvalsh(wide).log().abs().sum()) + condition
    assert_close(precision.logdet(), logdet, "logdet", scale=scale, size=len(dense))
    identity = torch.eye(len(dense), dtype=dense.dtype)
    root = precision.unwhiten(identity).T  # columns W e_i
    assert_close(root @ root.T, inverse, "W W' = Sigma", condition=condition)
    assert_close(precision.project(identity), root, "rows of W' are the columns of W", condition=condition)
    assert_close(precision.whiten(precision.unwhiten(right.T)), right.T, "W^-1 W", condition=condition, size=len(dense))


@pytest.mark.parametrize("structure", ["full", "block-diagonal", "kronecker"])
def test_the_consequences_notice_a_wrong_root(structure: Structure) -> None:
    precision = _posterior("mlp-tanh-softmax", structure).precision
    identity = torch.eye(precision.size, dtype=torch.float64)
    transposed = precision.project(identity).T  # W' in place of W: the root that was taken in a published library
    with pytest.raises(ClaimViolated, match="W W'"):
        assert_close(transposed @ transposed.T, precision.covariance(), "W W'", condition=_condition(precision.dense()))


class _Altered(PosteriorPrecision):
    """A right precision but for one method."""

    def __init__(self, right: PosteriorPrecision, method: str, wrong: Callable[..., Tensor]) -> None:
        super().__init__(right.size)
        for name in ("dense", "logdet", "unwhiten", "project", "whiten", "variance", "_solve", "quadratic"):
            setattr(self, name, getattr(right, name))
        setattr(self, method, wrong)

    def dense(self) -> Tensor: ...  # type: ignore[empty-body]

    def logdet(self) -> Tensor: ...  # type: ignore[empty-body]

    def unwhiten(self, rows: Tensor) -> Tensor: ...  # type: ignore[empty-body]

    def project(self, rows: Tensor) -> Tensor: ...  # type: ignore[empty-body]

    def whiten(self, rows: Tensor) -> Tensor: ...  # type: ignore[empty-body]

    def variance(self) -> Tensor: ...  # type: ignore[empty-body]


@pytest.mark.parametrize("method", ["logdet", "unwhiten", "project", "whiten", "variance", "_solve", "quadratic"])
def test_the_consequences_notice_a_method_that_is_off_by_a_millionth(method: str) -> None:
    right = _posterior("mlp-tanh-softmax", "kronecker").precision
    _check_consequences(_Altered(right, method, getattr(right, method)))
    with pytest.raises(ClaimViolated):
        _check_consequences(_Altered(right, method, lambda *args: (1 + 1e-6) * getattr(right, method)(*args)))


@every_structure
def test_samples_have_the_mean_and_the_covariance_of_the_posterior(structure: Structure, note: Note) -> None:
    posterior = _posterior("mlp-tanh-softmax", structure)
    dense = posterior.precision.dense()
    inverse = torch.linalg.solve(dense, torch.eye(len(dense), dtype=dense.dtype))
    samples = posterior.sample(20_000, generator("laplace-samples", structure))
    note(assert_covariance(samples, posterior.mean, inverse, f"samples, {structure}"))
    offset = samples - posterior.mean
    wrong = {
        "no mean": offset,
        "covariance as root": offset @ torch.linalg.cholesky(inverse),
        "variance twice": posterior.mean + math.sqrt(2) * offset,
        "prior alone": posterior.mean + posterior.precision.whiten(offset) / math.sqrt(PRIOR),
    }
    if structure in ("full", "block-diagonal"):  # elsewhere W' z has the covariance of W z, or nearly
        wrong["root transposed"] = posterior.mean + posterior.precision.project(posterior.precision.whiten(offset))
    for what, mistaken in wrong.items():
        with pytest.raises(ClaimViolated):
            assert_covariance(mistaken, posterior.mean, inverse, what)


def test_samples_depend_on_the_generator_alone() -> None:
    posterior = _posterior("mlp-tanh-softmax", "full")
    one, same, other = (posterior.sample(3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert_apart(one, other, "another seed")


def test_low_rank_of_full_rank_is_full() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    full = laplace(problem, prior=PRIOR).precision.dense()
    assert_close(laplace(problem, structure="low-rank", prior=PRIOR).precision.dense(), full, "all above rounding")
    every = laplace(problem, structure="low-rank", prior=PRIOR, rank=problem.num_parameters)
    assert_close(every.precision.dense(), full, "rank P")
    assert_apart(laplace(problem, structure="low-rank", prior=PRIOR, rank=3).precision.dense(), full, "rank 3")
    none = laplace(problem, structure="low-rank", prior=PRIOR, rank=0).precision
    assert_close(none.dense(), PRIOR * torch.eye(len(full), dtype=full.dtype), "rank 0 leaves the prior")
    _check_consequences(none)


def test_low_rank_keeps_the_largest_eigenvalues() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    values = torch.linalg.eigvalsh(problem.targets.numel() * ggn(problem).dense()) + PRIOR
    found = torch.linalg.eigvalsh(laplace(problem, structure="low-rank", prior=PRIOR, rank=2).precision.dense())
    assert_close(found[-2:], values[-2:], "kept")
    assert_close(found[:-2], torch.full_like(found[:-2], PRIOR), "left to the prior")


@pytest.mark.parametrize("structure", ["full", "block-diagonal", "diagonal", "low-rank"])
def test_a_diagonal_prior_is_added_exactly(structure: Structure) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    prior = torch.linspace(0.5, 3, problem.num_parameters, dtype=torch.float64)
    rank = RANK if structure == "low-rank" else None
    found = laplace(problem, structure=structure, prior=prior, rank=rank).precision
    unit = laplace(problem, structure=structure, prior=1.0, rank=rank).precision
    assert_close(found.dense() - torch.diag(prior), unit.dense() - torch.eye(len(prior)).double(), "curvature", condition=10)
    assert_apart(found.dense(), unit.dense() + torch.diag(prior.flip(0) - 1), "prior in another order")
    _check_consequences(found)


@every_structure
def test_a_layer_wise_prior_is_the_diagonal_prior_that_repeats_it(structure: Structure) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    slices = block_slices(problem)
    assert list(slices) == ["0", "2"]
    by_name, by_number = {"2": 5.0, "0": 0.5}, [0.5, 5.0]
    repeated = torch.cat([torch.full((part.stop - part.start,), by_name[name]) for name, part in slices.items()]).double()
    expected = laplace(problem, structure=structure, prior=1.0).precision.dense() + torch.diag(repeated - 1)
    for prior in (by_name, by_number, torch.tensor(by_number)):
        precision = laplace(problem, structure=structure, prior=prior).precision
        assert_close(precision.dense(), expected, "by layer", condition=5)
        _check_consequences(precision)
    swapped = laplace(problem, structure=structure, prior=[5.0, 0.5]).precision.dense()
    assert_apart(swapped, expected, "layers swapped")


def test_the_prior_is_not_added_to_the_kronecker_factors() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    exact = laplace(problem, structure="kronecker", prior=PRIOR).precision
    right = torch.ones(problem.num_parameters, dtype=torch.float64)
    damped = kfac(problem, "ggn").solve(right, PRIOR / problem.targets.numel()) / problem.targets.numel()
    with pytest.raises(ClaimViolated):
        assert_close(damped, exact.solve(right), "factored damping", condition=_condition(exact.dense()))


def test_a_dense_prior_is_added_exactly() -> None:
    problem = zoo_problem("softmax-regression")
    draws = torch.randn(12, 12, generator=generator("dense-prior"), dtype=torch.float64)
    prior = draws @ draws.T + torch.eye(12).double()
    posterior = laplace(problem, prior=GaussianPrior(prior, mean=0.3))
    expected = problem.targets.numel() * ggn(problem).dense() + prior
    assert_close(posterior.precision.dense(), expected, "dense prior")
    _check_consequences(posterior.precision)
    found = posterior.prior.log_density(problem.vector)
    exact = MultivariateNormal(torch.full((12,), 0.3, dtype=torch.float64), precision_matrix=prior)
    assert_close(found, log_density(exact, problem.vector), "log density", condition=_condition(prior))
    for structure in STRUCTURES[1:]:
        with pytest.raises(UnsupportedError, match="structure 'full'"):
            laplace(problem, structure=structure, prior=prior)


class _Product:
    """A matrix known by its products alone."""

    def __init__(self, matrix: Tensor) -> None:
        self._matrix, self.shape = matrix, matrix.shape

    def __matmul__(self, other: Tensor) -> Tensor:
        return self._matrix @ other


@pytest.mark.parametrize("structure", ["full", "block-diagonal", "diagonal", "low-rank"])
def test_any_matrix_serves_as_curvature(structure: Structure) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix = fisher(problem).dense()
    rank = RANK if structure == "low-rank" else None
    expected = laplace(problem, "fisher", structure, PRIOR, rank=rank).precision.dense()
    for form in (matrix, fisher(problem), _Product(matrix), aslinearoperator(matrix.numpy())):
        assert_close(laplace(problem, form, structure, PRIOR, rank=rank).precision.dense(), expected, type(form).__name__)
    assert_apart(laplace(problem, 2 * matrix, structure, PRIOR, rank=rank).precision.dense(), expected, "twice the matrix")


@pytest.mark.parametrize("bias", ["joint", "separate"])
@pytest.mark.parametrize("approximation", [kfac, eigen_kfac])
def test_kronecker_objects_keep_their_eigenbasis(approximation: Callable[..., Any], bias: str) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix = approximation(problem, bias=bias)
    posterior = laplace(problem, matrix, prior=PRIOR)
    assert posterior.structure == "kronecker"
    expected = problem.targets.numel() * matrix.dense() + PRIOR * torch.eye(problem.num_parameters).double()
    assert_close(posterior.precision.dense(), expected, "eigenbasis")
    assert_close(laplace(problem, matrix, "full", PRIOR).precision.dense(), expected, "its entries")
    _check_consequences(posterior.precision)
    other = approximation(problem, bias="separate" if bias == "joint" else "joint")
    assert_apart(laplace(problem, other, prior=PRIOR).precision.dense(), expected, "the other treatment of the bias")


def test_other_factored_matrices_find_their_structure() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    found = laplace(problem, shampoo(problem), prior=PRIOR)
    assert found.structure == "kronecker"
    expected = problem.targets.numel() * shampoo(problem).dense() + PRIOR * torch.eye(problem.num_parameters).double()
    assert_close(found.precision.dense(), expected, "Shampoo")
    assert laplace(problem, quasi_diagonal(problem)).structure == "full"
    with pytest.raises(UnsupportedError, match="no Kronecker factors"):
        laplace(problem, quasi_diagonal(problem), "kronecker")
    with pytest.raises(UnsupportedError, match="no Kronecker factors"):
        laplace(problem, ggn(problem).dense(), "kronecker")


@pytest.mark.parametrize("structure", ["full", "kronecker", "diagonal"])
def test_the_empirical_fisher_is_that_of_the_likelihood(structure: Structure) -> None:
    """Outer products of gradients of log N(y; f, sigma^2), one sample at a time: quadratic in 1 / sigma^2."""
    problem = zoo_problem("linear-regression")
    expected = problem.vector.new_zeros(problem.num_parameters, problem.num_parameters)
    for inputs, target in zip(problem.inputs, problem.targets, strict=True):
        density = log_density(Normal(problem.model(inputs), math.sqrt(VARIANCE)), target).sum()
        slope = torch.cat([g.reshape(-1) for g in torch.autograd.grad(density, list(problem.parameters.values()))])
        expected += torch.outer(slope, slope)
    if structure == "diagonal":
        expected = torch.diag(expected.diagonal())
    eye = torch.eye(len(expected)).double()
    found = laplace(problem, "empirical-fisher", structure, 1.0, VARIANCE).precision.dense() - eye
    if structure == "kronecker":  # the factorisation is no equality; its scale is that of the gradients
        expected = kfac(problem, "empirical-fisher").dense() * problem.targets.numel() / (2 * VARIANCE) ** 2
    assert_close(found, expected, "empirical Fisher", condition=2)
    linear = laplace(problem, empirical_fisher(problem), "full", 1.0, VARIANCE).precision.dense() - eye
    assert_apart(linear, expected, "the linear factor of a matrix")


def test_covariance_is_that_of_the_prior_where_there_are_no_data_to_speak_of() -> None:
    problem = zoo_problem("softmax-regression")
    found = laplace(problem, torch.zeros(12, 12).double(), prior=4.0).covariance()
    assert_close(found, torch.eye(12).double() / 4, "variance 1/4, not 4 and not 1/2")


def test_what_makes_no_posterior_is_refused_by_name() -> None:
    softmax, squared = zoo_problem("mlp-tanh-softmax"), zoo_problem("linear-regression")
    size = softmax.num_parameters
    eye = torch.eye(size).double()
    for structure in ("full", "block-diagonal", "diagonal"):
        laplace(softmax, -0.1 * eye, structure, prior=1.0)  # 1 - 6/10 is left
        with pytest.raises(ProblemError, match=r"not positive definite.*negative eigenvalues"):
            laplace(softmax, -0.2 * eye, structure, prior=1.0)
    with pytest.raises(ProblemError, match="not negative"):
        laplace(softmax, -0.1 * eye, "low-rank", prior=1.0, rank=2)
    with pytest.raises(UnsupportedError, match="not diagonal in the eigenbasis"):
        laplace(softmax, structure="kronecker", prior=torch.ones(size))
    with pytest.raises(UnsupportedError, match="exactly"):
        laplace(softmax, structure="kronecker").at(torch.ones(size))
    with pytest.raises(ProblemError, match="no observation variance"):
        laplace(softmax, observation_variance=1.0)
    for variance in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ProblemError, match="must be positive"):
            laplace(squared, observation_variance=variance)
    for prior, message in (
        (0.0, "must be positive"),
        (-1.0, "must be positive"),
        (math.nan, "NaN"),
        (torch.ones(size - 1), "one number for each of the 2 layers"),
        ({"0": 1.0}, "names the layers"),
        ({"0": 1.0, "1": 1.0}, "names the layers"),
        (-eye, "not positive definite"),
        (GaussianPrior(1.0, mean=torch.zeros(3)), "prior mean"),
    ):
        with pytest.raises(ProblemError, match=message):
            laplace(softmax, prior=prior)
    for matrix, message in (
        (torch.ones(2, 2), "expected a matrix of shape"),
        (object(), "expected a matrix of shape"),
        (torch.triu(torch.ones(size, size)).double(), "not symmetric"),
        (torch.full((size, size), math.nan), "NaN"),
        ("hessian", "curvature is one of"),
    ):
        with pytest.raises(ProblemError, match=message):
            laplace(softmax, matrix)
    with pytest.raises(ProblemError, match="structure is one of"):
        laplace(softmax, structure="sparse")  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="belongs to structure 'low-rank'"):
        laplace(softmax, rank=2)
    for rank in (-1, size + 1):
        with pytest.raises(ProblemError, match="rank lies between"):
            laplace(softmax, structure="low-rank", rank=rank)
    with pytest.raises(UndefinedError):
        laplace(zoo_problem("class-weights"), "fisher")
    precision = laplace(softmax).precision
    for call in (precision.solve, precision.quadratic):
        with pytest.raises(ProblemError, match="vectors of length"):
            call(torch.ones(size + 1).double())


def test_roundings_of_a_low_rank_value_below_zero_are_zero() -> None:
    one = torch.tensor(1.0).double()
    values = torch.tensor([1.0, -1e-17]).double()
    precision = LowRankPrecision(torch.eye(2).double(), values, one, torch.ones(2).double())
    assert_close(precision.dense(), torch.diag(torch.tensor([2.0, 1.0]).double()), "zero")
    with pytest.raises(ProblemError, match="not negative"):
        LowRankPrecision(torch.eye(2).double(), -values, one, torch.ones(2).double())


def test_a_dense_precision_names_its_smallest_eigenvalue() -> None:
    with pytest.raises(ProblemError, match="smallest eigenvalue is -2"):
        DensePrecision(torch.diag(torch.tensor([1.0, -3.0])), torch.tensor(1.0), torch.ones(2))

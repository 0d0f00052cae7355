"""The evidence: against densities of torch, exact where the model is linear, and its gradient by two routes."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError
from torch.distributions import MultivariateNormal

from fishergauge.reference import Problem, ProblemError, UndefinedError, UnsupportedError, output_jacobian
from fishergauge.reference.gaussian_prior import GaussianPrior, prior_of
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_evidence import EvidenceGradient
from fishergauge.reference.linear_gaussian import linear_gaussian_map
from fishergauge.reference.posterior_structure import STRUCTURES, Structure
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.joint_density import log_density, log_joint
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

VARIANCE = 0.3

PRIORS: dict[str, Callable[[int], Any]] = {
    "isotropic": lambda size: 1.7,
    "layer-wise": lambda size: [0.5, 3.0],
    "diagonal": lambda size: torch.linspace(0.5, 3, size, dtype=torch.float64),
}

CASES: list[tuple[Structure, str]] = [
    (structure, kind) for structure in STRUCTURES for kind in PRIORS if (structure, kind) != ("kronecker", "diagonal")
]

every_case = pytest.mark.parametrize(("structure", "kind"), CASES, ids=[f"{s}-{k}" for s, k in CASES])
every_likelihood = pytest.mark.parametrize("name", ["mlp-tanh-gaussian", "mlp-tanh-softmax", "mlp-sigmoid-binary"])


def _posterior(name: str, structure: Structure = "full", kind: str = "isotropic", curvature: Any = "ggn") -> LaplacePosterior:
    problem = zoo_problem(name)
    variance = VARIANCE if name.endswith(("gaussian", "regression")) else None
    prior = GaussianPrior(PRIORS[kind](problem.num_parameters), mean=0.1)
    return laplace(problem, curvature, structure, prior, variance, 5 if structure == "low-rank" else None)


def _logarithms(posterior: LaplacePosterior) -> tuple[Tensor, ...]:
    """The hyper-parameters of a posterior as logarithms, to be differentiated."""
    values = (posterior.prior.values,) if posterior.noise is None else (posterior.prior.values, posterior.noise)
    return tuple(value.log().requires_grad_() for value in values)


def _by_autograd(posterior: LaplacePosterior) -> tuple[Tensor, ...]:
    logarithms = _logarithms(posterior)
    return torch.autograd.grad(posterior.log_evidence_at(*logarithms), logarithms)


@every_case
@every_likelihood
def test_the_evidence_is_the_joint_density_over_that_of_the_posterior_at_its_mean(
    name: str, structure: Structure, kind: str
) -> None:
    """The joint density by torch.distributions, the determinant by LU decomposition."""
    posterior = _posterior(name, structure, kind)
    size = posterior.problem.num_parameters
    joint = log_joint(posterior.problem, posterior.mean, posterior.prior.diagonal, posterior.observation_variance, 0.1)
    logdet = torch.linalg.slogdet(posterior.precision.dense())[1]
    expected = joint.detach() + size / 2 * math.log(2 * math.pi) - logdet / 2
    scale = float(joint.abs()) + size * math.log(2 * math.pi) + float(logdet.abs())
    found = posterior.log_evidence()
    assert_close(found, expected, "evidence", scale=scale, size=size)
    assert_close(posterior.log_evidence_at(*_logarithms(posterior)).detach(), expected, "at", scale=scale, size=size)
    for what, wrong in (
        ("no 2 pi", expected - size / 2 * math.log(2 * math.pi)),
        ("logdet without 1/2", expected - logdet / 2),
        ("sign of logdet", expected + logdet),
        (
            "no prior mean",
            found + posterior.prior.log_density(posterior.mean * 0) - posterior.prior.log_density(posterior.mean),
        ),
    ):
        assert_apart(wrong, expected, what)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["isotropic", "diagonal"])
def test_the_evidence_of_a_linear_gaussian_model_is_that_of_its_observations(reduction: str, kind: str) -> None:
    r"""log N(y; J mu, sigma^2 I + J Delta^-1 J'), from the marginal of the observations alone."""
    problem = zoo_problem("linear-regression", reduction=reduction)
    prior = GaussianPrior(PRIORS[kind](problem.num_parameters), mean=0.1)
    at = linear_gaussian_map(problem, prior, VARIANCE)
    posterior = laplace(at, prior=prior, observation_variance=VARIANCE)
    exact = _marginal(problem, posterior.prior.diagonal, torch.tensor(VARIANCE, dtype=torch.float64))
    size = problem.targets.numel()
    condition = float(torch.linalg.cond(posterior.precision.dense()))
    assert_close(posterior.log_evidence(), exact, "evidence", condition=condition, size=size)
    off = laplace(problem, prior=prior, observation_variance=VARIANCE).log_evidence()
    assert_apart(off, exact, "not at the maximum a posteriori")
    for wrong in (math.sqrt(VARIANCE), 2 * VARIANCE, VARIANCE / 2):
        assert_apart(laplace(at, prior=prior, observation_variance=wrong).log_evidence(), exact, "another variance")


def _marginal(problem: Problem, prior: Tensor, variance: Tensor, mean: float = 0.1) -> Tensor:
    """The log-density of all observations, their parameters integrated out; the offset of the model is zero."""
    jacobian = output_jacobian(problem).flatten(0, 1)
    covariance = (jacobian / prior) @ jacobian.T + variance * torch.eye(len(jacobian), dtype=prior.dtype)
    observations = MultivariateNormal(jacobian.sum(1) * mean, covariance)
    return log_density(observations, problem.targets.flatten())


@pytest.mark.parametrize("kind", list(PRIORS))
def test_the_gradient_in_a_linear_gaussian_model_is_that_of_the_exact_evidence(kind: str) -> None:
    """Although mean and precision move with the hyper-parameters: a third route, through neither."""
    problem = zoo_problem("linear-regression")
    size = problem.num_parameters
    prior = GaussianPrior([0.5] if kind == "layer-wise" else PRIORS[kind](size), mean=0.1)
    posterior = laplace(linear_gaussian_map(problem, prior, VARIANCE), prior=prior, observation_variance=VARIANCE)
    log_prior, log_variance = _logarithms(posterior)
    exact = _marginal(problem, posterior.prior.spread(log_prior.exp()), log_variance.exp())
    expected = torch.autograd.grad(exact, [log_prior, log_variance])
    condition = float(torch.linalg.cond(posterior.precision.dense())) * float(exact.detach().abs())
    found = posterior.log_evidence_gradient()
    assert found.log_observation_variance is not None
    assert_close(found.log_prior_precision, expected[0], "by the prior", condition=condition)
    assert_close(found.log_observation_variance, expected[1], "by the variance", condition=condition)
    off = laplace(problem, prior=prior, observation_variance=VARIANCE).log_evidence_gradient()
    assert_apart(off.log_prior_precision, expected[0], "not at the maximum a posteriori")


@every_case
@every_likelihood
def test_the_gradient_in_closed_form_is_that_of_the_differentiable_evidence(name: str, structure: Structure, kind: str) -> None:
    for curvature in ("ggn", "empirical-fisher"):
        posterior = _posterior(name, structure, kind, curvature)
        _assert_gradient(posterior, posterior.log_evidence_gradient())


def _assert_gradient(posterior: LaplacePosterior, found: EvidenceGradient) -> None:
    expected = _by_autograd(posterior)
    condition = float(torch.linalg.cond(posterior.precision.dense()))
    size = posterior.problem.num_parameters
    assert_close(found.log_prior_precision, expected[0], "by the prior", condition=condition, scale=size, size=size)
    if len(expected) == 1:
        assert found.log_observation_variance is None
        return
    assert found.log_observation_variance is not None
    scale = float(posterior.scale.total) / VARIANCE + posterior.scale.entries + 2 * size
    assert_close(found.log_observation_variance, expected[1], "by the variance", condition=condition, scale=scale, size=size)


@every_case
def test_a_gradient_that_forgets_a_term_is_noticed(structure: Structure, kind: str) -> None:
    posterior = _posterior("mlp-tanh-gaussian", structure, kind, "empirical-fisher")
    right = posterior.log_evidence_gradient()
    assert posterior.noise is not None
    assert right.log_observation_variance is not None
    shrunk = posterior.prior.diagonal * posterior.precision.variance()
    effective = (1 - shrunk).sum()
    wrong = {
        "no determinant": right._replace(log_prior_precision=right.log_prior_precision + posterior.prior.summed(shrunk) / 2),
        "twice": right._replace(log_prior_precision=2 * right.log_prior_precision),
        "not the logarithm": right._replace(log_prior_precision=right.log_prior_precision / posterior.prior.values),
        "power of the Fisher": right._replace(log_observation_variance=right.log_observation_variance - effective / 2),
        "all parameters effective": right._replace(log_observation_variance=right.log_observation_variance + shrunk.sum()),
        "standard deviation": right._replace(log_observation_variance=2 * right.log_observation_variance),
    }
    _assert_gradient(posterior, right)
    for mistaken in wrong.values():
        with pytest.raises(ClaimViolated):
            _assert_gradient(posterior, mistaken)


@every_case
def test_the_evidence_passes_gradcheck(structure: Structure, kind: str) -> None:
    posterior = _posterior("mlp-tanh-gaussian", structure, kind)
    assert torch.autograd.gradcheck(posterior.log_evidence_at, _logarithms(posterior))


def test_gradcheck_would_notice_a_detached_determinant() -> None:
    posterior = _posterior("mlp-tanh-gaussian")

    def detached(log_prior: Tensor, log_variance: Tensor) -> Tensor:
        joint = posterior.scale.log_likelihood(log_variance.exp()) + posterior.prior.log_density(
            posterior.mean, log_prior.exp()
        )
        logdet = posterior.join(posterior.scale.factor(log_variance.exp()), posterior.prior.spread(log_prior.exp())).logdet()
        return joint - logdet.detach() / 2

    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(detached, _logarithms(posterior))


@every_case
def test_other_hyper_parameters_give_the_posterior_and_the_evidence_there(structure: Structure, kind: str) -> None:
    posterior = _posterior("mlp-tanh-gaussian", structure, kind)
    prior = GaussianPrior(2 * posterior.prior.values, mean=0.1)
    moved = posterior.at(prior, 0.9)
    rank = 5 if structure == "low-rank" else None
    anew = laplace(posterior.problem, "ggn", structure, prior, 0.9, rank)
    condition = float(torch.linalg.cond(anew.precision.dense()))
    assert_close(moved.precision.dense(), anew.precision.dense(), "precision", condition=condition)
    assert_apart(moved.precision.dense(), posterior.precision.dense(), "the precision before")
    values = (moved.prior.values.log(), torch.tensor(0.9, dtype=torch.float64).log())
    size = len(moved.mean)
    assert_close(posterior.log_evidence_at(*values), moved.log_evidence(), "evidence", size=size)
    assert_close(anew.log_evidence(), moved.log_evidence(), "evidence anew", condition=condition, size=size)
    assert_apart(posterior.log_evidence(), moved.log_evidence(), "the evidence before")
    assert posterior.at(prior).observation_variance == VARIANCE
    assert_close(posterior.at(prior).at(observation_variance=0.9).log_evidence(), moved.log_evidence(), "one by one", size=size)


@every_likelihood
def test_structures_order_the_evidence(name: str) -> None:
    """Fischer's and Hadamard's inequalities for the determinant, and eigenvalues left out: at most full, and at least."""
    posteriors = [_posterior(name, structure) for structure in ("diagonal", "block-diagonal", "full", "low-rank")]
    values = [float(posterior.log_evidence()) for posterior in posteriors]
    assert values == sorted(values)
    assert len(set(values)) == 4
    swapped = [value + float(one.precision.logdet()) for value, one in zip(values, posteriors, strict=True)]
    assert swapped == sorted(swapped, reverse=True)  # the determinant with the wrong sign
    repeated = laplace(zoo_problem(name), structure="low-rank").log_evidence()
    assert_close(repeated, laplace(zoo_problem(name)).log_evidence(), "all eigenpairs", size=100)


@pytest.mark.parametrize("structure", STRUCTURES)
@every_likelihood
def test_the_evidence_in_single_precision_is_that_in_double(name: str, structure: Structure) -> None:
    one, other = (laplace(zoo_problem(name, dtype=dtype), structure=structure) for dtype in (torch.float32, torch.float64))
    condition = float(torch.linalg.cond(other.precision.dense()))
    assert one.log_evidence().dtype == torch.float32
    size = len(one.mean)
    assert_close(one.log_evidence(), other.log_evidence(), "evidence", condition=condition, size=size)
    found, expected = one.log_evidence_gradient()[0], other.log_evidence_gradient()[0]
    assert_close(found, expected, "gradient", condition=condition, scale=size, size=size)
    with pytest.raises(ClaimViolated):
        assert_close(1.1 * one.log_evidence(), other.log_evidence(), "off by a tenth", condition=condition, size=size)


@every_likelihood
def test_the_evidence_does_not_depend_on_the_reduction(name: str) -> None:
    one, other = (laplace(zoo_problem(name, reduction=reduction)) for reduction in ("mean", "sum"))
    assert_close(one.log_evidence(), other.log_evidence(), "mean and sum", size=len(one.mean))
    gradients = one.log_evidence_gradient(), other.log_evidence_gradient()
    assert_close(gradients[0][0], gradients[1][0], "gradients", scale=len(one.mean), size=len(one.mean))


def test_masked_labels_do_not_count() -> None:
    problem = zoo_problem("masked-labels")
    kept = torch.ne(problem.targets, int(problem.loss.ignore_index))  # type: ignore[arg-type]
    without = Problem(problem.model, problem.loss, [(problem.inputs[kept], problem.targets[kept])])
    found = laplace(problem).log_evidence()
    assert_close(found, laplace(without).log_evidence(), "masked = absent", size=problem.num_parameters)
    labelled = replace(problem, batches=[(problem.inputs, problem.targets.masked_fill(~kept, 0))])
    assert_apart(found, laplace(labelled).log_evidence(), "masked = class 0")


def test_a_simple_case_by_hand() -> None:
    """One observation y = 1 of theta, prior N(0, 1/4), unit noise: y is N(0, 5/4)."""
    model = nn.Linear(1, 1, bias=False).double()
    one = torch.ones(1, 1, dtype=torch.float64)
    at = linear_gaussian_map(Problem(model, nn.MSELoss(), [(one, one)]), 4.0, 1.0)
    assert_close(at.vector, torch.tensor([0.2], dtype=torch.float64), "1 / (1 + 4)")
    found = laplace(at, prior=4.0, observation_variance=1.0)
    assert_close(found.covariance(), one / 5, "1 / (1 + 4)")
    assert_close(found.log_evidence(), torch.tensor(-(math.log(2 * math.pi * 1.25) + 0.8) / 2, dtype=torch.float64), "evidence")


def test_the_map_of_a_linear_model_is_stationary_and_others_are_refused() -> None:
    problem = zoo_problem("linear-regression")
    prior = torch.linspace(0.5, 3, problem.num_parameters, dtype=torch.float64)
    at = linear_gaussian_map(problem, GaussianPrior(prior, mean=0.1), VARIANCE)
    vector = at.vector.requires_grad_()
    (slope,) = torch.autograd.grad(log_joint(problem, vector, prior, VARIANCE, 0.1), vector)
    scale = float(torch.linalg.matrix_norm(laplace(at, prior=prior, observation_variance=VARIANCE).precision.dense()))
    assert_close(slope, torch.zeros_like(slope), "stationary", scale=scale, condition=10)
    other = linear_gaussian_map(problem, GaussianPrior(prior), VARIANCE).vector.requires_grad_()
    (slope,) = torch.autograd.grad(log_joint(problem, other, prior, VARIANCE, 0.1), other)
    with pytest.raises(ClaimViolated):
        assert_close(slope, torch.zeros_like(slope), "another prior mean", scale=scale, condition=10)
    with pytest.raises(UnsupportedError, match="not affine"):
        linear_gaussian_map(zoo_problem("mlp-tanh-gaussian"))
    with pytest.raises(UnsupportedError, match="not quadratic"):
        linear_gaussian_map(zoo_problem("softmax-regression"))


@pytest.mark.parametrize("name", ["class-weights", "soft-targets", "positive-weights"])
def test_the_evidence_is_refused_where_there_is_no_likelihood(name: str) -> None:
    posterior = laplace(zoo_problem(name))
    assert bool(posterior.precision.logdet().isfinite())  # the Gaussian itself is defined
    for call in (
        posterior.log_evidence,
        posterior.log_evidence_gradient,
        lambda: posterior.log_evidence_at(torch.tensor(0.0).double()),
    ):
        with pytest.raises(UndefinedError, match="the evidence"):
            call()


def test_hyper_parameters_that_do_not_fit_are_refused_by_name() -> None:
    zero = torch.tensor(0.0, dtype=torch.float64)
    squared, labels = _posterior("mlp-tanh-gaussian"), _posterior("mlp-tanh-softmax")
    with pytest.raises(ProblemError, match="squared error needs an observation variance"):
        squared.log_evidence_at(zero)
    with pytest.raises(ProblemError, match="class labels have no"):
        labels.log_evidence_at(zero, zero)
    with pytest.raises(ProblemError, match="hyper-parameters of shape"):
        labels.log_evidence_at(torch.zeros(2).double())
    dense = laplace(labels.problem, prior=torch.eye(labels.problem.num_parameters).double())
    assert_close(dense.log_evidence(), laplace(labels.problem).log_evidence(), "I, however given", size=len(dense.mean))
    with pytest.raises(UnsupportedError, match="no hyper-parameters"):
        dense.log_evidence_gradient()


def test_a_dense_prior_has_the_density_of_a_normal_distribution() -> None:
    problem = zoo_problem("linear-regression")
    size = problem.num_parameters
    root = torch.randn(size, size, generator=generator("dense prior"), dtype=problem.dtype)
    precision, mean = root @ root.T + torch.eye(size).to(root), root[0]
    prior = prior_of(problem, GaussianPrior(precision, mean))
    expected = MultivariateNormal(mean, precision_matrix=precision).log_prob(problem.vector)  # type: ignore[no-untyped-call]
    assert_close(prior.log_density(problem.vector), expected, "density", condition=float(torch.linalg.cond(precision)))
    assert torch.equal(prior.diagonal, precision.diagonal())
    assert_apart(prior_of(problem, GaussianPrior(precision)).log_density(problem.vector), expected, "without the mean")

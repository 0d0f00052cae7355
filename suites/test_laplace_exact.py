"""Linear-Gaussian models: the Laplace posterior is exact, by conjugate Bayes and, independently, in function space."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, eigen_kfac, ggn, kfac
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import joint_covariance, linearized_outputs, linearized_predictive
from fishergauge.reference.linear_gaussian import linear_gaussian_map
from fishergauge.reference.sampled_network import outputs_at
from fishergauge.suites.closeness import SAFETY, ClaimViolated, assert_apart, assert_close, unit_roundoff
from fishergauge.suites.laplace_cases import ONE_LAYER, PRIORS, LinearCase, PriorKind, linear_case
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

CASES = (*ONE_LAYER, "two-layers")

every_case = pytest.mark.parametrize("name", CASES)
every_prior = pytest.mark.parametrize("kind", PRIORS)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])

VARIANCES = (0.3, 2.0)
GRADIENTS = [*[(name, "layer-wise") for name in CASES], ("two-layers", "isotropic"), ("bias", "diagonal")]
NOTICED: tuple[tuple[PriorKind, float], ...] = (("layer-wise", 0.3), ("dense", 2.0))
STEP = 1e-3  # of differences in the logarithm of a hyper-parameter


@dataclass(frozen=True, eq=False)
class Answers:
    """What a Bayesian linear regression answers; mean and covariance of the parameters only in weight space."""

    evidence: Tensor
    predicted: Tensor
    spread: Tensor
    mean: Tensor | None = None
    covariance: Tensor | None = None


def by_laplace(posterior: LaplacePosterior, inputs: Tensor) -> Answers:
    """The answers of the reference."""
    predicted = linearized_predictive(posterior, inputs).mean.flatten()
    spread = joint_covariance(posterior, inputs)
    return Answers(posterior.log_evidence(), predicted, spread, posterior.mean, posterior.covariance())


def by_conjugate_bayes(case: LinearCase) -> Answers:
    """The answers of the closed form."""
    exact = case.conjugate()
    inputs = case.inputs.double()
    predicted, spread = exact.predictive(case.design(inputs))
    return Answers(exact.log_evidence(), predicted + case.offset(inputs), spread, exact.mean, exact.covariance)


def by_process(case: LinearCase) -> Answers:
    """The answers of the process over functions."""
    exact = case.process()
    return Answers(exact.log_evidence(), *exact.predictive(case.inputs.double()))


def assert_answers(case: LinearCase, found: Answers, exact: Answers) -> None:
    r"""Raise :class:`ClaimViolated` unless all answers agree within rounding.

    The mean is a Newton step from theta_0: in units u cond(Lambda) its error is that of theta_0, m, mu and of the linear
    term :math:`\Lambda^{-1} X'y / \sigma^2`. A relative error u of Lambda changes the log-determinant by P cond(Lambda) u.
    What is predicted inherits the errors of the mean, times the size of J; its covariance is :math:`J \Sigma J'`.
    """
    conjugate = case.conjugate()
    values = torch.linalg.eigvalsh(conjugate.precision)
    condition, size = float(values[-1] / values[0]), len(values)
    start, jacobian = case.problem.vector.double(), case.design(case.inputs.double())
    pulled = float(conjugate.design.T.norm()) * float(conjugate.targets.norm()) / case.variance / float(values[-1])
    length = float(start.norm() + conjugate.mean.norm() + case.prior_mean.norm()) + pulled
    terms = len(conjugate.targets) * (1 + abs(math.log(2 * math.pi * case.variance)))
    squares = float(conjugate.targets.square().sum()) / case.variance + float(
        case.prior_mean @ case.prior_precision @ case.prior_mean
    )
    known = terms + squares + size * condition
    if found.mean is not None and exact.mean is not None:
        assert_close(found.mean, exact.mean, "mean", condition=condition, scale=length)
    if found.covariance is not None and exact.covariance is not None:
        assert_close(found.covariance, exact.covariance, "covariance", condition=condition)
    assert_close(found.evidence, exact.evidence, "evidence", scale=known, size=size)
    reach = float(jacobian.norm()) * length + float(case.offset(case.inputs.double()).norm())
    assert_close(found.predicted, exact.predicted, "predictive mean", condition=condition, scale=reach, size=size)
    assert_close(found.spread, exact.spread, "predictive covariance", condition=condition, size=size)


def fitted(case: LinearCase, **options: Any) -> LaplacePosterior:
    """The posterior at the maximum a posteriori."""
    at = linear_gaussian_map(case.problem, case.prior, case.variance)
    return laplace(at, prior=case.prior, observation_variance=case.variance, **options)


@both_dtypes
@every_prior
@every_case
def test_the_posterior_is_that_of_conjugate_bayes_and_of_the_process(name: str, kind: PriorKind, dtype: torch.dtype) -> None:
    for variance, reduction in ((VARIANCES[0], "mean"), (VARIANCES[1], "sum")):
        case = linear_case(name, kind, variance, reduction, dtype)
        found = by_laplace(fitted(case), case.inputs)
        assert found.evidence.dtype == found.spread.dtype == dtype
        assert_answers(case, found, by_conjugate_bayes(case))
        assert_answers(case, found, by_process(case))


@every_prior
@every_case
def test_conjugate_bayes_and_the_process_agree(name: str, kind: PriorKind) -> None:
    """Two routes that share no line: a design matrix by hand, and the Jacobian of the model in function space."""
    case = linear_case(name, kind)
    assert_answers(case, by_conjugate_bayes(case), by_process(case))
    other = replace(case, variance=case.variance * 1.01)
    with pytest.raises(ClaimViolated):
        assert_answers(case, by_conjugate_bayes(other), by_process(case))


Mistake = Callable[[LinearCase, LaplacePosterior], Answers]


def _at_another_variance(change: Callable[[float], float]) -> Mistake:
    def answers(case: LinearCase, right: LaplacePosterior) -> Answers:
        wrong = laplace(right.problem, prior=case.prior, observation_variance=change(case.variance))
        return by_laplace(wrong, case.inputs)

    return answers


def _curvature_scaled(power: float) -> Mistake:
    """The curvature of the mean where that of the sum belongs, or the other way round."""

    def answers(case: LinearCase, right: LaplacePosterior) -> Answers:
        matrix = ggn(right.problem).dense() * case.problem.targets.numel() ** power
        return by_laplace(laplace(right.problem, matrix, "full", case.prior, case.variance), case.inputs)

    return answers


def _evidence(change: Callable[[LinearCase, LaplacePosterior], Tensor]) -> Mistake:
    return lambda case, right: replace(by_laplace(right, case.inputs), evidence=right.log_evidence() + change(case, right))


def _scatter_without_delta(case: LinearCase, right: LaplacePosterior) -> Tensor:
    """The sum of Delta (theta - mu) in place of (theta - mu)' Delta (theta - mu)."""
    offset = right.mean - case.prior_mean
    weighted = case.prior_precision @ offset
    return (offset @ weighted - weighted.sum()) / 2


def _no_prior_mean(case: LinearCase, _: LaplacePosterior) -> Answers:
    prior = replace(case.prior, mean=0.0)
    at = linear_gaussian_map(case.problem, prior, case.variance)
    return by_laplace(laplace(at, prior=prior, observation_variance=case.variance), case.inputs)


def _prior_variance(case: LinearCase, _: LaplacePosterior) -> Answers:
    """The prior's variance taken for its precision."""
    prior = replace(case.prior, precision=torch.linalg.inv(case.prior_precision))
    at = linear_gaussian_map(case.problem, prior, case.variance)
    return by_laplace(laplace(at, prior=prior, observation_variance=case.variance), case.inputs)


MISTAKES: dict[str, tuple[Mistake, str]] = {
    "factor 2 in the likelihood": (_at_another_variance(lambda variance: variance / 2), "covariance"),
    "MSELoss as the likelihood": (_at_another_variance(lambda _: 0.5), "covariance"),
    "variance as standard deviation": (_at_another_variance(lambda variance: variance**2), "covariance"),
    "standard deviation as variance": (_at_another_variance(lambda variance: variance**0.5), "covariance"),
    "mean for sum": (_curvature_scaled(-1), "covariance"),
    "sum for mean": (_curvature_scaled(1), "covariance"),
    "not at the maximum": (
        lambda case, _: by_laplace(laplace(case.problem, prior=case.prior, observation_variance=case.variance), case.inputs),
        "mean",
    ),
    "no prior mean": (_no_prior_mean, "mean"),
    "prior variance for precision": (_prior_variance, "mean"),
    "delta P for delta P delta": (_evidence(_scatter_without_delta), "evidence"),
    "no normaliser of the prior": (
        _evidence(lambda case, _: -torch.logdet(case.prior_precision) / 2),
        "evidence",
    ),
    "no normaliser of the likelihood": (
        _evidence(lambda case, _: torch.tensor(math.log(2 * math.pi * case.variance) * case.problem.targets.numel() / 2)),
        "evidence",
    ),
    "no log 2 pi of the parameters": (
        _evidence(lambda case, right: torch.tensor(-math.log(2 * math.pi) * len(right.mean) / 2)),
        "evidence",
    ),
    "log-determinant without 1/2": (_evidence(lambda _, right: -right.precision.logdet() / 2), "evidence"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@every_case
def test_mistakes_are_noticed_by_both_routes(name: str, mistake: str) -> None:
    wrong, where = MISTAKES[mistake]
    for kind, variance in NOTICED:
        case = linear_case(name, kind, variance)
        answers = wrong(case, fitted(case))
        with pytest.raises(ClaimViolated, match=f"^{where}"):
            assert_answers(case, answers, by_conjugate_bayes(case))
        with pytest.raises(ClaimViolated):
            assert_answers(case, answers, by_process(case))


# --- structures ---------------------------------------------------------------------------------


@every_case
def test_structures_are_exact_where_theory_says_so_and_not_elsewhere(name: str) -> None:
    """Curvatures that are those of the model, and those that cannot be."""
    case = linear_case(name, "layer-wise")
    right = fitted(case)
    problem, exact = right.problem, by_conjugate_bayes(case)
    one_layer = name in ONE_LAYER
    joint: dict[str, dict[str, Any]] = {
        "block-diagonal": {"structure": "block-diagonal"},
        "kronecker": {"structure": "kronecker"},
        "kfac": {"curvature": kfac(problem, bias="joint")},
        "eigen_kfac": {"curvature": eigen_kfac(problem, bias="joint")},
        "kronecker of the Fisher": {"structure": "kronecker", "curvature": "fisher"},
    }
    separate: dict[str, dict[str, Any]] = {
        "kfac, separate": {"curvature": kfac(problem, bias="separate")},
        "eigen_kfac, separate": {"curvature": eigen_kfac(problem, bias="separate")},
    }
    rank = int(torch.linalg.matrix_rank(case.design(problem.inputs)))
    always: dict[str, dict[str, Any]] = {
        "low-rank": {"structure": "low-rank"},
        "low-rank, rank of the design": {"structure": "low-rank", "rank": rank},
        "fisher": {"curvature": "fisher"},
    }
    never: dict[str, dict[str, Any]] = {
        "diagonal": {"structure": "diagonal"},
        "one eigenpair less": {"structure": "low-rank", "rank": rank - 1},
        "empirical Fisher": {"curvature": "empirical-fisher"},
    }
    has_bias = any(key.endswith("bias") for key in problem.parameters)
    exactly = {**always, **(joint if one_layer else {}), **({} if has_bias else separate)}
    apart = {**never, **({} if one_layer else joint), **(separate if has_bias else {})}
    for options in exactly.values():
        assert_answers(case, by_laplace(fitted(case, **options), case.inputs), exact)
    for options in apart.values():
        with pytest.raises(ClaimViolated, match=r"^covariance"):
            assert_answers(case, by_laplace(fitted(case, **options), case.inputs), exact)


# --- the evidence's gradient --------------------------------------------------------------------


def _logarithms(posterior: LaplacePosterior) -> tuple[Tensor, Tensor]:
    assert posterior.noise is not None
    return posterior.prior.values.log(), posterior.noise.log()


def _at_logarithms(case: LinearCase, log_prior: Tensor, log_variance: Tensor) -> LinearCase:
    """The case at other hyper-parameters."""
    values = log_prior.exp()
    kind = {0: "isotropic", len(case.prior_mean): "diagonal"}.get(values.numel() if values.ndim else 0, "layer-wise")
    ratio = values / torch.as_tensor(case.prior.precision)
    if kind == "layer-wise" and len(values) > 1:
        ratio = ratio[(case.prior_precision.diagonal() != case.prior_precision[0, 0]).long()]
    precision = (case.prior_precision.diagonal() * ratio).diag()
    return replace(
        case, prior=replace(case.prior, precision=values), prior_precision=precision, variance=float(log_variance.exp())
    )


def _differences(function: Callable[[Tensor, Tensor], Tensor], logarithms: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Central differences of fourth order in each hyper-parameter."""
    log_prior, log_variance = logarithms
    by_prior = torch.zeros_like(log_prior)
    for index in range(log_prior.numel()):
        unit = torch.zeros(log_prior.numel(), dtype=log_prior.dtype)
        unit[index] = 1
        along = partial(_moved, function, log_prior, unit.view_as(log_prior), log_variance)
        by_prior.view(-1)[index] = _difference(along)
    return by_prior, _difference(lambda h: function(log_prior, log_variance + h))


def _moved(function: Callable[[Tensor, Tensor], Tensor], origin: Tensor, unit: Tensor, other: Tensor, h: float) -> Tensor:
    return function(origin + h * unit, other)


def _difference(function: Callable[[float], Tensor], h: float = STEP) -> Tensor:
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)


@pytest.mark.parametrize(("name", "kind"), GRADIENTS)
def test_the_gradient_is_that_of_the_marginal_likelihood_by_differences(name: str, kind: PriorKind) -> None:
    r"""Of log N(y; f_mu, sigma^2 I + J Delta^-1 J'), and of the Laplace evidence with the maximum found anew.

    The truncation error is :math:`h^4 / 30` times the fifth derivative, rounding :math:`1.5 / h` times that of a value.
    """
    case = linear_case(name, kind)
    posterior = fitted(case)
    found = posterior.log_evidence_gradient()
    assert found.log_observation_variance is not None
    process = case.process()

    def marginal(log_prior: Tensor, log_variance: Tensor) -> Tensor:
        other = _at_logarithms(case, log_prior, log_variance)
        return other.process().log_evidence()

    def anew(log_prior: Tensor, log_variance: Tensor) -> Tensor:
        return fitted(_at_logarithms(case, log_prior, log_variance)).log_evidence()

    observed = process.observations().covariance_matrix
    condition = float(torch.linalg.cond(observed)) + float(torch.linalg.cond(posterior.precision.dense()))
    value = abs(float(process.log_evidence())) + (len(observed) + len(posterior.mean)) * condition
    allowed = STEP**4 / 30 * process.curvature_scale() + 1.5 / STEP * SAFETY * unit_roundoff(torch.float64) * value
    logarithms = _logarithms(posterior)
    here = torch.cat([found.log_prior_precision.flatten(), found.log_observation_variance[None]])
    shrunk = posterior.prior.diagonal * posterior.precision.variance()
    for function in (marginal, anew):
        differences = torch.cat([part.flatten() for part in _differences(function, logarithms)])
        assert float((here - differences).abs().max()) <= allowed
        wrong = here.clone()
        wrong[:-1] += posterior.prior.summed(shrunk).flatten() / 2  # the determinant's part left out
        assert float((wrong - differences).abs().max()) > allowed
        wrong = here.clone()
        wrong[-1] *= 2  # by the standard deviation
        assert float((wrong - differences).abs().max()) > allowed
    fixed = torch.cat([part.flatten() for part in _differences(posterior.log_evidence_at, logarithms)])
    assert float((here - fixed).abs().max()) <= allowed


@pytest.mark.parametrize(("name", "kind"), GRADIENTS)
def test_the_evidence_of_a_linear_case_passes_gradcheck(name: str, kind: PriorKind) -> None:
    posterior = fitted(linear_case(name, kind))
    log_prior, log_variance = (value.clone().requires_grad_() for value in _logarithms(posterior))
    assert torch.autograd.gradcheck(posterior.log_evidence_at, (log_prior, log_variance))
    by_autograd = torch.autograd.grad(posterior.log_evidence_at(log_prior, log_variance), [log_prior, log_variance])
    found = posterior.log_evidence_gradient()
    assert found.log_observation_variance is not None
    condition = float(torch.linalg.cond(posterior.precision.dense()))
    scale = float(posterior.scale.total) / 0.3 + len(posterior.mean) + posterior.scale.entries
    for value, expected in zip(found, by_autograd, strict=True):
        assert value is not None
        assert_close(value, expected, "closed form", condition=condition, scale=scale, size=len(posterior.mean))
        assert_apart(1.01 * value, expected, "one per cent")


# --- the kernel ---------------------------------------------------------------------------------


def _split(posterior: LaplacePosterior, samples: Tensor) -> tuple[Tensor, Tensor]:
    """The parts of samples less the mean in the kernel and in the image of the GGN, ``(S, P)`` each."""
    values, vectors = torch.linalg.eigh(ggn(posterior.problem).dense())
    null = vectors[:, values <= len(values) * 32 * torch.finfo(values.dtype).eps * values[-1]]
    assert 0 < null.shape[1] < len(values)
    offset = samples - posterior.mean
    kernel = offset @ null @ null.T
    return kernel, offset - kernel


def _seen(problem: Problem, outputs: Tensor) -> Tensor:
    """What the labels can tell of outputs ``(..., C)``: of logits of a softmax not their common shift."""
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        return outputs - outputs.mean(-1, keepdim=True)
    return outputs


def _over_parametrised(name: str) -> LaplacePosterior:
    if name == "over-parametrised":
        return fitted(linear_case(name))
    return laplace(zoo_problem(name), prior=0.7)


@pytest.mark.parametrize("name", ["over-parametrised", "mlp-tanh-gaussian", "mlp-tanh-softmax", "mlp-sigmoid-binary"])
def test_the_kernel_part_of_a_sample_changes_no_linearised_prediction(name: str) -> None:
    """Nor what the data said: along the kernel the posterior is the prior, along the image it is narrower."""
    posterior = _over_parametrised(name)
    problem = posterior.problem
    samples = posterior.sample(8, generator("kernel", name))
    kernel, image = _split(posterior, samples)
    outputs = _seen(problem, linearized_outputs(posterior, problem.inputs, samples))
    condition = unit_roundoff(torch.float64) ** -0.5  # eigenvalues of the GGN are squares of singular values
    size = problem.num_parameters
    still = _seen(problem, linearized_outputs(posterior, problem.inputs, posterior.mean + kernel))
    here = _seen(problem, linearized_outputs(posterior, problem.inputs, posterior.mean[None])).expand_as(still)
    assert_close(still, here, "kernel part", condition=condition, scale=float((outputs - here).norm()), size=size)
    moved = _seen(problem, linearized_outputs(posterior, problem.inputs, posterior.mean + image))
    assert_close(moved, outputs, "the image part says all", condition=condition, size=size)
    assert_apart(moved, here, "image part")
    assert_apart(kernel, 0 * kernel, "there is a kernel part", least=1)
    elsewhere = torch.randn(4, *problem.inputs.shape[1:], generator=generator("elsewhere"), dtype=torch.float64)
    fresh = linearized_outputs(posterior, elsewhere, torch.cat([posterior.mean + kernel, posterior.mean[None]]))
    assert_apart(fresh[:-1], fresh[-1:].expand_as(fresh[:-1]), "at new inputs the kernel part matters")
    covariance, condition = posterior.covariance(), float(torch.linalg.cond(posterior.precision.dense()))
    noise = unit_roundoff(torch.float64) ** -0.5 * condition
    assert_close(kernel @ covariance, kernel / 0.7, "prior along the kernel", condition=noise, size=size)
    assert_apart(image @ covariance, image / 0.7, "not along the image")
    sampled = _seen(problem, outputs_at(problem, posterior.mean + kernel, problem.inputs).reshape(here.shape))
    if name == "over-parametrised":
        assert_close(sampled, here, "a linear model", condition=condition**2, scale=float(outputs.norm()), size=size)
    else:
        with pytest.raises(ClaimViolated):
            assert_close(sampled, here, "the sampled network", condition=noise, size=size)
        assert_apart(sampled, here, "the sampled network changes")


def test_a_damped_matrix_has_no_kernel() -> None:
    """Where damping stays in the matrix, nothing is left of the prior's directions."""
    posterior = _over_parametrised("over-parametrised")
    damped = laplace(posterior.problem, ggn(posterior.problem).dense() + 0.01 * torch.eye(18), "full", 0.7, 0.3)
    kernel, _ = _split(posterior, posterior.sample(8, generator("damped")))
    assert_apart(kernel @ damped.covariance(), kernel / 0.7, "prior along the kernel")

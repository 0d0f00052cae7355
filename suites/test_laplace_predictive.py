"""Predictive distributions: closed forms against dense formulas and quadrature, samples against loops and exact tests."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.func import functional_call, jacrev

from fishergauge.reference import Problem, ProblemError, UndefinedError, likelihood_of, output_jacobian
from fishergauge.reference.class_probabilities import class_probabilities, probabilities, sampled_logits
from fishergauge.reference.gaussian_predictive import GaussianPredictive
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import (
    joint_covariance,
    linearized_outputs,
    linearized_predictive,
    on_inputs,
    sampled_predictive,
)
from fishergauge.reference.linear_gaussian import linear_gaussian_map
from fishergauge.reference.posterior_structure import STRUCTURES, Structure
from fishergauge.reference.sampled_network import outputs_at
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close, unit_roundoff
from fishergauge.suites.conftest import Note
from fishergauge.suites.joint_density import log_density
from fishergauge.suites.sample_covariance import assert_covariance
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import catalogue_problem, zoo_problem

both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
every_structure = pytest.mark.parametrize("structure", STRUCTURES)
every_likelihood = pytest.mark.parametrize("name", ["mlp-tanh-gaussian", "mlp-tanh-softmax", "mlp-sigmoid-binary"])

VARIANCE = 0.3
LEVEL = 1e-6

BINARY = likelihood_of(nn.BCEWithLogitsLoss())
CLASSES = likelihood_of(nn.CrossEntropyLoss())


def _inputs(problem: Problem, count: int = 4) -> Tensor:
    """Inputs other than those of the data."""
    draws = torch.randn(count, *problem.inputs.shape[1:], generator=generator("test-inputs"), dtype=torch.float64)
    return draws.to(problem.dtype)


def _posterior(name: str, structure: Structure = "full", dtype: torch.dtype = torch.float64) -> LaplacePosterior:
    problem = zoo_problem(name, dtype=dtype)
    variance = VARIANCE if "gaussian" in name or name == "linear-regression" else None
    return laplace(problem, structure=structure, prior=1.7, observation_variance=variance)


def _dense_predictive(posterior: LaplacePosterior, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobians by jacrev and the covariance by a dense solve: ``(N, C, P)`` and ``(N, C, C)``."""
    problem = posterior.problem

    def outputs(vector: Tensor) -> Tensor:
        value: Tensor = functional_call(problem.model, problem.unflatten(vector), (inputs,))
        return value

    jacobian = jacrev(outputs)(problem.vector).double()
    dense = posterior.precision.dense().double()
    solved = torch.linalg.solve(dense, jacobian.flatten(0, 1).T).T.reshape(jacobian.shape)
    return jacobian, jacobian @ solved.mT


@both_dtypes
@every_structure
@every_likelihood
def test_the_linearised_covariance_is_the_quadratic_form_of_the_posterior(
    name: str, structure: Structure, dtype: torch.dtype
) -> None:
    posterior = _posterior(name, structure, dtype)
    inputs = _inputs(posterior.problem)
    found, (jacobian, expected) = linearized_predictive(posterior, inputs), _dense_predictive(posterior, inputs)
    condition = float(torch.linalg.cond(posterior.precision.dense().double()))
    size = posterior.problem.num_parameters
    assert_close(found.covariance, expected, "J Sigma J'", condition=condition, size=size)
    assert_close(found.variance, expected.diagonal(dim1=-2, dim2=-1), "diagonal", condition=condition, size=size)
    with torch.no_grad():
        assert_close(found.mean, posterior.problem.model(inputs), "mean", size=size)
    dense = posterior.precision.dense().double()
    assert_apart(found.covariance, jacobian @ dense @ jacobian.mT, "precision for covariance")
    values, vectors = torch.linalg.eigh(dense)
    assert_apart(found.covariance, jacobian @ (vectors * values.rsqrt()) @ vectors.T @ jacobian.mT, "root for covariance")
    joint = joint_covariance(posterior, inputs)
    blocks = joint.reshape(4, -1, 4, joint.shape[0] // 4).diagonal(dim1=0, dim2=2).movedim(-1, 0)
    assert_close(blocks, found.covariance, "blocks of the joint covariance", condition=condition, size=size)
    flat = jacobian.flatten(0, 1)
    assert_close(joint, flat @ torch.linalg.solve(dense, flat.T), "joint", condition=condition, size=size)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_predictive_of_a_linear_gaussian_model_is_the_conditional_of_its_gaussian_process(reduction: str) -> None:
    """The kernel k(x, x') = J(x) J(x')' / delta, conditioned on the noisy observations: no posterior over parameters."""
    problem = zoo_problem("linear-regression", reduction=reduction)
    at = linear_gaussian_map(problem, 1.7, VARIANCE)
    posterior = laplace(at, prior=1.7, observation_variance=VARIANCE)
    inputs = _inputs(problem)
    data, new = output_jacobian(problem).flatten(0, 1), output_jacobian(on_inputs(problem, inputs)).flatten(0, 1)
    gram = data @ data.T / 1.7 + VARIANCE * torch.eye(len(data), dtype=torch.float64)
    weights = torch.linalg.solve(gram, data @ new.T / 1.7).T
    mean, covariance = weights @ problem.targets.flatten(), new @ new.T / 1.7 - weights @ data @ new.T / 1.7
    found = linearized_predictive(posterior, inputs)
    condition = float(torch.linalg.cond(gram)) * 10  # a difference of the prior and what was learnt
    assert_close(found.mean.flatten(), mean, "mean", condition=condition)
    assert_close(joint_covariance(posterior, inputs), covariance, "covariance", condition=condition)
    blocks = [covariance[2 * n : 2 * n + 2, 2 * n : 2 * n + 2] for n in range(4)]
    values = torch.randn(4, 2, generator=generator("values"), dtype=torch.float64)
    noisy = [MultivariateNormal(m, b + VARIANCE * torch.eye(2).double()) for m, b in zip(mean.view(4, 2), blocks, strict=True)]
    expected = torch.stack([log_density(one, value) for one, value in zip(noisy, values, strict=True)])
    assert_close(found.with_noise().log_density(values), expected, "log density", condition=condition)
    assert_apart(found.log_density(values), expected, "without noise")
    for other in (VARIANCE**0.5, 2 * VARIANCE):
        wrong = laplace(at, prior=1.7, observation_variance=other)
        assert_apart(joint_covariance(wrong, inputs), covariance, "another variance")
        assert_apart(linearized_predictive(wrong, inputs).with_noise().log_density(values), expected, "another variance")


def test_noise_is_the_variance_and_is_added_once() -> None:
    posterior = _posterior("mlp-tanh-gaussian")
    found = linearized_predictive(posterior, posterior.problem.inputs)
    added = found.with_noise().covariance - found.covariance
    assert_close(added, VARIANCE * torch.eye(2).double().expand_as(added), "sigma^2 I", scale=float(found.covariance.norm()))
    with pytest.raises(UndefinedError, match="added once"):
        found.with_noise().with_noise()
    labels = _posterior("mlp-tanh-softmax")
    with pytest.raises(UndefinedError, match="class labels"):
        linearized_predictive(labels, labels.problem.inputs).with_noise()
    with pytest.raises(UndefinedError, match="no classes"):
        class_probabilities(found)


def test_positions_of_a_sample_are_rows() -> None:
    problem = zoo_problem("conv1d-tagging")
    posterior = laplace(problem)
    found = linearized_predictive(posterior, problem.inputs[:2])
    count = problem.targets[0].numel()
    assert count > 1
    assert_close(found.mean, problem.likelihood.split(problem.outputs[:2]).flatten(0, 1), "rows")
    expected = posterior.precision.quadratic(output_jacobian(problem)[: 2 * count])
    assert_close(found.covariance, expected, "rows", size=problem.num_parameters)


@pytest.mark.parametrize("name", ["mlp-relu-softmax", "cnn", "ignored-class", "multilabel-regression", "prelu"])
def test_no_label_is_needed_for_new_inputs(name: str) -> None:
    problem = catalogue_problem(name) if name == "ignored-class" else zoo_problem(name)
    posterior = laplace(problem)
    found = linearized_predictive(posterior, problem.inputs[:2])
    expected = posterior.precision.quadratic(output_jacobian(problem)[:2])
    assert_close(found.covariance, expected, "as in the data", size=problem.num_parameters)
    assert_apart(linearized_predictive(posterior, problem.inputs[1:3]).covariance, expected, "other inputs")


# --- class probabilities ------------------------------------------------------------------------


def _quadrature(mean: Tensor, covariance: Tensor, response: Callable[[Tensor], Tensor], nodes: int = 40) -> Tensor:
    """E[response(z)] for one Gaussian, by the product Gauss-Hermite rule: exact far beyond what is asked here."""
    points, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    width = len(mean)
    grid = torch.cartesian_prod(*[points] * width).reshape(-1, width)
    mass = torch.cartesian_prod(*[weights] * width).reshape(-1, width).prod(1) / (2 * math.pi) ** (width / 2)
    expectation: Tensor = (mass[:, None] * response(mean + grid @ torch.linalg.cholesky(covariance).T)).sum(0)
    return expectation


def _binary_grid() -> tuple[Tensor, Tensor]:
    """Means and variances of a logit."""
    pairs = torch.cartesian_prod(torch.linspace(-6, 6, 13).double(), torch.tensor([0.1, 0.5, 1, 2, 4, 9, 16, 25]).double())
    return pairs[:, :1], pairs[:, 1:]


def _probit_bound() -> float:
    """Twice the largest distance of the logistic function from the cumulative normal, on a fine grid."""
    z = np.linspace(-30, 30, 200_001)
    return 2 * float(np.abs(1 / (1 + np.exp(-z)) - norm.cdf(math.sqrt(math.pi / 8) * z)).max())


def test_the_binary_probit_is_within_its_bound_of_the_integral() -> None:
    mean, variance = _binary_grid()
    bound = _probit_bound()
    assert 0.035 < bound < 0.036  # what the docstring says
    exact = torch.stack([_quadrature(m, v[None], torch.sigmoid, 100) for m, v in zip(mean, variance, strict=True)])
    found = class_probabilities(GaussianPredictive(mean, variance[..., None], BINARY))
    assert float((found - exact).abs().max()) <= bound
    wrong = {
        "standard deviation for variance": class_probabilities(GaussianPredictive(mean, variance.sqrt()[..., None], BINARY)),
        "no square root": (mean / (1 + math.pi / 8 * variance)).sigmoid(),
        "8 / pi": (mean / (1 + 8 / math.pi * variance).sqrt()).sigmoid(),
        "the mean alone": mean.sigmoid(),
        "pi^2 / 8": (mean / (1 + math.pi**2 / 8 * variance).sqrt()).sigmoid(),
    }
    for what, mistaken in wrong.items():
        assert float((mistaken - exact).abs().max()) > bound, what


def test_the_probit_of_several_classes_scales_each_logit_by_its_own_variance() -> None:
    source = generator("several-classes")
    mean = torch.randn(5, 3, generator=source, dtype=torch.float64)
    root = torch.randn(5, 3, 3, generator=source, dtype=torch.float64)
    found = class_probabilities(GaussianPredictive(mean, root @ root.mT, CLASSES))
    for n in range(5):
        powers = []
        for c in range(3):
            variance = sum(float(root[n, c, r]) ** 2 for r in range(3))
            powers.append(math.exp(float(mean[n, c]) / math.sqrt(1 + math.pi * variance / 8)))
        expected = torch.tensor([power / sum(powers) for power in powers], dtype=torch.float64)
        assert_close(found[n], expected, "by hand", condition=10)
    assert_apart(found, class_probabilities(GaussianPredictive(mean, root.mT @ root, CLASSES)), "root transposed")
    assert_apart(found, mean.softmax(-1), "the mean alone")


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_monte_carlo_probabilities_are_the_integral(classes: int, note: Note) -> None:
    """Hoeffding's bound for the mean of S numbers between 0 and 1, the level divided among all of them."""
    source = generator("monte-carlo", classes)
    mean = torch.randn(4, classes, generator=source, dtype=torch.float64)
    root = 2 * torch.randn(4, classes, classes, generator=source, dtype=torch.float64).tril()
    covariance = root @ root.mT + 0.1 * torch.eye(classes).double()
    likelihood = BINARY if classes == 1 else CLASSES

    def response(logits: Tensor) -> Tensor:
        return probabilities(likelihood, logits)

    exact = torch.stack([_quadrature(m, c, response) for m, c in zip(mean, covariance, strict=True)])
    draws = 100_000
    bound = math.sqrt(math.log(2 * exact.numel() / LEVEL) / (2 * draws))
    note(f"Monte-Carlo probabilities of {classes} logits: an error of {2 * bound:.3f} would be seen")

    def deviation(altered: Tensor) -> float:
        predictive = GaussianPredictive(mean, altered, likelihood)
        found = class_probabilities(predictive, "monte-carlo", draws, generator("draws", classes))
        return float((found - exact).abs().max())

    assert deviation(covariance) <= bound
    assert deviation(covariance @ covariance) > bound  # covariance as root
    assert deviation(0 * covariance) > bound
    assert float((response(mean) - exact).abs().max()) > bound  # probability of the mean


def test_sampled_logits_have_the_covariance_of_the_predictive(note: Note) -> None:
    source = generator("logits")
    mean = torch.randn(2, 3, generator=source, dtype=torch.float64)
    root = torch.randn(2, 3, 3, generator=source, dtype=torch.float64)
    covariance = root @ root.mT
    samples = sampled_logits(GaussianPredictive(mean, covariance, CLASSES), 20_000, source)
    for n in range(2):
        note(assert_covariance(samples[:, n], mean[n], covariance[n], f"logits of input {n}"))
        values, vectors = torch.linalg.eigh(covariance[n])
        normal = (samples[:, n] - mean[n]) @ vectors * values.rsqrt()
        with pytest.raises(ClaimViolated):
            assert_covariance(mean[n] + normal @ (vectors * values.sqrt()), mean[n], covariance[n], "root transposed")
    singular = torch.ones(1, 3, 3, dtype=torch.float64)
    shifted = sampled_logits(GaussianPredictive(mean[:1], singular, CLASSES), 50, source) - mean[0]
    condition = unit_roundoff(torch.float64) ** -0.5  # the root of an eigenvalue that is zero up to rounding
    assert_close(shifted[..., 1:], shifted[..., :1].expand(-1, -1, 2), "a common shift", condition=condition)
    assert float(shifted.std()) > 0.5


def test_a_wrong_request_for_probabilities_is_refused_by_name() -> None:
    one = torch.ones(1, 1)
    predictive = GaussianPredictive(one, one[None], BINARY)
    with pytest.raises(ProblemError, match="draws and a generator"):
        class_probabilities(predictive, "monte-carlo")
    with pytest.raises(ProblemError, match="method is"):
        class_probabilities(predictive, "laplace-bridge")  # type: ignore[arg-type]


# --- sampled networks ---------------------------------------------------------------------------


@both_dtypes
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "cnn", "prelu", "recurrent", "attention", "frozen-first-layer"])
def test_a_network_at_many_parameters_is_the_network_at_each(name: str, dtype: torch.dtype) -> None:
    problem = zoo_problem(name, dtype=dtype)
    # as many parameter vectors as samples, where a batching rule of torch is wrong for PReLU
    count = len(problem.inputs)
    noise = torch.randn(count, problem.num_parameters, generator=generator("vectors", name), dtype=torch.float64)
    vectors = problem.vector + 0.3 * noise.to(dtype)
    found = outputs_at(problem, vectors, problem.inputs, chunk=2)
    expected = torch.stack([problem.at(vector).outputs for vector in vectors])
    assert_close(found, expected, "each", size=problem.num_parameters)
    assert_apart(found, expected.flip(0), "in another order")
    assert_close(outputs_at(problem, vectors[:1], problem.inputs), expected[:1], "one", size=problem.num_parameters)


class _WronglyBatched(torch.autograd.Function):
    """Twice the input; three times under vmap."""

    @staticmethod
    def forward(inputs: Tensor) -> Tensor:
        return 2 * inputs

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None: ...

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, ...], inputs: Tensor) -> tuple[Tensor, int]:
        return 3 * inputs, in_dims[0]


class _Doubled(nn.Linear):
    def forward(self, inputs: Tensor) -> Tensor:
        doubled: Tensor = _WronglyBatched.apply(super().forward(inputs))  # type: ignore[no-untyped-call]
        return doubled


def test_a_wrong_batching_rule_is_noticed_and_avoided() -> None:
    model, inputs = _Doubled(2, 1).double(), torch.ones(3, 2, dtype=torch.float64)
    problem = Problem(model, nn.MSELoss(), [(inputs, torch.zeros(3, 1, dtype=torch.float64))])
    vectors = torch.arange(12, dtype=torch.float64).reshape(4, 3)
    expected = 2 * vectors.sum(1)[:, None, None].expand(4, 3, 1)
    assert_close(outputs_at(problem, vectors, inputs), expected, "one by one")
    with torch.no_grad():
        wrong = torch.vmap(lambda v: functional_call(model, problem.unflatten(v), (inputs,)))(vectors)
    assert_apart(wrong, expected, "the rule itself")


def test_sampled_networks_are_those_at_the_samples_of_the_posterior() -> None:
    posterior = _posterior("mlp-tanh-softmax", "kronecker")
    inputs = _inputs(posterior.problem)
    found = sampled_predictive(posterior, inputs, 3, torch.Generator().manual_seed(1))
    samples = posterior.sample(3, torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = torch.stack([posterior.problem.at(sample).model(inputs) for sample in samples])
    assert_close(found, expected, "network", size=posterior.problem.num_parameters)
    assert_apart(linearized_outputs(posterior, inputs, samples), expected, "the linearised network is another")


def test_the_sampled_network_of_a_linear_model_is_the_linearised_one() -> None:
    posterior = _posterior("linear-regression")
    inputs = _inputs(posterior.problem)
    samples = posterior.sample(5, torch.Generator().manual_seed(1))
    found = sampled_predictive(posterior, inputs, 5, torch.Generator().manual_seed(1))
    assert_close(linearized_outputs(posterior, inputs, samples), found, "linear", condition=10)


def test_linearised_outputs_are_the_first_order_of_the_network() -> None:
    """The remainder falls with the square of the distance: by 4 at half the distance, within the third order."""
    posterior = _posterior("mlp-tanh-gaussian")
    inputs = _inputs(posterior.problem)
    direction = posterior.sample(3, generator("directions")) - posterior.mean
    remainders = []
    for length in (1e-3, 5e-4):
        vectors = posterior.mean + length * direction
        difference = linearized_outputs(posterior, inputs, vectors) - outputs_at(posterior.problem, vectors, inputs)
        remainders.append(float(difference.norm()))
    assert remainders[0] / remainders[1] == pytest.approx(4, rel=0.01)


def test_linearised_outputs_at_samples_have_the_predictive_distribution(note: Note) -> None:
    posterior = _posterior("mlp-tanh-softmax", "kronecker")
    inputs = _inputs(posterior.problem, 2)
    samples = posterior.sample(20_000, generator("linearised"))
    outputs = linearized_outputs(posterior, inputs, samples)
    exact = linearized_predictive(posterior, inputs)
    for n, other in itertools.permutations(range(2)):
        note(assert_covariance(outputs[:, n], exact.mean[n], exact.covariance[n], f"linearised outputs of input {n}"))
        with pytest.raises(ClaimViolated):
            assert_covariance(outputs[:, n], exact.mean[n], exact.covariance[other], "the other input")


def test_linearised_outputs_of_positions_have_the_class_axis_last() -> None:
    inputs = torch.randn(2, 2, 4, generator=generator("positions"), dtype=torch.float64)
    labels = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 1]])
    posterior = laplace(Problem(torch.nn.Conv1d(2, 3, 1).double(), torch.nn.CrossEntropyLoss(), [(inputs, labels)]))
    sample = posterior.mean + 1  # the model is linear in its parameters: linearised and own outputs are the same
    own = posterior.problem.at(sample).outputs
    found = linearized_outputs(posterior, inputs, sample[None])[0]
    assert_close(found, own.movedim(1, -1).flatten(0, 1), "positions", condition=100)
    assert_apart(found, own.reshape(8, 3), "the class axis second")

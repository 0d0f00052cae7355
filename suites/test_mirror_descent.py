"""Exponential families, their two potentials, and the equality of mirror descent with natural gradients in the dual."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence
from torch.func import grad, jacrev

from fishergauge.reference import ProblemError
from fishergauge.reference.families import (
    BERNOULLI,
    EXPONENTIAL,
    POISSON,
    ExponentialFamily,
    bregman_divergence,
    categorical,
    dual_natural_gradient_step,
    fisher_information,
    gaussian,
    gaussian_cubature,
    gaussian_from_coordinates,
    gaussian_to_coordinates,
    mirror_descent_step,
)
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close

LENGTHS = [1e-3, 0.1, 0.5]
CONDITION = 1e3  # of the Fishers at the points below, and of a few steps: it is tested


@dataclass(frozen=True)
class Case:
    """A family, a point and another one, in natural parameters."""

    family: ExponentialFamily
    at: Tensor
    other: Tensor

    def __str__(self) -> str:
        return self.family.name.replace(" ", "-").replace(",", "")


def _case(family: ExponentialFamily, at: list[float], other: list[float]) -> Case:
    return Case(family, torch.tensor(at, dtype=torch.float64), torch.tensor(other, dtype=torch.float64))


def _normal_case(mean: list[float], covariance: list[list[float]]) -> Case:
    centre, spread = torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64)
    at, other = (gaussian_to_coordinates(centre / k, spread * k, "natural") for k in (1, 2))
    return Case(gaussian(len(mean)), at, other)


CASES = [
    _case(BERNOULLI, [0.4], [-1.1]),
    _case(POISSON, [0.7], [1.5]),
    _case(EXPONENTIAL, [-0.6], [-1.7]),
    _case(categorical(4), [0.4, -0.5, 1.0], [-0.3, 0.2, 0.1]),
    _normal_case([0.8], [[1.5]]),
    _normal_case([0.8, -0.5], [[1.5, 0.4], [0.4, 0.8]]),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_length = pytest.mark.parametrize("length", LENGTHS)
every_coordinates = pytest.mark.parametrize("coordinates", ["natural", "mean"])


def _enumerated(case: Case, eta: Tensor) -> tuple[Tensor, Tensor]:
    """Values of the family and weights with which polynomials of degree two have their exact expectation."""
    name = case.family.name
    if name.startswith("normal"):
        mean, covariance = gaussian_from_coordinates(eta, "natural")
        return gaussian_cubature(mean, torch.linalg.cholesky(covariance), 3)
    if name == "exponential":  # Gauss-Laguerre with two nodes
        nodes = torch.tensor([2 - 2**0.5, 2 + 2**0.5], dtype=torch.float64)
        return nodes / -eta, nodes.flip(0) / 4
    count = {"Bernoulli": 2, "Poisson": 80}.get(name, len(eta) + 1)
    values = torch.arange(count, dtype=torch.float64)
    return values, case.family.distribution(eta).log_prob(values).exp()


@every_case
def test_the_two_potentials_are_those_of_the_distribution(case: Case) -> None:
    family, eta = case.family, case.at
    values, weights = _enumerated(case, eta)
    m = family.mean(eta)
    assert_close(m, weights @ family.statistic(values).double(), "grad A = E t", condition=10, size=100)
    assert_close(family.natural(m), eta, "grad A* undoes it", condition=CONDITION)
    assert_close(grad(family.conjugate)(m), eta, "and is the gradient of the conjugate", condition=CONDITION)
    scale = float(family.log_partition(eta).abs() + (eta @ m).abs() + 1)
    gap = family.log_partition(eta) + family.conjugate(m) - eta @ m
    assert_close(gap, torch.zeros_like(gap), "A + A* = eta'm", scale=scale, condition=10)
    away = family.log_partition(case.other) + family.conjugate(m) - case.other @ m
    assert float(away) > 1e-2, "and more elsewhere: the inequality of Fenchel and Young"
    density = family.distribution(eta).log_prob(values) - family.distribution(case.other).log_prob(values)
    linear = family.statistic(values).double() @ (eta - case.other)
    ratio = linear - family.log_partition(eta) + family.log_partition(case.other)
    assert_close(ratio, density, "ratio of densities", condition=CONDITION)
    shifted = linear + family.log_partition(eta) - family.log_partition(case.other)
    assert_apart(shifted, density, "with A of the wrong sign")


@every_case
def test_the_hessians_of_the_potentials_are_the_fisher_and_its_inverse(case: Case) -> None:
    family, eta = case.family, case.at
    m = family.mean(eta)
    natural, mean = family.fisher(eta), family.mean_fisher(m)
    measured = fisher_information(family.distribution, eta, "divergence")
    assert_close(natural, measured, "Hess A: curvature of the divergence", condition=CONDITION)
    measured = fisher_information(lambda mu: family.distribution(family.natural(mu)), m, "divergence")
    assert_close(mean, measured, "Hess A*, likewise", condition=CONDITION)
    identity = torch.eye(len(eta), dtype=torch.float64)
    assert float(torch.linalg.cond(natural)) < CONDITION
    assert_close(natural @ mean, identity, "inverse to each other", condition=CONDITION)
    assert_close(jacrev(family.mean)(eta), natural, "dm / d eta", condition=CONDITION)
    assert_apart(natural, mean, "they are two matrices", least=0.05)
    values, weights = _enumerated(case, eta)
    centred = family.statistic(values).double() - m
    if family.name.startswith("normal"):  # products of the statistic have degree four
        assert_close((weights[:, None] * centred).T @ centred, natural, "covariance of t", condition=CONDITION)
    elif family.name != "exponential":
        assert_close((weights[:, None] * centred).T @ centred, natural, "covariance of t", condition=CONDITION, size=100)


def _loss(m: Tensor) -> Tensor:
    """Any smooth function of the distribution, here of its mean parameters; gentle, so that long steps stay inside."""
    target = torch.linspace(0.2, 0.5, len(m), dtype=m.dtype)
    return 0.2 * ((m - target) / (1 + m.detach().abs())).square().sum() + 0.05 * m.sin().prod()


def _gradient(case: Case, point: Tensor, coordinates: str) -> Tensor:
    """Of the loss in the coordinates named."""
    if coordinates == "mean":
        slope: Tensor = grad(_loss)(point)
    else:
        slope = grad(lambda eta: _loss(case.family.mean(eta)))(point)
    return slope


def _written(case: Case, eta: Tensor, coordinates: str) -> Tensor:
    return case.family.mean(eta) if coordinates == "mean" else eta


@every_case
@every_length
@every_coordinates
def test_a_natural_gradient_step_is_a_mirror_step_in_the_dual_coordinates(case: Case, length: float, coordinates: str) -> None:
    family = case.family
    dual = "mean" if coordinates == "natural" else "natural"
    eta = case.at
    claim = f"natural gradient in {coordinates} parameters, length {length}"
    point = _written(case, eta, coordinates)
    natural = dual_natural_gradient_step(family, point, _gradient(case, point, coordinates), length, coordinates)
    there = _written(case, eta, dual)
    mirror = mirror_descent_step(family, there, _gradient(case, there, dual), length, dual)
    image = family.mean(natural) if coordinates == "natural" else family.natural(natural)
    assert_close(image, mirror, claim, condition=CONDITION)
    scale = float((mirror - there).norm())  # as changes: else the shortest step would hardly be seen
    assert_close(image - there, mirror - there, claim, scale=scale, condition=CONDITION / length)
    descent = there - length * _gradient(case, there, dual)  # gradient descent in the same parameters
    with pytest.raises(ClaimViolated, match="natural gradient in"):
        assert_close(descent - there, mirror - there, claim, scale=scale, condition=CONDITION / length)
    slope = _gradient(case, point, coordinates)
    twice = mirror_descent_step(family, point, slope, length, coordinates) - point  # mirror descent in the same coordinates
    with pytest.raises(ClaimViolated, match="same coordinates"):
        assert_close(twice, natural - point, "same coordinates", scale=float((natural - point).norm()), condition=1 / length)


@every_case
@every_coordinates
def test_in_the_same_coordinates_they_agree_to_first_order_only(case: Case, coordinates: str) -> None:
    point = _written(case, case.at, coordinates)
    slope = _gradient(case, point, coordinates)

    def gap(length: float) -> float:
        natural = dual_natural_gradient_step(case.family, point, slope, length, coordinates)
        mirror = mirror_descent_step(case.family, point, slope, length, coordinates)
        return float((natural - mirror).norm())

    # the gap is c a^2 + O(a^3): halving the length quarters it
    assert gap(1e-3) / gap(5e-4) == pytest.approx(4, rel=0.02)
    assert gap(1e-3) > 1e-11, "and it is not rounding, which is about 1e-16"


@every_case
@every_coordinates
def test_whole_paths_agree(case: Case, coordinates: str) -> None:
    dual = "mean" if coordinates == "natural" else "natural"
    natural, mirror = _written(case, case.at, coordinates), _written(case, case.at, dual)
    descent = mirror
    for _ in range(20):
        slope = _gradient(case, natural, coordinates)
        natural = dual_natural_gradient_step(case.family, natural, slope, 0.3, coordinates)
        mirror = mirror_descent_step(case.family, mirror, _gradient(case, mirror, dual), 0.3, dual)
        descent = descent - 0.3 * _gradient(case, descent, dual)
    image = case.family.mean(natural) if coordinates == "natural" else case.family.natural(natural)
    assert_close(image, mirror, "after 20 steps", condition=20 * CONDITION)
    assert_apart(image, descent, "gradient descent goes another way", least=1e-3)


@every_case
def test_the_divergence_of_the_log_partition_has_its_arguments_exchanged(case: Case) -> None:
    family = case.family
    first, second = case.at, case.other
    p, q = family.distribution(first), family.distribution(second)
    forward, backward = kl_divergence(p, q), kl_divergence(q, p)
    condition = CONDITION / min(1.0, float(forward))
    assert_close(
        bregman_divergence(family.log_partition, second, first), forward, "B_A(eta_q, eta_p) = KL(p, q)", condition=condition
    )
    conjugate = bregman_divergence(family.conjugate, family.mean(first), family.mean(second))
    assert_close(conjugate, forward, "B_A*(m_p, m_q) = KL(p, q)", condition=condition)
    with pytest.raises(ClaimViolated, match="order"):
        assert_close(bregman_divergence(family.log_partition, first, second), forward, "the other order", condition=condition)
    assert_close(
        bregman_divergence(family.log_partition, first, second), backward, "which is the other KL", condition=condition
    )
    assert float(bregman_divergence(family.log_partition, first, first)) == 0


@every_case
def test_the_conjugate_is_the_negative_entropy_only_where_the_carrier_is_constant(case: Case) -> None:
    family, eta = case.family, case.at
    distribution = family.distribution(eta)
    values, weights = _enumerated(case, eta)
    conjugate = family.conjugate(family.mean(eta))
    if family.name == "Poisson":
        entropy = -(weights * distribution.log_prob(values)).sum()
        carrier = -(weights * torch.lgamma(values + 1)).sum()  # h(x) = 1 / x!
        assert_apart(conjugate, -entropy, "Poisson: not the negative entropy", least=0.1)
    else:
        entropy = distribution.entropy()
        dimension = len(gaussian_from_coordinates(eta, "natural")[0]) if family.name.startswith("normal") else 0
        carrier = -dimension / 2 * torch.tensor(2 * torch.pi, dtype=torch.float64).log()
    assert_close(conjugate, -entropy - carrier, "A* = -H - E log h", condition=10, size=100)
    with pytest.raises(ClaimViolated, match="sign"):
        assert_close(conjugate, entropy - carrier, "the other sign", condition=10, size=100)


@every_case
@every_coordinates
def test_the_step_minimises_the_linear_model_plus_the_divergence_from_the_old_point(case: Case, coordinates: str) -> None:
    potential = case.family.log_partition if coordinates == "natural" else case.family.conjugate
    point, length = _written(case, case.at, coordinates), 0.3
    slope = _gradient(case, point, coordinates)
    step = mirror_descent_step(case.family, point, slope, length, coordinates)

    def model(u: Tensor) -> Tensor:
        return slope @ u + bregman_divergence(potential, u, point) / length

    def implicit(u: Tensor) -> Tensor:
        loss = _loss(u) if coordinates == "mean" else _loss(case.family.mean(u))
        return loss + bregman_divergence(potential, u, point) / length

    stationary = grad(model)(step)
    scale = float(grad(potential)(step).norm() / length)
    zero = torch.zeros_like(stationary)
    assert_close(stationary, zero, "stationary", scale=scale, condition=CONDITION)
    assert float(torch.linalg.eigvalsh(jacrev(grad(model))(step))[0]) > 0
    with pytest.raises(ClaimViolated, match="itself"):  # L + D without linearising L has another minimiser
        assert_close(grad(implicit)(step), zero, "of the loss itself", scale=scale, condition=CONDITION)


def test_a_step_that_leaves_the_domain_is_refused() -> None:
    far = torch.tensor([1.0], dtype=torch.float64)
    with pytest.raises(ProblemError, match="domain of the mean parameters of the Bernoulli family"):
        mirror_descent_step(BERNOULLI, torch.tensor([0.4], dtype=torch.float64), far, 2.0, "natural")
    with pytest.raises(ProblemError, match="domain of the natural parameters of the exponential family"):
        mirror_descent_step(EXPONENTIAL, torch.tensor([0.4], dtype=torch.float64), -far, 5.0, "mean")
    with pytest.raises(ProblemError, match="shorten it"):
        dual_natural_gradient_step(POISSON, torch.tensor([0.4], dtype=torch.float64), far, 2.0, "mean")
    normal = CASES[-2]
    shrink = torch.tensor([0.0, 1.0], dtype=torch.float64)
    with pytest.raises(ProblemError, match="domain"):
        mirror_descent_step(normal.family, normal.at, shrink, 10.0, "natural")
    inside = mirror_descent_step(BERNOULLI, torch.tensor([0.4], dtype=torch.float64), far, 0.1, "natural")
    assert bool(inside.isfinite().all())


def test_requests_that_make_no_sense_are_refused() -> None:
    point = torch.tensor([0.4], dtype=torch.float64)
    with pytest.raises(ProblemError, match="not 'dual'"):
        mirror_descent_step(BERNOULLI, point, point, 0.1, "dual")
    with pytest.raises(ProblemError, match="not 'dual'"):
        dual_natural_gradient_step(BERNOULLI, point, point, 0.1, "dual")
    with pytest.raises(ProblemError, match="at least two classes"):
        categorical(1)
    with pytest.raises(ProblemError, match="dimension must be positive"):
        gaussian(0)


def test_a_wrong_potential_is_noticed() -> None:
    wrong = replace(CASES[0], family=replace(BERNOULLI, conjugate=lambda m: 1.01 * BERNOULLI.conjugate(m)))
    with pytest.raises(ClaimViolated):
        test_the_two_potentials_are_those_of_the_distribution(wrong)
    with pytest.raises(ClaimViolated):
        test_the_hessians_of_the_potentials_are_the_fisher_and_its_inverse(wrong)
    with pytest.raises(ClaimViolated):
        test_a_natural_gradient_step_is_a_mirror_step_in_the_dual_coordinates(wrong, 0.5, "mean")

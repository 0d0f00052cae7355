"""The multivariate normal in four systems of coordinates: closed Fishers against other routes and changes of coordinates."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, kl_divergence
from torch.func import grad, jacrev

from fishergauge.reference import ProblemError
from fishergauge.reference.families import (
    COORDINATES,
    duplication_matrix,
    fisher_information,
    gaussian_cubature,
    gaussian_fisher,
    gaussian_from_coordinates,
    gaussian_natural_gradient,
    gaussian_to_coordinates,
    lower_triangular,
    symmetric,
    vech,
)
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator

DIMENSIONS = [1, 2, 3]
every_dimension = pytest.mark.parametrize("dimension", DIMENSIONS)
every_coordinates = pytest.mark.parametrize("coordinates", COORDINATES)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def _normal(dimension: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A mean, and a covariance with eigenvalues of about 1/2 to 4."""
    draws = generator("families gaussian", dimension)
    mean = 1 + torch.randn(dimension, generator=draws, dtype=torch.float64) / 3  # not near zero, where coordinates coincide
    root = torch.randn(dimension, dimension + 2, generator=draws, dtype=torch.float64)
    covariance = root @ root.T / dimension + torch.eye(dimension, dtype=torch.float64) / 2
    return mean.to(dtype), covariance.to(dtype)


def _condition(covariance: Tensor) -> float:
    """The Fishers hold products of two inverses."""
    return float(torch.linalg.cond(covariance.double())) ** 2


def _places(dimension: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(dimension) for j in range(i + 1)]


def _distribution(vector: Tensor, coordinates: str, dimension: int) -> MultivariateNormal:
    """The torch distribution, with its matrices filled place by place."""
    first, rest = vector[:dimension], vector[dimension:]
    entries = {place: rest[k] for k, place in enumerate(_places(dimension))}
    zero = rest[0] * 0

    def filled(entry: dict[tuple[int, int], Tensor]) -> Tensor:
        rows = [torch.stack([entry.get((i, j), zero) for j in range(dimension)]) for i in range(dimension)]
        return torch.stack(rows)

    if coordinates == "cholesky":
        return MultivariateNormal(first, scale_tril=filled(entries))
    both = filled(entries | {(j, i): value for (i, j), value in entries.items()})
    if coordinates == "covariance":
        return MultivariateNormal(first, both)
    if coordinates == "expectation":
        return MultivariateNormal(first, both - first[:, None] * first)
    precision = -(both + both.diagonal().diag())  # eta'x + sum of eta_ij x_i x_j over i >= j = eta'x - x'Lambda x / 2
    return MultivariateNormal(torch.linalg.solve(precision, first), precision_matrix=precision)


def _moments(distribution: MultivariateNormal) -> Tensor:
    return torch.cat([distribution.mean[None], distribution.covariance_matrix])


@every_coordinates
@every_dimension
def test_coordinates_name_the_distribution_that_they_say(coordinates: str, dimension: int) -> None:
    mean, covariance = _normal(dimension)
    vector = gaussian_to_coordinates(mean, covariance, coordinates)
    named = _distribution(vector, coordinates, dimension)
    condition = _condition(covariance)
    assert_close(named.mean, mean, "mean", condition=condition)
    assert_close(named.covariance_matrix, covariance, "covariance", condition=condition)
    back = gaussian_from_coordinates(vector, coordinates)
    assert_close(back[0], mean, "mean and back", condition=condition)
    assert_close(back[1], covariance, "covariance and back", condition=condition)
    for other in COORDINATES:
        if other != coordinates:
            with pytest.raises((ClaimViolated, ValueError, RuntimeError)):
                assert_close(_moments(_distribution(vector, other, dimension)), _moments(named), "moments", condition=condition)


def test_natural_coordinates_are_the_coefficients_of_the_statistic() -> None:
    mean, covariance = _normal(3)
    eta = gaussian_to_coordinates(mean, covariance, "natural")
    points = torch.randn(2, 3, generator=generator("statistic"), dtype=torch.float64)
    statistic = torch.cat([points, vech(points[:, :, None] * points[:, None, :])], 1)
    normal: Distribution = MultivariateNormal(mean, covariance)
    density = normal.log_prob(points)
    condition = _condition(covariance)
    difference = (statistic[0] - statistic[1]) @ eta
    assert_close(difference, density[0] - density[1], "difference of log-densities", condition=condition, size=9)
    halved = torch.cat([eta[:3], vech(-torch.linalg.inv(covariance) / 2)])  # vech(-Lambda / 2) counts x_i x_j once, not twice
    with pytest.raises(ClaimViolated, match="difference"):
        assert_close((statistic[0] - statistic[1]) @ halved, density[0] - density[1], "difference of log-densities", size=9)


@every_coordinates
@every_dimension
def test_the_closed_form_is_the_curvature_of_the_divergence_and_minus_the_mean_hessian(
    coordinates: str, dimension: int
) -> None:
    mean, covariance = _normal(dimension)
    vector = gaussian_to_coordinates(mean, covariance, coordinates)
    closed = gaussian_fisher(mean, covariance, coordinates)
    condition = _condition(covariance) * 10

    def family(phi: Tensor) -> Distribution:
        return _distribution(phi, coordinates, dimension)

    assert_close(closed, fisher_information(family, vector), "curvature of the divergence", condition=condition)
    points, weights = gaussian_cubature(mean, torch.linalg.cholesky(covariance), 3)  # exact: log p is quadratic in x

    def mean_log_density(phi: Tensor) -> Tensor:
        return family(phi).log_prob(points) @ weights

    mean_hessian = -jacrev(grad(mean_log_density))(vector)
    assert_close(closed, mean_hessian, "minus the mean Hessian", condition=condition)
    for factor in (2.0, 0.5):  # tr instead of tr / 2, and off-diagonal entries counted once
        wrong = closed.clone()
        wrong[dimension:, dimension:] *= factor
        with pytest.raises(ClaimViolated, match="mean Hessian"):
            assert_close(wrong, mean_hessian, "minus the mean Hessian", condition=condition)


@every_dimension
def test_scores_have_the_fisher_as_covariance(dimension: int) -> None:
    mean, covariance = _normal(dimension)

    def log_densities(phi: Tensor, values: Tensor) -> Tensor:
        distribution: Distribution = _distribution(phi, "covariance", dimension)
        return distribution.log_prob(values)

    points, weights = gaussian_cubature(mean, torch.linalg.cholesky(covariance), 3)  # exact to degree 5; 4 is needed
    vector = gaussian_to_coordinates(mean, covariance, "covariance")
    scores = jacrev(log_densities)(vector, points)
    condition = 10 * _condition(covariance)
    closed = gaussian_fisher(mean, covariance, "covariance")
    assert_close(torch.einsum("k,ki,kj->ij", weights, scores, scores), closed, "E s s'", condition=condition)
    points, weights = gaussian_cubature(mean, torch.linalg.cholesky(covariance), 2)  # exact to degree 3 only
    scores = jacrev(log_densities)(vector, points)
    assert_apart(torch.einsum("k,ki,kj->ij", weights, scores, scores), closed, "too few nodes", least=0.01)


@every_dimension
def test_a_change_of_coordinates_takes_the_jacobian_of_the_old_in_the_new_on_both_sides(dimension: int) -> None:
    mean, covariance = _normal(dimension)
    for old, new in itertools.permutations(COORDINATES, 2):
        vector = gaussian_to_coordinates(mean, covariance, new)

        def change(phi: Tensor, old: str = old, new: str = new) -> Tensor:
            return gaussian_to_coordinates(*gaussian_from_coordinates(phi, new), old)

        jacobian = jacrev(change)(vector)
        before, after = gaussian_fisher(mean, covariance, old), gaussian_fisher(mean, covariance, new)
        condition = float(torch.linalg.cond(jacobian)) ** 2
        scale = float(jacobian.norm() ** 2 * before.norm())
        claim = f"F_phi = J'FJ, {old} to {new}"
        assert_close(jacobian.T @ before @ jacobian, after, claim, condition=condition, scale=max(scale, float(after.norm())))
        inverse = torch.linalg.inv(jacobian)
        # the same matrix on the wrong side, or the Jacobian of the new in the old without its inverse
        assert_apart(inverse.T @ before @ inverse, after, f"{claim}, J inverted", least=0.01)
        if not torch.allclose(jacobian, jacobian.T):  # symmetric between dual coordinates, diagonal in one dimension
            with pytest.raises(ClaimViolated, match="transposed"):
                assert_close(jacobian @ before @ jacobian.T, after, f"{claim}, transposed", scale=float(after.norm()))


@every_dimension
def test_natural_and_expectation_coordinates_are_dual(dimension: int) -> None:
    mean, covariance = _normal(dimension)
    natural, expectation = (gaussian_fisher(mean, covariance, c) for c in ("natural", "expectation"))
    identity = torch.eye(len(natural), dtype=torch.float64)
    condition = float(torch.linalg.cond(natural))
    assert_close(natural @ expectation, identity, "F_eta F_m = I", condition=condition)
    for other in ("covariance", "cholesky"):
        assert_apart(natural @ gaussian_fisher(mean, covariance, other), identity, f"{other} is not dual", least=0.1)

    def dual(eta: Tensor) -> Tensor:
        return gaussian_to_coordinates(*gaussian_from_coordinates(eta, "natural"), "expectation")

    jacobian = jacrev(dual)(gaussian_to_coordinates(mean, covariance, "natural"))
    assert_close(jacobian, natural, "dm / d eta = F_eta", condition=condition)


@every_dimension
def test_the_length_of_a_change_of_the_covariance_is_half_a_trace(dimension: int) -> None:
    mean, covariance = _normal(dimension)
    change = torch.randn(dimension, dimension, generator=generator("change", dimension), dtype=torch.float64)
    change = change + change.T
    vector = torch.cat([0 * mean, vech(change)])
    length = vector @ gaussian_fisher(mean, covariance, "covariance") @ vector
    ratio = torch.linalg.solve(covariance, change)
    trace = (ratio @ ratio).trace()
    assert_close(length, trace / 2, "tr(S^-1 dS S^-1 dS) / 2", condition=_condition(covariance), size=dimension**2)
    with pytest.raises(ClaimViolated):
        assert_close(length, trace, "without the half", condition=_condition(covariance), size=dimension**2)
    small = 1e-3 * change
    moved = MultivariateNormal(mean, covariance + small)
    divergence = kl_divergence(MultivariateNormal(mean, covariance), moved)
    assert float(divergence) == pytest.approx(float(trace) * 1e-6 / 4, rel=0.05)


def _function(mean: Tensor, covariance: Tensor) -> Tensor:
    """Any smooth function of the distribution."""
    return mean.sin().sum() + (covariance @ covariance @ covariance).trace() + mean @ covariance @ mean.cos()


@every_dimension
def test_the_natural_gradient_in_mean_and_covariance_needs_no_large_matrix(dimension: int) -> None:
    mean, covariance = _normal(dimension)
    of_mean, of_covariance = grad(_function, (0, 1))(mean, covariance)
    of_covariance = (of_covariance + of_covariance.T) / 2
    found_mean, found_covariance = gaussian_natural_gradient(covariance, of_mean, of_covariance)

    def written(coordinates: str) -> Tensor:
        vector = gaussian_to_coordinates(mean, covariance, coordinates)
        slope = grad(lambda phi: _function(*gaussian_from_coordinates(phi, coordinates)))(vector)
        solution: Tensor = torch.linalg.solve(gaussian_fisher(mean, covariance, coordinates), slope)
        return solution

    condition = 10 * _condition(covariance)
    found = torch.cat([found_mean, vech(found_covariance)])
    assert_close(found, written("covariance"), "natural gradient by the matrix", condition=condition)
    for coordinates in COORDINATES:  # the same change of the distribution in all coordinates
        vector = gaussian_to_coordinates(mean, covariance, coordinates)
        moments = jacrev(lambda phi, c=coordinates: gaussian_to_coordinates(*gaussian_from_coordinates(phi, c), "covariance"))
        condition = float(torch.linalg.cond(gaussian_fisher(mean, covariance, coordinates)))
        claim = f"as a change of the moments, {coordinates}"
        assert_close(moments(vector) @ written(coordinates), found, claim, condition=condition)
    assert_apart(found_covariance, covariance @ of_covariance @ covariance, "without the factor 2")
    slope = grad(lambda phi: _function(*gaussian_from_coordinates(phi, "covariance")))
    plain = slope(gaussian_to_coordinates(mean, covariance, "covariance"))
    assert_apart(found, plain, "the plain gradient", least=0.01)


@every_dimension
def test_the_natural_gradient_in_the_mean_is_the_gradient_for_the_identity_only(dimension: int) -> None:
    _, covariance = _normal(dimension)
    slope = torch.randn(dimension, generator=generator("slope", dimension), dtype=torch.float64)
    identity = torch.eye(dimension, dtype=torch.float64)
    assert_close(gaussian_natural_gradient(identity, slope, identity)[0], slope, "Sigma = I")
    natural, _ = gaussian_natural_gradient(covariance, slope, identity)
    assert_close(natural, covariance @ slope, "Sigma times the gradient")
    with pytest.raises(ClaimViolated, match="the gradient"):
        assert_close(natural, slope, "the gradient")


@every_coordinates
@both_dtypes
def test_both_precisions_agree(coordinates: str, dtype: torch.dtype) -> None:
    mean, covariance = _normal(3, dtype)
    narrow = gaussian_fisher(mean, covariance, coordinates)
    wide = gaussian_fisher(mean.double(), covariance.double(), coordinates)
    assert narrow.dtype == dtype
    assert torch.equal(narrow, narrow.T) or float((narrow - narrow.T).abs().max()) < 1e-5
    assert_close(narrow, wide, "Fisher", condition=_condition(covariance))
    assert_apart(narrow, wide * (1 + 1e-2), "one per cent is seen")


@every_dimension
def test_vech_goes_row_by_row_and_the_duplication_matrix_writes_both_places(dimension: int) -> None:
    matrix = torch.arange(float(dimension**2)).square().reshape(dimension, dimension)
    matrix = matrix + matrix.T
    vector = torch.stack([matrix[place] for place in _places(dimension)])
    assert torch.equal(vech(matrix), vector)
    assert torch.equal(symmetric(vector), matrix)
    assert torch.equal(lower_triangular(vector), matrix.tril())
    assert torch.equal(duplication_matrix(dimension, vector) @ vector, matrix.reshape(-1))
    assert torch.equal(vech(torch.stack([matrix, 2 * matrix])), torch.stack([vector, 2 * vector]))
    if dimension > 2:  # by columns it is another vector
        assert not torch.equal(torch.stack([matrix[i, j] for j in range(3) for i in range(j, 3)]), vech(matrix))


def test_what_makes_no_sense_is_refused() -> None:
    mean, covariance = _normal(2)
    with pytest.raises(ProblemError, match="unknown coordinates 'precision'"):
        gaussian_fisher(mean, covariance, "precision")
    with pytest.raises(ProblemError, match="do not fit"):
        gaussian_to_coordinates(mean[:1], covariance, "natural")
    with pytest.raises(ProblemError, match="no D gives 7"):
        gaussian_from_coordinates(torch.zeros(6), "natural")
    with pytest.raises(ProblemError, match="square"):
        vech(torch.zeros(2, 3))
    with pytest.raises(ProblemError, match="gradient"):
        gaussian_natural_gradient(covariance, mean, covariance[:1])
    with pytest.raises(ProblemError, match="at least one node"):
        gaussian_cubature(mean, covariance, 0)

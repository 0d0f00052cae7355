import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import LogNormal, Normal

from fishergauge.reference import empirical_fisher, ggn, gradient
from fishergauge.reference.oracle import oracle_empirical_fisher, oracle_hessian
from fishergauge.reports.gauss_newton.log_normal_regression import (
    STARTS,
    TRUTH,
    Data,
    drawn_data,
    published_data,
    regression_problem,
)
from fishergauge.reports.gauss_newton.regression_moments import RegressionMoments, extended, moments_of, population_moments
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close

POINTS = torch.tensor([*STARTS, TRUTH], dtype=torch.float64)


def drawn_by_the_published_program(layer: bool) -> Data:
    with torch.random.fork_rng():
        torch.manual_seed(42)
        inputs = torch.Tensor(LogNormal(0, 0.75).sample((1000, 1)))  # type: ignore[no-untyped-call]
        if layer:
            nn.Linear(1, 1)
        noise = torch.Tensor(Normal(0, 1.0).sample((1000,)))[:, None]  # type: ignore[no-untyped-call]
    return inputs.double(), (2 * inputs + 2 + noise).double()


def test_the_published_draws_are_those_of_the_published_program() -> None:
    for ours, theirs in zip(published_data(), drawn_by_the_published_program(layer=True), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(published_data()[1], drawn_by_the_published_program(layer=False)[1])
    assert not torch.equal(published_data(43)[0], published_data()[0])


def test_draws_touch_nothing_global_and_follow_the_stated_distribution() -> None:
    before = torch.get_rng_state()
    inputs, targets = drawn_data(0, 10_000, noise=3.0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(inputs, drawn_data(0, 10_000)[0])
    assert not torch.equal(inputs, drawn_data(1, 10_000)[0])
    for normal in (inputs.log() / 0.75, (targets - 2 * inputs - 2) / 3):
        assert abs(float(normal.mean())) < 4.9 / 100  # level 1e-6: standard errors 0.01 and 0.014
        assert abs(float(normal.square().mean()) - 1) < 4.9 * 0.0142
    assert not abs(float((inputs.log() / 0.7).square().mean()) - 1) < 4.9 * 0.0142


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_closed_forms_are_the_references(dtype: torch.dtype) -> None:
    inputs, targets = (part.to(dtype) for part in drawn_data(3, 200))
    moments, points = moments_of((inputs, targets)), POINTS.to(dtype)
    for point, slope, empirical in zip(points, moments.gradient(points), moments.empirical_fisher(points), strict=True):
        problem = regression_problem((inputs, targets), point)
        exact = gradient(problem) / 2
        terms = float(moments.second.norm() * extended(point).norm())  # what cancels in the residuals
        assert_close(slope, exact, "gradient", size=200, scale=terms)
        assert_close(moments.hessian, ggn(problem).dense() / 2, "GGN", size=200)
        assert_close(moments.hessian, oracle_hessian(problem) / 2, "Hessian", size=200)
        scale = float(moments.fourth.abs().sum()) * float(extended(point).norm()) ** 2
        assert_close(empirical, empirical_fisher(problem).dense() / 4, "empirical Fisher", size=200, scale=scale)
        with pytest.raises(ClaimViolated):
            assert_close(moments.hessian, ggn(problem).dense(), "with the factor of MSELoss", size=200)


def test_the_empirical_fisher_is_that_of_loops_over_samples() -> None:
    data = drawn_data(4, 30)
    for point in POINTS:
        right = oracle_empirical_fisher(regression_problem(data, point)) / 4
        ours = moments_of(data).empirical_fisher(point[None])[0]
        assert_close(ours, right, "empirical Fisher", size=30, condition=100)
        assert_apart(ours, 2 * right, "the scale of MSELoss's GGN")


def test_the_optimum_is_that_of_ridge_regression() -> None:
    inputs, targets = drawn_data(5, 50)
    features = torch.cat([inputs, torch.ones_like(inputs)], 1)
    root = 10.0**0.5 * torch.eye(2, dtype=torch.float64)  # prior precision 10, of all samples
    stacked = torch.linalg.lstsq(torch.cat([features, root]), torch.cat([targets, targets.new_zeros(2, 1)])).solution[:, 0]
    ours = moments_of((inputs, targets), 10 / 50)
    assert_close(ours.optimum, stacked, "optimum", size=50, condition=100)
    assert float(ours.gradient(ours.optimum[None]).norm()) < 1e-13
    assert_apart(moments_of((inputs, targets), 10.0).optimum, stacked, "precision not divided by N")
    assert_apart(moments_of((inputs, targets)).optimum, stacked, "no prior")


def test_data_sets_can_be_stacked_and_differ_in_their_prior() -> None:
    sets = [drawn_data(seed, 40) for seed in range(3)]
    stacked = moments_of((torch.stack([x for x, _ in sets]), torch.stack([y for _, y in sets])))
    taus = torch.tensor([0.0, 0.25], dtype=torch.float64)
    both = RegressionMoments(stacked.second, stacked.fourth, taus[:, None, None, None])
    points = POINTS.expand(2, 3, -1, -1)
    for i, tau in enumerate(taus.tolist()):
        for j, data in enumerate(sets):
            one = moments_of(data, tau)
            assert_close(both.optimum[i, j], one.optimum, "optimum", condition=100)
            assert_close(both.gradient(points)[i, j], one.gradient(POINTS), "gradient", size=40)
            assert_close(both.empirical_fisher(points)[i, j], one.empirical_fisher(POINTS), "empirical Fisher", size=40)


def quadrature_moments(noise: float) -> tuple[Tensor, Tensor]:
    """Moments of z by Gauss and Hermite's rule in both normal variables."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    z, e = np.meshgrid(nodes, nodes, indexing="ij")
    weight = torch.from_numpy(np.outer(weights, weights).ravel() / weights.sum() ** 2)
    x, noise_of = torch.from_numpy(np.exp(0.75 * z).ravel()), torch.from_numpy(noise * e.ravel())
    rows = torch.stack([x, torch.ones_like(x), 2 * x + 2 + noise_of], 1)
    second = torch.einsum("n,na,nb->ab", weight, rows, rows)
    return second, torch.einsum("n,na,nb,nc,nd->abcd", weight, rows, rows, rows[:, :2], rows[:, :2])


@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_population_moments_are_those_of_a_quadrature(noise: float) -> None:
    ours, (second, fourth) = population_moments(noise), quadrature_moments(noise)
    assert_close(ours.second, second, "second moments", size=6400)
    assert_close(ours.fourth, fourth, "fourth moments", size=6400)
    assert_apart(population_moments(noise + 0.1).fourth, fourth, "another noise")


def test_at_the_truth_the_empirical_fisher_is_the_hessian_times_the_variance() -> None:
    truth = torch.tensor([TRUTH], dtype=torch.float64)
    for noise in (1.0, 2.0):
        moments = population_moments(noise)
        scale = float(moments.fourth.abs().sum())
        empirical = moments.empirical_fisher(truth)[0]
        assert_close(empirical, noise**2 * moments.hessian, "empirical Fisher", scale=scale)
        assert_apart(moments.empirical_fisher(truth + 0.2)[0], noise**2 * moments.hessian, "away from the truth")

"""Natural evolution strategies: exact expectations, the Fisher of the search distribution, invariance, and a small race."""

import functools
import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from fishergauge.reference import ProblemError
from fishergauge.reference.families import (
    Search,
    gaussian_cubature,
    gaussian_fisher,
    gaussian_natural_gradient,
    minimise,
    natural_search_gradient,
    search_gradient,
    utilities,
    vanilla_step,
    vech,
    xnes_step,
)
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator

Objective = Callable[[Tensor], Tensor]
Step = Callable[[Search, Tensor, Tensor], Search]
DIMENSIONS = [1, 2, 3]
every_dimension = pytest.mark.parametrize("dimension", DIMENSIONS)


def _search(dimension: int, dtype: torch.dtype = torch.float64) -> Search:
    draws = generator("search", dimension)
    mean = torch.randn(dimension, generator=draws, dtype=torch.float64)
    root = torch.eye(dimension, dtype=torch.float64) + 0.3 * torch.randn(
        dimension, dimension, generator=draws, dtype=torch.float64
    )
    return Search(mean.to(dtype), root.to(dtype))


def _quadratic(dimension: int) -> tuple[Tensor, Tensor]:
    """f(x) = x'Qx + b'x + 1."""
    draws = generator("quadratic", dimension)
    root = torch.randn(dimension, dimension, generator=draws, dtype=torch.float64)
    return root + root.T, torch.randn(dimension, generator=draws, dtype=torch.float64)


def _values(points: Tensor, dimension: int) -> Tensor:
    curvature, slope = (part.to(points.dtype) for part in _quadratic(dimension))
    return (points @ curvature * points).sum(-1) + points @ slope + 1


def _equal_weight_nodes(dimension: int) -> Tensor:
    """The three nodes of Gauss and Hermite as often as they weigh, 1 : 4 : 1; exact up to degree 5 in each variable."""
    line = torch.tensor([-1.0, 0, 0, 0, 0, 1], dtype=torch.float64) * math.sqrt(3)
    return torch.cartesian_prod(*[line] * dimension).reshape(-1, dimension)


@every_dimension
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_mean_of_the_score_estimate_is_the_gradient(dimension: int, dtype: torch.dtype) -> None:
    search = _search(dimension, dtype)
    draws = _equal_weight_nodes(dimension).to(dtype)
    curvature, slope = _quadratic(dimension)
    of_mean, of_covariance = search_gradient(search, draws, _values(search.points(draws), dimension))
    exact = 2 * curvature @ search.mean.double() + slope  # J = mu'Q mu + b'mu + 1 + tr(Q Sigma)
    condition = 10 * float(torch.linalg.cond(search.root.double())) ** 2
    size = len(draws)
    scale = float(curvature.norm() + slope.norm()) * (1 + float(search.mean.norm()))
    assert_close(of_mean, exact, "gradient in mu", condition=condition, size=size, scale=scale)
    assert_close(of_covariance, curvature, "gradient in Sigma", condition=condition, size=size, scale=scale)
    assert_apart(2 * of_covariance, curvature, "that of the precision, or without the half", least=0.1)
    baseline = search_gradient(search, draws, _values(search.points(draws), dimension) - 3)
    assert_close(baseline[0], exact, "with a baseline", condition=condition, size=size, scale=scale)
    assert_close(baseline[1], curvature, "with a baseline", condition=condition, size=size, scale=scale)


def _rosenbrock(points: Tensor) -> Tensor:
    x, y = points.unbind(-1)
    return (1 - x).square() + 100 * (y - x.square()).square()


def test_the_score_estimate_is_unbiased_on_random_draws(note: Note) -> None:
    search = _search(2)
    repetitions, draws = 400, 2000  # fixed beforehand: what it takes to see a bias of 10 %
    source = generator("unbiased")
    normal = torch.randn(repetitions, draws, 2, generator=source, dtype=torch.float64)
    estimates = torch.stack([_flat(search_gradient(search, z, _rosenbrock(search.points(z)))) for z in normal])
    mean = search.mean.clone().requires_grad_()
    covariance = search.covariance.clone().requires_grad_()
    points, weights = gaussian_cubature(mean, torch.linalg.cholesky(covariance), 4)  # exact for the quartic
    of_mean, of_covariance = torch.autograd.grad(weights @ _rosenbrock(points), (mean, covariance))
    exact = _flat((of_mean, (of_covariance + of_covariance.T) / 2))
    error = estimates.std(0) / repetitions**0.5
    critical = float(stats.t.isf(1e-6 / (2 * len(exact)), repetitions - 1))
    detectable = float((error / exact.abs()).min()) * (critical + float(stats.norm.isf(1e-6)))
    note(f"score estimate of evolution strategies: {repetitions} x {draws} draws; a bias of {detectable:.1%} would be seen")
    statistics = (estimates.mean(0) - exact) / error
    assert bool((statistics.abs() <= critical).all()), f"t = {statistics.tolist()}, critical {critical:.1f}"
    assert detectable < 0.1
    assert bool((((1.1 * estimates).mean(0) - exact) / error).abs().max() > critical), "ten per cent are not seen"


def _flat(gradient: tuple[Tensor, Tensor]) -> Tensor:
    return torch.cat([gradient[0], vech(gradient[1])])


@every_dimension
def test_the_natural_gradient_is_the_inverse_fisher_times_the_gradient(dimension: int) -> None:
    search = _search(dimension)
    draws = torch.randn(20, dimension, generator=generator("draws", dimension), dtype=torch.float64)
    values = _values(search.points(draws), dimension)
    plain, natural = search_gradient(search, draws, values), natural_search_gradient(search, draws, values)
    fisher = gaussian_fisher(search.mean, search.covariance, "covariance")
    counted = torch.cat([plain[0], vech(2 * plain[1] - plain[1].diagonal().diag())])  # in vech, both places of an entry
    condition = float(torch.linalg.cond(fisher)) * 10
    assert_close(_flat(natural), torch.linalg.solve(fisher, counted), "F^-1 g", condition=condition)
    closed = gaussian_natural_gradient(search.covariance, *plain)
    assert_close(_flat(natural), _flat(closed), "Sigma g, 2 Sigma G Sigma", condition=condition)
    if dimension > 1:
        with pytest.raises(ClaimViolated, match="once"):
            assert_close(_flat(natural), torch.linalg.solve(fisher, _flat(plain)), "each place once", condition=condition)
    assert_apart(_flat(natural), _flat(plain), "the plain gradient", least=0.01)


@every_dimension
def test_to_first_order_the_exponential_step_is_the_natural_gradient(dimension: int) -> None:
    search = _search(dimension)
    draws = torch.randn(20, dimension, generator=generator("draws", dimension), dtype=torch.float64)
    values = _values(search.points(draws), dimension)
    of_mean, of_covariance = natural_search_gradient(search, draws, values)
    weights = -values / len(values)

    def deviation(length: float) -> tuple[float, float]:
        following = xnes_step(search, draws, weights, length, length)
        moved = (following.covariance - search.covariance) / length
        shift = (following.mean - search.mean) / length
        return float((shift + of_mean).norm() / of_mean.norm()), float((moved + of_covariance).norm() / of_covariance.norm())

    coarse, fine = deviation(1e-5), deviation(5e-6)
    assert max(coarse[0], fine[0]) < 1e-9, "the step in mu is exact"
    assert coarse[1] / fine[1] == pytest.approx(2, rel=0.01), "that in Sigma has an error of first order in the length"
    assert coarse[1] < 1e-2
    wrong = -2 * of_covariance  # eta_A instead of eta_A / 2 in the exponent
    following = xnes_step(search, draws, weights, 1e-5, 1e-5)
    assert float(((following.covariance - search.covariance) / 1e-5 - wrong).norm() / wrong.norm()) > 0.1


def test_the_plain_step_follows_the_gradient_in_mean_and_root() -> None:
    search = _search(2)
    draws = _equal_weight_nodes(2)
    values = _values(search.points(draws), 2)
    following = vanilla_step(search, draws, -values / len(values), 1e-3, 1e-3)
    curvature, slope = _quadratic(2)
    of_root = 2 * curvature @ search.root  # of tr(Q A A')
    condition = 1e3 * 10 * float(torch.linalg.cond(search.root)) ** 2
    assert_close((search.mean - following.mean) / 1e-3, 2 * curvature @ search.mean + slope, "in mu", condition=condition)
    assert_close((search.root - following.root) / 1e-3, of_root, "in A", condition=condition)
    natural = xnes_step(search, draws, -values / len(values), 1e-3, 1e-3)
    assert_apart(search.mean - natural.mean, search.mean - following.mean, "the natural one goes elsewhere", least=0.05)


def _step(name: str) -> Step:
    if name == "natural":
        return functools.partial(xnes_step, root_length=0.5)
    return functools.partial(vanilla_step, mean_length=0.1, root_length=0.05)


def _deviation_in_other_coordinates(name: str, change: Tensor) -> float:
    """Of the last mean, written back, from that in the first coordinates; relative to the way that it went."""
    start, shift = _search(2), torch.tensor([0.3, -0.2], dtype=torch.float64)
    objective = functools.partial(_values_of, scales=torch.tensor([1.0, 5.0], dtype=torch.float64))
    here, _ = minimise(objective, start, 15, 12, generator("invariance"), _step(name))
    moved = Search(torch.linalg.solve(change, start.mean - shift), torch.linalg.solve(change, start.root))
    there, _ = minimise(lambda y: objective(y @ change.T + shift), moved, 15, 12, generator("invariance"), _step(name))
    gaps = [(change @ there.mean + shift - here.mean).norm(), (change @ there.root - here.root).norm()]
    return float(max(gaps) / (here.mean - start.mean).norm())


def _values_of(points: Tensor, scales: Tensor) -> Tensor:
    return (scales * (points - 0.5)).square().sum(-1) + points.prod(-1).sin()


ROTATION = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
SCALING = torch.diag(torch.tensor([3.0, 0.2], dtype=torch.float64))
SHEAR = torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "change", [ROTATION, SCALING, SHEAR, SCALING @ ROTATION @ SHEAR], ids=["rotation", "scaling", "shear", "all"]
)
def test_the_natural_search_goes_the_same_way_in_all_affine_coordinates(change: Tensor) -> None:
    # 15 steps, each with an error of a few units of rounding times the condition numbers of map and root
    assert _deviation_in_other_coordinates("natural", change) < 1e-10


def test_the_plain_search_does_so_under_rotations_only() -> None:
    assert _deviation_in_other_coordinates("vanilla", ROTATION) < 1e-10
    assert _deviation_in_other_coordinates("vanilla", SCALING) > 1e-2
    assert _deviation_in_other_coordinates("vanilla", SHEAR) > 1e-2


def test_the_search_does_not_depend_on_monotone_maps_of_the_objective() -> None:
    start = _search(2)
    objective = functools.partial(_values_of, scales=torch.tensor([1.0, 5.0], dtype=torch.float64))
    here, _ = minimise(objective, start, 10, 12, generator("monotone"))
    there, _ = minimise(lambda x: objective(x).div(50).exp(), start, 10, 12, generator("monotone"))
    assert torch.equal(here.mean, there.mean)
    assert torch.equal(here.root, there.root)
    upside_down, _ = minimise(lambda x: -objective(x), start, 10, 12, generator("monotone"))
    assert_apart(here.mean, upside_down.mean, "a decreasing map", least=0.1)


def test_weights_by_rank_by_hand() -> None:
    raw = [math.log(3), math.log(3) - math.log(2), 0.0, 0.0]  # log(S / 2 + 1) = log 3, S = 4
    expected = torch.tensor([r / sum(raw) - 0.25 for r in raw], dtype=torch.float64)
    values = torch.tensor([7.0, -1.0, 3.0, 2.0], dtype=torch.float64)
    assert_close(utilities(values), expected[[3, 0, 2, 1]], "weights")
    assert float(utilities(values).sum()) == pytest.approx(0, abs=1e-15)
    with pytest.raises(ClaimViolated):
        assert_close(utilities(-values), expected[[3, 0, 2, 1]], "of the reversed order")


def _race(objective: Objective, start: Search, iterations: int, target: float) -> dict[str, float]:
    """Iterations to the target in the median of three seeds; of the plain search for the best of a grid of lengths."""

    def median(step: Step) -> float:
        counts = []
        for seed in range(3):
            _, values = minimise(objective, start, iterations, 20, generator("race", seed), step)
            reached = (values < target).nonzero()
            counts.append(float(reached[0]) + 1 if len(reached) else math.inf)
        return sorted(counts)[1]

    grid = [(a, b) for a in (1e-2, 0.1, 1.0) for b in (1e-2, 0.1)]
    plain = min(median(functools.partial(vanilla_step, mean_length=a, root_length=b)) for a, b in grid)
    return {"natural": median(functools.partial(xnes_step)), "vanilla": plain}


@pytest.mark.parametrize("name", ["quadratic", "rosenbrock"])
def test_the_natural_search_arrives_where_the_plain_one_does_not(name: str, note: Note) -> None:
    start = Search(torch.tensor([-1.0, 1.5], dtype=torch.float64), 0.5 * torch.eye(2, dtype=torch.float64))
    scales = torch.tensor([1.0, 100.0], dtype=torch.float64)
    objective = _rosenbrock if name == "rosenbrock" else lambda x: (scales * x.square()).sum(-1)
    counts = _race(objective, start, 100, 1e-6)
    note(f"evolution strategies on {name}: iterations to 1e-6, natural {counts['natural']}, plain {counts['vanilla']}")
    assert counts["natural"] < 100
    assert counts["natural"] < counts["vanilla"]


def test_the_natural_search_keeps_its_covariance_positive_whatever_the_length() -> None:
    search = _search(2)
    draws = torch.randn(5, 2, generator=generator("long"), dtype=torch.float64)
    weights = torch.tensor([-3.0, 1, 1, 1, 0], dtype=torch.float64)
    for length in (1.0, 10.0):
        following = xnes_step(search, draws, weights, 1.0, length)
        assert float(torch.linalg.det(following.root)) * float(torch.linalg.det(search.root)) > 0
        additive = search.covariance - length * natural_search_gradient(search, draws, -5 * weights)[1]
        if length == 10:
            assert float(torch.linalg.eigvalsh(additive)[0]) < 0, "the additive step leaves the positive matrices"


def test_the_default_length_and_the_values_are_those_said() -> None:
    for dimension in (1, 3):
        search = _search(dimension)
        draws = torch.randn(6, dimension, generator=generator("default", dimension), dtype=torch.float64)
        weights = utilities(draws[:, 0])
        length = (9 + 3 * math.log(dimension)) / (5 * dimension**1.5)
        assert_close(xnes_step(search, draws, weights).root, xnes_step(search, draws, weights, 1.0, length).root, "default")
        assert_apart(xnes_step(search, draws, weights).root, xnes_step(search, draws, weights, 1.0, 2 * length).root, "another")
    last, values = minimise(_rosenbrock, _search(2), 4, 6, generator("values"))
    assert_close(values[-1], _rosenbrock(last.mean), "the last value is that at the last mean", size=4)


def test_a_degenerate_search_ends() -> None:
    start = Search(torch.ones(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    step = functools.partial(vanilla_step, mean_length=math.inf, root_length=1.0)
    last, values = minimise(lambda x: x.square().sum(-1), start, 5, 6, generator("degenerate"), step)
    assert bool(values.isinf().all())
    assert torch.equal(last.mean, start.mean), "the last that could be used"
    assert bool(last.mean.isfinite().all())
    _, values = minimise(lambda x: x.square().sum(-1), start, 5, 6, generator("degenerate"))
    assert bool(values.isfinite().all())


def test_requests_that_make_no_sense_are_refused() -> None:
    search = _search(2)
    draws = torch.zeros(3, 2, dtype=torch.float64)
    with pytest.raises(ProblemError, match="do not fit"):
        search_gradient(search, draws, draws[:2, 0])
    with pytest.raises(ProblemError, match="do not fit"):
        xnes_step(search, draws[0], draws[0])
    with pytest.raises(ProblemError, match="at least two values"):
        utilities(torch.ones(1))
    with pytest.raises(ProblemError, match="NaN"):
        utilities(torch.tensor([1.0, math.nan]))
    with pytest.raises(ProblemError, match="at least two, not 1"):
        minimise(_rosenbrock, search, 1, 1, generator("one"))

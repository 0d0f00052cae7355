"""The Fisher of torch distributions: four routes against closed forms, and what the routes must refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor
from torch import distributions as td
from torch.distributions import Distribution
from torch.func import grad, jacrev

from fishergauge.reference import ProblemError, UndefinedError, UnsupportedError
from fishergauge.reference.families import drawn, fisher_information, logistic_regression_fisher, score
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator

FAMILY_LEVEL = 1e-6  # probability that right estimators turn any test of this file red
REPETITIONS, DRAWS = 60, 4000  # fixed beforehand: what it takes to see a bias of 10 % everywhere
ALL = ("enumeration", "divergence", "log-normaliser")


@dataclass(frozen=True)
class Case:
    """A family at a point: its Fisher in closed form, by the routes that exist for it."""

    name: str
    family: Callable[[Tensor], Distribution]
    at: tuple[float, ...]
    closed: Callable[..., Any]
    routes: tuple[str, ...]
    support: Tensor | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def parameters(self) -> Tensor:
        return torch.tensor(self.at, dtype=torch.float64)

    @property
    def exact(self) -> Tensor:
        return torch.as_tensor(np.atleast_2d(np.asarray(self.closed(*self.at), dtype=float)))


def _trigamma(x: float) -> float:
    """By torch, whose error is a matter of its own: see below."""
    return float(torch.polygamma(1, torch.tensor(x, dtype=torch.float64)))


def _softmax_fisher(*logits: float) -> Any:
    p = special.softmax([*logits, 0.0])[:-1]
    return np.diag(p) - np.outer(p, p)


def _dirichlet_fisher(*a: float) -> Any:
    return np.diag([_trigamma(x) for x in a]) - _trigamma(sum(a))


def _with_reference(logits: Tensor) -> Tensor:
    return torch.cat([logits, logits.new_zeros(1)])


COUNTS = torch.arange(200, dtype=torch.float64)
CASES = [
    Case("bernoulli-probability", lambda t: td.Bernoulli(t[0]), (0.3,), lambda p: 1 / (p * (1 - p)), ALL),
    Case("bernoulli-logit", lambda t: td.Bernoulli(logits=t[0]), (0.4,),
         lambda z: special.expit(z) * special.expit(-z), ALL),
    Case("binomial-probability", lambda t: td.Binomial(5, t[0]), (0.3,), lambda p: 5 / (p * (1 - p)), ALL[:2]),
    Case("categorical-logits", lambda t: td.Categorical(logits=_with_reference(t)), (0.4, -0.3), _softmax_fisher, ALL[:2]),
    Case("one-hot-logits", lambda t: td.OneHotCategorical(logits=_with_reference(t)), (0.4, -0.3), _softmax_fisher, ALL[:2]),
    Case("poisson", lambda t: td.Poisson(t[0]), (1.4,), lambda r: 1 / r, ALL, COUNTS[:40]),
    Case("geometric", lambda t: td.Geometric(t[0]), (0.4,), lambda p: 1 / (p**2 * (1 - p)), ALL[:2], COUNTS),
    Case("negative-binomial", lambda t: td.NegativeBinomial(3.0, t[0]), (0.4,), lambda p: 3 / (p * (1 - p) ** 2), ALL[:1],
         COUNTS),
    Case("normal", lambda t: td.Normal(t[0], t[1]), (0.3, 1.4), lambda m, s: np.diag([1 / s**2, 2 / s**2]), ALL[1:]),
    Case("log-normal", lambda t: td.LogNormal(t[0], t[1]), (0.3, 1.4), lambda m, s: np.diag([1 / s**2, 2 / s**2]), ALL[1:2]),
    Case("exponential", lambda t: td.Exponential(t[0]), (1.4,), lambda r: 1 / r**2, ALL[1:]),
    Case("gamma", lambda t: td.Gamma(t[0], t[1]), (1.4, 0.7),
         lambda a, b: [[_trigamma(a), -1 / b], [-1 / b, a / b**2]], ALL[1:]),
    Case("chi-squared", lambda t: td.Chi2(t[0]), (3.4,), lambda k: _trigamma(k / 2) / 4, ALL[1:]),
    Case("beta", lambda t: td.Beta(t[0], t[1]), (1.4, 2.7), _dirichlet_fisher, ALL[1:]),
    Case("dirichlet", td.Dirichlet, (1.4, 0.7, 2.0), _dirichlet_fisher, ALL[1:]),
    Case("laplace", lambda t: td.Laplace(t[0], t[1]), (0.3, 1.4), lambda m, b: np.eye(2) / b**2, ()),
    Case("cauchy", lambda t: td.Cauchy(t[0], t[1]), (0.3, 1.4), lambda m, s: np.eye(2) / (2 * s**2), ALL[1:2]),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def _by(case: Case, route: str, dtype: torch.dtype = torch.float64) -> Tensor:
    support = case.support.to(dtype) if case.support is not None and route == "enumeration" else None
    return fisher_information(case.family, case.parameters.to(dtype), route, support=support)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("case", "route"), [(c, r) for c in CASES for r in c.routes], ids=lambda value: str(value))
def test_every_route_meets_the_closed_form(case: Case, route: str, dtype: torch.dtype) -> None:
    # a difference of trigammas, or of log-Gammas of a truncated tail, loses a digit or so
    measured = _by(case, route, dtype)
    assert measured.dtype == dtype
    assert torch.equal(measured, measured.T)
    assert_close(measured, case.exact, f"{case} by {route}", condition=10)
    for wrong in (2 * case.exact, torch.linalg.inv(case.exact)):
        with pytest.raises(ClaimViolated, match=case.name):
            assert_close(measured, wrong, f"{case} by {route}", condition=10)


@every_case
def test_every_other_route_is_refused_in_words(case: Case) -> None:
    for route in set(ALL) - set(case.routes):
        with pytest.raises(UnsupportedError, match="another method"):
            _by(case, route)


@pytest.mark.parametrize("x", [0.7, 1.4, 2.0, 4.1])
def test_the_trigamma_function_of_torch_ends_its_series_early(x: float) -> None:
    """It moves x up by six and takes the asymptotic series to the power -7; the next term is (x + 6)^-9 / 30."""
    error = abs(_trigamma(x) - float(special.polygamma(1, x)))
    omitted = (x + 6) ** -9 / 30
    assert 0.5 * omitted < error < omitted, f"off by {error:.1e}; if it is much less, torch is mended"


def _t_statistics(case: Case) -> tuple[Tensor, float, float]:
    """Of the trace and two squares against the closed form; the critical value, and the bias that would be seen."""
    source = generator("fisher by sampling", case.name)
    matrices = [
        fisher_information(case.family, case.parameters, "sampling", draws=DRAWS, generator=source) for _ in range(REPETITIONS)
    ]
    size = len(case.at)
    directions = torch.randn(2, size, generator=generator("directions", case.name), dtype=torch.float64)
    weights = torch.stack([torch.eye(size, dtype=torch.float64), *(torch.outer(d, d) for d in directions)])
    estimates = torch.einsum("wij,kij->kw", weights, torch.stack(matrices))
    expected = torch.einsum("wij,ij->w", weights, case.exact)
    error = estimates.std(0) / REPETITIONS**0.5
    level = FAMILY_LEVEL / (len(CASES) * len(weights))
    critical = float(stats.t.isf(level / 2, REPETITIONS - 1))
    detectable = float((error / expected).max()) * (critical + float(stats.norm.isf(1e-6)))
    return (estimates.mean(0) - expected) / error, critical, detectable


@every_case
def test_the_mean_over_draws_is_unbiased(case: Case, note: Note) -> None:
    statistics, critical, detectable = _t_statistics(case)
    note(f"Fisher of {case} by sampling: {REPETITIONS} estimates of {DRAWS} draws; a bias of {detectable:.1%} would be seen")
    assert bool((statistics.abs() <= critical).all()), f"t = {statistics.tolist()}, critical {critical:.1f}"
    assert detectable < 0.1
    wrong = Case(case.name, case.family, case.at, lambda *at: 1.1 * np.asarray(case.closed(*at)), ())
    statistics, critical, _ = _t_statistics(wrong)
    assert bool((statistics.abs() > critical).any()), "ten per cent are not seen"


def test_draws_leave_the_global_generator_alone_and_repeat_with_the_seed() -> None:
    normal = td.Independent(td.Normal(torch.zeros(3), torch.ones(3)), 1)
    before, seed = torch.get_rng_state(), torch.initial_seed()
    first, again, other = (drawn(normal, 5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.initial_seed() == seed
    assert first.shape == (5, 3)
    assert torch.equal(first, again)
    assert_apart(first, other, "another seed", least=0.1)
    source = torch.Generator().manual_seed(0)
    assert_apart(drawn(normal, 5, source), drawn(normal, 5, source), "the next draws of a generator", least=0.1)
    normal.sample((5,))
    assert not torch.equal(before, torch.get_rng_state()), "the plain call does move it"


def test_members_of_a_batch_are_independent_observations() -> None:
    draws = generator("batch")
    inputs = torch.randn(6, 2, generator=draws, dtype=torch.float64)
    weights = torch.randn(2, generator=draws, dtype=torch.float64)
    expected = logistic_regression_fisher(inputs, weights, "sum")
    for route in ALL:
        measured = fisher_information(lambda t: td.Bernoulli(logits=inputs @ t), weights, route)
        assert_close(measured, expected, f"logistic regression by {route}", size=6)
        assert_apart(measured, expected / 6, "their sum, not their mean")
    vector = torch.tensor([0.3, 1.4], dtype=torch.float64)
    joint = fisher_information(lambda t: td.Independent(td.Normal(t[0].expand(4), t[1]), 1), vector)
    single = fisher_information(lambda t: td.Normal(t[0], t[1]), vector)
    assert_close(joint, 4 * single, "four observations in one event")


def test_the_expected_hessian_is_not_the_fisher_where_the_density_has_a_kink() -> None:
    location, scale = torch.tensor([0.3, 1.4], dtype=torch.float64)
    values = drawn(td.Laplace(location, scale), 1000, generator("kink"))
    scores = score(lambda t: td.Laplace(t[0], scale), location[None], values)
    assert_close(scores.square(), torch.full_like(scores, float(scale) ** -2), "every squared score is 1 / b^2", size=1000)

    def log_likelihood(at: Tensor, family: Callable[..., Distribution]) -> Tensor:
        return family(at[0], scale).log_prob(values).sum()

    hessian = jacrev(grad(log_likelihood))(location[None], td.Laplace)
    assert float(hessian) == 0, "and the Hessian of the log-density is zero wherever it exists"
    smooth = jacrev(grad(log_likelihood))(location[None], td.Cauchy)
    assert float(smooth) != 0


SILENT: dict[str, tuple[Callable[[Tensor], Distribution], tuple[float, ...]]] = {
    "weibull": (lambda t: td.Weibull(t[0], t[1]), (1.4, 2.0)),
    "kumaraswamy": (lambda t: td.Kumaraswamy(t[0], t[1]), (1.4, 2.0)),
    "laplace": (lambda t: td.Laplace(t[0], 1.0), (0.3,)),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_divergence_of_torch_with_a_wrong_hessian_is_refused(name: str) -> None:
    family, at = SILENT[name]
    parameters = torch.tensor(at, dtype=torch.float64)
    fixed = family(parameters)

    def divergence(theta: Tensor) -> Tensor:
        return td.kl_divergence(fixed, family(theta)).sum()

    hessian = jacrev(grad(divergence))(parameters)
    sampled = fisher_information(family, parameters, "sampling", draws=2000, generator=generator(name))
    assert float(hessian.abs().max()) == 0, "torch is mended: this refusal can go"
    assert float(sampled.diagonal().min()) > 0.1
    with pytest.raises(UnsupportedError, match="another method"):
        fisher_information(family, parameters, "divergence")


@pytest.mark.parametrize("at", [1e-6, 1e-2, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_right_divergence_is_not_refused_near_the_border_of_its_domain(at: float, dtype: torch.dtype) -> None:
    parameters = torch.tensor([at], dtype=dtype)
    exact = torch.tensor([[1 / at]], dtype=torch.float64)
    assert_close(fisher_information(lambda t: td.Poisson(t[0]), parameters), exact, "Poisson")
    assert_apart(fisher_information(lambda t: td.Poisson(t[0]), parameters), exact.inverse(), "the variance of the mean")
    unused = fisher_information(lambda t: td.Poisson(t[0]) if len(t) else td.Poisson(1.0), torch.cat([parameters, parameters]))
    assert float(unused[1, 1]) == 0, "a parameter without effect is no mistake"


@pytest.mark.parametrize("route", [*ALL, "sampling"])
def test_a_support_that_moves_is_refused(route: str) -> None:
    at = torch.tensor([1.4], dtype=torch.float64)
    for family in (
        lambda t: td.Uniform(0 * t[0], t[0]),
        lambda t: td.Pareto(t[0], 2.0),
        lambda t: td.Independent(td.Uniform(t.new_zeros(2), t.expand(2)), 1),
    ):
        with pytest.raises(UndefinedError, match="support depends on the parameters"):
            fisher_information(family, at, route, generator=generator("moves"))
    with torch.no_grad(), pytest.raises(UndefinedError, match="support depends"):  # also where no gradients are kept
        fisher_information(lambda t: td.Uniform(0 * t[0], 2 * t[0]), at, route, generator=generator("moves"))
    fixed = fisher_information(lambda t: td.Pareto(1.0, t[0]), at, "sampling", draws=20000, generator=generator("fixed"))
    assert float(fixed) == pytest.approx(1.4**-2, rel=0.1), "its exponent does not move it"


def test_requests_that_make_no_sense_are_refused() -> None:
    at = torch.tensor([1.4], dtype=torch.float64)

    def poisson(theta: Tensor) -> Distribution:
        return td.Poisson(theta[0])

    with pytest.raises(ProblemError, match="unknown method 'mcmc'"):
        fisher_information(poisson, at, "mcmc")
    with pytest.raises(ProblemError, match="needs a generator"):
        fisher_information(poisson, at, "sampling")
    with pytest.raises(ProblemError, match="at least one draw"):
        fisher_information(poisson, at, "sampling", draws=0, generator=generator("none"))
    with pytest.raises(ProblemError, match="vector of parameters"):
        fisher_information(poisson, at[None])
    with pytest.raises(ProblemError, match="miss one by"):
        fisher_information(poisson, at, "enumeration", support=COUNTS[:5])
    with pytest.raises(ProblemError, match="drop repeated values"):
        fisher_information(poisson, at, "enumeration", support=torch.cat([COUNTS[:40], COUNTS[:1]]))
    assert float(fisher_information(poisson, at, "enumeration", support=COUNTS[:40])) == pytest.approx(1 / 1.4)

"""What torch's natural parameters and log-normalisers are worth, family by family."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch import distributions as td
from torch.distributions import Distribution
from torch.distributions.exp_family import ExponentialFamily

from fishergauge.reference import UnsupportedError
from fishergauge.reference.families import drawn, fisher_information
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.seeding import generator

Statistic = Callable[[Tensor], tuple[Tensor, ...]]
FAMILIES: dict[str, tuple[Callable[..., Distribution], tuple[tuple[float, ...], tuple[float, ...]], Statistic]] = {
    "Bernoulli": (td.Bernoulli, ((0.3,), (0.6,)), lambda x: (x,)),
    "Beta": (td.Beta, ((1.3, 0.8), (2.0, 3.0)), lambda x: (x.log(), (-x).log1p())),
    "Chi2": (td.Chi2, ((1.3,), (4.0,)), lambda x: (x.log(), x)),
    "ContinuousBernoulli": (td.ContinuousBernoulli, ((0.3,), (0.6,)), lambda x: (x,)),
    "Exponential": (td.Exponential, ((0.3,), (1.6,)), lambda x: (x,)),
    "Gamma": (td.Gamma, ((1.3, 0.8), (2.0, 3.0)), lambda x: (x.log(), x)),
    "Normal": (td.Normal, ((1.3, 0.8), (-2.0, 3.0)), lambda x: (x, x.square())),
    "Poisson": (td.Poisson, ((0.3,), (1.6,)), lambda x: (x,)),
}


def _ratio_by_normaliser(first: Distribution, second: Distribution, statistic: tuple[Tensor, ...], sign: float) -> Tensor:
    """<eta_1 - eta_2, t(x)> - A(eta_1) + A(eta_2)."""
    assert isinstance(first, ExponentialFamily)
    assert isinstance(second, ExponentialFamily)
    pairs = zip(first._natural_params, second._natural_params, statistic, strict=True)
    products = sum((a - b) * t for a, b, t in pairs)
    normalisers: Tensor = first._log_normalizer(*first._natural_params) - second._log_normalizer(*second._natural_params)  # type: ignore[no-untyped-call]
    return products - sign * normalisers


@pytest.mark.parametrize("name", FAMILIES)
def test_the_log_normaliser_belongs_to_the_density(name: str) -> None:
    family, points, statistic = FAMILIES[name]
    first, second = (family(*torch.tensor(point, dtype=torch.float64)) for point in points)
    values = drawn(first, 20, generator("normaliser", name))
    ratio = first.log_prob(values) - second.log_prob(values)
    scale = float(first.log_prob(values).norm() + second.log_prob(values).norm() + 20**0.5)
    claim = f"log-density ratio of {name}"
    measured = _ratio_by_normaliser(first, second, statistic(values), 1.0)
    assert_close(measured, ratio, claim, scale=scale)
    with pytest.raises(ClaimViolated, match=claim):
        assert_close(_ratio_by_normaliser(first, second, statistic(values), 1.01), ratio, claim, scale=scale)


def test_the_ones_that_torch_knows_are_those_above_and_two_of_arrays() -> None:
    known = {
        name
        for name in td.__all__
        if isinstance(kind := getattr(td, name), type) and issubclass(kind, ExponentialFamily) and kind is not ExponentialFamily
    }
    assert known == {*FAMILIES, "Dirichlet", "Wishart"}
    unknown = {"Binomial", "Categorical", "Geometric", "Laplace", "MultivariateNormal", "NegativeBinomial"}
    assert not known & unknown, "exponential families (the Laplace is none in its location) without a log-normaliser in torch"


def test_the_wishart_agrees_with_its_divergence_and_with_draws() -> None:
    def family(theta: Tensor) -> Distribution:
        return td.Wishart(theta[0], theta[1] * torch.eye(2, dtype=theta.dtype))

    at = torch.tensor([4.0, 2.0], dtype=torch.float64)
    normaliser, divergence = (fisher_information(family, at, route) for route in ("log-normaliser", "divergence"))
    assert_close(normaliser, divergence, "Wishart", condition=10)
    # tr(Lambda dV Lambda dV) nu / 2 = nu D / (2 v^2) for V = v I
    assert float(normaliser[1, 1]) == pytest.approx(4 * 2 / (2 * 2.0**2))
    with pytest.raises(ClaimViolated):
        assert_close(2 * normaliser, divergence, "Wishart", condition=10)


@pytest.mark.parametrize(("dtype", "logit"), [(torch.float32, 20.0), (torch.float64, 40.0), (torch.float64, 800.0)])
def test_the_natural_parameter_of_a_confident_bernoulli_is_lost_by_torch(dtype: torch.dtype, logit: float) -> None:
    """It goes from the logit to the probability, which is one, and back; or the normaliser overflows."""
    at = torch.tensor([logit], dtype=dtype)

    def family(theta: Tensor) -> Distribution:
        return td.Bernoulli(logits=theta[0])

    with pytest.raises(UnsupportedError, match="overflow"):
        fisher_information(family, at, "log-normaliser")
    if logit < 100:
        exact = (-at.double()).exp()[None]
        for route in ("enumeration", "divergence"):
            assert_close(fisher_information(family, at, route), exact, f"Bernoulli by {route}", condition=4)
        mirrored = fisher_information(family, -at, "log-normaliser")
        assert_close(mirrored, exact, "on the other side nothing is lost", condition=4)


def test_the_log_normaliser_of_the_continuous_bernoulli_cancels_near_one_half() -> None:
    """log |e^x - 1| - log |x| is used down to |x| = 0.001, where its second derivative is a difference of 1 / x^2."""
    exact = 1 / 12  # of a uniform variable; x^2 / 240 less at the logit x
    for dtype, least, most in ((torch.float32, 1e-2, 1.0), (torch.float64, 1e-11, 1e-7)):
        at = torch.tensor([0.002], dtype=dtype)
        measured = float(fisher_information(lambda t: td.ContinuousBernoulli(logits=t[0]), at, "log-normaliser"))
        error = abs(measured / (exact - 0.002**2 / 240) - 1)
        assert least < error < most, f"off by {error:.1e} in {dtype}"
        nearer = float(fisher_information(lambda t: td.ContinuousBernoulli(logits=t[0]), at / 4, "log-normaliser"))
        assert nearer == pytest.approx(exact, rel=1e-5), "the series is right nearer still"

"""The conversions of kronfluence's factors, and its damped inverse."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, empirical_fisher, kfac
from fishergauge.suites.peers import of_kronfluence
from fishergauge.suites.peers.adapting import settings_of

pytest.importorskip("kronfluence")


def _problem(masked: bool = False) -> Problem:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    inputs = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (6,), generator=generator)
    if masked:
        labels[:2] = -100
    return Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)])


def _curvature(problem: Problem, strategy: str) -> of_kronfluence.Fitted:
    with settings_of(problem):
        return of_kronfluence.curvature(problem, strategy=strategy, empirical=True)


def _close(mine: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_factors_are_those_of_the_empirical_fisher(masked: bool) -> None:
    """With masked labels too, as the mask of padding takes them out of A."""
    problem = _problem(masked)
    _close(_curvature(problem, "kfac").matrix, kfac(problem, "empirical-fisher", "joint").dense())


def test_diagonal_counts_all_data_points() -> None:
    """Its sum is divided by the data points, masked or not; by those that count it would be too small."""
    problem = _problem(masked=True)
    expected = torch.diag(empirical_fisher(problem).dense().diagonal())
    matrix = _curvature(problem, "diagonal")
    _close(matrix.matrix, expected)
    assert matrix.scale == 6 / 4
    with pytest.raises(AssertionError):
        _close(matrix.matrix / matrix.scale, expected)


@pytest.mark.parametrize("strategy", ["kfac", "ekfac", "diagonal"])
def test_preconditioner_is_the_damped_inverse(strategy: str) -> None:
    """Of the whole matrix, off its range too; with the damping left as it is, on a sum, it is another one."""
    problem = _problem(masked=True)
    matrix = _curvature(problem, strategy)
    vector = torch.arange(1.0, problem.num_parameters + 1, dtype=torch.float64)
    solved = of_kronfluence.preconditioned(matrix, vector, 0.1, strategy=strategy)
    _close(matrix.matrix @ solved + 0.1 * solved, vector)
    matrix.scale *= 2
    wrong = of_kronfluence.preconditioned(matrix, vector, 0.1, strategy=strategy)
    with pytest.raises(AssertionError):
        _close(matrix.matrix @ wrong + 0.1 * wrong, vector)


def test_identity_leaves_gradients_as_they_are() -> None:
    """The strategy without factors."""
    from kronfluence.factor.config import FactorConfig

    gradient = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(FactorConfig.CONFIGS["identity"].precondition_gradient(gradient, {}), gradient)

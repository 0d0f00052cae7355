"""The conversions of the adapter of curvlinops against the reference, each with a control that leaves the conversion out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ggn, kfac
from fishergauge.suites.peers.adapting import quiet
from fishergauge.suites.peers.of_curvlinops import peers
from fishergauge.suites.peers.of_curvlinops_operator import NAME, library, operator, refusals

pytest.importorskip(NAME)

DAMPING = 0.3


@pytest.fixture
def problem() -> Problem:
    """Two batches of different sizes, squared error."""
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(12, width, generator=generator).double() for width in (3, 2))
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return Problem(model, nn.MSELoss(), [(inputs[:7], targets[:7]), (inputs[7:], targets[7:])])


def built(name: str, problem: Problem, **keywords: Any) -> Any:
    """What a subject returns."""
    subject = next(peer.subject for peer in peers() if peer.subject.name == f"{NAME}/{name}")
    with torch.random.fork_rng(devices=[]):
        return subject.build(problem, **keywords)


def solved(name: str, problem: Problem, damping: float) -> Tensor:
    """Its damped solution for a vector of ones."""
    subject = next(peer.subject for peer in peers() if peer.subject.name == f"{NAME}/{name}")
    assert subject.solve is not None
    ones = torch.ones(problem.num_parameters).double()
    return subject.solve(subject.build(problem), ones, damping)


@pytest.mark.parametrize("name", ["jacobian-ggn", "jacobian-transposed-ggn", "submatrix-ggn"])
def test_parts_are_put_together_to_the_ggn(name: str, problem: Problem) -> None:
    torch.testing.assert_close(built(name, problem), ggn(problem).dense())


def test_without_the_loss_in_between_products_of_jacobians_are_no_ggn(problem: Problem) -> None:
    model = problem.model
    with quiet(), torch.random.fork_rng(devices=[]):
        jacobian = library().JacobianLinearOperator(model, list(model.parameters()), list(problem.batches))
        gram = jacobian.adjoint() @ (jacobian @ torch.eye(problem.num_parameters).double())
    assert not torch.allclose(gram, ggn(problem).dense())
    torch.testing.assert_close(gram * 2 / 24, ggn(problem).dense())  # of squared error it is a scale


@pytest.mark.parametrize("name", ["ggn-inverse-cg", "ggn-inverse-lsmr"])
def test_iterative_inverses_converge_with_the_tolerances_given(name: str, problem: Problem) -> None:
    damped = ggn(problem).dense() + DAMPING * torch.eye(problem.num_parameters).double()
    exact = torch.linalg.solve(damped, torch.ones(problem.num_parameters).double())
    torch.testing.assert_close(solved(name, problem, DAMPING), exact)


def test_factored_damping_is_the_square_root_of_what_is_asked_for(problem: Problem) -> None:
    inputs = problem.inputs
    joint = torch.cat([inputs, torch.ones(12, 1).double()], 1)
    factors = kfac(problem, bias="joint").factors
    block = next(iter(factors.values()))
    assert block.input_factor is not None
    assert block.output_factor is not None
    torch.testing.assert_close(block.input_factor, joint.mT @ joint / 12)
    found = problem.unflatten(solved("kfac-inverse-factored-joint", problem, DAMPING))

    def weight(share: float) -> Tensor:
        left, right = (f + share * torch.eye(len(f)).double() for f in (block.output_factor, block.input_factor))
        solution: Tensor = torch.linalg.solve(left, torch.ones(4, 4).double()) @ torch.linalg.inv(right)
        return solution

    torch.testing.assert_close(found["0.weight"], weight(DAMPING**0.5)[:, :3])
    assert not torch.allclose(found["0.weight"], weight(DAMPING)[:, :3])


def test_a_seed_is_drawn_so_that_estimates_differ(problem: Problem) -> None:
    generator = torch.Generator().manual_seed(1)
    unit = torch.eye(problem.num_parameters).double()
    drawn: Callable[[], Tensor] = lambda: built("fisher-mc", problem, generator=generator, samples=1) @ unit  # noqa: E731
    assert not torch.equal(drawn(), drawn())
    with torch.random.fork_rng(devices=[]):  # control: without it the library's own seed gives one estimate for ever
        first, second = (operator("FisherMCLinearOperator", problem) @ unit for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_documented_refusals_are_told_from_other_errors() -> None:
    with pytest.raises(NotImplementedError, match="curvlinops refuses: Only 2d output"), refusals():
        raise ValueError("Only 2d output and 1d/2d target are supported for EKFAC. Got 3.")
    with pytest.raises(ValueError, match="divisible"), refusals():
        raise ValueError("The number of loss terms must be divisible by the number of data points")

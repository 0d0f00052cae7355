"""pytorch_optimizer: the statistics as read, first steps in closed form, and Hutchinson's diagonal."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reference.shampoo import shampoo
from fishergauge.suites.peers import of_pytorch_optimizer
from fishergauge.suites.peers.shampoo_statistics import power_step

pytest.importorskip("pytorch_optimizer")


def _problem() -> Problem:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False)).double()
    inputs, targets = (torch.randn(6, size, generator=generator, dtype=torch.float64) for size in (3, 2))
    return Problem(model, nn.MSELoss(), [(inputs, targets)])


@pytest.mark.parametrize("quantity", ["shampoo", "scalable", "soap"])
def test_statistics_are_those_of_shampoo(quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step a term, the decay undone; with another decay than the optimiser's they are others."""
    problem = _problem()
    build = getattr(of_pytorch_optimizer, quantity)
    expected = shampoo(problem).dense()
    torch.testing.assert_close(build(problem), expected)
    if quantity != "shampoo":
        undone = power_step
        monkeypatch.setattr(of_pytorch_optimizer, "power_step", lambda problem, make, read, decay: undone(problem, make, read))
        with pytest.raises(AssertionError):
            torch.testing.assert_close(build(problem), expected)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    result: Tensor = vectors @ (values.clamp(min=1e-300) ** exponent)[:, None].mul(vectors.T)
    return result


def test_first_step_of_shampoo() -> None:
    """L^(-1/4) G R^(-1/4), and not with -1/2."""
    from pytorch_optimizer import Shampoo

    gradient = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
    weight.grad = gradient.clone()
    Shampoo([weight], lr=1.0, matrix_eps=1e-3).step()
    left, right = (matrix + 1e-3 * torch.eye(len(matrix)) for matrix in (gradient @ gradient.T, gradient.T @ gradient))
    torch.testing.assert_close(-weight.detach(), _power(left, -0.25) @ gradient @ _power(right, -0.25))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(-weight.detach(), _power(left, -0.5) @ gradient @ _power(right, -0.5))


@pytest.mark.parametrize("name", ["AdaHessian", "SophiaH"])
def test_hutchinson_estimate_is_the_diagonal_of_the_hessian(name: str) -> None:
    """In the mean over many draws; the diagonal of the absolute values is far away."""
    import pytorch_optimizer

    hessian = torch.tensor([[1.0, 3.0], [3.0, -2.0]], dtype=torch.float64)
    weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"lr": 0.0, "num_samples": 4000, "hessian_distribution": "rademacher"}
        optimizer = getattr(pytorch_optimizer, name)([weight], **options)
        (weight.grad,) = torch.autograd.grad(0.5 * weight @ hessian @ weight, weight, create_graph=True)
        optimizer.step()
    estimate = optimizer.state[weight]["hessian"]
    error = 6 * 3 / 4000**0.5
    assert bool(((estimate - hessian.diagonal()).abs() < error).all())
    assert not bool(((estimate - hessian.abs().diagonal()).abs() < error).all())

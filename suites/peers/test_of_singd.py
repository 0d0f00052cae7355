"""The conversions of singd's factors, and what its inverse-free update tends to."""

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem, kfac
from fishergauge.suites.peers import of_singd
from fishergauge.suites.peers.adapting import own_model
from fishergauge.suites.peers.joint_layers import layer_index

pytest.importorskip("singd")


def _problem(samples: int = 6) -> Problem:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    data = [torch.randn(samples, size, generator=generator, dtype=torch.float64) for size in (3, 2)]
    return Problem(model, nn.MSELoss(), [(data[0], data[1])])


def test_factors_are_those_of_the_empirical_fisher() -> None:
    """With the number of outputs over which the loss of a sample is a mean; without it they are off by just that."""
    problem = _problem()
    expected = kfac(problem, "empirical-fisher", "joint").dense()
    torch.testing.assert_close(of_singd.curvature(problem), expected)
    average, outputs, terms = of_singd.loss_average(problem)
    assert (average, outputs, terms) == ("batch", 2, 1)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(of_singd.curvature(problem) / outputs, expected)


def test_block_of_a_layer_is_in_the_order_of_the_parameters() -> None:
    """The bias is the last input of each output; read as a block after the weight, it is another matrix."""
    problem = _problem()
    index = layer_index(problem, "2")
    assert index.tolist() == [16, 17, 18, 19, 24, 20, 21, 22, 23, 25]
    matrix = of_singd.curvature(problem)
    joint = kfac(problem, "empirical-fisher", "joint").dense()
    torch.testing.assert_close(matrix[index][:, index], joint[index][:, index])
    with pytest.raises(AssertionError):
        torch.testing.assert_close(matrix[index][:, index], joint[16:, 16:])


@pytest.mark.parametrize("damping", [0.1, 1.0])
def test_inverse_free_update_tends_to_the_damped_inverse(damping: float) -> None:
    """On one batch K K' tends to (A + damping)^-1 under kfac_like; with another damping to another matrix."""
    from singd.optim.optimizer import SINGD

    problem = _problem(40)
    model = own_model(problem)
    optimizer = SINGD(model, lr=0.0, damping=damping, alpha1=0.0, T=1, lr_cov=0.2, kfac_like=True)
    for _ in range(200):
        optimizer.zero_grad()
        problem.loss(model(problem.inputs), problem.targets).backward()
        optimizer.step()
    first, _ = of_singd.accumulated(problem, "expand", "dense", False)
    inner = first.H_Ks["0"].to_dense()
    made = optimizer.Ks["0"].to_dense() @ optimizer.Ks["0"].to_dense().T
    eye = torch.eye(len(inner), dtype=inner.dtype)
    torch.testing.assert_close(made @ (inner + damping * eye), eye, rtol=0, atol=1e-6)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(made @ (inner + 2 * damping * eye), eye, rtol=0, atol=1e-6)

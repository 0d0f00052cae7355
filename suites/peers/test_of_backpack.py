"""The conversions that the adapters of BackPACK make, each with a control in which it is left out."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem, empirical_fisher, ggn, hessian, kfac
from fishergauge.suites.peers.of_backpack import peers
from fishergauge.suites.peers.of_backpack_pass import made, rows, run
from fishergauge.suites.zoo import Setting

pytest.importorskip("backpack")

BUILD = {peer.subject.name.partition("/")[2]: peer.subject.build for peer in peers()}


def problem_of(loss: nn.Module, outputs: int = 3) -> Problem:
    """A small smooth network on uneven batches."""
    s = Setting("of-backpack", torch.float64)
    model = lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs))  # noqa: E731
    categorical = isinstance(loss, nn.CrossEntropyLoss)
    data = [(s.normal(n, 3), s.labels(outputs, n) if categorical else s.normal(n, outputs)) for n in (4, 2)]
    return s.problem(model, loss, data, Facts())


def convolution() -> Problem:
    """A label at each of three positions."""
    s = Setting("of-backpack", torch.float64)
    model = lambda: nn.Sequential(nn.Conv2d(1, 3, (1, 2)), nn.Tanh(), nn.Conv2d(3, 2, 1))  # noqa: E731
    return s.problem(model, nn.CrossEntropyLoss(), [(s.normal(4, 1, 3, 2), s.labels(2, 4, 3, 1))], Facts(weight_sharing=True))


def close(found: Tensor, expected: Tensor) -> bool:
    """Up to rounding."""
    return bool((found - expected).norm() <= 1e-12 * expected.norm())


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"), nn.MSELoss()], ids=["mean", "sum", "squared"]
)
def test_the_documented_scale_of_individual_gradients_is_undone(loss: nn.Module) -> None:
    problem = problem_of(loss)
    exact = empirical_fisher(problem).dense()
    assert close(BUILD["batch-grad"](problem), exact)
    assert close(BUILD["batch-grad-subsampling"](problem), exact)
    for name in ("sum-grad-squared", "variance", "batch-l2-grad"):
        assert close(BUILD[name](problem).diagonal(), exact.diagonal()), name


def test_control_without_the_divisor_individual_gradients_are_off() -> None:
    problem = problem_of(nn.MSELoss())
    each = rows(run(problem, made("BatchGrad")), 1)
    exact = empirical_fisher(problem).dense()
    assert close(18 * each.mT @ each, exact)
    assert not close(each.mT @ each, exact)
    assert not close(6 * each.mT @ each, exact)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.MSELoss(reduction="sum")], ids=["mean", "squared"])
def test_matrices_diagonals_and_blocks_are_the_reference(loss: nn.Module) -> None:
    problem = problem_of(loss)
    outer, second = ggn(problem).dense(), hessian(problem).dense()
    for name in ("sqrt-ggn-exact", "sqrt-ggn-exact-subsampling"):
        assert close(BUILD[name](problem), outer), name
    for name, whole in (("diag-ggn-exact", outer), ("batch-diag-ggn-exact", outer), ("batch-diag-hessian", second)):
        assert close(BUILD[name](problem).diagonal(), whole.diagonal()), name
    unit = torch.eye(problem.num_parameters, dtype=problem.dtype)
    for name, whole in (("hvp", second), ("ggnvp", outer)):
        assert close(BUILD[name](problem) @ unit, whole), name
    first = slice(12)
    for name, whole in (("hmp", second), ("ggnmp", outer), ("ggnvp-from-plist", outer)):
        found = BUILD[name](problem) @ unit
        assert close(found[first, first], whole[first, first]), name
        assert float(found[first, 12:].norm()) == 0, name


def test_factors_of_a_convolution_lose_the_documented_factor_of_positions() -> None:
    problem = convolution()
    exact = kfac(problem, bias="separate").dense()
    assert close(BUILD["kflr"](problem)[-8:, -8:], exact[-8:, -8:])  # the last layer, whose gradients do not mix positions
    raw = run(problem, made("KFLR")).saved["2.weight"]
    assert close(torch.kron(raw[0] / 3, raw[1]), exact[-8:-2, -8:-2])
    assert not close(torch.kron(raw[0], raw[1]), exact[-8:-2, -8:-2])


def test_products_and_inverses_are_those_of_the_dense_factors() -> None:
    problem = problem_of(nn.MSELoss())
    operator = BUILD["kflr-product"](problem)
    dense, unit = BUILD["kflr"](problem), torch.eye(problem.num_parameters, dtype=problem.dtype)
    assert close(operator @ unit, dense)
    bias = slice(problem.num_parameters - 3, None)
    shifted = torch.linalg.inv(dense[bias, bias] + 0.1 * torch.eye(3, dtype=problem.dtype))
    assert close(torch.stack([operator.solve(row, 0.1)[bias] for row in unit[bias]]), shifted)


def test_samples_with_several_terms_are_refused_for_individual_gradients() -> None:
    with pytest.raises(NotImplementedError, match="3 terms"):
        BUILD["batch-grad"](convolution())

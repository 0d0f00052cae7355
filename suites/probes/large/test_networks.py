"""Residual networks and transformers: samples that do not mix, positions that do not look ahead, exact derivatives."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem, ggn, hessian, kfac
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.probes.large.residual_network import ResidualNetwork
from fishergauge.suites.probes.large.transformer import Transformer
from fishergauge.suites.zoo.setting import Setting

S = Setting("small copies of large models")


def _residual() -> nn.Module:
    return ResidualNetwork((2, 3, 2), 3)


def _predicting() -> nn.Module:
    return Transformer(3, 4, 2, 2, 3, pooled=False)


def _classifying() -> nn.Module:
    return Transformer(3, 4, 2, 2, 3, pooled=True)


def _problem(model: Callable[[], nn.Module], inputs: Tensor, *labels: int) -> Problem:
    data = [(inputs, S.labels(3, len(inputs), *labels))]
    return S.problem(model, nn.CrossEntropyLoss(), data, Facts(weight_sharing=True))


PROBLEMS = {
    "residual": _problem(_residual, S.normal(4, 1, 8, 8)),
    "predicting": _problem(_predicting, S.normal(4, 5, 3), 5),
    "classifying": _problem(_classifying, S.normal(4, 5, 3)),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_a_sample_alone_gives_what_it_gives_among_others(problem: Problem) -> None:
    with torch.no_grad():
        alone = torch.cat([problem.model(inputs[None]) for inputs in problem.inputs])
    torch.testing.assert_close(alone, problem.outputs)


def test_a_prediction_at_a_position_sees_no_later_one_and_every_earlier_one() -> None:
    problem = PROBLEMS["predicting"]
    inputs = problem.inputs.clone().requires_grad_()
    outputs = problem.model(inputs)  # (N, C, T)
    for position in range(5):
        (seen,) = torch.autograd.grad(outputs[0, :, position].sin().sum(), inputs, retain_graph=True)
        assert (seen[0].norm(dim=1) > 0).tolist() == [at <= position for at in range(5)]


def test_a_prediction_for_a_sample_sees_every_position_and_where_it_stands() -> None:
    problem = PROBLEMS["classifying"]
    inputs = problem.inputs.clone().requires_grad_()
    (seen,) = torch.autograd.grad(problem.model(inputs)[0].sin().sum(), inputs)
    assert bool((seen[0].norm(dim=1) > 0).all())
    with torch.no_grad():
        assert float((problem.model(problem.inputs.flip(1)) - problem.outputs).norm()) > 0.01 * float(problem.outputs.norm())


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_products_are_those_of_the_dense_matrices(problem: Problem) -> None:
    vectors = S.normal(problem.num_parameters, 3)
    for matrix in (ggn(problem), hessian(problem), kfac(problem, bias="separate")):
        dense = matrix.dense()
        bound = rounding_bound(problem.dtype, problem.num_parameters * problem.num_samples) * float(dense.norm())
        assert float((matrix @ vectors - dense @ vectors).norm()) <= bound * float(vectors.norm())


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_the_hessian_is_the_slope_of_the_gradient(problem: Problem) -> None:
    """Central differences of step h, of error h^2 and u / h: normalisation and attention written out hide no derivative."""
    step, v = torch.finfo(problem.dtype).eps ** (1 / 3), S.normal(problem.num_parameters)
    v = v / v.norm()
    slope = (_gradient(problem.at(problem.vector + step * v)) - _gradient(problem.at(problem.vector - step * v))) / (2 * step)
    product = hessian(problem) @ v
    assert float((slope - product).norm()) <= 64 * step**2 * max(1.0, float(product.norm())) * problem.num_parameters**0.5


def _gradient(problem: Problem) -> Tensor:
    loss = problem.loss(problem.model(problem.inputs), problem.targets)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(problem.parameters.values()))])

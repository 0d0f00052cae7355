"""Products by double backward take any model, any number of columns, and refuse what they would get wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Curvature, Problem, ProblemError, UnsupportedError, ggn, hessian
from fishergauge.reference import backpack as route
from fishergauge.suites.backpack_cases import CE, MSE, Case, case, mlp, problem_of, seq, tied
from fishergauge.suites.backpack_quantities import PRODUCTS, assert_agrees
from fishergauge.suites.precision import converted
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

MATRICES: dict[str, Callable[[Problem], Curvature]] = {"hessian_product": hessian, "ggn_product": ggn}
every_product = pytest.mark.parametrize("product", PRODUCTS)


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.keep = nn.Linear(3, 4), nn.Linear(4, 4, bias=False)
        self.head, self.unused = nn.Linear(4, 2), nn.Linear(2, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        state = torch.zeros_like(self.read(inputs[:, 0]))
        for values in inputs.unbind(1):
            state = torch.tanh(self.read(values) + self.keep(state))
        head: Tensor = self.head(state)
        return head


# what the zoo does not have: recurrence, parameters without influence, a whole encoder layer
MODELS = {
    "recurrent": Case(_Recurrent, (4, 3), CE(reduction="sum")),
    "encoder-layer": Case(lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), (3, 4), MSE()),
    "tied-smoothing": Case(tied, (3,), CE(label_smoothing=0.1)),
}


def _product(name: str) -> Callable[..., Tensor]:
    function: Callable[..., Tensor] = getattr(route, f"backpack_{name}")
    return function


@every_product
@pytest.mark.parametrize("columns", [None, 0, 1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_products_are_those_of_the_matrix(name: str, columns: int | None, product: str) -> None:
    entry = MODELS[name]
    problem = problem_of(entry.model(), entry.shape, entry.loss)
    size = (problem.num_parameters,) if columns is None else (problem.num_parameters, columns)
    vectors = torch.randn(size, generator=generator("products"), dtype=torch.float64)
    found = _product(product)(problem, vectors)
    assert found.shape == vectors.shape
    assert_agrees(problem, found, MATRICES[product](problem).dense() @ vectors, product)


def test_quantities_are_computed_without_gradients_being_enabled() -> None:
    problem = case("mlp-CrossEntropyLoss-mean", torch.float32)
    vector = torch.randn(problem.num_parameters, generator=generator("products"))
    double = converted(problem, torch.float64)
    with torch.no_grad():
        for product, matrix in MATRICES.items():
            assert_agrees(problem, _product(product)(problem, vector), matrix(double) @ vector.double(), product)
        assert_agrees(problem, route.backpack_ggn(problem), ggn(double).dense(), "GGN")


@every_product
def test_other_shapes_are_refused(product: str) -> None:
    problem = zoo_problem("linear-regression")
    for shape in ((7,), (2, 8), (8, 1, 1), ()):
        with pytest.raises(ProblemError, match=r"expected \(8,\) or \(8, B\)"):
            _product(product)(problem, torch.ones(shape, dtype=torch.float64))


class _OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        result: Tensor = gradients * values.cos()
        return result


class _Once(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        sine: Tensor = _OnceDifferentiable.apply(values)  # type: ignore[no-untyped-call]
        return sine


@every_product
def test_what_has_no_second_derivative_is_refused(product: str) -> None:
    problem = problem_of(seq(*mlp(3), _Once()), (3,), CE())
    with pytest.raises(UnsupportedError, match="differentiable only once"):
        _product(product)(problem, problem.vector)

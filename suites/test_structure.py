"""Products, blocks, diagonal and trace are those of the dense matrix."""

import pytest
import torch

from fishergauge.reference import Curvature, Problem, ProblemError, block_slices
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import ZOO, zoo_problem

MATRICES = ["hessian", "ggn", "fisher", "empirical_fisher", "monte_carlo_fisher"]

every_problem = pytest.mark.parametrize(
    "name", [n for n in ZOO if n not in ("class-weights", "soft-targets", "positive-weights")]
)
every_matrix = pytest.mark.parametrize("quantity", MATRICES)


def _matrix(name: str, quantity: str, quantities: Quantities) -> tuple[Problem, Curvature]:
    problem = zoo_problem(name)
    if quantity == "monte_carlo_fisher":
        # more draws than outputs, so that the way through the whole Jacobian is taken as well
        return problem, quantities.monte_carlo_fisher(problem, 5, generator("structure", name))
    matrix: Curvature = quantities.named(quantity)(problem)
    return problem, matrix


@every_problem
@every_matrix
def test_products_are_those_of_the_dense_matrix(name: str, quantity: str, quantities: Quantities) -> None:
    problem, matrix = _matrix(name, quantity, quantities)
    dense = matrix.dense()
    vectors = torch.randn(problem.num_parameters, 3, generator=generator(name, quantity), dtype=problem.dtype)
    scale = float(dense.norm() * vectors.norm())
    assert_close(matrix @ vectors, dense @ vectors, "A V", scale=scale)
    assert_close(matrix @ vectors[:, 0], dense @ vectors[:, 0], "A v", scale=scale)


@every_problem
@every_matrix
def test_blocks_diagonal_and_trace_are_those_of_the_dense_matrix(name: str, quantity: str, quantities: Quantities) -> None:
    problem, matrix = _matrix(name, quantity, quantities)
    dense = matrix.dense()
    scale = float(dense.norm())
    assert_close(matrix.diagonal(), dense.diagonal(), "diagonal", scale=scale)
    assert_close(matrix.trace(), dense.diagonal().sum(), "trace", scale=scale * problem.num_parameters**0.5)
    for per in ("layer", "parameter"):
        slices = block_slices(problem, per)
        blocks = matrix.blocks(per)
        assert list(blocks) == list(slices)
        expected = torch.zeros_like(dense)
        for block, part in zip(blocks.values(), slices.values(), strict=True):
            assert_close(block, dense[part, part], f"block per {per}", scale=scale)
            expected[part, part] = dense[part, part]
        assert_close(matrix.block_diagonal(per), expected, f"block diagonal per {per}", scale=scale)


@every_problem
@every_matrix
def test_dense_matrix_is_exactly_symmetric(name: str, quantity: str, quantities: Quantities) -> None:
    dense = _matrix(name, quantity, quantities)[1].dense()
    assert torch.equal(dense, dense.T)


def test_layers_join_weight_and_bias_and_parameters_do_not() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    assert block_slices(problem) == {"0": slice(0, 16), "2": slice(16, 31)}
    expected = {"0.weight": slice(0, 12), "0.bias": slice(12, 16), "2.weight": slice(16, 28), "2.bias": slice(28, 31)}
    assert block_slices(problem, "parameter") == expected


def test_a_wrong_block_layout_is_refused_by_name() -> None:
    with pytest.raises(ProblemError, match="'layer' or per 'parameter', not per 'row'"):
        block_slices(zoo_problem("softmax-regression"), "row")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(11,), (13, 2), (2, 12), (12, 1, 1)])
def test_a_product_with_a_wrong_shape_is_refused(shape: tuple[int, ...], quantities: Quantities) -> None:
    matrix = quantities.ggn(zoo_problem("softmax-regression"))
    with pytest.raises(ProblemError, match=r"expected \(12,\) or \(12, B\)"):
        matrix @ torch.zeros(shape)

"""The closed forms of softmax regression: right, exactly symmetric, and assembled without a large array."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fishergauge.reference import Problem, ProblemError
from fishergauge.reference.kronecker_sum import CHUNK
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.counted import counted
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.unhurried import unhurried

SIZES = {"samples": st.integers(1, 6), "width": st.integers(1, 5), "classes": st.integers(1, 5), "seed": st.integers(0, 2**31)}


def _data(samples: int, width: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draws = generator("softmax regression", samples, width, classes, seed)
    inputs = torch.randn(samples, width, generator=draws, dtype=torch.float64)
    weight = torch.randn(classes, width, generator=draws, dtype=torch.float64)
    return inputs, weight, inputs @ weight.T, torch.randint(classes, (samples,), generator=draws)


def _problem(inputs: Tensor, weight: Tensor, labels: Tensor) -> Problem:
    model = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(weight)
    return Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)], "softmax regression")


@unhurried
@given(**SIZES)
def test_closed_forms_equal_the_general_ones(samples: int, width: int, classes: int, seed: int, quantities: Quantities) -> None:
    inputs, weight, logits, labels = _data(samples, width, classes, seed)
    problem = _problem(inputs, weight, labels)
    fisher = quantities.softmax_regression_fisher(inputs, logits)
    scale = float(inputs.square().sum()) / samples
    assert torch.equal(fisher, fisher.T)
    assert_close(fisher, quantities.fisher(problem).dense(), "Fisher", scale=scale)
    empirical = quantities.softmax_regression_empirical_fisher(inputs, logits, labels)
    assert torch.equal(empirical, empirical.T)
    assert_close(empirical, quantities.empirical_fisher(problem).dense(), "empirical Fisher", scale=scale)
    slope = quantities.softmax_regression_gradient(inputs, logits, labels)
    assert_close(slope, quantities.gradient(problem), "gradient", scale=scale**0.5)


@unhurried
@given(**SIZES)
def test_kfac_is_the_product_of_mean_factors(samples: int, width: int, classes: int, seed: int, quantities: Quantities) -> None:
    inputs, _, logits, _ = _data(samples, width, classes, seed)
    matrix = quantities.softmax_regression_kfac(inputs, logits)
    p = logits.softmax(1)
    left = torch.stack([row.diag() - torch.outer(row, row) for row in p]).mean(0)
    right = torch.stack([torch.outer(x, x) for x in inputs]).mean(0)
    expected = torch.einsum("ce,ij->ciej", left, right).reshape(classes * width, -1)
    assert torch.equal(matrix, matrix.T)
    assert_close(matrix, expected, "G kron A", scale=float(right.norm()))


def test_kfac_is_exact_for_equal_inputs_and_not_otherwise(quantities: Quantities) -> None:
    inputs, weight, logits, _ = _data(6, 3, 4)
    assert_apart(
        quantities.softmax_regression_kfac(inputs, logits),
        quantities.softmax_regression_fisher(inputs, logits),
        "K-FAC, varied inputs",
    )
    inputs = inputs[:1].expand(6, -1)
    logits = inputs @ weight.T
    fisher = quantities.softmax_regression_fisher(inputs, logits)
    assert_close(quantities.softmax_regression_kfac(inputs, logits), fisher, "K-FAC, equal inputs")


def test_at_the_papers_size_the_fisher_is_assembled_by_matrix_products(quantities: Quantities) -> None:
    inputs, weight, logits, labels = _data(5000, 16, 10)
    with counted() as counts:
        fisher = quantities.softmax_regression_fisher(inputs, logits)
    size = 160
    packed_products = 2 * 5000 * (10 * 9 // 2) * (16 * 17 // 2)
    problems = []
    if counts.largest_array > 8 * CHUNK:
        problems.append(f"an array of {counts.largest_array} bytes; the matrix itself has {size**2 * 8}")
    if counts.peak_bytes > 16 * CHUNK:
        problems.append(f"{counts.peak_bytes} bytes held at once")
    if counts.operations > 300:
        problems.append(f"{counts.operations} operations for 5000 samples: a loop over samples")
    if counts.flops != packed_products:
        problems.append(f"{counts.flops} FLOPs in products, expected {packed_products}")
    if problems:
        raise ClaimViolated("; ".join(problems))
    assert_close(fisher, quantities.fisher(_problem(inputs, weight, labels)).dense(), "Fisher at the paper's size")


@pytest.mark.parametrize(
    ("inputs", "logits"),
    [(torch.zeros(3, 2), torch.zeros(4, 2)), (torch.zeros(3), torch.zeros(3, 2)), (torch.zeros(0, 2), torch.zeros(0, 3))],
    ids=["counts-differ", "one-axis", "empty"],
)
def test_shapes_that_do_not_fit_are_refused(inputs: Tensor, logits: Tensor, quantities: Quantities) -> None:
    with pytest.raises(ProblemError, match="expected inputs"):
        quantities.softmax_regression_fisher(inputs, logits)
    with pytest.raises(ProblemError, match="expected inputs"):
        quantities.softmax_regression_kfac(inputs, logits)

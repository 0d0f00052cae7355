"""The reference agrees with the plain oracle, entry by entry, on the zoo."""

import pytest
import torch

from fishergauge.reference import UndefinedError
from fishergauge.reference.oracle import (
    oracle_empirical_fisher,
    oracle_fisher,
    oracle_ggn,
    oracle_gradient,
    oracle_hessian,
)
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.precision import converted
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.zoo import ZOO, zoo_problem
from fishergauge.suites.zoo.setting import Reduction

ORACLES = {
    "hessian": oracle_hessian,
    "ggn": oracle_ggn,
    "fisher": oracle_fisher,
    "fisher_type2": oracle_fisher,
    "empirical_fisher": oracle_empirical_fisher,
}
NO_LIKELIHOOD = {"class-weights", "soft-targets", "positive-weights"}

every_problem = pytest.mark.parametrize("name", ZOO)
both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])


@every_problem
@both_reductions
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_gradient_equals_one_backward_pass(name: str, reduction: Reduction, dtype: torch.dtype, quantities: Quantities) -> None:
    problem = zoo_problem(name, reduction=reduction, dtype=dtype)
    double = converted(problem, torch.float64)
    # the gradient may nearly vanish; its rounding is that of the terms it sums
    scale = float(oracle_empirical_fisher(double).trace().sqrt())
    expected = oracle_gradient(double)
    assert_close(quantities.gradient(problem), expected, "gradient", scale=max(scale, float(expected.norm())))


@every_problem
@both_reductions
@pytest.mark.parametrize("quantity", ORACLES)
def test_matrix_equals_the_oracle(name: str, reduction: Reduction, quantity: str, quantities: Quantities) -> None:
    if "fisher" in quantity and quantity != "empirical_fisher" and name in NO_LIKELIHOOD:
        _both_routes_refuse(name, reduction, quantity, quantities)
        return
    problem = zoo_problem(name, reduction=reduction)
    assert_close(quantities.named(quantity)(problem).dense(), ORACLES[quantity](problem), f"{quantity} = oracle")


@every_problem
@pytest.mark.parametrize("quantity", ["hessian", "ggn", "fisher", "empirical_fisher"])
def test_matrix_in_float32_equals_the_oracle_in_float64(name: str, quantity: str, quantities: Quantities) -> None:
    if quantity == "fisher" and name in NO_LIKELIHOOD:
        _both_routes_refuse(name, "mean", quantity, quantities)
        return
    problem = zoo_problem(name, dtype=torch.float32)
    matrix = quantities.named(quantity)(problem).dense()
    assert matrix.dtype == torch.float32
    expected = ORACLES[quantity](converted(problem, torch.float64))
    # a Hessian is a difference of GGN and residual part: its rounding is that of the larger summand
    scale = max(float(expected.norm()), float(oracle_ggn(converted(problem, torch.float64)).norm()))
    assert_close(matrix, expected, f"{quantity} in float32", scale=scale)


def _both_routes_refuse(name: str, reduction: Reduction, quantity: str, quantities: Quantities) -> None:
    problem = zoo_problem(name, reduction=reduction)
    with pytest.raises(UndefinedError, match="no negative log-likelihood"):
        quantities.named(quantity)(problem)
    with pytest.raises(UndefinedError, match="no log-likelihood"):
        oracle_fisher(problem)

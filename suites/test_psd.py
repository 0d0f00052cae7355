"""Gauss-Newton matrices are positive semi-definite and have the rank that the likelihood gives them."""

import pytest
import torch

from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.gates import GATE_A_THRESHOLDS, gate_a
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import ZOO, zoo_problem

WEIGHTED = ("class-weights", "soft-targets", "positive-weights")


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("quantity", ["ggn", "empirical_fisher"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_second_moments_pass_gate_a(name: str, quantity: str, dtype: torch.dtype, quantities: Quantities) -> None:
    _assert_psd(quantities.named(quantity)(zoo_problem(name, dtype=dtype)).dense(), quantity)


@pytest.mark.parametrize("name", [n for n in ZOO if n not in WEIGHTED])
@pytest.mark.parametrize("quantity", ["fisher", "fisher_type2", "monte_carlo_fisher"])
def test_fishers_pass_gate_a(name: str, quantity: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    if quantity == "monte_carlo_fisher":
        matrix = quantities.monte_carlo_fisher(problem, 2, generator("psd", name))
    else:
        matrix = quantities.named(quantity)(problem)
    _assert_psd(matrix.dense(), quantity)


@pytest.mark.parametrize(("samples", "width", "classes"), [(3, 4, 3), (12, 4, 3), (2, 5, 2), (1, 3, 4)])
def test_rank_of_softmax_regression(samples: int, width: int, classes: int, quantities: Quantities) -> None:
    draws = generator("rank", samples, width, classes)
    inputs = torch.randn(samples, width, generator=draws, dtype=torch.float64)
    logits = torch.randn(samples, classes, generator=draws, dtype=torch.float64)
    matrix = quantities.softmax_regression_fisher(inputs, logits)
    rank = int(torch.linalg.matrix_rank(matrix, hermitian=True))
    expected = min(width, samples) * (classes - 1)
    if rank != expected:
        raise ClaimViolated(f"rank {rank}, expected {expected} = min(D, N) (C - 1)")


def test_common_shift_of_the_logits_lies_in_the_kernel(quantities: Quantities) -> None:
    problem = zoo_problem("softmax-regression")
    matrix = quantities.fisher(problem).dense()
    shift = torch.eye(4, dtype=torch.float64).repeat(3, 1)  # the same change of the weights of every class
    product = float((matrix @ shift).abs().max())
    if not product <= 64 * torch.finfo(torch.float64).eps * float(matrix.abs().max()):
        raise ClaimViolated(f"F applied to a common shift of the logits is {product:.1e}, not zero")


def _assert_psd(matrix: torch.Tensor, name: str) -> None:
    # in float32 the thresholds of the paper lie below the rounding noise of the eigenvalues
    noise = len(matrix) * torch.finfo(matrix.dtype).eps
    for threshold in GATE_A_THRESHOLDS:
        outcome = gate_a(matrix, max(threshold, noise))
        if not outcome.passed:
            raise ClaimViolated(f"{name} has the eigenvalue {outcome.minimum:.1e}, below {outcome.allowed:.1e}")

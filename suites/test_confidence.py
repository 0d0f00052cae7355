"""Curvature of very confident outputs keeps its relative accuracy, in float32 as in float64."""

from decimal import Decimal, getcontext

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.reference.stable_exponential import categorical_kl, complements
from fishergauge.suites.closeness import ClaimViolated, unit_roundoff
from fishergauge.suites.quantities import Quantities

GAPS = [2, 5, 10, 15, 20, 30, 40]
ORDERS = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]

every_gap = pytest.mark.parametrize("gap", GAPS)
every_order = pytest.mark.parametrize("order", ORDERS, ids=str)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


@every_gap
@every_order
@both_dtypes
@pytest.mark.parametrize("quantity", ["ggn", "fisher", "hessian"])
def test_curvature_of_a_confident_softmax(
    gap: int, order: tuple[int, ...], dtype: torch.dtype, quantity: str, quantities: Quantities
) -> None:
    logits = _logits(gap, order)
    _assert_relative(quantities.named(quantity)(_constant_problem(logits, dtype)).dense(), _exact_hessian(logits), quantity)


@every_gap
@every_order
@both_dtypes
def test_closed_form_of_a_confident_softmax(
    gap: int, order: tuple[int, ...], dtype: torch.dtype, quantities: Quantities
) -> None:
    logits = _logits(gap, order)
    inputs, outputs = torch.ones(1, 1, dtype=dtype), torch.tensor([logits], dtype=dtype)
    _assert_relative(quantities.softmax_regression_fisher(inputs, outputs), _exact_hessian(logits), "closed form")


@every_gap
@both_dtypes
def test_curvature_of_a_confident_binary_label(gap: int, dtype: torch.dtype, quantities: Quantities) -> None:
    for sign in (1, -1):
        model = _Constant(torch.tensor([float(sign * gap)], dtype=dtype))
        problem = Problem(model, nn.BCEWithLogitsLoss(), [(torch.ones(1, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype))])
        p = 1 / (1 + (-Decimal(gap)).exp())
        _assert_relative(quantities.fisher(problem).dense(), [[p * (1 - p)]], "Bernoulli")


@every_gap
@both_dtypes
def test_gradient_of_a_confident_and_correct_softmax(gap: int, dtype: torch.dtype, quantities: Quantities) -> None:
    logits = _logits(gap, (0, 1, 2))
    p = _probabilities(logits)
    expected = [p[0] - 1, p[1], p[2]]
    _assert_relative(quantities.gradient(_constant_problem(logits, dtype))[None], [expected], "gradient")


@every_gap
@both_dtypes
def test_empirical_fisher_of_a_confident_and_correct_softmax(gap: int, dtype: torch.dtype, quantities: Quantities) -> None:
    logits = _logits(gap, (0, 1, 2))
    p = _probabilities(logits)
    residual = [p[0] - 1, p[1], p[2]]
    expected = [[a * b for b in residual] for a in residual]
    _assert_relative(quantities.empirical_fisher(_constant_problem(logits, dtype)).dense(), expected, "empirical Fisher")


@both_dtypes
def test_a_tiny_divergence_keeps_its_relative_accuracy(dtype: torch.dtype) -> None:
    for change in (1e-1, 1e-3, 1e-6):
        logits = torch.tensor([0.0, 1.0, -2.0], dtype=dtype)
        others = torch.tensor([0.0, 1.0, -2.0], dtype=dtype) + torch.tensor([change, 0.0, 0.0], dtype=dtype)
        expected = _exact_kl([Decimal(float(z)) for z in logits], [Decimal(float(z)) for z in others])
        # the change itself is known to u |logit| / change, the divergence is quadratic in it
        bound = 8 * unit_roundoff(dtype) * (1 + 2 / change)
        measured = abs(float(Decimal(float(categorical_kl(logits, others))) / expected - 1))
        assert measured <= bound, f"relative error {measured:.1e} at a change of {change}, bound {bound:.1e}"


def test_a_large_divergence_is_finite_and_right() -> None:
    logits, others = torch.tensor([0.0, 0.0]), torch.tensor([0.0, 200.0])
    assert float(categorical_kl(logits, others)) == pytest.approx(100 - 0.6931472)
    assert float(categorical_kl(others, logits)) == pytest.approx(0.6931472)


def test_complements_do_not_cancel() -> None:
    p = torch.tensor([0.0, -40.0]).softmax(-1)
    assert float(complements(p)[0]) == pytest.approx(float((-Decimal(40)).exp()), rel=1e-5, abs=0)
    assert float(1 - p[0]) == 0


class _Constant(nn.Module):
    """Outputs that are the parameters themselves, whatever the input."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.outputs.expand(len(inputs), -1) + 0 * inputs[:, :1]


def _constant_problem(logits: tuple[int, ...], dtype: torch.dtype) -> Problem:
    """One sample of which class 0 is the label."""
    model = _Constant(torch.tensor(logits, dtype=dtype))
    data = [(torch.ones(1, 1, dtype=dtype), torch.tensor([0]))]
    return Problem(model, nn.CrossEntropyLoss(), data, "confident", Facts(linear_in_parameters=True))


def _logits(gap: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """Whole numbers, exact in every dtype: the largest, one ``gap`` below and one a little less below."""
    values = (gap, 0, 1)
    return tuple(values[index] for index in order)


def _probabilities(logits: tuple[int, ...]) -> list[Decimal]:
    getcontext().prec = 60
    powers = [Decimal(z).exp() for z in logits]
    return [power / sum(powers) for power in powers]


def _exact_hessian(logits: tuple[int, ...]) -> list[list[Decimal]]:
    p = _probabilities(logits)
    return [[p[i] * ((i == j) - p[j]) for j in range(len(p))] for i in range(len(p))]


def _exact_kl(logits: list[Decimal], others: list[Decimal]) -> Decimal:
    getcontext().prec = 60
    p, q = ([z.exp() for z in logits], [z.exp() for z in others])
    p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
    return sum((a * (a / b).ln() for a, b in zip(p, q, strict=True)), Decimal(0))


def _assert_relative(matrix: Tensor, exact: list[list[Decimal]], claim: str) -> None:
    """Every single entry is accurate relative to itself."""
    bound = 16 * unit_roundoff(matrix.dtype)  # eight roundings or so an entry: exponentials, sums, products
    for i, row in enumerate(exact):
        for j, value in enumerate(row):
            error = abs(float(Decimal(float(matrix[i, j])) / value - 1))
            if not error <= bound:
                raise ClaimViolated(f"{claim}: entry ({i}, {j}) is off by {error:.1e} relative, bound {bound:.1e} = 16 u")

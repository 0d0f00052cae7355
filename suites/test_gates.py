"""The gates of the paper's experiments turn red when they must."""

import math

import pytest
import torch

from fishergauge.reference import ProblemError
from fishergauge.suites.gates import GATE_A_THRESHOLDS, gate_a, gate_b, gate_c


@pytest.mark.parametrize("threshold", GATE_A_THRESHOLDS)
def test_gate_a_stands_at_its_threshold(threshold: float) -> None:
    assert gate_a(torch.diag(torch.tensor([2.0, -2.0 * threshold * 0.99], dtype=torch.float64)), threshold).passed
    assert not gate_a(torch.diag(torch.tensor([2.0, -2.0 * threshold * 1.01], dtype=torch.float64)), threshold).passed


def test_gate_a_thresholds_of_the_two_notebooks_disagree_between_them() -> None:
    matrix = torch.diag(torch.tensor([1.0, -5e-8], dtype=torch.float64))
    assert [gate_a(matrix, threshold).passed for threshold in GATE_A_THRESHOLDS] == [True, False]


def test_gate_a_examines_the_symmetric_part_and_reports_the_extremes() -> None:
    outcome = gate_a(torch.tensor([[1.0, 4.0], [0.0, 1.0]]))
    assert not outcome.passed
    assert (outcome.minimum, outcome.maximum) == pytest.approx((-1.0, 3.0))


@pytest.mark.parametrize("entry", [math.nan, math.inf])
def test_gate_a_fails_what_is_not_finite(entry: float) -> None:
    assert not gate_a(torch.diag(torch.tensor([1.0, entry]))).passed


def test_gate_a_refuses_what_is_no_square_matrix() -> None:
    with pytest.raises(ProblemError, match=r"square matrix, got shape \(2, 3\)"):
        gate_a(torch.zeros(2, 3))
    with pytest.raises(ProblemError, match="non-negative"):
        gate_a(torch.eye(2), -1e-8)


def test_gate_b_stands_at_both_ends() -> None:
    assert gate_b(torch.tensor([0.8, 1.2], dtype=torch.float64)).passed
    for ratio in (0.79, 1.21, math.nan):
        outcome = gate_b(torch.tensor([1.0, ratio], dtype=torch.float64))
        assert not outcome.passed
        assert outcome.fraction == 0.5


def test_gate_b_needs_something_to_judge() -> None:
    with pytest.raises(ProblemError, match="at least one"):
        gate_b(torch.tensor([]))


def test_gate_c_names_the_condition_numbers_that_fail() -> None:
    same = torch.ones(3, 2)
    assert gate_c({1.0: same, 10.0: same.clone()}).passed
    outcome = gate_c({1.0: same, 10.0: same + 2e-5, 100.0: same, 1000.0: same * math.nan})
    assert not outcome.passed
    assert list(outcome.failures) == [10.0, 1000.0]


def test_gate_c_refuses_to_compare_nothing() -> None:
    with pytest.raises(ProblemError, match="at least two"):
        gate_c({1.0: torch.ones(2)})
    with pytest.raises(ProblemError, match="differ in shape"):
        gate_c({1.0: torch.ones(2), 10.0: torch.ones(3)})

"""The place of a deviation in words."""

import torch

from fishergauge.suites.probes.locating import farthest, located

SLICES = {"0.weight": slice(0, 6), "0.bias": slice(6, 8), "": slice(8, 12)}


def test_parameter_with_the_largest_deviation_is_named_with_its_factor() -> None:
    right = torch.linspace(1, 2, 12, dtype=torch.float64)
    wrong = right.clone()
    wrong[6:8] /= 12
    assert located(wrong, right, SLICES) == "0.bias: ratio to the expected block 0.0833333 = 1/12 in every entry"
    assert farthest(wrong, right, SLICES) == "0.bias"


def test_single_entry_is_counted_from_the_start_of_its_parameter() -> None:
    right = torch.ones(12, 1)
    wrong = right.clone()
    wrong[10] = 3
    assert located(wrong, right, SLICES).startswith("the model: entry [2, 0] is 3, expected 1")


def test_zero_is_said() -> None:
    right = torch.ones(12)
    wrong = torch.cat([torch.zeros(6), torch.ones(6)])
    assert located(wrong, right, SLICES) == "0.weight: zero, expected norm 2.45"
    assert "where zero is expected" in located(right, torch.cat([torch.ones(6), torch.zeros(6)]), SLICES)


def test_largest_absolute_deviation_counts_not_the_largest_ratio() -> None:
    right = torch.cat([torch.full((6,), 1e-3), torch.full((6,), 1e3)])
    wrong = right.clone()
    wrong[0] *= 2
    wrong[9] *= 1.001
    assert farthest(wrong, right, SLICES) == ""

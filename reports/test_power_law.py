import math

import pytest
import torch

from fishergauge.suites.power_law import power_law_exponent


def test_the_exponent_is_that_of_the_law_and_of_the_best_line() -> None:
    x = torch.tensor([1.0, 2.0, 4.0, 7.0], dtype=torch.float64)
    assert power_law_exponent(x, 5 * x**3) == pytest.approx(3)
    assert power_law_exponent(x, 2 / x.sqrt()) == pytest.approx(-0.5)
    assert power_law_exponent([1.0, math.e, math.e**2], [1.0, math.e, 1.0]) == pytest.approx(0)
    assert power_law_exponent([1.0, math.e, math.e**2], [1.0, 1.0, math.e**3]) == pytest.approx(1.5)


def test_without_two_positive_points_there_is_no_exponent() -> None:
    assert math.isnan(power_law_exponent([1.0], [1.0]))
    assert math.isnan(power_law_exponent([1.0, 2.0], [0.0, 1.0]))
    assert math.isnan(power_law_exponent([-1.0, 2.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        power_law_exponent([1.0, 2.0], [1.0])

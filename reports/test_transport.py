import pytest
import torch

from fishergauge.reports.notebook_e4 import run_notebook_e4
from fishergauge.reports.small_data import small_data
from fishergauge.reports.transport import PLACEHOLDERS, deviations, feature_scale, transported_steps, without_shift

METHODS = ("exact", "kfac", "empirical", "sgd")
KAPPAS = (1.0, 100.0)
PUBLISHED = (0.001, 1e-8)


def test_the_fast_way_takes_the_notebooks_steps() -> None:
    data = small_data()
    slow = run_notebook_e4(data, 1, KAPPAS, *PUBLISHED, METHODS)
    fast = transported_steps(data, 1, KAPPAS, *PUBLISHED, METHODS)
    for method in METHODS:
        for kappa in KAPPAS:
            torch.testing.assert_close(fast[method][kappa], slow[method][kappa], rtol=1e-7, atol=1e-12)


def test_the_methods_differ_so_that_agreement_means_something() -> None:
    steps = transported_steps(small_data(), 1, (1.0,), *PUBLISHED, METHODS)
    for first in METHODS:
        for second in METHODS:
            if first < second:
                assert (steps[first][1.0] - steps[second][1.0]).abs().max() > 1e-5


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_the_protocol_lets_any_matrix_pass(placeholder: str) -> None:
    steps = transported_steps(small_data(), 0, (1.0, 1000.0), *PUBLISHED, (placeholder, "sgd"))
    assert deviations(steps[placeholder])[1000.0] < 1e-9
    assert deviations(steps["sgd"])[1000.0] > 1e-2


def test_the_identity_takes_the_step_of_sgd() -> None:
    steps = transported_steps(small_data(), 0, (1.0,), *PUBLISHED, ("identity", "sgd"))
    torch.testing.assert_close(steps["identity"][1.0], steps["sgd"][1.0])


def test_deviations_and_shifts() -> None:
    step = torch.arange(6.0)
    assert deviations({1.0: step, 10.0: step + 2}) == {10.0: 2.0}
    assert torch.equal(without_shift(step + 5, 2), without_shift(step, 2))
    assert torch.equal(without_shift(torch.tensor([1.0, 2.0, 4.0, 8.0]), 2), torch.tensor([[-1.5, -3.0], [1.5, 3.0]]))
    assert feature_scale(4.0, 3, step).tolist() == [2.0, 0.5, 0.5]


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no method 'adam'; choose from exact, kfac"):
        transported_steps(small_data(), 0, KAPPAS, *PUBLISHED, ("adam",))


def test_the_baseline_leaves_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    run_notebook_e4(small_data(samples=30), 0, (1.0,), *PUBLISHED, METHODS)
    assert torch.equal(before, torch.random.get_rng_state())

"""Natural-gradient descent: exact where it must be, damped by its rule, clipped, averaged and blockwise as declared."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import (
    Curvature,
    Problem,
    ProblemError,
    empirical_fisher,
    fisher,
    ggn,
    gradient,
    natural_gradient_step,
    objective,
    pseudo_inverse,
)
from fishergauge.reference.optimizers.eigenvalue_clipping import EigenvalueClipping
from fishergauge.reference.optimizers.gradual_fisher import GradualFisher
from fishergauge.reference.optimizers.levenberg_marquardt import Fixed, LevenbergMarquardt, reduction_ratio
from fishergauge.reference.optimizers.natural_gradient_descent import Trajectory, natural_gradient_descent
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

both_dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def regression(dtype: torch.dtype = torch.float64, samples: int = 12) -> tuple[Problem, Tensor]:
    """A linear regression, and its least-squares solution by another route."""
    draws = generator("descent", "regression")
    x, y = (torch.randn(samples, width, generator=draws, dtype=torch.float64) for width in (3, 1))
    model = nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.randn(1, 3, generator=draws, dtype=torch.float64))
    solution = torch.linalg.lstsq(x, y).solution.flatten()
    return Problem(model.to(dtype), nn.MSELoss(), [(x.to(dtype), y.to(dtype))]), solution


def condition(matrix: Tensor) -> float:
    """Of a symmetric matrix of full rank."""
    return float(torch.linalg.cond(matrix.double()))


# --- exact cases -----------------------------------------------------------------------------------------------------


@both_dtypes
@pytest.mark.parametrize("curvature", [fisher, ggn], ids=["fisher", "ggn"])
def test_least_squares_is_solved_in_one_step(curvature: type[Curvature], dtype: torch.dtype) -> None:
    problem, solution = regression(dtype)
    kappa = condition(fisher(problem).dense())
    path = natural_gradient_descent(problem, 1, curvature=curvature)
    assert_close(path.parameters[1], solution, "one step", condition=kappa)
    assert_close(path.ratio[0], torch.ones((), dtype=torch.float64), "reduction ratio", condition=kappa)
    half = natural_gradient_descent(problem, 1, curvature=curvature, length=0.5)
    assert_close(half.parameters[1], (solution + problem.vector.double()) / 2, "half a step", condition=kappa)
    for wrong in (empirical_fisher, lambda problem: 2 * fisher(problem).dense()):
        missed = natural_gradient_descent(problem, 1, curvature=wrong).parameters[1]
        with pytest.raises(ClaimViolated):
            assert_close(missed, solution, "one step", condition=kappa)


def test_each_step_is_the_damped_step_of_its_point() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    path = natural_gradient_descent(problem, 3, length=0.3, damping=Fixed(0.1))
    for t in range(3):
        here = problem.at(path.parameters[t])
        step = natural_gradient_step(fisher(here).dense(), gradient(here), 0.3, 0.1)
        moved = path.parameters[t + 1] - path.parameters[t]
        scale = float(path.parameters[t].norm())
        assert_close(moved, step, "step", scale=scale, condition=10.0)
        assert_close(path.objective[t], objective(here), "objective")
        wrong = natural_gradient_step(fisher(problem.at(path.parameters[0])).dense(), gradient(here), 0.3, 0.1)
        assert t == 0 or float((moved - wrong).norm()) > 1e-6  # the control: the Fisher of the first point
    assert bool((path.damping == 0.1).all())
    assert bool(path.accepted.all())
    assert torch.equal(problem.vector, path.parameters[0])  # the problem itself has not moved


def test_a_block_diagonal_curvature_gives_the_blocks_of_the_layers() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    path = natural_gradient_descent(
        problem, 1, curvature=lambda problem: fisher(problem).block_diagonal("layer"), damping=Fixed(0.1)
    )
    slope, start, pieces = gradient(problem), 0, []
    for block in fisher(problem).blocks("layer").values():
        part = slope[start : start + len(block)]
        pieces.append(-torch.linalg.solve(block + 0.1 * torch.eye(len(block), dtype=block.dtype), part))
        start += len(block)
    moved = path.parameters[1] - path.parameters[0]
    scale = float(problem.vector.norm())
    assert_close(moved, torch.cat(pieces), "blocks", scale=scale, condition=100)
    whole = natural_gradient_descent(problem, 1, damping=Fixed(0.1)).parameters[1] - problem.vector
    assert_apart(moved, whole, "the whole Fisher")


# --- Levenberg and Marquardt -----------------------------------------------------------------------------------------


def test_the_damping_follows_the_rule_and_the_objective_never_rises() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    rule = LevenbergMarquardt(1.0, factor=0.25)
    path = natural_gradient_descent(problem, 12, damping=rule)
    assert follows(path, rule)
    assert bool((path.objective[1:] <= path.objective[:-1]).all())
    assert float(path.damping.min()) < 1.0
    assert not follows(path, LevenbergMarquardt(1.0, factor=0.5))  # the controls: another factor, and the rule inverted
    inverted = natural_gradient_descent(problem, 12, damping=Inverted(1.0, factor=0.25))
    assert not follows(inverted, rule)


class Inverted(LevenbergMarquardt):
    """Raises the damping where the model is good."""

    def updated(self, ratio: float) -> LevenbergMarquardt:
        return Inverted(super().updated(1 - ratio).damping, self.factor)


def follows(path: Trajectory, rule: LevenbergMarquardt) -> bool:
    """Whether each damping follows from the ratio before it, by the two thresholds."""
    expected = [float(path.damping[0])]
    for ratio in path.ratio[:-1].tolist():
        change = rule.factor if ratio > 0.75 else 1 / rule.factor if ratio < 0.25 else 1.0
        expected.append(expected[-1] * change)
    return torch.allclose(path.damping, path.damping.new_tensor(expected), rtol=1e-12, atol=0)


def test_a_step_that_would_rise_is_refused_and_the_damping_raised_until_one_falls() -> None:
    # starting at outputs of +-20 the softmax is flat: an undamped step is some e^20 too long
    model = nn.Linear(1, 2, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[6.0], [-6.0]]))
        model.bias.zero_()
    data = [(torch.tensor([[1.0], [-1.0], [0.5]], dtype=torch.float64), torch.tensor([1, 0, 0]))]
    problem = Problem(model, nn.CrossEntropyLoss(), data)
    path = natural_gradient_descent(problem, 60, damping=LevenbergMarquardt(1e-6, factor=0.25))
    assert not bool(path.accepted[0])
    assert torch.equal(path.parameters[1], path.parameters[0])
    assert float(path.damping[1]) == 4e-6
    assert bool((path.objective[1:] <= path.objective[:-1]).all())
    assert float(path.objective[-1]) < 0.2 * float(path.objective[0])
    free = natural_gradient_descent(problem, 1, damping=Fixed(1e-6))
    assert float(free.objective[1]) > 10 * float(free.objective[0])  # the control: a fixed damping lets it rise


@pytest.mark.parametrize(
    ("ratio", "damping"), [(0.76, 0.5), (0.74, 1.0), (0.26, 1.0), (0.24, 2.0), (-1.0, 2.0), (float("nan"), 2.0), (5.0, 0.5)]
)
def test_the_thresholds_are_a_quarter_and_three_quarters(ratio: float, damping: float) -> None:
    assert LevenbergMarquardt(1.0, factor=0.5).updated(ratio).damping == damping
    assert LevenbergMarquardt(1.0, factor=0.5, low=1e-3, high=10.0).updated(0.76).damping == 1.0  # the control
    assert LevenbergMarquardt(1.0, factor=0.5, least=0.9).updated(0.9).damping == 0.9


def test_the_reduction_ratio_of_a_quadratic_is_one_for_any_step() -> None:
    problem, _ = regression()
    slope, matrix, before = gradient(problem), fisher(problem).dense(), objective(problem)
    step = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    after = objective(problem.at(problem.vector + step))
    one = torch.ones((), dtype=torch.float64)
    assert_close(reduction_ratio(before, after, slope, matrix, step), one, "rho", condition=100)
    for wrong in (2 * matrix, matrix + torch.eye(3, dtype=torch.float64)):
        assert_apart(reduction_ratio(before, after, slope, wrong, step), one, "another curvature")
    assert_apart(reduction_ratio(after, before, slope, matrix, step), one, "the wrong sign")


# --- clipping --------------------------------------------------------------------------------------------------------


def spread(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """A matrix with eigenvalues 1, 1e-1, 1e-3 and 0, its eigenvectors, and a right-hand side."""
    draws = generator("clipping")
    basis = torch.linalg.qr(torch.randn(4, 4, generator=draws, dtype=torch.float64))[0]
    values = torch.tensor([1.0, 1e-1, 1e-3, 0.0], dtype=torch.float64)
    right = torch.randn(4, generator=draws, dtype=torch.float64)
    return ((basis * values) @ basis.T).to(dtype), basis, right.to(dtype)


@both_dtypes
def test_removing_small_eigenvalues_is_the_pseudo_inverse(dtype: torch.dtype) -> None:
    matrix, _, right = spread(dtype)
    for threshold, kappa in ((1e-2, 1e1), (1e-4, 1e3)):
        clipped = EigenvalueClipping(threshold).solve(matrix, right)
        expected = pseudo_inverse(matrix, threshold) @ right
        assert_close(clipped, expected, "pseudo-inverse", condition=kappa)
    assert_apart(EigenvalueClipping(1e-2).solve(matrix, right), expected, "another threshold")


@both_dtypes
def test_flooring_raises_the_small_eigenvalues_and_leaves_the_others(dtype: torch.dtype) -> None:
    matrix, basis, right = spread(dtype)
    floored = EigenvalueClipping(1e-2, "floor").solve(matrix, right, damping=0.5)
    inverse = 1 / (torch.tensor([1.0, 1e-1, 1e-2, 1e-2], dtype=torch.float64) + 0.5)
    expected = basis @ (inverse * (basis.T @ right.double()))
    assert_close(floored, expected, "floor", condition=100)
    assert_apart(EigenvalueClipping(1e-2).solve(matrix, right, damping=0.5), expected, "removal")
    removed = basis[:, :2] @ (inverse[:2] * (basis[:, :2].T @ right.double()))
    assert_close(EigenvalueClipping(1e-2).solve(matrix, right, damping=0.5), removed, "removal", condition=100)


def test_descent_with_clipping_is_the_pseudo_inverse_step() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix, slope = fisher(problem).dense(), gradient(problem)
    path = natural_gradient_descent(problem, 1, clipping=EigenvalueClipping(1e-2), damping=Fixed(0.0))
    expected = problem.vector - pseudo_inverse(matrix, 1e-2) @ slope
    assert_close(path.parameters[1], expected, "clipped", condition=100)
    assert_apart(natural_gradient_descent(problem, 1).parameters[1], expected, "unclipped")


# --- gradual updates -------------------------------------------------------------------------------------------------


def averaged(decay: float, start: str, estimates: list[Tensor]) -> GradualFisher:
    """After all estimates."""
    average = GradualFisher(decay, start)  # type: ignore[arg-type]
    for estimate in estimates:
        average = average.updated(estimate)
    return average


def estimates(count: int) -> list[Tensor]:
    """Random symmetric matrices."""
    draws = torch.randn(count, 3, 3, generator=generator("gradual"), dtype=torch.float64)
    return list(draws + draws.mT)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95])
def test_a_running_average_has_its_closed_form_after_t_updates(decay: float) -> None:
    given = estimates(7)
    powers = [(1 - decay) * decay ** (7 - i) for i in range(1, 8)]
    plain = sum(weight * estimate for weight, estimate in zip(powers, given, strict=True))
    assert isinstance(plain, Tensor)
    scale = float(plain.norm())
    assert_close(averaged(decay, "zero", given).matrix, plain / (1 - decay**7), "corrected", condition=10)
    assert_close(averaged(decay, "first", given).matrix, plain + decay**7 * given[0], "from the first", condition=10)
    mean = torch.stack(given).mean(0)
    if decay == 0.95:  # 1 - 1/7 < 0.95: the window is not full
        assert_close(averaged(decay, "mean", given).matrix, mean, "ramp", condition=10)
        assert_apart(averaged(decay, "zero", given).matrix, mean, "the mean")
        uncorrected = averaged(decay, "zero", given).sum
        assert uncorrected is not None
        assert_close(uncorrected, plain, "without the correction", condition=10)
        assert_apart(uncorrected, averaged(decay, "zero", given).matrix, "the control", least=0.5)
    assert scale > 0


@pytest.mark.parametrize("start", ["zero", "first", "mean"])
def test_the_weights_are_those_with_which_the_estimates_count(start: str) -> None:
    given = estimates(9)
    average = averaged(0.7, start, given)
    weighted = sum(weight * estimate for weight, estimate in zip(average.weights, given, strict=True))
    assert isinstance(weighted, Tensor)
    assert_close(average.matrix, weighted, "weights", condition=10)
    assert sum(average.weights) == pytest.approx(1, abs=1e-14)
    reversed_ = sum(weight * estimate for weight, estimate in zip(average.weights[::-1], given, strict=True))
    assert_apart(average.matrix, reversed_, "the newest first")  # type: ignore[arg-type]


def test_the_effective_window_has_its_closed_form_and_limit() -> None:
    for decay in (0.5, 0.9):
        for updates in (1, 5, 60):
            effective = averaged(decay, "zero", [torch.eye(1, dtype=torch.float64)] * updates).effective_samples
            expected = (1 + decay) / (1 - decay) * (1 - decay**updates) / (1 + decay**updates)
            assert effective == pytest.approx(expected, rel=1e-12)
    assert effective == pytest.approx(19, rel=0.01)  # (1 + 0.9) / (1 - 0.9), not 1 / (1 - 0.9) = 10
    assert averaged(0.9, "first", [torch.eye(1)] * 5).effective_samples < 2.2  # the first estimate dominates
    assert averaged(0.9, "mean", [torch.eye(1)] * 5).effective_samples == pytest.approx(5)


def test_descent_passes_the_curvature_through_the_average() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    batches = [torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])]
    path = natural_gradient_descent(problem, 2, damping=Fixed(0.1), average=GradualFisher(0.8), batches=batches)
    average, expected = GradualFisher(0.8), problem.vector
    for batch in batches:
        part = Problem(problem.at(expected).model, problem.loss, [(problem.inputs[batch], problem.targets[batch])])
        average = average.updated(fisher(part).dense())
        expected = expected + natural_gradient_step(average.matrix, gradient(part), damping=0.1)
    assert_close(path.parameters[-1], expected, "averaged", condition=100)
    assert_close(path.objective[-1], objective(problem.at(path.parameters[-1])), "objective of all data")
    without = natural_gradient_descent(problem, 2, damping=Fixed(0.1), batches=batches).parameters[-1]
    swapped = natural_gradient_descent(
        problem, 2, damping=Fixed(0.1), average=GradualFisher(0.8), batches=batches[::-1]
    ).parameters[-1]
    for other in (without, swapped):
        assert_apart(other, expected, "without the average, or with batches swapped")


# --- refusals --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_done_is_refused_by_name() -> None:
    problem, _ = regression()
    with pytest.raises(ProblemError, match="at least one batch"):
        natural_gradient_descent(problem, 1, batches=[])
    with pytest.raises(ProblemError, match="not negative"):
        natural_gradient_descent(problem, -1)
    with pytest.raises(ProblemError, match="lies in"):
        EigenvalueClipping(1.0)
    with pytest.raises(ProblemError, match="'remove' or 'floor'"):
        EigenvalueClipping(0.1, "raise")  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="still zero"):
        EigenvalueClipping(0.0, "floor").solve(torch.zeros(2, 2), torch.ones(2))
    with pytest.raises(ProblemError, match="must be positive"):
        LevenbergMarquardt(0.0)
    with pytest.raises(ProblemError, match="between 0 and 1"):
        LevenbergMarquardt(1.0, factor=2.0)
    with pytest.raises(ProblemError, match="0 < low < high"):
        LevenbergMarquardt(1.0, low=0.8)
    with pytest.raises(ProblemError, match="must not be negative"):
        Fixed(-1.0)
    with pytest.raises(ProblemError, match="lies in"):
        GradualFisher(1.0)
    with pytest.raises(ProblemError, match="'zero', 'first' or 'mean'"):
        GradualFisher(0.5, "last")  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="nothing has been averaged"):
        _ = GradualFisher(0.5).matrix

"""AdaHessian: unbiased diagonals, steps by the formulas, and the short form that is another method."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from fishergauge.reference import ProblemError, UnsupportedError, gradient, hessian
from fishergauge.reference.optimizers.adahessian import AdaHessian, averaged_diagonal_step, block_means
from fishergauge.reference.optimizers.hutchinson import all_signs, drawn_signs, hutchinson_diagonal
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

LEVEL = 1e-6
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def _normal(name: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator("adahessian", name), dtype=torch.float64)


def _symmetric(size: int) -> Tensor:
    rows = _normal(f"matrix {size}", size, size)
    return rows + rows.T


# --- the diagonal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@every_dtype
def test_the_expectation_over_all_signs_is_the_diagonal(size: int, dtype: torch.dtype) -> None:
    matrix = _symmetric(size).to(dtype)
    signs = all_signs(size, dtype)
    assert signs.shape == (2**size, size)
    assert len(torch.unique(signs, dim=0)) == 2**size
    estimate = hutchinson_diagonal(lambda z: matrix @ z, signs)
    assert_close(
        estimate, matrix.double().diagonal(), "the mean over all signs", scale=float(matrix.double().norm()), size=2**size
    )
    if size > 1:
        planted = hutchinson_diagonal(lambda z: matrix @ z, signs.abs())
        with pytest.raises(ClaimViolated):  # a constant in the place of signs
            assert_close(planted, matrix.double().diagonal(), "planted", scale=float(matrix.double().norm()), size=2**size)


def test_the_expectation_is_that_of_the_hessian_of_a_network() -> None:
    problem = zoo_problem("sizes-of-one")
    matrix = hessian(problem)
    estimate = hutchinson_diagonal(lambda z: matrix @ z, all_signs(problem.num_parameters, torch.float64))
    assert_close(estimate, matrix.diagonal(), "diagonal of the Hessian")
    assert_apart(estimate, matrix.dense().sum(1), "row sums")


def test_one_draw_is_exact_for_a_diagonal_matrix_and_no_other() -> None:
    diagonal, z = _normal("diagonal", 6), drawn_signs(torch.zeros(6).double(), 1, generator("one draw"))
    assert torch.equal(hutchinson_diagonal(lambda z: diagonal * z, z), diagonal)
    matrix = _symmetric(6)
    assert_apart(hutchinson_diagonal(lambda z: matrix @ z, z), matrix.diagonal(), "one draw of a full matrix")


def test_drawn_signs_give_unbiased_estimates_of_the_known_variance(note: Note) -> None:
    size, draws = 6, 4000
    matrix = _symmetric(size)
    signs = drawn_signs(torch.zeros(size).double(), draws, generator("unbiased"))
    assert set(signs.flatten().tolist()) == {-1.0, 1.0}
    terms = torch.stack([hutchinson_diagonal(lambda z: matrix @ z, z[None]) for z in signs])
    spread = ((matrix**2).sum(1) - matrix.diagonal() ** 2).sqrt()
    error = spread / draws**0.5
    critical = float(stats.norm.isf(LEVEL / (4 * size)))  # two statements about each entry, two-sided
    statistic = (terms.mean(0) - matrix.diagonal()) / error
    detectable = float((error / spread).max()) * (critical + float(stats.norm.isf(LEVEL)))
    note(f"Hutchinson: {draws} draws; a bias of {detectable:.1%} of the standard deviation of one draw would be seen")
    assert bool((statistic.abs() <= critical).all()), f"z = {statistic.tolist()}, critical {critical:.1f}"
    biased = (terms.mean(0) + detectable * spread - matrix.diagonal()) / error
    assert bool((biased.abs() > critical).all())
    # the relative standard error of a variance is sqrt((kurtosis - 1) / n), and a sum of independent signs has kurtosis < 3
    assert bool(((terms.var(0) / spread**2 - 1).abs() <= critical * (2 / draws) ** 0.5).all())
    gaussian = torch.randn(draws, size, generator=generator("gaussian"), dtype=torch.float64)  # unbiased, of larger variance
    others = torch.stack([z * (matrix @ z) for z in gaussian])
    assert bool(((others.var(0) / spread**2 - 1).abs() > critical * (2 / draws) ** 0.5).any())


def test_no_draw_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="at least one"):
        hutchinson_diagonal(lambda z: z, torch.zeros(0, 3))


# --- steps -----------------------------------------------------------------------------------------


class _Quadratic:
    """The objective c'x + x'Ax/2 of several parameters, with or without coupling between the entries."""

    def __init__(self, coupled: bool, dtype: torch.dtype = torch.float64) -> None:
        matrix = _symmetric(17)
        self.matrix = (matrix if coupled else torch.diag(matrix.diagonal())).to(dtype)
        self.slope, self.start = _normal("slope", 17).to(dtype), _normal("start", 17).to(dtype)
        shapes = [(2, 2, 3, 1), (5,)]
        pieces = torch.split(self.start, [12, 5])
        self.parameters = [nn.Parameter(p.clone().view(s)) for p, s in zip(pieces, shapes, strict=True)]

    @property
    def vector(self) -> Tensor:
        return torch.cat([parameter.flatten() for parameter in self.parameters])

    def loss(self) -> Tensor:
        x = self.vector
        return self.slope @ x + x @ self.matrix @ x / 2

    def gradient(self, x: Tensor) -> Tensor:
        return self.slope + self.matrix @ x


def _optimizer(objective: _Quadratic, **options: Any) -> AdaHessian:
    return AdaHessian(objective.parameters, **{"lr": 0.1, "generator": generator("signs"), **options})


def _simulated(objective: _Quadratic, steps: int, **options: Any) -> Tensor:
    """The formulas, with the same signs."""
    o = {"lr": 0.1, "betas": (0.9, 0.999), "epsilon": 1e-8, "hessian_power": 1.0, "block": 1, "weight_decay": 0.0,
         "samples": 1, "hessian_every": 1, **options}  # fmt: skip
    x, source = objective.start, generator("signs")
    m = v = torch.zeros_like(x)
    D = torch.zeros_like(x)
    first, second = o["betas"]
    for t in range(1, steps + 1):
        if (t - 1) % o["hessian_every"] == 0:
            z = drawn_signs(x, o["samples"], source)
            D = (z * (z @ objective.matrix)).mean(0)
        sizes = [3] * 4 + [1] * 5 if o["block"] == "kernel" else [5, 5, 2, 5] if o["block"] == 5 else [1] * 17
        averaged = torch.cat([part.mean().expand(len(part)) for part in torch.split(D, sizes)])
        m = first * m + (1 - first) * objective.gradient(x)
        v = second * v + (1 - second) * averaged**2
        x = x * (1 - o["lr"] * o["weight_decay"])
        denominator = (v / (1 - second**t)) ** (o["hessian_power"] / 2) + o["epsilon"]
        x = x - o["lr"] * (m / (1 - first**t)) / denominator
    return x


VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "momenta": {"betas": (0.5, 0.8)},
    "power": {"hessian_power": 0.5},
    "no power": {"hessian_power": 0.0},
    "blocks": {"block": 5},
    "kernels": {"block": "kernel"},
    "weight decay": {"weight_decay": 0.5},
    "samples": {"samples": 3},
    "delayed": {"hessian_every": 2},
    "epsilon": {"epsilon": 0.1},
}


@pytest.mark.parametrize("variant", VARIANTS)
@every_dtype
def test_a_run_follows_the_formulas(variant: str, dtype: torch.dtype) -> None:
    objective, steps = _Quadratic(True, dtype), 4
    optimizer = _optimizer(objective, **VARIANTS[variant])
    for _ in range(steps):
        value = optimizer.step(objective.loss)
        assert not value.requires_grad
    taken, exact = objective.vector.detach(), _Quadratic(True)
    estimates = [_simulated(exact, t, **VARIANTS[variant]) for t in (steps - 1, steps)]
    # an estimate of a diagonal entry may be small against the row that it comes from: the division amplifies rounding
    least = min(float(s["diagonal"].abs().min()) for s in optimizer.state.values())
    condition = steps * float(exact.matrix.norm()) / min(1.0, least) * (1 + float((estimates[1] - estimates[0]).norm()))
    if dtype == torch.float64:
        assert_close(taken, estimates[1], variant, condition=condition)
        for other in VARIANTS:
            if other != variant:
                with pytest.raises(ClaimViolated):
                    assert_close(taken, _simulated(exact, steps, **VARIANTS[other]), other, condition=condition)
    else:
        assert taken.dtype == dtype
        assert_close(
            taken, _simulated(_Quadratic(True, dtype), steps, **VARIANTS[variant]).double(), variant, condition=condition
        )


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_first_step_divides_by_the_modulus_of_the_diagonal(power: float) -> None:
    objective = _Quadratic(coupled=False)
    diagonal, slope = objective.matrix.diagonal(), objective.gradient(objective.start)
    assert bool((diagonal < 0).any())
    _optimizer(objective, hessian_power=power, epsilon=0.0).step(objective.loss)
    moved = objective.start - objective.vector.detach()
    condition = float(objective.start.norm() / moved.norm()) + 1
    assert_close(moved, 0.1 * slope / diagonal.abs() ** power, "g / |D|^k", condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(moved, 0.1 * slope / diagonal.abs().sqrt() ** power, "planted", condition=condition)


def test_a_separable_convex_quadratic_is_solved_in_one_step() -> None:
    objective = _Quadratic(coupled=False)
    objective.matrix = objective.matrix.abs()
    _optimizer(objective, lr=1.0, epsilon=0.0).step(objective.loss)
    left = objective.gradient(objective.vector.detach())
    scale = float(objective.slope.norm() + (objective.matrix @ objective.start).norm())
    condition = float(torch.linalg.cond(objective.matrix))
    assert_close(left, torch.zeros_like(left), "the gradient vanishes", scale=scale, condition=condition)
    coupled = _Quadratic(coupled=True)
    _optimizer(coupled, lr=1.0, epsilon=0.0).step(coupled.loss)
    assert float(coupled.gradient(coupled.vector.detach()).norm()) > 1e-3


def test_a_loss_without_curvature_has_the_diagonal_zero() -> None:
    parameter = nn.Parameter(torch.ones(2).double())
    optimizer = AdaHessian([parameter], 0.1, epsilon=1.0, generator=generator("flat"))
    slope = torch.tensor([1.0, -2.0]).double()
    optimizer.step(lambda: slope @ parameter)
    assert_close(parameter.detach(), torch.ones(2).double() - 0.1 * slope, "a plain step")


def test_the_steps_on_a_network_use_its_hessian() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix, slope = hessian(problem).dense(), gradient(problem)
    z = drawn_signs(slope, 2, generator("signs"))
    estimate = (z * (z @ matrix)).mean(0)
    before = problem.vector
    for parameter in problem.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    optimizer = AdaHessian(problem.model.parameters(), 0.1, epsilon=0.1, samples=2, generator=generator("signs"))
    optimizer.step(lambda: problem.loss(problem.model(problem.inputs), problem.targets))
    expected = 0.1 * slope / (estimate.abs() + 0.1)
    assert_close(before - problem.vector, expected, "the step", condition=10 * float(matrix.norm() + before.norm()))
    assert all(p.grad is not None and p.grad.eq(1).all() for p in problem.parameters.values())
    assert_apart(before - problem.vector, 0.1 * slope / (matrix.diagonal().abs() + 0.1), "the exact diagonal")


# --- averages over blocks --------------------------------------------------------------------------


def test_blocks_are_averaged_with_their_sign() -> None:
    values = torch.arange(7.0).double() * torch.tensor([1.0, -1, 1, -1, 1, -1, 1]).double()
    expected = torch.tensor([1, 1, 1, -4 + 0.0, -4, -4, 6]).double()
    expected[:3], expected[3:6] = (0 - 1 + 2) / 3, (-3 + 4 - 5) / 3
    assert_close(block_means(values, 3), expected, "blocks of three, and one of one")
    assert torch.equal(block_means(values, 1), values)
    assert torch.equal(block_means(values, "kernel"), values)
    assert_apart(block_means(values, 3), block_means(values.abs(), 3), "moduli")
    kernels = _normal("kernels", 4, 3, 2, 5)
    assert_close(block_means(kernels, "kernel"), kernels.mean((2, 3), keepdim=True).expand_as(kernels), "kernels", size=120)
    assert_apart(block_means(kernels, "kernel"), kernels.mean((0, 1), keepdim=True).expand_as(kernels), "channels")


# --- the short form --------------------------------------------------------------------------------


def test_the_short_form_has_no_value_where_the_diagonal_is_negative() -> None:
    problem, decay = zoo_problem("mlp-tanh-gaussian"), 0.9
    problem = problem.at(3 * problem.vector)
    diagonal, slope = hessian(problem).diagonal(), gradient(problem)
    negative = diagonal < -1e-6
    assert bool(negative.any()), "the problem must be indefinite"
    step = averaged_diagonal_step(slope, (1 - decay) * diagonal, 1.0, 1e-8)
    assert torch.equal(step.isnan(), negative)
    assert bool((slope / (diagonal.abs() + 1e-8)).isfinite().all())  # the paper's first step
    assert not bool(averaged_diagonal_step(slope, (1 - decay) * diagonal.abs(), 1.0, 1e-8).isnan().any())


def test_the_short_form_divides_by_the_root_of_a_curvature() -> None:
    objective = _Quadratic(coupled=False)
    diagonal, slope = objective.matrix.diagonal().abs(), objective.slope
    short, full = averaged_diagonal_step(slope, diagonal, 1.0, 0.0), -slope / diagonal
    assert_close(short, full * diagonal.sqrt(), "g over the root of the diagonal")
    # in other units of one parameter, x = s y, the step of the paper keeps its place and the short one does not
    s = 1 + _normal("units", 17).abs()
    scaled = averaged_diagonal_step(s * slope, s**2 * diagonal, 1.0, 0.0)
    assert_close(s * (-(s * slope) / (s**2 * diagonal)), full, "Newton's step by coordinate")
    assert_close(scaled, short, "the short form moves y by as much as x")
    assert_apart(s * scaled, short, "and hence x by something else")


# --- the loop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("forget", [None, "generator", "state"])
def test_a_resumed_run_is_the_same_bit_for_bit(forget: str | None) -> None:
    objective, twin = _Quadratic(True), _Quadratic(True)
    optimizer = _optimizer(objective, hessian_every=2)
    for _ in range(3):
        optimizer.step(objective.loss)
    with torch.no_grad():
        for mine, other in zip(twin.parameters, objective.parameters, strict=True):
            mine.copy_(other)
    saved = copy.deepcopy(optimizer.state_dict())
    resumed = AdaHessian(twin.parameters, 0.1, hessian_every=2, generator=generator("another"))
    if forget == "state":
        saved["state"], saved["param_groups"][0]["steps"] = {}, 0
    elif forget is not None:
        del saved[forget]
    resumed.load_state_dict(saved)
    for _ in range(3):
        optimizer.step(objective.loss)
        resumed.step(twin.loss)
    assert torch.equal(objective.vector, twin.vector) is (forget is None)


def test_groups_have_their_own_options_and_frozen_parameters_stay() -> None:
    objective, twin = _Quadratic(False), _Quadratic(False)
    first, second = objective.parameters
    groups: list[Any] = [{"params": [first]}, {"params": [second], "lr": 0.05}]
    AdaHessian(groups, 0.1, generator=generator("signs")).step(objective.loss)
    _optimizer(twin).step(twin.loss)
    assert torch.equal(first, twin.parameters[0])
    start = twin.start[12:]
    assert_close(second.detach() - start, (twin.parameters[1].detach() - start) / 2, "half as long", condition=100.0)
    frozen = _Quadratic(False)
    frozen.parameters[1].requires_grad_(False)
    _optimizer(frozen).step(frozen.loss)
    assert torch.equal(frozen.parameters[1], frozen.start[12:])


def test_the_global_random_state_is_not_touched() -> None:
    state, objective = torch.random.get_rng_state(), _Quadratic(True)
    _optimizer(objective).step(objective.loss)
    assert torch.equal(torch.random.get_rng_state(), state)


def _problem_step(closure: Callable[[], Tensor] | None) -> None:
    AdaHessian([nn.Parameter(torch.ones(1))], 0.1, generator=generator("none")).step(closure)


def test_a_step_needs_a_loss_to_differentiate() -> None:
    with pytest.raises(UnsupportedError, match="returns the loss without backward"):
        _problem_step(None)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lr": -1.0}, "lr must not"), ({"epsilon": math.nan}, "epsilon must not"),
     ({"weight_decay": -1.0}, "weight_decay must not"), ({"betas": (0.9, 1.0)}, "betas must lie"),
     ({"hessian_power": 1.1}, "hessian_power must lie"), ({"samples": 0}, "samples is a number"),
     ({"hessian_every": 0}, "hessian_every is"), ({"block": 0}, "block is a number"),
     ({"block": "row"}, "block is a number"), ({"generator": None}, "global random state")],
)  # fmt: skip
def test_senseless_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        _optimizer(_Quadratic(True), **options)

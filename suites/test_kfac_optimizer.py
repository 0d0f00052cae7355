"""The K-FAC optimiser takes the steps that the reference factors prescribe, and keeps its promises about the training loop."""

import copy
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from fishergauge.reference import (
    Facts,
    Problem,
    ProblemError,
    UndefinedError,
    UnsupportedError,
    empirical_fisher,
    gradient,
    kfac,
)
from fishergauge.reference.factored_blocks import FactoredBlocks
from fishergauge.reference.kfac import KroneckerFactored
from fishergauge.reference.optimizers.factor_sums import Labels
from fishergauge.reference.optimizers.factored_damping import damped_inverses
from fishergauge.reference.optimizers.kfac import Kfac
from fishergauge.reference.optimizers.kl_clipping import kl_clip
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import assert_untouched, problem_state, state_of
from fishergauge.suites.zoo import Setting, zoo_problem

LEVEL = 1e-6
NAMES = [
    "scalar-regression", "sizes-of-one", "softmax-uneven-batches", "mlp-tanh-softmax", "mlp-tanh-gaussian",
    "mlp-sigmoid-binary", "mlp-relu-softmax", "frozen-first-layer", "loss-per-position", "pooled-positions", "conv1d-tagging",
    "masked-labels", "class-weights", "soft-targets", "positive-weights",
]  # fmt: skip
every_problem = pytest.mark.parametrize("name", [*NAMES, "images"])


def _images(s: Setting) -> Problem:
    """Convolutions with stride, padding and dilation that differ between the axes, then a classifier."""

    def model() -> nn.Module:
        first = nn.Conv2d(2, 3, (3, 2), stride=(2, 1), dilation=(1, 2), padding=(1, 0))
        return nn.Sequential(first, nn.Tanh(), nn.Conv2d(3, 2, 3, padding="same"), nn.Flatten(), nn.Linear(12, 3))

    return s.problem(model, nn.CrossEntropyLoss(), [(s.normal(6, 2, 4, 5), s.labels(3, 6))], Facts(weight_sharing=True))


def _problem(name: str, dtype: torch.dtype = torch.float64) -> Problem:
    """A problem whose model is in training mode."""
    problem = _images(Setting("kfac images", dtype)) if name == "images" else zoo_problem(name, dtype=dtype)
    problem.model.train()
    return problem


def _kfac(problem: Problem, **options: Any) -> Kfac:
    return Kfac(problem.model, problem.loss, **{"lr": 1.0, "damping": 0.0, "labels": "exact", **options})


def _pass(
    problem: Problem, optimizer: torch.optim.Optimizer, inputs: Tensor | None = None, targets: Tensor | None = None
) -> None:
    """Zero the gradients, and one training pass over some data, or all."""
    optimizer.zero_grad()
    inputs, targets = (problem.inputs, problem.targets) if inputs is None or targets is None else (inputs, targets)
    problem.loss(problem.model(inputs), targets).backward()


def _moved(problem: Problem, optimizer: torch.optim.Optimizer, steps: int = 1) -> Tensor:
    """What steps over all data subtract from the parameters."""
    before = problem.vector
    for _ in range(steps):
        _pass(problem, optimizer)
        optimizer.step()
    return before - problem.vector


def _compare_factors(optimizer: Kfac, expected: KroneckerFactored) -> None:
    assert list(optimizer.factors) == list(expected.factors)
    for name, block in optimizer.factors.items():
        wanted = expected.factors[name]
        assert (block.weight, block.bias, block.joint) == (wanted.weight, wanted.bias, wanted.joint)
        assert_close(block.input_factor, wanted.input_factor, f"A of {name}")
        assert_close(block.output_factor, wanted.output_factor, f"G of {name}", size=expected.shape[0])


def _condition(matrix: FactoredBlocks, damping: float = 0.0) -> float:
    """The largest condition number of a block on its range."""
    condition = 1.0
    for piece in matrix.pieces:
        values = torch.linalg.eigvalsh(piece.dense())
        kept = values[values > 1e-10 * values.max()]
        condition = max(condition, float(values.max() + damping) / (damping or float(kept.min())))
    return condition


# --- factors ---------------------------------------------------------------------------------------


@every_problem
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_factors_of_one_batch_are_those_of_the_reference(name: str, dtype: torch.dtype) -> None:
    problem = _problem(name, dtype)
    with _kfac(problem) as optimizer:
        expected = kfac(problem, "ggn")
        _pass(problem, optimizer)
        optimizer.step()
    _compare_factors(optimizer, expected)
    with pytest.raises(ClaimViolated):  # empirical in place of exact
        _compare_factors(optimizer, kfac(_problem(name, dtype), "empirical-fisher"))


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-sigmoid-binary", "loss-per-position", "conv1d-tagging", "images"])
def test_observed_labels_give_the_empirical_fisher(name: str) -> None:
    problem = _problem(name)
    expected, other = kfac(problem, "empirical-fisher"), kfac(problem, "ggn")
    with _kfac(problem, labels="observed") as optimizer:
        _pass(problem, optimizer)
        optimizer.step()
    _compare_factors(optimizer, expected)
    with pytest.raises(ClaimViolated):
        _compare_factors(optimizer, other)


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_a_frozen_part_of_a_layer_leaves_the_block_of_the_other(part: str) -> None:
    problem = _problem("mlp-tanh-softmax")
    problem.model.get_parameter(f"0.{part}").requires_grad_(False)
    expected, direction = kfac(problem, "ggn"), gradient(problem)
    with _kfac(problem, damping=0.1) as optimizer:
        assert_close(
            _moved(problem, optimizer), expected.solve(direction, 0.1), "the step", condition=_condition(expected, 0.1)
        )
    _compare_factors(optimizer, expected)


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "masked-labels", "mlp-tanh-gaussian", "class-weights"])
def test_micro_batches_are_one_batch(name: str) -> None:
    problem = _problem(name)
    expected, pieces = kfac(problem, "ggn"), [slice(0, 3), slice(3, None)]
    divisors = [problem.likelihood.divisor(problem.outputs[piece], problem.targets[piece]) for piece in pieces]
    with _kfac(problem, damping=0.1) as optimizer:
        wanted = expected.solve(gradient(problem), 0.1)
        before = problem.vector
        for piece, divisor in zip(pieces, divisors, strict=True):
            loss = problem.loss(problem.model(problem.inputs[piece]), problem.targets[piece])
            (loss * divisor / sum(divisors)).backward()
        optimizer.step()
    _compare_factors(optimizer, expected)
    assert_close(before - problem.vector, wanted, "the step", condition=_condition(expected, 0.1))
    last = Problem(problem.model, problem.loss, [(problem.inputs[3:], problem.targets[3:])])
    with pytest.raises(ClaimViolated):  # the last micro-batch alone
        _compare_factors(optimizer, kfac(last.at(before), "ggn"))


def test_micro_batches_under_sum_add_up() -> None:
    problem = _problem("mlp-tanh-softmax")
    problem = Problem(problem.model, nn.CrossEntropyLoss(reduction="sum"), problem.batches)
    expected = kfac(problem, "ggn")
    with _kfac(problem) as optimizer:
        for piece in (slice(0, 2), slice(2, None)):
            problem.loss(problem.model(problem.inputs[piece]), problem.targets[piece]).backward()
        optimizer.step()
    _compare_factors(optimizer, expected)


@pytest.mark.parametrize("kind", ["categorical", "gaussian", "binary", "several terms"])
def test_factors_from_sampled_labels_are_unbiased(kind: str, note: Note) -> None:
    s, repetitions, samples = Setting(f"kfac sampled {kind}"), 60, 400
    shape = (samples, 3, 2) if kind == "several terms" else (samples, 2)
    loss, targets = {
        "categorical": (nn.CrossEntropyLoss(), s.labels(3, samples)),
        "gaussian": (nn.MSELoss(), s.normal(samples, 3)),
        "binary": (nn.BCEWithLogitsLoss(), s.binary(samples, 3)),
        "several terms": (nn.MSELoss(), s.normal(samples, 3, 3)),
    }[kind]
    model = lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 3))  # noqa: E731
    problem = s.problem(model, loss, [(s.normal(*shape), targets)], Facts())
    problem.model.train()
    exact = kfac(problem).factors
    estimates = []
    with _kfac(problem, lr=0.0, decay=0.0, labels="sampled", samples=4, generator=generator("kfac", kind)) as optimizer:
        for _ in range(repetitions):
            _pass(problem, optimizer)
            optimizer.step()
            estimates.append(torch.cat([block.output_factor.flatten() for block in optimizer.factors.values()]))
    expected = torch.cat([block.output_factor.flatten() for block in exact.values()])
    drawn = torch.stack(estimates)
    error = drawn.std(0) / repetitions**0.5
    critical = float(stats.t.isf(LEVEL / (2 * len(expected)), repetitions - 1))
    statistic = (drawn.mean(0) - expected) / error
    assert bool((statistic.abs() <= critical).all()), f"t = {statistic.tolist()}, critical {critical:.1f}"
    trace = torch.cat([torch.eye(len(b.output_factor)).flatten().double() for b in exact.values()])
    deviation = float((drawn @ trace).std() / repetitions**0.5 / (expected @ trace))
    detectable = deviation * (critical + float(stats.norm.isf(LEVEL)))
    note(f"sampled K-FAC factors, {kind}: a bias of {detectable:.1%} of the traces would be seen")
    assert detectable < 0.05
    wrong = (drawn.mean(0) - 1.5 * expected) / error  # factor 3/2; every test of this kind must see it
    assert bool((wrong.abs() > critical).any())
    observed = torch.cat([b.output_factor.flatten() for b in kfac(problem, "empirical-fisher").factors.values()])
    assert bool((((drawn.mean(0) - observed) / error).abs() > critical).any())


class _Merging(nn.Module):
    """The six positions of the first layer become three terms, each of which sees those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.first(inputs).unflatten(1, (3, 2)).mean(2))
        return outputs.cumsum(1).movedim(2, 1)


@pytest.mark.parametrize("labels", ["exact", "observed"])
def test_the_positions_of_a_sample_count_if_any_of_its_terms_does(labels: Labels) -> None:
    s = Setting("kfac masked positions")
    targets = torch.tensor([[0, -100, 2], [-100, -100, -100], [1, 1, 0], [-100, 2, -100]])
    problem = s.problem(_Merging, nn.CrossEntropyLoss(), [(s.normal(4, 6, 2), targets)], Facts(weight_sharing=True))
    problem.model.train()
    with _kfac(problem, lr=0.0, labels=labels) as optimizer:
        expected = kfac(problem, "ggn" if labels == "exact" else "empirical-fisher")
        _moved(problem, optimizer)
    _compare_factors(optimizer, expected)
    unmasked = Problem(problem.model, problem.loss, [(problem.inputs, targets.clamp(min=0))])
    with pytest.raises(ClaimViolated):
        _compare_factors(optimizer, kfac(unmasked, "ggn"))


def test_masked_samples_have_no_part_in_sampled_factors() -> None:
    problem = _problem("masked-labels")
    masked = ~problem.likelihood.present(problem.targets)
    assert bool(masked.any())
    found = []
    for chosen in (torch.zeros_like(masked), masked, ~masked):
        inputs = problem.inputs + chosen[:, None]
        with _kfac(problem, lr=0.0, labels="sampled", generator=generator("masked")) as optimizer:
            _pass(problem, optimizer, inputs, problem.targets)
            optimizer.step()
        found.append(
            torch.cat([part.flatten() for b in optimizer.factors.values() for part in (b.input_factor, b.output_factor)])
        )
    assert_close(found[1], found[0], "masked inputs moved")
    assert_apart(found[2], found[0], "inputs that count moved")


# --- one step --------------------------------------------------------------------------------------


@every_problem
@pytest.mark.parametrize("damping", [0.0, 0.03])
def test_one_step_is_the_solution_of_the_reference(name: str, damping: float) -> None:
    problem = _problem(name)
    matrix, direction = kfac(problem, "ggn"), gradient(problem)
    condition = _condition(matrix, damping)
    with _kfac(problem, lr=0.5, damping=damping) as optimizer:
        moved = _moved(problem, optimizer)
    assert_close(moved, 0.5 * matrix.solve(direction, damping), "the step", condition=condition)
    if damping and name != "sizes-of-one":  # factored damping is not exact damping
        with pytest.raises(ClaimViolated):
            assert_close(moved, 0.5 * matrix.solve_exactly(direction, damping), "planted", condition=condition)


def test_pi_is_balanced_unless_told_otherwise() -> None:
    problem = _problem("mlp-tanh-softmax")
    matrix, direction = kfac(problem, "ggn"), gradient(problem)
    start = problem.vector
    for balanced in (True, False):
        same = problem.at(start)
        with _kfac(same, damping=0.03, balanced=balanced) as optimizer:
            moved = _moved(same, optimizer)
        bound = _condition(matrix, 0.03)
        assert_close(moved, matrix.solve(direction, 0.03, pi=balanced), "the step", condition=bound)
        assert_apart(moved, matrix.solve(direction, 0.03, pi=not balanced), "the other pi")


def _summed_pi(A: Tensor, G: Tensor, damping: float) -> Tensor:
    """Planted defect D40: pi from the sum of all entries."""
    pi = math.sqrt(float((A.sum() / len(A)) / (G.sum() / len(G))))
    root = math.sqrt(damping)
    outer, inner = torch.eye(len(G)).to(G), torch.eye(len(A)).to(A)
    return torch.kron(torch.linalg.inv(G + root / pi * outer), torch.linalg.inv(A + pi * root * inner))


def _damped(A: Tensor, G: Tensor, damping: float) -> Tensor:
    inner, outer = damped_inverses(A, G, damping)
    return torch.kron(outer, inner)


def test_the_damped_inverse_depends_on_the_product_alone_and_turns_with_the_basis() -> None:
    s = Setting("pi damping")
    A, G = (rows.T @ rows + 0.5 * torch.ones(len(rows.T)).double() for rows in (s.normal(6, 3), s.normal(9, 4)))
    Q, R = (torch.linalg.qr(s.normal(n, n))[0] for n in (3, 4))
    inverse = _damped(A, G, 0.1)
    condition = float(torch.linalg.cond(A) * torch.linalg.cond(G))
    assert_close(_damped(7 * A, (G / 7).contiguous(), 0.1), inverse, "rescaled factors", condition=condition)
    turned, back = _damped(Q @ A @ Q.T, R @ G @ R.T, 0.1), torch.kron(R, Q)
    assert_close(back.T @ turned @ back, inverse, "rotated factors", condition=condition)
    wrong = _summed_pi(A, G, 0.1)
    assert_apart(
        back.T @ _summed_pi(Q @ A @ Q.T, R @ G @ R.T, 0.1) @ back, wrong, "the sum of all entries is not rotated along"
    )
    whole = torch.kron(G, A)
    unbalanced = torch.kron(*(damped_inverses(7 * A, G / 7, 0.1, balanced=False)[::-1]))
    assert_apart(unbalanced, torch.kron(*(damped_inverses(A, G, 0.1, balanced=False)[::-1])), "pi of one")
    assert_close(inverse.T, inverse, "symmetric", condition=condition)
    assert_close(_damped(A, G, 0.0) @ whole, torch.eye(12).double(), "undamped inverse", condition=condition)


def test_a_factor_that_rounding_makes_indefinite_is_inverted_all_the_same() -> None:
    factor = torch.diag(torch.tensor([1.0, -1e-9])).double()
    inverse, _ = damped_inverses(factor, torch.eye(1).double(), 1e-24)
    expected = 1 / (torch.tensor([1.0, 0.0]).double() + math.sqrt(1e-24 / 2) * torch.ones(2).double() * math.sqrt(1 - 1e-9))
    assert_close(inverse.diagonal(), expected, "clamped at zero", condition=2.0)


@pytest.mark.parametrize(("limit", "clipped"), [(1e-3, True), (1e6, False)])
def test_a_clipped_step_has_the_prescribed_divergence(limit: float, clipped: bool) -> None:
    problem = _problem("mlp-tanh-gaussian")
    matrix, direction = kfac(problem, "ggn"), gradient(problem)
    with _kfac(problem, lr=0.5, kl_limit=limit) as optimizer:
        moved = _moved(problem, optimizer)
    full = 0.5 * matrix.solve(direction)
    nu = min(1.0, math.sqrt(limit / float(0.25 * (direction @ matrix.solve(direction)))))
    condition = _condition(matrix)
    assert_close(moved, nu * full, "the step", condition=condition)
    assert (nu < 1) is clipped
    if clipped:  # without damping s'Fs is kappa itself, twice the divergence of the quadratic model
        assert_close(moved @ (matrix @ moved), moved.new_tensor(limit), "s'Fs", condition=condition)
        with pytest.raises(ClaimViolated):  # clipped before the length counts
            assert_close(
                moved, math.sqrt(limit / float(direction @ matrix.solve(direction))) * full, "planted", condition=condition
            )


def test_the_clipping_factor_needs_a_decrease() -> None:
    assert kl_clip([torch.tensor(-1.0)], 1.0, 1.0) == kl_clip([], 1.0, 1.0) == kl_clip([torch.tensor(4.0)], 0.0, 1.0) == 1.0
    assert kl_clip([torch.tensor(4.0)], 1.0, None) == 1.0
    assert kl_clip([torch.tensor(4.0), torch.tensor(12.0)], 0.5, 1.0) == 0.5


# --- several steps ---------------------------------------------------------------------------------


def _simulated(problem: Problem, batches: list[tuple[Tensor, Tensor]], **o: Any) -> list[Tensor]:
    """The parameters after each step, by the formulas: running averages, damping, momentum, weight decay, schedules."""
    beta, mu, w, damping, lr = o["decay"], o["momentum"], o["weight_decay"], o["damping"], o["lr"]
    theta, velocity, held, taken = problem.vector, torch.zeros_like(problem.vector), None, 0
    averages: dict[str, Any] = {}
    path = []
    for k, batch in enumerate(batches):
        here = Problem(problem.at(theta).model, problem.loss, [batch])
        if k % o["statistics_every"] == 0:
            taken += 1
            weight = min(1 - 1 / taken, beta)
            for name, block in kfac(here, "ggn").factors.items():
                new = block.input_factor, block.output_factor
                old = averages.get(name, new)
                averages[name] = tuple(weight * a + (1 - weight) * b for a, b in zip(old, new, strict=True))
        if k % o["inverse_every"] == 0:
            held = _assembled(here, averages, damping + w)
        assert held is not None
        velocity = mu * velocity + held @ (gradient(here) + w * theta)
        theta = theta - lr * velocity
        path.append(theta)
    return path


def _assembled(problem: Problem, factors: dict[str, Any], damping: float) -> Tensor:
    """The damped inverse as a dense matrix, layers with all biases trained, from G kron A over [W, b]."""
    inverses = []
    for name, (A, G) in factors.items():
        module = problem.model.get_submodule(name)
        D, width = len(A) - 1, len(G)
        order = torch.arange(width * (D + 1)).view(width, D + 1)
        places = torch.cat([order[:, :D].flatten(), order[:, D]])
        assert isinstance(module, nn.Linear)
        inverses.append(_damped(A, G, damping)[places][:, places])
    matrix: Tensor = torch.block_diag(*inverses)  # type: ignore[no-untyped-call]
    return matrix


OPTIONS = {
    "lr": 0.3,
    "damping": 0.1,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "decay": 0.6,
    "statistics_every": 1,
    "inverse_every": 1,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "averages": {},
    "momentum": {"momentum": 0.7},
    "weight decay": {"weight_decay": 0.05},
    "statistics every second step": {"statistics_every": 2},
    "inverse every third step": {"inverse_every": 3},
    "both": {"statistics_every": 2, "inverse_every": 3, "momentum": 0.5, "weight_decay": 0.02},
}


def _path(problem: Problem, batches: list[tuple[Tensor, Tensor]], **options: Any) -> list[Tensor]:
    path = []
    with _kfac(problem, **options) as optimizer:
        for batch in batches:
            _pass(problem, optimizer, *batch)
            optimizer.step()
            path.append(problem.vector)
    return path


@cache
def _expected(variant: str) -> list[Tensor]:
    problem = _problem("mlp-tanh-softmax")
    return _simulated(problem, _batches(problem), **{**OPTIONS, **VARIANTS[variant]})


def _batches(problem: Problem, count: int = 7, size: int = 4) -> list[tuple[Tensor, Tensor]]:
    chosen = [torch.randperm(problem.num_samples, generator=generator("batches", k))[:size] for k in range(count)]
    return [(problem.inputs[c], problem.targets[c]) for c in chosen]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_follows_the_formulas(variant: str) -> None:
    problem = _problem("mlp-tanh-softmax")
    options, start, batches = {**OPTIONS, **VARIANTS[variant]}, problem.vector, _batches(problem)
    path = _path(problem, batches, **options)
    # damped by 0.1, a step amplifies rounding by the condition number at most, and there are seven of them
    condition = len(batches) * 10 * max(1.0, float(kfac(problem.at(start), "ggn").dense().norm()))
    for taken, expected in zip(path, _expected(variant), strict=True):
        assert_close(taken, expected, variant, condition=condition)
    for other in VARIANTS:
        if other != variant:  # each option makes a difference that the comparison sees
            with pytest.raises(ClaimViolated):
                assert_close(path[-1], _expected(other)[-1], other, condition=condition)


def test_the_averages_are_uniform_until_the_decay_takes_over() -> None:
    problem = _problem("mlp-tanh-softmax")
    batches = _batches(problem, 4)
    singles = [kfac(Problem(problem.model, problem.loss, [b]), "ggn").factors["0"].output_factor for b in batches]
    with _kfac(problem, lr=0.0, decay=0.75) as optimizer:
        for k, batch in enumerate(batches, 1):
            _pass(problem, optimizer, *batch)
            optimizer.step()
            assert_close(optimizer.factors["0"].output_factor, torch.stack(singles[:k]).mean(0), f"mean of {k}", size=30)
        _pass(problem, optimizer, *batches[0])
        optimizer.step()
    mean = torch.stack(singles).mean(0)
    assert_close(optimizer.factors["0"].output_factor, 0.75 * mean + 0.25 * singles[0], "then exponential", size=30)
    assert_apart(optimizer.factors["0"].output_factor, 0.8 * mean + 0.2 * singles[0], "uniform for ever")


def test_a_linear_model_under_squared_error_is_solved_in_one_step() -> None:
    problem = _problem("linear-regression")
    with _kfac(problem) as optimizer:
        _moved(problem, optimizer)
    residual = gradient(problem)
    scale = float(kfac(problem).dense().norm() * problem.vector.norm())
    assert_close(
        residual, torch.zeros_like(residual), "the gradient vanishes", scale=scale, condition=_condition(kfac(problem))
    )


# --- resuming --------------------------------------------------------------------------------------


@pytest.mark.parametrize("forget", [None, "generator", "state"])
def test_a_resumed_run_is_the_same_bit_for_bit(forget: str | None) -> None:
    options = {**OPTIONS, "momentum": 0.5, "inverse_every": 2, "labels": "sampled"}
    problem = _problem("mlp-tanh-softmax")
    batches = _batches(problem)
    with _kfac(problem, **options, generator=generator("resume")) as optimizer:
        for batch in batches[:3]:
            _pass(problem, optimizer, *batch)
            optimizer.step()
        saved = copy.deepcopy(optimizer.state_dict())
        middle = problem.at(problem.vector)
        for batch in batches[3:]:
            _pass(problem, optimizer, *batch)
            optimizer.step()
    if forget == "state":
        saved["state"] = {}
        saved["param_groups"][0].update(steps=0, averaged=0)
    elif forget is not None:
        del saved[forget]
    with _kfac(middle, **options, generator=generator("another")) as resumed:
        resumed.load_state_dict(saved)
        for batch in batches[3:]:
            _pass(middle, resumed, *batch)
            resumed.step()
    assert torch.equal(middle.vector, problem.vector) is (forget is None)


def test_the_learning_rate_can_be_scheduled() -> None:
    problem = _problem("mlp-tanh-softmax")
    with _kfac(problem, damping=0.1) as optimizer:
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        first = _moved(problem, optimizer)
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == 0.5
        matrix, direction, before = kfac(problem, "ggn"), gradient(problem), problem.vector
        _pass(problem, optimizer)
        optimizer.param_groups[0]["decay"] = 0.0
        optimizer.step()
        expected = 0.5 * matrix.solve(direction, 0.1)
    assert_close(before - problem.vector, expected, "half the step", condition=_condition(matrix, 0.1))
    assert_apart(first, expected, "the first step")


def test_a_closure_is_evaluated_once_and_its_value_returned() -> None:
    problem, twin = _problem("mlp-tanh-softmax"), _problem("mlp-tanh-softmax")
    calls: list[Any] = []
    with _kfac(problem, damping=0.1) as optimizer, _kfac(twin, damping=0.1) as plain:

        def closure() -> Any:
            optimizer.zero_grad()
            loss: Any = problem.loss(problem.model(problem.inputs), problem.targets)
            loss.backward()
            calls.append(loss)
            return loss

        assert optimizer.step(closure) is calls[0]
        _moved(twin, plain)
        assert len(calls) == 1
        assert torch.equal(problem.vector, twin.vector)
        assert plain.step.__name__ == "step"


# --- the training loop -----------------------------------------------------------------------------


def test_nothing_is_left_behind_after_closing() -> None:
    problem = _problem("images")
    before = state_of(problem)
    optimizer = _kfac(problem, lr=0.0, labels="sampled", generator=generator("closing"))
    assert problem_state(problem)["hooks"] != before["hooks"]
    for parameter in problem.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    problem.loss(problem.model(problem.inputs), problem.targets)  # statistics, without a backward pass
    assert all(parameter.grad is not None and parameter.grad.eq(1).all() for parameter in problem.parameters.values())
    for parameter in problem.parameters.values():
        parameter.grad = None
    optimizer.close()
    optimizer.close()
    assert_untouched(problem, before)
    with pytest.raises(ProblemError, match="closed"):
        optimizer.step()


def _fail(problem: Problem) -> None:
    problem.loss(problem.model(problem.inputs), problem.targets)
    raise RuntimeError("midway")


def test_the_hooks_go_after_an_exception_too() -> None:
    problem = _problem("mlp-tanh-softmax")
    before = state_of(problem)
    with pytest.raises(RuntimeError, match="midway"), _kfac(problem):
        _fail(problem)
    assert_untouched(problem, before)


def test_gradients_and_outputs_are_those_without_the_optimiser() -> None:
    problem, twin = _problem("images"), _problem("images")
    with _kfac(problem, labels="observed"):
        value = problem.loss(problem.model(problem.inputs), problem.targets)
        value.backward()
    plain = twin.loss(twin.model(twin.inputs), twin.targets)
    plain.backward()
    assert torch.equal(value, plain)
    for mine, other in zip(problem.parameters.values(), twin.parameters.values(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert torch.equal(mine.grad, other.grad)


def _evaluate(problem: Problem) -> None:
    problem.model.eval()
    problem.loss(problem.model(problem.inputs + 1), problem.targets).backward()
    problem.model.train()


def _without_gradients(problem: Problem) -> None:
    with torch.no_grad():
        problem.loss(problem.model(problem.inputs + 1), problem.targets)


def _without_backward(problem: Problem) -> None:
    problem.loss(problem.model(problem.inputs + 1), problem.targets)


def _without_loss(problem: Problem) -> None:
    problem.model(problem.inputs + 1).sum().backward()


def _by_a_copy(problem: Problem) -> None:
    problem.loss(copy.deepcopy(problem.model)(problem.inputs + 1), problem.targets).backward()


@pytest.mark.parametrize("other", [_evaluate, _without_gradients, _without_backward, _without_loss, _by_a_copy])
@pytest.mark.parametrize("when", ["before", "after"])
def test_other_passes_are_not_recorded(other: Callable[[Problem], None], when: str) -> None:
    problem = _problem("mlp-tanh-softmax")
    expected = kfac(problem, "ggn")
    with _kfac(problem, lr=0.0) as optimizer:
        for moment in ("before", "after"):
            if moment == when:
                other(problem)
            if moment == "before":
                _pass(problem, optimizer)
        optimizer.step()
        _compare_factors(optimizer, expected)
        if other is _without_backward:  # the same pass counts once its gradient arrives
            problem.loss(problem.model(problem.inputs + 1), problem.targets).backward()
            optimizer.step()
            with pytest.raises(ClaimViolated):
                _compare_factors(optimizer, expected)


def test_calls_between_the_model_and_its_loss_go_unnoticed() -> None:
    problem = _problem("mlp-tanh-softmax")
    expected, other = kfac(problem, "empirical-fisher"), (problem.targets + 1) % 3
    with _kfac(problem, lr=0.0, labels="observed") as optimizer:
        outputs = problem.model(problem.inputs)
        copy.deepcopy(problem.model)(problem.inputs + 1)
        problem.loss(problem.outputs + 1, other)
        copy.deepcopy(problem.loss)(outputs, other)
        problem.loss(outputs, problem.targets).backward()
        optimizer.step()
        _compare_factors(optimizer, expected)
        halves = [problem.model(part) for part in torch.split(problem.inputs, 4)]  # both models first, then both losses
        for half, targets in zip(halves, torch.split(problem.targets, 4), strict=True):
            problem.loss(half, targets).backward()
        optimizer.step()
        _compare_factors(optimizer, expected)
        problem.loss(problem.model(problem.inputs), other).backward()
        optimizer.step()
    with pytest.raises(ClaimViolated):
        _compare_factors(optimizer, expected)


def test_a_pass_counts_once_however_often_it_is_differentiated() -> None:
    problem = _problem("mlp-tanh-softmax")
    with _kfac(problem, lr=0.0, labels="observed") as optimizer:
        problem.loss(problem.model(problem.inputs[:3] + 1), problem.targets[:3]).backward()
        outputs = problem.model(problem.inputs[3:])
        loss = problem.loss(outputs, problem.targets[3:])
        problem.loss(outputs, problem.targets[3:])
        loss.backward(retain_graph=True)
        loss.backward()
        optimizer.step()
    shift = torch.cat([torch.ones_like(problem.inputs[:3]), torch.zeros_like(problem.inputs[3:])])
    moved = Problem(problem.model, problem.loss, [(problem.inputs + shift, problem.targets)])
    _compare_factors(optimizer, kfac(moved, "empirical-fisher"))


def test_layers_may_be_followed_by_work_in_place() -> None:
    s = Setting("kfac in place")
    model = lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))  # noqa: E731
    problem = s.problem(model, nn.MSELoss(), [(s.normal(5, 3), s.normal(5, 2))], Facts())
    problem.model.train()
    expected = kfac(problem, "ggn")
    with _kfac(problem, lr=0.0) as optimizer:
        _pass(problem, optimizer)
        optimizer.step()
    _compare_factors(optimizer, expected)


def test_the_loss_may_be_called_by_keywords() -> None:
    problem = _problem("mlp-tanh-softmax")
    expected = kfac(problem, "ggn")
    with _kfac(problem, lr=0.0) as optimizer:
        problem.loss(input=problem.model(input=problem.inputs), target=problem.targets).backward()
        optimizer.step()
    _compare_factors(optimizer, expected)


def test_the_global_random_state_is_not_touched() -> None:
    problem = _problem("mlp-tanh-softmax")
    state = torch.random.get_rng_state()
    with _kfac(problem, labels="sampled", damping=0.1, generator=generator("own")) as optimizer:
        _moved(problem, optimizer, 2)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_running_averages_are_a_matrix_of_the_kit() -> None:
    problem = _problem("mlp-tanh-gaussian")
    with _kfac(problem, lr=0.0) as optimizer:
        assert optimizer.factors == {}
        _moved(problem, optimizer)
    matrix, exact = KroneckerFactored(problem, optimizer.factors).dense(), kfac(problem).dense()
    assert_close(matrix, exact, "G kron A of the optimiser")
    assert_apart(matrix, empirical_fisher(problem).block_diagonal(), "another matrix")


# --- refusals --------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "lr": ({"lr": -1.0}, "lr must not be negative"),
    "damping": ({"damping": -1.0}, "damping must not be negative"),
    "damping nan": ({"damping": math.nan}, "damping must not be negative"),
    "momentum": ({"momentum": -0.1}, "momentum must not"),
    "weight decay": ({"weight_decay": -0.1}, "weight_decay must not"),
    "decay": ({"decay": 1.0}, r"decay must lie in \[0, 1\)"),
    "statistics": ({"statistics_every": 0}, "statistics_every is a number of at least one"),
    "inverse": ({"inverse_every": 0}, "inverse_every is a number"),
    "samples": ({"samples": 0}, "samples is a number"),
    "limit": ({"kl_limit": 0.0}, "kl_limit must be positive"),
    "labels": ({"labels": "argmax"}, "labels is one of 'sampled', 'observed', 'exact', not 'argmax'"),
    "generator": ({"labels": "sampled"}, "global random state is not touched"),
}


@pytest.mark.parametrize("case", BAD)
def test_senseless_options_are_refused(case: str) -> None:
    problem = _problem("mlp-tanh-softmax")
    before = state_of(problem)
    options, message = BAD[case]
    with pytest.raises(ProblemError, match=message):
        _kfac(problem, **options)
    assert_untouched(problem, before)


@pytest.mark.parametrize(
    ("name", "message"),
    [("prelu", "PReLU.* owns the trained"), ("batch-norm", "BatchNorm1d"), ("cnn", "groups=2"), ("tied-autoencoder", "is tied"),
     ("attention", "Embedding.*optimiser of their own")],
)  # fmt: skip
def test_models_that_the_factors_do_not_cover_are_refused(name: str, message: str) -> None:
    problem = _problem(name)
    before = problem_state(problem)["hooks"]
    with pytest.raises(UnsupportedError, match=message):
        _kfac(problem)
    assert problem_state(problem)["hooks"] == before


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(self.layer(inputs))
        return outputs


def test_what_a_pass_must_not_do_is_refused() -> None:
    s = Setting("kfac refusals")
    x, y = s.normal(4, 2), s.normal(4, 2)
    twice, loss = s.module(_Twice).train(), nn.MSELoss()
    with Kfac(twice, loss, 1.0, 0.1, labels="exact"), pytest.raises(UnsupportedError, match="used 2 times"):
        loss(twice(x), y)
    model = s.module(lambda: nn.Linear(2, 2)).train()
    with Kfac(model, loss, 1.0, 0.1, labels="exact") as optimizer:
        with pytest.warns(UserWarning, match="broadcast"), pytest.raises(ProblemError, match="broadcast"):
            loss(model(x), y[:, :1])
        nn.functional.mse_loss(model(x), y).backward()  # type: ignore[no-untyped-call]
        with pytest.raises(ProblemError, match="call the loss module itself"):
            optimizer.step()
        with pytest.raises(UnsupportedError, match="build a new Kfac"):
            optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    convolution = s.module(lambda: nn.Conv2d(2, 2, 1)).train()
    with Kfac(convolution, loss, 1.0, 0.1, labels="exact"), pytest.raises(UnsupportedError, match="batch axis"):
        convolution(s.normal(2, 3, 3))


def test_labels_are_not_drawn_where_there_is_no_likelihood() -> None:
    problem = _problem("class-weights")
    with _kfac(problem, labels="sampled", generator=generator("none")), pytest.raises(UndefinedError, match="class weights"):
        problem.loss(problem.model(problem.inputs), problem.targets)


def test_a_layer_without_gradients_stays() -> None:
    problem = _problem("mlp-tanh-softmax")
    with _kfac(problem, damping=0.1, weight_decay=0.1) as optimizer:
        _pass(problem, optimizer)
        problem.model.get_parameter("0.weight").grad = problem.model.get_parameter("0.bias").grad = None
        before = problem.vector
        optimizer.step()
    changed = {
        name: not torch.equal(part, problem.unflatten(problem.vector)[name]) for name, part in problem.unflatten(before).items()
    }
    assert changed == {name: not name.startswith("0.") for name in changed}

"""The steps of Shampoo are those of its closed forms, for parameters of any order."""

import copy
from typing import Any

import pytest
import torch
from scipy import linalg
from torch import Tensor, nn

from fishergauge.reference import ProblemError
from fishergauge.reference.optimizers.shampoo import Shampoo, damped_power, mode_products
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close, rounding_bound
from fishergauge.suites.seeding import generator

SHAPES = [(), (1,), (5,), (3, 4), (4, 3), (3, 3), (1, 4), (2, 3, 4), (3, 1, 2, 2), (2, 2, 2, 2, 2)]
EPSILON = 0.1
every_shape = pytest.mark.parametrize("shape", SHAPES)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def _normal(name: str, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator("shampoo", name), dtype=torch.float64).to(dtype)


def _moved(gradients: list[Tensor], **options: Any) -> Tensor:
    """What the last of several steps subtracts from zeros."""
    parameter = nn.Parameter(torch.zeros_like(gradients[0]))
    optimizer = Shampoo([parameter], **{"lr": 1.0, "epsilon": EPSILON, **options})
    before = parameter.detach().clone()
    for gradient in gradients:
        before = parameter.detach().clone()
        parameter.grad = gradient.clone()
        optimizer.step()
    return before - parameter.detach()


def _dense(gradients: list[Tensor], epsilon: float, exponent: float | None = None, sequential: bool = False) -> Tensor:
    """The step as one Kronecker product of dense roots by scipy, from loops over the entries of each unfolding.

    With ``sequential`` the statistics of a mode are those of a gradient already multiplied by the roots before it (planted).
    """
    shape = gradients[-1].shape or (1,)
    exponent = -1 / (2 * len(shape)) if exponent is None else exponent
    current = [gradient.reshape(shape) for gradient in gradients]
    roots = []
    for mode, size in enumerate(shape):
        statistics = epsilon * torch.eye(size, dtype=torch.float64)
        for gradient in current:
            slices = torch.unbind(gradient, mode)
            for i in range(size):
                for j in range(size):
                    statistics[i, j] += (slices[i] * slices[j]).sum()
        roots.append(torch.as_tensor(linalg.fractional_matrix_power(statistics.numpy(), exponent)))
        if sequential:
            current = [torch.tensordot(g, roots[-1], dims=([mode], [0])).movedim(-1, mode) for g in current]
    product = torch.ones(1, 1, dtype=torch.float64)
    for root in roots:
        product = torch.kron(product, root.contiguous())
    return (product @ gradients[-1].flatten()).view_as(gradients[-1])


def _condition(gradients: list[Tensor], epsilon: float) -> float:
    """Of the whole preconditioner: each of its k factors is at most the 2k-th root of this."""
    return float(sum(gradient.norm() ** 2 for gradient in gradients)) / epsilon + 1


@every_shape
@every_dtype
def test_steps_are_those_of_dense_roots(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    gradients = [_normal(f"{shape} {k}", *shape, dtype=dtype) for k in range(3)]
    for count in (1, 3):
        wide = [gradient.double() for gradient in gradients[:count]]
        condition = _condition(wide, EPSILON)
        assert_close(
            _moved(gradients[:count]), _dense(wide, EPSILON), f"step {count}", condition=condition, size=max(wide[0].numel(), 1)
        )


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_the_known_mistakes_are_seen(shape: tuple[int, ...]) -> None:
    gradients = [_normal(f"{shape} {k}", *shape) for k in range(3)]
    moved, condition = _moved(gradients), _condition(gradients, EPSILON)
    planted = {
        "exponent -1/k": _dense(gradients, EPSILON, -1 / len(shape)),
        "exponent -1/4k": _dense(gradients, EPSILON, -1 / (4 * len(shape))),
        "a preconditioned gradient in the statistics": _dense(gradients, EPSILON, sequential=True),
        "the last gradient alone": _dense(gradients[-1:], EPSILON),
        "another epsilon": _dense(gradients, 2 * EPSILON),
    }
    for name, wrong in planted.items():
        with pytest.raises(ClaimViolated):
            assert_close(moved, wrong, name, condition=condition)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (3, 3)])
@pytest.mark.parametrize("epsilon", [1.0, 1e-3])
def test_the_first_step_of_a_matrix_follows_from_its_singular_values(shape: tuple[int, ...], epsilon: float) -> None:
    gradient = _normal(f"singular {shape}", *shape)
    U, S, V = torch.linalg.svd(gradient, full_matrices=False)
    moved, condition = _moved([gradient], epsilon=epsilon), _condition([gradient], epsilon)
    assert_close(moved, U * (S / (S**2 + epsilon).sqrt()) @ V, "U S (S^2 + eps)^-1/2 V'", condition=condition)
    with pytest.raises(ClaimViolated):  # epsilon once and not in both factors
        assert_close(moved, U * (S / (S**2 + epsilon).sqrt().sqrt() / S.sqrt()) @ V, "planted", condition=condition)


def test_without_epsilon_the_first_step_of_a_matrix_is_its_orthogonal_factor() -> None:
    gradient = _normal("orthogonal", 4, 3)
    U, S, V = torch.linalg.svd(gradient, full_matrices=False)
    for epsilon in (1e-1, 1e-3, 1e-5):
        error = float((_moved([gradient], epsilon=epsilon) - U @ V).norm() / (U @ V).norm())
        predicted = float((1 - S / (S**2 + epsilon).sqrt()).norm() / 3**0.5)
        rounding = rounding_bound(gradient.dtype, len(gradient), _condition([gradient], epsilon))
        assert rounding < 0.1 * predicted
        assert abs(error - predicted) <= rounding, f"{error:.3e} instead of {predicted:.3e}"
        assert predicted < epsilon / float(S.min()) ** 2
    assert_apart(_moved([gradient], epsilon=1e-8), gradient / gradient.norm(), "a normalised gradient")


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_first_step_of_an_orthogonally_decomposable_tensor(order: int) -> None:
    sizes, weights = [4, 3, 5, 3][:order], torch.tensor([2.0, 0.5, 0.1]).double()[: 1 if order == 1 else 3]
    bases = [torch.linalg.qr(_normal(f"basis {order} {m}", n, n))[0] for m, n in enumerate(sizes)]

    def joined(values: Tensor) -> Tensor:
        total = torch.zeros(sizes, dtype=torch.float64)
        for r, value in enumerate(values):
            term = value
            for basis in bases:
                term = torch.tensordot(term, basis[:, r], dims=0)
            total += term
        return total

    gradient = joined(weights)
    moved, condition = _moved([gradient]), _condition([gradient], EPSILON)
    assert_close(moved, joined(weights / (weights**2 + EPSILON).sqrt()), "each component by itself", condition=condition)
    with pytest.raises(ClaimViolated):
        assert_close(moved, joined(weights / (weights**2 + EPSILON) ** 0.25), "planted", condition=condition)


def test_a_vector_is_full_matrix_adagrad() -> None:
    gradients = [_normal(f"vector {k}", 4) for k in range(3)]
    total = EPSILON * torch.eye(4).double() + torch.stack([torch.outer(g, g) for g in gradients]).sum(0)
    root = torch.as_tensor(linalg.inv(linalg.sqrtm(total.numpy())))
    assert_close(_moved(gradients), root @ gradients[-1], "AdaGrad", condition=_condition(gradients, EPSILON))
    assert_apart(_moved(gradients), gradients[-1] / total.diagonal().sqrt(), "diagonal AdaGrad")


def test_the_preconditioner_dominates_that_of_adagrad() -> None:
    gradients = [torch.outer(_normal(f"left {k}", 3), _normal(f"right {k}", 4)) for k in range(5)]  # of rank one
    sums = [sum(parts) for parts in zip(*map(mode_products, gradients), strict=True)]
    flat = torch.stack([gradient.flatten() for gradient in gradients])
    full = EPSILON * torch.eye(12).double() + flat.T @ flat

    def least(exponent: float) -> float:
        left, right = (damped_power(torch.as_tensor(s), EPSILON, exponent) for s in sums)
        return float(torch.linalg.eigvalsh(torch.kron(left, right) - full).min())

    assert least(0.5) >= -rounding_bound(full.dtype, 12) * float(full.norm())
    assert least(0.25) < -1e-3 * float(full.norm())


def test_a_root_of_what_rounding_makes_indefinite_is_that_of_zero() -> None:
    power = damped_power(torch.diag(torch.tensor([1.0, -1e-9])).double(), 1e-12, -0.25)
    assert_close(power.diagonal(), torch.tensor([1.0, 1e3]).double(), "clamped at zero", condition=2.0)


def test_the_steps_do_not_depend_on_the_scale_of_the_loss_and_turn_with_the_basis() -> None:
    gradients = [_normal(f"scale {k}", 3, 4) for k in range(3)]
    Q, R = (torch.linalg.qr(_normal(f"turn {n}", n, n))[0] for n in (3, 4))
    condition, moved = _condition(gradients, EPSILON), _moved(gradients)
    assert_close(_moved([7 * g for g in gradients], epsilon=49 * EPSILON), moved, "a scaled loss", condition=condition)
    assert_close(Q.T @ _moved([Q @ g @ R for g in gradients]) @ R.T, moved, "another basis", condition=condition)
    sheared = Q + torch.ones(3, 3).double()
    assert_apart(torch.linalg.inv(sheared) @ _moved([sheared @ g @ R for g in gradients]) @ R.T, moved, "no rotation")


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_exponential_averages_are_corrected_at_the_start(decay: float) -> None:
    gradients = [_normal(f"decay {k}", 3, 4) for k in range(3)]
    weights = [decay ** (2 - k) * (1 - decay) / (1 - decay**3) for k in range(3)]
    condition = _condition(gradients, EPSILON)
    scaled = [weight**0.5 * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    expected = _dense([*scaled[:2], scaled[2]], EPSILON) / weights[2] ** 0.5
    assert_close(_moved(gradients, decay=decay), expected, "averages", condition=condition)
    assert_close(_moved(gradients[:1], decay=decay), _dense(gradients[:1], EPSILON), "the first step", condition=condition)
    assert_apart(_moved(gradients, decay=decay), _dense(gradients, EPSILON), "sums")
    assert_apart(_moved(gradients, decay=0.7), _moved(gradients, decay=0.5), "another decay")


def test_momentum_weight_decay_and_delayed_roots_follow_the_formulas() -> None:
    gradients = [_normal(f"run {k}", 3, 4) for k in range(5)]
    start, lr, momentum, decay = _normal("start", 3, 4), 0.1, 0.6, 0.3
    parameter = nn.Parameter(start.clone())
    optimizer = Shampoo([parameter], lr, EPSILON, momentum=momentum, weight_decay=decay, roots_every=2)
    theta, velocity = start, torch.zeros_like(start)
    seen: list[Tensor] = []
    for step, gradient in enumerate(gradients):
        parameter.grad = gradient.clone()
        optimizer.step()
        seen.append(gradient + decay * theta)
        known = seen[: step // 2 * 2 + 1]  # the roots are those of the last even step
        left, right = (
            damped_power(torch.as_tensor(sum(s)), EPSILON, -0.25) for s in zip(*map(mode_products, known), strict=True)
        )
        velocity = momentum * velocity + left @ seen[-1] @ right
        theta = theta - lr * velocity
        assert_close(parameter.detach(), theta, f"step {step}", condition=len(gradients) * _condition(seen, EPSILON))


def test_parameters_are_preconditioned_each_by_itself_and_the_missing_gradient_stays() -> None:
    first, second, still = (nn.Parameter(torch.zeros(2, 3).double()) for _ in range(3))
    optimizer = Shampoo([{"params": [first]}, {"params": [second, still], "lr": 0.5}], 1.0, EPSILON)  # type: ignore[list-item]
    first.grad, second.grad = _normal("first", 2, 3), _normal("second", 2, 3)
    optimizer.step()
    for parameter, factor in ((first, 1.0), (second, 0.5)):
        assert parameter.grad is not None
        assert_close(
            -parameter.detach(), factor * _moved([parameter.grad]), "alone", condition=_condition([parameter.grad], EPSILON)
        )
    assert torch.equal(still, torch.zeros_like(still))


def test_a_closure_is_evaluated_once_and_its_value_returned() -> None:
    parameter, calls = nn.Parameter(torch.ones(2, 2).double()), []
    optimizer = Shampoo([parameter], 0.1)

    def closure() -> Any:
        optimizer.zero_grad()
        loss: Any = (parameter**2).sum()
        loss.backward()
        calls.append(loss)
        return loss

    assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1
    assert not torch.equal(parameter, torch.ones_like(parameter))


@pytest.mark.parametrize("forget", [False, True])
def test_a_resumed_run_is_the_same_bit_for_bit(forget: bool) -> None:
    gradients = [_normal(f"resume {k}", 3, 4) for k in range(6)]
    options: dict[str, Any] = {"lr": 0.1, "epsilon": EPSILON, "momentum": 0.5, "decay": 0.9, "roots_every": 2}
    parameter = nn.Parameter(torch.zeros(3, 4).double())
    optimizer = Shampoo([parameter], **options)
    twin, resumed = nn.Parameter(torch.zeros(3, 4).double()), None
    for step, gradient in enumerate(gradients):
        if step == 3:
            twin = nn.Parameter(parameter.detach().clone())
            resumed = Shampoo([twin], **options)
            if not forget:
                resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        parameter.grad = gradient.clone()
        optimizer.step()
        if resumed is not None:
            twin.grad = gradient.clone()
            resumed.step()
    assert torch.equal(twin, parameter) is not forget


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lr": -1.0}, "lr must not"), ({"momentum": -1.0}, "momentum must not"),
     ({"weight_decay": -1.0}, "weight_decay must not"), ({"epsilon": 0.0}, "epsilon must be positive"),
     ({"decay": 1.0}, "decay must lie"), ({"roots_every": 0}, "roots_every is")],
)  # fmt: skip
def test_senseless_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        _moved([torch.ones(2, 2)], **options)

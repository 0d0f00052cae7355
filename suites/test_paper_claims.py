"""The claims of the paper as the ledger states them, on a small softmax regression and from first principles.

The ledger measures them at the paper's size; here each is a statement that a defect in the quantities breaks.

Reference:
    HIDEKI, "Natural Gradient Descent: Characterizing Local Efficiency and Coordinate Invariance in Controlled
    Settings", 2026, doi 10.5281/zenodo.18163401.
"""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, matched_length, pseudo_inverse
from fishergauge.reference.stable_exponential import categorical_kl
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.gates import gate_b
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator

SAMPLES, WIDTH, CLASSES = 40, 4, 3
KAPPAS = [1e1, 1e3]
METHODS = ["exact", "kfac", "empirical"]

every_kappa = pytest.mark.parametrize("kappa", KAPPAS)


def _data() -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels and weights of the softmax regression."""
    draws = generator("paper claims")
    inputs = torch.randn(SAMPLES, WIDTH, generator=draws, dtype=torch.float64)
    weight = torch.randn(CLASSES, WIDTH, generator=draws, dtype=torch.float64) / 2
    return inputs, torch.randint(CLASSES, (SAMPLES,), generator=draws), weight


def _scaling(kappa: float) -> Tensor:
    """The paper's map: half of the features times sqrt(kappa), the other half divided by it."""
    factors = torch.full((WIDTH,), 1 / math.sqrt(kappa), dtype=torch.float64)
    factors[: WIDTH // 2] = math.sqrt(kappa)
    matrix: Tensor = factors.diag()
    return matrix


def _rotated(kappa: float) -> Tensor:
    """The same condition number in directions that are no features."""
    basis: Tensor = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator("rotation"), dtype=torch.float64))[0]
    return basis @ _scaling(kappa) @ basis.T


def _matrix(method: str, inputs: Tensor, logits: Tensor, labels: Tensor, quantities: Quantities) -> Tensor:
    if method == "exact":
        return quantities.softmax_regression_fisher(inputs, logits)
    if method == "kfac":
        return quantities.softmax_regression_kfac(inputs, logits)
    if method == "empirical":
        return quantities.softmax_regression_empirical_fisher(inputs, logits, labels)
    if method == "diagonal":
        return quantities.softmax_regression_fisher(inputs, logits).diagonal().diag()
    return torch.eye(CLASSES * WIDTH, dtype=torch.float64)


def _change_of_logits(method: str, transform: Tensor, quantities: Quantities) -> tuple[Tensor, float]:
    """What one step, computed anew in the coordinates of mapped features, does to the logits; and cond on the range."""
    inputs, labels, weight = _data()
    mapped = inputs @ transform.T
    logits = mapped @ torch.linalg.solve(transform.T, weight.T)
    matrix = _matrix(method, mapped, logits, labels, quantities)
    slope = quantities.softmax_regression_gradient(mapped, logits, labels)
    values = torch.linalg.eigvalsh(matrix)
    condition = float(values[-1] / values[values > len(values) * torch.finfo(values.dtype).eps * values[-1]].min())
    step = (pseudo_inverse(matrix) @ slope).view(CLASSES, WIDTH)
    change = mapped @ step.T
    return change - change.mean(1, keepdim=True), condition  # a common shift of the logits changes nothing


@every_kappa
@pytest.mark.parametrize("placeholder", ["identity", "diagonal"])
def test_the_published_protocol_passes_whatever_stands_in_the_place_of_the_fisher(
    kappa: float, placeholder: str, quantities: Quantities
) -> None:
    inputs, labels, weight = _data()
    logits = inputs @ weight.T
    matrix = _matrix(placeholder, inputs, logits, labels, quantities)
    slope = quantities.softmax_regression_gradient(inputs, logits, labels)
    scale = _scaling(kappa).diagonal().repeat(CLASSES)
    transported = scale * (pseudo_inverse(scale[:, None] * matrix * scale) @ (scale * slope))
    # the congruence S F S is undone exactly by the step's own S, so that the matrix need not be a Fisher
    assert_close(transported, pseudo_inverse(matrix) @ slope, "transported step", condition=kappa**2)


@every_kappa
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", [_scaling, _rotated], ids=["scaled", "rotated"])
def test_steps_computed_anew_are_invariant(kappa: float, method: str, family: object, quantities: Quantities) -> None:
    here, base = _change_of_logits(method, torch.eye(WIDTH, dtype=torch.float64), quantities)
    there, condition = _change_of_logits(method, family(kappa), quantities)  # type: ignore[operator]
    assert_close(there.reshape(-1), here.reshape(-1), f"{method}, computed anew", condition=condition + base)


@every_kappa
def test_the_diagonal_is_invariant_to_scaled_features_only(kappa: float, quantities: Quantities) -> None:
    here, base = _change_of_logits("diagonal", torch.eye(WIDTH, dtype=torch.float64), quantities)
    scaled, condition = _change_of_logits("diagonal", _scaling(kappa), quantities)
    assert_close(scaled.reshape(-1), here.reshape(-1), "diagonal, scaled features", condition=condition + base)
    assert_apart(_change_of_logits("diagonal", _rotated(kappa), quantities)[0], here, "diagonal, rotated", least=0.1)


@every_kappa
def test_plain_gradient_descent_computed_anew_is_not_invariant(kappa: float, quantities: Quantities) -> None:
    here, _ = _change_of_logits("sgd", torch.eye(WIDTH, dtype=torch.float64), quantities)
    assert_apart(_change_of_logits("sgd", _scaling(kappa), quantities)[0], here, "SGD, scaled features", least=0.1)


@pytest.mark.parametrize("classes", [2, 10])
def test_the_published_kl_of_a_model_from_itself_is_the_number_of_classes_less_one_times_its_floor(classes: int) -> None:
    p = torch.randn(50, classes, generator=generator("floor", classes), dtype=torch.float64).softmax(1)
    floor = 1e-10
    published = -(p * torch.log(p / (p + floor) + floor)).sum(1).mean()  # both sides after the step, as in the notebook
    assert float(published) == pytest.approx((classes - 1) * floor, rel=1e-4, abs=0)
    assert float(categorical_kl(p.log(), p.log()).mean()) == 0


def test_the_advantage_at_equal_divergence_approaches_its_closed_form(quantities: Quantities) -> None:
    inputs, labels, weight = _data()
    logits = inputs @ weight.T
    fisher = quantities.softmax_regression_fisher(inputs, logits)
    slope = quantities.softmax_regression_gradient(inputs, logits, labels)
    natural = -quantities.natural_gradient_step(fisher, slope)
    limit = float(((slope @ natural) * (slope @ fisher @ slope)).sqrt() / (slope @ slope)) - 1
    if not limit > 0:
        raise ClaimViolated(f"by Cauchy and Schwarz the limit is positive unless both directions agree; it is {limit}")
    targets = torch.tensor([1e-4, 1e-6, 1e-8], dtype=torch.float64)
    decreases = []
    for direction in (natural, slope):
        change = inputs @ direction.view(CLASSES, WIDTH).T
        guess = (2 * targets / (direction @ fisher @ direction)).sqrt()
        kl = lambda a, u=change: categorical_kl(logits, logits - a[:, None, None] * u).mean(1)  # noqa: E731
        lengths = matched_length(kl, targets, guess)
        decreases.append(_decrease(logits, labels, change, lengths))
    deviations = [abs(float(d)) for d in decreases[0] / decreases[1] - 1 - limit]
    # the next term of the expansion is of the order of the step, the square root of the divergence
    if not (deviations[2] < 1e-3 and all(5 < a / b < 20 for a, b in itertools.pairwise(deviations))):
        raise ClaimViolated(f"deviations {deviations} from the limit {limit:.4f} at KL 1e-4, 1e-6, 1e-8; not a tenfold fall")


@pytest.mark.parametrize("kl", [1e-4, 1e-3])
def test_two_corrections_bring_the_divergence_through_gate_b(kl: float, quantities: Quantities) -> None:
    inputs, labels, weight = _data()
    model = nn.Linear(WIDTH, CLASSES, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(weight)
    problem = Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)], "gate B")
    matrix = quantities.softmax_regression_fisher(inputs, problem.outputs)  # once, at the start
    ratios = []
    for _ in range(10):
        slope = quantities.gradient(problem)
        step = -quantities.quadratic_length(matrix, slope, kl) * slope
        for _ in range(2):
            ratio = float(quantities.kl_divergence(problem, problem.vector + step)) / kl
            if 0.8 <= ratio <= 1.2:
                break
            step = step / math.sqrt(ratio)
        ratios.append(float(quantities.kl_divergence(problem, problem.vector + step)) / kl)
        problem = problem.at(problem.vector + step)
    outcome = gate_b(torch.tensor(ratios))
    if not outcome.passed:
        raise ClaimViolated(f"gate B: ratios of KL to its target {[round(r, 3) for r in ratios]}")


def _decrease(logits: Tensor, labels: Tensor, change: Tensor, lengths: Tensor) -> Tensor:
    """Loss before less loss after, per length, by differences of log-probabilities that do not cancel."""
    picked = change.gather(1, labels[:, None])[:, 0]
    p = logits.softmax(1)
    shift = torch.log1p((p * torch.expm1(-lengths[:, None, None] * change)).sum(2))
    return (-lengths[:, None] * picked - shift).mean(1)

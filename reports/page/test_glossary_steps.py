"""The glossary's formulas of steps, coordinates, posteriors and bounds are what is computed; mistakes are told apart."""

import math

import pytest
import torch
from torch import Tensor, nn

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reference.pseudo_inverse import pseudo_inverse
from fishergauge.reports.page.glossary_example import Cases, Evaluated, Example, kron, softmax, softmax_fisher, squares
from fishergauge.reports.roofline_figure import roof
from fishergauge.suites.benchmarks.limits import Limits
from fishergauge.suites.closeness import relative_deviation, rounding_bound, unit_roundoff
from fishergauge.suites.power_law import power_law_exponent
from fishergauge.suites.record import Record

TOLERANCE = 1e-9
CASES = Cases("steps", "coordinates", "posterior", "kit", "report")


@CASES.of("natural-gradient", r"\Delta\theta = -\eta \, (F + \lambda I)^{-1} g")
def natural_gradient() -> Evaluated:
    _, F, eye, g = softmax_fisher()
    step = torch.linalg.solve(F + 0.1 * eye, g)
    return -0.5 * step, reference.natural_gradient_step(F, g, length=0.5, damping=0.1), 0.5 * step


@CASES.of("newton-step", r"\Delta\theta = -\left( \nabla_\theta^2 L \right)^{+} g")
def newton_step() -> Evaluated:
    e = squares()
    H, g = reference.hessian(e.problem).dense(), reference.gradient(e.problem)
    return -torch.linalg.pinv(H, hermitian=True) @ g, reference.newton_step(H, g), -g


@CASES.of("damping", r"x = (F + \lambda I)^{-1} b")
def damping() -> Evaluated:
    _, F, eye, g = softmax_fisher()
    right, mistaken = (torch.linalg.solve(F + value * eye, g) for value in (0.1, 0.01))
    return right, reference.solve_damped(F, g, damping=0.1), mistaken


@CASES.of(
    "factored-damping",
    r"\left( G + \frac{\sqrt\lambda}{\pi} I \right)^{-1} \otimes \left( A + \pi \sqrt\lambda \, I \right)^{-1}, \qquad "
    r"\pi = \sqrt{\frac{\operatorname{tr} A / \dim A}{\operatorname{tr} G / \dim G}}",
)
def factored_damping() -> Evaluated:
    e = Example(nn.CrossEntropyLoss(), classes=3, bias=False)
    found = reference.kfac(e.problem)
    A, G = found.factors["0"].input_factor, found.factors["0"].output_factor
    eye_a, eye_g = torch.eye(3, dtype=A.dtype), torch.eye(2, dtype=A.dtype)
    vector = torch.arange(1.0, 13.0, dtype=A.dtype)

    def by(pi: Tensor) -> Tensor:
        root = math.sqrt(0.1)
        return kron(torch.linalg.inv(G + root / pi * eye_g), torch.linalg.inv(A + pi * root * eye_a)) @ vector[:6]

    pi = ((A.trace() / 3) / (G.trace() / 2)).sqrt()
    return by(pi), found.solve(vector, 0.1)[:6], by(1 / pi)


@CASES.of("pseudo-inverse", r"F^{+} = \sum_{\lambda_i > c \, \lambda_{\max}} \frac{1}{\lambda_i} \, u_i u_i^\top")
def pseudo_inverse_of_fisher() -> Evaluated:
    _, F, eye, _ = softmax_fisher()
    values, vectors = torch.linalg.eigh(F)
    kept = values > 1e-10 * values[-1]
    found = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return found, pseudo_inverse(F, cutoff=1e-10), torch.linalg.inv(F + 1e-3 * eye)


@CASES.of("conjugate-gradients", r"\min_x \; \frac{1}{2} \, x^\top (F + \lambda I) \, x - b^\top x")
def conjugate_gradients() -> Evaluated:
    _, F, eye, b = softmax_fisher()
    found = reference.conjugate_gradients(F, b, damping=0.1, tolerance=1e-13)
    gradient = torch.func.grad(lambda x: x @ (F + 0.1 * eye) @ x / 2 - b @ x)(found)
    mistaken = torch.func.grad(lambda x: x @ (F + 0.1 * eye) @ x - b @ x)(found)
    return b + gradient, b, b + mistaken


@CASES.of("condition-number", r"\kappa(A) = \frac{\sigma_{\max}(A)}{\sigma_{\min}(A)}")
def condition_number() -> Evaluated:
    e = softmax()
    moved = reference.reparametrized(e.problem, "dense", kappa=50.0, seed=0)
    values = torch.linalg.svdvals(moved.jacobian)
    return values[0] / values[-1], torch.tensor(moved.condition, dtype=values.dtype), values[0] * values[-1]


@CASES.of(
    "trust-region",
    r"\Delta\theta = -\sqrt{\frac{2 \delta}{g^\top F^{-1} g}} \, F^{-1} g",
)
def trust_region() -> Evaluated:
    _, F, eye, g = softmax_fisher()
    damped = F + 0.1 * eye
    step = torch.linalg.solve(damped, g)
    lengths = [torch.sqrt(factor * 0.01 / (g @ step)) for factor in (2, 1)]
    return -lengths[0] * step, reference.trust_region_step(F, g, 0.01, damping=0.1), -lengths[1] * step


@CASES.of("pull-back", r"g_\varphi = DT^\top g_\theta, \qquad F_\varphi = DT^\top F_\theta \, DT")
def pull_back() -> Evaluated:
    e, F, _, g = softmax_fisher()
    moved = reference.reparametrized(e.problem, "dense", kappa=10.0, seed=0)
    DT = moved.jacobian
    there = torch.cat([reference.gradient(moved.problem)[None], reference.fisher(moved.problem).dense()])
    return torch.cat([(DT.T @ g)[None], DT.T @ F @ DT]), there, torch.cat([(DT @ g)[None], DT @ F @ DT.T])


@CASES.of("invariance", r"DT \, \Delta\varphi = \Delta\theta")
def invariance() -> Evaluated:
    e = Example(nn.CrossEntropyLoss(), classes=3, bias=False)
    moved = reference.reparametrized(e.problem, "dense", kappa=10.0, seed=0)
    step, there = (_step(problem) for problem in (e.problem, moved.problem))
    changes = [e.jacobians @ change for change in (moved.jacobian @ there, step, there)]
    values = [change - change.mean(1, keepdim=True) for change in changes]  # a shift of all logits changes nothing
    return values[0], values[1], values[2]


def _step(problem: Problem) -> Tensor:
    """An undamped natural-gradient step."""
    return reference.natural_gradient_step(reference.fisher(problem).dense(), reference.gradient(problem), cutoff=1e-9)


@CASES.of("laplace", r"p(\theta \mid \mathrm{data}) \approx N(\hat\theta, \Sigma), \qquad \Sigma^{-1} = \tau F + \Delta")
def laplace() -> Evaluated:
    e = squares()
    F = reference.ggn(e.problem).dense()
    prior = 2.0 * torch.eye(len(F), dtype=F.dtype)
    posterior = reference.laplace(e.problem, "ggn", prior=2.0, observation_variance=0.3)
    return e.divisor / (2 * 0.3) * F + prior, posterior.precision.dense(), e.divisor / 0.3 * F + prior


@CASES.of("predictive", r"f(x) \sim N\left( f(x, \hat\theta), \, J(x) \, \Sigma \, J(x)^\top \right)")
def predictive() -> Evaluated:
    e, F, eye, _ = softmax_fisher()
    covariance = torch.linalg.inv(e.divisor * F + 2 * eye)
    found = reference.linearized_predictive(reference.laplace(e.problem, prior=2.0), e.inputs)
    inverses = (covariance, torch.linalg.inv(F + 2 * eye))
    by = [torch.einsum("kcp,pq,kdq->kcd", e.jacobians, middle, e.jacobians).flatten(1) for middle in inverses]
    expected = torch.cat([found.mean, found.covariance.flatten(1)], 1)
    return torch.cat([e.z, by[0]], 1), expected, torch.cat([e.z, by[1]], 1)


@CASES.of(
    "evidence",
    r"\log p(\mathrm{data}) \approx \log p(\mathrm{data} \mid \hat\theta) + \log p(\hat\theta) + \frac{P}{2} \log 2\pi "
    r"- \frac{1}{2} \log \det (\tau F + \Delta)",
)
def evidence() -> Evaluated:
    e, F, eye, _ = softmax_fisher()
    theta, P = e.problem.vector, len(F)
    likelihood = -e.divisor * reference.objective(e.problem)
    prior = P / 2 * math.log(2 / (2 * math.pi)) - theta @ theta  # log N(theta; 0, I/2)
    rest = P / 2 * math.log(2 * math.pi) - torch.logdet(e.divisor * F + 2 * eye) / 2
    without = -torch.logdet(e.divisor * F + 2 * eye) / 2
    found = reference.laplace(e.problem, prior=2.0).log_evidence()
    return likelihood + prior + rest, found, likelihood + prior + without


@CASES.of("bound", r"\frac{\lVert A - B \rVert}{\lVert B \rVert} \le 64 \, u \, \sqrt{n} \, \kappa")
def bound() -> Evaluated:
    values = [torch.tensor(64 * 2.0**-53 * size * 3.0, dtype=torch.float64) for size in (math.sqrt(50), 50)]
    return values[0], torch.tensor(rounding_bound(torch.float64, 50, 3.0), dtype=torch.float64), values[1]


@CASES.of(
    "unit-round-off",
    r"u = 2^{-53} \approx 1.1 \cdot 10^{-16} \text{ in float64}, \qquad "
    r"u = 2^{-24} \approx 6.0 \cdot 10^{-8} \text{ in float32}",
)
def unit_round_off() -> Evaluated:
    said = [torch.tensor([2.0**-a, 2.0**-b], dtype=torch.float64) for a, b in ((53, 24), (52, 23))]
    known = [unit_roundoff(torch.float64), unit_roundoff(torch.float32)]
    assert [f"{value:.2g}" for value in known] == ["1.1e-16", "6e-08"]
    return said[0], torch.tensor(known, dtype=torch.float64), said[1]


@CASES.of("slack", r"\text{slack} = \frac{\text{measured}}{\text{bound}}")
def slack() -> Evaluated:
    found = Record("mine", "T1", "mlp", measured=3.0, bound=2.0).slack
    return torch.tensor(3.0 / 2.0), torch.tensor(found), torch.tensor(2.0 / 3.0)


@CASES.of(
    "roofline",
    r"\mathrm{rate} \le \min(r_{\max}, \, b_{\max} \, I), \qquad I = \frac{\mathrm{operations}}{\mathrm{bytes}}",
)
def roofline() -> Evaluated:
    limits = Limits(flops_per_second=100.0, bytes_per_second=10.0, dtype="float64", device="cpu", threads=1)
    said = [torch.tensor([choose(100.0, 10.0 * x) for x in (2.0, 50.0)]) for choose in (min, max)]
    return said[0], torch.tensor([roof(x, limits) for x in (2.0, 50.0)]), said[1]


@CASES.of(
    "scaling",
    r"\mathrm{cost} \propto \mathrm{size}^{\alpha}, \qquad "
    r"\alpha = \frac{\log(\mathrm{cost}_2 / \mathrm{cost}_1)}{\log(\mathrm{size}_2 / \mathrm{size}_1)}",
)
def scaling() -> Evaluated:
    found = power_law_exponent([2.0, 8.0], [3.0, 48.0])
    return torch.tensor(math.log(16) / math.log(4)), torch.tensor(found), torch.tensor(math.log(4) / math.log(16))


@pytest.mark.parametrize("slug", CASES)
def test_a_formula_is_what_the_reference_computes(slug: str) -> None:
    by_formula, by_reference, _ = CASES[slug]()
    assert relative_deviation(by_formula, by_reference) < TOLERANCE


@pytest.mark.parametrize("slug", CASES)
def test_a_mistake_in_the_formula_is_told_apart(slug: str) -> None:
    _, by_reference, mistaken = CASES[slug]()
    assert relative_deviation(mistaken, by_reference) > 1e-2


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_divergence_is_the_quadratic_form_to_second_order(factor: float) -> None:
    assert CASES.formulas["kl-divergence"].endswith(r"= \frac{\varepsilon^2}{2} \, d^\top F d + O(\varepsilon^3)")
    e, F, _, g = softmax_fisher()
    direction = g / g.norm()
    errors = []
    for size in (1e-2, 5e-3):
        both = [reference.kl_divergence(e.problem, e.problem.vector + sign * size * direction) for sign in (1, -1)]
        quadratic = factor * size**2 / 2 * direction @ F @ direction
        errors.append(abs(float((both[0] + both[1]) / 2 / quadratic) - 1))
    falls = errors[0] / errors[1]
    assert (3.5 < falls < 4.5) == (factor == 1.0)


def test_the_divergence_is_in_the_scale_of_the_objective() -> None:
    e = softmax()
    moved = e.problem.vector + 0.1
    p, q = e.z.log_softmax(1), e.at(moved).log_softmax(1)
    by_formula = (p.exp() * (p - q)).sum() / e.divisor
    found = reference.kl_divergence(e.problem, moved)
    assert relative_deviation(by_formula, found) < TOLERANCE
    assert relative_deviation(e.divisor * by_formula, found) > 1


def test_the_rank_is_bounded_as_the_glossary_says() -> None:
    assert r"\operatorname{rank} F \le \min(P, N (C - 1)) \text{ for softmax}" in CASES.formulas["rank"]
    _e, F, _, _ = softmax_fisher()
    assert int(torch.linalg.matrix_rank(F, hermitian=True)) == min(len(F), 5 * 2) < min(len(F), 5 * 3)


def test_every_formula_of_these_groups_is_evaluated() -> None:
    assert set(CASES.formulas) - set(CASES) == {
        "kl-divergence",
        "rank",
        "reparametrisation",
        "axiom",
    }  # above; a name; the claims T26

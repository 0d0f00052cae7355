"""The glossary's formulas of scale, matrices and structures are what the reference computes; mistakes are told apart."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge import reference
from fishergauge.reference import Problem
from fishergauge.reports.page.glossary_example import (
    Cases,
    Evaluated,
    Example,
    hessian,
    kron,
    outer,
    softmax,
    softmax_fisher,
    squares,
)
from fishergauge.suites.closeness import relative_deviation

TOLERANCE = 1e-9
CASES = Cases("scale", "matrices", "structures")


@CASES.of("canon", r"L(\theta) = \frac{1}{M} \sum_{k=1}^{K} \ell(z_k, y_k)")
def canon() -> Evaluated:
    e = squares()
    terms = torch.stack([e.term(z, y) for z, y in zip(e.z, e.targets, strict=True)])
    return terms.sum() / e.divisor, reference.objective(e.problem), terms.mean()


@CASES.of("symbols", r"g = \nabla_\theta L = \frac{1}{M} \sum_k J_k^\top \, \nabla_z \ell(z_k, y_k)")
def symbols() -> Evaluated:
    e = squares()
    total = torch.stack([e.g(k, y) for k, y in enumerate(e.targets)]).sum(0)
    return total / e.divisor, reference.gradient(e.problem), total / 5


@CASES.of("reduction", r"F_{\mathrm{sum}} = M \, F_{\mathrm{mean}}")
def reduction() -> Evaluated:
    mean, total = squares(), Example(nn.MSELoss(reduction="sum"), classes=None, reduction="sum")
    by_mean = reference.fisher(mean.problem).dense()
    return mean.divisor * by_mean, reference.fisher(total.problem).dense(), 5 * by_mean


@CASES.of(
    "hessian",
    r"\nabla_\theta^2 L = \frac{1}{M} \sum_k J_k^\top H_k J_k + \frac{1}{M} \sum_k \sum_{c=1}^{C} "
    r"\frac{\partial \ell(z_k, y_k)}{\partial z_{kc}} \, \nabla_\theta^2 z_{kc}",
)
def hessian_of_objective() -> Evaluated:
    e = squares()
    curved = hessian(e.at)(e.problem.vector).detach()
    residuals = torch.stack([e.residual(k, y) for k, y in enumerate(e.targets)])
    first = torch.einsum("kcp,kcd,kdq->pq", e.jacobians, e.hessians, e.jacobians) / e.divisor
    second = torch.einsum("kc,kcpq->pq", residuals, curved) / e.divisor
    return first + second, reference.hessian(e.problem).dense(), first


@CASES.of("ggn", r"\operatorname{GGN} = \frac{1}{M} \sum_k J_k^\top H_k J_k")
def ggn() -> Evaluated:
    e = squares()
    total = torch.einsum("kcp,kcd,kdq->pq", e.jacobians, e.hessians, e.jacobians)
    return total / e.divisor, reference.ggn(e.problem).dense(), total / 5


@CASES.of(
    "fisher",
    r"F = \frac{1}{M} \sum_k \, \operatorname{E}_{y \sim p(\cdot \mid z_k)} \left[ g_k(y) \, g_k(y)^\top \right], "
    r"\qquad g_k(y) = J_k^\top \, \nabla_z \ell(z_k, y)",
)
def fisher() -> Evaluated:
    e = softmax()
    total = e.expected(lambda k, y: outer(e.g(k, y)))
    observed = torch.stack([outer(e.g(k, y)) for k, y in enumerate(e.targets)]).sum(0)
    return total / e.divisor, reference.fisher(e.problem).dense(), observed / e.divisor


@CASES.of("fisher-types", r"F = \frac{1}{M} \sum_k J_k^\top \, \operatorname{E}_{y} \left[ \nabla_z^2 \ell(z_k, y) \right] J_k")
def fisher_types() -> Evaluated:
    e = softmax()
    p = e.z.softmax(1)
    means = torch.einsum("kc,kcij->kij", p, torch.stack([_hessians(e, k) for k in range(5)]))
    without = torch.diag_embed(p)
    by = [torch.einsum("kcp,kcd,kdq->pq", e.jacobians, middle, e.jacobians) / e.divisor for middle in (means, without)]
    return by[0], reference.fisher(e.problem, kind=2).dense(), by[1]


def _hessians(e: Example, k: int) -> Tensor:
    """The Hessian of a term at each label."""
    return hessian(lambda z: torch.stack([e.term(z, torch.tensor(c)) for c in range(3)]))(e.z[k])


@CASES.of("empirical-fisher", r"\hat F = \frac{1}{M} \sum_k g_k(y_k) \, g_k(y_k)^\top")
def empirical_fisher() -> Evaluated:
    e = softmax()
    gradients = torch.stack([e.g(k, y) for k, y in enumerate(e.targets)])
    return gradients.T @ gradients / e.divisor, reference.empirical_fisher(e.problem).dense(), outer(gradients.mean(0))


@CASES.of(
    "quasi-diagonal",
    r"Q_{bb} = F_{bb}, \quad Q_{b i} = F_{b i}, \quad Q_{i i} = F_{i i}, \quad "
    r"Q_{i j} = \frac{F_{i b} \, F_{b j}}{F_{bb}} \quad (i \ne j)",
)
def quasi_diagonal() -> Evaluated:
    e = softmax()
    F = reference.fisher(e.problem).dense()
    Q, mistaken = torch.zeros_like(F), torch.diag(F.diagonal())
    units = [(6 + unit, range(3 * unit, 3 * unit + 3)) for unit in range(2)]  # of the first layer: bias, weights
    units += [(14 + unit, range(8 + 2 * unit, 8 + 2 * unit + 2)) for unit in range(3)]
    for b, weights in units:
        Q[b, b] = F[b, b]
        for i in weights:
            Q[b, i] = Q[i, b] = mistaken[b, i] = mistaken[i, b] = F[b, i]
            for j in weights:
                Q[i, j] = F[i, i] if i == j else F[i, b] * F[b, j] / F[b, b]
    return Q, reference.quasi_diagonal(e.problem).dense(), mistaken


@CASES.of(
    "kfac",
    r"F_{\mathrm{layer}} \approx G \otimes A, \qquad A = \frac{1}{N} \sum_n a_n a_n^\top, \qquad "
    r"G = \frac{1}{M} \sum_k \, \operatorname{E}_y \left[ g_k(y) \, g_k(y)^\top \right]",
)
def kfac() -> Evaluated:
    e = softmax()
    a = torch.cat([e.inputs, torch.ones(5, 1, dtype=torch.float64)], 1)
    A = a.T @ a / 5
    weights, bias, last, _ = (parameter.detach() for parameter in e.model.parameters())
    slopes = 1 - torch.tanh(e.inputs @ weights.T + bias) ** 2

    def at_layer(k: int, y: Tensor) -> Tensor:
        return slopes[k] * (last.T @ e.residual(k, y))

    G = e.expected(lambda k, y: outer(at_layer(k, y))) / e.divisor
    order = [0, 1, 2, 6, 3, 4, 5, 7]  # of weight and bias in the parameter vector, unit by unit
    block = reference.kfac(e.problem, bias="joint").dense()[order][:, order]
    return kron(G, A), block, kron(G / e.divisor**2, A)


def _positions() -> tuple[Problem, Tensor, Tensor, Tensor]:
    """A linear layer at positions, pooled before a squared error: the inputs, and their share in the outputs."""
    generator = torch.Generator().manual_seed(2)

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            outputs: Tensor = self.layer(x).mean(1)
            return outputs

    inputs = torch.randn(4, 3, 2, generator=generator, dtype=torch.float64)
    targets = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    problem = Problem(Pooled().double(), nn.MSELoss(), [(inputs, targets)])
    eye = torch.eye(2, dtype=torch.float64)
    return problem, inputs, eye.expand(4, 3, 2, 2) / 3, 2 * eye


@CASES.of(
    "expand",
    r"A = \frac{1}{N T} \sum_{n,t} a_{nt} a_{nt}^\top, \qquad "
    r"G = \frac{1}{M} \sum_{k,t} \, \operatorname{E}_y \left[ g_{kt} \, g_{kt}^\top \right]",
)
def expand() -> Evaluated:
    problem, a, D, H = _positions()
    A = torch.einsum("nti,ntj->ij", a, a) / 12
    G = torch.einsum("ktci,cd,ktdj->ij", D, H, D) / 8
    return kron(G, A), reference.kfac(problem, sharing="expand").dense(), kron(G, 3 * A)


@CASES.of(
    "reduce",
    r"\bar a_n = \frac{1}{T} \sum_t a_{nt}, \qquad A = \frac{1}{N} \sum_n \bar a_n \bar a_n^\top, \qquad "
    r"G = \frac{1}{M} \sum_k \, \operatorname{E}_y \left[ \left( \sum_t g_{kt} \right) \left( \sum_t g_{kt} \right)^\top "
    r"\right]",
)
def reduce() -> Evaluated:
    problem, a, D, H = _positions()
    A = torch.einsum("ni,nj->ij", a.mean(1), a.mean(1)) / 4
    G = torch.einsum("kci,cd,kdj->ij", D.sum(1), H, D.sum(1)) / 8
    return kron(G, A), reference.kfac(problem, sharing="reduce").dense(), kron(G, 9 * A)


@CASES.of(
    "ekfac",
    r"F_{\mathrm{layer}} \approx (U \otimes V) \, \operatorname{diag}(s) \, (U \otimes V)^\top, \qquad "
    r"s_{ij} = (u_i \otimes v_j)^\top F_{\mathrm{layer}} \, (u_i \otimes v_j)",
)
def ekfac() -> Evaluated:
    e = Example(nn.CrossEntropyLoss(), classes=3, bias=False)
    factors = reference.kfac(e.problem).factors["0"]
    U, V = (torch.linalg.eigh(factor).eigenvectors for factor in (factors.output_factor, factors.input_factor))
    basis = kron(U, V)
    F = reference.fisher(e.problem).dense()[:6, :6]
    s = (basis.T @ F @ basis).diagonal()
    block = reference.eigen_kfac(e.problem).dense()[:6, :6]
    return basis @ torch.diag(s) @ basis.T, block, basis.T @ torch.diag(s) @ basis


@CASES.of(
    "shampoo",
    r"F_{\mathrm{weight}} \approx \frac{L \otimes R}{\operatorname{tr} L}, \qquad "
    r"L = \frac{1}{M} \sum_k \, \operatorname{E}_y \left[ W_k W_k^\top \right], \qquad "
    r"R = \frac{1}{M} \sum_k \, \operatorname{E}_y \left[ W_k^\top W_k \right]",
)
def shampoo() -> Evaluated:
    e = softmax()

    def weight(k: int, y: Tensor) -> Tensor:
        return e.g(k, y)[:6].reshape(2, 3)

    L = e.expected(lambda k, y: weight(k, y) @ weight(k, y).T) / e.divisor
    R = e.expected(lambda k, y: weight(k, y).T @ weight(k, y)) / e.divisor
    block = reference.shampoo(e.problem, target="fisher").dense()[:6, :6]
    return kron(L, R) / L.trace(), block, kron(L, R)


@CASES.of("low-rank", r"F \approx \sum_{i \le r} \lambda_i v_i v_i^\top")
def low_rank() -> Evaluated:
    _, F, _, _ = softmax_fisher()
    values, vectors = torch.linalg.eigh(F)
    start = torch.ones(len(F), dtype=F.dtype)
    found = reference.low_rank(F, 2, start).dense()
    return vectors[:, -2:] * values[-2:] @ vectors[:, -2:].T, found, vectors[:, :2] * values[:2] @ vectors[:, :2].T


@pytest.mark.parametrize("slug", CASES)
def test_a_formula_is_what_the_reference_computes(slug: str) -> None:
    by_formula, by_reference, _ = CASES[slug]()
    assert relative_deviation(by_formula, by_reference) < TOLERANCE


@pytest.mark.parametrize("slug", CASES)
def test_a_mistake_in_the_formula_is_told_apart(slug: str) -> None:
    _, by_reference, mistaken = CASES[slug]()
    assert relative_deviation(mistaken, by_reference) > 1e-2


def test_a_monte_carlo_fisher_is_a_sum_of_squares_at_whole_numbers_of_labels() -> None:
    assert CASES.formulas["monte-carlo-fisher"].startswith(
        r"F_S = \frac{1}{M S} \sum_k \sum_{s=1}^{S} g_k(y_{ks}) \, g_k(y_{ks})^\top"
    )
    e = softmax()
    squares_of = torch.stack([torch.stack([outer(e.g(k, torch.tensor(c))) for c in range(3)]) for k in range(5)])
    drawn = reference.monte_carlo_fisher(e.problem, 4, torch.Generator().manual_seed(0)).dense()
    counts = torch.linalg.lstsq(squares_of.reshape(15, -1).T, (drawn * e.divisor * 4).reshape(-1, 1)).solution.reshape(5, 3)
    assert relative_deviation(counts, counts.round()) < 1e-6
    assert counts.round().sum(1).tolist() == [4.0] * 5


def test_every_formula_of_these_groups_is_evaluated() -> None:
    assert set(CASES.formulas) - set(CASES) == {"monte-carlo-fisher"}  # above

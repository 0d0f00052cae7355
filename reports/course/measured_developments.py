"""Measurements of sections 9 and 10: Shampoo, AdaHessian, evolution strategies and variational inference."""

import itertools

import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from fishergauge.reports.course.measured_geometry import gauss_hermite
from fishergauge.reports.course.measured_models import covariance_fisher
from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import DOUBLE, bound, deviation, normal, null_share, spd, turned


def power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric positive definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    value: Tensor = (vectors * values.pow(exponent)) @ vectors.T
    return value


def first_step_of_shampoo(source: torch.Generator) -> Figures:
    """Shampoo's first step against the orthogonal factor of the gradient."""
    gradient = torch.eye(4, dtype=DOUBLE) + 0.4 * normal(source, 4, 4)
    left, right = gradient @ gradient.T, gradient.T @ gradient
    U, _, V = torch.linalg.svd(gradient)
    wide = normal(source, 3, 5)
    return {
        "square": deviation(power(left, -0.25) @ gradient @ power(right, -0.25), U @ V),
        "half": deviation(power(left, -0.5) @ gradient @ power(right, -0.5), U @ V),
        "wide": null_share(wide.T @ wide),
        "bound": bound(4, left),
    }


def adahessian(source: torch.Generator) -> Figures:
    """The course's AdaHessian and the paper's on a quadratic function, and where the course's is undefined."""
    curvatures = torch.tensor([100.0, 1.0, 0.01], dtype=DOUBLE)
    g, beta = curvatures * normal(source, 3), 0.9
    written, paper = torch.zeros_like(g), torch.zeros_like(g)
    for _ in range(400):
        written = beta * written + (1 - beta) * curvatures
        paper = beta * paper + (1 - beta) * curvatures.square()
    saddle = torch.tensor([1.0, -1.0, 2.0, -0.5], dtype=DOUBLE)
    H = normal(source, 4, 4)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=DOUBLE)
    return {
        "step": turned(g / written.sqrt(), g / curvatures),
        "paper": turned(g / paper.sqrt(), g / curvatures),
        "undefined": float((saddle + 1e-8).sqrt().isnan().double().mean()),
        "hutchinson": deviation((signs * (signs @ (H + H.T))).mean(0), (H + H.T).diagonal()),
        "bound": bound(400),
    }


def evolution_strategy(source: torch.Generator) -> Figures:
    """The natural gradient of an expected quadratic under a Gaussian search, in the search space and in a mapped one."""
    A, covariance, mean, size = spd(source, 3), spd(source, 3), normal(source, 3), 3
    T = torch.eye(size, dtype=DOUBLE) + 0.4 * normal(source, size, size)
    back = torch.linalg.inv(T)

    def update(quadratic: Tensor, m: Tensor, S: Tensor, natural: bool) -> tuple[Tensor, Tensor]:
        """Of E[x'Qx / 2] in the mean and the upper triangle of the covariance."""
        F, basis = covariance_fisher(S)

        def expected(mu: Tensor, triangle: Tensor) -> Tensor:
            matrix = S + torch.einsum("p,pij->ij", triangle, basis)
            return (mu @ quadratic @ mu + (quadratic @ matrix).diagonal().sum()) / 2

        of_mean, of_triangle = (grad(expected, i)(m, basis.new_zeros(len(basis))) for i in (0, 1))
        if natural:
            of_mean, of_triangle = S @ of_mean, torch.linalg.solve(F, of_triangle)
        return of_mean, torch.einsum("p,pij->ij", of_triangle, basis)

    def mapped(natural: bool) -> tuple[float, float]:
        here = update(A, mean, covariance, natural)
        there = update(back.T @ A @ back, T @ mean, T @ covariance @ T.T, natural)
        return deviation(there[0], T @ here[0]), deviation(there[1], T @ here[1] @ T.T)

    return {
        "natural": max(mapped(natural=True)),
        "plain": min(mapped(natural=False)),
        "closed": deviation(update(A, mean, covariance, natural=True)[1], covariance @ A @ covariance),
        "bound": bound(9, covariance, covariance, T, T),
    }


def evidence_bound(source: torch.Generator) -> Figures:
    """The variational objective of a Gaussian model, its gap, and steps of both signs."""
    observed, noise = 2 * normal(source, 1)[0], 0.5
    precision = 1 + 1 / noise**2
    posterior = torch.stack([observed / noise**2 / precision, torch.tensor(1 / precision, dtype=DOUBLE)])
    two_pi = torch.tensor(2 * torch.pi, dtype=DOUBLE)
    evidence = -observed.square() / (2 * (1 + noise**2)) - (two_pi * (1 + noise**2)).log() / 2
    start = torch.tensor([0.0, 0.6], dtype=DOUBLE)  # mean and variance

    def objective(q: Tensor) -> Tensor:
        prior = -(q[0].square() + q[1]) / 2 - two_pi.log() / 2
        likelihood = -((observed - q[0]).square() + q[1]) / (2 * noise**2) - (two_pi * noise**2).log() / 2
        return prior + likelihood + (two_pi * torch.e * q[1]).log() / 2

    def gap(q: Tensor) -> Tensor:
        ratio = q[1] / posterior[1]
        return (ratio + (q[0] - posterior[0]).square() / posterior[1] - 1 - ratio.log()) / 2

    fisher = torch.diag(torch.stack([1 / start[1], 1 / (2 * start[1].square())]))
    step = 0.1 * torch.linalg.solve(fisher, grad(objective)(start))
    return {
        "identity": abs(float(evidence - objective(start) - gap(start))) / float(gap(start)),
        "maximised": max(0.0, float(gap(start + step) / gap(start)) - 1),
        "minimised": max(0.0, float(gap(start - step) / gap(start)) - 1),
        "bound": bound(16),
    }


def coordinate_ascent(source: torch.Generator) -> Figures:
    """Natural-gradient steps of length one of factors of a mean-field posterior against the optimum of the factor."""
    precision, target, means = spd(source, 2), normal(source, 2), normal(source, 2)
    precision = precision + 0.5 * torch.ones(2, 2, dtype=DOUBLE)

    def expected(natural: Tensor, other: Tensor, i: int) -> Tensor:
        """The evidence bound in the natural parameters (m / v, -1 / (2 v)) of one factor."""
        v = -1 / (2 * natural[1])
        d, rest = natural[0] * v - target[i], other - target[1 - i]
        cross = precision[0, 1]
        return -precision[i, i] * (d.square() + v) / 2 - cross * d * rest + v.log() / 2

    def start(i: int, at: Tensor) -> Tensor:
        """The natural parameters of a factor with variance 0.7."""
        return torch.stack([at[i] / 0.7, torch.tensor(-1 / 1.4, dtype=DOUBLE)])

    def factor(i: int, at: Tensor) -> Tensor:
        """The mean of a factor after one step; F is the Jacobian of the moments in the natural parameters."""
        natural = start(i, at)
        new = natural + torch.linalg.solve(jacrev(moments)(natural), grad(expected)(natural, at[1 - i], i))
        value: Tensor = -new[0] / (2 * new[1])
        return value

    def best(i: int, at: Tensor) -> Tensor:
        return target[i] - precision[0, 1] / precision[i, i] * (at[1 - i] - target[1 - i])

    first = torch.stack([factor(0, means), means[1]])
    swept = torch.stack([first[0], factor(1, first)])
    right = torch.stack([best(0, means), best(1, torch.stack([best(0, means), means[1]]))])
    together = torch.stack([factor(0, means), factor(1, means)])
    return {
        "conjugate": deviation(swept, right),
        "together": deviation(together, right),
        "logistic": _logistic_factor(),
        "bound": bound(16, precision, jacrev(moments)(start(0, means))),
    }


def moments(natural: Tensor) -> Tensor:
    """E[z] and E[z^2] of a normal distribution with natural parameters (m / v, -1 / (2 v))."""
    v = -1 / (2 * natural[1])
    m = natural[0] * v
    return torch.stack([m, m.square() + v])


def _logistic_factor() -> float:
    """One parameter with a logistic likelihood: a step of length one against the optimum that many shorter ones reach."""

    def log_joint(z: Tensor) -> Tensor:
        return -z.square() / 2 + 3 * torch.nn.functional.logsigmoid(2 * z)

    def objective(natural: Tensor) -> Tensor:
        v = -1 / (2 * natural[1])
        nodes, weights = gauss_hermite(natural[0] * v, v.sqrt())
        return weights @ vmap(log_joint)(nodes) + v.log() / 2

    def step(natural: Tensor, length: float) -> Tensor:
        value: Tensor = natural + length * torch.linalg.solve(jacrev(moments)(natural), grad(objective)(natural))
        return value

    start = torch.tensor([0.0, -0.5], dtype=DOUBLE)
    optimum = start
    for _ in range(30):
        optimum = step(optimum, 0.7)
    return deviation(step(start, 1.0), optimum)

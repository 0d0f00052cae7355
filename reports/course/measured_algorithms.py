"""Measurements of section 5: empirical Fisher, Gauss-Newton, damping, trust region; and of the numerics of section 8."""

import math

import torch
from torch import Tensor

from fishergauge.reference import fisher, ggn, output_jacobian
from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import (
    DOUBLE,
    bound,
    deviation,
    normal,
    perceptron,
    regression,
    spd,
    turned,
)
from fishergauge.suites.closeness import rounding_bound

HUGE = 1e30


def empirical_against_true(source: torch.Generator) -> Figures:
    """The empirical Fisher of linear regression at labels of the model and at residuals of a given size."""
    X, _, _ = regression(source)
    sigma = 0.5
    F = X.T @ X / (sigma**2 * len(X))

    def empirical(residuals: Tensor) -> Tensor:
        return (X.T * (residuals / sigma**2).square()) @ X / len(X)

    signs = torch.randint(2, (len(X),), generator=source).to(DOUBLE) * 2 - 1
    by_labels = (empirical(sigma * torch.ones(len(X), dtype=DOUBLE)) + empirical(-sigma * torch.ones(len(X), dtype=DOUBLE))) / 2
    return {
        "model": deviation(by_labels, F),
        "twofold": deviation(empirical(2 * sigma * signs), F),
        "interpolation": deviation(empirical(1e-3 * sigma * signs), F),
        "bound": bound(len(X)),
    }


def gauss_newton_scaling(source: torch.Generator) -> Figures:
    """J'J against the Fisher of Gaussian outputs, with labels by 2 C nodes, for several variances and normalisations."""
    problem = perceptron(source, (3, 4, 2), 10, squared=True)
    J = output_jacobian(problem)
    products = torch.einsum("kcp,kcq->pq", J, J)

    def by_labels(sigma: float) -> Tensor:
        """Labels f + sigma sqrt(C) e and f - sigma sqrt(C) e along each axis, equally likely; summed over the samples."""
        nodes = math.sqrt(2) * sigma * torch.cat([torch.eye(2, dtype=DOUBLE), -torch.eye(2, dtype=DOUBLE)])
        scores = torch.einsum("lc,kcp->lkp", nodes / sigma**2, J)
        return torch.einsum("lkp,lkq->pq", scores, scores) / 4

    count = problem.outputs.numel()
    return {
        "unit": max(deviation(products, by_labels(1.0)), deviation(products, fisher(problem).dense() / 2)),
        "mean": deviation(products, by_labels(1.0) / len(J)),
        "variance": deviation(products, by_labels(0.5)),
        "squared_error": deviation(products, fisher(problem).dense()),
        "mean_squared_error": deviation(products, fisher(problem).dense() / count),
        "ggn": deviation(ggn(problem).dense(), 2 * products),
        "bound": bound(problem.num_parameters),
    }


def stability(source: torch.Generator) -> Figures:
    """Errors of a float32 solve with eigenvalues from 1 to 1e-10: as it is, damped, clipped in three ways."""
    size, damping = 8, 1e-3
    basis = torch.linalg.qr(normal(source, size, size)).Q
    values = torch.logspace(0, -10, size, dtype=DOUBLE)
    g = basis @ (values * normal(source, size))  # in the range also of what is left of the matrix
    kept = values > damping

    def matrix(eigenvalues: Tensor) -> Tensor:
        value: Tensor = (basis * eigenvalues) @ basis.T
        return value

    def error(eigenvalues: Tensor) -> float:
        low = matrix(eigenvalues).float()
        found = torch.linalg.solve_ex(low, g.float())[0].double()
        missing = deviation(found, basis @ ((basis.T @ g) / eigenvalues))
        return missing if missing < HUGE else HUGE

    removed = torch.where(kept, values, torch.zeros_like(values))
    low = torch.linalg.eigh(matrix(values).float())
    strong = low.eigenvalues > damping
    pseudo = low.eigenvectors[:, strong] @ ((low.eigenvectors[:, strong].T @ g.float()) / low.eigenvalues[strong])
    truth = basis[:, kept] @ ((basis[:, kept].T @ g) / values[kept])
    inverted = torch.linalg.solve_ex(matrix(removed).float(), g.float())[0].double()
    off = deviation(inverted, truth)
    return {
        "plain": error(values),
        "damped": error(values + damping),
        "raised": error(values.clamp(min=damping)),
        "removed_inverse": off if off < HUGE else HUGE,
        "removed_pseudo": deviation(pseudo.double(), truth),
        "cost": deviation(basis @ ((basis.T @ g) / (values + damping)), basis @ ((basis.T @ g) / values)),
        "bound": rounding_bound(torch.float32, size, 1 / damping),
    }


def trust_region(source: torch.Generator) -> Figures:
    """The course's trust region: the natural gradient, shortened to the radius, against its optimality conditions."""
    F, g = spd(source, 5, 1.5), normal(source, 5)
    natural = torch.linalg.solve(F, g)
    size = float((natural @ F @ natural).sqrt())

    def residual(step: Tensor, radius: float) -> float:
        """What is left of g + F d + 2 mu F d = 0 with the best mu, or of feasibility, or a negative mu."""
        pull = 2 * F @ step
        mu = float(-(g + F @ step) @ pull / pull.square().sum())
        length = float((step @ F @ step).sqrt())
        left = float((g + (1 + 2 * mu) * (F @ step)).norm() / g.norm())
        slack = mu * max(0.0, 1 - length / radius)
        return max(left, length / radius - 1, -mu, slack)

    def worst(shorten: float) -> float:
        return max(residual(-min(1.0, shorten * r) * natural, r * size) for r in (0.01, 0.3, 0.9, 1.5))

    euclidean = -g / g.norm() * 0.3 * size
    return {
        "natural": worst(1.0),
        "policy_radius": worst(math.sqrt(2)),
        "euclidean": residual(euclidean, 0.3 * size),
        "angle": turned(g, natural),
        "bound": bound(5, F),
    }

"""Measurements of section 3: natural gradients of linear and logistic regression and of Gaussians."""

import torch
from torch import Tensor
from torch.func import grad

from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import (
    DOUBLE,
    binary,
    bound,
    deviation,
    hessian,
    logistic_fisher,
    normal,
    regression,
    spd,
)

SIGMA = 0.5


def linear_regression(source: torch.Generator) -> Figures:
    """Fisher and steps of a linear model with noise of known variance, under losses of three normalisations."""
    X, y, theta = regression(source)
    n = len(X)

    def mean_likelihood(t: Tensor) -> Tensor:
        return (X @ t - y).square().sum() / (2 * SIGMA**2 * n)

    outputs = X @ theta
    scores = [(outputs - (outputs + sign * SIGMA))[:, None] * X / SIGMA**2 for sign in (1, -1)]  # two nodes are exact
    by_labels = (scores[0].T @ scores[0] + scores[1].T @ scores[1]) / (2 * n)
    F = X.T @ X / (SIGMA**2 * n)
    formula = torch.linalg.solve(X.T @ X, X.T @ (X @ theta - y))
    g = grad(mean_likelihood)(theta)
    residuals = X @ theta - y
    empirical = (X.T * (residuals / SIGMA**2).square()) @ X / n
    losses = {"summed": lambda t: n * mean_likelihood(t), "squared": lambda t: 2 * SIGMA**2 * mean_likelihood(t)}
    steps = {name: torch.linalg.solve(F, grad(loss)(theta)) for name, loss in losses.items()}
    newton = [torch.linalg.solve(hessian(loss)(theta), grad(loss)(theta)) for loss in losses.values()]
    return {
        "fisher": deviation(by_labels, F),
        "population": deviation(F * SIGMA**2, torch.eye(len(theta), dtype=DOUBLE)),
        "step": deviation(torch.linalg.solve(F, g), formula),
        "summed": deviation(steps["summed"], formula),
        "squared": deviation(steps["squared"], formula),
        "newton": max(deviation(step, formula) for step in newton),
        "left": float(grad(mean_likelihood)(theta - formula).norm() / g.norm()),
        "empirical": deviation(torch.linalg.solve(empirical, g), formula),
        "bound": bound(n, X.T @ X),
    }


def logistic_regression(source: torch.Generator) -> Figures:
    """The course's two matrices of logistic regression against both definitions."""
    X, y, theta = binary(source)
    chance = torch.sigmoid(X @ theta)

    def second_moment(weights: Tensor) -> Tensor:
        return (X.T * weights) @ X / len(X)

    by_labels = second_moment(chance * (1 - chance).square() + (1 - chance) * chance.square())
    observed = second_moment((chance - y).square())
    formula = logistic_fisher(X, theta)
    other = second_moment((chance - y.flip(0)).square())
    return {
        "fisher": deviation(formula, by_labels),
        "observed": deviation(formula, observed),
        "labels_matter": deviation(other, observed),
        "bound": bound(len(X)),
    }


def gaussian_mean(source: torch.Generator) -> Figures:
    """The natural gradient of the mean of a Gaussian, for three covariances."""
    data, mean, general = normal(source, 20, 3), normal(source, 3), spd(source, 3)
    identity = torch.eye(3, dtype=DOUBLE)

    def compared(covariance: Tensor) -> tuple[float, Tensor]:
        precision = torch.linalg.inv(covariance)

        def loss(m: Tensor) -> Tensor:
            value: Tensor = ((data - m) @ precision * (data - m)).sum(1).mean() / 2
            return value

        g, F = grad(loss)(mean), hessian(loss)(mean)  # the Hessian of the log-density does not depend on the data
        natural = torch.linalg.solve(F, g)
        return deviation(natural, g), natural

    _, natural = compared(general)
    precision = torch.linalg.inv(general)

    def loss_of_natural_parameter(eta: Tensor) -> Tensor:
        value: Tensor = ((data - general @ eta) @ precision * (data - general @ eta)).sum(1).mean() / 2
        return value

    return {
        "identity": compared(identity)[0],
        "fourfold": compared(4 * identity)[0],
        "general": compared(general)[0],
        "dual": deviation(natural, grad(loss_of_natural_parameter)(precision @ mean)),
        "bound": bound(20, general, general),
    }


def covariance_fisher(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The Fisher of a covariance in its upper triangle, by the Hessian of the KL divergence, and the basis of the triangle."""
    size = len(covariance)
    rows, columns = torch.triu_indices(size, size)
    basis = torch.zeros(len(rows), size, size, dtype=covariance.dtype, device=covariance.device)
    places = torch.arange(len(rows))
    basis[places, rows, columns] = 1
    basis[places, columns, rows] = 1
    inverse = torch.linalg.inv(covariance)

    def divergence(shift: Tensor) -> Tensor:
        ratio = torch.eye(size, dtype=covariance.dtype) + inverse @ torch.einsum("p,pij->ij", shift, basis)
        value: Tensor = (torch.linalg.inv(ratio).diagonal().sum() + torch.logdet(ratio)) / 2
        return value

    return hessian(divergence)(basis.new_zeros(len(rows))), basis


def gaussian_covariance(source: torch.Generator) -> Figures:
    """The natural gradient of a covariance in closed form, and whether maximum-likelihood steps stay positive definite."""
    covariance, size = spd(source, 3), 3
    sample = normal(source, 20, size)
    moment = sample.T @ sample / len(sample)

    def loss(matrix: Tensor) -> Tensor:
        value: Tensor = (torch.logdet(matrix) + (torch.linalg.inv(matrix) @ moment).diagonal().sum()) / 2
        return value

    F, basis = covariance_fisher(covariance)
    g = grad(loss)(covariance)
    g = (g + g.T) / 2
    solved = torch.einsum("p,pij->ij", torch.linalg.solve(F, torch.einsum("pij,ij->p", basis, g)), basis)

    def left(lengths: tuple[float, ...]) -> float:
        starts = [spd(source, size, 1.0) for _ in range(50)]
        ends = torch.stack([s - a * (s - moment) for a in lengths for s in starts])  # 2 S G S = S - moment
        return float((torch.linalg.eigvalsh(ends)[:, 0] <= 0).double().mean())

    starts = [spd(source, size, 1.0) for _ in range(50)]
    quadratic = torch.stack([s - 0.5 * s @ (4 * spd(source, size)) @ s for s in starts])  # of E[x'Ax / 2], G = A / 2
    return {
        "closed": deviation(2 * covariance @ g @ covariance, solved),
        "maximum_likelihood": deviation(2 * covariance @ g @ covariance, covariance - moment),
        "unit": left((0.1, 0.5, 1.0)),
        "long": left((2.0, 3.0)),
        "quadratic": float((torch.linalg.eigvalsh(quadratic)[:, 0] <= 0).double().mean()),
        "none": 0.0,
        "bound": bound(9, F),
    }

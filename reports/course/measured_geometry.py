"""Measurements of sections 1 and 2: statistical manifolds, their metric, and what does not depend on coordinates."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from fishergauge.reference import fisher, pseudo_inverse
from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import (
    DOUBLE,
    binary,
    bound,
    deviation,
    hessian,
    linear_layer,
    logistic_fisher,
    logistic_loss,
    normal,
    null_share,
    perceptron,
)

LogDensity = Callable[[Tensor, Tensor], Tensor]


def two_forms(density: LogDensity, parameters: Tensor, nodes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The Fisher from scores and from the Hessian of the log-density, with expectations over weighted nodes."""
    scores = vmap(grad(density), (None, 0))(parameters, nodes)
    hessians = vmap(hessian(density), (None, 0))(parameters, nodes)
    return torch.einsum("n,ni,nj->ij", weights, scores, scores), -torch.einsum("n,nij->ij", weights, hessians)


def gauss_hermite(mean: Tensor, scale: Tensor, count: int = 24) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the expectation under a normal distribution."""
    nodes, weights = (torch.as_tensor(x) for x in np.polynomial.hermite_e.hermegauss(count))
    return mean + scale * nodes, weights / weights.sum()


def normal_family(t: Tensor, x: Tensor) -> Tensor:
    """Log-density of N(t_0, t_1^2), without its constant."""
    return -t[1].log() - ((x - t[0]) / t[1]).square() / 2


def forms_of_the_fisher(source: torch.Generator) -> Figures:
    """Both forms for three regular families, and for two whose support depends on the parameter."""
    location = torch.stack([normal(source, 1)[0], torch.tensor(0.8, dtype=DOUBLE)])
    counts = torch.arange(60, dtype=DOUBLE)
    rate = torch.tensor([2.5], dtype=DOUBLE)
    logits = normal(source, 4)

    def poisson(t: Tensor, x: Tensor) -> Tensor:
        return x * t[0].log() - t[0] - torch.lgamma(x + 1)

    def categorical(t: Tensor, x: Tensor) -> Tensor:
        return (x * t.log_softmax(0)).sum()

    def uniform(t: Tensor, x: Tensor) -> Tensor:
        return -t[0].log() + 0 * x

    def shifted_exponential(t: Tensor, x: Tensor) -> Tensor:
        return t[0] - x

    mass = vmap(poisson, (None, 0))(rate, counts).exp()
    cases = {
        "normal": (normal_family, location, *gauss_hermite(*location)),
        "poisson": (poisson, rate, counts, mass),
        "categorical": (categorical, logits, torch.eye(4, dtype=DOUBLE), logits.softmax(0)),
        "uniform": (uniform, rate, torch.linspace(0.1, 2.4, 5, dtype=DOUBLE), torch.full((5,), 0.2, dtype=DOUBLE)),
        "shifted": (shifted_exponential, rate, counts[3:4], counts[1:2]),
    }
    found = {name: deviation(*reversed(two_forms(*case))) for name, case in cases.items()}
    return found | {"bound": bound(60)}


def null_directions(source: torch.Generator) -> Figures:
    """The share of directions without length, for models with identifiable parameters and for others."""
    inputs, _, parameters = binary(source)

    def mixture(t: Tensor, x: Tensor) -> Tensor:
        return torch.log((1 - t[0]) * torch.exp(-x.square() / 2) + t[0] * torch.exp(-(x - t[1]).square() / 2))

    zero, one = torch.zeros((), dtype=DOUBLE), torch.ones((), dtype=DOUBLE)
    at = torch.tensor([0.3, 0.0], dtype=DOUBLE)
    return {
        "normal": null_share(two_forms(normal_family, torch.stack([zero, one]), *gauss_hermite(zero, one))[0]),
        "mixture": null_share(two_forms(mixture, at, *gauss_hermite(zero, one))[0]),
        "logistic": null_share(logistic_fisher(inputs, parameters)),
        "softmax": null_share(fisher(linear_layer(source, 3, 4, 40)).dense()),
        "wide": null_share(fisher(perceptron(source, (3, 5, 2), 6)).dense()),
        "bound": 0.0,
    }


def gauss_curvature(metric: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """The Gauss curvature of a surface from its metric and its first and second derivatives."""

    def christoffel(x: Tensor) -> Tensor:
        slopes = jacrev(metric)(x)
        lower = (slopes + slopes.transpose(1, 2) - slopes.permute(2, 0, 1)) / 2
        value: Tensor = torch.linalg.solve(metric(x), lower.reshape(2, 4)).reshape(2, 2, 2)
        return value

    symbols, slopes = christoffel(point), jacrev(christoffel)(point)
    products = torch.einsum("ikm,mlj->ijkl", symbols, symbols)
    riemann = torch.einsum("iljk->ijkl", slopes) + products
    riemann = riemann - riemann.transpose(2, 3)
    lowered = torch.einsum("im,mjkl->ijkl", metric(point), riemann)
    value: Tensor = lowered[0, 1, 0, 1] / torch.linalg.det(metric(point))
    return value


def curvature_from_the_metric(source: torch.Generator) -> Figures:
    """Gauss curvatures of normal and trinomial distributions, and of a flat family whose metric agrees at the point."""
    point = torch.stack([normal(source, 1)[0], torch.tensor(0.9, dtype=DOUBLE)])
    chances = torch.tensor([0.2, 0.3], dtype=DOUBLE)

    def normal_metric(t: Tensor) -> Tensor:
        return torch.diag(torch.stack([1 / t[1].square(), 2 / t[1].square()]))

    def trinomial_metric(p: Tensor) -> Tensor:
        return torch.diag(1 / p) + 1 / (1 - p.sum())

    fixed = normal_metric(point)  # the metric of a mean with this precision, whatever the mean
    curvature = gauss_curvature(normal_metric, point)
    return {
        "hyperbolic": abs(float(curvature) + 0.5),
        "sphere": abs(float(gauss_curvature(trinomial_metric, chances)) - 0.25),
        "at_a_point": abs(float(curvature - gauss_curvature(lambda t: fixed + 0 * t.sum(), point))),
        "bound": bound(16) * 8,
    }


def steepest_directions(source: torch.Generator) -> Figures:
    """How far the best of many random directions of equal length exceeds the claimed ones, in both geometries."""
    inputs, labels, parameters = binary(source)
    F = logistic_fisher(inputs, parameters)
    g = grad(lambda t: logistic_loss(inputs, labels, t))(parameters)
    natural = torch.linalg.solve(F, g)
    directions = torch.cat([normal(source, 20_000, 3), natural[None], g[None]])

    def excess(claimed: Tensor, metric: Tensor) -> float:
        decrease = directions @ g / (directions @ metric * directions).sum(1).sqrt()
        own = claimed @ g / (claimed @ metric @ claimed).sqrt()
        return max(0.0, 1 - float(own / decrease.max()))

    identity = torch.eye(3, dtype=DOUBLE)
    return {
        "euclidean": excess(g, identity),
        "natural_in_euclid": excess(natural, identity),
        "natural": excess(natural, F),
        "gradient_in_fisher": excess(g, F),
        "bound": bound(3, F),
    }


def change_of_coordinates(source: torch.Generator) -> Figures:
    """A logistic model in other coordinates, everything computed anew: the tensor laws, and finite steps."""
    inputs, labels, theta = binary(source)
    T = torch.eye(3, dtype=DOUBLE) + 0.4 * normal(source, 3, 3)

    def there(t: Tensor) -> Tensor:
        return T @ torch.sinh(t)

    def back(phi: Tensor) -> Tensor:
        return torch.asinh(torch.linalg.solve(T, phi))

    def fisher_by_labels(outputs: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
        """Both labels, weighed by their probability, with gradients in the coordinates at hand."""
        J, chance = jacrev(outputs)(at), torch.sigmoid(outputs(at))
        rows = [(weight.sqrt() * (chance - label))[:, None] * J for label, weight in ((0.0, 1 - chance), (1.0, chance))]
        return torch.einsum("lni,lnj->ij", torch.stack(rows), torch.stack(rows)) / len(J)

    g, F = grad(lambda t: logistic_loss(inputs, labels, t))(theta), logistic_fisher(inputs, theta)
    step = torch.linalg.solve(F, g)

    def measured(to: Callable[[Tensor], Tensor], fro: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        phi = to(theta)
        matrix = fisher_by_labels(lambda p: inputs @ fro(p), phi)
        slope = grad(lambda p: logistic_loss(inputs, labels, fro(p)))(phi)
        return {"phi": phi, "J": jacrev(to)(theta), "F": matrix, "g": slope, "step": torch.linalg.solve(matrix, slope)}

    def moved(at: dict[str, Tensor], fro: Callable[[Tensor], Tensor], length: float) -> float:
        return deviation(fro(at["phi"] - length * at["step"]) - theta, -length * step)

    curved = measured(there, back)
    straight = measured(lambda t: T @ t, lambda phi: torch.linalg.solve(T, phi))
    J = curved["J"]
    inverse = torch.linalg.inv(J)
    damped = torch.linalg.solve(straight["F"] + 0.1 * F.trace() / 3 * torch.eye(3, dtype=DOUBLE), straight["g"])
    here = torch.linalg.solve(F + 0.1 * F.trace() / 3 * torch.eye(3, dtype=DOUBLE), g)
    return {
        "fisher": deviation(curved["F"], inverse.T @ F @ inverse),
        "fisher_inverted": deviation(curved["F"], J @ F @ J.T),
        "gradient": deviation(curved["g"], inverse.T @ g),
        "gradient_forward": deviation(curved["g"], J @ g),
        "natural": deviation(curved["step"], J @ step),
        "plain": deviation(curved["g"], J @ g),
        "damped": deviation(damped, T @ here),
        "singular": _singular(source),
        "affine": moved(straight, lambda phi: torch.linalg.solve(T, phi), 1.0),
        "curved_full": moved(curved, back, 1.0),
        "curved_tenth": moved(curved, back, 0.1),
        "curved_hundredth": moved(curved, back, 0.01),
        "curved_thousandth": moved(curved, back, 0.001),
        "bound": bound(60, F, J, J),
    }


def _singular(source: torch.Generator) -> float:
    """The natural gradient with the pseudo-inverse of a singular Fisher, under a linear map of all parameters."""
    problem = linear_layer(source, 3, 4, 40)
    F, v = fisher(problem).dense(), normal(source, 12)
    g = F @ v  # any vector of the range
    T = torch.eye(12, dtype=DOUBLE) + 0.1 * normal(source, 12, 12)
    inverse = torch.linalg.inv(T)
    return deviation(pseudo_inverse(inverse.T @ F @ inverse, 1e-10) @ (inverse.T @ g), T @ pseudo_inverse(F, 1e-10) @ g)

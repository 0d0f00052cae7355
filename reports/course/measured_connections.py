"""Measurements of section 6: Newton's method, Adam and mirror descent."""

import torch
from torch import Tensor
from torch.func import functional_call, grad

from fishergauge.reference import Problem, fisher
from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import (
    DOUBLE,
    binary,
    bound,
    deviation,
    hessian,
    linear_layer,
    normal,
    perceptron,
    turned,
)


def second_derivatives(problem: Problem, targets: Tensor) -> Tensor:
    """The Hessian of the loss at other targets, by reverse mode twice: no Jacobian of outputs, no decomposition."""

    def loss(t: Tensor) -> Tensor:
        value: Tensor = problem.loss(functional_call(problem.model, problem.unflatten(t), (problem.inputs,)), targets)
        return value

    return hessian(loss)(problem.vector)


def expected_hessian(source: torch.Generator) -> Figures:
    """The Hessian expected over labels of the model, and at the observed ones, against the Fisher."""
    problem = perceptron(source, (4, 5, 3), 12)
    F = fisher(problem).dense()
    chances = problem.outputs.softmax(1)  # cross-entropy is linear in the distribution of the labels
    linear = linear_layer(source, 4, 3, 12)
    return {
        "model_labels": deviation(second_derivatives(problem, chances), F),
        "observed_labels": deviation(second_derivatives(problem, problem.targets), F),
        "linear": deviation(second_derivatives(linear, linear.targets), fisher(linear).dense()),
        "bound": bound(problem.num_parameters),
    }


def second_moments_of_gradients(source: torch.Generator) -> Figures:
    """The diagonal of the Fisher against what Adam divides by, one difference at a time."""
    X, y, theta = binary(source, 12, 4)
    X = X * torch.tensor([0.3, 1.0, 3.0, 9.0], dtype=DOUBLE)
    theta = theta / torch.tensor([0.3, 1.0, 3.0, 9.0], dtype=DOUBLE)
    chance = torch.sigmoid(X @ theta)
    diagonal = (chance * (1 - chance)) @ X.square() / len(X)
    rows = torch.cat([(chance - 1)[:, None] * X, chance[:, None] * X])  # labels one and zero
    weights = torch.cat([chance, 1 - chance]) / len(X)
    observed = (chance - y)[:, None] * X
    g = observed.mean(0)

    def of_batches(gradients: Tensor, chances: Tensor) -> Tensor:
        """E[(mean gradient of two samples)^2] by enumeration of all pairs."""
        means = (gradients[:, None] + gradients[None]) / 2
        return torch.einsum("i,j,ijp->p", chances, chances, means.square())

    one = weights @ rows.square()
    equal = torch.full((len(X),), 1 / len(X), dtype=DOUBLE)
    adam = of_batches(observed, equal)
    return {
        "one": deviation(one, diagonal),
        "two": deviation(of_batches(rows, weights), diagonal),
        "observed": deviation(observed.square().mean(0), diagonal),
        "root": turned(g / diagonal.sqrt(), g / diagonal),
        "labels": turned(g / observed.square().mean(0), g / diagonal),
        "no_root": turned(g / one, g / diagonal),
        "adam": turned(g / adam.sqrt(), g / diagonal),
        "bound": bound(len(rows)),
    }


def state_of_adam(source: torch.Generator) -> Figures:
    """The second moment kept by torch.optim.Adam against running averages of two kinds of squares."""
    X, y, theta = binary(source, 24, 3)
    parameter = torch.nn.Parameter(theta.clone())
    optimizer = torch.optim.Adam([parameter], lr=1e-2, betas=(0.9, 0.8), foreach=False)
    of_batches, of_samples = torch.zeros_like(theta), torch.zeros_like(theta)
    for batch in torch.arange(24).view(4, 6):
        gradients = (torch.sigmoid(X[batch] @ parameter.detach()) - y[batch])[:, None] * X[batch]
        of_batches = 0.8 * of_batches + 0.2 * gradients.mean(0).square()
        of_samples = 0.8 * of_samples + 0.2 * gradients.square().mean(0)
        parameter.grad = gradients.mean(0)
        optimizer.step()
    kept = optimizer.state[parameter]["exp_avg_sq"]
    return {"batches": deviation(kept, of_batches), "samples": deviation(kept, of_samples), "bound": bound(24)}


def log_partition(eta: Tensor) -> Tensor:
    """A of a categorical distribution over one more class than parameters."""
    return torch.logsumexp(torch.cat([eta, eta.new_zeros(1)]), 0)


def negative_entropy(mean: Tensor) -> Tensor:
    """The conjugate of :func:`log_partition`."""
    chances = torch.cat([mean, 1 - mean.sum(0, keepdim=True)])
    return (chances * chances.log()).sum()


def mirror_descent(source: torch.Generator) -> Figures:
    """Steps of mirror descent with both potentials against the natural gradient, and the divergences they induce."""
    eta, target = normal(source, 3), torch.softmax(normal(source, 4), 0)[:3]
    length = 0.5
    mean = grad(log_partition)(eta)
    F = hessian(log_partition)(eta)

    def loss(t: Tensor) -> Tensor:
        return log_partition(t) - target @ t

    slope = grad(loss)(eta)
    natural = eta - length * torch.linalg.solve(F, slope)
    moved = grad(log_partition)(natural)

    def of_mean(m: Tensor) -> Tensor:
        """The natural parameter of a mean."""
        value: Tensor = grad(negative_entropy)(m)
        return value

    dual_slope = grad(lambda m: loss(of_mean(m)))(mean)
    dual_fisher = hessian(negative_entropy)(mean)

    left = length * dual_slope + of_mean(moved) - of_mean(mean)
    linearised = mean - length * slope  # the gradients of A are the means
    proximal = (mean + length * target) / (1 + length)  # stationary point of length * loss + D_A, not linearised
    stationary = length * grad(loss)(of_mean(proximal)) + grad(log_partition)(of_mean(proximal)) - mean
    in_mean = mean - length * torch.linalg.solve(dual_fisher, dual_slope)
    step = natural - eta
    other = of_mean(proximal)
    there = grad(log_partition)(other)

    def kl(a: Tensor, b: Tensor) -> Tensor:
        p, q = (torch.cat([t, t.new_zeros(1)]).softmax(0) for t in (a, b))
        return (p * (p / q).log()).sum()

    partition = log_partition(other) - log_partition(eta) - mean @ (other - eta)

    def entropy_divergence(a: Tensor, b: Tensor) -> Tensor:
        return negative_entropy(a) - negative_entropy(b) - of_mean(b) @ (a - b)

    return {
        "entropy": float(left.norm() / (length * dual_slope).norm()),
        "partition_linearised": deviation(of_mean(linearised) - eta, step),
        "partition_proximal": deviation(of_mean(proximal) - eta, step),
        "stationary": float(stationary.norm() / slope.norm()),
        "natural_in_mean": deviation(in_mean - mean, linearised - mean),
        "divergence_kl": abs(float(partition / kl(eta, other)) - 1),
        "divergence_exchanged": abs(float(partition / entropy_divergence(mean, there)) - 1),
        "divergence_same_order": abs(float(partition / entropy_divergence(there, mean)) - 1),
        "bound": bound(4, F, F) * float(1 / min(step.norm(), partition)),
    }

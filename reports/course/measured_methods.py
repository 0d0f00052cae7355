"""Measurements of sections 7 and 8: estimates of the Fisher, many workers, reinforcement learning, and solving."""

import math

import torch
from torch import Tensor
from torch.func import grad

from fishergauge.reference import (
    conjugate_gradients,
    fisher,
    ggn,
    kl_divergence,
    monte_carlo_fisher,
    natural_gradient_step,
    output_jacobian,
    pseudo_inverse,
    trust_region_step,
)
from fishergauge.reference import gradient as exact_gradient
from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import (
    DOUBLE,
    binary,
    bound,
    condition,
    deviation,
    linear_layer,
    logistic_fisher,
    normal,
    perceptron,
    spd,
)

TOLERANCE = 1e-10


def estimates(source: torch.Generator) -> Figures:
    """Running averages of a Fisher that stays the same, and control variates from an anchor near and far."""
    X, _, theta = binary(source, 30, 3)
    theta = 3 * theta / theta.norm()  # so that most outputs are confident
    F, beta = logistic_fisher(X, theta), 0.95
    average, after = torch.zeros_like(F), {}
    for k in range(1, 1001):
        average = beta * average + (1 - beta) * F
        after[k] = average

    def of_samples(t: Tensor) -> Tensor:
        chance = torch.sigmoid(X @ t)
        return torch.einsum("n,ni,nj->nij", chance * (1 - chance), X, X)

    def variates(anchor: Tensor) -> Tensor:
        """The estimate from one sample, for each of them."""
        return of_samples(theta) - of_samples(anchor) + logistic_fisher(X, anchor)

    def variance(estimate: Tensor) -> float:
        return float((estimate - F).square().sum((1, 2)).mean())

    near, far = variates(theta + 0.05), variates(torch.zeros_like(theta))
    plain = variance(of_samples(theta))
    return {
        "late": deviation(after[1000], F),
        "first": deviation(after[1], F),
        "tenth": deviation(after[10], F),
        "corrected": deviation(after[10] / (1 - beta**10), F),
        "bias": max(deviation(near.mean(0), F), deviation(far.mean(0), F)),
        "near": max(0.0, variance(near) / plain - 1),
        "near_ratio": variance(near) / plain,
        "far": max(0.0, variance(far) / plain - 1),
        "far_ratio": variance(far) / plain,
        "indefinite": float((torch.linalg.eigvalsh(far)[:, 0] < 0).double().mean()),
        "bound": bound(30),
    }


def workers(source: torch.Generator) -> Figures:
    """Two workers with 7 and 3 samples: what may be averaged, and how."""
    problem = linear_layer(source, 3, 2, 10)
    J, chance = output_jacobian(problem), problem.outputs.softmax(1)
    H = torch.diag_embed(chance) - chance[:, :, None] * chance[:, None, :]
    blocks = torch.einsum("kcp,kcd,kdq->kpq", J, H, J)
    total, parts = fisher(problem).dense(), (blocks[:7].mean(0), blocks[7:].mean(0))
    shares = (0.7, 0.3)
    x = problem.inputs
    factors = [(H[part].mean(0), x[part].T @ x[part] / len(x[part])) for part in (slice(0, 7), slice(7, 10))]
    damped = [torch.linalg.inv(part + 0.1 * torch.eye(6, dtype=DOUBLE)) for part in parts]
    averaged = [sum(s * f[i] for s, f in zip(shares, factors, strict=True)) for i in (0, 1)]
    products = sum(s * torch.kron(*f) for s, f in zip(shares, factors, strict=True))
    inverses = sum(s * d for s, d in zip(shares, damped, strict=True))
    assert isinstance(inverses, Tensor)
    assert isinstance(products, Tensor)
    return {
        "weighted": deviation(shares[0] * parts[0] + shares[1] * parts[1], total),
        "mean_of_means": deviation((parts[0] + parts[1]) / 2, total),
        "inverses": deviation(inverses, torch.linalg.inv(total + 0.1 * torch.eye(6, dtype=DOUBLE))),
        "products": deviation(products, torch.kron(torch.as_tensor(averaged[0]), torch.as_tensor(averaged[1]))),
        "bound": bound(10),
    }


def natural_policy_gradient(source: torch.Generator) -> Figures:
    """A decision process of three states and two actions, solved exactly: the natural gradient against advantages."""
    states, actions, discount = 3, 2, 0.9
    moves = torch.softmax(1.5 * normal(source, states, actions, states), -1)
    rewards, logits = normal(source, states, actions), normal(source, states, actions)
    start = torch.tensor([0.8, 0.1, 0.1], dtype=DOUBLE)

    def chain(t: Tensor) -> tuple[Tensor, Tensor]:
        policy = t.softmax(-1)
        return policy, torch.eye(states, dtype=DOUBLE) - discount * torch.einsum("sa,sat->st", policy, moves)

    def expected_return(t: Tensor) -> Tensor:
        policy, matrix = chain(t)
        value: Tensor = start @ torch.linalg.solve(matrix, (policy * rewards).sum(-1))
        return value

    policy, matrix = chain(logits)
    visits = (1 - discount) * torch.linalg.solve(matrix.T, start)
    values = torch.linalg.solve(matrix, (policy * rewards).sum(-1))
    advantages = rewards + discount * moves @ values - values[:, None]

    def centred(update: Tensor) -> Tensor:
        return update - update.mean(-1, keepdim=True)  # a shift of a state's logits changes no policy

    def update(weights: Tensor) -> Tensor:
        own = torch.diag_embed(policy) - policy[:, :, None] * policy[:, None, :]
        F = torch.einsum("s,sab,st->satb", weights, own, torch.eye(states, dtype=DOUBLE)).reshape(states * actions, -1)
        value: Tensor = (pseudo_inverse(F) @ grad(expected_return)(logits).reshape(-1)).view(states, actions)
        return value

    right = centred(advantages) / (1 - discount)
    return {
        "visited": deviation(centred(update(visits)), right),
        "uniform": deviation(centred(update(torch.full_like(visits, 1 / states))), right),
        "plain": deviation(centred(grad(expected_return)(logits)), right),
        "bound": bound(6, matrix) / float(visits.min() * policy.min()),
    }


def policy_trust_region(source: torch.Generator) -> Figures:
    """The step of TRPO: solution of its problem, and its true divergence at two radii."""
    problem = linear_layer(source, 3, 4, 40)
    F, g = spd(source, 5, 1.5), normal(source, 5)
    directions = normal(source, 20_000, 5)
    delta = 0.01
    lengths = (2 * delta / (directions @ F * directions).sum(1)).sqrt()
    best = float((lengths * (directions @ g).abs()).max())

    def off(step: Tensor) -> float:
        """Infeasibility, an unused constraint, or a feasible direction that gains more."""
        used = float(step @ F @ step) / (2 * delta)
        return max(abs(used - 1), 1 - float(g @ step) / best)

    step = trust_region_step(F, -g, delta)
    slope, matrix = exact_gradient(problem), fisher(problem).dense()
    ratio = {}
    for radius in (1e-2, 1e-6):
        move = trust_region_step(matrix, slope, radius)
        ratio[radius] = abs(float(kl_divergence(problem, problem.vector + move)) / radius - 1)
    return {
        "step": off(step),
        "radius_of_section_5": off(step * math.sqrt(delta / 2)),  # d'Fd = delta^2
        "gradient": off(g * (2 * delta / (g @ F @ g)).sqrt()),
        "kl_large": ratio[1e-2],
        "kl_small": ratio[1e-6],
        "bound": bound(5, F),
    }


def with_and_without_sampling(source: torch.Generator) -> Figures:
    """The Fisher without any draw against the enumeration of labels, and with draws."""
    problem = perceptron(source, (4, 5, 3), 12)
    J, chance = output_jacobian(problem), problem.outputs.softmax(1)
    scores = chance[:, None, :] - torch.eye(3, dtype=DOUBLE)
    exact = torch.einsum("kl,klc,kcp,kld,kdq->pq", chance, scores, J, scores, J) / len(J)
    X, _, theta = binary(source)
    elsewhere = theta + 0.5 * normal(source, 3)
    truth = torch.sigmoid(X @ theta)

    def expected_empirical(t: Tensor) -> Tensor:
        """Over labels that the model at theta draws."""
        chance = torch.sigmoid(X @ t)
        return (X.T * (truth * (1 - chance).square() + (1 - truth) * chance.square())) @ X / len(X)

    return {
        "without": deviation(ggn(problem).dense(), exact),
        "hundred": deviation(monte_carlo_fisher(problem, 100, source).dense(), exact),
        "elsewhere": deviation(expected_empirical(elsewhere), logistic_fisher(X, elsewhere)),
        "truth": deviation(expected_empirical(theta), logistic_fisher(X, theta)),
        "bound": bound(problem.num_parameters),
    }


def solving(source: torch.Generator) -> Figures:
    """Conjugate gradients to the end and stopped, and low rank plus a multiple of the identity."""
    X, _, theta = binary(source, 60, 6)
    F, g = logistic_fisher(X, theta), normal(source, 6)
    solution = -natural_gradient_step(F, g)
    network = perceptron(source, (4, 5, 3), 8)
    matrix = fisher(network).dense()
    values, vectors = torch.linalg.eigh(matrix)
    damping = 0.1 * float(values[-1])
    identity = torch.eye(len(matrix), dtype=DOUBLE)

    def low_rank(rank: int) -> Tensor:
        kept = vectors[:, -rank:] * values[-rank:].clamp(min=0).sqrt()
        value: Tensor = kept @ kept.T + damping * identity
        return value

    rank = int(torch.linalg.matrix_rank(matrix, hermitian=True))
    spread, turn = torch.full_like(values, damping), torch.linalg.qr(normal(source, len(matrix), len(matrix))).Q
    spread[-3:] = values[-3:].clamp(min=2 * damping)
    flat = (turn * spread) @ turn.T
    excess = turn[:, -3:] * (spread[-3:] - damping).sqrt()
    return {
        "converged": deviation(conjugate_gradients(F, g, tolerance=TOLERANCE), solution),
        "stopped": _stopped(F, g, solution),
        "tolerance": TOLERANCE * condition(F) * 2,
        "rank": float(rank),
        "damped": deviation(low_rank(rank), matrix + damping * identity),
        "itself": deviation(low_rank(rank), matrix),
        "flat": deviation(excess @ excess.T + damping * identity, flat),
        "half": deviation(low_rank(rank // 4), matrix + damping * identity),
        "bound": bound(len(matrix)),
    }


def _stopped(F: Tensor, g: Tensor, solution: Tensor) -> float:
    """The deviation after one step: the gradient at its best length."""
    return deviation((g @ g) / (g @ F @ g) * g, solution)

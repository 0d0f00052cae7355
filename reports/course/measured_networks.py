"""Measurements of section 4: the Fisher of a network, its blocks, and K-FAC."""

import math

import torch
from torch import Tensor, nn

from fishergauge.reference import (
    Problem,
    block_slices,
    empirical_fisher,
    fisher,
    ggn,
    gradient,
    kfac,
    objective,
    output_jacobian,
)
from fishergauge.reports.course.statement import Figures
from fishergauge.reports.course.statement_problems import (
    DOUBLE,
    bound,
    deviation,
    filled,
    linear_layer,
    normal,
    perceptron,
    spd,
)


class Branches(nn.Module):
    """Two layers side by side, each with outputs of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2, device="meta"), nn.Linear(3, 2, device="meta")

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([self.left(inputs), self.right(inputs)], -1)


def fisher_of_a_network(source: torch.Generator) -> Figures:
    """Labels of the model against observed ones; rank; change along a step; what lies between the layers."""
    problem = perceptron(source, (4, 5, 3), 12)
    J, chance = output_jacobian(problem), problem.outputs.softmax(1)
    scores = chance[:, None, :] - torch.eye(3, dtype=DOUBLE)  # sample, label, output
    by_labels = torch.einsum("kl,klc,kcp,kld,kdq->pq", chance, scores, J, scores, J) / len(J)
    exact = fisher(problem).dense()
    tall, short = (perceptron(source, (3, 4, 2), n, squared=True) for n in (40, 4))
    rows = output_jacobian(short).flatten(0, 1) * math.sqrt(2)
    linear = linear_layer(source, 4, 1, 20, squared=True)
    parallel = Problem(
        filled(Branches(), source), nn.MSELoss(), [(normal(source, 12, 3), normal(source, 12, 4))]
    )  # squared error: its output Hessian couples no branches
    return {
        "model_labels": deviation(by_labels, ggn(problem).dense()),
        "observed_labels": deviation(empirical_fisher(problem).dense(), by_labels),
        "tall_unused": 1 - _rank(fisher(tall).dense()) / tall.num_parameters,
        "short_unused": 1 - _rank(fisher(short).dense()) / short.num_parameters,
        "short_rows": deviation(rows.T @ rows, fisher(short).dense()),
        "network_change": _change(problem),
        "linear_change": _change(linear),
        "network_stale": _stale(problem),
        "linear_stale": _stale(linear),
        "parallel": deviation(fisher(parallel).block_diagonal(), fisher(parallel).dense()),
        "chain": deviation(fisher(problem).block_diagonal(), exact),
        "none": 0.0,
        "bound": bound(problem.num_parameters),
    }


def _rank(matrix: Tensor) -> int:
    return int(torch.linalg.matrix_rank(matrix, hermitian=True))


def _damped_step(problem: Problem, F: Tensor) -> Tensor:
    """The natural-gradient step with a given Fisher, damped."""
    value: Tensor = torch.linalg.solve(F + 0.1 * torch.eye(len(F), dtype=F.dtype), gradient(problem))
    return value


def _change(problem: Problem) -> float:
    """How much the Fisher changes along one step."""
    F = fisher(problem).dense()
    return deviation(fisher(problem.at(problem.vector - _damped_step(problem, F))).dense(), F)


def _stale(problem: Problem) -> float:
    """The second step with the Fisher of the first, against the second step with its own."""
    F = fisher(problem).dense()
    then = problem.at(problem.vector - 0.5 * _damped_step(problem, F))
    return deviation(_damped_step(then, F), _damped_step(then, fisher(then).dense()))


def orders_of_the_vector(source: torch.Generator) -> Figures:
    """A kron G against the exact block of a layer of one sample, in both orders of the weight's entries."""
    found = {}
    for shape, (inner, outer) in {"": (4, 3), "_square": (3, 3)}.items():
        problem = linear_layer(source, inner, outer, 1)
        block = kfac(problem).factors[""]
        product = torch.kron(block.input_factor.contiguous(), block.output_factor.contiguous())
        by_rows = fisher(problem).dense()
        columns = torch.arange(inner * outer).view(outer, inner).T.reshape(-1)
        found[f"columns{shape}"] = deviation(product, by_rows[columns][:, columns])
        found[f"rows{shape}"] = deviation(product, by_rows)
    network = perceptron(source, (4, 5, 3), 12)
    found["network"] = deviation(kfac(network).dense(), fisher(network).block_diagonal())
    return found | {"bound": bound(12)}


def moments_of_a_layer(source: torch.Generator) -> Figures:
    """What A and G must be: second moments against covariances, labels of the model against observed ones."""
    layer = linear_layer(source, 4, 2, 15, squared=True)
    exact = fisher(layer).dense()
    outer = torch.eye(2, dtype=DOUBLE)  # 2 / C of a mean squared error over two outputs
    centred = layer.inputs - layer.inputs.mean(0)
    network = perceptron(source, (4, 5, 3), 12)
    bias = block_slices(network, "parameter")["0.bias"]
    target = fisher(network).dense()[bias, bias]
    factors = {name: kfac(network, name, "separate").factors["0"].output_factor for name in ("fisher", "empirical-fisher")}
    return {
        "second_moment": deviation(torch.kron(outer, layer.inputs.T @ layer.inputs / 15), exact),
        "covariance": deviation(torch.kron(outer, centred.T @ centred / 15), exact),
        "model": deviation(factors["fisher"], target),
        "observed": deviation(factors["empirical-fisher"], target),
        "mean_loss": deviation(factors["fisher"] / 12**2, target),
        "bound": bound(15),
    }


def stored_numbers(source: torch.Generator) -> Figures:
    """How many numbers the factors hold, and the blocks, against m^2 + n^2."""
    kept, dense = [], []
    for inner, outer in ((2, 4), (6, 3), (5, 5)):
        block = kfac(linear_layer(source, inner, outer, 8)).factors[""]
        size = inner**2 + outer**2
        kept.append(abs((block.input_factor.numel() + block.output_factor.numel()) / size - 1))
        dense.append(fisher(linear_layer(source, inner, outer, 8)).dense().numel() / size - 1)
    return {"factors": max(kept), "blocks": min(dense), "none": 0.0}


def inverses(source: torch.Generator) -> Figures:
    """The inverse of a Kronecker product, damped and not, and the step in both forms."""
    A, G, W = spd(source, 4), spd(source, 3), normal(source, 3, 4)
    product, inverse = torch.kron(A, G), torch.kron(torch.linalg.inv(A), torch.linalg.inv(G))
    damping = 0.1 * float(product.diagonal().mean())
    damped = torch.linalg.inv(product + damping * torch.eye(12, dtype=DOUBLE))
    root = math.sqrt(damping)
    factored = torch.kron(
        torch.linalg.inv(A + root * torch.eye(4, dtype=DOUBLE)), torch.linalg.inv(G + root * torch.eye(3, dtype=DOUBLE))
    )
    matrix = torch.linalg.solve(G, W) @ torch.linalg.inv(A)
    return {
        "inverse": deviation(inverse, torch.linalg.inv(product)),
        "damped": deviation(factored, damped),
        "columns": deviation((inverse @ W.T.reshape(-1)).view(4, 3).T, matrix),
        "rows": deviation((inverse @ W.reshape(-1)).view(3, 4), matrix),
        "bound": bound(12, A, G),
    }


def sign_of_the_update(source: torch.Generator) -> Figures:
    """The relative increase of the loss by the update of step 4, added and subtracted, at a tenth of its length."""
    problem = perceptron(source, (4, 5, 3), 12)
    step = 0.1 * kfac(problem).solve(gradient(problem), damping=0.01)
    before = float(objective(problem))
    after = {sign: float(objective(problem.at(problem.vector + sign * step))) / before - 1 for sign in (1, -1)}
    return {"subtracted": max(0.0, after[-1]), "added": max(0.0, after[1]), "gained": -after[-1], "none": 0.0}

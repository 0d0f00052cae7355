"""curvlinops: operators of the whole matrix - Hessian, GGN, empirical Fisher, Monte-Carlo Fisher, Jacobian, submatrices."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import quiet, trained
from fishergauge.suites.peers.of_curvlinops_operator import Build, library, made, operator, seed_from
from fishergauge.suites.peers.peer import Peer


def peers() -> list[Peer]:
    """The operators of whole matrices, and their diagonal blocks where the library has them."""
    hessian = "HessianLinearOperator: the Hessian of the empirical risk c sum_n l(f(x_n), y_n), c = 1/N under a mean"
    blocks = 'with block_sizes, "[1, 1, ...] corresponds to a block diagonal approximation" (CurvatureLinearOperator)'
    ggn = "GGNLinearOperator: c sum_n J_n' H_n J_n, H_n the Hessian of the loss in the outputs"
    empirical = "EFLinearOperator: the uncentered gradient covariance c sum_n g_n g_n'; further axes are samples (utils.py)"
    drawn = "FisherMCLinearOperator: unbiased over labels drawn from the model, mc_samples for each data point"
    jacobian = "JacobianLinearOperator: the N C x D matrix of derivatives of the outputs, in the order of the data"
    found = [
        made("hessian", _sum("HessianLinearOperator"), "hessian", "dense", hessian),
        made("hessian-blocks-layer", _blocks(_by_layer), "hessian", "block-diagonal", f"{hessian}; {blocks}", bias="joint"),
        made(
            "hessian-blocks-parameter", _blocks(_singly), "hessian", "block-diagonal", f"{hessian}; {blocks}", bias="separate"
        ),
        made("ggn", _sum("GGNLinearOperator"), "ggn", "dense", ggn),
        made("ef", _sum("EFLinearOperator"), "empirical-fisher", "dense", empirical),
        made("fisher-mc", _drawn, "fisher", "dense", drawn, "the seed is drawn from the generator", samples=1),
    ]
    between = "J' H J, with the Hessian of the loss in the outputs put between by the adapter"
    for name, build in (("jacobian-ggn", _from_jacobian), ("jacobian-transposed-ggn", _from_transposed)):
        found.append(made(name, build, "ggn", "dense", jacobian, between))
    parts = "SubmatrixLinearOperator: A[row_idxs, :][col_idxs, :]"
    again = "four parts are put together again"
    found.append(made("submatrix-ggn", _submatrices("GGNLinearOperator"), "ggn", "dense", parts, again))
    found.append(made("submatrix-hessian", _submatrices("HessianLinearOperator"), "hessian", "dense", parts, again))
    return found


def _sum(kind: str) -> Build:
    return lambda problem: operator(kind, problem)


def _drawn(problem: Problem, generator: torch.Generator, samples: int) -> Any:
    return operator("FisherMCLinearOperator", problem, seed=seed_from(generator), mc_samples=samples)


def _blocks(sizes: Callable[[nn.Module], list[int]]) -> Build:
    return lambda problem: operator("HessianLinearOperator", problem, block_sizes=sizes(problem.model))


def _singly(model: nn.Module) -> list[int]:
    return [1 for _ in trained(model)]


def _by_layer(model: nn.Module) -> list[int]:
    """Numbers of consecutive parameters of one module."""
    owners = [name.rpartition(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [owners.count(owner) for owner in dict.fromkeys(owners)]


def _jacobian(problem: Problem, kind: str) -> Any:
    model = problem.model
    with quiet():
        return getattr(library(), kind)(model, trained(model), list(problem.batches))


def _from_jacobian(problem: Problem) -> Tensor:
    unit = torch.eye(problem.num_parameters, dtype=problem.dtype, device=problem.device)
    with quiet():
        return _sandwich(problem, _jacobian(problem, "JacobianLinearOperator") @ unit)


def _from_transposed(problem: Problem) -> Tensor:
    transposed = _jacobian(problem, "TransposedJacobianLinearOperator")
    with quiet():
        products: Tensor = transposed @ torch.eye(transposed.shape[1], dtype=problem.dtype, device=problem.device)
    return _sandwich(problem, products.mT)


def _sandwich(problem: Problem, jacobian: Tensor) -> Tensor:
    """J' H J with H by differentiating the loss twice in all outputs at once."""
    with torch.no_grad():
        outputs = torch.cat([problem.model(inputs) for inputs, _ in problem.batches])
    targets = torch.cat([labels for _, labels in problem.batches])
    of_outputs: Tensor = torch.func.hessian(lambda flat: problem.loss(flat.view_as(outputs), targets))(outputs.flatten())
    return jacobian.mT @ of_outputs @ jacobian


def _submatrices(kind: str) -> Build:
    """The matrix from its four parts: even and odd rows and columns."""

    def build(problem: Problem) -> Tensor:
        whole = operator(kind, problem, check_deterministic=False)
        size = problem.num_parameters
        result = torch.zeros(size, size, dtype=problem.dtype, device=problem.device)
        halves = [part for part in (range(0, size, 2), range(1, size, 2)) if part]
        with quiet():
            for rows in halves:
                for columns in halves:
                    part = library().SubmatrixLinearOperator(whole, list(rows), list(columns))
                    unit = torch.eye(len(columns), dtype=problem.dtype, device=problem.device)
                    result[rows.start :: 2, columns.start :: 2] = part @ unit
        return result

    return build

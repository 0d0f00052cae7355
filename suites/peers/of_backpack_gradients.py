"""BackPACK's quantities of individual gradients: the empirical Fisher, its diagonal, and what that follows from.

BackPACK's gradient of sample n is that of its summand of the objective: g_n / M, where M is what the reduction divides by.
So the empirical Fisher is M times the sum of their outer products. It is one of samples: where a sample has several terms
of the loss, no quantity here is the sum over terms, and the adapters say so.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.of_backpack_pass import Pass, joined, made, peer, rows, run
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Subject

SCALE = (
    "extensions/firstorder: the individual gradients are [g1, ..., gn] if the loss is a sum, and divided by what the mean "
    "divides by otherwise"
)
OUTER = "M times the sum of outer products: (1/M) sum g g' with the un-reduced gradients"
SQUARES = "M times the sum of squares"
NORMS = f"{SQUARES} of SumGradSquared, its sum over each parameter replaced by that of BatchL2Grad, which gives no entries"
BACK = "the sum of squares from the documented variance: N variance + gradient^2 / N, times M"


def gradients() -> list[Peer]:
    """The individual gradients, their squares and their variance."""
    whole, diagonal = partial(_subject, "dense"), partial(_subject, "diagonal")
    return [
        peer(whole("batch-grad", _outer), SCALE, OUTER),
        peer(whole("batch-grad-subsampling", _outer_in_halves), f"{SCALE}; subsampling: indices of samples", OUTER),
        peer(diagonal("sum-grad-squared", _squares), SCALE, SQUARES),
        peer(diagonal("variance", _from_variance), f"{SCALE}; Variance is the variance of these vectors", BACK),
        peer(diagonal("batch-l2-grad", _norms), f"{SCALE}; BatchL2Grad is the squared norm of each", NORMS),
    ]


def _subject(structure: Any, name: str, build: Any) -> Subject:
    return Subject(f"backpack/{name}", build, target="empirical-fisher", structure=structure)


def _outer(problem: Problem) -> Tensor:
    each = rows(_one_term(problem, "BatchGrad"), 1)
    return _divisor(problem) * each.mT @ each


def _outer_in_halves(problem: Problem) -> Tensor:
    parts = [list(range(start, problem.num_samples, 2)) for start in (0, 1)]
    each = torch.cat([rows(_one_term(problem, "BatchGrad", subsampling=part), 1) for part in parts if part])
    return _divisor(problem) * each.mT @ each


def _squares(problem: Problem) -> Tensor:
    return torch.diag(_divisor(problem) * joined(_one_term(problem, "SumGradSquared")))


def _from_variance(problem: Problem) -> Tensor:
    done = _one_term(problem, "Variance")
    gradient = torch.cat([done.model.get_parameter(name).grad.reshape(-1) for name in done.saved])  # type: ignore[union-attr]
    squares = problem.num_samples * joined(done) + gradient.square() / problem.num_samples
    return torch.diag(_divisor(problem) * squares)


def _norms(problem: Problem) -> Tensor:
    norms, squares = _one_term(problem, "BatchL2Grad"), _one_term(problem, "SumGradSquared")
    parts = []
    for name, entries in squares.saved.items():
        total = entries.sum()
        share = entries / total if float(total) > 0 else torch.zeros_like(entries)
        parts.append((share * norms.saved[name].sum()).detach().reshape(-1))
    return torch.diag(_divisor(problem) * torch.cat(parts))


def _one_term(problem: Problem, extension: str, **options: Any) -> Pass:
    terms = problem.likelihood.split(problem.outputs).shape[1]
    if terms > 1:
        raise NotImplementedError(f"backpack's individual gradients are of samples, which have {terms} terms of the loss each")
    return run(problem, made(extension, **options))


def _divisor(problem: Problem) -> Tensor:
    """M."""
    return problem.likelihood.divisor(problem.outputs, problem.targets)

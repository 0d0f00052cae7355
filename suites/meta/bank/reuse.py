"""Subjects that go wrong where a model is used again: for a second matrix beside the first, and after an exception."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ggn
from fishergauge.suites.meta.bank.defect import Declaration, Defect, unmatched

GGN = Declaration(target="ggn")


class Reading:
    """A matrix that is looked up at each product.

    Args:
        look_up: gives the entries.
    """

    def __init__(self, look_up: Callable[[], Tensor]) -> None:
        self.look_up = look_up
        self.shape = look_up().shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.look_up() @ vectors


def evaluated(problem: Problem) -> None:
    """One more forward pass."""
    with torch.no_grad():
        problem.model(problem.inputs)


# --- two matrices on one model ------------------------------------------------------------------------------------------


def kept_by_model() -> Any:
    """A register of matrices by model, without a trace on the model."""
    register: WeakKeyDictionary[nn.Module, Tensor] = WeakKeyDictionary()

    def build(problem: Problem) -> Reading:
        register[problem.model] = ggn(problem).dense()
        return Reading(lambda: register[problem.model])

    return build


def kept_on_the_model(problem: Problem) -> Any:
    """An attribute of the model, which each matrix writes anew."""
    model: Any = problem.model
    model.curvature = ggn(problem).dense()
    return Reading(lambda: model.curvature)


def hooked_again() -> Any:
    """Each matrix hooks the model, and the hooks of those before it count its forward pass as well."""
    passes: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()

    def count(model: nn.Module, *_: object) -> None:
        passes[model] += 1

    def build(problem: Problem) -> Tensor:
        problem.model.register_forward_hook(count)
        passes[problem.model] = 0
        matrix = ggn(problem).dense()
        passes[problem.model] = 0
        evaluated(problem)
        return passes[problem.model] * matrix

    return build


# --- after an exception -------------------------------------------------------------------------------------------------


def hooks_without_finally(problem: Problem) -> Tensor:
    """Hooks that are removed after the forward pass, if it comes to that."""
    handles = [module.register_forward_hook(lambda *_: None) for module in problem.model.modules()]
    matrix = ggn(problem).dense()
    for handle in handles:
        handle.remove()
    return matrix


def gradients_without_finally(problem: Problem) -> Tensor:
    """Gradients switched off for a forward pass, and on again if it comes to that."""
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    evaluated(problem)
    torch.set_grad_enabled(before)
    return ggn(problem).dense()


def going_on() -> Any:
    """Sums by model that are cleared when a matrix is handed over, and not when there is none."""
    sums: WeakKeyDictionary[nn.Module, Tensor] = WeakKeyDictionary()

    def build(problem: Problem) -> Tensor:
        matrix = ggn(problem).dense()
        sums[problem.model] = sums.get(problem.model, torch.zeros_like(matrix)) + matrix
        evaluated(problem)
        return sums.pop(problem.model)

    return build


def locked() -> Any:
    """A mark that the model is in use, which an exception leaves."""
    used: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()

    def build(problem: Problem) -> Tensor:
        if problem.model in used:
            raise RuntimeError("the model is in use")
        used[problem.model] = True
        matrix = ggn(problem).dense()
        del used[problem.model]
        return matrix

    return build


def swallowing(problem: Problem) -> Tensor:
    """What has been summed up until an exception came, and not a word of it."""
    size = problem.num_parameters
    matrix = torch.zeros(size, size, dtype=problem.dtype, device=problem.device)
    try:
        matrix += ggn(problem).dense()
    except Exception:
        return matrix
    return matrix


REUSE: tuple[Defect, ...] = (
    unmatched(
        "D50",
        "hooks removed at the end only, so that they stay after an exception",
        "cybertronai/autograd-lib#5",
        lambda: hooks_without_finally,
        GGN,
        sees=("T26-exception",),
    ),
    unmatched(
        "D51",
        "hooks of earlier matrices called for the next one as well",
        "cybertronai/autograd-lib#8",
        hooked_again,
        GGN,
        sees=("T26-together", "T26-untouched"),
    ),
    unmatched(
        "P275",
        "what a matrix reads is kept by model: the next matrix overwrites it",
        "likely: a register of factors by module",
        kept_by_model,
        GGN,
        sees=("T26-together",),
    ),
    unmatched(
        "P276",
        "what a matrix reads is an attribute of the model: the next matrix overwrites it",
        "likely: factors stored on modules",
        lambda: kept_on_the_model,
        GGN,
        sees=("T26-together", "T26-untouched"),
    ),
    unmatched(
        "P277",
        "gradients stay switched off after an exception",
        "likely: no finally",
        lambda: gradients_without_finally,
        GGN,
        sees=("T26-exception",),
    ),
    unmatched(
        "P278",
        "the sums of a build that failed are gone on with",
        "likely: an accumulator cleared at the end only",
        going_on,
        GGN,
        sees=("T26-exception",),
    ),
    unmatched(
        "P279",
        "after an exception the model counts as in use for ever",
        "likely: no finally",
        locked,
        GGN,
        sees=("T26-exception",),
    ),
    unmatched(
        "P280",
        "an exception swallowed, and what there was till then returned",
        "likely: except Exception around a fallback",
        lambda: swallowing,
        GGN,
        sees=("T26-exception",),
    ),
)

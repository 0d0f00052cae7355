"""What a subject does besides computing: what it leaves behind, prints, raises or returns."""

import os
import random
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fishergauge.reference import Problem, ggn
from fishergauge.suites.meta.bank.defect import Declaration, Defect, unmatched

GGN = Declaration(target="ggn")
SECONDS = 30.0  # longer than the limit of a check
Act = Callable[[Problem], object]


def right(problem: Problem) -> Tensor:
    """The GGN."""
    return ggn(problem).dense()


def doing(act: Act) -> Callable[[], Callable[[Problem], Any]]:
    """The right matrix, and an act besides."""

    def build(problem: Problem) -> Any:
        matrix = right(problem)
        act(problem)
        return matrix

    return lambda: build


def returning(change: Callable[[Problem, Tensor], Any]) -> Callable[[], Callable[[Problem], Any]]:
    """Something else than the right matrix, made of it."""
    return lambda: lambda problem: change(problem, right(problem))


def leaves_gradients(problem: Problem) -> None:
    """Accumulates into ``grad``."""
    problem.loss(problem.model(problem.inputs), problem.targets).backward()


def moves_parameters(problem: Problem) -> None:
    """Adds to the parameters, and takes it off again, up to rounding."""
    with torch.no_grad():
        for parameter in problem.parameters.values():
            parameter.add_(0.1).sub_(0.1).mul_(1 + 1e-9)


def freezes(problem: Problem) -> None:
    """Leaves a parameter frozen."""
    next(iter(problem.model.parameters())).requires_grad_(False)


def changes_data(problem: Problem) -> None:
    """Scales floating-point inputs in place; of tokens, the targets' memory is written to."""
    inputs, targets = problem.batches[0]
    if inputs.is_floating_point():
        inputs.mul_(1.5)
    else:
        targets.copy_(targets.flip(0))


def hook(problem: Problem) -> None:
    """Leaves a hook."""
    problem.model.register_forward_hook(lambda *_: None)


def hook_and_raise(problem: Problem) -> None:
    """Leaves a hook and fails."""
    hook(problem)
    raise ValueError("this model is not to my taste")


def draws(problem: Problem) -> None:
    """Moves torch's global generator."""
    torch.rand(())


def draws_numpy(problem: Problem) -> None:
    """Moves those of numpy and of Python."""
    np.random.rand()  # noqa: NPY002 (the point is to move it)
    random.random()


def raises_on_one(problem: Problem) -> None:
    """Fails where there is a single output."""
    if problem.outputs.shape[-1] == 1:
        raise RuntimeError("expected at least two outputs")


def squeezed(problem: Problem) -> Tensor:
    """Axes of size one dropped before the products are taken."""
    from fishergauge.suites.meta.bank.pieces import Pieces

    pieces = Pieces(problem)
    rows, jacobian = pieces.root("ggn").squeeze(), pieces.jacobian.squeeze()
    matrix = torch.einsum("krc,kcp->krp", rows, jacobian).flatten(0, 1)
    return matrix.T @ matrix / pieces.divisor


def hangs(problem: Problem) -> None:
    """Does not come back in time."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.01)


def ends_process(problem: Problem) -> None:
    """Ends the process without a word."""
    os._exit(3)


def writes(problem: Problem) -> None:
    """Prints to both streams."""
    print("computing curvature ...")
    print("computing curvature ...", file=sys.stderr)


def warns(problem: Problem) -> None:
    """Warns."""
    warnings.warn("full backward hook is firing", stacklevel=1)


def one_nan(problem: Problem, matrix: Tensor) -> Tensor:
    """A NaN in one entry."""
    matrix[0, 0] = torch.nan
    return matrix


def all_parameters(problem: Problem, matrix: Tensor) -> Tensor:
    """Frozen parameters included."""
    total = sum(p.numel() for p in problem.model.parameters())
    padded = matrix.new_zeros(total, total)
    padded[: len(matrix), : len(matrix)] = matrix
    return padded


def with_grad(problem: Problem, matrix: Tensor) -> Tensor:
    """Still attached to a graph."""
    return matrix * next(iter(problem.model.parameters())).sum().exp().pow(0)


BEHAVIOUR: tuple[Defect, ...] = (
    unmatched(
        "D33",
        "axes of size one dropped by squeeze()",
        "several libraries, at batch size 1",
        lambda: squeezed,
        GGN,
        sees=("T26-form",),
    ),
    unmatched("P230", "leaves gradients behind", "likely", doing(leaves_gradients), GGN, sees=("T26-untouched",)),
    unmatched(
        "P231", "leaves the model in training mode", "likely", doing(lambda p: p.model.train()), GGN, sees=("T26-untouched",)
    ),
    unmatched("P232", "leaves a hook on the model", "likely", doing(hook), GGN, sees=("T26-untouched",)),
    unmatched(
        "P233", "leaves a hook on the model and fails", "likely", doing(hook_and_raise), GGN, sees=("T26-form", "T26-untouched")
    ),
    unmatched(
        "P234",
        "leaves another default dtype",
        "likely",
        doing(
            lambda p: (
                torch.set_default_dtype(torch.float64)
                if torch.get_default_dtype() != torch.float64
                else torch.set_default_dtype(torch.float32)
            )
        ),
        GGN,
        sees=("T26-untouched",),
    ),
    unmatched(
        "P235",
        "leaves another number of threads",
        "likely",
        doing(lambda p: torch.set_num_threads(torch.get_num_threads() + 1)),
        GGN,
        sees=("T26-untouched",),
    ),
    unmatched("P236", "moves torch's global generator", "likely", doing(draws), GGN, sees=("T26-untouched",)),
    unmatched(
        "P237", "moves the global generators of numpy and Python", "likely", doing(draws_numpy), GGN, sees=("T26-untouched",)
    ),
    unmatched(
        "P238",
        "leaves gradients switched off",
        "likely",
        doing(lambda p: torch.set_grad_enabled(False)),
        GGN,
        sees=("T26-untouched",),
    ),
    unmatched(
        "P239", "moves the parameters", "likely: finite differences", doing(moves_parameters), GGN, sees=("T26-untouched",)
    ),
    unmatched("P240", "leaves a parameter frozen", "likely", doing(freezes), GGN, sees=("T26-untouched",)),
    unmatched("P241", "scales the data in place", "likely", doing(changes_data), GGN, sees=("T26-untouched",)),
    unmatched(
        "P242",
        "leaves an attribute on a parameter",
        "likely: BackPACK's grad_batch",
        doing(lambda p: setattr(next(iter(p.model.parameters())), "grad_batch", 0)),
        GGN,
        sees=("T26-untouched",),
    ),
    unmatched("P243", "prints", "likely", doing(writes), GGN),
    unmatched("P244", "warns", "likely", doing(warns), GGN),
    unmatched("P245", "leaves the interpreter by sys.exit()", "likely", doing(lambda p: sys.exit(0)), GGN, sees=("T26-form",)),
    unmatched(
        "P246", "ends the process", "likely: a crash in native code", doing(ends_process), GGN, sees=("T26-form",), fatal=True
    ),
    unmatched("P247", "does not come back in time", "likely", doing(hangs), GGN, sees=("T26-form",)),
    unmatched("P248", "fails where there is one output", "likely", doing(raises_on_one), GGN, sees=("T26-form",)),
    unmatched(
        "P249",
        "returns a row too few and a column too many: (P, P + 1)",
        "likely",
        returning(lambda p, m: torch.cat([m, m[:, :1]], 1)),
        GGN,
        sees=("T26-form",),
    ),
    unmatched(
        "P250",
        "returns float32 for a problem in float64",
        "likely",
        returning(lambda p, m: m.to(torch.float32 if m.dtype == torch.float64 else torch.float64)),
        GGN,
        sees=("T26-form",),
    ),
    unmatched("P251", "returns NaN in one entry", "likely", returning(one_nan), GGN, sees=("T26-form",)),
    unmatched("P252", "returns a list of rows", "likely", returning(lambda p, m: m.tolist()), GGN, sees=("T26-form",)),
    unmatched("P253", "returns nothing", "likely: no return statement", returning(lambda p, m: None), GGN, sees=("T26-form",)),
    unmatched("P254", "frozen parameters included", "likely", returning(all_parameters), GGN, sees=("T26-form",)),
    unmatched(
        "P255", "returns the diagonal as a vector", "likely", returning(lambda p, m: m.diagonal()), GGN, sees=("T26-form",)
    ),
    unmatched(
        "P256", "returns infinities", "likely: a division by zero", returning(lambda p, m: m / 0), GGN, sees=("T26-form",)
    ),
    unmatched("P257", "returns a dictionary of blocks", "likely", returning(lambda p, m: {"all": m}), GGN, sees=("T26-form",)),
)

"""laplace-torch: what its subjects share: a fit to the batches of a problem, names of likelihoods, and the scale.

Its convention: H is the curvature of the negative log-likelihood summed over the data, with unit variance in regression
(half the squared error). The canon divides by the divisor of the loss, and doubles under squared error.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import quiet, under
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Solve, Structure, Subject, Target

LIBRARY = "laplace-torch"
BACKENDS = {"curvlinops": "Curvlinops", "asdl": "Asdl", "backpack": "BackPack"}
TARGETS: dict[str, tuple[str, Target]] = {
    "ggn": ("GGN", "ggn"),
    "ef": ("EF", "empirical-fisher"),
    "hessian": ("Hessian", "hessian"),
}
STRUCTURES: dict[str, Structure] = {"full": "dense", "kron": "kronecker", "diag": "diagonal"}
IGNORED = -100
"""What the library's ``nn.CrossEntropyLoss()`` ignores."""
REFUSALS = (
    "If some grad are switched off, the BackPACK and Asdfghjkl backends",
    "ASDL produced no diagonal Fisher statistics",
    "ASDL diagonal Fisher statistics do not match",
    "ASDL module parameters do not match",
    "Use model with a linear last layer",
    "Invalid parameter shape in network",
    "conv2d.dilation has to be",
    "Only 2D inputs are currently supported for MSELoss",
)
"""How the messages begin with which it refuses a model."""

CONVERSION = (
    "H divided by what the loss divides by, times 2 under squared error; labels to be ignored are given as -100; the batches "
    "by a DataLoader with a batch sampler"
)
PROMISE = (
    "{0} of the negative log-likelihood summed over the data (ParametricLaplace, BaseLaplace.fit); cross-entropy, or squared "
    "error for N(f, 1) (laplace/curvature/curvature.py, CurvatureInterface.factor)"
)
WORDS = {
    "ggn": "the GGN, equal to the Fisher (GGNInterface)",
    "ef": "the empirical Fisher (EFInterface)",
    "hessian": "the Hessian",
}


def made(
    name: str,
    build: Callable[..., Any],
    target: Target,
    structure: Structure,
    promise: str,
    conversion: str = CONVERSION,
    samples: int | None = None,
    solve: Solve | None = None,
    disclaims: Sequence[str] = (),
) -> Peer:
    """A quantity of this library; a Kronecker factorisation has a block of its own for each bias."""
    bias: Any = "separate" if structure == "kronecker" else None
    subject = Subject(f"{LIBRARY}/{name}", build, target, structure, samples, bias, disclaims=disclaims, solve=solve)
    return Peer(LIBRARY, "laplace", subject, promise, conversion)


def with_settings(build: Callable[[Problem], Any]) -> Callable[[Problem], Any]:
    """A build under the problem's dtype as the default, without known warnings."""
    return lambda problem: under(problem, build)(problem)


def with_draws(build: Callable[..., Any]) -> Callable[..., Any]:
    """As :func:`with_settings`, for a build that takes the number of draws."""
    return lambda problem, samples=1: under(problem, build)(problem, samples=samples)


def without_settings(build: Callable[[Problem], Any]) -> Callable[[Problem], Any]:
    """A build under the settings that the process has, as a user would call it."""

    def built(problem: Problem) -> Any:
        with quiet():
            return build(problem)

    return built


def interface(backend: str, kind: str) -> Any:
    """The class of a curvature backend."""
    with quiet():
        import laplace.curvature
    return getattr(laplace.curvature, BACKENDS[backend] + TARGETS[kind][0])


def fitted(problem: Problem, subset: str, structure: str, kind: str = "ggn", **keywords: Any) -> Any:
    """A Laplace approximation of the problem's own model, fitted to its batches.

    Raises:
        NotImplementedError: the library has no name for the likelihood, or refuses the model.
    """
    likelihood, targets = likelihood_of(problem, kind)
    with quiet():
        from laplace import Laplace
    try:
        laplace = Laplace(problem.model, likelihood, subset, structure, **keywords)
        laplace.fit(loader(problem, targets))
    except ValueError as error:
        if str(error).startswith(REFUSALS):
            raise NotImplementedError(f"{LIBRARY} refuses: {error}") from error
        raise
    return laplace


def loader(problem: Problem, targets: Sequence[Tensor]) -> Any:
    """The batches as they are, by a loader that draws nothing from the global random state."""
    edges = torch.tensor([0, *(len(inputs) for inputs, _ in problem.batches)]).cumsum(0).tolist()
    batches = [list(range(first, last)) for first, last in pairwise(edges) if last > first]
    data = TensorDataset(problem.inputs, torch.cat(list(targets)))
    return DataLoader(data, batch_sampler=batches, generator=torch.Generator())


def likelihood_of(problem: Problem, kind: str = "ggn") -> tuple[str, list[Tensor]]:
    """The library's name of the likelihood, and the targets of the batches as its loss takes them.

    Raises:
        NotImplementedError: it has no parameter for this loss; or the empirical Fisher would be another one, as the library
            documents it over the gradients of data ``(batch, parameters)``, and a datum has several terms here.
    """
    loss, targets = problem.loss, [targets for _, targets in problem.batches]
    if kind == "ef" and _several_terms(problem):
        raise NotImplementedError(f"{LIBRARY} has the empirical Fisher of data; here a datum has several terms of the loss")
    if isinstance(loss, nn.MSELoss):
        return "regression", targets
    if not isinstance(loss, nn.CrossEntropyLoss):
        raise NotImplementedError(f"{LIBRARY} knows softmax classification and regression by name, not {type(loss).__name__}")
    if loss.weight is not None or loss.label_smoothing:
        raise NotImplementedError(f"{LIBRARY} takes the name of a likelihood: no class weights, no label smoothing")
    if targets[0].is_floating_point():
        return "classification", targets
    return "classification", [labels.masked_fill(labels == loss.ignore_index, IGNORED) for labels in targets]


def _several_terms(problem: Problem) -> bool:
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        return problem.targets.ndim > 1
    return problem.outputs.ndim > 2


def scale(problem: Problem, kind: str = "ggn") -> float:
    """What leads from the negative log-likelihood summed over the data to the objective.

    Under squared error the objective is twice the negative log-likelihood of unit variance; the squares of its gradients, of
    which the empirical Fisher consists, are four times as large.
    """
    if isinstance(problem.loss, nn.MSELoss):
        divisor = problem.outputs.numel() if problem.loss.reduction == "mean" else 1
        return (4.0 if kind == "ef" else 2.0) / divisor
    if problem.loss.reduction == "sum":
        return 1.0
    if problem.targets.is_floating_point():
        return 1.0 / problem.num_samples
    ignored: Any = problem.loss.ignore_index
    return 1.0 / int(torch.count_nonzero(problem.targets != ignored))


def dense(matrix: Any) -> Tensor:
    """The library's H as a matrix: dense, a diagonal, or decomposed Kronecker factors."""
    if isinstance(matrix, Tensor):
        return torch.diag(matrix.detach()) if matrix.ndim == 1 else matrix.detach()
    result: Tensor = matrix.to_matrix()
    return result.detach()

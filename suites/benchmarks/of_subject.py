"""A subject as implementations: its matrix, and what the matrix can do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, UnsupportedError, gradient
from fishergauge.suites.benchmarks.implementation import Call, Implementation, flattened
from fishergauge.suites.benchmarks.of_reference import too_large
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.benchmarks.quantity import declared
from fishergauge.suites.benchmarks.task import DAMPING, Operation, Task, vector_of
from fishergauge.suites.matrix import densified, multiplied, vector_product
from fishergauge.suites.process_state import ASPECTS
from fishergauge.suites.seeding import derived_seed, generator
from fishergauge.suites.subject import Bias, Subject

SHARED = tuple(each for each in ASPECTS if each.name in ("default dtype", "number of threads", "gradient mode"))
"""Settings that the others, who run in the same process, would have to bear."""

Refuses = Callable[[Problem], "str | None"]


def implementations(subject: Subject) -> list[Implementation]:
    """What a subject computes: the matrix in dense form, its diagonal, products, solutions and steps.

    The quantity is the one that it declares, so that it stands beside others which compute the same. What its matrix lacks
    is refused when it is called.

    Args:
        subject: of a user. One that leaves the treatment of the bias open is called here on a small problem.
    """
    known = declared(subject, subject.bias or _recognised(subject))
    quantity = known.name if known is not None else f"{subject.target}-{subject.structure}"
    operations: dict[Operation, tuple[Callable[[Subject, Problem], Call], Refuses]] = {
        "dense": (_dense, too_large),
        "diagonal": (_diagonal, _never),
        "first-product": (_first_product, _never),
        "product": (_product, _never),
        "solve": (_solve, _never),
        "step": (_step, _never),
    }
    return [
        Implementation(
            subject.name,
            "subject",
            Task(quantity, operation),
            partial(prepare, subject),
            flattened,
            refuses,
        )
        for operation, (prepare, refuses) in operations.items()
    ]


def built(subject: Subject, problem: Problem) -> Any:
    """The matrix of a subject; a Monte-Carlo subject draws the same in every call."""
    with _contained():
        return _built(subject, problem)


@contextmanager
def _contained() -> Iterator[None]:
    """Put back what a subject sets for the whole process, and let it not end the run."""
    before = [each.read() for each in SHARED]
    try:
        yield
    except SystemExit as stop:
        raise RuntimeError(f"it called sys.exit({stop.code!r}); raise NotImplementedError to refuse a problem") from stop
    finally:
        changed = [(each, value) for each, value in zip(SHARED, before, strict=True) if each.read() != value]
        for each, value in changed:
            each.write(value)
    if changed:
        names = ", ".join(each.name for each, _ in changed)
        raise RuntimeError(f"it left changed for the whole process: {names}; put back what is set for a call")


def _built(subject: Subject, problem: Problem) -> Any:
    if not subject.drawn:
        return subject.build(problem)
    names = ("benchmark draw", subject.name, problem.name)
    keywords: dict[str, Any] = {"samples": subject.samples} if "samples" in subject.keywords else {}
    if "generator" in subject.keywords:
        return subject.build(problem, generator=generator(*names, device=str(problem.device)), **keywords)
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(*names))
        return subject.build(problem, **keywords)


def _never(_: Problem) -> str | None:
    return None


def _dense(subject: Subject, problem: Problem) -> Call:
    def dense() -> Tensor:
        matrix = built(subject, problem)
        if isinstance(matrix, Tensor):
            return matrix if matrix.layout == torch.strided else matrix.to_dense()
        for name in ("dense", "to_dense"):
            if callable(method := getattr(matrix, name, None)):
                found = method()
                if isinstance(found, Tensor):
                    return found
        return densified(matrix, problem)

    return dense


def _diagonal(subject: Subject, problem: Problem) -> Call:
    def diagonal() -> Tensor:
        matrix = built(subject, problem)
        method = getattr(matrix, "diagonal", None)
        if not callable(method):
            raise UnsupportedError(f"a {type(matrix).__name__} has no diagonal")
        return torch.as_tensor(method())

    return diagonal


def _times(matrix: Any, vector: Tensor, problem: Problem) -> Tensor:
    """A product with one vector, in whichever form the matrix takes it."""
    found = vector_product(matrix, vector, problem)
    return multiplied(matrix, vector[:, None], problem)[:, 0] if found is None else found


def _first_product(subject: Subject, problem: Problem) -> Call:
    vector = vector_of(problem)
    return lambda: _times(built(subject, problem), vector, problem)


def _product(subject: Subject, problem: Problem) -> Call:
    matrix, vector = built(subject, problem), vector_of(problem)
    return lambda: _times(matrix, vector, problem)


def _solver(subject: Subject, matrix: Any) -> Callable[[Tensor], Tensor]:
    """The damped inverse as the subject applies it, or as its matrix does."""
    if subject.solve is not None:
        given = subject.solve
        return lambda vector: given(matrix, vector, DAMPING)
    own = getattr(matrix, "solve", None)
    if not callable(own) or isinstance(matrix, Tensor):
        raise UnsupportedError("the subject has no solve")
    solve: Callable[..., Tensor] = own
    return lambda vector: solve(vector, DAMPING)


def _solve(subject: Subject, problem: Problem) -> Call:
    solve, vector = _solver(subject, built(subject, problem)), vector_of(problem)
    return lambda: solve(vector)


def _step(subject: Subject, problem: Problem) -> Call:
    return lambda: -_solver(subject, built(subject, problem))(gradient(problem))


def _recognised(subject: Subject) -> Bias:
    """How a subject treats the bias, seen on a small problem: whether weight and bias of a layer are coupled."""
    if subject.structure not in ("kronecker", "eigen-kronecker", "block-diagonal"):
        return "joint"
    problem = perceptron((2, 3, 2), 4, "treatment of the bias")
    try:
        matrix = densified(built(subject, problem), problem)
    except Exception:  # what fails here fails again where it is measured, and is said there
        return "joint"
    weight, bias = slice(0, 6), slice(6, 9)
    return "joint" if bool(matrix[weight, bias].any()) else "separate"

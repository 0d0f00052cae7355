"""A subject under test as an approximation of the spectrum, with the group that its structure promises."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, kfac, quasi_diagonal
from fishergauge.suites.case import Case, SubjectFailed
from fishergauge.suites.claims.agreement import quasi_diagonal_forms
from fishergauge.suites.eigenbasis import basis_condition
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.subject import Bias, Subject

LAYERED = ("kronecker", "eigen-kronecker", "quasi-diagonal")


def as_approximation(subject: Subject, problem: Problem, limit: float = 10.0, seed: int = 0) -> Approximation:
    """What is known of a subject from what it declares.

    Args:
        subject: under test; called on copies, guarded.
        problem: in the original coordinates; where the treatment of the bias is not declared, it is read off the matrix there.
        limit: seconds that one call may take.
        seed: of its draws, which are the same in all coordinates.

    Returns:
        The approximation.

    Example:
        >>> from fishergauge.reference import ggn
        >>> from fishergauge.suites.zoo import catalogue_problem
        >>> problem = catalogue_problem("mlp-tanh-gaussian")
        >>> as_approximation(Subject("mine", lambda p: ggn(p).dense(), "ggn"), problem).group
        'all'
    """
    quantities = QuantityCache()
    case = Case(subject, problem, quantities, limit, seed)
    bias = _bias(case, subject)
    group, exact = promised(subject, bias)

    def magnified(at: Problem) -> float:
        return basis_condition(at, subject, quantities.target(at, subject.target)) if "conformal" in (group or "") else 1.0

    def inverted(matrix: Tensor, at: Problem) -> Tensor:
        return quasi_diagonal_forms(case, matrix, at)[1] if subject.structure == "quasi-diagonal" else matrix

    def solve(matrix: Any, vector: Tensor, damping: float) -> Tensor:
        assert subject.solve is not None
        taken = subject.solve
        solved: Tensor = case.inside(lambda: taken(matrix, vector, damping))
        return solved.detach()

    return Approximation(
        subject.name,
        subject.name,
        lambda at, _: case.raw(at),
        group,
        exact,
        tensorial=subject.target != "hessian",
        solve=solve if subject.solve is not None else None,
        layered=subject.structure in LAYERED,
        magnified=magnified,
        inverted=inverted,
        counterpart=_counterpart(subject, bias, group, quantities),
        own=False,
    )


def promised(subject: Subject, bias: Bias) -> tuple[str | None, str | None]:
    """The group that target and structure promise, and the one where the blocks are exact; None for nothing.

    Args:
        subject: its declaration.
        bias: whether weight and bias share a block.
    """
    blocks = "layers" if bias == "joint" else "parameters"
    exact = blocks if subject.target in ("fisher", "ggn") and not subject.drawn else None
    groups: dict[str, tuple[str | None, str | None]] = {
        "dense": ("all", None),
        "block-diagonal": (blocks, None),
        "quasi-diagonal": ("units", None),
        "diagonal": ("scales", None),
        "kronecker": (f"{bias}-kronecker", exact),
        "eigen-kronecker": (f"{bias}-conformal", exact),
        "low-rank": (None, None),
        "none": (None, None),
    }
    return groups[subject.structure]


def _counterpart(subject: Subject, bias: Bias, group: str | None, quantities: QuantityCache) -> Approximation | None:
    """The matrix that a subject should have, as far as its kernel goes; None where it is drawn, or nothing is declared."""
    if subject.drawn or group is None:
        return None
    target, sharing = subject.target, subject.sharing

    def exact(per: str) -> Callable[[Problem], Any]:
        return lambda problem: quantities.restricted(problem, quantities.target(problem, target), per)

    makers: dict[str, Callable[[Problem], Any]] = {
        "dense": lambda problem: quantities.target(problem, target),
        "block-diagonal": exact("layer" if bias == "joint" else "parameter"),
        "diagonal": exact("entry"),
    }
    if target != "hessian":
        makers["quasi-diagonal"] = lambda problem: quasi_diagonal(problem, target)
        makers["kronecker"] = lambda problem: kfac(problem, target, bias, sharing)
        makers["eigen-kronecker"] = lambda problem: eigen_kfac(problem, target, bias, sharing)
    if subject.structure not in makers:
        return None
    build = makers[subject.structure]
    return Approximation(f"counterpart-{subject.name}", subject.name, lambda problem, _: build(problem), group)


def _bias(case: Case, subject: Subject) -> Bias:
    """As declared; otherwise joint if the matrix has entries between the weight and the bias of a layer."""
    if subject.bias is not None:
        return subject.bias
    if subject.structure not in ("block-diagonal", "kronecker", "eigen-kronecker"):
        return "joint"
    try:
        return "joint" if case.joint() else "separate"
    except SubjectFailed:
        return "joint"  # there is no step to compare either

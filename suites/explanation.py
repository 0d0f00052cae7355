"""Why a check may be violated: the planted defect whose matrix is nearest to the subject's."""

from torch import Tensor

from fishergauge.reference import Problem, UndefinedError, UnsupportedError
from fishergauge.reference.eigen_kfac import eigen_kfac
from fishergauge.suites.case import Case
from fishergauge.suites.closeness import relative_deviation, rounding_bound


def explained(case: Case) -> str:
    """The nearest planted defect, by the first matrix that the check looked at and that is not the correct one.

    Args:
        case: after a violated check.

    Returns:
        A phrase for the message; empty where every matrix of the check is correct, so that the fault lies elsewhere.
    """
    from fishergauge.suites.nearest import describe, nearest_defects

    for matrix, problem in sorted(case.seen, key=lambda pair: pair[1] is not case.problem):
        correct = correct_matrix(case, problem)
        if correct is None or _apart(matrix, correct):
            return describe(nearest_defects(matrix, problem, case.subject, correct))
    return ""


def correct_matrix(case: Case, problem: Problem) -> Tensor | None:
    """The matrix that a correct subject with these declarations has, None where the reference has none.

    Where the treatment of the bias is not declared, the nearer one to what the subject returned is taken.
    """
    subject, quantities = case.subject, case.quantities
    try:
        exact = quantities.target(problem, subject.target)
        if subject.structure == "dense":
            return exact
        if subject.structure == "diagonal":
            return exact.diagonal().diag()
        if subject.structure == "block-diagonal":
            return _nearer(case, problem, [quantities.restricted(problem, exact, per) for per in case.per()])
        if subject.structure == "kronecker":
            return _nearer(case, problem, [quantities.factors(problem, subject, bias).dense() for bias in case.biases()])
        if subject.structure == "eigen-kronecker":
            made = [eigen_kfac(problem, subject.target, bias, subject.sharing).dense() for bias in case.biases()]  # type: ignore[arg-type]
            return _nearer(case, problem, made)
    except (UndefinedError, UnsupportedError):
        return None
    return None


def _nearer(case: Case, problem: Problem, candidates: list[Tensor]) -> Tensor:
    mine = next((matrix for matrix, other in case.seen if other is problem), candidates[0])
    return min(candidates, key=lambda candidate: float((mine - candidate).norm()))


def _apart(matrix: Tensor, correct: Tensor) -> bool:
    return not relative_deviation(matrix, correct) <= rounding_bound(matrix.dtype, len(matrix))

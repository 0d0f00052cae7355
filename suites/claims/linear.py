"""What models that are linear in their parameters, or have natural parameters, say in closed form; ranks and kernels."""

import torch
from torch import Tensor, nn

from fishergauge.reference import gradient
from fishergauge.reference.terms import terms_of
from fishergauge.suites.case import Case
from fishergauge.suites.claim import ENTRYWISE, FISHERS, Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.agreement import same_as_hessian_blocks
from fishergauge.suites.comparison import compared, worst
from fishergauge.suites.steps_of import range_solution

DENSE = Scope(targets=FISHERS, structures=("dense",))


def newton_equivalent(case: Case) -> Finding:
    """The matrix is the Hessian by double backward; under squared error one step of length one ends at the optimum."""
    if case.subject.structure != "dense":
        return same_as_hessian_blocks(case)
    matrix, hessian = case.matrix(), case.quantities.oracle_hessian(case.problem)
    same = compared(matrix, hessian, case.problem, scale=case.quantities.scale(case.problem, "hessian"))
    if "squared" not in case.tags:
        return same
    slope = case.quantities.gradient(case.problem)
    try:
        solution, condition = range_solution(matrix, slope)
    except NotHere:
        return same
    after = gradient(case.problem.at(case.problem.vector - solution))
    bound = case.bound(condition)
    measured = float(after.norm() / slope.norm()) if float(slope.norm()) > 0 else 0.0
    step = Finding(
        measured, bound, f"64 u sqrt(n) * {condition:.1e}", f"after one step the gradient is {measured:.3g} of what it was"
    )
    return worst(same, step)


def rank_and_kernel(case: Case) -> Finding:
    """Eigenvalues beyond the largest possible rank, and products with directions that do not change the outputs."""
    matrix = case.matrix()
    terms = terms_of(case.problem)
    counted, width = int(case.problem.likelihood.present(terms.labels).sum()), terms.outputs.shape[1]
    rank = counted * (width - 1 if "categorical" in case.tags else width)
    still = _still_directions(case)
    if rank >= len(matrix) and still is None:
        raise NotHere("the matrix may have full rank")
    size = float(torch.linalg.matrix_norm(matrix, 2))
    bound = case.bound()
    if size == 0:
        raise NotHere("the matrix is zero")
    # what cancels in the matrix sets the size of its rounding errors
    reach = case.cancellation()
    found = []
    if rank < len(matrix):
        values = torch.linalg.eigvalsh((matrix + matrix.mT) / 2).abs().sort(descending=True).values
        excess = float(values[rank]) / size / reach
        found.append(
            Finding(excess, bound, "64 u sqrt(n)", f"eigenvalue {rank + 1} is {excess:.3g} of the largest, the rank is {rank}")
        )
    if still is not None:
        moved = float((matrix @ still).norm(dim=0).max()) / size / reach
        found.append(
            Finding(moved, bound, "64 u sqrt(n)", f"a direction that changes no probability is stretched by {moved:.3g}")
        )
    return worst(*found)


def _still_directions(case: Case) -> Tensor | None:
    """Orthonormal directions that leave the distribution of labels as it is: the kernel of the centred Jacobian."""
    _, values, vectors = torch.linalg.svd(case.quantities.centred_jacobian(case.problem))
    floor = len(vectors) * 32 * torch.finfo(values.dtype).eps * float(values[0]) if len(values) else 0.0
    kept = int((values > floor).sum())
    if bool(((values > floor) & (values < 1e-5 * values[0])).any()) or kept == len(vectors):
        return None
    still: Tensor = vectors[kept:].mT
    return still


def dual_metric(case: Case) -> Finding:
    r"""In natural parameters F is the covariance of the statistics, :math:`\nabla^2 A`, and its dual metric inverts it.

    .. math:: F_\eta F_\mu F_\eta = F_\eta

    with :math:`F_\mu = diag(1/p)` for a categorical, :math:`1/(p (1-p))` for a Bernoulli variable.
    """
    matrix, outputs = case.matrix(), terms_of(case.problem).outputs
    divisor = float(terms_of(case.problem).divisor) / len(outputs)  # the terms are equal
    z = outputs[0].double()
    if isinstance(case.problem.loss, nn.CrossEntropyLoss):
        p = z.softmax(0)
        exact, dual = p.diag() - torch.outer(p, p), (1 / p).diag()
    else:
        p = z.sigmoid()
        exact, dual = (p * (1 - p)).diag(), (1 / (p * (1 - p))).diag()
    found = compared(matrix, exact.to(matrix) / divisor, case.problem)
    product = matrix.double() @ dual @ matrix.double() * divisor
    return worst(found, compared(product.to(matrix), matrix, case.problem, condition=float(p.max() / p.min())))


CLAIMS = (
    Claim(
        id="T17",
        name="newton-equivalence",
        statement="for models linear in their parameters the matrix is the Hessian, and one step solves least squares",
        source="Martens 2020, sec. 9.2; Green 1984 (iteratively reweighted least squares)",
        scope=Scope(targets=("fisher", "ggn", "hessian"), structures=ENTRYWISE),
        requires=frozenset({"linear-model"}),
        excludes=frozenset({"saturated", "many-terms"}),
        bound="64 u sqrt(n), times the condition number for the step",
        control="an empirical Fisher",
        measure=newton_equivalent,
    ),
    Claim(
        id="T18",
        name="rank-and-kernel",
        statement="the rank is at most N(C-1) for softmax and NC otherwise; F v = 0 where v changes no probability",
        source="Martens 2020, sec. 5; Kunstner et al. 2019",
        scope=Scope(targets=FISHERS, structures=("dense", "low-rank")),
        bound="64 u sqrt(n)",
        control="diag(p) without - p p' (f-dangel/backpack 3b3570c2)",
        measure=rank_and_kernel,
    ),
    Claim(
        id="T22",
        name="dual-of-mean-parameters",
        statement="in natural parameters F is the Hessian of the log-partition function, and the dual metric inverts it",
        source="Raskutti and Mukherjee 2015, sec. 3; Amari and Nagaoka 2000, sec. 3.5",
        scope=DENSE,
        requires=frozenset({"natural-parameters"}),
        bound="64 u sqrt(n), times max p / min p",
        control="diag(p) without - p p'",
        measure=dual_metric,
    ),
)

"""What models that are linear in their parameters, or have more parameters than outputs, say in closed form."""

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


def kernel_is_still(case: Case) -> Finding:
    """Directions in the kernel of the matrix change no output; those in its image do."""
    matrix, jacobian = case.matrix(), case.quantities.jacobian(case.problem)
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    floor = len(values) * 32 * torch.finfo(values.dtype).eps
    null = vectors[:, values.abs() <= floor * float(values.abs().max())]
    squares = torch.linalg.svdvals(jacobian.double()).square()
    squares = squares / squares.max()
    if bool(((squares > floor / 100) & (squares < floor * 100)).any()):
        raise NotHere("the rank of the Jacobian is not clear in this precision")
    expected = matrix.shape[0] - int((squares > floor).sum())
    bound = (64 * torch.finfo(values.dtype).eps * len(values)) ** 0.5
    moved = float((jacobian @ null).norm() / jacobian.norm()) if null.numel() else 0.0
    formula = "sqrt(128 u P): an eigenvalue is a square of lengths"
    witness = (
        f"its kernel has {null.shape[1]} dimensions and changes the outputs by {moved:.3g}, that of the Jacobian has {expected}"
    )
    return Finding(moved if null.shape[1] == expected else float("inf"), bound, formula, witness)


def conjugate_posterior(case: Case) -> Finding:
    r"""Covariance of the predictions and evidence, against the Gaussian process with kernel :math:`J J' / \delta`.

    The posterior precision is :math:`M_{sum} + \delta I` with unit prior precision, the variance of the labels 1/2.
    """
    problem, delta, variance = case.problem, 1.0, 0.5
    terms = terms_of(problem)
    matrix = case.matrix().double() * float(terms.divisor)
    jacobian = case.quantities.jacobian(problem).double()
    slope = case.quantities.gradient(problem).double() * float(terms.divisor)
    origin = problem.vector.double()
    precision = matrix + delta * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    sign, logdet = torch.linalg.slogdet(precision)
    if not float(sign) > 0:
        return Finding(float("inf"), 1.0, "", "the posterior precision M + I is not positive definite")
    posterior = torch.linalg.solve(precision, jacobian.mT)
    mean = origin - torch.linalg.solve(precision, slope + delta * origin)
    kernel = jacobian @ jacobian.mT / delta
    noisy = kernel + variance * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    residual = (terms.labels - terms.outputs).double().reshape(-1) + jacobian @ origin  # labels less the outputs at zero
    condition = float(torch.linalg.cond(noisy))
    bound = case.bound(condition)
    covariance = compared_arrays(jacobian @ posterior, kernel - kernel @ torch.linalg.solve(noisy, kernel), bound, "covariance")
    # log p(y | mean) + log p(mean) + log of the Gaussian integral, against log N(y; f(0), noisy)
    errors = residual - jacobian @ mean
    count = len(residual)
    log_two_pi = torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    fit = -(errors @ errors) / (2 * variance) - count / 2 * (log_two_pi + torch.log(torch.tensor(variance).double()))
    laplace = fit - delta / 2 * (mean @ mean) - logdet / 2
    process = -(residual @ torch.linalg.solve(noisy, residual)) / 2 - torch.logdet(noisy) / 2 - count / 2 * log_two_pi
    size = 1 + float(process.abs())
    evidence = Finding(
        abs(float(laplace - process)) / size,
        bound,
        f"64 u sqrt(n) * {condition:.1e}",
        f"evidence {float(laplace):.6g}, exact {float(process):.6g}",
    )
    return worst(covariance, evidence)


def compared_arrays(actual: Tensor, expected: Tensor, bound: float, what: str) -> Finding:
    """The relative deviation of two tensors against a bound."""
    measured = float((actual - expected).norm() / expected.norm())
    return Finding(measured, bound, "64 u sqrt(n) cond", f"{what}: relative deviation {measured:.3g}")


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
        id="T19",
        name="kernel-changes-no-output",
        statement="directions in the kernel of the matrix leave the linearised predictions unchanged, and there are no others",
        source="Roy et al. 2024, sec. 3",
        scope=DENSE,
        requires=frozenset({"over-parametrised", "squared"}),
        bound="sqrt(128 u P)",
        control="damping left in the matrix",
        measure=kernel_is_still,
    ),
    Claim(
        id="T20",
        name="laplace-exact-for-linear-gaussian",
        statement="the Laplace posterior of a linear-Gaussian model has the exact predictive covariance and evidence",
        source="Rasmussen and Williams 2006, sec. 2.1; MacKay 1992",
        scope=DENSE,
        requires=frozenset({"linear-model", "squared"}),
        excludes=frozenset({"many-terms"}),
        bound="64 u sqrt(n) cond(J J' + I/2)",
        control="factor 2 in the likelihood",
        measure=conjugate_posterior,
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

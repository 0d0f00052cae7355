"""What a matrix must satisfy as the curvature of a Laplace posterior: kernel, exactness for linear models, coordinates."""

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.reference.terms import terms_of
from fishergauge.suites.case import Case
from fishergauge.suites.claim import FACTORED, FISHERS, Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.invariance import CONFIDENT, families_of_layers, in_coordinates
from fishergauge.suites.comparison import worst

DENSE = Scope(targets=FISHERS, structures=("dense",))


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
    r"""Mean and covariance of the predictions and evidence, against the Gaussian process with kernel :math:`J J' / \delta`.

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
    fitted = compared_arrays(jacobian @ mean, kernel @ torch.linalg.solve(noisy, residual), bound, "mean of the predictions")
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
    return worst(covariance, fitted, evidence)


def conjugate_posterior_of_a_layer(case: Case) -> Finding:
    """The same of a Kronecker product, which the curvature of one linear layer is if the bias is one of the inputs."""
    if len(case.layers) != 1:
        raise NotHere("the model is not one linear layer")
    (layer,) = case.layers
    if {layer.weight, layer.bias} - {None} != set(case.problem.parameters):
        raise NotHere("some parameters belong to no linear layer")
    if layer.bias is not None and not case.joint():
        raise NotHere("with a separate bias the matrix is not exact")
    return conjugate_posterior(case)


def predictive_in_coordinates(case: Case) -> Finding:
    r"""The covariance of linearised predictions in other coordinates :math:`\theta = T \varphi`, the prior mapped along.

    .. math:: J_\varphi (M_\varphi + \delta T'T)^{-1} J_\varphi' = J (M + \delta I)^{-1} J'

    The prior's precision delta is the mean eigenvalue of M, so that kernel and range both count. Rounding may do
    :math:`64 u \sqrt n (k (1 + \kappa_T / 16) + k')`, with the condition numbers of the two precisions and of T, as for a step.
    A prior that stays as it is must make a difference; where it makes none, nothing is examined.
    """
    found = in_coordinates(case, *families_of_layers(case))
    delta = float(case.matrix().diagonal().double().mean())
    if not delta > 0:
        raise NotHere("the matrix has no positive trace")
    identity = torch.eye(len(found.jacobian), dtype=torch.float64, device=found.jacobian.device)
    here, condition = _predictive(case, case.problem, delta * identity)
    there, again = _predictive(case, found.problem, delta * found.jacobian.mT @ found.jacobian)
    unmapped, _ = _predictive(case, found.problem, delta * identity)
    conditions = condition * (1 + found.condition / 16) + again
    bound = case.bound(conditions)
    if bound > 1e-2:
        raise NotHere(f"rounding alone explains {bound:.0e} here")
    size = float(here.norm())
    if size == 0 or not float((unmapped - here).norm()) > 10 * bound * size:
        raise NotHere("the prior does not matter to the predictions")
    measured = float((there - here).norm()) / size
    entry = int((there - here).diagonal().abs().argmax())
    witness = (
        f"in {found.family} coordinates, with the prior mapped, output {entry} has variance {float(there[entry, entry]):.4g} "
        f"instead of {float(here[entry, entry]):.4g}"
    )
    return Finding(measured, bound, f"64 u sqrt(n) * {conditions:.1e} (condition numbers)", witness)


def _predictive(case: Case, problem: Problem, prior: Tensor) -> tuple[Tensor, float]:
    """J (M + prior)^-1 J', ``(K C, K C)``, and the condition number of the precision."""
    jacobian = case.quantities.jacobian(problem).double()
    precision = case.matrix(problem).double() + prior
    values = torch.linalg.eigvalsh((precision + precision.mT) / 2)
    if not float(values[0]) > 0:
        return torch.full((len(jacobian), len(jacobian)), float("nan"), dtype=torch.float64, device=jacobian.device), 1.0
    return jacobian @ torch.linalg.solve(precision, jacobian.mT), float(values[-1] / values[0])


def compared_arrays(actual: Tensor, expected: Tensor, bound: float, what: str) -> Finding:
    """The relative deviation of two tensors against a bound."""
    measured = float((actual - expected).norm() / expected.norm())
    return Finding(measured, bound, "64 u sqrt(n) cond", f"{what}: relative deviation {measured:.3g}")


CLAIMS = (
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
        statement="the Laplace posterior of a linear-Gaussian model has the exact predictions (mean, covariance) and evidence",
        source="Rasmussen and Williams 2006, sec. 2.1; MacKay 1992",
        scope=DENSE,
        requires=frozenset({"linear-model", "squared"}),
        excludes=frozenset({"many-terms"}),
        bound="64 u sqrt(n) cond(J J' + I/2)",
        control="factor 2 in the likelihood",
        measure=conjugate_posterior,
    ),
    Claim(
        id="T20-layer",
        name="factored-laplace-exact-for-a-linear-layer",
        statement="the Laplace posterior from Kronecker factors with a joint bias is exact for one linear-Gaussian layer",
        source="Ritter, Botev and Barber 2018, sec. 3; Rasmussen and Williams 2006, sec. 2.1",
        scope=Scope(targets=FISHERS, structures=FACTORED, bias=("joint", None)),
        requires=frozenset({"linear-model", "squared", "linear-layers"}),
        excludes=frozenset({"many-terms", "sharing"}),
        bound="64 u sqrt(n) cond(J J' + I/2)",
        control="a separate bias sold as joint",
        measure=conjugate_posterior_of_a_layer,
        optional=True,
    ),
    Claim(
        id="T20-coordinates",
        name="laplace-predictive-invariant",
        statement="the covariance of linearised predictions does not depend on the coordinates if the prior is mapped along",
        source="MacKay 1992, sec. 4; Immer, Korzepa and Bauer 2021, sec. 3",
        scope=Scope(targets=(*FISHERS, "empirical-fisher"), structures=("dense", "block-diagonal", "kronecker")),
        excludes=CONFIDENT,
        bound="64 u sqrt(n) (k (1 + k_T/16) + k'), the condition numbers of both precisions and that of the map",
        control="any damping; a separate bias sold as joint",
        measure=predictive_in_coordinates,
        cost=2,
        optional=True,
    ),
)

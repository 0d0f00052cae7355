"""Steps that do not depend on the coordinates, under the group of maps that a structure promises."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites import variants
from fishergauge.suites.case import Case
from fishergauge.suites.claim import Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.agreement import quasi_diagonal_forms
from fishergauge.suites.steps_of import range_solution


def _invariant_to(*kinds: str) -> Callable[[Case], Finding]:
    """A measurement of one step under one kind of affine map of the inputs, the first that applies."""

    def measure(case: Case) -> Finding:
        for kind in kinds:
            try:
                return step_deviation(case, kind)
            except NotHere as reason:
                last = reason
        raise last

    return measure


def step_deviation(case: Case, kind: str) -> Finding:
    r"""The relative deviation of the change of the outputs by one step, after a map of the inputs that the first layer absorbs.

    The step is :math:`M^+ g`, with the matrix computed anew from the problem in the new coordinates. Its bound is
    :math:`64 u \sqrt{P} (\kappa + \kappa_\phi)` with the condition numbers on the range in both coordinates.
    """
    other, _ = variants.affine_inputs(case.problem, kind, case.generator("map", kind))
    steps, conditions = [], 0.0
    for problem in (case.problem, other):
        matrix, slope = _inverted(case, problem), case.quantities.gradient(problem)
        jacobian = case.quantities.centred_jacobian(problem)
        solution, condition = range_solution(matrix, slope, jacobian)
        steps.append(jacobian @ solution)
        conditions += condition
    size = float(steps[0].norm())
    if size == 0:
        raise NotHere("the gradient is zero on the range of the matrix")
    measured = float((steps[1] - steps[0]).norm()) / size
    bound = case.bound(conditions)
    if bound > 1e-2:
        raise NotHere(f"rounding alone explains {bound:.0e} here")
    worst_entry = int((steps[1] - steps[0]).abs().argmax())
    witness = (
        f"under {kind} inputs the step changes output {worst_entry} by {float(steps[1][worst_entry]):.4g} "
        f"instead of {float(steps[0][worst_entry]):.4g}"
    )
    return Finding(measured, bound, f"64 u sqrt(n) * {conditions:.1e} (condition numbers on the range)", witness)


def _inverted(case: Case, problem: Problem) -> Tensor:
    """The matrix whose inverse is the subject's: a quasi-diagonal with zeros between the weights of a unit stands for the
    completed one."""
    matrix = case.matrix(problem)
    return quasi_diagonal_forms(case, matrix)[1] if case.subject.structure == "quasi-diagonal" else matrix


def invariant_factors(case: Case) -> Finding:
    """Of a Kronecker factorisation: affine maps with a joint bias, linear ones otherwise.

    Where the bias is not declared it is read off the matrix: a joint one has a block between weight and bias.
    """
    joint = case.subject.bias == "joint"
    if case.subject.bias is None:
        matrix = case.matrix()
        blocks = (case.quantities.restricted(case.problem, matrix, per) for per in ("layer", "parameter"))
        layer, parameter = blocks
        joint = bool((layer - parameter).norm() > torch.finfo(matrix.dtype).eps ** 0.5 * layer.norm())
    return step_deviation(case, "affine" if joint and any(x.first and x.bias for x in case.layers) else "linear")


LAYERWISE = frozenset({"float-inputs"})
NOT_SHARED = frozenset({"sharing", "tied", "over-parametrised", "saturated", "many-terms"})
BOUND = "64 u sqrt(n) (sum of the condition numbers on the range)"

CLAIMS = (
    Claim(
        id="T12",
        name="kronecker-step-invariant",
        statement="a K-FAC step does not depend on affine coordinates of the inputs (linear ones with a separate bias)",
        source="Martens and Grosse 2015, theorem 1; Luk and Grosse 2018",
        scope=Scope(structures=("kronecker",)),
        requires=LAYERWISE,
        excludes=NOT_SHARED,
        bound=BOUND,
        control="a separate bias under a shift; any damping; EKFAC",
        measure=invariant_factors,
        cost=2,
        optional=True,
    ),
    Claim(
        id="T12-orthogonal",
        name="eigen-kronecker-step-invariant",
        statement="an EKFAC step does not depend on orthogonal coordinates of the inputs",
        source="George et al. 2018, sec. 3; Martens and Grosse 2015, theorem 1",
        scope=Scope(structures=("eigen-kronecker",)),
        requires=LAYERWISE,
        excludes=NOT_SHARED,
        bound=BOUND,
        control="feature scaling",
        measure=_invariant_to("orthogonal"),
        cost=2,
        optional=True,
    ),
    Claim(
        id="T13",
        name="natural-step-invariant",
        statement="a step with the whole matrix, or its blocks, does not depend on linear coordinates of the first layer",
        source="Amari 1998, theorem 1; Martens 2020, sec. 12",
        scope=Scope(structures=("dense", "block-diagonal")),
        requires=LAYERWISE,
        excludes=NOT_SHARED,
        bound=BOUND,
        control="any damping",
        measure=_invariant_to("linear", "scaling"),
        cost=2,
        optional=True,
    ),
    Claim(
        id="T14",
        name="quasi-diagonal-step-invariant",
        statement="a quasi-diagonal step does not depend on affine coordinates unit by unit: scalings and shifts of the inputs",
        source="Ollivier 2015, sec. 2.3",
        scope=Scope(structures=("quasi-diagonal",)),
        requires=LAYERWISE,
        excludes=NOT_SHARED,
        bound=BOUND,
        control="the diagonal under the shift",
        measure=_invariant_to("scaling-and-shift", "scaling"),
        cost=2,
        optional=True,
    ),
    Claim(
        id="T14-scaling",
        name="diagonal-step-invariant",
        statement="a diagonal step does not depend on the scale of each input",
        source="Ollivier 2015, sec. 2.3",
        scope=Scope(structures=("diagonal",)),
        requires=LAYERWISE,
        excludes=NOT_SHARED,
        bound=BOUND,
        control="any damping; the square root of the diagonal",
        measure=_invariant_to("scaling"),
        cost=2,
        optional=True,
    ),
)

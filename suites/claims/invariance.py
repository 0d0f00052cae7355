"""Steps that do not depend on the coordinates, under the group of maps that a structure promises, in every layer at once."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor

from fishergauge.reference import Problem, UnsupportedError
from fishergauge.reference.reparametrization import reparametrized
from fishergauge.suites.case import Case
from fishergauge.suites.claim import Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.agreement import quasi_diagonal_forms
from fishergauge.suites.seeding import derived_seed
from fishergauge.suites.steps_of import range_solution

KAPPA = 10.0  # condition number of the maps, shifts aside: enough to be seen, and the matrix gets it squared at most


def _invariant_to(*families: str) -> Callable[[Case], Finding]:
    """A measurement of one step under a map of a family, the first that the model has."""
    return lambda case: step_deviation(case, *families)


def step_deviation(case: Case, *families: str) -> Finding:
    r"""The relative deviation of the change of the outputs by one step, in other coordinates :math:`\theta = T \varphi`.

    The step is :math:`M^+ g`, with the matrix computed anew from the model in the new coordinates. Rounding may do

    .. math:: 64 u \sqrt{n} \, \big(\kappa (1 + \kappa_T / 16) + \kappa_\varphi\big)

    with the condition numbers of M on its range in both coordinates (times the cancellation in it) and that of T. The two
    solutions account for the first and for the last. The other one is of the model: that phi is rounded, and the products
    before, in and behind a layer, are four perturbations of theta of up to :math:`u \sqrt{n} \, \kappa_T` relative, as
    :math:`|\Phi| |W'| |\Omega| \le \kappa_T |W|`, and the step changes by kappa times as much.

    An eigenbasis turns by u times its own condition number c, norm over gap. That moves
    :math:`M^{-1/2} \, dM \, M^{-1/2}`, and the change of the outputs with it, by up to c times the root of the ratio of two
    eigenvalues of M: :math:`c \sqrt{\kappa}` is added.
    """
    found = in_coordinates(case, *families)
    (first, condition), (second, again) = (_change_of_outputs(case, problem) for problem in (case.problem, found.problem))
    size = float(first.norm())
    if size == 0:
        raise NotHere("the gradient is zero on the range of the matrix")
    measured = float((second - first).norm()) / size
    conditions = condition * (1 + found.condition / 16) + again
    if case.subject.structure == "eigen-kronecker":
        conditions += case.basis_condition() * condition**0.5
    bound = case.bound(conditions)
    if bound > 1e-2:
        raise NotHere(f"rounding alone explains {bound:.0e} here")
    entry = int((second - first).abs().argmax())
    witness = (
        f"in {found.family} coordinates the step changes output {entry} by {float(second[entry]):.4g} "
        f"instead of {float(first[entry]):.4g}"
    )
    return Finding(measured, bound, f"64 u sqrt(n) * {conditions:.1e} (condition numbers)", witness)


def _change_of_outputs(case: Case, problem: Problem) -> tuple[Tensor, float]:
    """J M^+ g, ``(K C,)``, and the condition number of M on its range, times the cancellation in it."""
    jacobian = case.quantities.centred_jacobian(problem)
    solution, condition = range_solution(_inverted(case, problem), case.quantities.gradient(problem), jacobian)
    cancelled = case.cancellation(problem) if case.subject.target == "hessian" else 1.0  # the others have one sign
    return jacobian @ solution, condition * cancelled


class OtherCoordinates(NamedTuple):
    """A problem in other coordinates; without the one it was made from, which is kept by whoever keeps this.

    Args:
        family: of the map.
        problem: in its coordinates.
        condition: number of the map.
        jacobian: T, ``(P, P)`` in float64.
    """

    family: str
    problem: Problem
    condition: float
    jacobian: Tensor


def in_coordinates(case: Case, *families: str) -> OtherCoordinates:
    """The problem in the coordinates of the first family that has a map for the model. All subjects meet the same map.

    Raises:
        NotHere: none of the families has one.
    """
    problem = case.problem

    def made(family: str) -> OtherCoordinates:
        found = reparametrized(problem, family, KAPPA, derived_seed("map", family, problem.name, case.seed))
        return OtherCoordinates(family, found.problem, found.condition, found.jacobian)

    for family in families:
        try:
            return case.quantities.once(problem, ("coordinates", family, case.seed), partial(made, family))
        except UnsupportedError as error:
            reason = str(error)
    raise NotHere(reason)


def _inverted(case: Case, problem: Problem) -> Tensor:
    """The matrix whose inverse is the subject's: a quasi-diagonal with zeros between the weights of a unit stands for the
    completed one."""
    matrix = case.matrix(problem)
    return quasi_diagonal_forms(case, matrix, problem)[1] if case.subject.structure == "quasi-diagonal" else matrix


def invariant_layers(case: Case) -> Finding:
    """Of blocks and of Kronecker factors: affine maps with a joint bias, linear ones otherwise.

    Where the bias is not declared it is read off the matrix: a joint one has a block between weight and bias.
    """
    return step_deviation(case, *families_of_layers(case))


def families_of_layers(case: Case) -> tuple[str, ...]:
    """The families of maps in every layer that a dense, block-diagonal or Kronecker-factored subject respects."""
    joint = case.subject.structure == "dense" or case.joint()
    return ("affine", "kronecker") if joint else ("kronecker",)


CONFIDENT = frozenset({"saturated"})
BOUND = "64 u sqrt(n) (k (1 + k_T/16) + k'), the condition numbers on the range in both coordinates and that of the map"

CLAIMS = (
    Claim(
        id="T12",
        name="kronecker-step-invariant",
        statement="a K-FAC step does not depend on affine coordinates of activations (linear ones with a separate bias) and "
        "linear ones of pre-activations, in all layers at once",
        source="Martens and Grosse 2015, theorem 1; Luk and Grosse 2018",
        scope=Scope(structures=("kronecker",)),
        excludes=CONFIDENT,
        bound=BOUND,
        control="a separate bias sold as joint, under a shift; any damping; EKFAC",
        measure=invariant_layers,
        cost=2,
        optional=True,
    ),
    Claim(
        id="T12-orthogonal",
        name="eigen-kronecker-step-invariant",
        statement="an EKFAC step does not depend on orthogonal coordinates of activations and pre-activations, in all layers "
        "at once",
        source="George et al. 2018, sec. 3; Martens and Grosse 2015, theorem 1",
        scope=Scope(structures=("eigen-kronecker",)),
        excludes=CONFIDENT,
        bound=f"{BOUND}; for the eigenbasis, norm over gap times sqrt(k) more",
        control="feature scaling",
        measure=_invariant_to("orthogonal"),
        cost=2,
        optional=True,
    ),
    Claim(
        id="T13",
        name="natural-step-invariant",
        statement="a step with the whole matrix, or its blocks, does not depend on affine coordinates of activations "
        "(linear ones for blocks of parameters) and linear ones of pre-activations",
        source="Amari 1998, theorem 1; Martens 2020, sec. 12",
        scope=Scope(structures=("dense", "block-diagonal")),
        excludes=CONFIDENT,
        bound=BOUND,
        control="any damping",
        measure=invariant_layers,
        cost=2,
        optional=True,
    ),
    Claim(
        id="T14",
        name="quasi-diagonal-step-invariant",
        statement="a quasi-diagonal step does not depend on affine coordinates unit by unit: scales and shifts of activations, "
        "scales of units",
        source="Ollivier 2015, sec. 2.3",
        scope=Scope(structures=("quasi-diagonal",)),
        excludes=CONFIDENT,
        bound=BOUND,
        control="the diagonal under the shift",
        measure=_invariant_to("unit-affine", "unit-scaling"),
        cost=2,
        optional=True,
    ),
    Claim(
        id="T14-scaling",
        name="diagonal-step-invariant",
        statement="a diagonal step does not depend on the scales of activations and units, in all layers at once",
        source="Ollivier 2015, sec. 2.3",
        scope=Scope(structures=("diagonal",)),
        excludes=CONFIDENT,
        bound=BOUND,
        control="any damping; the square root of the diagonal",
        measure=_invariant_to("unit-scaling"),
        cost=2,
        optional=True,
    ),
)

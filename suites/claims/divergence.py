"""The Fisher as the second derivative of the divergence, and the trust region that rests on it."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from fishergauge.reference import block_slices, kl_divergence
from fishergauge.suites.case import Case
from fishergauge.suites.claim import FISHERS, Claim, Finding, NotHere, Scope
from fishergauge.suites.closeness import unit_roundoff
from fishergauge.suites.comparison import worst
from fishergauge.suites.steps_of import range_solution

REACH = 0.2  # largest change of an output by the longest step
SHARP = 2e-3  # a bound above it would let one per cent pass


def second_order(case: Case) -> Finding:
    r"""The ratio of the symmetrised divergence to :math:`e^2/2 \, d'Md`, extrapolated to e = 0.

    Its error is even in e, so that two Richardson steps from e, e/2, e/4 leave :math:`O(e^6)`; the size of the last step
    bounds what is left.
    """
    _require_smooth(case)
    matrix = case.matrix()
    return worst(*(_ratio(case, matrix, direction, name) for name, direction in _directions(case)))


def _require_smooth(case: Case) -> None:
    """Refuse networks with kinks, which a step of finite length may cross."""
    if "piecewise-linear" in case.tags and not {"linear-model", "deep-linear"} & case.tags:
        raise NotHere("the divergence of a piecewise-linear network has kinks")


def _ratio(case: Case, matrix: Tensor, direction: Tensor, name: str) -> Finding:
    origin = case.problem.vector
    pushed = case.quantities.jacobian(case.problem) @ direction
    # the Jacobian sets the length, so that a wrong matrix cannot choose it
    reach = REACH / float(pushed.abs().max())
    curvature = direction @ (matrix @ direction)

    def at(e: float) -> Tensor:
        both = kl_divergence(case.problem, origin + e * direction) + kl_divergence(case.problem, origin - e * direction)
        return both / 2 / (e * e / 2)

    levels = [at(reach / 2**k) for k in range(4)]
    once = [(4 * b - a) / 3 for a, b in itertools.pairwise(levels)]
    twice = [(16 * b - a) / 15 for a, b in itertools.pairwise(once)]
    limit = twice[-1]
    if not float(limit) > 0:
        raise NotHere("the divergence vanishes along the direction")
    truncation = float((twice[-1] - twice[-2]).abs() / limit)
    outputs = 1 + float(case.problem.outputs.abs().max())
    rounding = 64 * unit_roundoff(matrix.dtype) * outputs * 8 / REACH * len(origin) ** 0.5
    bound = 4 * truncation + rounding
    if bound > SHARP:
        raise NotHere(f"truncation and rounding explain {bound:.0e} here")
    measured = float((curvature / limit - 1).abs())
    return Finding(
        measured,
        bound,
        "4 x last Richardson step + 64 u sqrt(n) (1 + max|f|) / change of outputs",
        f"{name}: d'Md is {float(curvature):.6g}, the divergence has {float(limit):.6g}",
    )


def _directions(case: Case) -> list[tuple[str, Tensor]]:
    """Directions in which the subject's structure gives the exact curvature."""
    size, structure = case.problem.num_parameters, case.subject.structure
    draws = torch.randn(3, size, generator=case.generator("directions"), dtype=torch.float64).to(case.problem.vector)
    if structure == "dense":
        chosen = [(f"direction {i}", draw) for i, draw in enumerate(draws)]
    elif structure == "block-diagonal":
        chosen = []
        for name, part in block_slices(case.problem, case.per()[-1]).items():  # type: ignore[arg-type]
            direction = torch.zeros_like(draws[0])
            direction[part] = draws[0, part]
            chosen.append((f"block {name}", direction))
    else:
        every = max(1, size // 6)
        chosen = [(f"parameter {i}", unit) for i, unit in enumerate(torch.eye(size).to(draws)) if i % every == 0]
    jacobian = case.quantities.jacobian(case.problem)
    # what torch declares constant (padding_idx) moves the outputs all the same, without a derivative
    chosen = [(name, torch.where(jacobian.abs().sum(0) > 0, direction, 0)) for name, direction in chosen]
    moving = [(n, d) for n, d in chosen if float((jacobian @ d).norm()) > 1e-3 * float(jacobian.norm() * d.norm())]
    if not moving:
        raise NotHere("no direction changes the outputs")
    return moving


def trust_region(case: Case) -> Finding:
    r"""The divergence of the step :math:`-\sqrt{2\delta/(g'x)} x`, with x = M^+ g, over delta, as delta falls."""
    _require_smooth(case)
    matrix, slope = case.matrix(), case.quantities.gradient(case.problem)
    solution, condition = range_solution(matrix, slope)
    decrease = float(slope @ solution)
    if not decrease > 0:
        return Finding(float("inf"), 1.0, "", f"g'M^+g is {decrease:.3g}, not positive: the step leads uphill")
    pushed = float((case.quantities.jacobian(case.problem) @ solution).abs().max())
    if pushed == 0:
        raise NotHere("the step does not change the outputs")
    origin, root = case.problem.vector, (2 / decrease) ** 0.5
    first = REACH / (root * pushed)  # the square root of the largest delta

    def at(e: float) -> float:
        return float(kl_divergence(case.problem, origin - e * root * solution)) / (e * e)

    levels: Sequence[float] = [at(first / 2**k) for k in range(6)]
    table = [list(levels)]
    for order in range(1, 5):  # the error is a power series in e: Romberg's scheme with powers of two
        previous = table[-1]
        table.append([(2**order * b - a) / (2**order - 1) for a, b in itertools.pairwise(previous)])
    limit, truncation = table[-1][-1], abs(table[-1][-1] - table[-1][-2])
    outputs = 1 + float(case.problem.outputs.abs().max())
    rounding = 64 * unit_roundoff(matrix.dtype) * (outputs * 32 * 32 / REACH + condition) * len(origin) ** 0.5
    bound = 4 * truncation + rounding
    if bound > SHARP:
        raise NotHere(f"truncation and rounding explain {bound:.0e} here")
    return Finding(
        abs(limit - 1),
        bound,
        "4 x last Richardson step + 64 u sqrt(n) ((1 + max|f|) / change of outputs + condition)",
        f"the divergence of the step is {limit:.6g} delta",
    )


SMOOTH = frozenset({"likelihood"})

CLAIMS = (
    Claim(
        id="T15",
        name="divergence-to-second-order",
        statement="KL(theta, theta + e d) = e^2/2 d'Fd + O(e^3)",
        source="Martens 2020, sec. 5, eq. 4; Amari 1998",
        scope=Scope(targets=FISHERS, structures=("dense", "block-diagonal", "diagonal")),
        requires=SMOOTH,
        excludes=frozenset({"saturated", "many-terms"}),
        bound="4 x last Richardson step + rounding of the divergence",
        control="KL of a model with itself; the factor 1/2 forgotten; a factor that the reference shares",
        measure=second_order,
    ),
    Claim(
        id="T16",
        name="trust-region-has-its-radius",
        statement="the step -sqrt(2 delta / g'F^-1 g) F^-1 g has the divergence delta + O(delta^1.5)",
        source="Schulman et al. 2015, appendix C; Martens 2020, sec. 6.2",
        scope=Scope(targets=FISHERS, structures=("dense",)),
        requires=SMOOTH,
        excludes=frozenset({"saturated", "many-terms", "over-parametrised"}),
        bound="4 x last Richardson step + rounding of the divergence",
        control="factor 2; damping in one use only",
        measure=trust_region,
    ),
)

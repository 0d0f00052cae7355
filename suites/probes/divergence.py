"""The quadratic form of a Fisher against the divergence of finite steps, without its Jacobian."""

import copy
import itertools
import math
from dataclasses import replace
from typing import TypeVar

import torch
from scipy import stats
from torch import Tensor

from fishergauge.reference import Problem, block_slices, gradient
from fishergauge.reference.evaluation import called_at, differentiable_attention
from fishergauge.reference.linearization import Linearization
from fishergauge.reference.terms import terms_of
from fishergauge.suites.claim import FISHERS, NotHere, Scope
from fishergauge.suites.closeness import unit_roundoff
from fishergauge.suites.probes.outputs import linearized
from fishergauge.suites.probes.probe import MISSED, Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import frobenius
from fishergauge.suites.worker_process import heartbeat

Item = TypeVar("Item")
REACHES = (0.2, 0.02, 0.002)
"""Largest change of an output by the longest step; the next one where truncation explains too much."""
SHARP = 1e-5
"""What truncation may explain; a per cent is to be seen by far."""
DIRECTIONS = 8
"""Normal vectors at most among the directions; the gradient comes on top."""
PARTS = 6
"""Blocks or entries at most."""
LOOSE = 0.05
"""A bound above it says too little."""


def second_order(case: ProbeCase) -> ProbeFinding:
    r"""The ratio of :math:`d'Ad` to the symmetrised divergence over :math:`e^2/2`, extrapolated to e = 0.

    .. math:: \frac{D(\theta, \theta + e d) + D(\theta, \theta - e d)}{e^2} = d'Fd + O(e^2)

    with an error that is even in e, so that two Richardson steps from e, e/2, e/4 leave :math:`O(e^6)`; the size of the last
    step bounds what is left. The derivative of the outputs along d sets e, so that a wrong matrix cannot choose it. The
    divergence is evaluated in float64, whatever the precision of the problem.

    Rounding of the product may do :math:`64 u \sqrt n \, (1 + |A d| |d| / (\sqrt m \, d'Ad))` for a direction with m entries:
    its errors do not know of d. Eight vectors ``(P,)`` in float64 are held beside the shared ones, for a problem in float32
    two copies of the model.
    """
    if "piecewise-linear" in case.tags and not {"linear-model", "deep-linear"} & case.tags:
        raise NotHere("the divergence of a piecewise-linear network has kinks")
    case.problem.likelihood.require_likelihood("the KL divergence", case.problem.targets)
    linear, along = linearized(case), _Along(in_double(case.problem))
    moved = _moving(case, linear)
    found, normal = [], 0.0
    for name, direction, image in _directions(case, moved):
        pushed = linear.push(direction[None])[0]
        if float(pushed.norm()) == 0:
            continue
        finding, curvature = _ratio(case, along, direction, image, name, float(pushed.abs().max()))
        found.append(finding)
        if name.startswith("normal"):
            normal = max(normal, finding.bound * abs(curvature))
    sharp = [finding for finding in found if finding.bound <= LOOSE]
    if not sharp:
        raise NotHere("no direction changes the outputs, or truncation and rounding explain too much along each")
    worst = max(sharp, key=lambda f: f.measured / f.bound)
    size = frobenius(case)
    dense = case.subject.structure == "dense" and len(sharp) == len(found)
    return replace(
        worst,
        power=normal / least_form(_normals(case)) / size if dense and size > 0 else None,
        seen=(
            "the Frobenius norm of the symmetric part of A - F, relative to that of F; a factor is seen from the bound on"
            if dense
            else "in the directions that are looked at, every relative deviation of d'Ad beyond the bound"
        ),
    )


def least_form(columns: int, missed: float = MISSED) -> float:
    r"""The number q with :math:`P(\max_j |x_j' D x_j| \ge q \, |D|_F) \ge 1 - \text{missed}` for symmetric D, x normal.

    The form is the least spread out near zero where D has one large eigenvalue and many small ones of the other sign, so that
    :math:`x'Dx \approx |D|_F (z^2 - c)`, and :math:`P(|z^2 - c| \le q)` is the largest at c = q:

    .. math:: P(\chi^2_1 \le 2 q)^k = \text{missed}

    Args:
        columns: k.
        missed: the probability that all forms are smaller.

    Returns:
        q, positive.

    Example:
        >>> f"{least_form(8):.3f}"
        '0.025'

    Reference:
        Carbery and Wright, "Distributional and L^q norm inequalities for polynomials over convex bodies in R^n", Mathematical
        Research Letters 8 (2001): no quadratic form has more mass near a point than of the order of the root of its distance.
    """
    return float(stats.chi2.ppf(missed ** (1 / columns), 1)) / 2


def in_double(problem: Problem) -> Problem:
    """The same problem in float64: parameters, inputs, targets that are numbers, and the weights of the loss.

    Args:
        problem: returned as it is where it is in float64 already.
    """
    if problem.dtype == torch.float64:
        return problem
    model, loss = copy.deepcopy((problem.model, problem.loss))
    batches = [(_double(inputs), _double(targets)) for inputs, targets in problem.batches]
    return replace(problem, model=model.double(), loss=loss.double(), batches=batches)


def _double(data: Tensor) -> Tensor:
    return data.double() if data.is_floating_point() else data


class _Along:
    """The divergence of steps from the parameters of a problem, one evaluation of the model each."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.terms = problem, terms_of(problem)
        self.origin = problem.vector
        self.present = problem.likelihood.present(self.terms.labels)
        self._at = called_at(problem.model, list(problem.parameters))

    def divergence(self, step: Tensor) -> Tensor:
        """D(theta, theta + step), a scalar."""
        likelihood = self.problem.likelihood
        with torch.no_grad(), differentiable_attention():
            outputs = self._at(self.problem.unflatten(self.origin + step), (self.problem.inputs,))
        there = likelihood.split(outputs).flatten(0, 1)
        heartbeat()
        return (likelihood.kl(self.terms.outputs, there) * self.present).sum() / self.terms.divisor

    @property
    def largest(self) -> float:
        """1 + max |f|."""
        return 1 + float(self.terms.outputs.abs().max())


def _ratio(
    case: ProbeCase, along: _Along, direction: Tensor, known: Tensor | None, name: str, gain: float
) -> tuple[ProbeFinding, float]:
    image, d = (case.product(direction) if known is None else known).double(), direction.double()
    curvature = float(d @ image)
    limit, explained = 0.0, math.inf
    for change in REACHES:
        limit, truncation = _extrapolated(along, d, change / gain)
        rounding = 64 * unit_roundoff(torch.float64) * along.largest * 8 / change * len(d) ** 0.5
        explained = 4 * truncation + rounding
        if explained <= SHARP:
            break
    entries = max(1, int(torch.count_nonzero(d)))
    condition = 1 + float(image.norm() * d.norm()) / entries**0.5 / limit if limit > 0 else math.inf
    finding = ProbeFinding(
        abs(curvature / limit - 1) if limit > 0 else math.inf,
        explained + case.bound(condition),
        f"4 x last Richardson step + 64 u64 sqrt(n) (1 + max|f|) / change of outputs + 64 u sqrt(n) * {condition:.1e}",
        f"{name}: d'Ad is {curvature:.6g}, the divergence has {limit:.6g}",
    )
    return finding, limit


def _extrapolated(along: _Along, d: Tensor, reach: float) -> tuple[float, float]:
    """The limit of the symmetrised divergence over e^2/2, and the last Richardson step relative to it."""

    def at(e: float) -> float:
        return float(along.divergence(e * d) + along.divergence(-e * d)) / (e * e)

    levels = [at(reach / 2**k) for k in range(4)]
    once = [(4 * b - a) / 3 for a, b in itertools.pairwise(levels)]
    twice = [(16 * b - a) / 15 for a, b in itertools.pairwise(once)]
    limit = twice[-1]
    return limit, abs(twice[-1] - twice[-2]) / limit if limit > 0 else math.inf


def _directions(case: ProbeCase, moved: Tensor) -> list[tuple[str, Tensor, Tensor | None]]:
    """Directions in which the subject's structure gives the exact curvature, zero where nothing moves the outputs.

    With the product where it is known already.
    """
    vectors, images, _ = case.shared()
    structure, first = case.subject.structure, vectors[:, 0]
    if structure == "dense":
        slope, all_move = gradient(case.problem), bool((moved == 1).all())
        chosen = [
            (f"normal direction {i}", vectors[:, i] * moved, images[:, i] if all_move else None) for i in range(_normals(case))
        ]
        return [*chosen, ("gradient", slope / slope.norm(), None)] if float(slope.norm()) > 0 else chosen
    if structure == "block-diagonal":
        slices = block_slices(case.problem, "layer" if case.subject.bias == "joint" else "parameter")
        return [(f"block {name}", _only(first * moved, part), None) for name, part in _spread(list(slices.items()))]
    places = _spread(torch.nonzero(moved).flatten().tolist())
    return [(f"parameter {place}", _only(torch.ones_like(moved), slice(place, place + 1)), None) for place in places]


def _normals(case: ProbeCase) -> int:
    return min(DIRECTIONS, case.columns)


def _spread(items: list[Item]) -> list[Item]:
    """Some of them, evenly spaced, the last one included."""
    if len(items) <= PARTS:
        return items
    return [items[round(i * (len(items) - 1) / (PARTS - 1))] for i in range(PARTS)]


def _only(vector: Tensor, part: slice) -> Tensor:
    result = torch.zeros_like(vector)
    result[part] = vector[part]
    return result


def _moving(case: ProbeCase, linear: Linearization) -> Tensor:
    """One where a parameter has a derivative, zero where not, ``(P,)``.

    What torch declares constant (``padding_idx``) moves the outputs all the same, without a derivative.
    """
    source = case.generator("cotangents")
    cotangents = torch.randn(linear.outputs.shape, generator=source, dtype=torch.float64).to(linear.outputs)
    pulled = linear.pull(case.problem.likelihood.split(cotangents).flatten(0, 1)[None])[0]
    return (pulled != 0).to(case.problem.dtype)


PROBES: tuple[Probe, ...] = (
    Probe(
        id="probe-divergence",
        statement="KL(theta, theta + e d) = e^2/2 d'Fd + O(e^3), along normal directions, the gradient, blocks or parameters",
        of=("T15",),
        source="Martens 2020, sec. 5, eq. 4; Amari 1998",
        scope=Scope(targets=FISHERS, structures=("dense", "block-diagonal", "diagonal")),
        requires=frozenset({"likelihood"}),
        excludes=frozenset({"saturated"}),
        bound="4 x last Richardson step + rounding of the divergence in float64 + 64 u sqrt(n) (1 + |Ad||d| / (sqrt(m) d'Ad))",
        blind="an antisymmetric part; and, of blocks and diagonals, what stands in others than those looked at",
        control="a factor 1/2; a factor that the reference shares; observed labels for those of the model",
        measure=second_order,
    ),
)

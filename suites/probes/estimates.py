"""Traces, and how far a matrix is from the exact one in the Frobenius norm, as estimates with intervals."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.suites.claim import NotHere, Scope
from fishergauge.suites.claims.eigen_kronecker import CLAIMS
from fishergauge.suites.probes import representations
from fishergauge.suites.probes.power import largest_growth, least_growth, seen_relative
from fishergauge.suites.probes.probe import MISSED, Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.quadratic_forms import CHUNK, Forms, forms_of, hutchinson
from fishergauge.suites.probes.rounding import cancellation, norm, quotient
from fishergauge.suites.probes.self_normalised import LEVEL, critical
from fishergauge.suites.probes.trace_estimators import Estimate, norm_ratio, xtrace

FORMULA = "64 u sqrt(n)"
BEST = next(claim for claim in CLAIMS if claim.id == "T11")
SCOPE = Scope(structures=("dense", "eigen-kronecker"))


def distance(case: ProbeCase) -> ProbeFinding:
    r"""The relative error :math:`|A - M|_F / |M|_F`, estimated from the shared vectors; no product of its own.

    Eight vectors of length P beside the shared ones.
    """
    _, mine, exact = case.shared()
    found = norm_ratio(mine - exact, exact)
    if math.isnan(found.value):
        raise NotHere("the exact target is zero")
    bound, magnified = case.bound(), cancellation(case)
    measured = found.value / magnified
    low, high = found.interval
    return ProbeFinding(
        measured,
        bound,
        FORMULA,
        f"|A - M|_F / |M|_F is {found.value:.3g}, between {low:.3g} and {high:.3g}" if not measured <= bound else "",
        power=seen_relative(bound * magnified, case.columns),
        seen="|A - M|_F relative to |M|_F",
        estimate=found.value,
        interval=found.interval,
    )


def trace(case: ProbeCase) -> ProbeFinding:
    r"""The trace of A - M, relative to that of M.

    A dense matrix: :math:`\sum_j x_j'(A - M) x_j` over the shared vectors is rounding, relative to :math:`\sqrt k |M X|_F`.
    Every other: Hutchinson's mean over 24 vectors against what chance allows. The estimate is XTrace's.

    24 vectors of length P beside the shared ones, and what a product of 4 columns takes; up to 24 products of A and 32 of M of
    its own, where the matrices differ.
    """
    difference, exact = case.shared()[1] - case.shared()[2], case.shared()[2]
    magnified = cancellation(case)
    if case.subject.structure == "dense" and not case.subject.drawn:
        return _of_dense(case, difference, exact, magnified)
    if norm(difference) <= case.bound() * magnified * norm(exact):  # there is nothing to estimate but rounding
        return _of_dense(case, difference, exact, magnified)
    return _of_structured(case, difference)


def _of_dense(case: ProbeCase, difference: Tensor, exact: Tensor, magnified: float) -> ProbeFinding:
    vectors = case.shared()[0]
    forms, right = hutchinson(vectors, difference), hutchinson(vectors, exact)
    size = norm(exact) * case.columns**0.5 * magnified
    measured, bound = quotient(abs(math.fsum(forms.values)), size), case.bound()
    relative = forms.trace / right.trace if right.trace else None
    # a difference of one sign: its trace is its nuclear norm, and the forms are those of its square root
    power = bound * magnified * largest_growth(case.columns, MISSED / 2) * case.columns**0.5
    power /= least_growth(case.columns, MISSED / 2) ** 2
    witness = f"x'Ax is {_ratio(forms, right):.6g} of x'Mx, on average over {case.columns} random vectors"
    return ProbeFinding(
        measured,
        bound,
        f"{FORMULA}, relative to sqrt(k) |M X|",
        witness if not measured <= bound else "",
        power=power,
        seen="|tr(A - M)| relative to |M|_F, for a difference whose eigenvalues have one sign",
        estimate=relative,
    )


def _of_structured(case: ProbeCase, difference: Tensor) -> ProbeFinding:
    vectors, _, exact = case.shared()
    of_exact = xtrace(case.exact_product, vectors, exact)
    if not of_exact.interval[0] > 0:
        raise NotHere("the trace of the exact target is zero, or cannot be told from zero")
    of_difference = xtrace(difference_of(case), vectors, difference)
    found = _relative(of_difference, of_exact)
    promised = SCOPE.holds(case.subject)  # what is measured for information takes no more products
    forms = forms_of(case, difference, difference_of(case)) if promised else hutchinson(vectors, difference)
    measured, bound = abs(forms.trace) / of_exact.value, forms.deviation(LEVEL) / of_exact.value
    shown = f"tr A is {1 + found.value:.4g} of tr M, between {1 + found.interval[0]:.4g} and {1 + found.interval[1]:.4g}"
    return ProbeFinding(
        measured,
        bound,
        f"c |(A - M) X|_F / m tr M, c = {critical(len(forms.values), LEVEL):g} for the level {LEVEL:.0e}",
        shown if not measured <= bound else "",
        power=(forms.deviation(LEVEL) + forms.deviation(MISSED)) / of_exact.value,
        seen="|tr(A - M)| relative to tr M",
        estimate=found.value,
        interval=found.interval,
    )


def difference_of(case: ProbeCase) -> Callable[[Tensor], Tensor]:
    """V to (A - M) V, a few columns at a time."""

    def multiply(vectors: Tensor) -> Tensor:
        result = torch.empty_like(vectors)
        for start in range(0, vectors.shape[1], CHUNK):
            part = vectors[:, start : start + CHUNK]
            result[:, start : start + CHUNK] = case.product(part)
            result[:, start : start + CHUNK] -= case.exact_product(part)
        return result

    return multiply


def _relative(above: Estimate, below: Estimate) -> Estimate:
    """The quotient with an interval from the ends of both, where the lower one is positive."""
    corners = [a / b for a in above.interval for b in below.interval]
    return Estimate(above.value / below.value, (min(corners), max(corners)))


def _ratio(above: Forms, below: Forms) -> float:
    """1 + the quotient of two traces, infinite where the lower one is zero."""
    return 1 + above.trace / below.trace if below.trace else math.inf


PROBES = (
    Probe(
        id="probe-frobenius",
        statement="the matrix is as near to the exact one in the Frobenius norm as rounding allows",
        of=("T1",),
        source="Hutchinson 1990, for (A - M)'(A - M)",
        scope=Scope(structures=("dense",)),
        bound=FORMULA,
        blind="where in the matrix the error is",
        control="any factor, any label, any missing term",
        measure=distance,
        informs=True,
    ),
    Probe(
        id="probe-trace",
        statement="the trace is that of the exact matrix, for dense matrices and EKFAC",
        of=("T1", BEST.id),
        source=f"Hutchinson 1990; Epperly et al. 2024; {BEST.source}",
        scope=SCOPE,
        bound=f"{FORMULA}, or what chance allows in 24 quadratic forms at the level {LEVEL:.0e}, for every spectrum",
        blind="what does not change the trace; below its power what does",
        control="a scale; eigenvalues left as sums (EleutherAI/bergson#375)",
        measure=trace,
        informs=True,
    ),
    *representations.PROBES,
)

"""The ends of the spectrum, by the Lanczos process: a matrix that is no Hessian has no negative eigenvalue."""

import math
from typing import get_args

from fishergauge.suites.claim import Scope
from fishergauge.suites.probes import eigenvalues
from fishergauge.suites.probes.lanczos import seen_negative
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, quotient
from fishergauge.suites.probes.spectral_ends import spectral_ends
from fishergauge.suites.subject import Structure

FORMULA = "64 u sqrt(n)"


def semi_definite(case: ProbeCase) -> ProbeFinding:
    r"""The most negative quotient :math:`x'A x / x'x`, relative to the largest Ritz value in modulus.

    x is the Ritz vector of the smallest Ritz value, multiplied once more, so that a negative quotient is a proof whatever the
    rounding errors of the process were; or one of the shared vectors. ``STEPS`` + 6 vectors of length P beside the shared
    ones, and ``STEPS`` products.
    """
    ends, bound = spectral_ends(case), case.bound()
    size = case.problem.num_parameters
    if not ends.finite:
        witness = f"the products overflow in {case.problem.dtype} after {ends.steps} steps of the Lanczos process"
        return ProbeFinding(math.nan, bound, FORMULA, witness)
    quotients = [float(ends.lowest.double() @ case.product(ends.lowest).double())]
    vectors, products, _ = case.shared()
    for vector, product in zip(vectors.unbind(1), products.unbind(1), strict=True):
        quotients.append(float(vector.double() @ product.double()) / float(vector.double() @ vector.double()))
    lowest, least, most = min(quotients), float(ends.values[0]), float(ends.values[-1])
    largest = max(abs(least), abs(most), abs(lowest))
    magnified = cancellation(case)
    measured = quotient(max(0.0, -lowest), largest) / magnified
    shown = f"x'Ax = {lowest:.4g} for a vector of length one; Ritz values from {least:.4g} to {most:.4g}"
    below, above = ends.interval
    return ProbeFinding(
        measured,
        bound,
        FORMULA,
        shown if not measured <= bound else "",
        power=seen_negative(size, ends.steps, bound * magnified),
        seen="the negative eigenvalue relative to the largest, for the worst spectrum; others show one a tenth as large",
        estimate=lowest / largest if largest > 0 else 0.0,
        interval=(below / largest, above / largest) if largest > 0 and math.isfinite(below) else None,
    )


PROBES = (
    Probe(
        id="probe-psd",
        statement="a Fisher, GGN or empirical Fisher is positive semi-definite",
        of=("T26-psd",),
        source="Kuczynski and Wozniakowski 1992, sec. 4",
        scope=Scope(
            targets=("fisher", "ggn", "empirical-fisher"),
            structures=tuple(s for s in get_args(Structure) if s != "quasi-diagonal"),  # may be indefinite, with zeros in units
            drawn=None,
        ),
        bound=FORMULA,
        blind="negative eigenvalues below its power; the worst case is a spectrum made for it",
        control="a sign; a Hessian sold as a GGN",
        measure=semi_definite,
        informs=True,
    ),
    *eigenvalues.PROBES,
)

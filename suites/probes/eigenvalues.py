r"""An EKFAC holds the exact curvature :math:`u' M u` along each of its own eigenvectors u."""

import torch

from fishergauge.suites.claim import Finding, NotHere
from fishergauge.suites.claims.eigen_kronecker import CLAIMS
from fishergauge.suites.comparison import worst
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import norm, quotient
from fishergauge.suites.probes.spectral_ends import LEADING, spectral_ends

LARGEST_ANGLE = 0.01
"""Between a Ritz vector and the eigenvector, beyond which nothing is concluded."""
CLAIM = next(claim for claim in CLAIMS if claim.id == "T11")
FORMULA = "64 u sqrt(n) + 2 s |(A - M) x| / x'Ax, s the angle to the eigenvector"


def leading_eigenvalues(case: ProbeCase) -> ProbeFinding:
    r"""The quotients of A and of M at the leading Ritz vectors x of A.

    Where x leaves an eigenvector by an angle s, the two differ by at most

    .. math:: 2 s \, |(A - M) x| + O(s^2), \qquad s \le r / \text{gap},

    r the residual and the gap that to the next Ritz value. A second process from another start must give the same vector:
    an eigenvalue of several dimensions, within which the basis of an EKFAC is not known, gives another one.

    ``STEPS`` + 15 vectors of length P beside the shared ones; 40 products of A more than the process for the lower end, and
    4 of M.
    """
    first, second = spectral_ends(case, 0), spectral_ends(case, 1)
    found = []
    for place, vector in enumerate(first.leading):
        product, exact = case.product(vector), case.exact_product(vector)
        mine, right = (float(vector.double() @ p.double()) for p in (product, exact))
        if mine <= 0:
            continue
        gap = min(abs(mine - float(value)) for i, value in enumerate(first.values.flip(0)) if i != place)
        angle = quotient(norm(product - mine * vector), gap)
        for other in second.leading[place : place + 1]:
            overlap = torch.dot(vector.double(), other.double())
            angle += norm(vector.double() - overlap * other.double())
        if angle > LARGEST_ANGLE:
            continue
        bound = case.bound() + 2 * angle * norm(product - exact) / mine
        witness = f"along the eigenvector of the eigenvalue {mine:.6g}, number {place + 1}, the exact curvature is {right:.6g}"
        found.append(Finding(abs(mine - right) / mine, bound, FORMULA, witness))
    if not found:
        raise NotHere("no eigenvector stands so far apart that it is found by the Lanczos process")
    most = worst(*found)
    return ProbeFinding(
        most.measured,
        most.bound,
        FORMULA,
        "" if most.holds else most.witness,
        note=f"{len(found)} eigenvectors",
        seen=f"the {LEADING} largest eigenvalues at most; those below are left to the trace",
    )


PROBES = (
    Probe(
        id="probe-eigenvalues",
        statement="the leading eigenvalues of EKFAC are the exact curvature along their eigenvectors",
        of=(CLAIM.id,),
        source=CLAIM.source,
        scope=CLAIM.scope,
        bound=FORMULA,
        blind="wrong eigenvalues that are not among the largest; a wrong basis that holds the exact curvature (T11-basis)",
        control=CLAIM.control,
        measure=leading_eigenvalues,
        requires=CLAIM.requires,
        excludes=CLAIM.excludes,
    ),
)

"""A dense subject against the exact target, by products with random and structured vectors."""

from fishergauge.suites.claim import Scope
from fishergauge.suites.probes import (
    block_agreement,
    diagonal_agreement,
    eigen_agreement,
    factored_agreement,
    linearity,
    quasi_agreement,
)
from fishergauge.suites.probes.linearity import FORMULA
from fishergauge.suites.probes.locating import located
from fishergauge.suites.probes.power import seen_relative
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, norm, quotient, size_of
from fishergauge.suites.probes.structured_vectors import structured_vectors


def exact(case: ProbeCase) -> ProbeFinding:
    r"""A v against M v: for the shared random vectors together, and for each structured vector.

    .. math:: \frac{|A X - M X|_F}{|M X|_F}, \qquad \frac{|A v - M v|}{\max(|M v|, |M|_F |v| / \sqrt P)}

    Five vectors of length P beside the shared ones; at most 23 products of either matrix.
    """
    _, mine, right = case.shared()
    bound = case.bound()
    size = norm(right) * cancellation(case)
    measured = quotient(sum(norm(a - b) ** 2 for a, b in zip(mine.unbind(1), right.unbind(1), strict=True)) ** 0.5, size)
    witness = ""
    if not measured <= bound:
        witness = f"{located(mine[:, 0], right[:, 0], case.slices())}, in the product with a random vector"
    for name, form in structured_vectors(case).items():
        vector = form()
        own, exactly = case.product(vector), case.exact_product(vector)
        deviation = quotient(norm(own - exactly), size_of(case, vector, exactly))
        if deviation > max(measured, bound) and not measured > bound:
            witness = f"{located(own, exactly, case.slices())}, in the product with {name}"
        measured = max(measured, deviation)
    power = seen_relative(bound * cancellation(case), case.columns)
    seen = "|A - M|_F relative to |M|_F; what acts on few entries alone is seen from its size on, if they are not looked at"
    return ProbeFinding(measured, bound, FORMULA, witness, power=power, seen=seen)


PROBES: tuple[Probe, ...] = (
    *linearity.PROBES,
    Probe(
        id="probe-exact",
        statement="the products are those of the exact target, on random and on structured vectors",
        of=("T1",),
        source="Martens 2020, sec. 9.2 (GGN = Fisher); Schraudolph 2002, eq. 6; Pearlmutter 1994 (exact products)",
        scope=Scope(structures=("dense",)),
        bound=FORMULA,
        blind="a deviation below its power; a mistake that the reference shares",
        control="any factor, any label, any missing term",
        measure=exact,
    ),
    *block_agreement.PROBES,
    *diagonal_agreement.PROBES,
    *factored_agreement.PROBES,
    *quasi_agreement.PROBES,
    *eigen_agreement.PROBES,
)

"""What an operator says of itself, its diagonal and its trace, against its products."""

import torch
from torch import Tensor

from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.claim import Finding, NotHere
from fishergauge.suites.claims.agreement import CLAIMS, representation
from fishergauge.suites.comparison import worst
from fishergauge.suites.probes.power import seen_fraction
from fishergauge.suites.probes.probe import MISSED, Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.quadratic_forms import CHUNK, forms_of
from fishergauge.suites.probes.rounding import cancellation, norm, quotient
from fishergauge.suites.probes.self_normalised import LEVEL, critical

FORMULA = "64 u sqrt(n)"
LOOKED_AT = 24
"""Entries of a diagonal that are compared, drawn at random; the largest and the smallest come on top."""
CHEAP = frozenset({"diagonal", "quasi-diagonal", "kronecker", "eigen-kronecker", "low-rank"})
"""Structures whose diagonal costs no more than a few products."""
MOST_PARAMETERS = 200_000
"""Of an operator of another structure, whose diagonal may take a pass for each output and sample, and rows of length P."""


def offered(case: ProbeCase) -> ProbeFinding:
    r"""The ``diagonal`` of an operator in entries of :math:`A e_i`, and its ``trace`` against its diagonal or quadratic forms.

    An operator that offers both is held to the sum of its diagonal. Where it offers a trace alone, that is compared with
    Hutchinson's mean over 24 vectors. 9 vectors of length P beside the shared ones, and what a product of 4 columns takes; 26
    products for a diagonal, 16 for a trace alone.
    """
    raw, problem = case.raw(), case.problem
    if isinstance(raw, Tensor):
        raise NotHere("a tensor has one representation")
    if case.subject.structure not in CHEAP and problem.num_parameters > MOST_PARAMETERS:
        raise NotHere(f"the diagonal of an operator is asked for up to {MOST_PARAMETERS} parameters, unless it has a structure")
    if not any(hasattr(raw, name) for name in ("diagonal", "trace")):
        raise NotHere("the matrix offers no diagonal and no trace of its own")
    diagonal, trace = _asked(case, "diagonal"), _asked(case, "trace")
    found, power, seen = list[Finding](), None, ""
    if diagonal is not None:
        found.append(_diagonal(case, diagonal))
        power, seen = seen_fraction(LOOKED_AT), "the fraction of wrong entries of the diagonal"
    if trace is not None and trace.ndim == 0:
        if diagonal is not None and diagonal.shape == (problem.num_parameters,):
            found.append(_sum(case, trace, diagonal))
        else:
            finding, power = _trace(case, trace)
            found.append(finding)
            seen = "the error of the trace relative to the trace"
    if not found:
        raise NotHere("the matrix offers no diagonal and no trace of its own")
    most = worst(*found)
    witness = "" if most.holds else most.witness
    return ProbeFinding(most.measured, most.bound, most.formula, witness, power=power, seen=seen)


def _asked(case: ProbeCase, name: str) -> Tensor | None:
    """What the operator says, None where it refuses or does not come to an end."""
    try:
        value: Tensor | None = case.inside(representation, case.raw(), name)
    except SubjectFailed as failed:
        if failed.failure.kind == "timeout":  # the products are what is judged: how long this takes is no fault
            return None
        raise
    return value


def _diagonal(case: ProbeCase, diagonal: Tensor) -> Finding:
    """Entries of the diagonal against those of products with unit vectors."""
    size, bound = case.problem.num_parameters, case.bound()
    if diagonal.shape != (size,):
        return Finding(float("inf"), bound, FORMULA, f"diagonal has shape {tuple(diagonal.shape)}, expected ({size},)")
    if not bool(diagonal.isfinite().all()):
        wrong = int((~diagonal.isfinite()).sum())
        return Finding(float("inf"), bound, FORMULA, f"{wrong} entries of the diagonal are NaN or infinite")
    drawn = torch.randint(size, (LOOKED_AT,), generator=case.generator("entries of the diagonal")).tolist()
    places = [int(diagonal.argmax()), int(diagonal.argmin()), *drawn]
    errors, witness, squares = [0.0], "", 0.0
    for start in range(0, len(places), CHUNK):
        part = places[start : start + CHUNK]
        units = torch.zeros(size, len(part), dtype=case.problem.dtype, device=case.problem.device)
        units[part, range(len(part))] = 1
        products = case.product(units)
        for column, place in enumerate(part):
            entry, mine = float(products[place, column]), float(diagonal[place])
            squares = max(squares, norm(products[:, column]))
            if abs(mine - entry) > max(errors):
                witness = f"entry {place} of the diagonal is {mine:.6g}, that of the product with its unit vector {entry:.6g}"
            errors.append(abs(mine - entry))
    # the rounding error of an entry is relative to the column, and at least to what a random column has
    reach = max(squares, norm(case.shared()[1]) / (case.columns * size) ** 0.5)
    return Finding(quotient(max(errors), reach * cancellation(case)), bound, FORMULA, witness)


def _sum(case: ProbeCase, trace: Tensor, diagonal: Tensor) -> Finding:
    """The trace against the sum of the diagonal."""
    total, size = float(diagonal.double().sum()), float(diagonal.double().abs().sum())
    witness = f"trace gives {float(trace):.6g}, the sum of the diagonal is {total:.6g}"
    return Finding(quotient(abs(float(trace) - total), size * cancellation(case)), case.bound(), FORMULA, witness)


def _trace(case: ProbeCase, trace: Tensor) -> tuple[Finding, float]:
    """The trace against quadratic forms, and the relative error that is seen."""
    forms = forms_of(case, case.shared()[1], case.product)
    size = abs(forms.trace) or abs(float(trace))
    measured, bound = quotient(abs(forms.trace - float(trace)), size), quotient(forms.deviation(LEVEL), size)
    rounding = case.bound(cancellation(case))
    witness = f"trace gives {float(trace):.6g}, the mean of {len(forms.values)} quadratic forms is {forms.trace:.6g}"
    formula = f"c |A X|_F / m tr A, c = {critical(len(forms.values), LEVEL):g} for the level {LEVEL:.0e}"
    power = quotient(forms.deviation(LEVEL) + forms.deviation(MISSED), abs(forms.trace))
    return Finding(measured, max(bound, rounding), formula, witness), power


CLAIM = next(claim for claim in CLAIMS if claim.id == "T26-representations")

PROBES = (
    Probe(
        id="probe-representations",
        statement="diagonal and trace of an operator are those of its products",
        of=(CLAIM.id,),
        source=CLAIM.source,
        scope=CLAIM.scope,
        bound=f"{FORMULA}; of a trace without a diagonal what chance allows, for every spectrum",
        blind="few wrong entries of a diagonal; its dense form and its logdet",
        control=CLAIM.control,
        measure=offered,
    ),
)

r"""An EKFAC is diagonal in the eigenbasis of K-FAC: it commutes with :math:`G \otimes I` and with :math:`I \otimes A`."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from fishergauge.reference.eigen_kfac import eigen_kfac
from fishergauge.reference.kfac import KroneckerFactored
from fishergauge.suites.claim import NotHere
from fishergauge.suites.claims.eigen_kronecker import CLAIMS
from fishergauge.suites.probes.eigenbasis_sensitivity import eigenbasis_sensitivity
from fishergauge.suites.probes.factored_agreement import kfac_of
from fishergauge.suites.probes.linearity import FORMULA
from fishergauge.suites.probes.locating import located
from fishergauge.suites.probes.power import seen_relative
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, norm, quotient

COLUMNS = 4
"""Shared vectors that are multiplied with each of the two."""
UNDETERMINED = 1e6
"""Sensitivity of the eigenbasis beyond which an EKFAC is not determined."""


def commutes(case: ProbeCase) -> ProbeFinding:
    r"""E H x against H E x for H of all :math:`G \otimes I` and of all :math:`I \otimes A`, scaled to a norm of at most one.

    .. math:: |E H X - H E X|_F / |E X|_F

    Five vectors of length P beside the shared ones, and the factors; four products for each H.
    """
    columns, bound = min(COLUMNS, case.columns), case.bound()
    vectors, products, _ = case.shared()
    power = seen_relative(bound * cancellation(case), columns)
    size = norm(products[:, :columns]) * cancellation(case)
    found = []
    for bias in ("joint", "separate") if case.subject.bias is None else (case.subject.bias,):
        operator, measured, witness = kfac_of(case, bias), 0.0, ""
        for side, title in (("output", "G"), ("input", "A")):
            total, where = 0.0, ""
            for column in range(columns):
                before = case.product(_multiplied(operator, vectors[:, column], side))  # type: ignore[arg-type]
                after = _multiplied(operator, products[:, column], side)  # type: ignore[arg-type]
                total += norm(before - after) ** 2
                if column == 0:
                    where = located(before, after, case.slices())
            deviation = quotient(total**0.5, size)
            if deviation > max(measured, bound):
                witness = f"does not commute with {title}, by {deviation:.3g}; {where}"
            measured = max(measured, deviation)
        seen = "the commutator with G, or A, of norm at most one, relative to |E|_F, Frobenius norms"
        found.append(ProbeFinding(measured, bound, FORMULA, witness, power=power, seen=seen))
    return min(found, key=lambda f: f.measured)


def best_diagonal(case: ProbeCase) -> ProbeFinding:
    r"""A X against E X with the reference's EKFAC, whose eigenvalues are u'M u; the treatment of the bias is the one that fits.

    .. math:: |A X - E X|_F / |E X|_F \le 64 u \sqrt n \, \kappa

    with kappa of :func:`~fishergauge.suites.probes.eigenbasis_sensitivity.eigenbasis_sensitivity`. Two vectors of length P
    beside the shared ones, and the factors with their eigenvectors; no product of its own.
    """
    vectors, mine, _ = case.shared()
    found = []
    for bias in ("joint", "separate") if case.subject.bias is None else (case.subject.bias,):
        factored, subject = kfac_of(case, bias), case.subject
        best = eigen_kfac(case.problem, subject.target, bias, subject.sharing)  # type: ignore[arg-type]
        kappa = eigenbasis_sensitivity(factored, best)
        if kappa > UNDETERMINED:
            raise NotHere("eigenvalues of a Kronecker factor are too close: its eigenbasis is not determined")
        total, size, where, bound = 0.0, 0.0, "", case.bound(kappa)
        for column in range(case.columns):
            right = best @ vectors[:, column].contiguous()
            total, size = total + norm(mine[:, column] - right) ** 2, size + norm(right) ** 2
            if column == 0:
                where = located(mine[:, 0], right, case.slices())
        measured = quotient(total**0.5, size**0.5 * cancellation(case))
        witness = "" if measured <= bound else f"{where}, in the product with a random vector"
        power = seen_relative(bound * cancellation(case), case.columns)
        formula = f"{FORMULA} * {kappa:.1e}"
        found.append(ProbeFinding(measured, bound, formula, witness, power=power, seen="|A - E|_F relative to |E|_F"))
    return min(found, key=lambda f: f.measured / f.bound)


def _multiplied(operator: KroneckerFactored, vector: Tensor, side: Literal["output", "input"]) -> Tensor:
    """The product with one factor of each block, of a spectral norm of at most one."""
    result = torch.empty_like(vector)
    for piece in operator.kronecker:
        block = vector[piece.index]
        factor = piece.output_factor if side == "output" else piece.input_factor
        size = _largest(factor)
        product = factor @ block if side == "output" else block @ factor
        result[piece.index] = product / size if size > 0 else product
    return result


def _largest(factor: Tensor) -> float:
    """The largest eigenvalue of a factor, from above: by its largest sum of absolute values."""
    return float(factor.abs().sum(1).max())


OF_CLAIMS = {claim.id: claim for claim in CLAIMS}


def _probe(id: str, of: str, bound: str, blind: str, measure: Callable[[ProbeCase], ProbeFinding]) -> Probe:
    """A probe that takes the place of a claim on arrays."""
    claim = OF_CLAIMS[of]
    return Probe(
        id=id,
        statement=claim.statement,
        of=(of,),
        source=claim.source,
        scope=claim.scope,
        bound=bound,
        blind=blind,
        control=claim.control,
        measure=measure,
        requires=claim.requires,
        excludes=claim.excludes,
    )


PROBES = (
    _probe(
        "probe-basis",
        "T11-basis",
        FORMULA,
        "wrong eigenvalues in the right basis, which are the subject of probe-best-diagonal",
        commutes,
    ),
    _probe(
        "probe-best-diagonal",
        "T11",
        f"{FORMULA}, times the sensitivity of the eigenbasis",
        "a deviation below its power; models whose eigenbasis is not determined",
        best_diagonal,
    ),
)

"""The claims: properties of curvature matrices as data, one family a file."""

from collections.abc import Mapping

from fishergauge.suites.claim import Claim
from fishergauge.suites.claims import (
    agreement,
    axioms,
    conduct,
    confidence,
    damping,
    divergence,
    eigen_kronecker,
    invariance,
    kronecker,
    labels,
    laplace,
    linear,
    reuse,
    shampoo,
    sharding,
    statistics,
)

_FAMILIES = (
    agreement,
    labels,
    kronecker,
    linear,
    laplace,
    divergence,
    eigen_kronecker,
    invariance,
    damping,
    shampoo,
    confidence,
    statistics,
    axioms,
    conduct,
    reuse,
    sharding,
)


def _order(claim: Claim) -> tuple[str, int, str]:
    """T1, T2, ..., T26-axioms, then the others."""
    head, _, rest = claim.id.partition("-")
    number = head.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return ("" if head.startswith("T") else head, int(number or 0), rest)


CLAIMS: Mapping[str, Claim] = {
    claim.id: claim for claim in sorted((claim for family in _FAMILIES for claim in family.CLAIMS), key=_order)
}

__all__ = ["CLAIMS"]

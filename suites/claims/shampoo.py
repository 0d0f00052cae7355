"""Shampoo's preconditioner as a Kronecker approximation."""

from fishergauge.reference.shampoo import shampoo
from fishergauge.suites.case import Case
from fishergauge.suites.claim import Claim, Finding, NotHere, Scope
from fishergauge.suites.comparison import compared


def one_power_step(case: Case) -> Finding:
    r"""The matrix against :math:`(L \otimes R) / tr L`, with L and R from the gradients of single terms."""
    target = case.subject.target
    if target == "hessian":
        raise NotHere("a Hessian is no second moment of gradients")
    return compared(case.matrix(), shampoo(case.problem, target).dense(), case.problem)


CLAIMS = (
    Claim(
        id="T23",
        name="shampoo-is-one-power-step",
        statement="(L kron R)/trace is one power step toward the best Kronecker approximation of the block of each weight",
        source="Morwani et al. 2024, prop. 1",
        scope=Scope(targets=("fisher", "empirical-fisher"), opt_in=True),
        excludes=frozenset({"sharing", "tied", "many-terms"}),
        bound="64 u sqrt(n)",
        control="gradients of the batch in place of those of terms",
        measure=one_power_step,
    ),
)

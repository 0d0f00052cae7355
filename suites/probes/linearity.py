"""What products say of an operator without any reference: that it is linear, and symmetric."""

import torch
from torch import Tensor

from fishergauge.suites.claim import NotHere, Scope
from fishergauge.suites.matrix import vector_product
from fishergauge.suites.probes.power import seen_asymmetry
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, norm, quotient

FORMULA = "64 u sqrt(n)"
MOST_LOCATED = 16
"""Parameters among which an asymmetry is looked for."""


def linear(case: ProbeCase) -> ProbeFinding:
    """A(0) = 0, A(x + 2y) = A x + 2 A y, and the same product again, alone and among several.

    Seven vectors of length P beside the shared ones; four products.
    """
    if isinstance(case.raw(), Tensor):
        raise NotHere("a tensor is linear")
    vectors, products, _ = case.shared()
    (x, y), (ax, ay) = vectors[:, :2].unbind(1), products[:, :2].unbind(1)
    size = norm(ax) + 2 * norm(ay)
    found = {
        "A(x + 2y) = Ax + 2Ay": norm(case.product(x + 2 * y) - ax - 2 * ay),
        "A(0) = 0": norm(case.product(torch.zeros_like(x))),
        "Ax = Ax, asked again": norm(case.product(x) - ax),
    }
    handed = x.clone()
    single = case.inside(vector_product, case.raw(), handed, case.problem)
    if single is not None:
        if single.shape != x.shape:
            witness = f"@ maps a vector {tuple(x.shape)} to {tuple(single.shape)}"
            return ProbeFinding(float("inf"), case.bound(), FORMULA, witness)
        case.products += 1
        found["A @ (P,) = A @ (P, K)"] = norm(single.to(ax) - ax)
        found["x is left as it was"] = norm(handed - x) * size / norm(x)
    worst = max(found, key=lambda name: found[name])
    measured = quotient(found[worst], size) / cancellation(case)
    witness = f"{worst} fails by {measured:.3g} relative" if not measured <= case.bound() else ""
    seen = "relative to |A x| + 2 |A y|, on two random vectors; blind to what is not linear elsewhere"
    return ProbeFinding(measured, case.bound(), FORMULA, witness, seen=seen)


def symmetric(case: ProbeCase) -> ProbeFinding:
    r"""X'A X against its transpose, relative to :math:`\sqrt k \, |A X|_F`.

    The rounding errors E of A X do not depend on X by sign, so that X'E is of the size :math:`\sqrt k \, |E|_F`. Two vectors of
    length P beside the shared ones; no product of its own.
    """
    vectors, products, _ = case.shared()
    forms = torch.empty(case.columns, case.columns, dtype=torch.float64)
    for i in range(case.columns):
        column = products[:, i].double()
        for j in range(case.columns):
            forms[j, i] = vectors[:, j].double() @ column
    skew = forms - forms.T
    size = norm(products) * case.columns**0.5 * cancellation(case)
    measured, bound = quotient(float(skew.norm()), size), case.bound()
    witness = ""
    if not measured <= bound:
        j, i = (int(k) for k in torch.unravel_index(skew.abs().argmax(), skew.shape))
        witness = f"x'Ay = {float(forms[j, i]):.6g}, y'Ax = {float(forms[i, j]):.6g} for two random vectors"
        witness += f"; {_lopsided(case, vectors)}"
    power = seen_asymmetry(bound * cancellation(case), case.columns)
    return ProbeFinding(measured, bound, FORMULA, witness, power=power, seen="|A - A'|_F relative to |A|_F")


def _lopsided(case: ProbeCase, vectors: Tensor) -> str:
    """The parameter whose diagonal block is least symmetric, if one of the first is not; two products for each of these."""
    found: dict[str, float] = {}
    for name, part in list(case.slices().items())[:MOST_LOCATED]:
        x, y = (torch.zeros_like(vectors[:, 0]) for _ in range(2))
        x[part], y[part] = vectors[part, 0], vectors[part, 1]
        ax, ay = case.product(x)[part].double(), case.product(y)[part].double()
        skew = abs(float(y[part].double() @ ax - x[part].double() @ ay))
        found[name] = quotient(skew, 2**0.5 * (norm(ax) + norm(ay)) * cancellation(case))
    worst = max(found, key=lambda name: found[name])
    if found[worst] > case.bound():
        return f"the block of {worst} is not symmetric"
    return f"the blocks of {'the first ' if len(found) < len(case.slices()) else ''}parameters are symmetric"


PROBES = (
    Probe(
        id="probe-linear",
        statement="the products are those of one matrix: linear, zero for zero, and the same again",
        of=("T26-linear",),
        source="definition",
        scope=Scope(drawn=None),
        bound=FORMULA,
        blind="an operator that is not linear at special vectors alone",
        control="the vector scaled to length one first; an accumulator started from other than zero",
        measure=linear,
    ),
    Probe(
        id="probe-symmetric",
        statement="the matrix is symmetric",
        of=("T26-symmetric",),
        source="definition",
        scope=Scope(drawn=None),
        bound=f"{FORMULA}, relative to sqrt(k) |A X|",
        blind="an asymmetry below its power",
        control="one triangle larger than the other; the adjoint of another matrix",
        measure=symmetric,
    ),
)

"""A diagonal subject: nothing beside the diagonal, and its entries those of the exact target."""

import torch
from torch import Tensor

from fishergauge.suites.claim import Scope
from fishergauge.suites.probes.exact_rows import ENTRIES, drawn_places, few_rows, named_place, rows_of, unit_vector
from fishergauge.suites.probes.linearity import FORMULA
from fishergauge.suites.probes.locating import located
from fishergauge.suites.probes.power import largest_growth, least_growth, seen_fraction
from fishergauge.suites.probes.probe import MISSED, Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, norm, quotient


def diagonal_leak(case: ProbeCase) -> ProbeFinding:
    r"""A x against (A 1) o x.

    .. math:: [A x - (A 1) \circ x]_i = \sum_{j \ne i} A_{ij} (x_j - x_i)

    is linear in x, with a Frobenius norm that is no less than that of the entries beside the diagonal. Three vectors of
    length P beside the shared ones; one product.
    """
    vectors, products, _ = case.shared()
    sums, bound = _row_sums(case), case.bound()
    difference = sum(norm(a - sums * x) ** 2 for a, x in zip(products.unbind(1), vectors.unbind(1), strict=True)) ** 0.5
    size = norm(products) + case.columns**0.5 * norm(sums)
    measured, witness = quotient(difference, size), ""
    if not measured <= bound:
        witness = f"{located(products[:, 0], sums * vectors[:, 0], case.slices())}, if the sums of rows were the diagonal"
    ratio = (largest_growth(case.columns, MISSED / 2) + case.columns**0.5) / least_growth(case.columns, MISSED / 2)
    seen = "the entries beside the diagonal relative to |A|_F + |A 1|, Frobenius norms"
    return ProbeFinding(measured, bound, FORMULA, witness, power=bound * ratio, seen=seen)


def diagonal_entries(case: ProbeCase) -> ProbeFinding:
    r"""The entries of A 1 against the exact diagonal: all of it where it takes few backward passes, else entries of it.

    .. math:: M_{ii} = \sum_r r_i^2

    over the rows r = b'J / sqrt(M), each made and forgotten. Three vectors of length P; one product of the subject, and of the
    target as many as entries that are drawn, where the rows are too many or the target is a Hessian.
    """
    mine, bound = _row_sums(case), case.bound()
    if few_rows(case):
        right = torch.zeros_like(mine)
        for row in rows_of(case):
            right += row.square_()
        measured = quotient(norm(mine - right), norm(right) * cancellation(case))
        witness = "" if measured <= bound else located(mine, right, case.slices())
        return ProbeFinding(measured, bound, FORMULA, witness, seen="every entry is compared")
    places = drawn_places(case)
    right = torch.stack([case.exact_product(unit_vector(case, place))[place] for place in places])
    kept = mine[places]
    measured = quotient(norm(kept - right), norm(right) * cancellation(case))
    worst = int((kept - right).abs().argmax())
    witness = f"{named_place(case, places[worst])}: {float(kept[worst]):.6g}, expected {float(right[worst]):.6g}"
    seen = f"the fraction of entries that are wrong; {len(places)} are compared"
    return ProbeFinding(measured, bound, FORMULA, "" if measured <= bound else witness, power=seen_fraction(ENTRIES), seen=seen)


def _row_sums(case: ProbeCase) -> Tensor:
    return case.once("row sums", lambda: case.product(torch.ones_like(case.problem.vector)))


SCOPE = Scope(structures=("diagonal",))

PROBES = (
    Probe(
        id="probe-diagonal-leak",
        statement="nothing is beside the diagonal",
        of=("T1",),
        source="definition",
        scope=Scope(structures=("diagonal",), drawn=None),
        bound=f"{FORMULA}, relative to the products",
        blind="entries beside the diagonal below its power",
        control="the blocks of layers for the diagonal",
        measure=diagonal_leak,
    ),
    Probe(
        id="probe-diagonal",
        statement="the diagonal is that of the exact target",
        of=("T1",),
        source="Martens 2020, sec. 9.2; Schraudolph 2002, eq. 6",
        scope=SCOPE,
        bound=FORMULA,
        blind="where entries are drawn: wrong ones that are fewer than its power says",
        control="the sums of rows for the diagonal; square roots on it; one value a parameter",
        measure=diagonal_entries,
    ),
)

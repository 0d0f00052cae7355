"""A quasi-diagonal subject: for each unit its diagonal and the products with its bias, completed or not, and nothing else."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.suites.claim import NotHere, Scope
from fishergauge.suites.probes.exact_rows import ENTRIES, drawn_places, few_rows, named_place, rows_of, unit_vector
from fishergauge.suites.probes.factored_agreement import layers_in
from fishergauge.suites.probes.linearity import FORMULA
from fishergauge.suites.probes.locating import located
from fishergauge.suites.probes.power import largest_growth, least_growth, seen_fraction
from fishergauge.suites.probes.probe import MISSED, Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import cancellation, norm, quotient

Units = list[tuple[slice, slice]]
"""Where the weights and the biases of a layer lie; a unit is an entry of the bias with its row of the weight."""


@dataclass(frozen=True)
class QuasiDiagonal:
    """The entries of a quasi-diagonal.

    Args:
        diagonal: ``(P,)``.
        cross: of each weight with the bias of its unit, ``(P,)``; zero elsewhere.
        units: of the layers.
        completed: whether the entries between weights of a unit are those whose inverse is zero there.
    """

    diagonal: Tensor
    cross: Tensor
    units: Units
    completed: bool

    def product(self, vector: Tensor) -> Tensor:
        """The product with ``(P,)``; three vectors of length P."""
        result = self.diagonal * vector
        for weights, biases in self.units:
            c, v, b = self.rows(self.cross, weights, biases), self.rows(vector, weights, biases), vector[biases]
            across = (c * v).sum(1)
            result[biases] += across
            result[weights] += (c * b[:, None]).reshape(-1)
            if self.completed:
                result[weights] += self._between(c, across[:, None] - c * v, self.diagonal[biases])
        return result

    def without_sums(self) -> "QuasiDiagonal":
        """With the true diagonal, where ``diagonal`` has the sums over the weights of a unit."""
        if not self.completed:
            return self
        diagonal = self.diagonal.clone()
        for weights, biases in self.units:
            c = self.rows(self.cross, weights, biases)
            diagonal[weights] -= self._between(c, c.sum(1, keepdim=True) - c, diagonal[biases])
        return QuasiDiagonal(diagonal, self.cross, self.units, True)

    @staticmethod
    def rows(vector: Tensor, weights: slice, biases: slice) -> Tensor:
        """The weights of a layer, unit by unit."""
        return vector[weights].view(biases.stop - biases.start, -1)

    @staticmethod
    def _between(cross: Tensor, others: Tensor, bias: Tensor) -> Tensor:
        """F_ib times the sum over the other weights j of F_jb v_j, over F_bb."""
        between: Tensor = torch.where(bias[:, None] > 0, cross * others / bias[:, None], 0).reshape(-1)
        return between


def quasi_diagonal(case: ProbeCase) -> ProbeFinding:
    r"""A x against the quasi-diagonal that two products with ones show, and the entries of that against the exact ones.

    With ones at the biases A gives the diagonal there and, at the weights, :math:`F_{ib}`; with ones elsewhere the rest of the
    diagonal, of the completed form with the entries between the weights of a unit, which follow from the others. The exact ones
    are :math:`\sum_r r_i^2` and :math:`\sum_r r_i r_b` over the rows. Eight vectors of length P beside the shared ones.
    """
    units = _units(case)
    forms = [_of_subject(case, units, completed) for completed in (False, True)]
    structure, own = min(((_beside(case, form), form) for form in forms), key=lambda pair: pair[0].measured)
    return max(structure, _entries(case, own), key=lambda f: f.measured if f.measured == f.measured else float("inf"))


def _units(case: ProbeCase) -> Units:
    layers, slices = layers_in(case), case.slices()
    seen = {layer.name for layer in layers}
    for name, module in case.problem.model.named_modules():
        if isinstance(module, nn.Linear) and name not in seen and any(p.requires_grad for p in module.parameters()):
            raise NotHere(f"{name} is used by its parameters alone, so that nothing tells its units")
    if any(layer.tied or layer.calls > 1 for layer in layers):
        raise NotHere("a weight belongs to several layers, and so to several units")
    return [(slices[x.weight], slices[x.bias]) for x in layers if x.weight is not None and x.bias is not None]


def _of_subject(case: ProbeCase, units: Units, completed: bool) -> QuasiDiagonal:
    at_biases, elsewhere = case.once("quasi-diagonal sums", lambda: _sums(case, units))
    diagonal, cross = elsewhere.clone(), torch.zeros_like(elsewhere)
    for weights, biases in units:
        diagonal[biases], cross[weights] = at_biases[biases], at_biases[weights]
    return QuasiDiagonal(diagonal, cross, units, completed).without_sums()


def _sums(case: ProbeCase, units: Units) -> tuple[Tensor, Tensor]:
    """The products with ones at the biases of units, and with ones elsewhere."""
    ones = torch.zeros_like(case.problem.vector)
    for _, biases in units:
        ones[biases] = 1
    return case.product(ones), case.product(1 - ones)


def _beside(case: ProbeCase, own: QuasiDiagonal) -> ProbeFinding:
    """What the subject has beside a quasi-diagonal with its own entries."""
    vectors, products, _ = case.shared()
    bound, total, witness = case.bound(), 0.0, ""
    for column in range(case.columns):
        predicted = own.product(vectors[:, column])
        total += norm(products[:, column] - predicted) ** 2
        if column == 0:
            witness = f"{located(products[:, 0], predicted, case.slices())}, if nothing were beside the quasi-diagonal"
    sums = norm(own.diagonal) + norm(own.cross)
    measured = quotient(total**0.5, norm(products) + case.columns**0.5 * sums)
    ratio = (largest_growth(case.columns, MISSED / 2) + case.columns**0.5) / least_growth(case.columns, MISSED / 2)
    seen = "the entries beside the quasi-diagonal relative to |A|_F and the sums of its rows"
    return ProbeFinding(measured, bound, FORMULA, "" if measured <= bound else witness, power=bound * ratio, seen=seen)


def _entries(case: ProbeCase, own: QuasiDiagonal) -> ProbeFinding:
    """The entries that a quasi-diagonal keeps, or some of them, against the exact ones."""
    bound = case.bound()
    if few_rows(case):
        diagonal, cross = torch.zeros_like(own.diagonal), torch.zeros_like(own.cross)
        for row in rows_of(case):
            for weights, biases in own.units:
                cross[weights] += (own.rows(row, weights, biases) * row[biases][:, None]).reshape(-1)
            diagonal += row.square_()
        deviation = (norm(own.diagonal - diagonal) ** 2 + 2 * norm(own.cross - cross) ** 2) ** 0.5
        size = (norm(diagonal) ** 2 + 2 * norm(cross) ** 2) ** 0.5
        measured, witness = quotient(deviation, size * cancellation(case)), ""
        if not measured <= bound:
            worse = norm(own.diagonal - diagonal) >= norm(own.cross - cross)
            found = located(*((own.diagonal, diagonal) if worse else (own.cross, cross)), case.slices())
            witness = f"{'the diagonal' if worse else 'the products with the bias'}: {found}"
        return ProbeFinding(measured, bound, FORMULA, witness, seen="every entry that is kept is compared")
    places = drawn_places(case)
    pairs = [pair for place in places for pair in _pairs(case, own, place)]
    mine, right = (torch.stack(column) for column in zip(*(pair[1:] for pair in pairs), strict=True))
    measured = quotient(norm(mine - right), norm(right) * cancellation(case))
    worst = int((mine - right).abs().argmax())
    witness = f"{pairs[worst][0]}: {float(mine[worst]):.6g}, expected {float(right[worst]):.6g}"
    seen = f"the fraction of parameters with wrong entries; {len(places)} are compared"
    return ProbeFinding(measured, bound, FORMULA, "" if measured <= bound else witness, power=seen_fraction(ENTRIES), seen=seen)


def _pairs(case: ProbeCase, own: QuasiDiagonal, place: int) -> list[tuple[str, Tensor, Tensor]]:
    """The entries of a parameter on the diagonal and with its bias: name, the subject's, the exact one."""
    column, name = case.exact_product(unit_vector(case, place)), named_place(case, place)
    found = [(f"{name} of the diagonal", own.diagonal[place], column[place])]
    for weights, biases in own.units:
        if weights.start <= place < weights.stop:
            width = (weights.stop - weights.start) // (biases.stop - biases.start)
            bias = biases.start + (place - weights.start) // width
            found.append((f"{name}, with its bias", own.cross[place], column[bias]))
    return found


PROBES = (
    Probe(
        id="probe-quasi-diagonal",
        statement="the diagonal and the products with the bias of each unit are exact, the rest follows from them",
        of=("T1",),
        source="Ollivier 2015, sec. 2.3",
        scope=Scope(structures=("quasi-diagonal",)),
        bound=f"{FORMULA}, relative to the products",
        blind="where entries are drawn: wrong ones that are fewer than its power says",
        control="the products with the bias lost; the completion on the diagonal too",
        measure=quasi_diagonal,
    ),
)

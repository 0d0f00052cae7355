"""On paper: what each claim takes on (P, P) arrays, and each probe by products, at 1e9 parameters."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fishergauge.suites.benchmarks.cost_model import BILLION, FLEET, OPERATIONS, Cost
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.probes.registry import PROBES

SPECTRAL = frozenset({"T26-psd", "T26-representations"})
"""Claims that need eigenvalues of the (P, P) array, or its logarithmic determinant."""
SOLVING = frozenset(
    {"T12", "T12-orthogonal", "T13", "T14", "T14-scaling", "T25", "T26-solve", "T26-solve-limit", "T26-solve-undamped"}
)
"""Claims that solve with it."""


class Products(NamedTuple):
    """What a probe takes at most.

    Args:
        mine: products of the subject.
        exact: products of the exact matrix.
        vectors: held beside the eight that probes share, with both products of each.
    """

    mine: int
    exact: int
    vectors: int


SHARED = Products(8, 8, 24)
TAKEN: Mapping[str, Products] = {
    "probe-linear": Products(4, 0, 7),
    "probe-symmetric": Products(0, 0, 2),
    "probe-exact": Products(23, 23, 5),
    "probe-leak": Products(16, 0, 4),
    "probe-blocks": Products(0, 32, 3),
    "probe-diagonal-leak": Products(1, 0, 3),
    "probe-factors": Products(0, 0, 2),
    "probe-bias": Products(32, 16, 3),
    "probe-basis": Products(16, 0, 5),
    "probe-best-diagonal": Products(0, 0, 2),
    "probe-psd": Products(40, 0, 46),
    "probe-eigenvalues": Products(84, 4, 55),
    "probe-frobenius": Products(0, 0, 8),
    "probe-trace": Products(24, 32, 32),
    "probe-representations": Products(26, 0, 17),
}
"""Of the probes whose numbers do not depend on the matrix; the vectors are those that their docstrings say."""
DEPENDS: Mapping[str, str] = {
    **dict.fromkeys(("probe-solve", "probe-solve-limit"), "solutions of the subject, and a product to judge each"),
    **dict.fromkeys(("probe-step", "probe-step-scaling"), "conjugate gradients: products until the tolerance is met"),
    "probe-divergence": "a product and some evaluations for each direction",
    **dict.fromkeys(("probe-unbiased", "probe-unbiased-factors"), "two products of each independent estimate"),
    **dict.fromkeys(("probe-diagonal", "probe-quasi-diagonal"), "the diagonal, which is an operation of its own"),
    **dict.fromkeys(
        (
            "probe-last-layer",
            "probe-single-sample",
            "probe-equal-inputs",
            "probe-deep-linear",
            "probe-expand",
            "probe-reduce",
            "probe-product-data",
        ),
        "blocks of some layers on one or two vectors, on problems of a special kind",
    ),
}
"""What the others take, in words."""


def claim_cost(id: str) -> Cost:
    """A claim on (P, P) arrays of 1e9 parameters: so many dense matrices as it makes, and what it does with one.

    Args:
        id: of the claim.
    """
    calls, dense = CLAIMS[id].cost, OPERATIONS["dense"].cost()
    after = [OPERATIONS["spectrum"].cost()] * (id in SPECTRAL) + [OPERATIONS["cholesky"].cost()] * (id in SOLVING)
    flops = calls * dense.flops + sum(one.flops for one in after)
    return Cost(flops, calls * dense.sent + sum(one.sent for one in after), dense.held)


def probe_cost(id: str, vectors_divided: bool = False) -> Cost:
    """A probe of a subject that multiplies like the GGN: its products, those that are shared left out.

    Args:
        id: of the probe.
        vectors_divided: whether each GPU holds its part of the vectors alone.
    """
    taken, product = (SHARED if id == "shared" else TAKEN[id]), OPERATIONS["product"].cost()
    count, kept = taken.mine + taken.exact, taken.vectors + (0 if id == "shared" else SHARED.vectors)
    size = BILLION.itemsize * BILLION.parameters
    held = product.held + kept * size / (FLEET.gpus if vectors_divided else 1)
    return Cost(count * product.flops, count * product.sent, held)


def stand_in(id: str) -> str:
    """The probes that take the place of a claim, or where it is checked."""
    names = [probe.id for probe in PROBES.values() if id in probe.of]
    return ", ".join(names) if names else "small problems"


def operations_table() -> str:
    """The operations, as Markdown."""
    rows = [(one.what, *_figures(one.cost())) for one in OPERATIONS.values()]
    return _markdown(("operation", *FIGURES), rows)


def probes_table() -> str:
    """The probes, as Markdown."""
    rows = []
    for id in ("shared", *TAKEN):
        taken, cost, divided = (SHARED if id == "shared" else TAKEN[id]), probe_cost(id), probe_cost(id, vectors_divided=True)
        count = f"{taken.mine} + {taken.exact}"
        held = (_bytes(cost.held) + ("" if cost.fits() else ": too much"), _bytes(divided.held))
        rows.append((id, count, _flops(cost), _bytes(cost.sent), *held, _seconds(cost.seconds())))
    head = ("probe", "products", "FLOPs", "sent by a GPU", "held by a GPU", "with divided vectors", "time")
    return _markdown(head, rows)


def claims_table() -> str:
    """The claims, as Markdown."""
    rows = []
    for id, claim in CLAIMS.items():
        cost = claim_cost(id)
        rows.append((id, str(claim.cost), _flops(cost), _bytes(cost.sent), _seconds(cost.seconds()), stand_in(id)))
    return _markdown(("claim", "matrices", "FLOPs", "sent by a GPU", "time", "at this size"), rows)


FIGURES = ("FLOPs", "sent by a GPU", "held by a GPU", "time")
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def _figures(cost: Cost) -> tuple[str, str, str, str]:
    held = _bytes(cost.held) + ("" if cost.fits() else ": too much")
    return _flops(cost), _bytes(cost.sent), held, _seconds(cost.seconds())


def _flops(cost: Cost) -> str:
    return f"{cost.flops:.1e}" if cost.flops else "0"


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"


def _bytes(number: float) -> str:
    """In units of thousands.

    Example:
        >>> _bytes(4.05e9), _bytes(1.31e11)
        ('4 GB', '130 GB')
    """
    place = 0
    while number >= 999.5 and place < len(UNITS) - 1:
        number, place = number / 1000, place + 1
    return f"{_two_digits(number)} {UNITS[place]}"


def _seconds(number: float) -> str:
    """In seconds, hours or years."""
    for limit, size, unit in ((3600, 1, "s"), (86400 * 365, 3600, "h")):
        if number < limit:
            return f"{_two_digits(number / size)} {unit}"
    return f"{_two_digits(number / (86400 * 365))} years"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""Each approximation in the form in which it is cheapest: how it is formed, applied and solved with, and what it keeps."""

from fishergauge.reports.course.costed import Costed
from fishergauge.reports.course.costed_factors import factorisations
from fishergauge.reports.course.costed_matrices import as_dense, dense_matrices, diagonal_blocks
from fishergauge.reports.course.costed_vectors import diagonals, products_alone
from fishergauge.suites.spectrum.approximations import approximations


def costed() -> dict[str, Costed]:
    """The approximations by name; one of the spectrum that is not listed here enters as a dense matrix.

    Example:
        >>> costed()["kfac-joint"].kind
        'factors'
    """
    listed = [*dense_matrices(), *diagonal_blocks(), *factorisations(), *diagonals(), *products_alone()]
    table = {one.name: one for one in listed}
    for name, one in approximations().items():
        if name not in table and name not in SAME_COST:
            table[name] = as_dense(one)
    return table


SAME_COST = {
    "monte-carlo-fisher": "monte-carlo-1",
    "kfac-reduce": "kfac-joint",
    "ekfac-separate": "ekfac-joint",
    "shampoo-half": "shampoo",
    "shampoo-quarter": "shampoo",
}
"""Approximations of the spectrum whose costs are those of another one, up to terms of lower order."""

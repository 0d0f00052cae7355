"""The size that the rounding errors of a product are relative to."""

import math

import torch
from torch import Tensor

from fishergauge.reference import empirical_fisher, ggn
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.terms import terms_of
from fishergauge.suites.probes.probe_case import ProbeCase


def frobenius(case: ProbeCase) -> float:
    r"""The Frobenius norm of the exact target by its products with the shared vectors, :math:`|M X|_F / \sqrt k`."""
    return case.once("frobenius", lambda: norm(case.shared()[2]) / math.sqrt(case.columns))


def cancellation(case: ProbeCase) -> float:
    r"""How much larger than the target is what is added and subtracted on the way to it, on one random vector; one or more.

    A Hessian is the sum of a GGN and of terms of either sign. A softmax so confident that ``diag(p) - p p'`` cancels loses
    digits in that difference.

    Args:
        case: its target is multiplied with the first shared vector.

    Returns:
        .. math:: (|H x| + |G x| + |\hat F x|) / |H x|

        for a Hessian, the like for confident outputs, one elsewhere.
    """
    return case.once("cancellation", lambda: _cancellation(case))


def _cancellation(case: ProbeCase) -> float:
    vectors, _, exact = case.shared()
    vector, right = vectors[:, 0], norm(exact[:, 0])
    target, problem = case.subject.target, case.problem
    if right == 0:
        return 1.0
    if target == "hessian":
        return 1.0 + (norm(ggn(problem) @ vector) + norm(empirical_fisher(problem) @ vector)) / right
    if "saturated" not in case.tags:
        return 1.0
    terms = terms_of(problem)
    p = terms.outputs.sigmoid() if "binary" in case.tags else terms.outputs.softmax(-1)
    if target != "empirical-fisher":
        return max(1.0, norm(GaussNewton(problem, terms, torch.diag_embed(p.sqrt())) @ vector) / right)
    one = norm(GaussNewton(problem, terms, torch.diag_embed(torch.ones_like(p))) @ vector)
    return max(1.0, math.sqrt(one / right))


def size_of(case: ProbeCase, vector: Tensor, product: Tensor) -> float:
    r"""The size that the rounding error of a product is relative to.

    .. math:: \max(|M v|, \, |M|_F |v| / \sqrt P)

    times :func:`cancellation`: what the product is, and at least what a random vector of that length gives on average, since
    what cancels exactly (the derivative by a bias before a softmax) leaves errors of the size of what cancelled. With the
    bound 64 u sqrt(n) an error of 64 u |M|_F |v| is always allowed.

    Args:
        case: gives the norm of M.
        vector: v.
        product: M v.
    """
    floor = frobenius(case) * norm(vector) / math.sqrt(len(vector))
    return max(norm(product), floor) * cancellation(case)


def norm(vectors: Tensor) -> float:
    """The Euclidean norm of all entries, summed in float64 column by column."""
    columns = vectors[:, None] if vectors.ndim == 1 else vectors
    return math.hypot(*(float(torch.linalg.vector_norm(column, dtype=torch.float64)) for column in columns.unbind(1)))


def quotient(difference: float, size: float) -> float:
    """A deviation relative to a size; infinite where the size is zero and the deviation is not."""
    if difference == 0:
        return 0.0
    return difference / size if size > 0 else float("inf")

"""Comparison of a measured tensor with a claimed one, within a derived rounding bound."""

import math

import torch
from torch import Tensor

SAFETY = 64.0


class ClaimViolated(AssertionError):
    """A claim does not hold: the message gives the measured deviation, the bound and a witness."""


def unit_roundoff(dtype: torch.dtype) -> float:
    """u, half the distance from one to the next larger number."""
    return torch.finfo(dtype).eps / 2


def rounding_bound(dtype: torch.dtype, size: int, condition: float = 1.0) -> float:
    r"""The relative deviation that rounding alone can explain, :math:`64 u \sqrt{n} \, \kappa`.

    Rounding errors of a sum of n terms grow like the square root of n in units u; the factor 64 leaves
    room for the layers of a small network, and the condition number enters where an inverse is taken.

    Args:
        dtype: of the computation.
        size: n, usually the number of parameters.
        condition: kappa, one where nothing is inverted.

    Returns:
        A positive number.

    Reference:
        Higham and Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41
        (2019), theorem 2.4.
    """
    return SAFETY * unit_roundoff(dtype) * math.sqrt(max(1, size)) * condition


def relative_deviation(actual: Tensor, expected: Tensor, scale: float | None = None) -> float:
    """Frobenius norm of the difference over that of the expected tensor, or over ``scale``; evaluated in float64."""
    difference = float((actual.double() - expected.double()).norm())
    size = float(expected.double().norm()) if scale is None else scale
    if difference == 0:
        return 0.0
    return difference / size if size > 0 else math.inf


def assert_close(
    actual: Tensor, expected: Tensor, claim: str, *, condition: float = 1.0, scale: float | None = None, size: int | None = None
) -> None:
    """Raise :class:`ClaimViolated` unless ``actual`` equals ``expected`` up to the rounding bound of its dtype.

    Args:
        actual: what was measured; its dtype sets the unit round-off.
        expected: what is claimed; in the same or a wider dtype.
        claim: the statement, for the message.
        condition: condition number that amplifies rounding.
        scale: norm to compare with; that of ``expected`` by default. To be given where ``expected`` is the
            small difference of large quantities.
        size: n of the bound; by default the length of the first axis.

    Raises:
        ClaimViolated: the deviation exceeds the bound, or shapes differ, or an entry is not finite.
    """
    if actual.shape != expected.shape:
        raise ClaimViolated(f"{claim}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}")
    if not bool(actual.isfinite().all()):
        raise ClaimViolated(f"{claim}: {int((~actual.isfinite()).sum())} entries are NaN or infinite")
    terms = size if size is not None else (len(actual) if actual.ndim else 1)
    bound = rounding_bound(actual.dtype, terms, condition)
    measured = relative_deviation(actual, expected, scale)
    if not measured <= bound:
        raise ClaimViolated(
            f"{claim}: relative deviation {measured:.2e}, bound {bound:.2e} = 64 u sqrt({terms})"
            f"{f' * {condition:.1e}' if condition != 1 else ''}; {_witness(actual, expected)}"
        )


def assert_apart(actual: Tensor, other: Tensor, claim: str, least: float = 1e-3) -> None:
    """Raise :class:`ClaimViolated` unless two tensors differ by at least ``least`` relative: the control of a comparison."""
    measured = relative_deviation(actual, other)
    if not measured >= least:
        raise ClaimViolated(f"{claim}: they differ by {measured:.2e} only, expected at least {least:.0e}")


def _witness(actual: Tensor, expected: Tensor) -> str:
    """The entry with the largest deviation."""
    deviation = (actual.double() - expected.double()).abs()
    index = [int(i) for i in torch.unravel_index(deviation.argmax(), deviation.shape)]
    at = tuple(index)
    return f"witness: entry {at} is {float(actual[at]):.6g}, expected {float(expected[at]):.6g}"

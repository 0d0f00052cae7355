"""How much memory probes may take: so many vectors of length P, whatever P is."""

import math
from typing import NamedTuple

VECTORS = 96
"""Vectors of length P that a run of all probes may hold at its peak, those that the subject keeps included.

8 GiB at 1e7 parameters in float64 are 107 of them; 0.8 GiB of it are left to the process itself and to activations.
"""
LINEAR = 1.1
"""The largest exponent of P in peak memory that counts as one: layers of other shapes move it by a few hundredths, activations
lower it, and any array of P sqrt(P) numbers raises it to 1.5."""


class Peak(NamedTuple):
    """What was held at the peak of a computation: on how many parameters, and how many bytes."""

    num_parameters: int
    peak_bytes: int


def bytes_a_parameter(small: Peak, large: Peak) -> float:
    """By how many bytes the peak rises with each further parameter: what does not grow with P drops out.

    Args:
        small: at a smaller number of parameters.
        large: at a larger one.

    Example:
        >>> bytes_a_parameter(Peak(10, 500), Peak(110, 1300))
        8.0
    """
    return (large.peak_bytes - small.peak_bytes) / (large.num_parameters - small.num_parameters)


def exponent(small: Peak, large: Peak) -> float:
    """The power of P with which the peak grows: 1 where memory is linear in P.

    Args:
        small: at a smaller number of parameters.
        large: at a larger one.

    Example:
        >>> round(exponent(Peak(10, 500), Peak(1000, 5_000_000)), 12)
        2.0
    """
    return math.log(large.peak_bytes / small.peak_bytes) / math.log(large.num_parameters / small.num_parameters)

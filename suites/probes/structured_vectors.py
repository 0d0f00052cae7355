"""Vectors with a structure that a mistake may hide from random ones: unit vectors, blocks, patterns, the gradient."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from fishergauge.reference import gradient
from fishergauge.suites.probes.exact_rows import unit_vector
from fishergauge.suites.probes.probe_case import ProbeCase

MOST_BLOCKS = 16
"""Parameters, or runs of neighbouring ones, that get a vector of their own."""

Form = Callable[[], Tensor]


def structured_vectors(case: ProbeCase) -> Mapping[str, Form]:
    """The structured vectors by name, each made when it is asked for, so that one at a time is held.

    - unit vectors at both ends of the parameter vector;
    - normal entries at both ends of each parameter, where one too many or too few is counted;
    - one, and plus and minus one in turn, everywhere;
    - the gradient of the objective;
    - normal entries in the parameters of one axis (the biases) and, block by block, in each parameter, zero elsewhere.

    Args:
        case: gives the problem and the draws.

    Returns:
        Functions that give ``(P,)``; the names say what the vector is.

    Example:
        >>> from fishergauge.suites.subject import as_subject
        >>> from fishergauge.suites.zoo import zoo_problem
        >>> case = ProbeCase(as_subject(print), zoo_problem("mlp-tanh-softmax"), frozenset())
        >>> list(structured_vectors(case))[2:5]
        ['both ends of each parameter', 'ones', 'signs in turn']
    """
    size, slices = case.problem.num_parameters, case.slices()
    biases = {name for name, parameter in case.problem.parameters.items() if parameter.ndim == 1}
    forms: dict[str, Form] = {
        "the first unit vector": lambda: unit_vector(case, 0),
        "the last unit vector": lambda: unit_vector(case, size - 1),
        "both ends of each parameter": lambda: _at_ends(case, slices),
        "ones": lambda: torch.ones_like(case.problem.vector),
        "signs in turn": lambda: _signs(case),
        "the gradient": lambda: gradient(case.problem),
    }
    if biases and len(biases) < len(slices):
        forms["normal entries in the biases"] = lambda: supported(case, [slices[name] for name in biases], "biases")
    runs = _runs(list(slices))
    if len(runs) > 1:
        for first, last in runs:
            title = first if first == last else f"{first} to {last}"
            part = slice(slices[first].start, slices[last].stop)
            forms[f"normal entries in {title}"] = lambda part=part, title=title: supported(case, [part], title)  # type: ignore[misc]
    return forms


def supported(case: ProbeCase, parts: list[slice], *names: object) -> Tensor:
    """A vector of normal entries in some parts, zero elsewhere."""
    vector = case.normal(1, "supported", *names)[:, 0]
    kept = torch.zeros_like(vector)
    for part in parts:
        kept[part] = vector[part]
    return kept


def _at_ends(case: ProbeCase, slices: Mapping[str, slice]) -> Tensor:
    vector = torch.zeros_like(case.problem.vector)
    drawn = torch.randn(len(slices), 2, generator=case.generator("ends"), dtype=torch.float64).to(vector)
    for (first, last), part in zip(drawn, slices.values(), strict=True):
        vector[part.stop - 1] = last
        vector[part.start] = first
    return vector


def _signs(case: ProbeCase) -> Tensor:
    vector = torch.ones_like(case.problem.vector)
    vector[1::2] = -1
    return vector


def _runs(names: list[str]) -> list[tuple[str, str]]:
    """First and last name of at most :data:`MOST_BLOCKS` runs of neighbours."""
    count = min(MOST_BLOCKS, len(names))
    borders = [round(i * len(names) / count) for i in range(count + 1)]
    return [(names[a], names[b - 1]) for a, b in pairwise(borders)]

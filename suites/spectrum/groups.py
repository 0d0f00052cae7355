"""Groups of linear maps theta = T phi under which a structure keeps its step, as predicates on T."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fishergauge.reference import Reparametrization, block_slices
from fishergauge.reference.factored_blocks import parameter_index

SAME = 1e-4  # relative: far above the rounding of a map in float32, far below what makes a difference


@dataclass(frozen=True)
class Group:
    """A group of maps, and why steps of some structure do not depend on coordinates that differ by one of them.

    Args:
        statement: what the maps are.
        contains: whether a reparametrization (DT of a nonlinear one) belongs to it.
        source: the theorem.
    """

    statement: str
    contains: Callable[[Reparametrization], bool]
    source: str


def _blocks_match(change: Reparametrization, per: str) -> bool:
    """Whether T is block-diagonal with respect to the parameters, or layers, of both coordinates."""
    old, new = (list(block_slices(p, per).values()) for p in (change.original, change.problem))  # type: ignore[arg-type]
    if [(part.start, part.stop) for part in old] != [(part.start, part.stop) for part in new]:
        return False
    outside = change.jacobian.clone()
    for part in old:
        outside[part, part] = 0
    return not bool(outside.any())


def _layers(change: Reparametrization) -> bool:
    return _blocks_match(change, "layer")


def _parameters(change: Reparametrization) -> bool:
    return _blocks_match(change, "parameter")


def _monomial(change: Reparametrization) -> bool:
    """One entry in each row and in each column."""
    nonzero = change.jacobian != 0
    return bool((nonzero.sum(0) == 1).all()) and bool((nonzero.sum(1) == 1).all())


def _orthogonal(change: Reparametrization) -> bool:
    return _close(change.jacobian.T @ change.jacobian, torch.eye(len(change.jacobian)).to(change.jacobian))


def _signed_permutation(change: Reparametrization) -> bool:
    return _monomial(change) and _orthogonal(change)


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).norm()) <= SAME * float(other.norm())


def _factors(block: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
    """B and A with ``block = B kron A``, None if there are none: the rearranged block has rank one (Van Loan 1993)."""
    rearranged = block.reshape(*rows, *columns).permute(0, 2, 1, 3).reshape(rows[0] * columns[0], -1)
    u, s, v = torch.linalg.svd(rearranged, full_matrices=False)
    if len(s) > 1 and float(s[1]) > SAME * float(s[0]):
        return None
    return (u[:, 0] * s[0]).view(rows[0], columns[0]), v[0].view(rows[1], columns[1])


def _kronecker_factors(change: Reparametrization, joint: bool) -> list[tuple[Tensor, Tensor]] | None:
    """The factors of T for each layer (``joint``: weight and bias as one matrix) or each parameter; None if it has none."""
    if not (_layers(change) if joint else _parameters(change)):
        return None
    found = []
    for old, new in zip(_matrices(change, True, joint), _matrices(change, False, joint), strict=True):
        factors = _factors(change.jacobian[old.flatten()][:, new.flatten()], _shape(old), _shape(new))
        if factors is None:
            return None
        found.append(factors)
    return found


def _matrices(change: Reparametrization, old: bool, joint: bool) -> list[Tensor]:
    """Where the entries of each parameter, or of each layer's [W, b], stand in the parameter vector."""
    index = parameter_index(change.original if old else change.problem)
    if not joint:
        return list(index.values())
    owners: dict[str, list[Tensor]] = {}
    for name, places in index.items():
        owners.setdefault(name.rpartition(".")[0], []).append(places)
    whole = [parts for parts in owners.values() if len({len(part) for part in parts}) == 1]
    return [torch.cat(parts, 1) for parts in whole]


def _shape(index: Tensor) -> tuple[int, int]:
    return index.shape[0], index.shape[1]


def _joint_kronecker(change: Reparametrization) -> bool:
    return _kronecker_factors(change, joint=True) is not None


def _separate_kronecker(change: Reparametrization) -> bool:
    return _parameters(change) and _joint_kronecker(change)


def _conformal(change: Reparametrization, joint: bool) -> bool:
    """Kronecker factors that are multiples of orthogonal matrices."""
    factors = _kronecker_factors(change, joint)
    return factors is not None and all(_is_conformal(part) for pair in factors for part in pair)


def _is_conformal(matrix: Tensor) -> bool:
    gram = matrix.T @ matrix
    return matrix.shape[0] == matrix.shape[1] and _close(gram, gram.diagonal().mean() * torch.eye(len(gram)).to(gram))


def _units(change: Reparametrization) -> bool:
    r"""Affine maps unit by unit, and scales of all parameters: w_i = s_i w'_i, b = t b' + sum_i c_i w'_i within each unit.

    Permutations of units and of their inputs are allowed for.
    """
    if _monomial(change) and _parameters(change):
        return _joint_kronecker(change) or _diagonal(change)
    index, T = parameter_index(change.original), change.jacobian
    if not _layers(change):
        return False
    rest = T.clone()
    rest.diagonal().zero_()
    names = list(index)
    for weight, bias in pairwise(names):
        if weight.rpartition(".")[0] == bias.rpartition(".")[0] and len(index[weight]) == len(index[bias]):
            rest[index[bias], index[weight]] = 0  # (D_out, 1) against (D_out, D_in): a bias and the weights of its unit
    return not bool(rest.any())


def _diagonal(change: Reparametrization) -> bool:
    return not bool((change.jacobian - change.jacobian.diagonal().diag()).any())


GROUPS: Mapping[str, Group] = MappingProxyType(
    {
        "all": Group("all invertible maps", lambda _: True, "T13: Amari 1998, theorem 1; Martens 2020, sec. 12"),
        "layers": Group("maps within each layer", _layers, "T13 layer by layer"),
        "parameters": Group("maps within each parameter", _parameters, "T13 parameter by parameter"),
        "units": Group("affine maps unit by unit, scales, permutations", _units, "T14: Ollivier 2015, sec. 2.3"),
        "scales": Group("scales of parameters, permutations", _monomial, "T14: Ollivier 2015, sec. 2.3"),
        "joint-kronecker": Group(
            "linear maps of [a; 1] and of pre-activations", _joint_kronecker, "T12: Martens and Grosse 2015, theorem 1"
        ),
        "separate-kronecker": Group(
            "linear maps of a and of pre-activations", _separate_kronecker, "T12: Martens and Grosse 2015, theorem 1"
        ),
        "joint-conformal": Group(
            "orthogonal maps and scalars, for [a; 1] and pre-activations",
            lambda change: _conformal(change, joint=True),
            "George et al. 2018, sec. 3: the eigenbasis turns with the factors",
        ),
        "separate-conformal": Group(
            "orthogonal maps and scalars, for a and pre-activations",
            lambda change: _conformal(change, joint=False),
            "George et al. 2018, sec. 3: the eigenbasis turns with the factors",
        ),
        "orthogonal-kronecker": Group(
            "orthogonal maps of both sides of each parameter",
            lambda change: _orthogonal(change) and _conformal(change, joint=False),
            "Gupta et al. 2018: L and R turn with the gradient",
        ),
        "signed-permutations": Group("permutations and signs of parameters", _signed_permutation, "entrywise definition"),
        "orthogonal": Group("orthogonal maps", _orthogonal, "the gradient is that of the Euclidean metric"),
    }
)
"""Groups by name."""


def contains(group: str, change: Reparametrization, metric: bool = False) -> bool:
    """Whether a change of coordinates belongs to a group, and, with ``metric``, keeps lengths as well: T'T = I.

    Args:
        group: one of :data:`GROUPS`.
        change: DT of a nonlinear map counts.
        metric: what a damping by lambda I demands in addition.

    Example:
        >>> from fishergauge.reference import reparametrized
        >>> from fishergauge.suites.zoo import catalogue_problem
        >>> change = reparametrized(catalogue_problem("mlp-tanh-gaussian"), "unit-affine")
        >>> contains("units", change), contains("scales", change)
        (True, False)
    """
    known = _KNOWN.setdefault(change, {})
    for name, holds in ((group, GROUPS[group].contains), ("orthogonal", _orthogonal)):
        if name not in known:
            known[name] = holds(change)
    return known[group] and (not metric or known["orthogonal"])


_KNOWN: "WeakKeyDictionary[Reparametrization, dict[str, bool]]" = WeakKeyDictionary()

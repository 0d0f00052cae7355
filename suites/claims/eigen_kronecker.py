"""What makes a matrix an EKFAC: diagonal in the eigenbasis of the Kronecker factors, with the best diagonal."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.reference.layers import Layer
from fishergauge.suites.case import Case
from fishergauge.suites.claim import Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.kronecker import block_index
from fishergauge.suites.comparison import worst

Measure = Callable[[Tensor, Tensor, Tensor, Tensor, Layer, float], Finding]


def commutes_with_factors(case: Case) -> Finding:
    r"""A diagonal in the eigenbasis of the factors commutes with both: with :math:`G \otimes I` and :math:`I \otimes A`."""
    return _of_eigenbasis(case, _commutators)


def best_diagonal(case: Case) -> Finding:
    r"""The eigenvalues are :math:`u_i' F u_i`.

    The residual F - M is orthogonal to all that is diagonal in the basis: to :math:`G^i \otimes A^j`, the trace (i = j = 0)
    included, whatever basis was chosen within eigenspaces.
    """
    return _of_eigenbasis(case, _moments)


def _of_eigenbasis(case: Case, measure: Measure) -> Finding:
    mine, exact = case.matrix(), case.exact()
    candidates = []
    for per in case.per():
        factored = case.quantities.factors(case.problem, case.subject, "joint" if per == "layer" else "separate")
        found = []
        for layer in case.layers:
            if layer.weight is None or not layer.alone:
                continue
            block = factored.factors[layer.name]
            joint = per == "layer" and layer.bias is not None
            index = block_index(case, layer, joint).to(mine.device)
            a, b = mine[index][:, index], exact[index][:, index]
            found.append(measure(a, b, block.output_factor, block.input_factor, layer, case.bound(case.cancellation())))
        if not found:
            raise NotHere("no layer is used once")
        candidates.append(worst(*found))
    return min(candidates, key=lambda f: f.measured / f.bound)


def _commutators(mine: Tensor, exact: Tensor, output: Tensor, inside: Tensor, layer: Layer, bound: float) -> Finding:
    eye_in, eye_out = (torch.eye(len(m), dtype=m.dtype, device=m.device) for m in (inside, output))
    found = []
    for name, factor in (("G", torch.kron(_unit(output), eye_in)), ("A", torch.kron(eye_out, _unit(inside)))):
        commutator = mine @ factor - factor @ mine
        size = float(mine.norm()) * len(mine) ** 0.5
        measured = float(commutator.norm()) / size if size > 0 else 0.0
        found.append(
            Finding(measured, bound, "64 u sqrt(n)", f"{layer.weight}: does not commute with {name}, by {measured:.3g}")
        )
    return worst(*found)


def _moments(mine: Tensor, exact: Tensor, output: Tensor, inside: Tensor, layer: Layer, bound: float) -> Finding:
    found = []
    for i in range(min(4, len(output))):
        for j in range(min(4, len(inside))):
            weight = torch.kron(
                torch.linalg.matrix_power(_unit(output), i).contiguous(),
                torch.linalg.matrix_power(_unit(inside), j).contiguous(),
            )
            mine_part, right = float((weight * mine).sum()), float((weight * exact).sum())
            size = float(weight.norm() * exact.norm())
            measured = abs(mine_part - right) / size if size > 0 else float(mine_part != right)
            what = "trace" if i == j == 0 else f"moment G^{i} kron A^{j}"
            found.append(
                Finding(measured, bound, "64 u sqrt(n)", f"{layer.weight}: {what} is {mine_part:.6g}, exact {right:.6g}")
            )
    return worst(*found)


def _unit(matrix: Tensor) -> Tensor:
    size = float(torch.linalg.matrix_norm(matrix, 2))
    return matrix / size if size > 0 else matrix


CLAIMS = (
    Claim(
        id="T11-basis",
        name="eigenbasis-of-factors",
        statement="EKFAC is diagonal in the eigenbasis of the Kronecker factors: it commutes with both",
        source="George et al. 2018, sec. 3",
        scope=Scope(structures=("eigen-kronecker",)),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n)",
        control="eigenvectors transposed",
        measure=commutes_with_factors,
    ),
    Claim(
        id="T11",
        name="best-diagonal-in-eigenbasis",
        statement="each eigenvalue of EKFAC is u'Fu, hence its trace is that of the exact block",
        source="George et al. 2018, prop. 1",
        scope=Scope(structures=("eigen-kronecker",)),
        informs=Scope(structures=("kronecker",)),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n)",
        control="eigenvalues left as sums (EleutherAI/bergson#375); from the mean gradient",
        measure=best_diagonal,
    ),
)

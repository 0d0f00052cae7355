"""The matrix is the exact one, restricted to what its structure keeps."""

import inspect
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, block_slices
from fishergauge.suites.case import Case
from fishergauge.suites.claim import ENTRYWISE, FACTORED, Claim, Finding, NotHere, Scope
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.comparison import compared


def same_as_exact(case: Case) -> Finding:
    """The subject's matrix against the exact target in every entry that its structure keeps."""
    return _against(case, case.exact())


def same_as_hessian_blocks(case: Case) -> Finding:
    """The subject's diagonal blocks against those of the Hessian by plain double backward."""
    mine, hessian = case.matrix(), case.quantities.oracle_hessian(case.problem)
    if case.subject.structure in ("diagonal", "quasi-diagonal"):
        mine, hessian = mine.diagonal().diag(), hessian.diagonal().diag()
    else:
        per = case.per()[-1]
        mine, hessian = (case.quantities.restricted(case.problem, m, per) for m in (mine, hessian))
    return compared(mine, hessian, case.problem, scale=case.quantities.scale(case.problem, "hessian"))


def _against(case: Case, exact: Tensor) -> Finding:
    mine, scale = case.matrix(), case.scale()
    structure = case.subject.structure
    if structure == "block-diagonal" and "layer" in case.per() and case.problem.facts.tied_weights:
        raise NotHere("a tied weight has no layer of its own: which biases share its block is not determined")
    if structure in ("block-diagonal", *FACTORED):
        kept = [case.quantities.restricted(case.problem, exact, per) for per in case.per()]
        findings = [compared(mine, expected, case.problem, scale=scale) for expected in kept]
        return min(findings, key=lambda f: f.measured)
    if structure == "diagonal":
        return compared(mine, exact.diagonal().diag(), case.problem, scale=scale)
    if structure == "quasi-diagonal":
        findings = [compared(mine, expected, case.problem, scale=scale) for expected in quasi_diagonal_forms(case, exact)]
        return min(findings, key=lambda f: f.measured)
    return compared(mine, exact, case.problem, scale=scale)


def quasi_diagonal_forms(case: Case, exact: Tensor, problem: Problem | None = None) -> tuple[Tensor, Tensor]:
    r"""The quasi-diagonal of a matrix: with zeros between the weights of a unit, and completed.

    .. math:: M_{ij} = F_{ib} F_{bj} / F_{bb}

    is the completion, the one whose inverse has zeros there. The matrix is of another problem where one is given.
    """
    problem = case.problem if problem is None else problem
    layers = case.quantities.layers(problem)
    seen = {layer.name for layer in layers}
    for name, module in problem.model.named_modules():
        if isinstance(module, nn.Linear) and name not in seen and any(p.requires_grad for p in module.parameters()):
            raise NotHere(f"{name} is used by its parameters alone, so that nothing tells its units")
    plain = exact.diagonal().diag()
    completed = plain.clone()
    slices = block_slices(problem, "parameter")
    for layer in layers:
        if layer.tied or layer.calls > 1:
            raise NotHere("a weight belongs to several layers, and so to several units")
        if layer.weight is None or layer.bias is None:
            continue
        biases = torch.arange(slices[layer.bias].start, slices[layer.bias].stop, device=exact.device)
        weights = torch.arange(slices[layer.weight].start, slices[layer.weight].stop, device=exact.device)
        for bias, unit in zip(biases, weights.view(len(biases), -1), strict=True):
            cross = exact[unit, bias]
            plain[unit, bias] = plain[bias, unit] = completed[unit, bias] = completed[bias, unit] = cross
            if float(exact[bias, bias]) > 0:
                outer = torch.outer(cross, cross) / exact[bias, bias]
                completed[unit[:, None], unit[None, :]] = outer - outer.diagonal().diag() + exact[unit, unit].diag()
    return plain, completed


def same_in_every_form(case: Case) -> Finding:
    """Two representations that an operator offers of itself: ``diagonal``, ``trace`` and its products."""
    raw, dense = case.raw(), case.matrix()
    if isinstance(raw, Tensor):
        raise NotHere("a tensor has one representation")
    found = []
    forms = dict.fromkeys(DENSE_FORMS, dense) | {"diagonal": dense.diagonal(), "trace": dense.trace(), "logdet": None}
    for name, expected in forms.items():
        value = case.inside(representation, raw, name)
        if value is None or (expected is dense and value.shape != dense.shape):
            continue
        if expected is None:
            sign, expected = torch.linalg.slogdet(dense.double())
            condition = float(torch.linalg.cond(dense.double()))
            if not (float(sign) > 0 and condition < 1e8):
                continue
            found.append(_representations(value, expected, name, dense, float(condition)))
            continue
        found.append(_representations(value, expected, name, dense, 1.0))
    found += _solutions(case, raw, dense)
    if not found:
        raise NotHere("the matrix offers no diagonal, trace, logdet or solve of its own")
    return max(found, key=lambda f: f.measured / f.bound)


def _solutions(case: Case, raw: object, dense: Tensor) -> list[Finding]:
    """The residual of a ``solve`` method: with damping where it takes an argument of that name, else of the matrix itself."""
    solve = getattr(raw, "solve", None)
    try:
        damped = "damping" in inspect.signature(solve).parameters if callable(solve) else False
    except (TypeError, ValueError):
        return []
    if not callable(solve):
        return []
    plain = case.subject.structure not in ("kronecker", "quasi-diagonal")  # they may put the damping into their factors
    damping = float(dense.trace()) / len(dense) if damped and plain else 0.0
    values = torch.linalg.eigvalsh((dense + dense.mT).double() / 2) + damping
    condition = float(values[-1] / values[0]) if float(values[0]) > 0 else math.inf
    if not condition < 1e6:
        return []
    right = torch.randn(len(dense), generator=case.generator("solve"), dtype=torch.float64).to(dense)
    solution = case.inside(_asked, solve, right.clone(), damping if damped else None)
    if not isinstance(solution, Tensor) or solution.shape != right.shape:
        return []
    measured = float((dense @ solution + damping * solution - right).norm() / right.norm())
    bound = case.bound(condition * case.cancellation())
    return [Finding(measured, bound, f"64 u sqrt(n) * {condition:.1e}", f"solve leaves a relative residual of {measured:.3g}")]


def _asked(solve: Callable[..., object], right: Tensor, damping: float | None) -> object:
    """What a ``solve`` gives, None where it refuses or wants other arguments."""
    try:
        return solve(right) if damping is None else solve(right, damping=damping)
    except (NotImplementedError, TypeError):
        return None


DENSE_FORMS = ("dense", "to_dense", "todense", "toarray")


def representation(matrix: object, name: str) -> Tensor | None:
    """What a method or attribute of that name gives, None where there is none or it refuses."""
    value = getattr(matrix, name, None)
    try:
        value = value() if callable(value) else value
        return None if value is None else torch.as_tensor(value).detach()
    except (NotImplementedError, TypeError):  # refused, wants arguments, or means something else by the name
        return None


def _representations(value: Tensor, expected: Tensor, name: str, dense: Tensor, condition: float) -> Finding:
    bound = rounding_bound(dense.dtype, len(dense), condition)
    formula = "64 u sqrt(n)" + (" cond" if condition != 1 else "")
    value, expected = value.double().to(expected.device), expected.double()
    if value.shape != expected.shape:
        return Finding(float("inf"), bound, formula, f"{name} has shape {tuple(value.shape)}, expected {tuple(expected.shape)}")
    size = max(float(expected.norm()), float(dense.norm()) if name == "trace" else 0.0, 1.0 if name == "logdet" else 0.0)
    difference = float((value - expected).norm())
    measured = difference / size if size > 0 else 0.0 if difference == 0 else float("inf")
    return Finding(
        measured, bound, formula, f"{name} gives {value.flatten()[:3].tolist()}, expected {expected.flatten()[:3].tolist()}"
    )


CLAIMS = (
    Claim(
        id="T1",
        name="equals-exact",
        statement="the matrix equals the exact target in every entry that its structure keeps, and is zero elsewhere",
        source="Martens 2020, sec. 9.2 (GGN = Fisher); Schraudolph 2002, eq. 6",
        scope=Scope(structures=ENTRYWISE),
        informs=Scope(structures=FACTORED),
        bound="64 u sqrt(n)",
        control="any factor, any label, any missing term",
        measure=same_as_exact,
    ),
    Claim(
        id="T3",
        name="relu-hessian-blocks",
        statement="the layer blocks equal those of the Hessian by double backward, for piecewise-linear networks",
        source="Martens 2020, sec. 8.1; Botev et al. 2017, sec. 4",
        scope=Scope(targets=("fisher", "ggn", "hessian"), structures=ENTRYWISE),
        requires=frozenset({"piecewise-linear"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n), relative to the parts of the Hessian",
        control="a factor that the reference shares with the subject",
        measure=same_as_hessian_blocks,
    ),
    Claim(
        id="T26-representations",
        name="representations-agree",
        statement="dense form, diagonal, trace, logdet and solve of an operator are those of its products",
        source="definition",
        scope=Scope(drawn=None),
        bound="64 u sqrt(n), times the condition number for logdet",
        control="one representation normalised, the others not (kazukiosawa/asdl 77dc587)",
        optional=True,
        measure=same_in_every_form,
    ),
)

"""Solving: the subject's own damped inverse."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.case import Case
from fishergauge.suites.claim import FACTORED, Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.agreement import quasi_diagonal_forms
from fishergauge.suites.comparison import worst

LARGE = 1e12
RELATIVE_DAMPINGS = (1.0, 1e-3)  # of the mean eigenvalue


def solves_damped(case: Case) -> Finding:
    r"""The residual of :math:`(M + \lambda I) x = b`, for right-hand sides in the range and off it, and two dampings."""
    matrix = case.matrix()
    mean = float(matrix.trace()) / len(matrix)
    if not mean > 0:
        raise NotHere("the matrix has no positive trace to measure damping by")
    off, on = _sides(case, matrix)
    found = []
    for relative in RELATIVE_DAMPINGS:
        damping = relative * mean
        if damping <= case.bound() * case.size(matrix):
            continue  # smaller than the rounding errors of the matrix: the damped matrix may be indefinite
        for what, right in (("off", off), ("in", on)):
            solution = case.solve(right, damping)
            residual = matrix @ solution + damping * solution - right
            # the entries are known no better than what cancels in them allows
            condition = case.cancellation() * (1 + float(torch.linalg.matrix_norm(matrix, 2)) / damping)
            found.append(
                _residual(case, residual, right, condition, f"damping {damping:.3g}, right-hand side {what} the range")
            )
    if not found:
        raise NotHere("every damping would be lost in the rounding errors of the matrix")
    return worst(*found)


def solves_undamped(case: Case) -> Finding:
    """The residual without damping, at a right-hand side in the range of an invertible factorisation."""
    matrix = case.matrix()
    values = torch.linalg.eigvalsh((matrix + matrix.mT) / 2)
    condition = float(values[-1] / values[0]) if float(values[0]) > 0 else math.inf
    if not condition < 1e6:
        raise NotHere("the matrix is singular or nearly so: without damping there is no inverse")
    _, on = _sides(case, matrix)
    solution = case.solve(on, 0.0)
    inverted = [matrix]
    if case.subject.structure == "quasi-diagonal":  # its inverse is that of the completed matrix
        inverted.append(quasi_diagonal_forms(case, matrix)[1])
    condition *= case.cancellation()
    return min((_residual(case, m @ solution - on, on, condition, "no damping") for m in inverted), key=lambda f: f.measured)


def _residual(case: Case, residual: Tensor, right: Tensor, condition: float, what: str) -> Finding:
    measured = float(residual.norm() / right.norm())
    bound = case.bound(condition)
    return Finding(measured, bound, f"64 u sqrt(n) * {condition:.1e}", f"{what}: relative residual {measured:.3g}")


def _sides(case: Case, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """A random right-hand side, and one in the range."""
    off = torch.randn(len(matrix), generator=case.generator("right-hand side"), dtype=torch.float64).to(matrix)
    on = matrix @ off
    if float(on.norm()) == 0:
        raise NotHere("the matrix is zero")
    return off, on / on.norm() * off.norm()


def solves_at_large_damping(case: Case) -> Finding:
    r"""The limit :math:`\lambda \, \mathrm{solve}(b, \lambda) \to b`, for every way in which damping enters.

    With damping in both factors, :math:`(G + \sqrt\lambda/\pi) \otimes (A + \pi \sqrt\lambda)`, the deviation is of first order
    in :math:`(|A|/\pi + \pi |G|) / \sqrt\lambda`, with pi one or balanced.
    """
    matrix = case.matrix()
    factored = case.quantities.factors(case.problem, case.subject, case.subject.bias or "joint")
    sizes = [
        float(f.norm())
        for block in factored.factors.values()
        for f in (block.input_factor, block.output_factor)
        if f is not None
    ]
    largest = max([1.0, *sizes])
    damping = LARGE * max(largest**2, float(matrix.norm()))
    right = torch.randn(len(matrix), generator=case.generator("limit"), dtype=torch.float64).to(matrix)
    deviation = damping * case.solve(right, damping) - right
    measured = float(deviation.norm() / right.norm())
    bound = case.bound() + 8 * len(matrix) ** 0.5 * largest / math.sqrt(damping)
    return Finding(
        measured, bound, "64 u sqrt(n) + 8 sqrt(P) max(|A|, |G|) / sqrt(damping)", f"damping {damping:.1e}: {measured:.3g}"
    )


def balanced_damping(case: Case) -> Finding:
    """The damped solution for a middle layer, after its factors were rescaled against each other, and after a rotation.

    In a linear network the layer before may be multiplied by c and the layer behind divided by it: the inputs of the middle
    layer then grow by c and the gradients at its outputs shrink by c, so that A and G become c^2 A and G / c^2, and its block
    stays what it is. Rotated units turn A or G by an orthogonal matrix.
    """
    names = _three_layers(case.problem)
    right = torch.randn(case.problem.num_parameters, generator=case.generator("right"), dtype=torch.float64).to(
        case.problem.vector
    )
    damping = 0.1 * float(case.exact().trace()) / case.problem.num_parameters
    pieces = case.problem.unflatten(right)
    middle = case.problem.unflatten(case.solve(right, damping))[names[1]]
    scaled = _changed(case.problem, names, scale=8.0)
    after_scaling = scaled.unflatten(case.solve(right, damping, scaled))[names[1]]
    width = case.problem.parameters[names[1]].shape[1]
    rotation = torch.linalg.qr(torch.randn(width, width, generator=case.generator("rotation"), dtype=torch.float64))[0].to(
        right
    )
    rotated = _changed(case.problem, names, rotation=rotation)
    turned = case.problem.flatten({**pieces, names[0]: rotation @ pieces[names[0]], names[1]: pieces[names[1]] @ rotation.mT})
    after_rotation = rotated.unflatten(case.solve(turned, damping, rotated))[names[1]] @ rotation
    condition = 1 + float(torch.linalg.matrix_norm(case.exact(), 2)) / damping
    bound = case.bound(condition)
    found = []
    for what, other in (("factors scaled by 64 against each other", after_scaling), ("rotated units", after_rotation)):
        measured = float((other - middle).norm() / middle.norm())
        found.append(
            Finding(
                measured,
                bound,
                f"64 u sqrt(n) * {condition:.1e}",
                f"{what}: the damped step of {names[1]} changes by {measured:.3g}; "
                "damping that is not balanced by pi disclaims T25",
            )
        )
    return worst(*found)


def _three_layers(problem: Problem) -> tuple[str, str, str]:
    modules = [] if type(problem.model) is not nn.Sequential else list(problem.model.named_children())
    linear = [name for name, module in modules if type(module) is nn.Linear and module.bias is None]
    if len(linear) != 3 or any(type(module) not in (nn.Linear, nn.Identity) for _, module in modules):
        raise NotHere("the model is no sequence of three linear layers without bias")
    first, middle, last = (f"{name}.weight" for name in linear)
    return first, middle, last


def _changed(problem: Problem, names: tuple[str, str, str], scale: float = 1.0, rotation: Tensor | None = None) -> Problem:
    """The same function with other hidden coordinates."""
    values = problem.unflatten(problem.vector)
    first, middle, last = (values[name] for name in names)
    if rotation is not None:
        first, middle = rotation @ first, middle @ rotation.mT
    changed = {**values, names[0]: scale * first, names[1]: middle, names[2]: last / scale}
    return replace(problem.at(problem.flatten(changed)))


CLAIMS = (
    Claim(
        id="T26-solve",
        name="solve-is-damped-inverse",
        statement="solve gives (M + damping I)^-1 b, also for b off the range",
        source="definition; Martens 2020, sec. 6",
        scope=Scope(structures=("dense", "block-diagonal", "diagonal", "eigen-kronecker", "low-rank", "none"), solve=True),
        excludes=frozenset({"many-terms"}),
        bound="64 u sqrt(n) (1 + |M| / damping)",
        control="the gradient returned unchanged; the damping forgotten, doubled or squared",
        measure=solves_damped,
    ),
    Claim(
        id="T26-solve-undamped",
        name="solve-is-inverse",
        statement="without damping, solve inverts a factorisation",
        source="Martens and Grosse 2015, eq. 4",
        scope=Scope(structures=("kronecker", "quasi-diagonal"), solve=True),
        excludes=frozenset({"many-terms"}),
        bound="64 u sqrt(n) cond(M)",
        control="the gradient returned unchanged; the factors in the wrong order",
        measure=solves_undamped,
    ),
    Claim(
        id="T26-solve-limit",
        name="solve-at-large-damping",
        statement="damping times the damped solution tends to the right-hand side as the damping grows",
        source="definition; Martens and Grosse 2015, sec. 6.3",
        scope=Scope(structures=(*FACTORED, "quasi-diagonal"), solve=True),
        excludes=frozenset({"many-terms"}),
        bound="64 u sqrt(n) + 8 sqrt(P) max(|A|, |G|) / sqrt(damping)",
        control="the damping forgotten, squared, doubled or relative; its root in the wrong place",
        measure=solves_at_large_damping,
    ),
    Claim(
        id="T25",
        name="damping-is-balanced",
        statement="damping does not depend on how a constant is divided between A and G, and turns with the units",
        source="Martens and Grosse 2015, sec. 6.3",
        scope=Scope(structures=FACTORED, solve=True),
        requires=frozenset({"deep-linear", "squared"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="64 u sqrt(n) (1 + |F| / damping)",
        control="pi from the sum of entries (google-deepmind/kfac-jax 279be80)",
        measure=balanced_damping,
        cost=3,
    ),
)

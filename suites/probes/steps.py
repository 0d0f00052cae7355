"""Damped steps: what ``solve`` gives, and a step by conjugate gradients in other coordinates."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import Tensor

from fishergauge.reference import Problem, ProblemError, UnsupportedError, gradient, kfac
from fishergauge.reference.linearization import Linearization
from fishergauge.reference.truncated_conjugate_gradients import Truncated
from fishergauge.suites.claim import FACTORED, FISHERS, NotHere, Scope
from fishergauge.suites.guard import fresh_copy
from fishergauge.suites.probes.conjugate import damped_step, tolerance_of
from fishergauge.suites.probes.large_maps import KAPPA, Family, LargeMap, in_large_coordinates
from fishergauge.suites.probes.outputs import largest_gain, linearized
from fishergauge.suites.probes.power import least_growth
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.rounding import norm

SOFT = 1e-2
"""A bound above it takes the larger damping, which is less sensitive to rounding."""
LOOSE = 0.1
"""A bound above it says too little."""
DAMPINGS = (0.1, 1.0)
"""Of steps, relative to the Frobenius norm of the subject's matrix."""
SOLVE_DAMPINGS = {1.0: 4, 1e-3: 1}
"""Of ``solve``, relative to the Frobenius norm of the subject's matrix, and how many normal right-hand sides each gets."""
SEEN_SOLVE = "|(A + damping I) S - I|_F / sqrt(P) of the solution S as a matrix, at the larger damping"
LARGE = 1e12


# --- solve --------------------------------------------------------------------------------------------------------------


def solves_damped(case: ProbeCase) -> ProbeFinding:
    r"""The residuals of X = solve(B): :math:`|(A + \lambda I) X - B|_F / |B|_F`, B off the range and in it, at two dampings.

    They bound the distance from the solution y by conjugate gradients with the same products, at a hundredth of the cost:

    .. math:: |x - y| \le \frac{|(A + \lambda I) x - b| + |(A + \lambda I) y - b|}{\lambda}

    Rounding explains :math:`64 u \sqrt n \, (2 + |A|_F / \lambda)`, as a solution may be as long as :math:`|b| / \lambda`, and
    what cancels on the way to a shorter one as well. Eight vectors ``(P,)`` are held beside the shared ones.
    """
    vectors, images, _ = case.shared()
    size = norm(images) / case.columns**0.5
    if not size > 0:
        raise NotHere("the matrix is zero as far as its products say")
    found, power = [], None
    for relative, columns in SOLVE_DAMPINGS.items():
        damping = relative * size
        if damping <= case.bound() * size or (case.subject.target == "hessian" and relative < 1):
            continue  # smaller than the rounding errors of the matrix, or than its negative eigenvalues
        for what, right in (("off", vectors[:, :columns]), ("in", images[:, :1])):
            finding = _residual(case, right, damping, size, what)
            found += [finding] if finding.bound <= LOOSE else []
            power = power or finding.power  # of the larger damping, with more columns
    if not found:
        raise NotHere(f"rounding alone explains a residual above {LOOSE}")
    return replace(max(found, key=lambda f: f.measured / f.bound), power=power, seen=SEEN_SOLVE)


def _residual(case: ProbeCase, right: Tensor, damping: float, size: float, what: str) -> ProbeFinding:
    scale, residuals = norm(right), 0.0
    for column in right.T:
        solution = case.solve(column.contiguous(), damping)
        image = case.product(solution).double() + damping * solution.double()
        residuals += float((image - column.double()).square().sum())
    condition = 2 + size / damping
    bound, measured = case.bound(condition), residuals**0.5 / scale
    power = (
        bound * scale / right.numel() ** 0.5 * right.shape[1] ** 0.5 / least_growth(right.shape[1]) if what == "off" else None
    )
    witness = f"damping {damping:.3g}, right-hand side {what} the range: relative residual {measured:.3g}"
    return ProbeFinding(measured, bound, f"64 u sqrt(n) * {condition:.1e}", witness, power=power)


def solves_at_large_damping(case: ProbeCase) -> ProbeFinding:
    r"""The limit :math:`\lambda \, \mathrm{solve}(b, \lambda) \to b` of factored damping, whichever way it enters.

    With damping in both factors the deviation is of first order in :math:`(|A|/\pi + \pi |G|) / \sqrt\lambda`. The factors are
    those of the reference, as large as those of the subject; three vectors ``(P,)`` are held.
    """
    vectors, images, _ = case.shared()
    columns = SOLVE_DAMPINGS[1.0]
    factored = kfac(case.problem, case.subject.target, case.subject.bias or "joint", case.subject.sharing)  # type: ignore[arg-type]
    sizes = [float(f.norm()) for block in factored.factors.values() for f in (block.input_factor, block.output_factor)]
    largest = max([1.0, *sizes])
    damping = LARGE * max(largest**2, norm(images) / case.columns**0.5)
    bound = case.bound() + 8 * case.problem.num_parameters**0.5 * largest / damping**0.5
    if bound > LOOSE:
        raise NotHere(f"at this size the limit is known to {bound:.0e} alone")
    deviations = 0.0
    for column in vectors[:, :columns].T:
        deviation = damping * case.solve(column.contiguous(), damping).double() - column.double()
        deviations += float(deviation.square().sum())
    measured = deviations**0.5 / norm(vectors[:, :columns])
    return ProbeFinding(
        measured,
        bound,
        "64 u sqrt(n) + 8 sqrt(P) max(|A|, |G|) / sqrt(damping)",
        f"damping {damping:.1e}: {measured:.3g}",
        power=bound * columns**0.5 / least_growth(columns),
        seen="|damping S - I|_F / sqrt(P) of the solution S as a matrix",
    )


# --- one step in other coordinates --------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """A step in the old coordinates, and what it does to the outputs."""

    found: Truncated
    change: Tensor


def invariant_step(case: ProbeCase, families: Callable[[ProbeCase], Sequence[Family]]) -> ProbeFinding:
    r"""The change of the outputs by a damped step, in two coordinates, :math:`\theta = T \varphi`, by conjugate gradients.

    .. math:: (A + \delta I) s = g, \qquad (A' + \delta \, T'T) s' = g', \qquad J s = J T s'

    A' is the matrix that the subject gives for the problem in the other coordinates, g' the gradient there; the damping is
    transported, so that the step does not depend on the coordinates although it is damped. The second system is solved as
    :math:`(T^{-T} A' T^{-1} + \delta I) \, T s' = T^{-T} g'`, which has the spectrum of the first one.

    Rounding may do :math:`64 u \sqrt n \, \kappa \, (1 + \kappa_T / 16 + \tau_T^2) \, c`, with :math:`\kappa = 1 + |A|_F /
    \delta`: products before, in and behind a layer are four perturbations of theta of up to :math:`u \kappa_T`, as
    :math:`|\Phi| |W'| |\Omega| \le \kappa_T |W|`; what is stored of A', such as factors, carries errors that are magnified
    once by T and once by its inverse, on each side, in the mean of squares as they do not know of the maps:
    :math:`\tau_T^2 = (|T|_F |T^{-1}|_F / n)^2`. And :math:`c = \max(1, |J|_2 |s| / |J s|)`, as errors of s may change the
    outputs more than s. The tolerance of conjugate gradients adds :math:`2 \epsilon \kappa c`.

    About twenty vectors ``(P,)`` are held beside the shared ones: two copies of the problem, the subject's second matrix
    aside, and the iterates, in float64.
    """
    if case.subject.drawn or case.subject.target == "hessian":
        raise NotHere("the step is not determined: the matrix is drawn anew, or may have negative eigenvalues")
    family, other, mapping = _other_coordinates(case, families(case))
    size, tolerance = norm(case.shared()[1]) / case.columns**0.5, tolerance_of(case.problem.dtype)
    if not size > 0:
        raise NotHere("the matrix is zero as far as its products say")
    linear = linearized(case)
    amplified = 1 + mapping.condition / 16 + mapping.mean_condition**2
    for relative in DAMPINGS:
        kappa = 1 + 1 / relative
        bound = case.bound(kappa * amplified) + 2 * tolerance * kappa
        if bound <= SOFT:
            break
    slope, damping = gradient(case.problem).double(), relative * size
    if float(slope.norm()) == 0:
        raise NotHere("the gradient is zero")
    first = _step(case, linear, slope, damping, size)
    second_matrix = case.built(fresh_copy(other))
    second = _step(case, linear, mapping.inverse_transpose(gradient(other)), damping, size, second_matrix, mapping)
    for where, step in (("", first), (f" in {family} coordinates", second)):
        if step.found.reason != "residual":
            why = "meets a direction without positive curvature" if step.found.reason == "curvature" else "does not converge"
            return _finding(float("inf"), bound, kappa, f"conjugate gradients on the damped matrix{where}: {why}")
    moved = float(first.change.norm())
    if moved == 0:
        raise NotHere("the step does not change the outputs")
    bound *= max(1.0, largest_gain(linear, case.shared()[0][:, 0]) * float(first.found.solution.norm()) / moved)
    if bound > LOOSE:
        raise NotHere(f"rounding alone explains {bound:.0e} here")
    deviation = (second.change - first.change).flatten()
    entry = int(deviation.abs().argmax())
    witness = (
        f"in {family} coordinates the step changes output {entry} by {float(second.change.flatten()[entry]):.4g} instead of "
        f"{float(first.change.flatten()[entry]):.4g}; {_where(case, second.found.solution - first.found.solution)}"
    )
    note = f"damping {relative:g} |A|_F, {first.found.products} and {second.found.products} products"
    return _finding(float(deviation.norm()) / moved, bound, kappa, witness, note)


def _finding(measured: float, bound: float, kappa: float, witness: str, note: str = "") -> ProbeFinding:
    return ProbeFinding(
        measured,
        bound,
        f"64 u sqrt(n) * {kappa:.1e} (1 + k_T/16 + t_T^2) c + tolerance",
        witness,
        note,
        seen="changes of the step along the gradient, relative to the change of the outputs, beyond the bound",
    )


def _step(
    case: ProbeCase,
    linear: Linearization,
    slope: Tensor,
    damping: float,
    size: float,
    matrix: object = None,
    mapping: LargeMap | None = None,
) -> _Step:
    def multiply(vector: Tensor) -> Tensor:
        inside = vector if mapping is None else mapping.inverse(vector)
        image = case.product(inside.to(case.problem.dtype), matrix).double()
        return image if mapping is None else mapping.inverse_transpose(image)

    found = damped_step(multiply, slope, damping, size, tolerance_of(case.problem.dtype))
    return _Step(found, linear.push(found.solution.to(case.problem.dtype)[None])[0].double())


def _other_coordinates(case: ProbeCase, families: Sequence[Family]) -> tuple[Family, Problem, LargeMap]:
    reason = ""
    for family in families:
        try:
            return family, *in_large_coordinates(case.problem, family, KAPPA, case.seed)
        except (UnsupportedError, ProblemError) as error:
            reason = str(error)
    raise NotHere(reason)


def _where(case: ProbeCase, difference: Tensor) -> str:
    """The parameter in which two steps differ most."""
    sizes = {name: float(difference[part].norm()) for name, part in case.slices().items()}
    name = max(sizes, key=lambda key: sizes[key])
    return f"the steps differ most in {name}"


def layer_families(case: ProbeCase) -> Sequence[Family]:
    """The maps of layers that a dense, block-diagonal or Kronecker-factored subject respects."""
    joint = case.subject.structure == "dense" or case.subject.bias == "joint"
    return ("affine",) if joint else ("kronecker",)


BOUND = "64 u sqrt(n) k (1 + k_T/16 + t_T^2) c, k = 1 + |A|_F / damping"
GAUSS_NEWTON = (*FISHERS, "empirical-fisher")

PROBES: tuple[Probe, ...] = (
    Probe(
        id="probe-solve",
        statement="solve gives (A + damping I)^-1 b, also for b off the range",
        of=("T26-solve",),
        source="definition; Martens 2020, sec. 6",
        scope=Scope(structures=("dense", "block-diagonal", "diagonal", "eigen-kronecker", "low-rank", "none"), solve=True),
        bound="64 u sqrt(n) (2 + |A|_F / damping)",
        blind="a solution that is wrong for right-hand sides in a few directions of no weight in a normal vector and in A x",
        control="the gradient returned unchanged; the damping forgotten, doubled or squared",
        measure=solves_damped,
    ),
    Probe(
        id="probe-solve-limit",
        statement="damping times the damped solution tends to the right-hand side as the damping grows",
        of=("T26-solve-limit",),
        source="definition; Martens and Grosse 2015, sec. 6.3",
        scope=Scope(structures=(*FACTORED, "quasi-diagonal"), solve=True),
        bound="64 u sqrt(n) + 8 sqrt(P) max(|A|, |G|) / sqrt(damping)",
        blind="how a finite damping enters, pi and the inverse without damping: those of the dense claims T25 and "
        "T26-solve-undamped",
        control="the damping forgotten, squared, doubled or relative; its root in the wrong place",
        measure=solves_at_large_damping,
    ),
    Probe(
        id="probe-step",
        statement="one damped step, with the damping transported, does not depend on affine coordinates of activations (linear "
        "ones for blocks of parameters or a separate bias) and linear ones of pre-activations, in all layers at once",
        of=("T12", "T13"),
        source="Amari 1998, theorem 1; Martens and Grosse 2015, theorem 1; Martens 2020, sec. 12",
        scope=Scope(targets=GAUSS_NEWTON, structures=("dense", "block-diagonal", "kronecker")),
        bound=BOUND,
        blind="what is wrong in every coordinate alike, such as a factor, other labels or lost samples; and directions that "
        "neither the gradient nor the maps reach",
        control="any damping of its own; a separate bias sold as joint, under a shift; EKFAC",
        measure=partial(invariant_step, families=layer_families),
        excludes=frozenset({"saturated"}),
        informs=True,
    ),
    Probe(
        id="probe-step-scaling",
        statement="one damped step, with the damping transported, does not depend on the scales of activations and units, in "
        "all layers at once",
        of=("T14", "T14-scaling"),
        source="Ollivier 2015, sec. 2.3",
        scope=Scope(targets=GAUSS_NEWTON, structures=("diagonal", "quasi-diagonal")),
        bound=BOUND,
        blind="what is wrong at every scale alike, such as a factor; and the shifts of a quasi-diagonal step, which only the "
        "inverse of its completed matrix respects",
        control="any damping of its own; the square root of the diagonal",
        measure=partial(invariant_step, families=lambda case: ("scaling",)),
        excludes=frozenset({"saturated"}),
    ),
)

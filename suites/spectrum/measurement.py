"""Steps in other coordinates, pushed back and compared with those in the original ones."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fishergauge.reference import ProblemError, Reparametrization, UndefinedError, UnsupportedError
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.approximations import standards
from fishergauge.suites.spectrum.origin import DAMPING, Frame, Origin, Stepped
from fishergauge.suites.spectrum.solution import (
    Solution,
    clear_rank,
    power_iteration,
    spectral_norm,
    step_on_range,
    summed,
)

PAPER_CUTOFF = 1e-8
EIGENSOLVER = 5.0  # c of its backward error, a few units in practice; without sums 2 c is the 10 of T13
CLEAR = 10.0  # how far a deviation must stand above rounding to be fitted
LENGTHS = 6  # halvings of the step for the fit of an exponent
FIRST = 1e-2  # the largest change of a coordinate by the longest of these steps


@dataclass(frozen=True)
class Deviation:
    """How far a step in other coordinates is from that in the original ones.

    Args:
        measured: relative to the step.
        bound: what rounding explains.
    """

    measured: float
    bound: float


class Comparison:
    """One approximation in the original and in other coordinates.

    Args:
        seen: both coordinates.
        approximation: what preconditions the gradient.

    Raises:
        Exception: what the approximation raises.
    """

    def __init__(self, seen: "Comparer", approximation: Approximation) -> None:
        self.origin, self.change, self.approximation = seen.origin, seen.change, approximation
        self._perturbed = seen.perturbed / torch.finfo(self.origin.problem.dtype).eps
        raw = approximation.matrix(self.change, self.origin.problem)  # where it has no meaning, it says so first
        self.before = self.origin.stepped(approximation)
        self.after = seen.frame.stepped(approximation, raw, self.origin.magnified(approximation))

    @cached_property
    def correct(self) -> Solution:
        """The solution whose kernel says where a step may depend on coordinates: of the correct matrix where there is one."""
        counterpart = self.approximation.counterpart
        if counterpart is None:
            return self.before.solution
        try:
            return self.origin.stepped(counterpart).solution
        except (UnsupportedError, UndefinedError, ProblemError):
            return self.before.solution

    def undamped(self) -> Deviation:
        """Of the change of the outputs, in the Fisher norm, by the steps on the range."""
        old, new = self.before.solution, self.after.solution
        bound = self._unit * (new.amplification + old.amplification * (1 + self._perturbed))
        return Deviation(self._apart(self.origin.frame.outputs, old.step, new.step), bound)

    def in_parameters(self) -> Deviation:
        """Of the steps themselves, pushed back."""
        old, new = self.before.solution, self.after.solution
        bound = self._unit * (new.amplification_theta + old.amplification_theta * (1 + self._perturbed))
        return Deviation(self._apart(None, old.step, new.step), bound)

    def cut(self) -> float | None:
        """The deviation of the outputs with the paper's cut-off 1e-8; None where it cuts off nothing more."""
        if max(stepped.solution.condition for stepped in (self.before, self.after)) < 1 / PAPER_CUTOFF:
            return None
        old, new = (step_on_range(s.matrix, s.frame.gradient, PAPER_CUTOFF) for s in (self.before, self.after))
        return self._apart(self.origin.frame.outputs, old, new)

    def lost(self) -> str:
        """How many eigenvalues stand above the cut-off, where rounding explains that they are fewer; otherwise empty.

        Of a covariant matrix the new coordinates show T'MT. Where all eigenvalues of its range stand clear of the cut-off, a
        smaller rank is no matter of rounding.
        """
        old, new = self.before.solution.rank, self.after.solution.rank
        if old == new:
            return ""
        T = self.change.jacobian
        covariant = T.T @ self.before.matrix.double() @ T
        return "" if clear_rank(covariant, self.origin.problem.dtype) >= old else f"{new} of {old}"

    def damped(self) -> Deviation:
        r"""Of the outputs, with the same lambda I in both coordinates, or with the approximation's own damped inverse."""
        solve, damping = self.approximation.solve, self._damping
        pieces = []
        for stepped in (self.before, self.after):
            if solve is None:
                pieces.append(_damped(stepped, self.origin.frame.transform, damping))
            else:
                step = -solve(stepped.raw, stepped.frame.gradient.clone(), damping)
                if not bool(step.isfinite().all()):
                    raise ArithmeticError(f"solve returns entries that are NaN or infinite, at damping {damping:.2g}")
                pieces.append((step, _factored_amplification(stepped, step, damping)))
        return self._deviation(pieces)

    def damped_by_metric(self) -> Deviation:
        """Of the outputs, with lambda T'T in the new coordinates, which is lambda I in the old ones."""
        sides = ((s, s.frame.transform) for s in (self.before, self.after))
        return self._deviation([_damped(s, T.T @ T, self._damping) for s, T in sides])

    def order(self) -> float:
        r"""The exponent with which the deviation of the outputs falls with the length of the step, by least squares.

        .. math:: \|R\,[(T(\varphi + \varepsilon s_\varphi) - T(\varphi)) / \varepsilon - s_\theta]\| \propto \varepsilon^p

        p is one for an invariant step along a nonlinear map, and zero for one that is not invariant; NaN where the deviation
        drowns in rounding, as along a map that is linear after all.
        """
        old, new = self.before.solution.step.double(), self.after.solution.step
        lengths = [FIRST / float(new.abs().max()) / 2**k for k in range(LENGTHS)]
        found = [float((self.origin.frame.outputs @ (self.change.push_back(new, length) - old)).norm()) for length in lengths]
        rounding = self.undamped().bound * float((self.origin.frame.outputs @ old).norm())
        if not min(found) > CLEAR * rounding:
            return math.nan
        x, y = torch.tensor(lengths).double().log(), torch.tensor(found).double().log()
        return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())

    # --- pieces ------------------------------------------------------------------------------------------------

    @property
    def _unit(self) -> float:
        """2 c u: c of the eigensolver, of sums over samples (matrix, gradient), of sums over parameters (T, the model)."""
        problem = self.origin.problem
        return 2 * (EIGENSOLVER + summed(problem.num_samples) + summed(problem.num_parameters)) * torch.finfo(problem.dtype).eps

    @property
    def _damping(self) -> float:
        return DAMPING * self.before.solution.size

    def _apart(self, through: Tensor | None, old: Tensor, new: Tensor) -> float:
        pushed, expected = self.change.push_back(new), old.double()
        if through is not None:
            pushed, expected = through @ pushed, through @ expected
        size = float(expected.norm())
        return float((pushed - expected).norm()) / size if size > 0 else math.inf

    def _deviation(self, pieces: list[tuple[Tensor, float]]) -> Deviation:
        (old, k_old), (new, k_new) = pieces
        bound = self._unit * (k_new + k_old * (1 + self._perturbed))
        return Deviation(self._apart(self.origin.frame.outputs, old, new), bound)


class Comparer:
    """The new coordinates, for one approximation after the other.

    Args:
        origin: the original coordinates.
        change: the other ones.
    """

    def __init__(self, origin: Origin, change: Reparametrization) -> None:
        self.origin, self.change = origin, change
        self.frame = Frame.of(change.problem, origin.frame.outputs @ change.jacobian, change.jacobian)
        values = origin.values.double()
        self.perturbed = float((change.problem.outputs.double() - values).norm() / values.norm())

    def __call__(self, approximation: Approximation) -> Comparison:
        """The comparison for one approximation; raises what it raises."""
        return Comparison(self, approximation)

    def coinciding(self, comparison: Comparison) -> Approximation | None:
        """One of the :func:`~fishergauge.suites.spectrum.approximations.standards` that equals a matrix in both coordinates.

        On some data an approximation has no error: features without correlation, a bias that they do not see, one output. It
        then has the group of what it equals.
        """
        sides = ((comparison.before, None), (comparison.after, self.change))
        for standard in standards():
            try:
                if all(_same(side.matrix, standard.matrix(change, self.origin.problem)) for side, change in sides):
                    return standard
            except (UndefinedError, UnsupportedError):  # no Fisher here
                continue
        return None


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two matrices agree but for rounding."""
    tolerance = torch.finfo(one.dtype).eps ** 0.625
    return bool((one - other).norm() <= tolerance * other.norm())


def _damped(stepped: Stepped, metric: Tensor, damping: float) -> tuple[Tensor, float]:
    """The step of M + lambda B, and its K for the outputs."""
    M, outputs = stepped.matrix, stepped.frame.outputs
    damped = (M + M.mT) / 2 + damping * metric.to(M)
    factors = torch.linalg.lu_factor(damped)
    step = -torch.linalg.lu_solve(*factors, stepped.frame.gradient[:, None])[:, 0]
    accurate = factors if damped.dtype == torch.float64 else torch.linalg.lu_factor(damped.double())

    def inverted(vector: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.lu_solve(*accurate, vector[:, None])[:, 0]
        return solved

    # the matrix is symmetric, and so is its inverse
    inverse = power_iteration(lambda v: outputs @ inverted(v), lambda w: inverted(outputs.mT @ w), outputs[0])
    return step, _amplification(inverse, spectral_norm(damped.double()), step, stepped.frame)


def _factored_amplification(stepped: Stepped, step: Tensor, damping: float) -> float:
    r"""K of an inverse of unknown form: its norm is at most 1 / lambda.

    The damped matrix, :math:`(G + \tfrac{\sqrt\lambda}{\pi} I) \otimes (A + \pi \sqrt\lambda I)` at worst, is at most
    :math:`2 \sqrt D (\|M\| + \lambda)` in norm, with D the larger side of a factor.
    """
    largest = 2 * math.sqrt(len(step)) * (spectral_norm(stepped.matrix.double()) + damping)
    return _amplification(spectral_norm(stepped.frame.outputs) / damping, largest, step, stepped.frame)


def _amplification(inverse: float, largest: float, step: Tensor, frame: Frame) -> float:
    """K from the norms of R M^-1 and of M, see :func:`~fishergauge.suites.spectrum.solution.solve_on_range`."""
    size = float((frame.outputs @ step.double()).norm())
    return inverse * max(largest * float(step.double().norm()), float(frame.noise.norm())) / size if size > 0 else math.inf


def refusal(error: Exception) -> bool:
    """Whether an exception says that something is not supported, rather than that it is wrong."""
    if isinstance(error, SubjectFailed):
        return error.failure.kind in ("unsupported", "undefined")
    return isinstance(error, NotImplementedError | UndefinedError)

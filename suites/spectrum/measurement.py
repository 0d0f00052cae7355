"""Steps in other coordinates, pushed back and compared with those in the original ones."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference import Reparametrization, UndefinedError, gradient
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.matrix import densified
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.origin import DAMPING, Origin, Stepped
from fishergauge.suites.spectrum.solution import power_iteration, solve_on_range, spectral_norm, step_on_range, summed

PAPER_CUTOFF = 1e-8
EIGENSOLVER = 5.0  # c of its backward error; without sums 2 c is the 10 of T13
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
        origin: the original coordinates.
        change: the other ones.
        approximation: what preconditions the gradient.
        outputs: R in the new coordinates, ``(K, P)``.
        slope: the gradient in the new coordinates, ``(P,)``.
        perturbed: how far the outputs of the reparametrised model are from those of the model, relative to them.

    Raises:
        Exception: what the approximation raises.
    """

    def __init__(
        self,
        origin: Origin,
        change: Reparametrization,
        approximation: Approximation,
        outputs: Tensor,
        slope: Tensor,
        perturbed: float,
    ) -> None:
        self.origin, self.change, self.approximation = origin, change, approximation
        self._outputs, self._slope, self._perturbed = outputs, slope, perturbed / torch.finfo(origin.problem.dtype).eps
        self.before: Stepped = origin.stepped(approximation)
        raw = approximation.matrix(change, origin.problem)
        matrix = densified(raw, change.problem)
        solution = solve_on_range(
            matrix,
            slope,
            outputs,
            change.jacobian,
            magnified=origin.magnified(approximation),
            power=approximation.power,
        )
        self.after = Stepped(raw, matrix, solution)

    def undamped(self) -> Deviation:
        """Of the change of the outputs, in the Fisher norm, by the steps on the range."""
        old, new = self.before.solution, self.after.solution
        bound = self._unit * (new.amplification + old.amplification * (1 + self._perturbed))
        return Deviation(self._apart(self.origin.outputs, old.step, new.step), bound)

    def in_parameters(self) -> Deviation:
        """Of the steps themselves, pushed back."""
        old, new = self.before.solution, self.after.solution
        bound = self._unit * (new.amplification_theta + old.amplification_theta * (1 + self._perturbed))
        return Deviation(self._apart(None, old.step, new.step), bound)

    def cut(self) -> float | None:
        """The deviation of the outputs with the paper's cut-off 1e-8; None where it cuts off nothing more."""
        if max(stepped.solution.condition for stepped in (self.before, self.after)) < 1 / PAPER_CUTOFF:
            return None
        old, new = (
            step_on_range(stepped.matrix, slope, PAPER_CUTOFF)
            for stepped, slope in ((self.before, self.origin.gradient), (self.after, self._slope))
        )
        return self._apart(self.origin.outputs, old, new)

    def damped(self) -> Deviation:
        r"""Of the outputs, with the same lambda I in both coordinates, or with the approximation's own damped inverse."""
        solve, damping = self.approximation.solve, self._damping
        pieces = []
        sides = ((self.before, self.origin.gradient, self.origin.outputs), (self.after, self._slope, self._outputs))
        for stepped, slope, outputs in sides:
            if solve is None:
                metric = self.origin.identity.to(stepped.matrix)
                pieces.append(_damped(stepped.matrix, metric, slope, damping, outputs))
            else:
                step = -solve(stepped.raw, slope.clone(), damping)
                pieces.append((step, _factored_amplification(stepped.matrix, step, damping, outputs)))
        return self._deviation(pieces)

    def damped_by_metric(self) -> Deviation:
        """Of the outputs, with lambda T'T in the new coordinates, which is lambda I in the old ones."""
        T = self.change.jacobian
        sides = (
            (self.before, self.origin.identity, self.origin.gradient, self.origin.outputs),
            (self.after, T.T @ T, self._slope, self._outputs),
        )
        return self._deviation(
            [_damped(s.matrix, metric.to(s.matrix), slope, self._damping, outputs) for s, metric, slope, outputs in sides]
        )

    def order(self) -> float:
        r"""The exponent with which the deviation of the outputs falls with the length of the step, by least squares.

        .. math:: \|R\,[(T(\varphi + \varepsilon s_\varphi) - T(\varphi)) / \varepsilon - s_\theta]\| \propto \varepsilon^p

        p is one for an invariant step along a nonlinear map, and zero for one that is not invariant.
        """
        old, new = self.before.solution.step.double(), self.after.solution.step
        lengths = [FIRST / float(new.abs().max()) / 2**k for k in range(LENGTHS)]
        found = [float((self.origin.outputs @ (self.change.push_back(new, length) - old)).norm()) for length in lengths]
        if min(found) == 0:
            return math.nan
        x, y = torch.tensor(lengths).double().log(), torch.tensor(found).double().log()
        return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())

    # --- pieces ------------------------------------------------------------------------------------------------

    @property
    def _unit(self) -> float:
        """2 c u: the eigensolver's c, and that of the sums over samples by which matrix and gradient are formed."""
        problem = self.origin.problem
        return 2 * (EIGENSOLVER + summed(problem.num_samples)) * torch.finfo(problem.dtype).eps

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
        return Deviation(self._apart(self.origin.outputs, old, new), bound)


class Comparer:
    """The new coordinates, for one approximation after the other.

    Args:
        origin: the original coordinates.
        change: the other ones.
    """

    def __init__(self, origin: Origin, change: Reparametrization) -> None:
        self.origin, self.change = origin, change
        self.outputs = origin.outputs @ change.jacobian
        self.slope = gradient(change.problem)
        values = origin.values.double()
        self.perturbed = float((change.problem.outputs.double() - values).norm() / values.norm())

    def __call__(self, approximation: Approximation) -> Comparison:
        """The comparison for one approximation; raises what it raises."""
        return Comparison(self.origin, self.change, approximation, self.outputs, self.slope, self.perturbed)


def _damped(matrix: Tensor, metric: Tensor, slope: Tensor, damping: float, outputs: Tensor) -> tuple[Tensor, float]:
    """The step of M + lambda B, and its K for the outputs."""
    damped = (matrix + matrix.mT) / 2 + damping * metric
    factors = torch.linalg.lu_factor(damped)
    step = -torch.linalg.lu_solve(*factors, slope[:, None])[:, 0]
    accurate = factors if damped.dtype == torch.float64 else torch.linalg.lu_factor(damped.double())

    def inverted(vector: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.lu_solve(*accurate, vector[:, None])[:, 0]
        return solved

    # the matrix is symmetric, and so is its inverse
    inverse = power_iteration(lambda v: outputs @ inverted(v), lambda w: inverted(outputs.mT @ w), outputs[0])
    return step, _relative(inverse * spectral_norm(damped.double()), step, outputs)


def _factored_amplification(matrix: Tensor, step: Tensor, damping: float, outputs: Tensor) -> float:
    r"""K of an inverse of unknown form: its norm is at most 1 / lambda.

    The damped matrix, :math:`(G + \tfrac{\sqrt\lambda}{\pi} I) \otimes (A + \pi \sqrt\lambda I)` at worst, is at most
    :math:`2 \sqrt D (\|M\| + \lambda)` in norm, with D the larger side of a factor.
    """
    largest = spectral_norm(matrix.double())
    factor = spectral_norm(outputs) * 2 * math.sqrt(len(matrix)) * (largest + damping) / damping
    return _relative(factor, step, outputs)


def _relative(factor: float, step: Tensor, outputs: Tensor) -> float:
    size = float((outputs @ step.double()).norm())
    return factor * float(step.double().norm()) / size if size > 0 else math.inf


def refusal(error: Exception) -> bool:
    """Whether an exception says that something is not supported, rather than that it is wrong."""
    if isinstance(error, SubjectFailed):
        return error.failure.kind in ("unsupported", "undefined")
    return isinstance(error, NotImplementedError | UndefinedError)

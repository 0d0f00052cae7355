"""Update steps: natural gradient, Newton, trust region, and steps of a prescribed divergence."""

import torch
from torch import Tensor

from fishergauge.reference.divergence import kl_divergence
from fishergauge.reference.errors import ConvergenceError, ProblemError
from fishergauge.reference.matched_length import matched_length
from fishergauge.reference.problem import Problem
from fishergauge.reference.tikhonov import solve_damped


def natural_gradient_step(
    matrix: Tensor, gradient: Tensor, length: float = 1.0, damping: float = 0.0, cutoff: float | None = None
) -> Tensor:
    r"""The step :math:`-\eta (F + \lambda I)^{-1} g`, with the pseudo-inverse where the damping is zero.

    Args:
        matrix: F, ``(P, P)``, positive semi-definite.
        gradient: g, ``(P,)``.
        length: eta.
        damping: lambda.
        cutoff: of the pseudo-inverse.

    Returns:
        ``(P,)``, to be added to the parameters.

    Raises:
        ProblemError: see :func:`~fishergauge.reference.tikhonov.solve_damped`.

    Example:
        >>> natural_gradient_step(torch.tensor([[2.0]]), torch.tensor([4.0]))
        tensor([-2.])

    Reference:
        Amari, Neural Computation 10 (1998), theorem 1.
    """
    return -length * solve_damped(matrix, gradient, damping, cutoff)


def newton_step(hessian: Tensor, gradient: Tensor, cutoff: float | None = None) -> Tensor:
    r"""The step :math:`-H^+ g` to the stationary point of the quadratic model.

    Args:
        hessian: H, ``(P, P)``, symmetric, possibly indefinite.
        gradient: g, ``(P,)``.
        cutoff: eigenvalues below it in modulus, relative to the largest, count as zero; P times the unit
            round-off by default.

    Returns:
        ``(P,)``, to be added to the parameters. Where H is indefinite it may lead uphill.

    Raises:
        ProblemError: H is zero.

    Example:
        >>> newton_step(torch.tensor([[2.0]]), torch.tensor([4.0]))
        tensor([-2.])

    Reference:
        Nocedal and Wright, "Numerical optimization", 2nd ed. (2006), eq. 2.15.
    """
    values, vectors = torch.linalg.eigh((hessian + hessian.T) / 2)
    if cutoff is None:
        cutoff = len(values) * torch.finfo(values.dtype).eps
    kept = values.abs() > cutoff * values.abs().max()
    if not bool(kept.any()):
        raise ProblemError("the Hessian is zero; there is no Newton step")
    basis = vectors[:, kept]
    step: Tensor = -(basis @ ((basis.T @ gradient) / values[kept]))
    return step


def quadratic_length(matrix: Tensor, direction: Tensor, kl: float) -> Tensor:
    r"""The length of a step whose divergence is prescribed in the quadratic model.

    .. math:: \eta = \sqrt{2 \varepsilon / (d'Fd)}

    Args:
        matrix: F, ``(P, P)``.
        direction: d, ``(P,)``.
        kl: epsilon, positive.

    Returns:
        A positive scalar.

    Raises:
        ProblemError: epsilon is not positive, or the direction lies in the kernel of F.

    Example:
        >>> quadratic_length(torch.tensor([[2.0]]), torch.tensor([1.0]), 1.0)
        tensor(1.)

    Reference:
        Schulman et al., "Trust region policy optimization", ICML 2015, appendix C.
    """
    if not kl > 0:
        raise ProblemError(f"the divergence of a step must be positive, got {kl}")
    curvature = direction @ (matrix @ direction)
    noise = torch.finfo(matrix.dtype).eps * len(direction) * direction.square().sum() * matrix.abs().max()
    if not bool(curvature > noise):
        raise ProblemError("the direction lies in the kernel of the matrix: its quadratic divergence is zero at any length")
    return (2 * kl / curvature).sqrt()


def trust_region_step(matrix: Tensor, gradient: Tensor, kl: float, damping: float = 0.0, cutoff: float | None = None) -> Tensor:
    r"""The minimiser of the linear model of the loss on the ellipsoid of prescribed quadratic divergence.

    .. math:: -\sqrt{2 \delta / (g' B^{-1} g)} \, B^{-1} g, \quad B = F + \lambda I

    Args:
        matrix: F, ``(P, P)``, positive semi-definite.
        gradient: g, ``(P,)``.
        kl: delta, positive.
        damping: lambda; the same in both uses of B, so that the ellipsoid is the damped one.
        cutoff: of the pseudo-inverse.

    Returns:
        ``(P,)``, to be added to the parameters.

    Raises:
        ProblemError: delta is not positive, or the gradient is zero on the range of B.

    Example:
        >>> trust_region_step(torch.tensor([[2.0]]), torch.tensor([4.0]), 1.0)
        tensor([-1.])

    Reference:
        Schulman et al., ICML 2015, appendix C; Martens, JMLR 21 (2020), sec. 6.2.
    """
    if not kl > 0:
        raise ProblemError(f"the radius must be positive, got {kl}")
    direction = solve_damped(matrix, gradient, damping, cutoff)
    decrease = gradient @ direction
    if not bool(decrease > 0):
        raise ProblemError("the gradient is zero on the range of the matrix: no direction decreases the loss")
    return -(2 * kl / decrease).sqrt() * direction


def kl_matched_step(problem: Problem, direction: Tensor, kl: float, guess: float = 1.0) -> Tensor:
    r"""The step along ``-direction`` whose true divergence is prescribed.

    .. math:: s = -a d, \quad D(\theta, \theta + s) = \varepsilon

    Args:
        problem: at parameters theta, with a log-likelihood.
        direction: d, ``(P,)``; a descent direction if it is a (natural) gradient.
        kl: epsilon, positive, in the normalisation of :func:`~fishergauge.reference.divergence.kl_divergence`.
        guess: a length to start the search from, such as :func:`quadratic_length`.

    Returns:
        ``(P,)``, to be added to the parameters; its divergence is epsilon to 1e-10 relative in float64.

    Raises:
        ConvergenceError: the divergence along the direction does not reach epsilon.
        UndefinedError: the objective is no negative log-likelihood.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1).double(), torch.nn.MSELoss(), [(torch.ones(4, 1).double(),) * 2])
        >>> kl_matched_step(problem, torch.ones(2).double(), 4.0)
        tensor([-1., -1.], dtype=torch.float64)
    """
    if not bool(direction.isfinite().all()):
        raise ConvergenceError("the direction has entries that are NaN or infinite")
    origin = problem.vector

    def divergence(lengths: Tensor) -> Tensor:
        return torch.stack([kl_divergence(problem, origin - length * direction) for length in lengths])

    target = origin.new_tensor([kl])
    return -matched_length(divergence, target, origin.new_tensor([float(guess)])) * direction

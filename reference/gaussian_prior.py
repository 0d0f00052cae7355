"""A Gaussian prior over the parameters: isotropic, layer-wise, diagonal or dense precision."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from fishergauge.reference.curvature import block_slices
from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.problem import Problem

PriorPrecision = float | Mapping[str, float] | Sequence[float] | Tensor
PriorKind = Literal["isotropic", "layer-wise", "diagonal", "dense"]


@dataclass(frozen=True, eq=False)
class GaussianPrior:
    r"""The prior :math:`N(\mu, \Delta^{-1})`.

    Args:
        precision: Delta, in the inverse squared units of the parameters. A number: the same for all; a mapping by layer
            (names as in :func:`~fishergauge.reference.curvature.block_slices`) or one number a layer: constant within
            each; a tensor ``(P,)``: diagonal; a tensor ``(P, P)``: dense.
        mean: mu, a number or ``(P,)``.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1), torch.nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> GaussianPrior(4.0).of(problem).diagonal
        tensor([4., 4.])
    """

    precision: PriorPrecision = 1.0
    mean: float | Tensor = 0.0

    def of(self, problem: Problem) -> "ParameterPrior":
        """The prior over the parameters of a problem.

        Raises:
            ProblemError: the precision is not positive, or does not fit the parameters, or the mean does not; the message
                names the cause.
        """
        like = problem.vector
        values, kind, groups = _resolved(self.precision, problem)
        _check_positive(values, kind)
        mean = _real(self.mean, like, "prior mean")
        if not bool(mean.isfinite().all()):
            raise ProblemError("the prior mean has entries that are NaN or infinite")
        if mean.ndim > 0 and mean.shape != like.shape:
            raise ProblemError(f"the prior mean is a number or of shape {tuple(like.shape)}, got {tuple(mean.shape)}")
        return ParameterPrior(kind, values, groups, mean.expand_as(like))


@dataclass(frozen=True, eq=False)
class ParameterPrior:
    """A Gaussian prior over P parameters, as a function of its hyper-parameters.

    Args:
        kind: of the precision.
        values: the hyper-parameters: ``()`` isotropic, ``(L,)`` layer-wise, ``(P,)`` diagonal, ``(P, P)`` dense.
        groups: which hyper-parameter each parameter has, ``(P,)`` of integers.
        mean: ``(P,)``.
    """

    kind: PriorKind
    values: Tensor
    groups: Tensor
    mean: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """The precision at other hyper-parameters, differentiably: ``(P,)``, or ``(P, P)`` where it is dense."""
        if values.shape != self.values.shape:
            raise ProblemError(
                f"a prior of kind {self.kind} has hyper-parameters of shape {tuple(self.values.shape)}, "
                f"got {tuple(values.shape)}"
            )
        return values if self.kind == "dense" else values.reshape(-1)[self.groups]

    @property
    def precision(self) -> Tensor:
        """Delta: its diagonal ``(P,)``, or ``(P, P)`` where it is dense."""
        return self.spread(self.values)

    @property
    def diagonal(self) -> Tensor:
        """The diagonal of Delta, ``(P,)``."""
        return self.precision.diagonal() if self.kind == "dense" else self.precision

    def dense(self) -> Tensor:
        """Delta, ``(P, P)``."""
        return self.precision if self.kind == "dense" else torch.diag(self.precision)

    def summed(self, entries: Tensor) -> Tensor:
        """Sums of one number a parameter, ``(P,)``, over those that share a hyper-parameter: shaped like :attr:`values`."""
        if self.kind == "dense":
            raise UnsupportedError("a dense prior has no hyper-parameters of its own; give a number, a mapping or (P,)")
        return entries.new_zeros(self.values.numel()).index_add(0, self.groups, entries).reshape(self.values.shape)

    def log_density(self, vector: Tensor, values: Tensor | None = None) -> Tensor:
        r""":math:`\log N(\theta; \mu, \Delta^{-1})`, a scalar; ``values`` are other hyper-parameters."""
        precision = self.precision if values is None else self.spread(values)
        offset = vector - self.mean
        if self.kind == "dense":
            logdet, quadratic = torch.linalg.slogdet(precision)[1], offset @ precision @ offset
        else:
            logdet, quadratic = precision.log().sum(), (precision * offset.square()).sum()
        result: Tensor = (logdet - quadratic - len(vector) * math.log(2 * math.pi)) / 2
        return result

    def log_ratio(self, vector: Tensor, logdet: Tensor, values: Tensor) -> Tensor:
        """The log-density less that of a Gaussian of log-determinant ``logdet`` at its mean, a scalar."""
        return self.log_density(vector, values) + (len(vector) * math.log(2 * math.pi) - logdet) / 2


def prior_of(problem: Problem, prior: PriorPrecision | GaussianPrior) -> ParameterPrior:
    """The prior over the parameters of a problem; a precision alone has mean zero."""
    return (prior if isinstance(prior, GaussianPrior) else GaussianPrior(prior)).of(problem)


def _resolved(precision: PriorPrecision, problem: Problem) -> tuple[Tensor, PriorKind, Tensor]:
    """Hyper-parameters, kind, and which of them each parameter has."""
    like, slices, size = problem.vector, block_slices(problem), problem.num_parameters
    if isinstance(precision, Mapping):
        if set(precision) != set(slices):
            raise ProblemError(f"the prior names the layers {sorted(precision)}, the problem has {sorted(slices)}")
        precision = [precision[name] for name in slices]
    values = _real(precision, like, "prior precision")
    if values.ndim == 0:
        return values, "isotropic", torch.zeros(size, dtype=torch.long, device=like.device)
    if values.shape == (len(slices),):
        lengths = torch.tensor([part.stop - part.start for part in slices.values()], device=like.device)
        return values, "layer-wise", torch.arange(len(slices), device=like.device).repeat_interleave(lengths)
    if values.shape == (size,):
        return values, "diagonal", torch.arange(size, device=like.device)
    if values.shape == (size, size):
        return values, "dense", torch.arange(size, device=like.device)
    raise ProblemError(
        f"a prior precision is a number, one number for each of the {len(slices)} layers, ({size},) or ({size}, {size}); "
        f"got {tuple(values.shape)}"
    )


def _real(value: Any, like: Tensor, what: str) -> Tensor:
    """Numbers as a tensor like the parameters, detached."""
    if isinstance(value, Tensor) and value.is_complex():
        raise ProblemError(f"a {what} consists of real numbers, got {value.dtype}")
    try:
        return torch.as_tensor(value, dtype=like.dtype, device=like.device).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ProblemError(f"a {what} consists of real numbers, got {value!r}") from error


def _check_positive(values: Tensor, kind: PriorKind) -> None:
    """Refuse a precision that is not positive (definite)."""
    if not bool(values.isfinite().all()):
        raise ProblemError("the prior precision has entries that are NaN or infinite")
    if kind == "dense":
        if not bool((values - values.T).norm() <= torch.finfo(values.dtype).eps ** 0.5 * values.norm()):
            raise ProblemError("the dense prior precision is not symmetric; take its symmetric part")
        if int(torch.linalg.cholesky_ex(values)[1]):
            raise ProblemError("the dense prior precision is not positive definite")
    elif not bool((values > 0).all()):
        raise ProblemError(f"a prior precision must be positive, the smallest is {float(values.min()):.3g}")

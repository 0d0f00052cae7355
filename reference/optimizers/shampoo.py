"""Shampoo as an optimiser: one preconditioner for each mode of a gradient tensor."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fishergauge.reference.errors import ProblemError


class Shampoo(Optimizer):
    r"""Gradient descent preconditioned mode by mode.

    For a parameter of order k, with :math:`G_{(i)}` the unfolding of its gradient whose rows belong to mode i,

    .. math::
        S_i \leftarrow S_i + G_{(i)} G_{(i)}', \qquad
        d = G \times_1 (\varepsilon I + S_1)^{-1/2k} \times_2 \dots \times_k (\varepsilon I + S_k)^{-1/2k},
        \qquad v \leftarrow \mu v + d, \quad \theta \leftarrow \theta - \eta v,

    where all statistics are of the gradient itself. For a matrix these are :math:`L^{-1/4} G R^{-1/4}` with
    :math:`L = \varepsilon I + \sum G G'` and :math:`R = \varepsilon I + \sum G' G`; for a vector, full-matrix AdaGrad. The
    first step of a matrix :math:`G = U \Sigma V'` is :math:`U \Sigma (\Sigma^2 + \varepsilon I)^{-1/2} V'`, hence
    :math:`U V'` as epsilon vanishes. With a decay beta the sums are exponential averages,
    :math:`S_i \leftarrow \beta S_i + (1 - \beta) G_{(i)} G_{(i)}'`, over :math:`1 - \beta^t`; the first step is the same.

    Unlike K-FAC and :func:`fishergauge.reference.shampoo`, it sees the gradient of the batch, not those of its terms: the
    statistics are no Fisher, and scaling the loss leaves the steps as they are (up to epsilon).

    Args:
        params: parameters of any order; a scalar counts as a vector of one entry.
        lr: eta.
        epsilon: in the units of a squared gradient; positive.
        momentum: mu.
        weight_decay: w; w theta joins the gradient.
        decay: beta; None: running sums, as in the paper.
        roots_every: steps from one computation of the roots to the next; the statistics are taken at every step.

    Raises:
        ProblemError: an option makes no sense.

    Example:
        >>> W = nn.Parameter(torch.zeros(2, 2))
        >>> optimizer = Shampoo([W], lr=1.0, epsilon=1e-10)
        >>> W.grad = torch.tensor([[3.0, 0.0], [0.0, -5.0]])
        >>> optimizer.step()
        >>> W.detach().round(decimals=3)  # minus U V'
        tensor([[-1.,  0.],
                [ 0.,  1.]])

    Reference:
        Gupta, Koren and Singer, "Shampoo: preconditioned stochastic tensor optimization", ICML 2018, algorithms 1 and 2.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        epsilon: float = 1e-4,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        decay: float | None = None,
        roots_every: int = 1,
    ) -> None:
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ProblemError(f"{name} must not be negative, got {value}")
        if not epsilon > 0:
            raise ProblemError(f"epsilon must be positive, got {epsilon}: a gradient matrix may be singular")
        if decay is not None and not 0 <= decay < 1:
            raise ProblemError(f"decay must lie in [0, 1), or be None for running sums, got {decay}")
        if not (isinstance(roots_every, int) and roots_every >= 1):
            raise ProblemError(f"roots_every is a number of at least one, got {roots_every}")
        defaults: dict[str, Any] = {"lr": lr, "epsilon": epsilon, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "decay": decay, "roots_every": roots_every})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step from the gradients at hand, or from those that ``closure`` leaves; returns what it returned."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.numel() > 0:
                    self._move(parameter, group)
        return value

    def _move(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        """The step of one parameter."""
        assert parameter.grad is not None
        gradient = parameter.grad + group["weight_decay"] * parameter
        gradient = gradient.reshape(parameter.shape or (1,))
        state = self.state[parameter]
        if not state:
            state["steps"] = 0
            state["statistics"] = [gradient.new_zeros(size, size) for size in gradient.shape]
        beta = group["decay"]
        state["statistics"] = [
            statistics + fresh if beta is None else beta * statistics + (1 - beta) * fresh
            for statistics, fresh in zip(state["statistics"], mode_products(gradient), strict=True)
        ]
        if state["steps"] % group["roots_every"] == 0:
            weight = 1.0 if beta is None else 1 - beta ** (state["steps"] + 1)
            exponent = -1 / (2 * gradient.ndim)
            state["roots"] = [damped_power(s / weight, group["epsilon"], exponent) for s in state["statistics"]]
        state["steps"] += 1
        step = mode_multiplied(gradient, state["roots"]).view_as(parameter)
        if group["momentum"]:
            step = group["momentum"] * state["momentum_buffer"] + step if "momentum_buffer" in state else step
            state["momentum_buffer"] = step
        parameter.sub_(step, alpha=group["lr"])


def mode_products(tensor: Tensor) -> list[Tensor]:
    r"""The products :math:`T_{(i)} T_{(i)}'` of the unfoldings, one for each mode.

    Args:
        tensor: of order at least one.

    Returns:
        For each axis i a matrix ``(n_i, n_i)``.

    Example:
        >>> [product.tolist() for product in mode_products(torch.tensor([[1.0, 2.0]]))]
        [[[5.0]], [[1.0, 2.0], [2.0, 4.0]]]

    Reference:
        Gupta, Koren and Singer, ICML 2018, sec. 4.1 (contractions).
    """
    unfoldings = [tensor.movedim(mode, 0).reshape(size, -1) for mode, size in enumerate(tensor.shape)]
    return [unfolding @ unfolding.T for unfolding in unfoldings]


def mode_multiplied(tensor: Tensor, matrices: Iterable[Tensor]) -> Tensor:
    """The tensor with each mode multiplied by a symmetric matrix, the first mode by the first one."""
    for matrix in matrices:
        tensor = torch.tensordot(tensor, matrix, dims=([0], [0]))  # the mode goes last: after all of them each is back
    return tensor


def damped_power(matrix: Tensor, epsilon: float, exponent: float) -> Tensor:
    r"""The power :math:`(\varepsilon I + A)^p` of a positive semi-definite matrix.

    Args:
        matrix: A, symmetric.
        epsilon: positive.
        exponent: p.

    Returns:
        A symmetric matrix.

    Raises:
        ProblemError: the matrix has entries that are NaN or infinite.

    Example:
        >>> damped_power(torch.tensor([[15.0]]), 1.0, -0.25)
        tensor([[0.5000]])
    """
    if not bool(matrix.isfinite().all()):
        raise ProblemError("the statistics have entries that are NaN or infinite: the training diverged, or the data have some")
    values, vectors = torch.linalg.eigh(matrix)
    power: Tensor = (vectors * (values.clamp(min=0) + epsilon) ** exponent) @ vectors.mT
    return power

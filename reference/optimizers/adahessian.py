"""AdaHessian: Adam's scheme with the diagonal of the Hessian in the place of the gradient's squares."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.optimizers.hutchinson import drawn_signs, hutchinson_diagonal

Block = int | Literal["kernel"]


class AdaHessian(Optimizer):
    r"""Descent along a mean gradient, each entry over the root mean square of the Hessian's diagonal.

    .. math::
        D = z \odot (H z), \quad D^{(s)} = \text{D averaged over blocks}, \quad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) D^{(s)} \odot D^{(s)}

        \theta \leftarrow (1 - \eta w) \, \theta
          - \eta \, \frac{m / (1 - \beta_1^t)}{\big(\sqrt{v / (1 - \beta_2^t)}\big)^k + \varepsilon}

    with signs z drawn anew at each step. The first step is :math:`-\eta g / (|D^{(s)}|^k + \varepsilon)`: for a diagonal
    Hessian, one draw is exact, and with k = 1 it is Newton's step in every coordinate of positive curvature.

    The short form :math:`v \leftarrow \beta v + (1 - \beta) \operatorname{diag}(H)`,
    :math:`\theta \leftarrow \theta - \alpha g / \sqrt{v + \varepsilon}` is another method, see
    :func:`averaged_diagonal_step`: it averages the diagonal and not its square, divides by the root of a curvature
    and not by a curvature, does not correct the start, and has no value where the average is negative.

    Args:
        params: parameters; their ``grad`` is neither used nor changed.
        lr: eta.
        betas: beta_1 and beta_2.
        epsilon: added to the denominator, in its units.
        hessian_power: k, between 0 (momentum alone) and 1.
        block: b, for the average over b consecutive entries of a parameter (its last block may be smaller), or
            ``"kernel"``: over each kernel of a convolution, all axes beyond the second. The signed estimates are
            averaged, as in the paper; the authors' code averages their moduli.
        weight_decay: w, decoupled from the gradient.
        samples: vectors z a step, whose estimates are averaged.
        hessian_every: steps from one estimate to the next; the last one stands in between.
        generator: the source of the signs, on the device of the parameters; the global one is never used.

    Raises:
        ProblemError: an option makes no sense, or there is no generator.

    Example:
        >>> theta = nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = AdaHessian([theta], lr=1.0, epsilon=0.0, generator=torch.Generator().manual_seed(0))
        >>> loss = optimizer.step(lambda: 0.5 * (torch.tensor([1.0, 100.0]) * theta**2).sum())
        >>> theta.detach()  # a separable quadratic: one step
        tensor([0., 0.])

    Reference:
        Yao et al., "AdaHessian: an adaptive second order optimizer for machine learning", AAAI 2021, algorithm 1, eq. 7 to
        11.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        *,
        hessian_power: float = 1.0,
        block: Block = 1,
        weight_decay: float = 0.0,
        samples: int = 1,
        hessian_every: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        for name, value in (("lr", lr), ("epsilon", epsilon), ("weight_decay", weight_decay)):
            _require(value >= 0, f"{name} must not be negative, got {value}")
        _require(len(betas) == 2 and all(0 <= beta < 1 for beta in betas), f"betas must lie in [0, 1), got {betas}")
        _require(0 <= hessian_power <= 1, f"hessian_power must lie in [0, 1], got {hessian_power}")
        for name, count in (("samples", samples), ("hessian_every", hessian_every)):
            _require(isinstance(count, int) and count >= 1, f"{name} is a number of at least one, got {count}")
        positive = isinstance(block, int) and block >= 1
        _require(positive or block == "kernel", f"block is a number of at least one or 'kernel', got {block!r}")
        if generator is None:
            raise ProblemError("signs need generator=torch.Generator(device): the global random state is not touched")
        self._generator, self._samples, self._hessian_every = generator, samples, hessian_every
        defaults: dict[str, Any] = {"lr": lr, "betas": betas, "epsilon": epsilon, "hessian_power": hessian_power}
        super().__init__(params, {**defaults, "block": block, "weight_decay": weight_decay, "steps": 0})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; ``closure`` returns the loss in its graph and does not call ``backward``. Returns the loss, detached."""
        if closure is None:
            raise UnsupportedError(
                "AdaHessian differentiates twice: call step(closure) with a closure that returns the loss without backward()"
            )
        owned = [(p, group) for group in self.param_groups for p in group["params"] if p.requires_grad]
        with torch.enable_grad():
            loss = closure()
            _require(
                isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad,
                "the closure returns the loss itself: one number, in the graph of the parameters",
            )
            gradients = self._differentiated(loss, [parameter for parameter, _ in owned])
        with torch.no_grad():
            for (parameter, group), gradient in zip(owned, gradients, strict=True):
                self._move(parameter, gradient.detach(), group)
            for group in self.param_groups:
                group["steps"] += 1
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """That of torch, with the state of the generator."""
        return {**super().state_dict(), "generator": self._generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume: moments, estimates, counters and generator."""
        super().load_state_dict(state_dict)
        if "generator" in state_dict:
            self._generator.set_state(state_dict["generator"])

    def _differentiated(self, loss: Tensor, parameters: list[Tensor]) -> tuple[Tensor, ...]:
        """The gradients, and, where an estimate is due, the diagonals into the state."""
        due = self.param_groups[0]["steps"] % self._hessian_every == 0
        due = due or any("diagonal" not in self.state[p] for p in parameters)  # of a group that came later, or unfrozen
        gradients = torch.autograd.grad(loss, parameters, create_graph=due, allow_unused=True, materialize_grads=True)
        if not due:
            return gradients
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        sizes = [parameter.numel() for parameter in parameters]

        def product(z: Tensor) -> Tensor:
            if not flat.requires_grad:  # the loss is linear in the parameters
                return torch.zeros_like(z)
            pieces = torch.autograd.grad(flat, parameters, z, retain_graph=True, allow_unused=True, materialize_grads=True)
            return torch.cat([piece.flatten() for piece in pieces])

        diagonal = hutchinson_diagonal(product, drawn_signs(flat, self._samples, self._generator))
        for parameter, piece in zip(parameters, torch.split(diagonal, sizes), strict=True):
            self.state[parameter]["diagonal"] = piece.view_as(parameter)
        return gradients

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """The step of one parameter."""
        state = self.state[parameter]
        first, second = group["betas"]
        diagonal = block_means(state["diagonal"], group["block"])
        zero = torch.zeros_like(gradient)
        state["mean"] = first * state.get("mean", zero) + (1 - first) * gradient
        state["square"] = second * state.get("square", zero) + (1 - second) * diagonal**2
        t = group["steps"] + 1
        mean, square = state["mean"] / (1 - first**t), state["square"] / (1 - second**t)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(mean / (square.sqrt() ** group["hessian_power"] + group["epsilon"]), alpha=group["lr"])


def block_means(diagonal: Tensor, block: Block) -> Tensor:
    """Each entry replaced by the mean of its block: of consecutive entries row-major, or of a kernel; the last may be smaller.

    Reference:
        Yao et al., AAAI 2021, eq. 10.
    """
    size = math.prod(diagonal.shape[2:]) if block == "kernel" else block
    flat = diagonal.flatten()
    whole = len(flat) // size * size
    blocks = [flat[:whole].view(-1, size), flat[whole:].view(1, -1)] if whole < len(flat) else [flat.view(-1, size)]
    return torch.cat([part.mean(1, keepdim=True).expand_as(part).flatten() for part in blocks]).view_as(diagonal)


def averaged_diagonal_step(gradient: Tensor, average: Tensor, lr: float, epsilon: float) -> Tensor:
    r"""The step :math:`-\alpha g / \sqrt{v + \varepsilon}` with v an average of the Hessian's diagonal itself.

    The short form in which AdaHessian is often written down, with :math:`v \leftarrow \beta v + (1 - \beta)
    \operatorname{diag}(H)`; see :class:`AdaHessian` for how the two differ.

    Args:
        gradient: g.
        average: v, shaped like g.
        lr: alpha.
        epsilon: in the units of v.

    Returns:
        Shaped like g; NaN where :math:`v + \varepsilon` is negative, as it may be where the Hessian is indefinite.

    Example:
        >>> averaged_diagonal_step(torch.ones(2), torch.tensor([4.0, -4.0]), 1.0, 0.0)
        tensor([-0.5000,     nan])
    """
    return -lr * gradient / (average + epsilon).sqrt()


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ProblemError(otherwise)

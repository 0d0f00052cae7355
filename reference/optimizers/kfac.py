"""K-FAC as an optimiser: natural-gradient descent with running Kronecker factors."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.kfac import KroneckerBlock
from fishergauge.reference.likelihoods import likelihood_of
from fishergauge.reference.optimizers.factor_sums import FactorSums, Labels, factor_sums
from fishergauge.reference.optimizers.factored_damping import damped_inverse, damped_inverses
from fishergauge.reference.optimizers.kl_clipping import kl_clip
from fishergauge.reference.optimizers.layer_hooks import LayerCall, LayerHooks, linear_modules


class Kfac(Optimizer):
    r"""Natural-gradient descent with the block :math:`G \otimes A` for weight and bias of each layer.

    .. math::
        A \leftarrow \beta_k A + (1 - \beta_k) A_{\text{batch}}, \quad
        G \leftarrow \beta_k G + (1 - \beta_k) G_{\text{batch}}, \quad \beta_k = \min(1 - 1/k, \beta)

        d = (G + \tfrac{\sqrt{\lambda + w}}{\pi} I)^{-1} (\nabla L + w \theta) (A + \pi \sqrt{\lambda + w} I)^{-1},
        \quad v \leftarrow \mu v + \nu d, \quad \theta \leftarrow \theta - \eta v

    with :math:`\pi` of :func:`~fishergauge.reference.optimizers.factored_damping.damped_inverses`, :math:`\nu` of
    :func:`~fishergauge.reference.optimizers.kl_clipping.kl_clip`. The first batch is taken whole, and the first k are
    averaged equally until their weight 1/k reaches :math:`1 - \beta`. The factors of a batch are those of
    :func:`fishergauge.reference.kfac` (expand, joint bias) in its scale: curvature of the objective with the reduction of
    the loss. Weight decay w is that of the penalty :math:`\tfrac{w}{2} |\theta|^2`, whose curvature joins the damping.

    The training loop is the usual one, ``loss(model(inputs), targets).backward()`` and ``step()``, or ``step(closure)``.
    Statistics are taken between the call of the loss module and its backward pass, by backward passes of their own that
    leave ``grad`` alone, and count once the backward pass arrives. Several passes before a step are micro-batches of one
    batch: with M_i what the reduction divides by in each, scale the i-th loss by M_i over their sum. Passes in
    evaluation mode or without gradients are not seen. The hooks stay until :meth:`close` or the end of a ``with``.

    Args:
        model: all of its trained parameters belong to ``Linear`` or ungrouped convolutions, each used once a pass, by its own
            forward. Others are refused: freeze them, or train them with an optimiser of their own.
        loss: ``MSELoss``, ``CrossEntropyLoss`` or ``BCEWithLogitsLoss``: the module that the loop calls.
        lr: eta.
        damping: lambda, in the units of the curvature of the objective; pseudo-inverses at zero.
        momentum: mu.
        weight_decay: w.
        decay: beta, of the running averages; zero keeps the last batch alone.
        statistics_every: steps from one update of the averages to the next.
        inverse_every: steps from one inversion to the next.
        kl_limit: kappa of the clipping; None: none.
        labels: ``"sampled"`` from the model (the Fisher, unbiased), ``"observed"`` (the empirical Fisher), or ``"exact"``:
            square roots of the output Hessians (the GGN; one backward pass for each output and term of a sample).
        samples: labels drawn for each term.
        generator: the source of drawn labels, on the model's device; the global one is never used.
        balanced: whether the damping is balanced by pi; otherwise pi is one.

    Raises:
        ProblemError: an option makes no sense; on a step, no pass was seen since the last one.
        UnsupportedError: the model has trained parameters that the factors do not cover.

    Example:
        >>> model, loss = nn.Linear(1, 1, bias=False), nn.MSELoss()
        >>> _ = nn.init.zeros_(model.weight)
        >>> with Kfac(model, loss, lr=1.0, damping=0.0, labels="exact") as optimizer:
        ...     loss(model(torch.ones(4, 1)), torch.ones(4, 1)).backward()
        ...     optimizer.step()
        >>> model.weight.detach().round(decimals=4)  # a quadratic objective of one layer: one step
        tensor([[1.]])

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015, sec. 3,
        5 and 6; convolutions: Grosse and Martens, ICML 2016; clipping: Ba, Grosse and Martens, ICLR 2017, sec. 5.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        lr: float,
        damping: float,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        decay: float = 0.95,
        statistics_every: int = 1,
        inverse_every: int = 1,
        kl_limit: float | None = None,
        labels: Labels = "sampled",
        samples: int = 1,
        generator: torch.Generator | None = None,
        balanced: bool = True,
    ) -> None:
        for name, value in (("lr", lr), ("damping", damping), ("momentum", momentum), ("weight_decay", weight_decay)):
            _require(value >= 0, f"{name} must not be negative, got {value}")
        _require(0 <= decay < 1, f"decay must lie in [0, 1), got {decay}")
        for name, count in (("statistics_every", statistics_every), ("inverse_every", inverse_every), ("samples", samples)):
            _require(isinstance(count, int) and count >= 1, f"{name} is a number of at least one, got {count}")
        _require(kl_limit is None or kl_limit > 0, f"kl_limit must be positive or None, got {kl_limit}")
        _require(labels in get_args(Labels), f"labels is one of {', '.join(map(repr, get_args(Labels)))}, not {labels!r}")
        _require(
            labels != "sampled" or generator is not None,
            "drawn labels need generator=torch.Generator(device): the global random state is not touched",
        )
        self._labels, self._samples, self._generator, self._balanced = labels, samples, generator, balanced
        self._likelihood = likelihood_of(loss)
        self._pending: FactorSums | None = None
        self._open = False
        defaults: dict[str, Any] = {
            "lr": lr, "damping": damping, "momentum": momentum, "weight_decay": weight_decay, "decay": decay,
            "kl_limit": kl_limit, "statistics_every": statistics_every, "inverse_every": inverse_every,
            "steps": 0, "averaged": 0,
        }  # fmt: skip
        super().__init__([p for module in linear_modules(model).values() for p in _parameters(module)], defaults)
        self._hooks = LayerHooks(model, loss, self._due, self._observe)
        self._open = True

    def close(self) -> None:
        """Remove the hooks from model and loss; no step can follow."""
        self._hooks.close()
        self._pending, self._open = None, False

    def __enter__(self) -> "Kfac":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused once the optimiser is built: parameters are known by their layers."""
        if self._open:
            raise UnsupportedError("the layers of the model are found once; build a new Kfac for other parameters")
        super().add_param_group(param_group)

    @property
    def factors(self) -> dict[str, KroneckerBlock]:
        """The running averages by layer; empty before the first step."""
        blocks = {}
        for name, module in self._hooks.modules.items():
            held = self._held(module)
            if "input_factor" in held:
                weight, bias = (f"{name}.{part}".lstrip(".") if _trained(module, part) else None for part in ("weight", "bias"))
                joint = weight is not None and bias is not None
                blocks[name] = KroneckerBlock(name, held["input_factor"], held["output_factor"], joint, weight, bias)
        return blocks

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step from the gradients at hand, or from those that ``closure`` leaves; returns what it returned."""
        _require(self._open, "this optimiser is closed and its hooks are gone; build a new one")
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        group = self.param_groups[0]
        if self._due():
            self._average(group)
        if group["steps"] % group["inverse_every"] == 0:
            self._invert(group)
        directions = [(module, *pair) for module in self._hooks.modules.values() if (pair := self._direction(module, group))]
        nu = kl_clip([(gradient * direction).sum() for _, gradient, direction in directions], group["lr"], group["kl_limit"])
        for module, _, direction in directions:
            self._move(module, nu * direction, group)
        group["steps"] += 1
        self._pending = None
        return value

    def state_dict(self) -> dict[str, Any]:
        """That of torch, with the state of the generator."""
        state = super().state_dict()
        if self._generator is not None:
            state["generator"] = self._generator.get_state()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume: averages, inverses, momentum, counters and generator."""
        super().load_state_dict(state_dict)
        if self._generator is not None and "generator" in state_dict:
            self._generator.set_state(state_dict["generator"])

    def _due(self) -> bool:
        """Whether this step updates the running averages."""
        return bool(self._open and self.param_groups[0]["steps"] % self.param_groups[0]["statistics_every"] == 0)

    def _observe(self, outputs: Tensor, targets: Tensor, calls: dict[str, LayerCall]) -> None:
        """Take the statistics of a pass, which count once its gradient arrives."""
        sums = factor_sums(self._likelihood, outputs, targets, calls, self._labels, self._samples, self._generator)
        waiting = [sums]

        def arrived(_: Tensor) -> None:
            if waiting and self._open:
                taken = waiting.pop()
                self._pending = taken if self._pending is None else self._pending + taken

        outputs.register_hook(arrived)  # type: ignore[no-untyped-call]

    def _average(self, group: dict[str, Any]) -> None:
        """The running averages of Martens and Grosse, ICML 2015, sec. 5."""
        if self._pending is None:
            raise ProblemError(
                "no training pass was seen since the last step: call the loss module itself on what the model returns, "
                "loss(model(inputs), targets).backward(), with the model in training mode"
            )
        group["averaged"] += 1
        beta = min(1 - 1 / group["averaged"], group["decay"])
        for name, factors in self._pending.factors().items():
            held = self._held(self._hooks.modules[name])
            for key, factor in zip(("input_factor", "output_factor"), factors, strict=True):
                held[key] = beta * held[key] + (1 - beta) * factor if key in held else factor

    def _invert(self, group: dict[str, Any]) -> None:
        """Inverses of the damped factors; G alone takes all of the damping where the weight is frozen."""
        damping = group["damping"] + group["weight_decay"]
        for module in self._hooks.modules.values():
            held = self._held(module)
            A, G = held["input_factor"], held["output_factor"]
            if _trained(module, "weight"):
                held["input_inverse"], held["output_inverse"] = damped_inverses(A, G, damping, self._balanced)
            else:
                held["input_inverse"], held["output_inverse"] = torch.ones_like(A), damped_inverse(G, damping)

    def _direction(self, module: nn.Module, group: dict[str, Any]) -> tuple[Tensor, Tensor] | None:
        """Gradient and preconditioned gradient of a layer as matrices; None without a gradient."""
        own = _parameters(module)
        if all(parameter.grad is None for parameter in own):
            return None
        decayed = [
            group["weight_decay"] * p + (p.grad if p.grad is not None else torch.zeros_like(p)) for p in own
        ]  # a part without a gradient does not act on the loss
        gradient = torch.cat([part.reshape(len(part), -1) for part in decayed], 1)
        held = self._held(module)
        return gradient, held["output_inverse"] @ gradient @ held["input_inverse"]

    def _move(self, module: nn.Module, direction: Tensor, group: dict[str, Any]) -> None:
        """The step of a layer, with momentum."""
        own = _parameters(module)
        pieces = torch.split(direction, [p[0].numel() for p in own], 1)
        for parameter, piece in zip(own, pieces, strict=True):
            step = piece.reshape(parameter.shape)
            if group["momentum"]:
                held = self.state[parameter]
                step = group["momentum"] * held["momentum_buffer"] + step if "momentum_buffer" in held else step
                held["momentum_buffer"] = step
            parameter.sub_(step, alpha=group["lr"])

    def _held(self, module: nn.Module) -> dict[str, Any]:
        """The state of a layer, kept with its first trained parameter."""
        return cast(dict[str, Any], self.state[_parameters(module)[0]])


def _trained(module: nn.Module, part: str) -> bool:
    """Whether the layer has such a parameter that requires gradients."""
    parameter = getattr(module, part)
    return isinstance(parameter, nn.Parameter) and parameter.requires_grad


def _parameters(module: nn.Module) -> list[nn.Parameter]:
    """Weight and bias, those that are trained."""
    return [getattr(module, part) for part in ("weight", "bias") if _trained(module, part)]


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ProblemError(otherwise)

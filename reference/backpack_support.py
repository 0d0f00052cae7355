"""What BackPACK computes rightly: module types and losses for each of its extensions, and why not the others."""

from collections.abc import Iterator

import torch
from backpack import extensions
from backpack.extensions.backprop_extension import BackpropExtension
from torch import Tensor, nn

from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.problem import Problem

Modules = frozenset[type[nn.Module]]

SPATIAL_AXES: dict[type[nn.Module], int] = {
    kind: axes
    for axes, kinds in enumerate(
        (
            (nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
            (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.ZeroPad2d),
            (nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d),
        ),
        start=1,
    )
    for kind in kinds
}

KRONECKER: Modules = frozenset(
    {nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MaxPool2d, nn.AvgPool2d, nn.ZeroPad2d}
    | {nn.Flatten, nn.Identity, nn.Dropout, nn.ReLU, nn.Sigmoid, nn.Tanh}
)
DIAGONAL_HESSIAN: Modules = frozenset(
    {nn.Linear, nn.Flatten, nn.Dropout, *SPATIAL_AXES}
    | {nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.LogSigmoid, nn.ELU, nn.SELU}
)
DIAGONAL_GGN: Modules = DIAGONAL_HESSIAN | {nn.Identity, nn.Embedding, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}
SQRT_GGN: Modules = DIAGONAL_GGN - {nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d}
FIRST_ORDER: Modules = DIAGONAL_GGN | {nn.GELU, nn.SiLU, nn.Softplus}

SUPPORTED: dict[type[BackpropExtension], Modules] = {
    extensions.BatchGrad: FIRST_ORDER,
    extensions.SumGradSquared: FIRST_ORDER,
    extensions.SqrtGGNExact: SQRT_GGN,
    extensions.SqrtGGNMC: SQRT_GGN,
    extensions.DiagGGNExact: DIAGONAL_GGN,
    extensions.DiagGGNMC: DIAGONAL_GGN,
    extensions.DiagHessian: DIAGONAL_HESSIAN,
    extensions.KFLR: KRONECKER,
    extensions.KFAC: KRONECKER,
}

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def require_support(problem: Problem, extension: BackpropExtension) -> None:
    """Refuse whatever the extension would refuse late or, worse, compute wrongly.

    Only modules in ``nn.Sequential`` are let through, since BackPACK sees modules and no operations
    between them, and only types and settings of modules and losses that are known to be right.

    Args:
        problem: the problem.
        extension: an instance of a key of :data:`SUPPORTED`.

    Raises:
        UnsupportedError: the message names the extension and the cause.
    """
    name = type(extension).__name__
    first_order = not extension.expects_backpropagation_quantities()
    reason = _reason_in_structure(problem, SUPPORTED[type(extension)]) or _reason_in_settings(problem, first_order)
    if reason is None:
        reason = _reason_in_positions(problem) if first_order else _reason_in_loss(problem)
    if reason is not None:
        raise UnsupportedError(f"BackPACK's {name} does not support {reason}")


def leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules of nested ``nn.Sequential`` containers in the order of evaluation, with their names."""
    if type(module) is not nn.Sequential:
        yield name or "the model", module
        return
    for key, child in module._modules.items():
        if child is not None:
            yield from leaves(child, f"{name}.{key}" if name else key)


def _reason_in_structure(problem: Problem, modules: Modules) -> str | None:
    """What is wrong with the types of the modules and the way in which they are put together."""
    for name, module in [*problem.model.named_modules(), ("the loss", problem.loss)]:
        if any(vars(module).get(hooks) for hooks in HOOKS) or "forward" in vars(module):
            return f"{name or 'the model'} ({type(module).__name__}) with hooks or a forward of its own: it ignores them"
    seen: set[int] = set()
    for name, module in leaves(problem.model):
        if type(module) not in modules:
            return (
                f"{name} ({type(module).__name__}); it takes {', '.join(sorted(kind.__name__ for kind in modules))}, "
                "in nn.Sequential alone, for it does not see operations outside of modules"
            )
        tensors = {id(module), *(id(parameter) for parameter in module.parameters())}
        if tensors & seen:
            return f"{name} ({type(module).__name__}), used twice or with a tied parameter: it keeps the last use alone"
        seen |= tensors
    return None


def _reason_in_settings(problem: Problem, first_order: bool) -> str | None:
    """What is wrong with the settings of the modules or with the shapes that reach them."""
    values = problem.inputs
    with torch.no_grad():
        for name, module in leaves(problem.model):
            reason = _reason_in_module(module, values, first_order)
            if reason is not None:
                return f"{name} ({type(module).__name__}) with {reason}"
            values = module(values)
    return None


def _reason_in_module(module: nn.Module, values: Tensor, first_order: bool) -> str | None:
    """What is wrong with the settings of one module at inputs ``values``, samples along the first axis."""
    if getattr(module, "inplace", False):
        return "inplace=True"
    if isinstance(module, nn.Dropout) and module.training:
        return "training mode: it takes outputs that are zero for dropped ones"
    if isinstance(module, nn.Flatten) and module.start_dim % values.ndim == 0:
        return f"start_dim={module.start_dim}: it would take positions for samples"
    axes = SPATIAL_AXES.get(type(module))
    if axes is not None and values.ndim != axes + 2:
        return f"inputs of {values.ndim} axes: it takes (N, C, ...) with {axes} spatial ones"
    if isinstance(module, nn.Linear) and values.ndim < 2:
        return "one input that is no batch of vectors"
    if isinstance(module, nn.modules.conv._ConvNd):
        return _reason_in_convolution(module)
    if isinstance(module, nn.AvgPool2d | nn.AvgPool3d) and module.divisor_override is not None and not first_order:
        return f"divisor_override={module.divisor_override}: it ignores it"
    if isinstance(module, nn.ZeroPad2d) and min(module.padding) < 0:
        return f"negative padding {module.padding}"
    return None


def _reason_in_convolution(module: nn.modules.conv._ConvNd) -> str | None:
    """What is wrong with the settings of a convolution or transposed convolution."""
    if module.padding_mode != "zeros":
        return f"padding_mode={module.padding_mode!r}: it pads with zeros"
    if isinstance(module.padding, str):
        return f"padding={module.padding!r}: it takes numbers"
    return None


def _reason_in_positions(problem: Problem) -> str | None:
    """What is wrong with the terms of a sample for individual gradients."""
    positions = problem.likelihood.split(problem.outputs).shape[1]
    if positions > 1:
        return f"{positions} terms a sample: it adds their gradients before taking outer products, which is another matrix"
    return None


def _reason_in_loss(problem: Problem) -> str | None:
    """What is wrong with the loss for quantities of second order, which BackPACK takes from formulas of its own."""
    loss, outputs, targets = problem.loss, problem.outputs, problem.targets
    name = type(loss).__name__
    if type(loss) not in (nn.MSELoss, nn.CrossEntropyLoss, nn.BCEWithLogitsLoss):
        return f"{name}, a subclass"
    if not isinstance(loss, nn.CrossEntropyLoss) and outputs.ndim != 2:
        return f"{name} with outputs {tuple(outputs.shape)}: it takes (N, C)"
    if isinstance(loss, nn.BCEWithLogitsLoss) and outputs.shape[1] != 1:
        return f"{name} with {outputs.shape[1]} outputs: only scalar-valued predictions"
    if getattr(loss, "weight", None) is not None or getattr(loss, "pos_weight", None) is not None:
        return f"{name} with weights"
    if isinstance(loss, nn.CrossEntropyLoss):
        if targets.is_floating_point():
            return f"{name} with class probabilities for targets: it takes for granted that they sum to one"
        if bool((targets == loss.ignore_index).any()):
            return f"{name} with masked labels (ignore_index={loss.ignore_index}): it counts them"
    return None

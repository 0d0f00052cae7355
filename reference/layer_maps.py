"""Layer-wise changes of coordinates, made of fixed linear modules before and after a trained one."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.factored_blocks import parameter_index
from fishergauge.reference.layer_statistics import FORWARDS
from fishergauge.reference.layers import Layer, LinearModule, layers_of
from fishergauge.reference.problem import Problem

CONVOLUTIONS: dict[int, tuple[type[nn.Module], type[nn.Module]]] = {
    1: (nn.Conv1d, nn.ZeroPad1d),
    2: (nn.Conv2d, nn.ZeroPad2d),
    3: (nn.Conv3d, nn.ZeroPad3d),
}


@dataclass(frozen=True, eq=False)
class LayerMap:
    r"""New coordinates of the inputs and of the outputs of one layer.

    With :math:`\bar a = [a; 1]` where the layer has a bias, and a alone where it has none,

    .. math:: [W, b] = \Phi \, [W', b'] \, \bar A

    If the last row of :math:`\bar A` is :math:`(0, 1)`, the fixed module before the layer computes
    :math:`\Omega a + \gamma`; otherwise it computes all of :math:`\bar A \bar a`, and the layer has a wider weight and no
    bias, as :math:`[W', b']` is one matrix. For a convolution the maps act on channels.

    Args:
        inner: A-bar, ``(D + 1, D + 1)`` with a bias, ``(D, D)`` without; None for the identity.
        outer: Phi, ``(D_out, D_out)``; None for the identity.
    """

    inner: Tensor | None = None
    outer: Tensor | None = None


def mappable_layers(problem: Problem) -> tuple[Layer, ...]:
    """Layers that can have a :class:`LayerMap`: linear and ungrouped convolutions with a trained weight of their own.

    A layer whose bias is frozen is none of them, since a map of its outputs would have to act on the bias.
    """
    return tuple(
        layer
        for layer in layers_of(problem)
        if type(layer.module).forward in FORWARDS
        and getattr(layer.module, "groups", 1) == 1
        and layer.weight is not None
        and not layer.tied
        and (layer.module.bias is None or layer.bias is not None)
        and {name for name, _ in layer.module.named_parameters(recurse=False)} <= {"weight", "bias"}
    )


def with_layer_maps(problem: Problem, maps: Mapping[str, LayerMap]) -> tuple[Problem, Tensor]:
    """The same function with some layers in other coordinates.

    Args:
        problem: whose model calls the layers as modules.
        maps: by the name of the layer; the others keep their coordinates.

    Returns:
        The problem in the new coordinates phi, and T with theta = T phi, ``(P, P)`` in float64. The fixed modules are frozen
        ``Linear`` ones (for convolutions: of width one), so that whatever hooks modules finds what it knows.

    Raises:
        UnsupportedError: a layer is none of :func:`mappable_layers`, a map mixes inputs and bias of a convolution, or the model
            fails with other modules in the place of its layers.
        ProblemError: a map has another shape than its layer, or no inverse in the precision of the problem.

    Example:
        >>> problem = Problem(nn.Linear(1, 1, bias=False), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> with_layer_maps(problem, {"": LayerMap(inner=torch.tensor([[2.0]]))})[1]
        tensor([[2.]], dtype=torch.float64)
    """
    layers = {layer.name: layer for layer in mappable_layers(problem)}
    model, made = copy.deepcopy(problem.model), {}
    for name, layer_map in maps.items():
        if name not in layers:
            raise UnsupportedError(
                f"{name or 'the model'} is no linear module or ungrouped convolution with a trained weight of its own, so "
                "that no fixed linear map can be put before and after it"
            )
        made[name] = _Mapped(layers[name], layer_map, problem)
        model = _replaced(model, name, made[name].modules)
    other = _checked(problem, model)
    old, new = parameter_index(problem), parameter_index(other)
    transform = torch.zeros(2 * (problem.num_parameters,), dtype=torch.float64, device=problem.device)
    for name in old.keys() & new.keys():
        transform[old[name], new[name]] = 1
    for mapped in made.values():
        rows, columns = mapped.places(old, new)
        transform[rows[:, None], columns] = mapped.transform()
    return other, transform


class _Mapped:
    """One layer in other coordinates: the modules that take its place, and the map of its parameters."""

    def __init__(self, layer: Layer, layer_map: LayerMap, problem: Problem) -> None:
        self.layer, self.module = layer, layer.module
        self.biased = layer.bias is not None
        dtype, device = problem.dtype, problem.device
        channels = self.module.weight.shape[1]
        size = int(channels) + self.biased
        self.inner = _rounded(layer_map.inner, size, dtype, device)
        self.outer = _rounded(layer_map.outer, len(self.module.weight), dtype, device)
        corner = torch.zeros(size, dtype=torch.float64, device=device)
        corner[-1] = 1
        self.joint = self.biased and not torch.equal(self.inner[-1], corner)
        if self.joint and not isinstance(self.module, nn.Linear):
            raise UnsupportedError(f"{layer.name}: a map that mixes inputs and bias is defined for Linear alone")
        omega = self.inner[:channels, :channels]
        shift = self.inner[:channels, channels] if self.biased else torch.zeros_like(omega[:, 0])
        kernel = self.module.weight[0, 0].numel()
        self.columns = self.inner  # A-bar for the columns of the flattened weight
        if kernel > 1:
            self.columns = torch.kron(omega, torch.eye(kernel, dtype=torch.float64, device=device))
            if self.biased:
                last = torch.zeros(1, len(self.columns), dtype=torch.float64, device=device)
                right = torch.cat([shift.repeat_interleave(kernel), corner[-1:]])[:, None]
                self.columns = torch.cat([torch.cat([self.columns, last]), right], 1)
        parts: list[nn.Module] = []
        if self.joint:
            parts.append(_fixed(self.inner[:, :channels], self.inner[:, channels], self.module, dtype))
        elif not torch.equal(self.inner, torch.eye(size, dtype=torch.float64, device=device)):
            padding = _padding(self.module) if bool((shift != 0).any()) else None
            parts += [padding] if padding is not None else []
            parts.append(_fixed(omega, shift, self.module, dtype))
            self.module = _unpadded(self.module) if padding is not None else self.module
        self.position = len(parts)
        parts.append(self._trained(dtype))
        if not torch.equal(self.outer, torch.eye(len(self.outer), dtype=torch.float64, device=device)):
            parts.append(_fixed(self.outer, torch.zeros_like(self.outer[:, 0]), self.module, dtype))
        self.modules = nn.Sequential(*parts)
        self.modules.training = self.module.training

    def _trained(self, dtype: torch.dtype) -> LinearModule:
        """The layer with the parameters Phi^-1 [W, b] A-bar^-1."""
        values = self.module.weight.detach().double().flatten(1)
        if self.module.bias is not None:
            values = torch.cat([values, self.module.bias.detach().double()[:, None]], 1)
        values = torch.linalg.solve(self.columns, torch.linalg.solve(self.outer, values), left=False).to(dtype)
        if self.joint:
            made = _linear(len(self.inner), len(self.outer), False, self.module, dtype)
        else:
            made = copy.deepcopy(self.module)
        width = made.weight[0].numel()
        with torch.no_grad():
            made.weight.copy_(values[:, :width].view_as(made.weight))
            if made.bias is not None:
                made.bias.copy_(values[:, width])
        return made

    def transform(self) -> Tensor:
        """vec [W, b] from vec [W', b'], row-major."""
        return torch.kron(self.outer, self.columns.T.contiguous())

    def places(self, old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Where [W, b] and [W', b'] stand in the parameter vectors."""
        before = [name for name in (self.layer.weight, self.layer.bias) if name is not None]
        prefix = f"{self.layer.name}.{self.position}.".lstrip(".")
        after = [f"{prefix}weight"] if self.joint or not self.biased else [f"{prefix}weight", f"{prefix}bias"]
        rows, columns = (torch.cat([index[n] for n in names], 1) for index, names in ((old, before), (new, after)))
        return rows.flatten(), columns.flatten()


def _rounded(matrix: Tensor | None, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A map as the model will apply it: rounded to its precision, in float64."""
    if matrix is None:
        return torch.eye(size, dtype=torch.float64, device=device)
    if matrix.shape != (size, size):
        raise ProblemError(f"expected a map of shape {(size, size)}, got {tuple(matrix.shape)}")
    rounded = matrix.to(device=device, dtype=dtype).double().contiguous()  # torch.kron fails on mixed layouts
    if not bool(rounded.isfinite().all()) or bool(torch.linalg.inv_ex(rounded).info):
        raise ProblemError(f"a map of shape {(size, size)} is not finite or has no inverse in {dtype}; choose a smaller kappa")
    return rounded


def _fixed(matrix: Tensor, shift: Tensor, like: LinearModule, dtype: torch.dtype) -> nn.Module:
    """A frozen module that computes matrix @ a + shift in each position."""
    shifted = bool((shift != 0).any())
    module: Any = _linear(matrix.shape[1], matrix.shape[0], shifted, like, dtype)
    with torch.no_grad():
        module.weight.copy_(matrix.to(dtype).view_as(module.weight))
        if shifted:
            module.bias.copy_(shift.to(dtype))
    return module.requires_grad_(False)  # type: ignore[no-any-return]


def _linear(inputs: int, outputs: int, bias: bool, like: LinearModule, dtype: torch.dtype) -> LinearModule:
    """A linear module, or a convolution of width one beside a convolution; its parameters are not initialised."""
    device = like.weight.device
    if isinstance(like, nn.Linear):
        kind: type[nn.Module] = nn.Linear
        arguments: tuple[int, ...] = (inputs, outputs)
    else:
        kind, arguments = CONVOLUTIONS[like.weight.ndim - 2][0], (inputs, outputs, 1)
    made = torch.nn.utils.skip_init(kind, *arguments, bias=bias, dtype=dtype, device=device)  # type: ignore[no-untyped-call]
    return made.train(like.training)  # type: ignore[no-any-return]


def _padding(module: LinearModule) -> nn.Module | None:
    """The padding of a convolution as a module of its own: what it adds is zero in the old coordinates, not in the new ones."""
    if isinstance(module, nn.Linear):
        return None
    amounts = list(module._reversed_padding_repeated_twice)
    if not any(amounts):
        return None
    if module.padding_mode != "zeros":
        return None  # it repeats values of the inputs, which commutes with the map
    return CONVOLUTIONS[module.weight.ndim - 2][1](tuple(amounts)).train(module.training)


def _unpadded(module: LinearModule) -> LinearModule:
    """A copy of a convolution that adds nothing at the edges."""
    bare: Any = copy.deepcopy(module)
    bare.padding = (0,) * (module.weight.ndim - 2)
    return bare  # type: ignore[no-any-return]


def _replaced(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """The model with another module in the place of one of its own, under all the names that this one has."""
    if not name:
        return module
    old = model.get_submodule(name)
    for other in [n for n, m in model.named_modules(remove_duplicate=False) if m is old]:
        model.set_submodule(other, module)
    return model


def _checked(problem: Problem, model: nn.Module) -> Problem:
    """The problem of a model with other modules in the place of its layers."""
    try:
        return replace(problem, model=model, facts=replace(problem.facts, natural_parameters=False))
    except Exception as error:
        raise UnsupportedError(
            f"the model does not run with fixed linear modules around its layers ({type(error).__name__}: {error}); it uses an "
            "attribute of a layer, such as its weight, instead of calling it: call the layers as modules"
        ) from error

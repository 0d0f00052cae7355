"""Other coordinates of a problem of any size: scales, reflections and shifts of what enters and leaves its layers."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, UnsupportedError, gradient
from fishergauge.reference.layer_maps import mappable_layers
from fishergauge.reference.layers import Layer
from fishergauge.reference.random_maps import spread
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.probes.unit_map import ChannelMap, UnitMap
from fishergauge.suites.seeding import generator

Family = Literal["scaling", "orthogonal", "kronecker", "affine"]
KAPPA = 10.0
"""Condition number of the maps, shifts aside: enough to be seen, and the matrix gets it squared at most."""


@dataclass(frozen=True, eq=False)
class LayerCoordinates:
    r"""New coordinates of one layer: it computes :math:`\Phi (W' (\Omega a + \gamma) + b')`.

    .. math:: W = \Phi W' \Omega, \qquad b = \Phi (b' + W' \gamma)

    For a convolution the maps act on channels.

    Args:
        name: of the module.
        weight: name of the weight.
        bias: name of the bias; None where there is none.
        inner: Omega.
        outer: Phi.
        shift: gamma, ``(D_in,)``; None for zero.
    """

    name: str
    weight: str
    bias: str | None
    inner: UnitMap
    outer: UnitMap
    shift: Tensor | None = None

    def to(self, dtype: torch.dtype, device: torch.device) -> "LayerCoordinates":
        """The same in another precision, on a device."""
        shift = None if self.shift is None else self.shift.to(device, dtype)
        return replace(self, inner=self.inner.to(dtype, device), outer=self.outer.to(dtype, device), shift=shift)


class LargeMap:
    r"""T with :math:`\theta = T \varphi`, as products in float64 that cost a few vectors ``(P,)``.

    Args:
        problem: at theta.
        layers: those that have other coordinates.
    """

    def __init__(self, problem: Problem, layers: Mapping[str, LayerCoordinates]) -> None:
        self.problem, self.layers = problem, dict(layers)

    def forward(self, vector: Tensor) -> Tensor:
        """T v."""

        def mapped(layer: LayerCoordinates, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
            if bias is not None:
                bias = layer.outer(bias if layer.shift is None else bias + _applied(weight, layer.shift), 0)
            return layer.outer(layer.inner.transpose(weight, 1), 0), bias

        return self._by_layer(vector, mapped)

    def inverse(self, vector: Tensor) -> Tensor:
        """T^-1 v."""

        def mapped(layer: LayerCoordinates, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
            weight = layer.inner.inverse.transpose(layer.outer.inverse(weight, 0), 1)
            if bias is not None:
                bias = layer.outer.inverse(bias, 0)
                bias = bias if layer.shift is None else bias - _applied(weight, layer.shift)
            return weight, bias

        return self._by_layer(vector, mapped)

    def transpose(self, vector: Tensor) -> Tensor:
        """T' v: gradients with respect to phi from those with respect to theta."""

        def mapped(layer: LayerCoordinates, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
            weight = layer.inner(layer.outer.transpose(weight, 0), 1)
            if bias is not None:
                bias = layer.outer.transpose(bias, 0)
                weight = weight if layer.shift is None else weight + torch.outer(bias, layer.shift)
            return weight, bias

        return self._by_layer(vector, mapped)

    def inverse_transpose(self, vector: Tensor) -> Tensor:
        """T^-T v: gradients with respect to theta from those with respect to phi."""

        def mapped(layer: LayerCoordinates, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
            if bias is not None:
                weight = weight if layer.shift is None else weight - torch.outer(bias, layer.shift)
                bias = layer.outer.inverse.transpose(bias, 0)
            return layer.outer.inverse.transpose(layer.inner.inverse(weight, 1), 0), bias

        return self._by_layer(vector, mapped)

    @property
    def condition(self) -> float:
        """At least the condition number of T; that of the worst layer, as layers do not mix."""
        found = 1.0
        for layer in self.layers.values():
            inner = layer.inner.condition
            if layer.shift is not None:  # |[Omega, gamma; 0, 1]| and of its inverse
                size = float(layer.shift.norm())
                least = float(layer.inner.scales.min())
                inner = (max(1.0, float(layer.inner.scales.max())) + size) * (max(1.0, 1 / least) + size / least)
            found = max(found, layer.outer.condition * inner)
        return found

    @property
    def mean_condition(self) -> float:
        r"""The same in the mean of squares, :math:`|T|_F |T^{-1}|_F / n` of the worst layer with n weights; shifts aside."""
        parts = [
            [float(m.scales.square().mean() * m.scales.pow(-2).mean()) for m in (layer.inner, layer.outer)]
            for layer in self.layers.values()
        ]
        return max(math.sqrt(inner * outer) for inner, outer in parts)

    def _by_layer(self, vector: Tensor, mapped: Callable[..., tuple[Tensor, Tensor | None]]) -> Tensor:
        result = vector.double().clone()
        pieces = self.problem.unflatten(result)
        for layer in self.layers.values():
            bias = None if layer.bias is None else pieces[layer.bias]
            weight, bias = mapped(layer, pieces[layer.weight], bias)
            pieces[layer.weight].copy_(weight)
            if layer.bias is not None:
                pieces[layer.bias].copy_(bias)  # type: ignore[arg-type]
        return result


def _applied(weight: Tensor, shift: Tensor) -> Tensor:
    """W' gamma, ``(D_out,)``."""
    return weight @ shift


def in_large_coordinates(problem: Problem, family: Family, kappa: float = KAPPA, seed: int = 0) -> tuple[Problem, LargeMap]:
    r"""The same function in other coordinates :math:`\theta = T \varphi`, without any (P, P) or (D, D) array.

    In every linear module and ungrouped convolution with a trained weight of its own, fixed modules stand before and after
    it. Omega and Phi have the condition number :math:`\sqrt\kappa` each, so that T has kappa, shifts aside. Other parameters
    keep their coordinates. Order and shapes of the parameters stay what they are.

    Args:
        problem: at parameters theta.
        family: of the maps of inputs and outputs of layers: ``"scaling"`` (a scale each), ``"orthogonal"`` (two reflections),
            ``"kronecker"`` (scales between reflections), ``"affine"`` (the same, and shifts of length one of the inputs of
            linear modules with a bias).
        kappa: condition number; ``"orthogonal"`` has one.
        seed: of the maps.

    Returns:
        The problem at phi, and T.

    Raises:
        UnsupportedError: the model has no such layer, or is another function with fixed modules around its layers.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> problem = Problem(model, nn.MSELoss(), [(torch.ones(4, 3), torch.zeros(4, 2))])
        >>> other, T = in_large_coordinates(problem, "affine")
        >>> torch.allclose(other.outputs, problem.outputs, atol=1e-5), other.num_parameters
        (True, 8)

    Reference:
        Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", ICML 2015, theorem 1.
    """
    layers = mappable_layers(problem)
    if not layers:
        raise UnsupportedError("the model has no linear module or ungrouped convolution with a trained weight of its own")
    source, dtype, device = generator("large map", family, problem.name, seed), problem.dtype, problem.device
    drawn = {layer.name: _drawn(layer, family, kappa, source).to(dtype, device) for layer in layers}
    exact = LargeMap(problem, {name: layer.to(torch.float64, device) for name, layer in drawn.items()})
    model = copy.deepcopy(problem.model)
    for layer in layers:
        model = _wrapped(model, layer, drawn[layer.name])
    _set(model, problem, exact.inverse(problem.vector))
    try:
        other = replace(problem, model=model, facts=replace(problem.facts, natural_parameters=False))
    except Exception as error:
        raise UnsupportedError(
            f"the model does not run with fixed modules around its layers ({type(error).__name__}: {error}); it uses an "
            "attribute of a layer, such as its weight, instead of calling it: call the layers as modules"
        ) from error
    _require_same_function(problem, other, exact)
    return other, exact


def _drawn(layer: Layer, family: Family, kappa: float, source: torch.Generator) -> LayerCoordinates:
    module = layer.module
    outside, inside = module.weight.shape[:2]
    inner, outer = (_unit_map(size, family, math.sqrt(kappa), source) for size in (inside, outside))
    shift = None
    if family == "affine" and layer.bias is not None and isinstance(module, nn.Linear):
        shift = torch.randn(inside, generator=source, dtype=torch.float64)
        shift = shift / shift.norm()
    assert layer.weight is not None  # of those that can be mapped
    return LayerCoordinates(layer.name, layer.weight, layer.bias, inner, outer, shift)


def _unit_map(size: int, family: Family, kappa: float, source: torch.Generator) -> UnitMap:
    scales = torch.ones(size, dtype=torch.float64)
    if family != "orthogonal":
        scales = spread(size, kappa)[torch.randperm(size, generator=source)]
    if family == "scaling":
        return UnitMap(scales)
    left, right = torch.randn(2, size, generator=source, dtype=torch.float64)
    return UnitMap(scales, left, right)


def _wrapped(model: nn.Module, layer: Layer, coordinates: LayerCoordinates) -> nn.Module:
    """The model with fixed modules before and after one of its own, under all the names that this one has."""
    old = model.get_submodule(layer.name)
    trailing = old.weight.ndim - 2  # type: ignore[operator]
    before = ChannelMap(coordinates.inner, trailing, coordinates.shift)  # type: ignore[arg-type]
    made = nn.Sequential(before, old, ChannelMap(coordinates.outer, trailing))  # type: ignore[arg-type]
    made.train(old.training)
    if not layer.name:
        return made
    for name in [name for name, module in model.named_modules(remove_duplicate=False) if module is old]:
        model.set_submodule(name, made)
    return model


def _set(model: nn.Module, problem: Problem, vector: Tensor) -> None:
    """Give a model of the same parameters other values."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    values = problem.unflatten(vector).values()
    if [p.shape for p in trained] != [v.shape for v in values]:
        raise UnsupportedError("with fixed modules around its layers the model has its parameters in another order")
    with torch.no_grad():
        for parameter, value in zip(trained, values, strict=True):
            parameter.copy_(value)


def _require_same_function(problem: Problem, other: Problem, exact: LargeMap) -> None:
    """Refuse a model whose parameters act by ways that the map does not reach: outputs, and T' g against the gradient."""
    here, there = problem.outputs.double(), other.outputs.double()
    slope, mapped = exact.transpose(gradient(problem)), gradient(other).double()
    tolerance = (
        rounding_bound(problem.dtype, problem.num_parameters, exact.condition**2) + torch.finfo(problem.dtype).eps ** 0.5
    )
    same = bool(((here - there).abs() <= tolerance * (1 + here.abs().max())).all())
    if not same or not float((mapped - slope).norm()) <= tolerance * float(slope.norm()):
        what = "the gradient differs" if same else "the outputs differ"
        raise UnsupportedError(
            f"the model with fixed modules around its layers is another function: {what} beyond rounding. It uses a layer "
            "otherwise than by calling it, or a parameter in places that named_parameters does not show; call the layers as "
            "modules"
        )

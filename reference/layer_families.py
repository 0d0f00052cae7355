"""Changes of coordinates layer by layer: which layers have a map, and how it is drawn."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from fishergauge.reference.coordinates import Recast
from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.layer_maps import LayerMap, mappable_layers, with_layer_maps
from fishergauge.reference.layers import Layer
from fishergauge.reference.problem import Problem
from fishergauge.reference.random_maps import conditioned, orthogonal, permutation, spread

Builder = Callable[[Problem, float, torch.Generator], Recast]
Draw = Callable[[int, float, torch.Generator], Tensor]
Choice = Callable[[Problem], Sequence[Layer]]


def every(problem: Problem) -> Sequence[Layer]:
    """All layers that can have a map.

    Raises:
        UnsupportedError: there are none.
    """
    layers = mappable_layers(problem)
    if not layers:
        raise UnsupportedError("the model has no linear module or ungrouped convolution with a trained weight of its own")
    return layers


def entering(problem: Problem) -> Sequence[Layer]:
    """The layers that the inputs of the model enter.

    Raises:
        UnsupportedError: there are none.
    """
    found = [layer for layer in every(problem) if layer.first]
    if not found:
        raise UnsupportedError("the inputs of the model enter no linear layer directly")
    return found


def hidden(problem: Problem) -> Sequence[Layer]:
    """The layers that hidden activations enter.

    Raises:
        UnsupportedError: there are none.
    """
    found = [layer for layer in every(problem) if not layer.first]
    if not found:
        raise UnsupportedError("the model has no hidden activations that enter a linear layer")
    return found


def of_activations(choose: Choice, shifted: bool) -> Builder:
    r"""General linear or affine maps of what enters some layers, :math:`\Phi = I`.

    Args:
        choose: the layers.
        shifted: whether activations are shifted as well, wherever a bias takes it up.

    Returns:
        A builder; Omega of each layer has the condition number kappa.
    """

    def build(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
        layers = _with_bias(choose(problem)) if shifted else choose(problem)
        source = generator if shifted else None
        maps = {}
        for layer in layers:
            omega = conditioned(_widths(layer)[0], kappa, generator)
            maps[layer.name] = LayerMap(_a_bar(layer, omega, source))
        return _recast(problem, maps)

    return build


def everywhere(draw: Draw, shifted: bool) -> Builder:
    r"""Maps of inputs and of units of every layer.

    Args:
        draw: Omega and Phi from a size and a condition number.
        shifted: whether inputs are shifted as well, wherever a bias takes it up.

    Returns:
        A builder; Omega and Phi of each layer have the condition number :math:`\sqrt\kappa`, so that their Kronecker
        product has kappa.
    """

    def build(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
        layers = _with_bias(every(problem)) if shifted else every(problem)
        source = generator if shifted else None
        maps = {}
        for layer in layers:
            omega, phi = (draw(width, math.sqrt(kappa), generator) for width in _widths(layer))
            maps[layer.name] = LayerMap(_a_bar(layer, omega, source), phi)
        return _recast(problem, maps)

    return build


def permuted(size: int, _: float, generator: torch.Generator) -> Tensor:
    """A permutation; it has no condition number to choose."""
    return permutation(size, generator)


def rotated(size: int, _: float, generator: torch.Generator) -> Tensor:
    """An orthogonal matrix; it has no condition number to choose."""
    return orthogonal(size, generator)


def scaled(size: int, kappa: float, _: torch.Generator) -> Tensor:
    """A scale for each feature or unit."""
    return spread(size, kappa).diag()


def scalar(problem: Problem, _: float, __: torch.Generator) -> Recast:
    r"""The same factor for all parameters of the layers: :math:`\Phi = 3 I`."""
    return _recast(problem, {x.name: LayerMap(outer=3 * torch.eye(_widths(x)[1])) for x in every(problem)})


def feature_scaling(problem: Problem, kappa: float, _: torch.Generator) -> Recast:
    r"""The map of the paper: the first half of the features by :math:`\sqrt\kappa`, the others by :math:`1/\sqrt\kappa`."""
    maps = {}
    for layer in entering(problem):
        width = _widths(layer)[0]
        scales = torch.full((width,), 1 / math.sqrt(kappa), dtype=torch.float64)
        scales[: (width + 1) // 2] = math.sqrt(kappa)
        maps[layer.name] = LayerMap(_a_bar(layer, scales.diag(), None))
    return _recast(problem, maps)


def pre_activations(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
    r"""Linear maps of the outputs of every layer: :math:`\bar A = I`."""
    maps = {x.name: LayerMap(outer=conditioned(_widths(x)[1], kappa, generator)) for x in every(problem)}
    return _recast(problem, maps)


def joint_kronecker(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
    r"""General maps of pre-activations and of :math:`[a; 1]`, whose last row is not :math:`(0, 1)`.

    Raises:
        UnsupportedError: no ``Linear`` has a bias.
    """
    maps, root = {}, math.sqrt(kappa)
    for layer in every(problem):
        if layer.bias is not None and isinstance(layer.module, nn.Linear):
            inside, outside = _widths(layer)
            a_bar = conditioned(inside + 1, root, generator)
            maps[layer.name] = LayerMap(a_bar, conditioned(outside, root, generator))
    if not maps:
        raise UnsupportedError("a map that mixes inputs and bias needs a Linear with a bias; the model has none")
    return _recast(problem, maps)


def _recast(problem: Problem, maps: Mapping[str, LayerMap]) -> Recast:
    return Recast(*with_layer_maps(problem, maps))


def _widths(layer: Layer) -> tuple[int, int]:
    """Channels in and out."""
    outside, inside = layer.module.weight.shape[:2]
    return inside, outside


def _a_bar(layer: Layer, omega: Tensor, generator: torch.Generator | None) -> Tensor:
    """A-bar from Omega; the shift is drawn where there is a generator, and none where the layer has no bias."""
    if layer.bias is None:
        return omega
    size = len(omega)
    inner = torch.eye(size + 1, dtype=torch.float64)
    inner[:size, :size] = omega
    if generator is not None:
        inner[:size, size] = torch.randn(size, generator=generator, dtype=torch.float64)
    return inner


def _with_bias(layers: Sequence[Layer]) -> Sequence[Layer]:
    if not any(layer.bias for layer in layers):
        raise UnsupportedError("a shift needs a bias that takes it up; these layers have none")
    return layers

"""Families of changes of coordinates theta = T(phi), applied to the model, so that any curvature can be computed anew."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from fishergauge.reference.coordinates import CoordinateMap, ElementwiseMap, LinearMap, SphericalMap, in_coordinates, in_dtype
from fishergauge.reference.curvature import block_slices
from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.layer_maps import LayerMap, mappable_layers, with_layer_maps
from fishergauge.reference.layers import Layer
from fishergauge.reference.problem import Problem
from fishergauge.reference.random_maps import conditioned, orthogonal, permutation, spread

SAME = 1e-2  # how far outputs may lie from each other, relative to the largest, before they are called another function


@dataclass(frozen=True, eq=False)
class Reparametrization:
    r"""A problem in other coordinates, :math:`\theta = T(\varphi)`: the same function, loss and data.

    Args:
        family: one of :data:`FAMILIES`.
        kappa: the condition number that was asked for; one for families that have none.
        original: the problem at theta.
        problem: the problem at phi.
        jacobian: DT at phi, ``(P, P)`` in float64; T itself for a linear map.
        coordinates: T in float64 for a nonlinear map; None for a linear one.
    """

    family: str
    kappa: float
    original: Problem
    problem: Problem
    jacobian: Tensor
    coordinates: CoordinateMap | None = None

    @property
    def linear(self) -> bool:
        """Whether T is linear."""
        return self.coordinates is None

    @property
    def condition(self) -> float:
        """The condition number of DT."""
        return float(torch.linalg.cond(self.jacobian))

    def push_back(self, step: Tensor, length: float | None = None) -> Tensor:
        r"""What a change of phi changes theta by.

        .. math:: DT \, s, \quad\text{or, with a length,}\quad (T(\varphi + \varepsilon s) - T(\varphi)) / \varepsilon

        Args:
            step: s, ``(P,)``.
            length: epsilon; None for the limit of small ones. For a linear map both are the same.

        Returns:
            ``(P,)`` in float64.
        """
        s = step.double()
        if self.coordinates is None or length is None:
            return self.jacobian @ s
        phi = self.problem.vector.double()
        change: Tensor = (self.coordinates(phi + length * s) - self.coordinates(phi)) / length
        return change


def reparametrized(problem: Problem, family: str, kappa: float = 10.0, seed: int = 0) -> Reparametrization:
    r"""A problem in coordinates of a family, drawn from a seed.

    Layer-wise families put fixed linear modules before and after the trained one (:mod:`~fishergauge.reference.layer_maps`);
    the others evaluate the model at T(phi) by a functional call (:mod:`~fishergauge.reference.coordinates`).

    Args:
        problem: at parameters theta.
        family: one of :data:`FAMILIES`.
        kappa: condition number of the map, at least one; families without one ignore it.
        seed: of the map. The singular vectors do not depend on kappa.

    Returns:
        The reparametrization.

    Raises:
        ProblemError: there is no such family, or kappa is below one.
        UnsupportedError: the family has no map for this model; the message says why.

    Example:
        >>> problem = Problem(torch.nn.Linear(2, 1, bias=False), torch.nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> reparametrized(problem, "scaling", kappa=4.0).jacobian.diagonal()
        tensor([2.0000, 0.5000], dtype=torch.float64)

    Reference:
        Amari, Neural Computation 10 (1998); Martens, JMLR 21 (2020), sec. 12.
    """
    if family not in FAMILIES:
        raise ProblemError(f"there is no family {family!r}; choose from {', '.join(FAMILIES)}")
    if not 1 <= kappa < math.inf:
        raise ProblemError(f"a condition number is at least 1 and finite, not {kappa}")
    chosen = FAMILIES[family]
    kappa = kappa if chosen.conditioned else 1.0
    generator = torch.Generator().manual_seed(seed)
    made = chosen.build(problem, kappa, generator)
    difference = float((made.problem.outputs - problem.outputs).abs().max())
    lost = torch.finfo(problem.dtype).eps * kappa > SAME**2  # kappa too large for a comparison
    if not lost and not difference <= SAME * (1e-3 + float(problem.outputs.abs().max())):
        raise UnsupportedError(
            f"the model with fixed layers for {family!r} is another function (outputs differ by {difference:.1e}): it uses its "
            "layers otherwise than by calling them, or a parameter of theirs in several places"
        )
    return replace(made, family=family, kappa=kappa)


@dataclass(frozen=True)
class Family:
    """A family of maps.

    Args:
        statement: what the maps are, in a line.
        build: draws a map: ``(problem, kappa, generator)`` to a reparametrization.
        conditioned: whether it has a condition number to choose.
        layerwise: whether the maps are fixed modules, so that layers remain layers.
        linear: whether they are linear.
    """

    statement: str
    build: Callable[[Problem, float, torch.Generator], Reparametrization]
    conditioned: bool = True
    layerwise: bool = True
    linear: bool = True


# --- layer-wise maps -------------------------------------------------------------------------------------------


def _by_layers(problem: Problem, maps: Mapping[str, LayerMap]) -> Reparametrization:
    other, transform = with_layer_maps(problem, maps)
    return Reparametrization("", 1.0, problem, other, transform)


def _layers(problem: Problem) -> tuple[Layer, ...]:
    layers = mappable_layers(problem)
    if not layers:
        raise UnsupportedError("the model has no linear module or ungrouped convolution with a trained weight of its own")
    return layers


def _entering(problem: Problem) -> list[Layer]:
    """The layers that the inputs of the model enter."""
    found = [layer for layer in _layers(problem) if layer.first]
    if not found:
        raise UnsupportedError("the inputs of the model enter no linear layer directly")
    return found


def _hidden(problem: Problem) -> list[Layer]:
    found = [layer for layer in _layers(problem) if not layer.first]
    if not found:
        raise UnsupportedError("the model has no hidden activations that enter a linear layer")
    return found


def _widths(layer: Layer) -> tuple[int, int]:
    """Channels in and out."""
    return layer.module.weight.shape[1], layer.module.weight.shape[0]  # type: ignore[union-attr, index]


def _shifted(layer: Layer, omega: Tensor, generator: torch.Generator | None) -> Tensor:
    """A-bar from Omega, and from a shift that is drawn where the layer has a bias."""
    if layer.bias is None:
        return omega
    size = len(omega)
    inner = torch.eye(size + 1, dtype=torch.float64)
    inner[:size, :size] = omega
    if generator is not None:
        inner[:size, size] = torch.randn(size, generator=generator, dtype=torch.float64)
    return inner


def _need_bias(layers: list[Layer]) -> list[Layer]:
    if not any(layer.bias for layer in layers):
        raise UnsupportedError("a shift needs a bias that takes it up; these layers have none")
    return layers


def _feature_scaling(problem: Problem, kappa: float, _: torch.Generator) -> Reparametrization:
    """The paper's map: the first half of the features by sqrt(kappa), the others by 1/sqrt(kappa)."""
    maps = {}
    for layer in _entering(problem):
        width = _widths(layer)[0]
        scales = torch.full((width,), 1 / math.sqrt(kappa), dtype=torch.float64)
        scales[: (width + 1) // 2] = math.sqrt(kappa)
        maps[layer.name] = LayerMap(_shifted(layer, scales.diag(), None))
    return _by_layers(problem, maps)


def _of_activations(
    choose: Callable[[Problem], list[Layer]], shifted: bool
) -> Callable[[Problem, float, torch.Generator], Reparametrization]:
    """General linear or affine maps of what enters some layers; together they have the condition number kappa, shifts aside."""

    def build(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
        layers = choose(problem)
        if shifted:
            _need_bias(layers)
        source = generator if shifted else None
        maps = {
            layer.name: LayerMap(_shifted(layer, conditioned(_widths(layer)[0], kappa, generator), source)) for layer in layers
        }
        return _by_layers(problem, maps)

    return build


def _scalar(problem: Problem, _: float, __: torch.Generator) -> Reparametrization:
    """theta = 3 phi."""
    return _by_layers(problem, {x.name: LayerMap(outer=3 * torch.eye(_widths(x)[1])) for x in _layers(problem)})


def _pre_activations(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
    maps = {x.name: LayerMap(outer=conditioned(_widths(x)[1], kappa, generator)) for x in _layers(problem)}
    return _by_layers(problem, maps)


def _joint_kronecker(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
    layers = [x for x in _layers(problem) if x.bias is not None and isinstance(x.module, torch.nn.Linear)]
    if not layers:
        raise UnsupportedError("a map that mixes inputs and bias needs a Linear with a bias")

    def draw(layer: Layer) -> LayerMap:
        inside, outside = _widths(layer)
        root = math.sqrt(kappa)
        return LayerMap(conditioned(inside + 1, root, generator), conditioned(outside, root, generator))

    return _by_layers(problem, {layer.name: draw(layer) for layer in layers})


def _everywhere(
    draw: Callable[[int, float, torch.Generator], Tensor], shifted: bool
) -> Callable[[Problem, float, torch.Generator], Reparametrization]:
    """Maps of inputs and of units of every layer, each with the condition number sqrt(kappa), with or without shifts."""

    def build(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
        layers, maps = _layers(problem), {}
        if shifted:
            _need_bias(list(layers))
        for layer in layers:
            inside, outside = (draw(width, math.sqrt(kappa), generator) for width in _widths(layer))
            maps[layer.name] = LayerMap(_shifted(layer, inside, generator if shifted else None), outside)
        return _by_layers(problem, maps)

    return build


def _permuted(size: int, _: float, generator: torch.Generator) -> Tensor:
    return permutation(size, generator)


def _rotated(size: int, _: float, generator: torch.Generator) -> Tensor:
    return orthogonal(size, generator)


def _scales(size: int, kappa: float, _: torch.Generator) -> Tensor:
    return spread(size, kappa).diag()


# --- maps of the parameter vector ------------------------------------------------------------------------------


def _by_vector(problem: Problem, coordinates: CoordinateMap, phi: Tensor) -> Reparametrization:
    other = in_coordinates(problem, coordinates, phi)
    applied = in_dtype(in_dtype(coordinates, problem.dtype), torch.float64)  # as the model rounds it
    jacobian = applied.jacobian(other.vector.double())
    return Reparametrization("", 1.0, problem, other, jacobian, None if coordinates.linear else applied)


def _linear_map(problem: Problem, matrix: Tensor) -> Reparametrization:
    rounded = matrix.to(device=problem.device, dtype=problem.dtype).double()
    theta = problem.vector.double()
    phi = theta / rounded if rounded.ndim == 1 else torch.linalg.solve(rounded, theta)
    return _by_vector(problem, LinearMap(rounded), phi)


def _diagonal(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
    count = problem.num_parameters
    return _linear_map(problem, spread(count, kappa)[torch.randperm(count, generator=generator)])


def _dense_layers(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
    matrix = torch.zeros(2 * (problem.num_parameters,), dtype=torch.float64)
    for part in block_slices(problem, "layer").values():
        matrix[part, part] = conditioned(part.stop - part.start, kappa, generator)
    return _linear_map(problem, matrix)


def _dense(problem: Problem, kappa: float, generator: torch.Generator) -> Reparametrization:
    return _linear_map(problem, conditioned(problem.num_parameters, kappa, generator))


def _elementwise(function: str) -> Callable[[Problem, float, torch.Generator], Reparametrization]:
    def build(problem: Problem, _: float, generator: torch.Generator) -> Reparametrization:
        phi = torch.randn(problem.num_parameters, generator=generator, dtype=torch.float64).to(problem.device)
        return _nonlinear(problem, phi, lambda centre: ElementwiseMap(function, centre))

    return build


def _spherical(problem: Problem, _: float, generator: torch.Generator) -> Reparametrization:
    """Radii and angles between one half and three halves, away from the poles and the origin."""
    phi = 0.5 + torch.rand(problem.num_parameters, generator=generator, dtype=torch.float64).to(problem.device)
    sizes = [parameter.numel() for parameter in problem.parameters.values()]
    return _nonlinear(problem, phi, lambda centre: SphericalMap(centre, sizes))


def _nonlinear(problem: Problem, phi: Tensor, make: Callable[[Tensor], CoordinateMap]) -> Reparametrization:
    """A map around a generic point phi, its centre chosen so that T(phi) = theta."""
    phi = phi.to(problem.dtype).double()
    centre = problem.vector.double() - make(torch.zeros_like(phi))(phi)
    return _by_vector(problem, make(centre), phi)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "permutation": Family(
            "inputs and units of every layer in another order", _everywhere(_permuted, shifted=False), conditioned=False
        ),
        "scalar": Family("theta = 3 phi", _scalar, conditioned=False),
        "orthogonal": Family(
            "orthogonal maps of inputs and units of every layer", _everywhere(_rotated, shifted=False), conditioned=False
        ),
        "scaling": Family("a scale for each input feature, the map of the paper", _feature_scaling),
        "diagonal": Family("a scale for each parameter", _diagonal, layerwise=False),
        "unit-scaling": Family("scales of the inputs and of the units of every layer", _everywhere(_scales, shifted=False)),
        "unit-affine": Family("the same, and shifts of the inputs", _everywhere(_scales, shifted=True)),
        "inputs-linear": Family("linear maps of the inputs", _of_activations(_entering, shifted=False)),
        "inputs-affine": Family("affine maps of the inputs", _of_activations(_entering, shifted=True)),
        "hidden-affine": Family("affine maps of the hidden activations", _of_activations(_hidden, shifted=True)),
        "pre-activations": Family("linear maps of the pre-activations of every layer", _pre_activations),
        "kronecker": Family(
            "linear maps of activations and pre-activations of every layer", _everywhere(conditioned, shifted=False)
        ),
        "affine": Family("the same, and shifts of the activations", _everywhere(conditioned, shifted=True)),
        "joint-kronecker": Family("linear maps of pre-activations, and of activations joined with the bias", _joint_kronecker),
        "dense-layers": Family("a dense map within each layer", _dense_layers, layerwise=False),
        "dense": Family("a dense map of all parameters", _dense, layerwise=False),
        "sinh": Family("theta = c + sinh phi", _elementwise("sinh"), conditioned=False, layerwise=False, linear=False),
        "exp": Family("theta = c + exp phi", _elementwise("exp"), conditioned=False, layerwise=False, linear=False),
        "spherical": Family(
            "spherical coordinates of parameters, three at a time", _spherical, conditioned=False, layerwise=False, linear=False
        ),
    }
)
"""The families by name, from the smallest groups to the largest."""

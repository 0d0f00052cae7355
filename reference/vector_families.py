"""Changes of coordinates of the whole parameter vector: how a map is drawn."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.reference.coordinates import CoordinateMap, ElementwiseMap, LinearMap, Recast, SphericalMap, in_coordinates
from fishergauge.reference.curvature import block_slices
from fishergauge.reference.problem import Problem
from fishergauge.reference.random_maps import conditioned, spread


def diagonal(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
    """A scale for each parameter, in random order."""
    count = problem.num_parameters
    return _linear(problem, spread(count, kappa)[torch.randperm(count, generator=generator)])


def dense_layers(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
    """A matrix of condition number kappa for the parameters of each layer, as :func:`block_slices` has them."""
    matrix = torch.zeros(2 * (problem.num_parameters,), dtype=torch.float64)
    for part in block_slices(problem, "layer").values():
        matrix[part, part] = conditioned(part.stop - part.start, kappa, generator)
    return _linear(problem, matrix)


def dense(problem: Problem, kappa: float, generator: torch.Generator) -> Recast:
    """One matrix of condition number kappa."""
    return _linear(problem, conditioned(problem.num_parameters, kappa, generator))


def elementwise(function: str) -> Callable[[Problem, float, torch.Generator], Recast]:
    r""":math:`\theta = c + h(\varphi)` at a standard normal :math:`\varphi`.

    Args:
        function: h, as for :class:`ElementwiseMap`.

    Returns:
        A builder.
    """

    def build(problem: Problem, _: float, generator: torch.Generator) -> Recast:
        phi = torch.randn(problem.num_parameters, generator=generator, dtype=torch.float64)
        return _nonlinear(problem, phi, lambda centre: ElementwiseMap(function, centre))

    return build


def spherical(problem: Problem, _: float, generator: torch.Generator) -> Recast:
    """Radii and angles between one half and three halves, away from the poles and the origin."""
    phi = 0.5 + torch.rand(problem.num_parameters, generator=generator, dtype=torch.float64)
    sizes = [parameter.numel() for parameter in problem.parameters.values()]
    return _nonlinear(problem, phi, lambda centre: SphericalMap(centre, sizes))


def _linear(problem: Problem, matrix: Tensor) -> Recast:
    """theta = T phi with T as the model rounds it; a vector stands for a diagonal T."""
    rounded = matrix.to(device=problem.device, dtype=problem.dtype).double()
    theta = problem.vector.double()
    phi = theta / rounded if rounded.ndim == 1 else torch.linalg.solve_ex(rounded, theta).result
    return _recast(problem, LinearMap(rounded), phi)


def _nonlinear(problem: Problem, phi: Tensor, make: Callable[[Tensor], CoordinateMap]) -> Recast:
    """A map around a generic point phi, its centre chosen so that T(phi) = theta."""
    phi = phi.to(device=problem.device, dtype=problem.dtype).double()
    centre = problem.vector.double() - make(torch.zeros_like(phi))(phi)
    return _recast(problem, make(centre.to(problem.dtype).double()), phi)


def _recast(problem: Problem, coordinates: CoordinateMap, phi: Tensor) -> Recast:
    other = in_coordinates(problem, coordinates, phi)
    jacobian = coordinates.jacobian(other.vector.double())
    return Recast(other, jacobian, None if coordinates.linear else coordinates)

"""A model whose parameters are a function of other ones: theta = T(phi), by a functional call."""

import copy
from abc import abstractmethod
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fishergauge.reference.evaluation import called_at
from fishergauge.reference.problem import Problem


class CoordinateMap(nn.Module):
    """A differentiable, invertible map T of parameter vectors ``(P,)``."""

    linear = False

    @abstractmethod
    def forward(self, phi: Tensor) -> Tensor:
        """T(phi)."""

    @abstractmethod
    def jacobian(self, phi: Tensor) -> Tensor:
        """DT at phi, ``(P, P)``."""


class Recast(NamedTuple):
    """A problem in other coordinates.

    Args:
        problem: at phi.
        jacobian: DT at phi, ``(P, P)`` in float64; T itself for a linear map.
        coordinates: T in float64 for a nonlinear map; None for a linear one.
    """

    problem: Problem
    jacobian: Tensor
    coordinates: CoordinateMap | None = None


class LinearMap(CoordinateMap):
    """theta = T phi.

    Args:
        matrix: T, ``(P, P)``; or its diagonal, ``(P,)``.
    """

    linear = True
    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, phi: Tensor) -> Tensor:
        return self.matrix * phi if self.matrix.ndim == 1 else self.matrix @ phi

    def jacobian(self, phi: Tensor) -> Tensor:
        return self.matrix.diag() if self.matrix.ndim == 1 else self.matrix


class ElementwiseMap(CoordinateMap):
    r"""theta_i = c_i + h(phi_i), with h the hyperbolic sine or the exponential function.

    Args:
        function: ``"sinh"`` or ``"exp"``.
        centre: c, ``(P,)``.
    """

    centre: Tensor

    def __init__(self, function: str, centre: Tensor) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("centre", centre)

    def forward(self, phi: Tensor) -> Tensor:
        return self.centre + (phi.sinh() if self.function == "sinh" else phi.exp())

    def jacobian(self, phi: Tensor) -> Tensor:
        return (phi.cosh() if self.function == "sinh" else phi.exp()).diag()


class SphericalMap(CoordinateMap):
    r"""Spherical coordinates of three parameters at a time, polar ones of two that are left, none of a single one.

    .. math:: \theta = c + r (\sin a \cos b, \; \sin a \sin b, \; \cos a), \qquad \varphi = (r, a, b)

    Args:
        centre: c, ``(P,)``.
        sizes: how many parameters each tensor has; no group reaches over the end of a tensor.
    """

    centre: Tensor
    places1: Tensor
    places2: Tensor
    places3: Tensor

    def __init__(self, centre: Tensor, sizes: list[int]) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        groups: dict[int, list[list[int]]] = {1: [], 2: [], 3: []}
        start = 0
        for size in sizes:
            for first in range(start, start + size, 3):
                length = min(3, start + size - first)
                groups[length].append(list(range(first, first + length)))
            start += size
        for length, places in groups.items():
            index = torch.tensor(places, dtype=torch.long, device=centre.device).reshape(-1, length)
            self.register_buffer(f"places{length}", index, persistent=False)

    def forward(self, phi: Tensor) -> Tensor:
        moved = phi[self.places1[:, 0]]
        r, a = phi[self.places2].unbind(-1)
        polar = torch.stack([r * a.cos(), r * a.sin()], -1)
        r, a, b = phi[self.places3].unbind(-1)
        ball = torch.stack([r * a.sin() * b.cos(), r * a.sin() * b.sin(), r * a.cos()], -1)
        places = torch.cat([self.places1.flatten(), self.places2.flatten(), self.places3.flatten()])
        values = torch.cat([moved, polar.flatten(), ball.flatten()])
        return self.centre + values[torch.argsort(places)]

    def jacobian(self, phi: Tensor) -> Tensor:
        made: Tensor = torch.func.jacrev(self.forward)(phi)
        return made


class InCoordinates(nn.Module):
    """A model at the parameters T(phi); its own parameters are phi, with the names and shapes of those of the model.

    Args:
        model: a template; its parameters do not count.
        names: of the parameters that are mapped, in order.
        coordinates: T.
        phi: ``(P,)``.
    """

    def __init__(self, model: nn.Module, names: list[str], coordinates: CoordinateMap, phi: Tensor) -> None:
        super().__init__()
        self.template = copy.deepcopy(model).requires_grad_(False)
        self.names = tuple(names)
        self.shapes = tuple(model.get_parameter(name).shape for name in names)
        self.coordinates = coordinates
        self.phi = nn.Module()
        pieces = torch.split(phi, [shape.numel() for shape in self.shapes])
        for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True):
            owner, _, last = name.rpartition(".")
            _module_at(self.phi, owner).register_parameter(last, nn.Parameter(piece.clone().view(shape)))
        for module in (self.coordinates, self.phi):
            module.train(model.training)
        self.training = model.training  # the modules of the template keep modes of their own

    def forward(self, *inputs: Any) -> Any:
        # a functional call has tensors in the place of parameters, which get_parameter refuses
        phi = torch.cat([attrgetter(name)(self.phi).reshape(-1) for name in self.names])
        pieces = torch.split(self.coordinates(phi), [shape.numel() for shape in self.shapes])
        theta = {name: piece.view(shape) for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)}
        return called_at(self.template, self.names)(theta, inputs)


def in_coordinates(problem: Problem, coordinates: CoordinateMap, phi: Tensor) -> Problem:
    """The problem as a function of phi.

    Args:
        problem: at parameters theta.
        coordinates: T, with T(phi) = theta.
        phi: ``(P,)``.

    Returns:
        A problem whose parameters are named and shaped like those of ``problem``, under the prefix ``phi``; its trained
        parameters belong to no linear module any more.

    Example:
        >>> problem = Problem(nn.Linear(1, 1, bias=False), nn.MSELoss(), [(torch.ones(4, 1), torch.zeros(4, 1))])
        >>> other = in_coordinates(problem, LinearMap(torch.tensor([2.0])), problem.vector / 2)
        >>> torch.equal(other.outputs, problem.outputs), list(other.parameters)
        (True, ['phi.weight'])
    """
    model = InCoordinates(problem.model, list(problem.parameters), in_dtype(coordinates, problem.dtype), phi.to(problem.dtype))
    # of a model without layers to speak of
    facts = replace(problem.facts, deep_linear=False, natural_parameters=False, loss_per_position=False, pooled=False)
    affine = facts.linear_in_parameters and coordinates.linear
    facts = replace(facts, linear_in_parameters=affine, piecewise_linear=affine)
    return replace(problem, model=model, facts=facts)


def in_dtype(coordinates: CoordinateMap, dtype: torch.dtype) -> CoordinateMap:
    """A copy of a map in another precision."""
    return copy.deepcopy(coordinates).to(dtype)


def _module_at(root: nn.Module, path: str) -> nn.Module:
    """The container at a dotted path, made where it is missing."""
    for part in filter(None, path.split(".")):
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    return root

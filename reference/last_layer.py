"""The last layer alone: a problem in which all other parameters are frozen, and the maps between both."""

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.facts import Facts
from fishergauge.reference.layers import layers_of
from fishergauge.reference.problem import Problem


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The last layer of a problem; see :func:`last_layer`.

    Args:
        name: of the layer's module.
        whole: the problem with all its parameters.
        problem: the same with those of the last layer alone.
        index: where these stand in the parameter vector of the whole, ``(P_last,)``.
    """

    name: str
    whole: Problem
    problem: Problem
    index: Tensor

    def restrict(self, vectors: Tensor) -> Tensor:
        """The last layer's part of vectors ``(..., P)``: ``(..., P_last)``."""
        self._check(vectors, self.whole.num_parameters)
        return vectors[..., self.index]

    def embed(self, vectors: Tensor) -> Tensor:
        """Parameters of the whole from vectors ``(..., P_last)``, all others as they are: ``(..., P)``."""
        self._check(vectors, len(self.index))
        result = self.whole.vector.expand(*vectors.shape[:-1], -1).clone()
        result[..., self.index] = vectors.to(result)
        return result

    def block(self, matrix: Tensor) -> Tensor:
        """The last layer's block of a matrix ``(P, P)``: ``(P_last, P_last)``."""
        if tuple(matrix.shape) != (self.whole.num_parameters,) * 2:
            raise ProblemError(f"expected a matrix over all {self.whole.num_parameters} parameters, got {tuple(matrix.shape)}")
        return matrix[self.index[:, None], self.index]

    def _check(self, vectors: Tensor, length: int) -> None:
        if vectors.ndim == 0 or vectors.shape[-1] != length:
            raise ProblemError(f"expected vectors of length {length}, got {tuple(vectors.shape)}")


def last_layer(problem: Problem) -> LastLayer:
    r"""The last layer of a problem as a problem of its own, over fixed features.

    The model is copied and every parameter but those of the last ``Linear`` frozen, so that the outputs are affine in what
    is left, :math:`f(x) = W \phi(x) + b`. Its curvature is the block of that layer in the curvature of the whole, and
    ``laplace(last_layer(problem).problem, ...)`` is the last-layer Laplace approximation; it takes the inputs of the whole.

    Args:
        problem: whose outputs are those of a ``Linear`` with trainable parameters.

    Returns:
        The problem of the last layer, and the maps from and to the whole.

    Raises:
        UnsupportedError: the outputs are not those of a ``Linear``, or it is tied or used several times.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        >>> last = last_layer(Problem(model, nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))]))
        >>> last.problem.num_parameters, last.index.tolist()
        (4, [9, 10, 11, 12])

    Reference:
        Daxberger et al., "Laplace redux: effortless Bayesian deep learning", NeurIPS 2021, sec. 3.1; Kristiadi, Hein and
        Hennig, "Being Bayesian, even just a bit, fixes overconfidence in ReLU networks", ICML 2020.
    """
    found = [layer for layer in layers_of(problem) if layer.last and isinstance(layer.module, nn.Linear)]
    if not found:
        raise UnsupportedError("the outputs of the model are not those of a Linear with trainable parameters")
    layer = found[-1]
    if layer.tied or layer.calls > 1:
        raise UnsupportedError(f"the last layer {layer.name!r} is tied or used several times; its features are not fixed")
    kept = {name for name in (layer.weight, layer.bias) if name is not None}
    model = copy.deepcopy(problem.model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in kept)
    facts = Facts(linear_in_parameters=True, weight_sharing=layer.positions > 1)
    places = torch.arange(problem.num_parameters, device=problem.device)
    pieces = torch.split(places, [p.numel() for p in problem.parameters.values()])
    index = torch.cat([piece for name, piece in zip(problem.parameters, pieces, strict=True) if name in kept])
    return LastLayer(layer.name, problem, replace(problem, model=model, facts=facts), index)

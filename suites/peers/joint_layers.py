"""Blocks of layers, weight and bias joined as ``(output, input; the bias last)``, as a matrix over all parameters."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.reference.curvature import block_slices


def placed(problem: Problem, blocks: Mapping[str, Tensor]) -> Tensor:
    """A ``(P, P)`` matrix from blocks by the name of the layer; zero elsewhere.

    A block has the size of the weight, or of weight and bias together; anything else is refused by the assignment.
    """
    matrix = torch.zeros(problem.num_parameters, problem.num_parameters, dtype=problem.dtype, device=problem.device)
    for layer, block in blocks.items():
        index = layer_index(problem, layer).to(matrix.device)
        matrix[index[:, None], index] = block
    return matrix


def layer_index(problem: Problem, layer: str) -> Tensor:
    """Where the entries of ``[W, b]``, row by row, stand in the vector of parameters."""
    starts: dict[str, int] = {name: place.start for name, place in block_slices(problem, "parameter").items()}
    prefix = f"{layer}." if layer else ""
    weight = problem.parameters[f"{prefix}weight"]
    index = starts[f"{prefix}weight"] + torch.arange(weight.numel()).view(len(weight), -1)
    if f"{prefix}bias" in starts:
        index = torch.cat([index, starts[f"{prefix}bias"] + torch.arange(len(weight))[:, None]], 1)
    return index.reshape(-1)

"""Kronecker factors of the data of all ranks: sums of products and counts, exchanged at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.distributed_ranks import Ranks
from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.kfac import (
    BiasMode,
    KfacTarget,
    KroneckerBlock,
    SharingMode,
    evaluated_once,
    kronecker_blocks,
    require,
)
from fishergauge.reference.problem import Problem


@dataclass(frozen=True)
class FactorShape:
    """The sizes of a layer's factors, known without data.

    Args:
        name: of the module.
        weight: name of its trained weight, None if it has none.
        bias: name of its trained bias, None if it has none.
        joint: whether the bias is an input of the weight.
        inputs: size of A.
        outputs: size of G.
    """

    name: str
    weight: str | None
    bias: str | None
    joint: bool
    inputs: int
    outputs: int

    @property
    def numbers(self) -> list[int]:
        """How many numbers A, the count of A and G are."""
        return [self.inputs**2, 1, self.outputs**2]


def factor_shapes(problem: Problem, bias: BiasMode) -> list[FactorShape]:
    """The sizes of the factors of every layer, in the order of the parameters.

    Args:
        problem: a problem, or a shard without data.
        bias: whether weight and bias of a layer share a block.

    Raises:
        UnsupportedError: a trained parameter belongs to a module without a weight.
    """
    shapes = []
    for name in dict.fromkeys(parameter.rpartition(".")[0] for parameter in problem.parameters):
        kernel = getattr(problem.model.get_submodule(name), "weight", None)
        if not isinstance(kernel, Tensor):
            raise UnsupportedError(f"{name or 'the model'} has no weight; Kronecker factors are those of linear layers")
        weight, own = (
            part if part in problem.parameters else None for part in (f"{name}.weight".lstrip("."), f"{name}.bias".lstrip("."))
        )
        joint = bias == "joint" and weight is not None and own is not None
        inputs = 1 if weight is None else kernel[0].numel() + joint
        shapes.append(FactorShape(name, weight, own, joint, inputs, len(kernel)))
    return shapes


def kronecker_sums(
    shard: Problem,
    local: Problem | None,
    divisor: float,
    ranks: Ranks,
    target: KfacTarget,
    bias: BiasMode,
    sharing: SharingMode,
) -> dict[str, KroneckerBlock]:
    """The factors of all ranks, by layer; one exchange of the numbers of all factors.

    Args:
        shard: of this rank.
        local: its data under a sum; None where it has none.
        divisor: M of all ranks.
        ranks: of the group.
        target: as for :func:`~fishergauge.reference.kfac`.
        bias: as for :func:`~fishergauge.reference.kfac`.
        sharing: as for :func:`~fishergauge.reference.kfac`.

    Returns:
        A block a layer, the same on every rank.
    """

    def part() -> tuple[list[FactorShape], Tensor]:
        require(bias, ("joint", "separate"), "bias")
        require(sharing, ("expand", "reduce"), "sharing")
        sums = {} if local is None else _sums(local, target, bias, sharing)  # says what is not supported
        shapes = factor_shapes(shard, bias)
        empty = [shard.vector.new_zeros(sum(shape.numbers)) for shape in shapes]
        pieces = [sums.get(shape.name, zeros) for shape, zeros in zip(shapes, empty, strict=True)]
        return shapes, torch.cat(pieces)

    shapes, mine = ranks.made(part, "its Kronecker factors", shard.device)
    total = ranks.total(mine, "the Kronecker factors")
    together = torch.split(total, [number for shape in shapes for number in shape.numbers])
    blocks = {}
    for place, shape in enumerate(shapes):
        inputs, count, outputs = together[3 * place : 3 * place + 3]
        A = inputs.view(shape.inputs, shape.inputs) / count.clamp(min=1)
        G = outputs.view(shape.outputs, shape.outputs) / divisor
        blocks[shape.name] = KroneckerBlock(shape.name, A, G, shape.joint, shape.weight, shape.bias)
    return blocks


def _sums(local: Problem, target: KfacTarget, bias: BiasMode, sharing: SharingMode) -> dict[str, Tensor]:
    """By layer: the sum of a a', how many there are, and the sum of g g', as one vector."""
    matrix, statistics = evaluated_once(local, target)
    sums = {}
    for name, block in kronecker_blocks(matrix, statistics, bias, sharing).items():
        counted = statistics.counted(name)
        count = (counted if sharing == "expand" else counted.any(1)).sum().to(block.input_factor.dtype)
        pieces = (block.input_factor * count, count, block.output_factor)
        sums[name] = torch.cat([piece.reshape(-1) for piece in pieces])
    return sums

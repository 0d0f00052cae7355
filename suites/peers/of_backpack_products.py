"""BackPACK's products with blocks (HMP, GGNMP, PCHMP) and its Hessian-free products by automatic differentiation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import joined, shaped, trained
from fishergauge.suites.peers.of_backpack_pass import Pass, computing, made, peer, run
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Subject

Product = Callable[[Tensor], Tensor]

BLOCKS = "extensions/curvmatprod: products with the block of a parameter, [V, shape] to [V, shape]; of"
POSITIVE = (
    "extensions/curvmatprod/pchmp: products with the blocks of the positive-curvature Hessian (Chen et al. 2018), in which "
    "negative residual curvature is cut off or made positive; always positive semi-definite, the GGN where no residual is"
)
AUTODIFF = "hessianfree: products by automatic differentiation, pieces shaped like the parameters; of"


def products() -> list[Peer]:
    """Operators of blocks, and of whole matrices."""
    blocks = partial(Subject, structure="block-diagonal", bias="separate")
    positive = partial(Subject, target="hessian", structure="none", claims=("T26-psd",))
    return [
        peer(blocks("backpack/hmp", partial(_extension, "HMP"), target="hessian"), f"{BLOCKS} the Hessian"),
        peer(blocks("backpack/ggnmp", partial(_extension, "GGNMP"), target="ggn"), f"{BLOCKS} the GGN/Fisher"),
        peer(
            blocks(
                "backpack/ggnmp-one-model",
                partial(_extension, "GGNMP", copied=False),
                target="ggn",
                disclaims=("T26-untouched",),  # extend documents that it changes the model
            ),
            f"{BLOCKS} the GGN/Fisher; nothing says that they end with the next pass of the model",
        ),
        *(
            peer(positive(f"backpack/pchmp-{how}", partial(_extension, "PCHMP", modify=how)), POSITIVE)
            for how in ("clip", "abs")
        ),
        peer(Subject("backpack/hvp", _hessian, target="hessian"), f"{AUTODIFF} the Hessian"),
        peer(Subject("backpack/ggnvp", _ggn, target="ggn"), f"{AUTODIFF} the GGN/Fisher"),
        peer(
            blocks("backpack/ggnvp-from-plist", _ggn_blocks, target="ggn"),
            f"{AUTODIFF} a block of the GGN/Fisher, of the parameters in a list",
        ),
    ]


@dataclass(frozen=True)
class Operator:
    """A matrix by its product with one vector, column by column."""

    size: int
    product: Product

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.size, self.size

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """A vector, or columns."""
        if vectors.ndim == 1:
            return self.product(vectors)
        return torch.stack([self.product(column) for column in vectors.unbind(1)], 1)


@dataclass(frozen=True, eq=False)
class Blocks:
    """A block-diagonal matrix by the products that an extension leaves on the parameters, which take several vectors."""

    done: Pass

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        size = self.done.problem.num_parameters
        return size, size

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """A vector, or columns, which are one axis in front of the parameter's."""
        parameters = trained(self.done.model)
        parts = torch.split(vectors.reshape(len(vectors), -1).mT, [parameter.numel() for parameter in parameters], 1)
        with computing(self.done.problem):
            found = [
                multiply(part.reshape(-1, *parameter.shape)).detach().flatten(1)
                for multiply, part, parameter in zip(self.done.saved.values(), parts, parameters, strict=True)
            ]
        return torch.cat(found, 1).mT.reshape(vectors.shape)


def _extension(extension: str, problem: Problem, copied: bool = True, **options: Any) -> Blocks:
    return Blocks(run(problem, made(extension, **options), copied=copied))


def _hessian(problem: Problem) -> Operator:
    from backpack.hessianfree.hvp import hessian_vector_product

    objective, _ = _evaluated(problem)

    def product(vector: Tensor) -> Tensor:
        with computing(problem):
            return joined(hessian_vector_product(objective, trained(problem.model), shaped(vector, problem.model)))

    return Operator(problem.num_parameters, product)


def _ggn(problem: Problem) -> Operator:
    from backpack.hessianfree.ggnvp import ggn_vector_product

    objective, outputs = _evaluated(problem)

    def product(vector: Tensor) -> Tensor:
        with computing(problem):
            return joined(ggn_vector_product(objective, outputs, problem.model, shaped(vector, problem.model)))

    return Operator(problem.num_parameters, product)


def _ggn_blocks(problem: Problem) -> Operator:
    from backpack.hessianfree.ggnvp import ggn_vector_product_from_plist

    objective, outputs = _evaluated(problem)

    def product(vector: Tensor) -> Tensor:
        with computing(problem):
            pieces = zip(trained(problem.model), shaped(vector, problem.model), strict=True)
            return joined([ggn_vector_product_from_plist(objective, outputs, [p], [v])[0] for p, v in pieces])

    return Operator(problem.num_parameters, product)


def _evaluated(problem: Problem) -> tuple[Tensor, Tensor]:
    """The objective on all data and the outputs, with their graphs."""
    with computing(problem):
        outputs = problem.model(problem.inputs)
        objective: Tensor = problem.loss(outputs, problem.targets)
    return objective, outputs

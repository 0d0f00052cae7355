"""BackPACK's Kronecker factors: KFAC, KFLR and KFRA, with its own products and inverses of them.

For a weight the factors are (G, A) in the order of a row-major weight, for a bias there is one. All of 1/M is in G. For a
convolution BackPACK documents G as that of Grosse and Martens (2016), eq. 32, times the number of positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.of_backpack_pass import Pass, made, peer, run
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Subject

Factors = dict[str, list[Tensor]]

LIST = (
    "extensions/secondorder/hbp: a list of factors whose Kronecker product, in their order, approximates the block of the "
    "parameter; convnd.py: for convolutions the gradient factor is |T| times Gamma of Grosse and Martens (2016), eq. 32"
)
KFLR = f"{LIST}; with the exact Hessian of the loss at the outputs (Botev et al. 2017)"
KFAC = f"{LIST}; from mc_samples draws from the model (Martens and Grosse 2015)"
KFRA = f"{LIST}; averaged over the batch after every step backwards (Botev et al. 2017): exact at one sample alone"
SCALED = "the factor of a convolution's weight is divided by the number of its positions"
SHIFTS = "utils/kroneckers.py: inv_kfac_mat_prod(factors, shift) inverts the shifted factors"
ROOTS = f"{SCALED}; damping: its root is the shift of each of two factors"


def factors() -> list[Peer]:
    """Dense forms, products and inverses by the library's own utilities."""
    kronecker = partial(Subject, target="ggn", structure="kronecker", bias="separate")
    plain = ("T25",)  # shifts of the factors are as the user gives them, and nothing balances them
    averaged = ("T4", "S3", "T25")
    return [
        peer(kronecker("backpack/kflr", partial(_dense, "KFLR")), KFLR, SCALED),
        peer(
            kronecker("backpack/kflr-product", partial(_operator, "KFLR"), solve=_solve, disclaims=plain),
            f"{KFLR}; {SHIFTS}",
            ROOTS,
        ),
        peer(kronecker("backpack/kflr-converter", partial(_dense, "KFLR", converter=True)), KFLR, SCALED),
        peer(kronecker("backpack/kfra", partial(_dense, "KFRA"), disclaims=averaged), KFRA, SCALED),
        peer(
            kronecker("backpack/kfra-default-dtype", partial(_dense, "KFRA", own_dtype=False), disclaims=averaged), KFRA, SCALED
        ),
        peer(kronecker("backpack/kfac-mc", _drawn(), samples=1), KFAC, SCALED),
    ]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The block diagonal of Kronecker products, by BackPACK's products."""

    factors: Factors

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        size = sum(self.sizes)
        return size, size

    @property
    def sizes(self) -> list[int]:
        """How many entries the parameters have."""
        return [int(torch.tensor([len(factor) for factor in each]).prod()) for each in self.factors.values()]

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """By ``apply_kfac_mat_prod``."""
        from backpack.utils.kroneckers import apply_kfac_mat_prod

        return self.by_blocks(apply_kfac_mat_prod, vectors)

    def solve(self, vector: Tensor, damping: float) -> Tensor:
        """By ``apply_inv_kfac_mat_prod``, each of k factors shifted by the k-th root of the damping."""
        from backpack.utils.kroneckers import apply_inv_kfac_mat_prod

        def inverted(factors: list[Tensor], part: Tensor) -> Tensor:
            result: Tensor = apply_inv_kfac_mat_prod(factors, part, shift=[damping ** (1 / len(factors))] * len(factors))
            return result

        return self.by_blocks(inverted, vector)

    def by_blocks(self, function: Callable[[list[Tensor], Tensor], Tensor], vectors: Tensor) -> Tensor:
        """A function of the factors and the rows of each parameter."""
        parts = torch.split(vectors, self.sizes)
        return torch.cat([function(each, part) for each, part in zip(self.factors.values(), parts, strict=True)])


def _solve(matrix: Blocks, vector: Tensor, damping: float) -> Tensor:
    return matrix.solve(vector, damping)


def _operator(extension: str, problem: Problem) -> Blocks:
    return Blocks(_scaled(run(problem, made(extension))))


def _drawn(**options: Any) -> Callable[..., Tensor]:
    def build(problem: Problem, samples: int = 1) -> Tensor:
        return _dense("KFAC", problem, mc_samples=samples, **options)

    return build


def _dense(extension: str, problem: Problem, converter: bool = False, own_dtype: bool = True, **options: Any) -> Tensor:
    from backpack.utils.kroneckers import kfacs_to_mat

    found = _scaled(run(problem, made(extension, **options), converter, own_dtype))
    blocks: Sequence[Tensor] = [kfacs_to_mat(each) for each in found.values()]
    matrix: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return matrix


def _scaled(done: Pass) -> Factors:
    """The factors, those of the weights of convolutions without the factor of positions."""
    found = {}
    for name, (first, *others) in done.saved.items():
        owner: Any = done.owner(name)
        positions = _positions(owner, done) if others and isinstance(owner, nn.modules.conv._ConvNd) else 1
        found[name] = [first.detach() / positions, *(other.detach() for other in others)]
    return found


def _positions(convolution: nn.modules.conv._ConvNd, done: Pass) -> int:
    """At how many positions a convolution of the model is applied to a sample."""
    seen: list[int] = []
    handle = convolution.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[0, 0].numel()))
    with torch.no_grad():
        done.model(done.problem.inputs)
    handle.remove()
    return seen[-1]

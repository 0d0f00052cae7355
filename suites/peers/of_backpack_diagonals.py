"""BackPACK's diagonals of the GGN and the Hessian, and its square roots of the GGN."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.of_backpack_pass import joined, made, peer, rows, run
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Subject

GGN = (
    "extensions/secondorder/diag_ggn: the diagonal of the generalised Gauss-Newton/Fisher matrix, with the exact Hessian of "
    "the loss at the outputs; shape of the gradient"
)
SAMPLED = "extensions/secondorder/diag_ggn: the same with a Monte-Carlo approximation of that Hessian, from mc_samples draws"
EACH = "extensions/secondorder/diag_ggn: the diagonal of each sample, [N, shape of the gradient]"
ROOT = "extensions/secondorder/sqrt_ggn: concatenated over the parameters, the rows are V' with G = V V'"
HESSIAN = "extensions/secondorder/diag_hessian: the diagonal of the Hessian; shape of the gradient"
SUM = "the diagonals of the samples are added"


def diagonals() -> list[Peer]:
    """All of them; the principal one also in the library's own dtype and through its converter."""
    exact, sampled = partial(_subject, "ggn", "diagonal"), partial(_subject, "ggn", "diagonal", samples=1)
    dense = partial(_subject, "ggn", "dense")
    return [
        peer(exact("diag-ggn-exact", partial(_diagonal, "DiagGGNExact")), GGN),
        peer(exact("diag-ggn-exact-default-dtype", partial(_diagonal, "DiagGGNExact", own_dtype=False)), GGN),
        peer(exact("diag-ggn-exact-converter", partial(_diagonal, "DiagGGNExact", converter=True)), f"{GGN}; {CONVERTER}"),
        peer(exact("batch-diag-ggn-exact", partial(_diagonal, "BatchDiagGGNExact", summed=True)), EACH, SUM),
        peer(sampled("diag-ggn-mc", _drawn(_diagonal, "DiagGGNMC")), SAMPLED),
        peer(sampled("batch-diag-ggn-mc", _drawn(_diagonal, "BatchDiagGGNMC", summed=True)), f"{EACH}; {SAMPLED}", SUM),
        peer(dense("sqrt-ggn-exact", partial(_gram, "SqrtGGNExact")), ROOT, "V V' is multiplied out"),
        peer(dense("sqrt-ggn-exact-subsampling", _gram_in_halves), f"{ROOT}; subsampling: indices of active samples", HALVES),
        peer(dense("sqrt-ggn-mc", _drawn(_gram, "SqrtGGNMC"), samples=1), f"{ROOT}, from draws", "V V' is multiplied out"),
        peer(_subject("hessian", "diagonal", "diag-hessian", partial(_diagonal, "DiagHessian")), HESSIAN),
        peer(
            _subject("hessian", "diagonal", "batch-diag-hessian", partial(_diagonal, "BatchDiagHessian", summed=True)),
            f"{HESSIAN}, for each sample",
            SUM,
        ),
    ]


CONVERTER = "extend(use_converter=True) converts a model to a compatible one, or warns of what may break"
HALVES = "the roots of the samples with even and with odd indices are one above the other"


def _subject(target: Any, structure: Any, name: str, build: Callable[..., Any], samples: int | None = None) -> Subject:
    return Subject(f"backpack/{name}", build, target=target, structure=structure, samples=samples)


def _drawn(form: Callable[..., Tensor], extension: str, **options: Any) -> Callable[..., Tensor]:
    def build(problem: Problem, samples: int = 1) -> Tensor:
        return form(extension, problem, mc_samples=samples, **options)

    return build


def _diagonal(
    extension: str, problem: Problem, summed: bool = False, converter: bool = False, own_dtype: bool = True, **options: Any
) -> Tensor:
    return torch.diag(joined(run(problem, made(extension, **options), converter, own_dtype), summed))


def _gram(extension: str, problem: Problem, **options: Any) -> Tensor:
    root = rows(run(problem, made(extension, **options)), 2)
    return root.mT @ root


def _gram_in_halves(problem: Problem) -> Tensor:
    parts = [list(range(start, problem.num_samples, 2)) for start in (0, 1)]
    roots = [rows(run(problem, made("SqrtGGNExact", subsampling=part)), 2) for part in parts if part]
    root = torch.cat(roots)
    return root.mT @ root

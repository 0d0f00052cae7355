"""nngeometry: the exact Fisher of a classifier in its representations, the empirical Fisher, K-FAC and EKFAC.

Its convention: the mean over the samples, weight and bias of a layer in one block, the parameters module by module. The scale
of K-FAC is divided between the factors, which the form of comparison does not see. It makes arrays of torch's default dtype.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.adapters import (
    Peer,
    either,
    jacobian_too_large,
    matrix_too_large,
    not_classification,
    not_layered,
    too_many_rows,
)
from fishergauge.suites.benchmarks.canonical import factor_pairs
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.task import DAMPING, vector_of
from fishergauge.suites.peers.adapting import own_model, settings_of, under

Indices = list[int]
Generate = Callable[..., Any]
"""From a model, the data and a representation to the matrix in that representation."""


class Whole(Dataset[tuple[Tensor, Tensor]]):
    """A data set that is one batch, handed over without being taken apart and stacked again.

    Args:
        problem: whose data it holds.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def __len__(self) -> int:
        return self.problem.num_samples

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.problem.inputs[index], self.problem.targets[index]

    def __getitems__(self, _: Indices) -> tuple[Tensor, Tensor]:
        """All of it; the inputs as a view of their own, since they are made to require gradients."""
        return self.problem.inputs.detach(), self.problem.targets


_made = Peer("nngeometry", "nngeometry")


def implementations() -> list[Implementation]:
    """Its representations of the Fisher, as far as they fit the tasks."""
    plain = either(not_classification, not_layered)
    small = either(plain, matrix_too_large)
    found = []
    targets: dict[str, Generate] = {"fisher": _fisher, "ggn": _fisher, "empirical-fisher": _empirical}
    for quantity, generate in targets.items():
        rows = jacobian_too_large if generate is _fisher else too_many_rows
        found += [
            _made(quantity, "dense", partial(_data, generate, "PMatDense"), either(small, too_many_rows)),
            _made(quantity, "blocks", partial(_data, generate, "PMatBlockDiag"), either(small, too_many_rows)),
            _made(quantity, "diagonal", partial(_data, generate, "PMatDiag"), plain),
            _made(quantity, "product", partial(_product, generate, "PMatImplicit"), plain),
            _made(quantity, "first-product", partial(_first_product, generate, "PMatImplicit"), plain),
            _made(quantity, "product", partial(_product, generate, "PMatLowRank"), either(plain, rows), "low-rank"),
            _made(quantity, "first-product", partial(_first_product, generate, "PMatLowRank"), either(plain, rows), "low-rank"),
            _made(quantity, "solve", partial(_solve, generate), either(small, too_many_rows)),
        ]
    for quantity, generate in (("kfac", _fisher), ("kfac-empirical", _empirical)):
        found += [
            _made(quantity, "factors", partial(_data, generate, "PMatKFAC"), plain, canonical=_pairs),
            _made(quantity, "dense", partial(_dense, generate), small),
            _made(quantity, "product", partial(_product, generate, "PMatKFAC"), plain),
            _made(quantity, "first-product", partial(_first_product, generate, "PMatKFAC"), plain),
        ]
    found += [
        _made("eigen-kfac", "dense", partial(_eigen, lambda matrix, _: matrix.to_torch()), small),
        _made("eigen-kfac", "first-product", partial(_eigen, lambda matrix, vector: matrix.mv(vector).to_torch()), plain),
        _made("eigen-kfac", "product", partial(_eigen_at_hand, lambda matrix, vector: matrix.mv(vector)), plain),
        _made(
            "eigen-kfac", "solve", partial(_eigen_at_hand, lambda matrix, vector: matrix.solve(vector, regul=DAMPING)), plain
        ),
        _made("gradient", "rows", _rows, either(plain, too_many_rows)),
        _made("hessian", "dense", _hessian, small),
    ]
    return found


def loader_of(problem: Problem) -> DataLoader[tuple[Tensor, Tensor]]:
    """The data as one batch."""
    return DataLoader(Whole(problem), batch_size=problem.num_samples, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch


def _fisher(model: Any, loader: Any, representation: Any) -> Any:
    from nngeometry.metrics import FIM

    return FIM(model, loader, representation, variant="classif_logits", device=next(model.parameters()).device)


def _empirical(model: Any, loader: Any, representation: Any) -> Any:
    """The matrix of the function whose outputs are the losses of the samples."""
    from nngeometry.backend import TorchHooksJacobianBackend

    def losses(*batch: Tensor) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1], reduction="none")[:, None]

    return representation(generator=TorchHooksJacobianBackend(model=model, function=losses), examples=loader)


def _representation(name: str) -> Any:
    import nngeometry.object

    return getattr(nngeometry.object, name)


def _vector(problem: Problem, model: Any) -> Any:
    from nngeometry.layercollection import LayerCollection
    from nngeometry.object.vector import PVector

    return PVector(LayerCollection.from_model(model), vector_repr=vector_of(problem))


def _data(generate: Generate, name: str, problem: Problem) -> Call:
    model, loader, representation = own_model(problem), loader_of(problem), _representation(name)
    return under(problem, lambda: generate(model, loader, representation).data)


def _dense(generate: Generate, problem: Problem) -> Call:
    model, loader, representation = own_model(problem), loader_of(problem), _representation("PMatKFAC")
    return under(problem, lambda: generate(model, loader, representation).to_torch())


def _first_product(generate: Generate, name: str, problem: Problem) -> Call:
    model, loader, representation = own_model(problem), loader_of(problem), _representation(name)
    vector = _vector(problem, model)
    return under(problem, lambda: generate(model, loader, representation).mv(vector).to_torch())


def _product(generate: Generate, name: str, problem: Problem) -> Call:
    model = own_model(problem)
    vector = _vector(problem, model)
    with settings_of(problem):
        matrix = generate(model, loader_of(problem), _representation(name))
    return under(problem, lambda: matrix.mv(vector).to_torch())


def _solve(generate: Generate, problem: Problem) -> Call:
    model, representation = own_model(problem), _representation("PMatDense")
    vector = _vector(problem, model)
    with settings_of(problem):
        matrix = generate(model, loader_of(problem), representation)

    def solve() -> Any:  # a fresh object each time, as it keeps the decomposition
        fresh = representation(generator=matrix.generator, data=matrix.data)
        return fresh.solve(vector, regul=DAMPING).to_torch()

    return under(problem, solve)


def _eigen_matrix(problem: Problem, model: Any) -> Any:
    """EKFAC, whose eigenvalues are those of K-FAC until they are computed anew."""
    loader = loader_of(problem)
    matrix = _fisher(model, loader, _representation("PMatEKFAC"))
    matrix.update_diag(loader)
    return matrix


def _eigen(function: Callable[[Any, Any], Tensor], problem: Problem) -> Call:
    model = own_model(problem)
    vector = _vector(problem, model)
    return under(problem, lambda: function(_eigen_matrix(problem, model), vector))


def _eigen_at_hand(function: Callable[[Any, Any], Any], problem: Problem) -> Call:
    model = own_model(problem)
    vector = _vector(problem, model)
    with settings_of(problem):
        matrix = _eigen_matrix(problem, model)
    return under(problem, lambda: function(matrix, vector).to_torch())


def _rows(problem: Problem) -> Call:
    """The Jacobian of the losses of the samples, ``(1, N, P)``."""
    from nngeometry.object.map import PFMapDense

    model, loader = own_model(problem), loader_of(problem)
    return under(problem, lambda: _empirical(model, loader, PFMapDense).to_torch()[0])


def _hessian(problem: Problem) -> Call:
    from nngeometry.hessian import Hessian

    model, loader, representation = own_model(problem), loader_of(problem), _representation("PMatDense")
    return under(problem, lambda: Hessian(model, loader, representation, function=problem.loss).to_torch())


def _pairs(problem: Problem, factors: Any) -> Tensor:
    """(G, A) from (A, G) by module; a joint bias is the last row and column of A."""
    pairs = []
    for name, parameter in problem.parameters.items():
        if name.endswith("weight"):
            inputs, gradients = factors[name.rpartition(".")[0]]
            size = parameter[0].numel()
            pairs.append((gradients, inputs[:size, :size]))
    return factor_pairs(pairs)

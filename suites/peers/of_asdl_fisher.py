"""asdfghjkl's Fisher in its kinds and shapes, whole or as products with vectors."""

from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import joined, own_model, shaped, trained, under
from fishergauge.suites.peers.of_asdl_calls import factor_of, fisher_maker, refusing, set_up, whole
from fishergauge.suites.peers.of_asdl_held import Held, apply, read


def fisher(problem: Problem, kind: str, shape: str, samples: int = 1, model: nn.Module | None = None) -> Held:
    """A Fisher, batch after batch with ``accumulate``, on a copy of the model unless one is given."""
    model = own_model(problem) if model is None else model
    maker = fisher_maker(problem, model, kind, shape, n_mc_samples=samples)
    with refusing():
        for index, batch in enumerate(problem.batches):
            set_up(maker, model, problem, batch)
            maker.forward_and_backward(accumulate=index > 0)
    return read(model, shape, factor_of(problem, kind == "fisher_emp"))


def matrix(problem: Problem, kind: str, shape: str) -> Tensor:
    """The same as a plain matrix."""
    return fisher(problem, kind, shape).dense


def on_the_model_itself(problem: Problem, kind: str, shape: str) -> Tensor:
    """The same on the problem's own model, from which the documented attribute is taken away by the library's own method."""
    held = fisher(problem, kind, shape, model=problem.model)
    for module in problem.model.modules():
        if hasattr(module, "fisher"):
            del module.fisher
    return held.dense


def drawn(problem: Problem, shape: str, samples: int) -> Tensor:
    """A Monte-Carlo Fisher."""
    return fisher(problem, "fisher_mc", shape, samples).dense


def quasi_diagonal(problem: Problem, kind: str) -> Tensor:
    """Of the blocks of units, the diagonal and the products with the bias: what a quasi-diagonal keeps."""
    held = fisher(problem, kind, "unit_wise")
    kept = torch.diag(held.dense.diagonal())
    begin, biases = 0, []
    for name, parameter in problem.parameters.items():
        if name.split(".")[-1] == "bias":
            biases.append(torch.arange(begin, begin + parameter.numel()))
        begin += parameter.numel()
    for place in biases:
        kept[place] += held.dense[place] - torch.diag(held.dense.diagonal())[place]
        kept[:, place] += held.dense[:, place] - torch.diag(held.dense.diagonal())[:, place]
        between = held.dense[place[:, None], place]
        kept[place[:, None], place] = between
    return kept


class Products:
    """Products of a Fisher with vectors, one at a time, each from the gradients of the samples."""

    def __init__(self, problem: Problem, kind: str, shape: str) -> None:
        self.problem, self.shape_name = problem, shape
        self.model = own_model(problem)
        self.factor = factor_of(problem, kind == "fisher_emp")
        self.maker = fisher_maker(problem, self.model, kind, shape, scale=self.factor)
        self.shape = torch.Size((problem.num_parameters, problem.num_parameters))
        self._product(problem.vector)  # a refusal comes before the first product of others

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return torch.stack([under(self.problem, self._product)(column) for column in vectors.mT], 1)

    def _vector(self, column: Tensor) -> Any:
        from asdl.vector import ParamVector

        return ParamVector(trained(self.model), shaped(column, self.model))

    def _product(self, column: Tensor) -> Tensor:
        with refusing():
            for index, batch in enumerate(self.problem.batches):
                set_up(self.maker, self.model, self.problem, batch)
                self.maker.forward_and_backward(fvp=True, vec=self._vector(column), accumulate=index > 0)
        found = self.maker.load_fvp(self.shape_name)
        zeros = torch.zeros_like
        return joined([found.get_vector_by_param(p, zeros(p)) for p in trained(self.model)])

    def solve(self, vector: Tensor, damping: float) -> Tensor:
        """Its conjugate gradients, on all data as one batch."""
        with refusing():
            set_up(self.maker, self.model, self.problem, whole(self.problem)[0])
            b = self._vector(vector)
            found = self.maker.fisher_free(b=b, damping=damping, max_iters=20 * len(vector), tol=1e-14)
        return joined(list(found.values()))


def solve_products(products: Products, vector: Tensor, damping: float) -> Tensor:
    """(F + damping I)^-1 b by its method ``fisher_free``."""
    return under(products.problem, products.solve)(vector.clone(), damping)


class Direct:
    """An empirical Fisher whose inverse is asked for together with it (``calc_inv``), as its gradient makers do by default."""

    def __init__(self, problem: Problem, shape: str) -> None:
        self.problem, self.shape_name = problem, shape
        self.held = fisher(problem, "fisher_emp", shape)
        self.shape = self.held.shape

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return self.held @ vectors

    def solve(self, vector: Tensor, damping: float) -> Tensor:
        """The inverse of all data as one batch: ``accumulate`` and ``calc_inv`` exclude each other."""
        model: Any = own_model(self.problem)
        own = damping / self.held.factor
        maker = fisher_maker(self.problem, model, "fisher_emp", self.shape_name)
        with refusing():
            set_up(maker, model, self.problem, whole(self.problem)[0])
            maker.forward_and_backward(calc_inv=True, damping=own)
        pieces = [piece.clone() for piece in shaped(vector, model)]
        if self.shape_name == "full":
            return model.fisher.inv @ vector / self.held.factor  # type: ignore[no-any-return]
        apply(model, self.shape_name, pieces, own)
        return joined(pieces) / self.held.factor


def solve_direct(direct: Direct, vector: Tensor, damping: float) -> Tensor:
    """The damped inverse from the same call as the matrix."""
    return under(direct.problem, direct.solve)(vector, damping)

"""asdfghjkl's Hessian, the products of its ``GradientMaker`` by functorch, and its gradients of samples."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import joined, own_model, shaped, trained, under
from fishergauge.suites.peers.of_asdl_calls import (
    LOSS_TYPES,
    factor_of,
    logits_of,
    number_of_labels,
    refusing,
    require_expressible,
    whole,
)
from fishergauge.suites.peers.of_asdl_held import Held, read


def _weights(problem: Problem) -> list[float]:
    """The share of each batch in the objective: all of it under a sum, by the number of labels under a mean."""
    likelihood = problem.likelihood
    with torch.no_grad():
        sizes = [float(likelihood.divisor(problem.model(inputs), targets)) for inputs, targets in problem.batches]
    return [1.0] * len(sizes) if likelihood.reduction == "sum" else [size / sum(sizes) for size in sizes]


def _each_batch(problem: Problem, maker: Any, model: nn.Module, call: Callable[..., Any]) -> None:
    done = 0
    for batch, weight in zip(problem.batches, _weights(problem), strict=True):
        if weight > 0:  # the mean over no label is not a number, in torch itself
            maker.setup_loss_call(problem.loss, maker.setup_model_call(model, batch[0]), batch[1])
            call(scale=weight, accumulate=done > 0)
            done += 1


def hessian(problem: Problem, shape: str) -> Held:
    """A Hessian, batch after batch with ``scale`` and ``accumulate``."""
    from asdl.hessian import HessianConfig, HessianMaker

    model = own_model(problem)
    maker = HessianMaker(model, HessianConfig(hessian_shapes=[shape]))
    with refusing():
        _each_batch(problem, maker, model, maker.forward_and_backward)
    return read(model, shape, 1.0, "hessian")


def hessian_matrix(problem: Problem, shape: str) -> Tensor:
    """The same as a plain matrix."""
    return hessian(problem, shape).dense


def solve_newton(held: Held, vector: Tensor, damping: float) -> Tensor:
    """The step of its ``NewtonGradientMaker``, whose gradient is the vector; it gets a Hessian of its own."""
    from asdl.precondition.newton import NewtonGradientConfig, NewtonGradientMaker
    from asdl.symmatrix import SymMatrix

    model: Any = held.model
    kept = model.hessian
    maker = NewtonGradientMaker(model, NewtonGradientConfig(damping=damping))
    for parameter, piece in zip(trained(model), shaped(vector, model), strict=True):
        parameter.grad = piece.clone()
    model.hessian = SymMatrix(data=kept.data.clone())
    maker.precondition()
    model.hessian = kept
    return joined([parameter.grad for parameter in trained(model) if parameter.grad is not None])


class HessianProducts:
    """Products of its Hessian with vectors (``hvp=True``)."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.model: Any = own_model(problem)
        self.shape = torch.Size((problem.num_parameters, problem.num_parameters))

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return torch.stack([self._product(column) for column in vectors.mT], 1)

    def _parts(self, column: Tensor) -> tuple[Any, Any]:
        from asdl.hessian import HessianConfig, HessianMaker
        from asdl.vector import ParamVector

        return HessianMaker(self.model, HessianConfig()), ParamVector(trained(self.model), shaped(column, self.model))

    def _product(self, column: Tensor) -> Tensor:
        maker, vector = self._parts(column)

        def call(**keywords: Any) -> None:
            maker.forward_and_backward(hvp=True, vec=vector, **keywords)

        with refusing():
            _each_batch(self.problem, maker, self.model, call)
        return joined(list(self.model.hvp.values()))

    def solve(self, vector: Tensor, damping: float) -> Tensor:
        """Its conjugate gradients (``hessian_free``), on all data as one batch."""
        maker, right = self._parts(vector)
        inputs, targets = whole(self.problem)[0]
        maker.setup_loss_call(self.problem.loss, maker.setup_model_call(self.model, inputs), targets)
        with refusing():
            found = maker.hessian_free(b=right, damping=damping, max_iters=20 * len(vector), tol=1e-14)
        return joined(list(found.values()))


def solve_hessian(products: HessianProducts, vector: Tensor, damping: float) -> Tensor:
    """(H + damping I)^-1 b by its method ``hessian_free``."""
    return products.solve(vector.clone(), damping)


class Functorch:
    """Products by its ``GradientMaker`` and functorch, on all data as one batch: ``fvp`` or ``hvp``."""

    def __init__(self, problem: Problem, what: str) -> None:
        from asdl.grad_maker import GradientMaker

        if what == "hvp" and isinstance(problem.loss, nn.MSELoss):
            raise NotImplementedError("asdfghjkl cannot: torch's own forward mode fails on gradients of mse_loss")
        self.problem, self.what = problem, what
        self.model = own_model(problem)
        self.maker = GradientMaker(self.model)
        inputs, targets = whole(problem)[0]
        dummy = self.maker.setup_model_call(self.model, inputs)
        self.maker.setup_loss_call(problem.loss, dummy, targets)
        if what == "fvp":
            require_expressible(problem)
            rows = logits_of(dummy, problem)
            ignored = getattr(problem.loss, "ignore_index", None)
            self.maker.setup_logits_repr(rows if ignored is None else rows[targets.flatten() != ignored])
        self.shape = torch.Size((problem.num_parameters, problem.num_parameters))
        if what != "hessian":
            self._product(problem.vector)  # a refusal comes before the first product of others

    def __matmul__(self, vectors: Tensor) -> Tensor:
        return torch.stack([under(self.problem, self._product)(column) for column in vectors.mT], 1)

    def _product(self, column: Tensor) -> Tensor:
        pieces = tuple(shaped(column, self.model))
        with refusing():
            if self.what == "hvp":
                return joined(self.maker.loss_hvp(tangents=pieces, accumulate_grad=False))
            size = number_of_labels(self.problem)
            found = self.maker.fvp(LOSS_TYPES[type(self.problem.loss)], data_size=size, tangents=pieces)
        return joined(found) * factor_of(self.problem, observed=False)


def functorch_hessian(problem: Problem) -> Tensor:
    """The Hessian of its ``GradientMaker.loss_hessian``, whose blocks stand in the order of the parameters."""
    made = Functorch(problem, "hessian")
    with refusing():
        blocks = under(problem, made.maker.loss_hessian)()
    sizes = [parameter.numel() for parameter in trained(made.model)]
    rows = [[block.reshape(m, n) for block, n in zip(row, sizes, strict=True)] for row, m in zip(blocks, sizes, strict=True)]
    return torch.cat([torch.cat(row, 1) for row in rows])


def rows_of_samples(problem: Problem, batch_size: int | None = None) -> Tensor:
    """The gradients of the samples, ``(n, P)``, each that of the summed loss."""
    from asdl.gradient import batch_gradient

    model, loss = own_model(problem), _summed(problem.loss)
    found = []
    for inputs, targets in problem.batches:

        def closure(inputs: Tensor = inputs, targets: Tensor = targets) -> Tensor:
            model.zero_grad()
            value: Tensor = loss(model(inputs), targets)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        size = None if batch_size is None else len(inputs)
        with refusing():
            found.append(batch_gradient(model, closure, batch_size=size))
    return torch.cat(found)


def _summed(loss: nn.Module) -> Any:
    import copy

    summed: Any = copy.deepcopy(loss)
    summed.reduction = "sum"
    return summed


def empirical_fisher(problem: Problem) -> Tensor:
    """The second moment of its gradients of samples, over M."""
    rows = rows_of_samples(problem)
    return rows.mT @ rows * (factor_of(problem, observed=True) / number_of_labels(problem))

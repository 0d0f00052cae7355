"""Whatever has a shape and a product is taken for a matrix; what is none is refused with the reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor

from fishergauge.reference import Problem, ggn
from fishergauge.suites.matrix import MalformedMatrix, densified
from fishergauge.suites.zoo import catalogue_problem

PROBLEM = catalogue_problem("mlp-tanh-softmax")
RIGHT = ggn(PROBLEM).dense()


class Product:
    """A shape and a product of one's own."""

    def __init__(self, product: Callable[[Any], Any], shape: Any = RIGHT.shape) -> None:
        self.product = product
        self.shape = shape

    def __matmul__(self, other: Any) -> Any:
        return self.product(other)


def _vectors_only(vectors: Tensor) -> Tensor:
    if vectors.ndim != 1:
        raise ValueError("one vector at a time")
    return RIGHT @ vectors


def _arrays_only(vectors: Any) -> Any:
    assert isinstance(vectors, np.ndarray), "arrays alone"
    return RIGHT.numpy() @ vectors


def _lazy(vectors: Tensor) -> Any:
    class Lazy:
        def to_dense(self) -> Tensor:
            return RIGHT @ vectors

    return Lazy()


MATRICES: dict[str, Callable[[], Any]] = {
    "tensor": lambda: RIGHT,
    "tensor with a graph": lambda: RIGHT.clone().requires_grad_() * 1,
    "sparse tensor": lambda: RIGHT.to_sparse(),
    "reference operator": lambda: ggn(PROBLEM),
    "columns": lambda: Product(lambda v: RIGHT @ v),
    "vectors only": lambda: Product(_vectors_only),
    "shape as a list": lambda: Product(lambda v: RIGHT @ v, list(RIGHT.shape)),
    "arrays only": lambda: Product(_arrays_only),
    "lazy products": lambda: Product(_lazy),
    "numpy": lambda: RIGHT.numpy(),
    "scipy operator": lambda: aslinearoperator(RIGHT.numpy()),
    "scipy sparse": lambda: scipy.sparse.csr_array(RIGHT.numpy()),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_every_kind_of_matrix_gives_its_entries(kind: str) -> None:
    dense = densified(MATRICES[kind](), PROBLEM)
    assert not dense.requires_grad
    assert float((dense - RIGHT).norm()) <= 1e-14 * float(RIGHT.norm())


def test_the_entries_are_a_copy() -> None:
    matrix = RIGHT.clone()
    densified(matrix, PROBLEM).zero_()
    assert torch.equal(matrix, RIGHT)


SIZE = len(RIGHT)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "returned None; does the function end with a return"),
    "list": (lambda: [RIGHT], "returned a list; expected one"),
    "number": (lambda: 3.0, "without a usable shape"),
    "not square": (lambda: RIGHT[:, :-1], rf"returned shape \({SIZE}, {SIZE - 1}\), expected \({SIZE}, {SIZE}\)"),
    "vector": (lambda: RIGHT.diagonal(), rf"returned shape \({SIZE},\)"),
    "no product": (lambda: type("Shaped", (), {"shape": (SIZE, SIZE)})(), "has a shape but no product @"),
    "float32": (lambda: RIGHT.float(), "of torch.float32, the parameters are of torch.float64"),
    "integers": (lambda: RIGHT.long(), "of torch.int64"),
    "nan": (lambda: RIGHT / 0 * 0, "entries that are NaN"),
    "infinite": (lambda: (RIGHT + 1) / 0, rf"0 entries that are NaN and {SIZE**2} that are infinite"),
    "another device": (lambda: RIGHT.to("meta"), "is on meta, the parameters are on cpu"),
    "product of another shape": (lambda: Product(lambda v: v[:-1]), r"multiplies neither with \(P, K\) nor with \(P,\)"),
    "product that fails": (lambda: Product(lambda v: v.no_such_thing()), "AttributeError"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_matrix_is_refused_with_the_reason(kind: str) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(MalformedMatrix, match=message):
        densified(make(), PROBLEM)


@pytest.mark.parametrize("tensors_only", [True, False])
def test_a_product_that_is_not_implemented_stays_so(tensors_only: bool) -> None:
    def refuse(vectors: Any) -> Any:
        if tensors_only:
            vectors.requires_grad  # noqa: B018 (fails for arrays, as code for tensors does)
        raise NotImplementedError("convolutions are not covered")

    with pytest.raises(NotImplementedError, match="convolutions are not covered"):
        densified(Product(refuse), PROBLEM)


def test_float32_is_expected_of_a_float32_problem() -> None:
    problem: Problem = catalogue_problem("mlp-tanh-softmax", torch.float32)
    assert densified(ggn(problem).dense(), problem).dtype == torch.float32
    with pytest.raises(MalformedMatrix, match=r"of torch\.float64, the parameters are of torch\.float32"):
        densified(ggn(problem).dense().double(), problem)

"""What a subject returned, as a dense matrix: tensors and anything with ``shape`` and ``@``."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fishergauge.reference import Problem

Form = Callable[[], Tensor]


class MalformedMatrix(TypeError):
    """A subject returned something that is no ``(P, P)`` matrix of the problem's dtype and device."""


def densified(matrix: Any, problem: Problem) -> Tensor:
    """The entries of a matrix: a copy of a tensor, or the products of an operator with the unit vectors.

    Args:
        matrix: ``(P, P)``: a tensor, or anything with ``shape`` and ``@`` (scipy, curvlinops, linear_operator, a class of
            one's own) that takes ``(P, K)`` or only ``(P,)``, as tensors or as numpy arrays.
        problem: with P parameters.

    Returns:
        ``(P, P)``, detached.

    Raises:
        MalformedMatrix: shape, dtype or device differ, entries are NaN or infinite, or it cannot be multiplied; the message
            says what was expected.

    Example:
        >>> problem = Problem(torch.nn.Linear(1, 1, bias=False), torch.nn.MSELoss(), [(torch.ones(2, 1), torch.ones(2, 1))])
        >>> densified(torch.ones(1, 1), problem)
        tensor([[1.]])
    """
    size = problem.num_parameters
    shape = shape_of(matrix)
    if shape != (size, size):
        raise MalformedMatrix(f"returned shape {shape}, expected ({size}, {size}) for the {size} parameters of {problem.name}")
    if isinstance(matrix, Tensor):
        dense = matrix.detach().to_dense() if matrix.layout != torch.strided else matrix.detach().clone()
    else:
        dense = multiplied(matrix, torch.eye(size, dtype=problem.dtype, device=problem.device), problem)
    check_values(dense, problem, "the matrix")
    return dense


def shape_of(matrix: Any) -> tuple[int, ...]:
    """The shape of a matrix as plain integers.

    Raises:
        MalformedMatrix: it has none, or cannot be multiplied.
    """
    kind = type(matrix).__name__
    if matrix is None:
        raise MalformedMatrix("returned None; does the function end with a return statement?")
    if isinstance(matrix, list | tuple | dict):
        raise MalformedMatrix(f"returned a {kind}; expected one (P, P) tensor, or an object with shape and @")
    try:
        shape = tuple(int(n) for n in matrix.shape)
    except (AttributeError, TypeError, ValueError) as error:
        raise MalformedMatrix(f"returned a {kind} without a usable shape; expected (P, P) ({error})") from error
    if not isinstance(matrix, Tensor) and not hasattr(type(matrix), "__matmul__"):
        raise MalformedMatrix(f"returned a {kind}, which has a shape but no product @")
    return shape


def multiplied(matrix: Any, vectors: Tensor, problem: Problem) -> Tensor:
    """The product with ``(P, K)``, by whichever form of ``@`` the matrix takes.

    Tried in turn: all columns as a tensor, one column as a tensor, all columns as an array, one column as an array.

    Raises:
        MalformedMatrix: none of them gives the right shape; the message has the last error.
        NotImplementedError: the matrix raised it in every form.
    """
    if isinstance(matrix, Tensor):
        return matrix @ vectors
    tensors: tuple[Form, ...] = (
        lambda: _as_tensor(matrix @ vectors.clone(), problem),
        lambda: torch.stack([_as_tensor(matrix @ column, problem) for column in vectors.T.clone()], 1),
    )
    arrays: tuple[Form, ...] = (
        lambda: _as_tensor(matrix @ _array(vectors), problem),
        lambda: torch.stack([_as_tensor(matrix @ _array(column), problem) for column in vectors.T], 1),
    )
    reasons: list[str] = []
    for forms in (arrays,) if _takes_arrays(matrix) else (tensors, arrays):
        refused = []
        for form in forms:
            try:
                result = form()
            except NotImplementedError as error:
                refused.append(error)
            except Exception as error:
                reasons.append(f"{type(error).__name__}: {error}")
            else:
                if result.shape == vectors.shape:
                    return result.detach()
                reasons.append(f"@ maps {tuple(vectors.shape)} to {tuple(result.shape)}")
        if len(refused) == len(forms):  # the other kind would fail for being the other kind
            raise refused[-1]
    raise MalformedMatrix(
        f"returned a {type(matrix).__name__} that multiplies neither with (P, K) nor with (P,), as tensor or as array: "
        f"{reasons[0]}"
    )


def vector_product(matrix: Any, vector: Tensor, problem: Problem) -> Tensor | None:
    """The product with one vector ``(P,)``, as tensor or as array; None where the matrix takes no single vectors.

    What it returns is given back as it is, whatever its shape; a tensor is handed over itself, so that the caller can see
    whether it was overwritten.
    """
    forms: tuple[Form, ...] = (
        lambda: _as_tensor(matrix @ vector, problem),
        lambda: _as_tensor(matrix @ _array(vector), problem),
    )
    for form in forms[1:] if _takes_arrays(matrix) else forms:
        try:
            return form().detach()
        except Exception:  # refused in this form: the product with several vectors is what counts
            continue
    return None


def check_values(values: Tensor, problem: Problem, what: str) -> None:
    """Refuse a wrong dtype or device, and entries that are not finite.

    Raises:
        MalformedMatrix: the message says which.
    """
    if values.dtype != problem.dtype:
        raise MalformedMatrix(
            f"{what} is of {values.dtype}, the parameters are of {problem.dtype}; compute in the dtype of the problem"
        )
    if values.device.type != problem.device.type:
        raise MalformedMatrix(f"{what} is on {values.device}, the parameters are on {problem.device}")
    bad = int((~values.isfinite()).sum())
    if bad:
        nan = int(values.isnan().sum())
        raise MalformedMatrix(f"{what} has {nan} entries that are NaN and {bad - nan} that are infinite, of {values.numel()}")


def _takes_arrays(matrix: Any) -> bool:
    """Whether it is of numpy or scipy."""
    return (
        isinstance(matrix, np.ndarray)
        or type(matrix).__module__.split(".")[0] == "scipy"
        or any(base.__module__.startswith("scipy.") for base in type(matrix).__mro__)
    )


def _array(vectors: Tensor) -> Any:
    return vectors.detach().cpu().numpy().copy()


def _as_tensor(result: Any, problem: Problem) -> Tensor:
    """A product as a tensor; of an array on the problem's device, of a lazy one its dense form."""
    if isinstance(result, Tensor):
        return result
    if hasattr(result, "to_dense"):
        dense: Tensor = result.to_dense()
        return dense
    return torch.as_tensor(np.asarray(result)).to(problem.device)

"""nngeometry: its matrices as operators, the data as it takes them, and its layer collections.

A ``PMat`` multiplies ``PVector`` objects in the order of its layer collection, which is that of ``named_modules``, weight
before bias. ``solve`` adds ``regul`` to the diagonal, or its root to both Kronecker factors.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import default_dtype, quiet

UNKNOWN = "I do not know what to do with layer"
Solved = Callable[[Any, Any, float], Any]
"""From a ``PMat``, a ``PVector`` and the damping to the solution as a ``PVector``."""


class Operator:
    """A matrix of the library, with the forms that it offers of itself.

    Args:
        problem: whose parameters it multiplies.
        matrix: the ``PMat``.
        layers: its layer collection.
        scale: from the library's convention to the canon.
        raw: whether it computes under torch's own default dtype.
    """

    def __init__(self, problem: Problem, matrix: Any, layers: Any, scale: float, raw: bool = False) -> None:
        self.problem, self.matrix, self.layers, self.scale, self.raw = problem, matrix, layers, scale, raw

    @property
    def shape(self) -> tuple[int, int]:
        """Its own count of the parameters, twice."""
        rows, columns = self.matrix.size()
        return rows, columns

    def __matmul__(self, vectors: Tensor) -> Tensor:
        if vectors.ndim == 2:
            return torch.stack([self @ column for column in vectors.T], 1)
        with self._settings():
            product: Tensor = self.matrix.mv(self._vector(vectors)).to_torch()
        return self.scale * product

    def dense(self) -> Tensor:
        """``to_torch``."""
        with self._settings():
            entries: Tensor = self.matrix.to_torch()
        return self.scale * entries

    def diagonal(self) -> Tensor:
        """``get_diag``."""
        with self._settings():
            entries: Tensor = self.matrix.get_diag()
        return self.scale * entries

    def trace(self) -> Tensor:
        """``trace``."""
        with self._settings():
            found: Tensor = self.matrix.trace()
        return self.scale * found

    def solved(self, solve: Solved, vector: Tensor, damping: float) -> Tensor:
        """The damped solution; with the scale s, ``(s F + d)^-1 = (F + d / s)^-1 / s``."""
        with self._settings():
            solution: Tensor = solve(self.matrix, self._vector(vector), damping / self.scale).to_torch()
        return solution / self.scale

    def _vector(self, vector: Tensor) -> Any:
        from nngeometry.object.vector import PVector

        return PVector(self.layers, vector_repr=vector)

    def _settings(self) -> Any:
        return quiet() if self.raw else default_dtype(self.problem)


@contextmanager
def refusals() -> Iterator[None]:
    """What the library refuses, documented in ``LayerCollection.from_model`` or by a ``NotImplementedError``."""
    try:
        yield
    except NotImplementedError as error:
        raise NotImplementedError(f"nngeometry refuses: {str(error) or 'NotImplementedError, without a message'}") from error
    except Exception as error:
        if type(error) is Exception and str(error).startswith(UNKNOWN):
            raise NotImplementedError(f"nngeometry refuses: {' '.join(str(error).split())}") from error
        raise


def loader_of(problem: Problem) -> DataLoader[tuple[Tensor, ...]]:
    """The batches of the problem, by a loader with a generator of its own; a batch sampler where sizes are irregular."""
    sizes = [len(inputs) for inputs, _ in problem.batches]
    data = TensorDataset(problem.inputs.detach(), problem.targets)
    if all(size == sizes[0] for size in sizes[:-1]) and 0 < sizes[-1] <= sizes[0]:
        return DataLoader(data, batch_size=sizes[0], generator=torch.Generator())
    pieces = torch.split(torch.arange(problem.num_samples), sizes)
    return DataLoader(data, batch_sampler=[piece.tolist() for piece in pieces], generator=torch.Generator())


def layers_of(problem: Problem) -> Any:
    """All layers, or those that are trained; the library has no part of a layer."""
    from nngeometry.layercollection import LayerCollection

    model = problem.model
    if all(parameter.requires_grad for parameter in model.parameters()):
        return LayerCollection.from_model(model)
    layers = LayerCollection()
    for module in model.modules():
        trained = {parameter.requires_grad for parameter in module.parameters(recurse=False)}
        if trained == {True, False}:
            raise NotImplementedError("a layer collection has whole layers: a frozen weight with a trained bias is none")
        if trained == {True}:
            layers.add_layer_from_model(model, module)
    return layers


def representation_of(name: str) -> Any:
    """A class of the library."""
    import nngeometry.object

    return getattr(nngeometry.object, name)


def plain_loss(problem: Problem) -> str:
    """The variant of the Fisher that belongs to the loss.

    Raises:
        NotImplementedError: the loss has what the variants, which know the outputs alone, cannot express.
    """
    loss = problem.loss
    if getattr(loss, "weight", None) is not None or getattr(loss, "pos_weight", None) is not None:
        raise NotImplementedError("the variants of nngeometry's FIM know no weights of labels")
    if isinstance(loss, nn.CrossEntropyLoss):
        targets = problem.targets
        if loss.label_smoothing or targets.is_floating_point():
            raise NotImplementedError("the variants of nngeometry's FIM know no smoothing and no soft targets")
        if bool((targets == loss.ignore_index).any()):
            raise NotImplementedError("the variants of nngeometry's FIM know no ignored labels")
        return "classif_logits"
    return "classif_binary_logits" if isinstance(loss, nn.BCEWithLogitsLoss) else "regression"


def scale_of(problem: Problem) -> float:
    """From the mean over the samples to what the loss divides by."""
    return problem.num_samples / float(problem.likelihood.divisor(problem.outputs, problem.targets))

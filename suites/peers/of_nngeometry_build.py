"""nngeometry: its generators of matrices, called as its documentation says, in each representation.

Its convention: the mean over the samples of J' J, with J of the outputs times the root of their Fisher (``FIM``), of drawn
log-likelihoods (``FIM_MonteCarlo``), or of any function of the data. The Gaussian of ``regression`` has variance one.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import default_dtype
from fishergauge.suites.peers.of_nngeometry_matrix import (
    Operator,
    layers_of,
    loader_of,
    plain_loss,
    refusals,
    representation_of,
    scale_of,
)

EIGEN = "PMatEKFAC"
FACTORED = ("PMatKFAC", EIGEN)


def fisher(problem: Problem, representation: str, update: bool = True, flat: bool = False) -> Operator:
    """``FIM`` with the variant of the loss, in a representation.

    Args:
        problem: of which.
        representation: a class of the library.
        update: whether EKFAC has its diagonal updated, or stays as it is built.
        flat: whether a ``function`` hands over the terms of the outputs as ``(N T, C)``, contiguous.
    """
    from nngeometry.metrics import FIM

    variant = plain_loss(problem)
    with refusals(), default_dtype(problem):
        layers, loader = layers_of(problem), loader_of(problem)
        kind = representation_of(representation)
        function = _terms(problem) if flat else None
        matrix = FIM(problem.model, loader, kind, variant, str(problem.device), function, layers)
        if representation == EIGEN and update:
            matrix.update_diag(loader)
    scale = scale_of(problem) * (2 if variant == "regression" else 1)
    return Operator(problem, matrix, layers, scale)


def fisher_as_it_is(problem: Problem, representation: str) -> Operator:
    """``FIM`` of a single pair of inputs and targets, under whatever default dtype there is."""
    from nngeometry.metrics import FIM

    variant = plain_loss(problem)
    with refusals():
        layers, examples = layers_of(problem), (problem.inputs, problem.targets)
        matrix = FIM(problem.model, examples, representation_of(representation), variant, layer_collection=layers)
    scale = scale_of(problem) * (2 if variant == "regression" else 1)
    return Operator(problem, matrix, layers, scale, raw=True)


def drawn(problem: Problem, samples: int, representation: str, normalised: bool = False) -> Operator:
    """``FIM_MonteCarlo``; ``normalised`` hands over log-probabilities instead of logits."""
    from nngeometry.metrics import FIM_MonteCarlo

    variant, function = plain_loss(problem), _log_probabilities(problem) if normalised else None
    if variant == "classif_binary_logits":
        raise NotImplementedError("FIM_MonteCarlo has no variant for binary labels")
    if variant == "classif_logits" and problem.outputs.ndim == 4:
        variant = "segmentation_logits"
    if normalised:
        if variant != "classif_logits":
            raise NotImplementedError("log-probabilities are those of one label a sample")
        variant = "classif_logsoftmax"
    with refusals(), default_dtype(problem):
        layers, loader = layers_of(problem), loader_of(problem)
        matrix = FIM_MonteCarlo(
            problem.model,
            loader,
            representation_of(representation),
            variant,
            trials=samples,
            device=str(problem.device),
            function=function,
            layer_collection=layers,
        )
        if representation == EIGEN:
            matrix.update_diag(loader)
    return Operator(problem, matrix, layers, scale_of(problem))


def empirical_fisher(problem: Problem, representation: str) -> Operator:
    """The second moment of the gradients of the un-reduced losses, each term an output of the function."""
    from nngeometry.backend import TorchHooksJacobianBackend

    if representation in FACTORED and not bool(problem.likelihood.present(problem.likelihood.labels(problem.targets)).all()):
        raise NotImplementedError("a function of the data cannot say that a sample is absent, whose input would be a factor's")
    loss: Any = copy.deepcopy(problem.loss)
    loss.reduction = "none"

    def losses(*batch: Tensor) -> Tensor:
        values: Tensor = loss(problem.model(batch[0]), batch[1])
        if not isinstance(loss, nn.CrossEntropyLoss) and values.ndim > 1:
            values = values.sum(-1)
        return values.reshape(len(values), -1)

    with refusals(), default_dtype(problem):
        layers, loader = layers_of(problem), loader_of(problem)
        generator = TorchHooksJacobianBackend(problem.model, losses, layer_collection=layers)
        matrix = representation_of(representation)(generator=generator, examples=loader)
        if representation == EIGEN:
            matrix.update_diag(loader)
    return Operator(problem, matrix, layers, scale_of(problem))


def hessian(problem: Problem) -> Operator:
    """``Hessian`` of the loss as it is, reduction and weights included."""
    from nngeometry.hessian import Hessian

    with refusals(), default_dtype(problem):
        layers = layers_of(problem)
        matrix = Hessian(problem.model, loader_of(problem), representation_of("PMatDense"), problem.loss, layers)
    return Operator(problem, matrix, layers, 1.0)


def from_jacobian(problem: Problem) -> Tensor:
    """The GGN of the dense ``Jacobian`` of the outputs, ``(O, N, P)``, and the Hessian of the loss."""
    from nngeometry.jacobian import Jacobian

    with refusals(), default_dtype(problem):
        jacobian = Jacobian(problem.model, loader_of(problem), layer_collection=layers_of(problem)).to_torch()
    likelihood, outputs = problem.likelihood, problem.outputs
    rows = torch.stack([likelihood.split(column.T.reshape(outputs.shape)).flatten(0, 1) for column in jacobian.unbind(2)], 2)
    root = _root(problem) @ rows
    return torch.einsum("krp,krq->pq", root, root) / likelihood.divisor(outputs, problem.targets)


class JacobianProducts:
    """The GGN by ``PFMapImplicit.jvp``, the Hessian of the loss, and ``PFMapDense.vjp``.

    Args:
        problem: whose outputs are differentiated.
    """

    def __init__(self, problem: Problem) -> None:
        from nngeometry.backend import TorchHooksJacobianBackend

        with refusals(), default_dtype(problem):
            self.problem, self.layers = problem, layers_of(problem)
            generator = TorchHooksJacobianBackend(problem.model, layer_collection=self.layers)
            loader = loader_of(problem)
            self.forwards = representation_of("PFMapImplicit")(generator=generator, examples=loader)
            self.backwards = representation_of("PFMapDense")(generator=generator, examples=loader)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of parameters of the collection, twice."""
        size = self.layers.numel()
        return size, size

    def __matmul__(self, vectors: Tensor) -> Tensor:
        if vectors.ndim == 2:
            return torch.stack([self @ column for column in vectors.T], 1)
        from nngeometry.object.vector import FVector, PVector

        problem = self.problem
        likelihood, outputs = problem.likelihood, problem.outputs
        with default_dtype(problem):
            change = self.forwards.jvp(PVector(self.layers, vector_repr=vectors)).to_torch()  # (O, N)
            terms = likelihood.split(change.T.reshape(outputs.shape)).flatten(0, 1)
            root = _root(problem)
            hit = torch.einsum("krc,krd,kd->kc", root, root, terms)
            joined: Any = torch.func.vjp(likelihood.split, outputs)
            back = joined[1](hit.reshape(joined[0].shape))[0].reshape(len(outputs), -1).T.contiguous()
            result: Tensor = self.backwards.vjp(FVector(vector_repr=back)).to_torch()
        return result / likelihood.divisor(outputs, problem.targets)


def _terms(problem: Problem) -> Callable[..., Tensor]:
    split = problem.likelihood.split
    return lambda *batch: split(problem.model(batch[0])).flatten(0, 1).contiguous()


def _log_probabilities(problem: Problem) -> Callable[..., Tensor]:
    return lambda *batch: torch.log_softmax(problem.model(batch[0]), 1)


def _root(problem: Problem) -> Tensor:
    likelihood: Any = problem.likelihood
    root: Tensor = likelihood.hessian_root(likelihood.split(problem.outputs).flatten(0, 1), likelihood.labels(problem.targets))
    return root

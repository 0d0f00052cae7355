"""What all defects of a problem are made of, computed once: terms, Jacobian, roots, right matrices."""

import copy
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from fishergauge import reference
from fishergauge.reference import Problem, UndefinedError
from fishergauge.reference.curvature import symmetrized
from fishergauge.reference.layer_statistics import LayerStatistics
from fishergauge.reference.terms import Terms, terms_of
from fishergauge.suites.subject import Subject, Target


class Pieces:
    """Quantities of a problem that are computed when first asked for.

    Args:
        problem: K terms of C outputs, P parameters.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._roots: dict[str, Tensor] = {}
        self._dense: dict[str, Tensor] = {}
        self._right: dict[tuple[object, ...], Tensor] = {}
        self._variants: dict[tuple[tuple[str, object], ...], Pieces] = {}

    @cached_property
    def terms(self) -> Terms:
        """The evaluated terms."""
        return terms_of(self.problem)

    @cached_property
    def divisor(self) -> float:
        """M, what the reduction divides by."""
        return float(self.terms.divisor)

    @cached_property
    def jacobian(self) -> Tensor:
        """The Jacobians of the terms, ``(K, C, P)``."""
        return reference.output_jacobian(self.problem)

    @property
    def width(self) -> int:
        """C, the number of outputs of a term."""
        return self.terms.outputs.shape[-1]

    @cached_property
    def present(self) -> Tensor:
        """Which terms count, ``(K,)``."""
        return self.problem.likelihood.present(self.terms.labels)

    @cached_property
    def gradients(self) -> Tensor:
        """The gradients of the un-reduced terms at the observed labels, ``(K, P)``."""
        return self.rows(self.root("empirical-fisher"))[:, 0]

    def root(self, target: Target) -> Tensor:
        """Vectors b whose products ``J' b b' J / M`` add up to the target, ``(K, R, C)``."""
        if target == "hessian":
            raise UndefinedError("the Hessian has no root of the form J' b b' J")
        if target == "fisher":
            self.require_likelihood()
        if target not in self._roots:
            likelihood, terms = self.problem.likelihood, self.terms
            if target == "empirical-fisher":
                self._roots[target] = likelihood.residuals(terms.outputs, terms.labels)[:, None, :]
            else:
                self._roots[target] = likelihood.hessian_root(terms.outputs, terms.labels)
        return self._roots[target]

    def require_likelihood(self) -> None:
        """Raise UndefinedError where no labels can be drawn."""
        self.problem.likelihood.require_likelihood("the Fisher", self.problem.targets)

    def rows(self, root: Tensor) -> Tensor:
        """The rows ``b' J``, ``(K, R, P)``."""
        return root @ self.jacobian

    def of_root(self, root: Tensor) -> Tensor:
        """The matrix ``sum J' b b' J / M`` of a root."""
        rows = self.rows(root).flatten(0, 1)
        return symmetrized(rows.T @ rows) / self.divisor

    def dense(self, target: Target) -> Tensor:
        """The right matrix, all of it."""
        if target == "fisher":
            self.require_likelihood()
            target = "ggn"  # the same output Hessians
        if target not in self._dense:
            hessian = target == "hessian"
            self._dense[target] = reference.hessian(self.problem).dense() if hessian else self.of_root(self.root(target))
        return self._dense[target]

    def right(self, subject: Subject) -> Tensor:
        """The right matrix of what a subject declares."""
        from fishergauge.suites.meta.bank.structures import structured

        key = (subject.target, subject.structure, subject.bias, subject.sharing)
        if key not in self._right:
            self._right[key] = structured(self, subject)
        return self._right[key]

    @cached_property
    def batches(self) -> list["Pieces"]:
        """The pieces of each batch that has a term that counts."""
        found = []
        for batch in self.problem.batches:
            likelihood = self.problem.likelihood
            if not len(batch[0]) or not bool(likelihood.present(likelihood.labels(batch[1])).any()):
                continue
            found.append(Pieces(replace(self.problem, batches=[batch])))
        return found

    def with_loss(self, **settings: Any) -> "Pieces":
        """The pieces of the same problem with attributes of its loss changed; the Jacobian is shared."""
        key = tuple(sorted(settings.items()))
        if key not in self._variants:
            loss = copy.deepcopy(self.problem.loss)
            for name, value in settings.items():
                setattr(loss, name, value)
            variant = Pieces(replace(self.problem, loss=loss))
            variant.jacobian = self.jacobian
            self._variants[key] = variant
        return self._variants[key]

    @cached_property
    def statistics(self) -> LayerStatistics:
        """Inputs of the layers and gradients at their outputs."""
        return LayerStatistics(self.problem, self.terms)

    @cached_property
    def layer_jacobians(self) -> dict[str, Tensor]:
        """Derivatives of the terms with respect to the outputs of each layer, ``(K, C, T, D_out)``."""
        count, width = self.terms.outputs.shape
        identity = torch.eye(width, dtype=self.terms.outputs.dtype, device=self.terms.outputs.device)
        by_term = list(self.statistics.gradients(identity.expand(count, width, width)))
        stacked = {name: torch.stack([one[name] for one in by_term]) for name in self.statistics.layers}
        # (terms, C, N, T, D) -> (N, terms, C, T, D) -> (K, C, T, D)
        return {name: part.permute(2, 0, 1, 3, 4).flatten(0, 1) for name, part in stacked.items()}

    @cached_property
    def order(self) -> Tensor:
        """The indices of the parameter vector, ``(P,)``."""
        return torch.arange(self.problem.num_parameters)

    def places(self) -> dict[str, Tensor]:
        """The indices of each parameter, in its shape."""
        pieces = torch.split(self.order, [p.numel() for p in self.problem.parameters.values()])
        return {name: i.view(p.shape) for (name, p), i in zip(self.problem.parameters.items(), pieces, strict=True)}


def pieces_of(problem: Problem) -> Pieces:
    """The pieces of a problem, shared by all who ask while its parameters stay as they are."""
    return _kept(problem, versions(problem))


def versions(problem: Problem) -> tuple[int, ...]:
    """How often each parameter was written to."""
    return tuple(p._version for p in problem.parameters.values())


@lru_cache(maxsize=4)
def _kept(problem: Problem, written: tuple[int, ...]) -> Pieces:
    return Pieces(problem)

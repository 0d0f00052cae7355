"""Reference quantities of a problem, computed once and shared by all claims and subjects."""

import math
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fishergauge.reference import (
    Problem,
    block_slices,
    empirical_fisher,
    fisher,
    ggn,
    gradient,
    hessian,
    output_jacobian,
)
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import KroneckerFactored, kfac
from fishergauge.reference.layers import Layer, layers_of
from fishergauge.reference.oracle import oracle_hessian
from fishergauge.reference.terms import terms_of
from fishergauge.suites.subject import Subject, Target
from fishergauge.suites.tags import tags_of

T = TypeVar("T")
Fault = Callable[[Problem, Tensor], Tensor]


class QuantityCache:
    """Reference quantities by problem object; they live as long as the problem.

    Args:
        fault: a change of the quantities of the first route, to plant a mistake that reference and subject share.
    """

    def __init__(self, fault: Fault | None = None) -> None:
        self._kept: WeakKeyDictionary[Problem, dict[Any, Any]] = WeakKeyDictionary()
        self._fault = fault

    def once(self, problem: Problem, key: Any, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed on the first call with this problem and key."""
        kept = self._kept.setdefault(problem, {})
        if key not in kept:
            kept[key] = compute()
        value: T = kept[key]
        return value

    def target(self, problem: Problem, target: Target) -> Tensor:
        """The exact quantity, ``(P, P)``.

        Raises:
            UndefinedError: it has no definition here.
        """
        makers: dict[str, Callable[[Problem], Any]] = {
            "fisher": _fisher,
            "ggn": ggn,
            "hessian": hessian,
            "empirical-fisher": empirical_fisher,
        }

        def compute() -> Tensor:
            matrix: Tensor = makers[target](problem).dense()
            return matrix if self._fault is None else self._fault(problem, matrix)

        return self.once(problem, target, compute)

    def oracle_hessian(self, problem: Problem) -> Tensor:
        """The Hessian by plain double backward, ``(P, P)``: it shares no code with :meth:`target`."""
        return self.once(problem, "oracle hessian", lambda: oracle_hessian(problem))

    def gradient(self, problem: Problem) -> Tensor:
        """The gradient of the objective, ``(P,)``."""
        return self.once(problem, "gradient", lambda: gradient(problem))

    def jacobian(self, problem: Problem) -> Tensor:
        """The Jacobian of all outputs, ``(K C, P)``."""
        return self.once(problem, "jacobian", lambda: output_jacobian(problem).flatten(0, 1))

    def centred_jacobian(self, problem: Problem) -> Tensor:
        """The Jacobian of what the distribution of labels depends on: of logits less their mean over the classes."""

        def compute() -> Tensor:
            jacobian = self.jacobian(problem)
            if "categorical" not in self.tags(problem):
                return jacobian
            by_term = jacobian.view(-1, terms_of(problem).outputs.shape[1], jacobian.shape[1])
            return (by_term - by_term.mean(1, keepdim=True)).flatten(0, 1)

        return self.once(problem, "centred jacobian", compute)

    def factors(self, problem: Problem, subject: Subject, bias: str) -> KroneckerFactored:
        """Kronecker factors of a subject's target.

        Raises:
            UnsupportedError: the model has other layers than linear and convolutional ones.
        """
        key = ("kfac", subject.target, bias, subject.sharing)
        return self.once(problem, key, lambda: kfac(problem, subject.target, bias, subject.sharing))  # type: ignore[arg-type]

    def layers(self, problem: Problem) -> tuple[Layer, ...]:
        """The linear and convolutional layers."""
        return self.once(problem, "layers", lambda: layers_of(problem))

    def tags(self, problem: Problem) -> frozenset[str]:
        """The tags from which applicability follows."""
        return self.once(problem, "tags", lambda: tags_of(problem))

    def scale(self, problem: Problem, target: Target) -> float:
        """The size of what is added and subtracted on the way to a quantity, which sets the size of rounding errors.

        A Hessian is a sum of terms of both signs. A softmax so confident that ``diag(p) - p p'`` cancels loses digits in
        that difference, and the residual ``p - e_y`` in its own; what is lost is the subject of the claim on confident
        outputs, and no other claim asks for it.
        """
        return self.once(problem, ("scale", target), lambda: self._scale(problem, target))

    def _scale(self, problem: Problem, target: Target) -> float:
        exact = float(self.target(problem, target).norm())
        if target == "hessian":
            return exact + float(self.target(problem, "ggn").norm() + self.target(problem, "empirical-fisher").norm())
        if "saturated" not in self.tags(problem):
            return exact
        terms = terms_of(problem)
        p = terms.outputs.sigmoid() if "binary" in self.tags(problem) else terms.outputs.softmax(-1)
        if target != "empirical-fisher":
            return max(exact, float(GaussNewton(problem, terms, torch.diag_embed(p.sqrt())).dense().norm()))
        one = float(GaussNewton(problem, terms, torch.diag_embed(torch.ones_like(p))).dense().norm())
        return max(exact, math.sqrt(exact * one))

    def restricted(self, problem: Problem, matrix: Tensor, per: str) -> Tensor:
        """A matrix with all outside its diagonal blocks set to zero; ``per`` is ``layer``, ``parameter`` or ``entry``."""
        if per == "entry":
            return matrix.diagonal().diag()
        kept = torch.zeros_like(matrix)
        for part in block_slices(problem, per).values():  # type: ignore[arg-type]
            kept[part, part] = matrix[part, part]
        return kept


def _fisher(problem: Problem) -> GaussNewton:
    """By enumeration, or from output Hessians where there are too many labels."""
    wide = problem.outputs.shape[-1] if problem.outputs.ndim > 1 else 1
    return fisher(problem, kind=2 if wide > 6 else 1)

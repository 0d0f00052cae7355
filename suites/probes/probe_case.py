"""A subject on a problem of any size, as a probe sees it: products, counted and guarded, and the exact ones beside them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError, empirical_fisher, fisher, ggn, hessian
from fishergauge.reference.curvature import Curvature, block_slices
from fishergauge.suites.case import SubjectFailed
from fishergauge.suites.claim import NotHere
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.comparison import summands
from fishergauge.suites.guard import Failure, Outcome, fresh_copy, guarded
from fishergauge.suites.matrix import check_values, multiplied, shape_of
from fishergauge.suites.seeding import derived_seed, generator
from fishergauge.suites.subject import Subject
from fishergauge.suites.worker_process import heartbeat

T = TypeVar("T")

EXACT: Mapping[str, Callable[[Problem], Curvature]] = {
    "fisher": fisher,
    "ggn": ggn,
    "hessian": hessian,
    "empirical-fisher": empirical_fisher,
}
COLUMNS = 8
"""Random vectors that probes share."""


class ProbeCase:
    """A subject on a problem, without any (P, P) array.

    What is drawn once and multiplied once serves all probes: :meth:`shared` gives the vectors with both products.

    Args:
        subject: under test.
        problem: never handed to the subject itself, which gets a copy.
        tags: of the problem.
        limit: seconds that one call of the subject may take.
        seed: of the run.
        columns: how many random vectors probes share.

    Raises:
        SubjectFailed: from every method that calls the subject.
    """

    def __init__(
        self,
        subject: Subject,
        problem: Problem,
        tags: frozenset[str],
        limit: float = 60.0,
        seed: int = 0,
        columns: int = COLUMNS,
    ) -> None:
        self.subject, self.problem, self.tags = subject, problem, tags
        self.limit, self.seed, self.columns = limit, seed, columns
        self.products = 0  # of the subject, in columns
        self.exact_products = 0
        self.outcomes: list[Outcome] = []
        self._copy: Problem | None = None
        self._raw: Any = None
        self._failed: SubjectFailed | None = None
        self._exact: Curvature | None = None
        self._shared: tuple[Tensor, Tensor, Tensor] | None = None
        self._kept: dict[Any, Any] = {}

    # --- the subject ----------------------------------------------------------------------------------------------------

    def raw(self) -> Any:
        """What the subject returned, once."""
        if self._failed is not None:
            raise self._failed
        if self._raw is None:
            self._copy = fresh_copy(self.problem)
            try:
                self._raw = self.built(self._copy)
            except SubjectFailed as failed:
                self._failed = failed
                raise
        return self._raw

    def built(self, copy: Problem, repetition: int = 0) -> Any:
        """What the subject returns for a problem of its own; drawn anew for each repetition; its shape is checked."""
        subject, keywords = self.subject, dict[str, Any]()
        seed = derived_seed(subject.name, self.problem.name, self.seed, repetition)
        if subject.drawn and "generator" in subject.keywords:
            keywords["generator"] = torch.Generator(copy.device).manual_seed(seed)
        if subject.drawn and "samples" in subject.keywords:
            keywords["samples"] = subject.samples

        def build() -> Any:
            matrix = subject.build(copy, **keywords)
            size = copy.num_parameters
            if (shape := shape_of(matrix)) != (size, size):
                raise ValueError(f"returned shape {shape}, expected ({size}, {size})")
            return matrix

        return self.inside(build, seed=seed)

    def product(self, vectors: Tensor, matrix: Any = None, repetition: int = 0) -> Tensor:
        """A V of the subject's matrix, or of another one that it built (in that repetition), with ``(P,)`` or ``(P, K)``."""
        seed = derived_seed(self.subject.name, self.problem.name, self.seed, repetition) if repetition else None
        raw = self.raw() if matrix is None else matrix
        columns = vectors[:, None] if vectors.ndim == 1 else vectors

        def multiply() -> Tensor:
            result = multiplied(raw, columns, self.problem)
            check_values(result, self.problem, "the product")
            return result

        found: Tensor = self.inside(multiply, seed=seed)
        self.products += columns.shape[1]
        return found[:, 0] if vectors.ndim == 1 else found

    def solve(self, vector: Tensor, damping: float, matrix: Any = None) -> Tensor:
        """The subject's own damped solution."""
        own = self.subject.solve
        if own is None:
            raise NotHere("the subject has no solve")
        raw = self.raw() if matrix is None else matrix
        result = self.inside(lambda: own(raw, vector.clone(), damping))
        if not isinstance(result, Tensor) or result.shape != vector.shape or result.dtype != vector.dtype:
            found = f"{tuple(result.shape)} of {result.dtype}" if isinstance(result, Tensor) else type(result).__name__
            reason = f"solve returned {found}, expected {tuple(vector.shape)} of {vector.dtype}"
            raise SubjectFailed(Failure("error", reason))
        return result.detach()

    def inside(self, function: Callable[..., Any], *arguments: Any, seed: int | None = None) -> Any:
        """What a function of the subject's own objects gives, guarded; the global generators are seeded before."""
        seed = derived_seed(self.subject.name, self.problem.name, self.seed) if seed is None else seed
        outcome = guarded(function, *arguments, limit=self.limit, seed=seed)
        self.outcomes.append(replace(outcome, value=None))  # what it says is kept, not the vectors
        if outcome.failure is not None:
            raise SubjectFailed(outcome.failure)
        return outcome.value

    # --- the reference --------------------------------------------------------------------------------------------------

    @property
    def exact(self) -> Curvature:
        """The exact target as an operator.

        Raises:
            NotHere: it is not defined for this objective.
        """
        if self._exact is None:
            try:
                self._exact = EXACT[self.subject.target](self.problem)
            except UndefinedError as error:
                raise NotHere(str(error)) from None
        return self._exact

    def exact_product(self, vectors: Tensor) -> Tensor:
        """M V of the exact target, with ``(P,)`` or ``(P, K)``; column by column, so that memory does not grow with K."""
        if vectors.ndim == 1:
            self.exact_products += 1
            return self.exact @ vectors
        result = torch.empty_like(vectors)
        for index in range(vectors.shape[1]):
            result[:, index] = self.exact @ vectors[:, index].contiguous()
            heartbeat()  # one may take seconds
        self.exact_products += vectors.shape[1]
        return result

    def shared(self) -> tuple[Tensor, Tensor, Tensor]:
        """X of independent standard normal entries, A X and M X, each ``(P, columns)``; computed once."""
        if self._shared is None:
            vectors = self.normal(self.columns, "shared")
            self._shared = vectors, self.product(vectors), self.exact_product(vectors)
        return self._shared

    # --- what both need -------------------------------------------------------------------------------------------------

    def once(self, key: Any, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed on the first call with this key."""
        if key not in self._kept:
            self._kept[key] = compute()
        value: T = self._kept[key]
        return value

    def normal(self, columns: int, *names: object) -> Tensor:
        """``(P, columns)`` of independent standard normal entries, drawn from names on the processor."""
        size, source = self.problem.num_parameters, self.generator(*names)
        drawn = torch.randn(columns, size, generator=source, dtype=self.problem.dtype)
        return drawn.to(self.problem.device).T

    def generator(self, *names: object) -> torch.Generator:
        """A source of randomness on the processor, by names."""
        return generator(*names, self.subject.name, self.problem.name, self.seed)

    def bound(self, condition: float = 1.0) -> float:
        """64 u sqrt(n) times a condition number."""
        return rounding_bound(self.problem.dtype, summands(self.problem), condition)

    def slices(self) -> dict[str, slice]:
        """Where each parameter lies in the vector."""
        return block_slices(self.problem, "parameter")

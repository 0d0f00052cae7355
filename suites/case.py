"""A case: one subject on one problem, with everything that a claim needs to measure it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import Problem, UndefinedError
from fishergauge.reference.layers import Layer
from fishergauge.suites.claim import NotHere
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.comparison import summands
from fishergauge.suites.eigenbasis import basis_condition
from fishergauge.suites.guard import Failure, Outcome, fresh_copy, guarded
from fishergauge.suites.matrix import densified, multiplied
from fishergauge.suites.quantity_cache import QuantityCache
from fishergauge.suites.seeding import derived_seed, generator
from fishergauge.suites.subject import Bias, Subject


class SubjectFailed(Exception):
    """The subject did not deliver: it refused, raised, hung or returned no matrix."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Case:
    """A subject on a problem: its matrices, guarded and computed once, and the reference quantities beside them.

    Args:
        subject: under test.
        problem: the problem; never handed to the subject itself, which gets copies.
        quantities: of the reference, shared with other cases.
        limit: seconds that one call of the subject may take.
        seed: of the run.
        hangs: how often the subject has been stopped in this run; shared, so that it is not waited for over and over.

    Raises:
        SubjectFailed: from every method that calls the subject.
    """

    def __init__(
        self,
        subject: Subject,
        problem: Problem,
        quantities: QuantityCache,
        limit: float = 10.0,
        seed: int = 0,
        hangs: list[str] | None = None,
    ) -> None:
        self.subject = subject
        self.problem = problem
        self.quantities = quantities
        self.limit = limit
        self.seed = seed
        self.hangs = hangs if hangs is not None else []
        self.outcomes: list[Outcome] = []
        self.seen: list[tuple[Tensor, Problem]] = []
        self._outcomes: dict[tuple[int, int, int | None], tuple[Problem, Outcome]] = {}
        self._dense: dict[tuple[int, int, int | None], Tensor | SubjectFailed] = {}

    def begin(self) -> None:
        """Forget what the last check looked at; what was computed is kept."""
        self.outcomes, self.seen = [], []

    # --- the subject -------------------------------------------------------------------------------------------

    def call(self, problem: Problem, repetition: int = 0, samples: int | None = None) -> Outcome:
        """One guarded call on a copy of a problem; the outcome is kept and returned again for the same arguments."""
        key = (id(problem), repetition, samples)
        if key not in self._outcomes:
            self._outcomes[key] = (problem, self._guarded(self._builder(repetition, samples), problem, repetition))
        outcome = self._outcomes[key][1]
        self.outcomes.append(outcome)
        return outcome

    def build(self, problem: Problem) -> Any:
        """The subject called as it is, without a guard."""
        return self._builder(0, None)(problem)

    def use(self) -> Outcome:
        """A guarded call on a copy of the problem, with a product and a damped solution after it where there are such."""
        plain = self.call(self.problem)
        if plain.failure is not None or (isinstance(plain.value, Tensor) and self.subject.solve is None):
            return plain

        outcome = self.observed(self.used, fresh_copy(self.problem))
        self.outcomes.append(outcome)
        return outcome

    def used(self, problem: Problem) -> Any:
        """What the subject returns, after a product and a damped solution where there are such; without a guard."""
        raw = self.build(problem)
        ones = torch.ones(problem.num_parameters, 1, dtype=problem.dtype, device=problem.device)
        if not isinstance(raw, Tensor):
            multiplied(raw, ones, problem)
        if self.subject.solve is not None:
            self.subject.solve(raw, ones[:, 0], 1.0)
        return raw

    def observed(self, function: Callable[[Problem], Any], copy: Problem, repetition: int = 0) -> Outcome:
        """A guarded call on this very problem, with what it left changed of it; nothing is kept."""
        if len(self.hangs) >= 3:
            reason = f"not tried: it was stopped on {', '.join(self.hangs[:3])}"
            return Outcome(value=None, failure=Failure("timeout", reason))
        outcome = guarded(
            function,
            copy,
            problem=copy,
            limit=self.limit,
            seed=self._seed(repetition),
            report_random=not self.subject.drawn or "generator" in self.subject.keywords,
        )
        self._note_hang(outcome)
        return outcome

    def raw(self, problem: Problem | None = None, repetition: int = 0, samples: int | None = None) -> Any:
        """What the subject returned for a problem."""
        outcome = self.call(self.problem if problem is None else problem, repetition, samples)
        if outcome.failure is not None:
            raise SubjectFailed(outcome.failure)
        return outcome.value

    def matrix(self, problem: Problem | None = None, repetition: int = 0, samples: int | None = None) -> Tensor:
        """The subject's matrix as ``(P, P)``."""
        problem = self.problem if problem is None else problem
        key = (id(problem), repetition, samples)
        if key not in self._dense:
            try:
                self._dense[key] = self.inside(lambda raw: densified(raw, problem), self.raw(problem, repetition, samples))
            except SubjectFailed as failed:
                self._dense[key] = failed
        found = self._dense[key]
        if isinstance(found, SubjectFailed):
            raise found
        self.seen.append((found, problem))
        return found

    def inside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of the subject's own objects gives (products, ``solve``), guarded like a call."""
        outcome = guarded(function, *arguments, limit=self.limit, seed=self._seed(0))
        self.outcomes.append(outcome)
        self._note_hang(outcome)
        if outcome.failure is not None:
            raise SubjectFailed(outcome.failure)
        return outcome.value

    def draws(self, problem: Problem, count: int, reduce: Callable[[Tensor], Tensor], samples: int | None) -> Tensor:
        """A function of the matrices of independent draws: ``(count, ...)``."""

        def one(copy: Problem, repetition: int) -> Tensor:
            return reduce(densified(self._builder(repetition, samples)(copy), problem))

        values = []
        for repetition in range(1, count + 1):
            outcome = self._guarded(functools.partial(one, repetition=repetition), problem, repetition)
            if outcome.failure is not None:
                self.outcomes.append(outcome)
                raise SubjectFailed(outcome.failure)
            values.append(outcome.value)
        return torch.stack(values)

    def solve(self, vector: Tensor, damping: float, problem: Problem | None = None) -> Tensor:
        """The subject's own damped solution, as a tensor shaped like ``vector``."""
        problem = self.problem if problem is None else problem
        solve = self.subject.solve
        if solve is None:
            raise NotHere("the subject has no solve")
        raw = self.raw(problem)
        handed = vector.clone()
        result = self.inside(lambda: solve(raw, handed, damping))
        if not torch.equal(handed, vector):
            raise SubjectFailed(Failure("error", "solve changes the right-hand side that it is given"))
        if not isinstance(result, Tensor) or result.shape != vector.shape or result.dtype != vector.dtype:
            found = f"{tuple(result.shape)} of {result.dtype}" if isinstance(result, Tensor) else type(result).__name__
            reason = f"solve returned {found}, expected {tuple(vector.shape)} of {vector.dtype}"
            raise SubjectFailed(Failure("error", reason))
        return result.detach()

    def _builder(self, repetition: int, samples: int | None) -> Callable[[Problem], Any]:
        subject = self.subject
        keywords: dict[str, Any] = {}
        if subject.drawn and "generator" in subject.keywords:
            keywords["generator"] = torch.Generator(self.problem.device).manual_seed(self._seed(repetition))
        if samples is not None:
            keywords["samples"] = samples
        elif subject.drawn and "samples" in subject.keywords:
            keywords["samples"] = subject.samples
        return lambda problem: subject.build(problem, **keywords)

    def _seed(self, repetition: int) -> int:
        return derived_seed(self.subject.name, self.problem.name, self.seed, repetition)

    def _guarded(self, function: Callable[[Problem], Any], problem: Problem, repetition: int) -> Outcome:
        return self.observed(function, fresh_copy(problem), repetition)

    def _note_hang(self, outcome: Outcome) -> None:
        if outcome.failure is not None and outcome.failure.kind == "timeout":
            self.hangs.append(self.problem.name)

    # --- the reference -----------------------------------------------------------------------------------------

    @property
    def tags(self) -> frozenset[str]:
        """The tags of the problem."""
        return self.quantities.tags(self.problem)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The linear and convolutional layers of the problem."""
        return self.quantities.layers(self.problem)

    def exact(self, problem: Problem | None = None) -> Tensor:
        """The exact target of the subject, ``(P, P)``.

        Raises:
            NotHere: it is not defined for this objective.
        """
        try:
            return self.quantities.target(self.problem if problem is None else problem, self.subject.target)
        except UndefinedError as error:
            raise NotHere(str(error)) from None

    def scale(self, problem: Problem | None = None) -> float:
        """The size that rounding errors of the target are relative to."""
        return self.quantities.scale(self.problem if problem is None else problem, self.subject.target)

    def cancellation(self, problem: Problem | None = None) -> float:
        """How much larger than the target is what is added and subtracted on the way to it; one or more."""
        exact = float(self.exact(problem).norm())
        return max(1.0, self.scale(problem) / exact) if exact > 0 else 1.0

    def size(self, expected: Tensor, problem: Problem | None = None) -> float:
        """The size that the rounding error of a matrix is relative to: its norm times the cancellation in the target."""
        return float(expected.norm()) * self.cancellation(problem) or self.scale(problem)

    def basis_condition(self, problem: Problem | None = None) -> float:
        """How much the eigenbases of the Kronecker factors magnify rounding: norm over gap, at the closest pair of eigenvalues.

        One for subjects without an eigenbasis, and where the exact blocks are Kronecker products, so that the choice of a
        basis does not matter.

        Raises:
            NotHere: two eigenvalues are so close that the basis, and with it the matrix, is not determined.
        """
        problem = self.problem if problem is None else problem
        if self.subject.structure == "low-rank":
            return self._cut_condition(problem)
        if self.subject.structure != "eigen-kronecker":
            return 1.0
        found = self.quantities.once(
            problem,
            ("basis", self.subject.target, self.subject.bias, self.subject.sharing),
            lambda: basis_condition(problem, self.subject, self.exact(problem)),
        )
        if found > 1e6:
            raise NotHere("eigenvalues of a Kronecker factor are too close: its eigenbasis is not determined")
        return found

    def _cut_condition(self, problem: Problem) -> float:
        """Norm over the gap in the spectrum of the target at the rank of the subject's matrix."""
        values = torch.linalg.eigvalsh(self.exact(problem)).flip(0)
        rank = int(torch.linalg.matrix_rank(self.matrix(problem), hermitian=True))
        if rank == 0 or rank >= len(values) or float(values[rank - 1]) <= 1e-10 * float(values[0]):
            return 1.0
        gap = float(values[rank - 1] - values[rank]) / float(values[0])
        if gap < 1e-6:
            raise NotHere("the spectrum has no gap at the rank of the matrix: what is kept is not determined")
        return 1 / gap

    def bound(self, condition: float = 1.0) -> float:
        """64 u sqrt(n) times a condition number, n as in :func:`~fishergauge.suites.comparison.summands`."""
        return rounding_bound(self.problem.dtype, summands(self.problem), condition)

    def generator(self, *names: object) -> torch.Generator:
        """A source of randomness on the processor, by names."""
        return generator(*names, self.problem.name, self.seed)

    def per(self) -> Sequence[str]:
        """The kinds of blocks that the subject may have: of layers, of parameters, or one of them where it is not declared."""
        return {"joint": ("layer",), "separate": ("parameter",), None: ("layer", "parameter")}[self.subject.bias]

    def joint(self) -> bool:
        """Whether weight and bias of a layer share a block: as declared, or else if the matrix has entries between them."""
        if self.subject.bias is not None:
            return self.subject.bias == "joint"
        matrix = self.matrix()
        layer, parameter = (self.quantities.restricted(self.problem, matrix, per) for per in ("layer", "parameter"))
        return bool((layer - parameter).norm() > torch.finfo(matrix.dtype).eps ** 0.5 * layer.norm())

    def biases(self) -> Sequence[Bias]:
        """How the subject may treat the bias: as declared, or either way."""
        return ("joint", "separate") if self.subject.bias is None else (self.subject.bias,)

"""The subject: what is under test, and what it declares about itself."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from torch import Tensor

Target = Literal["fisher", "ggn", "hessian", "empirical-fisher"]
Structure = Literal["dense", "block-diagonal", "diagonal", "quasi-diagonal", "kronecker", "eigen-kronecker", "low-rank", "none"]
Bias = Literal["joint", "separate"]
Sharing = Literal["expand", "reduce"]
Solve = Callable[[Any, Tensor, float], Tensor]


class SubjectError(ValueError):
    """A subject is declared wrongly, or cannot be loaded; the message names cause and remedy."""


@dataclass(frozen=True, eq=False)
class Subject:
    r"""A callable that maps a problem to a curvature matrix, and what it is meant to be.

    ``target`` and ``structure`` imply the claims that are checked: a dense Fisher must equal the exact one, a diagonal
    must equal its diagonal, a Kronecker factorisation must be exact in the settings in which theory says so.

    Args:
        name: how records and messages call it; no white space.
        build: ``Problem -> matrix``: a ``(P, P)`` tensor, or anything with ``shape`` and ``@``. With ``samples`` it may
            take the keywords ``generator`` (a ``torch.Generator`` to draw from; otherwise torch's global generator is
            seeded before each call) and ``samples`` (S, so that several numbers of draws can be examined). If it takes the
            keyword ``group``, it is called on the ranks of a ``torch.distributed`` group as well: there the problem is the
            rank's :class:`~fishergauge.reference.distributed.Shard` of the data, and each rank must return the matrix of all
            data. A rank without data gets a shard of zero samples, ``num_samples == 0``, with the same model and loss, and
            takes part in every collective. ``group`` is None by default, for a problem that has all data. Only collectives of
            this group may be used: other processes may belong to the default one.
        target: the quantity that is approximated.
        structure: what is kept of it.

            - ``dense``: all of it.
            - ``block-diagonal``: a block a layer (``bias="joint"``) or a parameter (``bias="separate"``).
            - ``diagonal``; ``quasi-diagonal``: for each unit the diagonal and the products with its bias.
            - ``kronecker``: G kron A for each weight; ``eigen-kronecker``: a diagonal in its eigenbasis.
            - ``low-rank``, ``none``: nothing is claimed but the axioms.
        samples: S, the number of labels drawn for each term of a Monte-Carlo estimator; None for a deterministic subject.
        bias: whether weight and bias of a layer share one block. None: recognised from the matrix.
        sharing: how a Kronecker factorisation treats a weight used at several positions.
        claims: names or globs of claims that hold beyond those implied.
        disclaims: names or globs of implied claims that are not made; they are measured all the same.
        expected_failures: reasons by ``"claim@problem"``, globs allowed. Strict: an entry whose checks all hold, or that
            matches no check, is an error.
        solve: ``(matrix, vector, damping) -> vector``, the damped inverse as the subject applies it.

    Raises:
        SubjectError: a declaration is not among the allowed ones, or contradicts another.

    Example:
        >>> from fishergauge.reference import fisher
        >>> Subject("exact", lambda problem: fisher(problem).dense()).structure
        'dense'
    """

    name: str
    build: Callable[..., Any]
    target: Target = "fisher"
    structure: Structure = "dense"
    samples: int | None = None
    bias: Bias | None = None
    sharing: Sharing = "expand"
    claims: Sequence[str] = ()
    disclaims: Sequence[str] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    solve: Solve | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or any(c.isspace() or c in "@[]" for c in self.name):
            raise SubjectError(f"the name of a subject is a text without white space, '@', '[' and ']', not {self.name!r}")
        if not callable(self.build):
            raise SubjectError(f"subject {self.name}: build must be callable, Problem -> matrix, not {self.build!r}")
        if self.solve is not None and not callable(self.solve):
            raise SubjectError(f"subject {self.name}: solve must be callable, (matrix, vector, damping) -> vector")
        self._choose("target", self.target, get_args(Target))
        self._choose("structure", self.structure, get_args(Structure))
        self._choose("bias", self.bias, (None, *get_args(Bias)))
        self._choose("sharing", self.sharing, get_args(Sharing))
        if self.samples is not None and (
            isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 1
        ):
            raise SubjectError(f"subject {self.name}: samples is a positive number of draws or None, not {self.samples!r}")
        if self.samples is not None and self.target not in ("fisher", "ggn"):
            raise SubjectError(
                f"subject {self.name}: a Monte-Carlo estimator (samples={self.samples}) has the target 'fisher' or 'ggn', "
                f"not {self.target!r}, in which nothing is drawn"
            )
        for what in ("claims", "disclaims"):
            value = getattr(self, what)
            if isinstance(value, str) or not all(isinstance(item, str) for item in value):
                raise SubjectError(f"subject {self.name}: {what} is a list of names, not {value!r}; write {what}=[...]")
        for key, reason in self.expected_failures.items():
            if not isinstance(reason, str) or not reason.strip():
                raise SubjectError(f"subject {self.name}: the expected failure {key!r} needs a reason")

    def _choose(self, what: str, value: object, allowed: tuple[object, ...]) -> None:
        if value not in allowed:
            raise SubjectError(f"subject {self.name}: {what} is one of {', '.join(map(repr, allowed))}, not {value!r}")

    @property
    def drawn(self) -> bool:
        """Whether it is a Monte-Carlo estimator."""
        return self.samples is not None

    @property
    def keywords(self) -> frozenset[str]:
        """Which of ``generator``, ``samples`` and ``group`` the callable takes."""
        try:
            parameters = inspect.signature(self.build).parameters
        except (TypeError, ValueError):
            return frozenset()
        return frozenset({"generator", "samples", "group"} & parameters.keys())


def as_subject(thing: object, name: str = "") -> Subject:
    """A subject as it is, or a bare callable as a dense Fisher.

    Args:
        thing: a subject or a callable.
        name: for a callable without a usable name of its own.

    Raises:
        SubjectError: it is neither.
    """
    if isinstance(thing, Subject):
        return thing
    if callable(thing):
        own = str(getattr(thing, "__name__", type(thing).__name__)).strip("<>")
        return Subject(name or own, thing)
    raise SubjectError(
        f"{name or 'this'} is a {type(thing).__name__}; a subject is a fishergauge.suites.Subject, or a callable that maps a "
        "Problem to a matrix"
    )

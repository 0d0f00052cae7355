"""Code under test is called here: whatever it does, the run goes on, and what it left changed is known and put back."""

import copy
import io
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal

from torch import Tensor

from fishergauge.reference import Problem, UndefinedError
from fishergauge.suites import process_state
from fishergauge.suites.alarm import Alarm, Interrupted
from fishergauge.suites.own_line import own_line, reason_of, text_of
from fishergauge.suites.untouched import differences, problem_state

Kind = Literal["unsupported", "undefined", "error", "timeout"]
LONGEST = 2000
MOST_WARNINGS = 20

on_call: Callable[[], None] | None = None
"""Called whenever a guarded call begins and ends: the sign of life of a worker process."""


@dataclass(frozen=True)
class Failure:
    """Why there is no value.

    Args:
        kind: ``unsupported`` (``NotImplementedError``), ``undefined`` (the quantity has no definition here),
            ``timeout`` (stopped) or ``error`` (anything else).
        reason: type, message and the innermost line of the code under test.
    """

    kind: Kind
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What came of a guarded call.

    Args:
        value: what was returned; None after a failure.
        failure: None if a value was returned.
        changes: what was left changed, by name.
        printed: what was written to the standard streams, cut off after 2000 characters.
        warned: the warnings, each once, as ``"category: message"``.
        seconds: spent in the function.
    """

    value: Any = None
    failure: Failure | None = None
    changes: tuple[str, ...] = ()
    printed: str = ""
    warned: tuple[str, ...] = ()
    seconds: float = 0.0


def guarded(
    function: Callable[..., Any],
    /,
    *args: Any,
    problem: Problem | None = None,
    limit: float = 10.0,
    seed: int = 0,
    report_random: bool = False,
    **keywords: Any,
) -> Outcome:
    """Call a function of others, and survive it.

    The global generators of torch, numpy and Python are seeded before and put back after, as is everything in
    :data:`fishergauge.suites.process_state.ASPECTS`. The problem is examined, not put back: pass a
    :func:`fresh_copy`.

    Args:
        function: of others.
        args: for the function.
        problem: the copy that the function gets; what it changes of it is reported.
        limit: seconds, after which the function is interrupted: in the main thread, not on Windows, and only
            between steps of Python code. Processes that can be killed are those of :mod:`fishergauge.suites.workers`.
        seed: for the global generators.
        report_random: whether a use of the global generators counts as a change.
        keywords: for the function.

    Returns:
        The value, or why there is none, and what was observed.

    Raises:
        KeyboardInterrupt: that is the user's, even if the function raised it.

    Example:
        >>> guarded(lambda x: 2 * x, 21).value
        42
        >>> guarded(lambda x: x / 0, 1).failure.kind
        'error'
    """
    before = problem_state(problem) if problem is not None else {}
    _sign_of_life()
    alarm = Alarm(limit)
    with (
        process_state.preserved(seed, report_random) as process_changes,
        _own_streams() as (tape, stream_changes),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("default")
        filters, modules = list(warnings.filters), len(sys.modules)
        started = time.perf_counter()
        value, failure = _call(function, args, keywords, alarm)
        seconds = time.perf_counter() - started
        filter_changes = ["filters of warnings"] if len(sys.modules) == modules and filters != warnings.filters else []
    _sign_of_life()
    alarm_changes = ["alarm"] if alarm.tampered else []
    return Outcome(
        value=value,
        failure=failure,
        changes=(*_changes(problem, before), *process_changes, *stream_changes, *filter_changes, *alarm_changes),
        printed=tape.text,
        warned=_texts(caught),
        seconds=seconds,
    )


def fresh_copy(problem: Problem) -> Problem:
    """A problem of its own for code under test: model, loss and data are copied, name and facts are kept.

    Weights that are tied stay tied; gradients are left behind. Nothing is evaluated.

    Args:
        problem: not changed.

    Example:
        >>> import torch
        >>> original = Problem(torch.nn.Linear(2, 1), torch.nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> _ = fresh_copy(original).model.weight.data.zero_()
        >>> bool(original.model.weight.any())
        True
    """
    model, loss = copy.deepcopy((problem.model, problem.loss))
    batches = tuple((_copied(inputs), _copied(targets)) for inputs, targets in problem.batches)
    fresh: Problem = object.__new__(type(problem))
    for item in fields(problem):
        object.__setattr__(fresh, item.name, getattr(problem, item.name))
    for name, value in {"model": model, "loss": loss, "batches": batches}.items():
        object.__setattr__(fresh, name, value)
    return fresh


def _copied(data: Tensor) -> Tensor:
    return data.detach().clone().requires_grad_(data.requires_grad)


def _sign_of_life() -> None:
    if on_call is not None:
        on_call()


def _call(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any], alarm: Alarm
) -> tuple[Any, Failure | None]:
    """The value or the failure; only what is not the function's own doing is raised."""
    try:
        with alarm:
            return function(*args, **keywords), None
    except BaseException as error:
        if error is alarm.foreign or isinstance(error, KeyboardInterrupt):
            raise
        if isinstance(error, Interrupted):
            where = own_line(error.__traceback__)
            return None, Failure("timeout", f"stopped after {alarm.limit:g} s{where}")
        kind: Kind = "error"
        if isinstance(error, NotImplementedError):
            kind = "unsupported"
        elif isinstance(error, UndefinedError):
            kind = "undefined"
        return None, Failure(kind, reason_of(error))


def _changes(problem: Problem | None, before: dict[str, object]) -> tuple[str, ...]:
    """What of the problem is not as it was."""
    if problem is None:
        return ()
    try:
        return differences(before, problem_state(problem))
    except Exception as error:
        return (f"the problem, which cannot be read any more ({type(error).__name__}: {text_of(error)})",)


def _texts(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Each warning once, not more than twenty."""
    texts = list(dict.fromkeys(f"{item.category.__name__}: {text_of(item.message)}" for item in caught))
    more = [f"and {len(texts) - MOST_WARNINGS} more"] if len(texts) > MOST_WARNINGS else []
    return (*texts[:MOST_WARNINGS], *more)


class _Tape(io.TextIOBase):
    """A stream that keeps the first characters and forgets the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.buffer = _Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        room = LONGEST - len(self.text)
        if room > 0:
            self.text += text[:room]
        return len(text)

    def close(self) -> None:
        """Stays open: whoever keeps it may go on writing."""


class _Bytes(io.RawIOBase):
    """The stream of bytes below a tape."""

    def __init__(self, tape: _Tape) -> None:
        super().__init__()
        self._tape = tape

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._tape.write(bytes(data).decode("utf-8", "replace"))
        return len(data)


@contextmanager
def _own_streams() -> Iterator[tuple[_Tape, list[str]]]:
    """Redirect what Python code writes to the standard streams, and put these back."""
    tape, changed = _Tape(), list[str]()
    out, err = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = tape
    try:
        yield tape, changed
    finally:
        if sys.stdout is not tape or sys.stderr is not tape:
            changed.append("standard streams")
        sys.stdout, sys.stderr = out, err

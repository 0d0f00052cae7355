"""The guard survives every subject that misbehaves, says what it did, and leaves the process as it was."""

import gc
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, UndefinedError, UnsupportedError, fisher
from fishergauge.suites import process_state
from fishergauge.suites.alarm import Alarm, Interrupted
from fishergauge.suites.guard import fresh_copy, guarded
from fishergauge.suites.process_state import RANDOM, read, same
from fishergauge.suites.zoo import ZOO, zoo_problem

HERE = "test_guard.py:"


def _weight(problem: Problem) -> Any:
    return next(iter(problem.parameters.values()))


def _first(problem: Problem) -> nn.Module:
    return next(problem.model.children())


def _in_place(problem: Problem) -> None:
    with torch.no_grad():
        _weight(problem).add_(1)


def _gradients(problem: Problem) -> None:
    problem.loss(problem.model(problem.inputs), problem.targets).backward()


def _other_parameter(problem: Problem) -> None:
    _first(problem).weight = nn.Parameter(_weight(problem).detach().clone())


def _leaves_then_raises(problem: Problem) -> None:
    _first(problem).register_forward_hook(print)
    raise ValueError("after the hook")


def _unreadable(problem: Problem) -> None:
    object.__setattr__(problem, "batches", None)
    object.__delattr__(problem, "model")


TO_THE_PROBLEM: dict[str, tuple[Callable[[Problem], object], tuple[str, ...]]] = {
    "weights in place": (_in_place, ("parameters and buffers",)),
    "weights by data": (lambda p: _weight(p).data.mul_(2), ("parameters and buffers",)),
    "accumulates gradients": (_gradients, ("gradients",)),
    "replaces a gradient": (lambda p: setattr(_weight(p), "grad", torch.ones_like(_weight(p))), ("gradients",)),
    "freezes a weight": (lambda p: _weight(p).requires_grad_(False), ("which parameters require gradients",)),
    "replaces a parameter": (_other_parameter, ("parameters",)),
    "adds a parameter": (
        lambda p: p.model.register_parameter("scale", nn.Parameter(torch.ones(1))),
        ("parameters", "parameters and buffers", "gradients", "which parameters require gradients"),
    ),
    "adds a buffer": (lambda p: p.model.register_buffer("seen", torch.ones(1), persistent=False), ("parameters and buffers",)),
    "adds an attribute": (lambda p: setattr(_first(p), "input0", 1), ("attributes of modules", "settings of modules")),
    "adds an attribute to a weight": (lambda p: setattr(_weight(p), "kfac", []), ("attributes of parameters",)),
    "sets an attribute": (lambda p: setattr(_first(p), "in_features", 17), ("settings of modules",)),
    "training mode": (lambda p: p.model.train(not p.model.training), ("training modes",)),
    "training mode of the loss": (lambda p: p.loss.train(not p.loss.training), ("training modes",)),
    "forward hook": (lambda p: _first(p).register_forward_hook(print), ("hooks",)),
    "forward pre-hook": (lambda p: _first(p).register_forward_pre_hook(print), ("hooks",)),
    "backward hook": (lambda p: _first(p).register_full_backward_hook(print), ("hooks",)),
    "hook on the loss": (lambda p: p.loss.register_forward_hook(print), ("hooks",)),
    "hook on a weight": (lambda p: _weight(p).register_hook(print), ("hooks of parameters",)),
    "hook after accumulation": (
        lambda p: _weight(p).register_post_accumulate_grad_hook(lambda _: None),
        ("hooks of parameters",),
    ),
    "hook, then raises": (_leaves_then_raises, ("hooks",)),
    "replaces a module": (lambda p: setattr(p.model, "1", nn.Tanh().eval()), ("modules",)),
    "changes the class": (lambda p: setattr(p.model, "__class__", type("Other", (nn.Sequential,), {})), ("modules",)),
    "inputs in place": (lambda p: p.batches[0][0].zero_(), ("inputs and targets",)),
    "concatenated inputs in place": (lambda p: p.inputs.zero_(), ("inputs and targets",)),
    "gradients of inputs": (lambda p: p.inputs.requires_grad_(), ("which data require gradients",)),
    "gradient left at inputs": (
        lambda p: setattr(p.inputs, "grad", torch.ones_like(p.inputs)),
        ("gradients of data",),
    ),
}
TO_THE_PROCESS: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "default dtype": (lambda: torch.set_default_dtype(torch.float16), ("default dtype",)),
    "default device": (lambda: torch.set_default_device("meta"), ("default device",)),
    "number of threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 1), ("number of threads",)),
    "gradients off": (lambda: torch.set_grad_enabled(False), ("gradient mode",)),
    "deterministic": (lambda: torch.use_deterministic_algorithms(True, warn_only=True), ("deterministic mode",)),
    "anomaly": (lambda: torch.autograd.set_detect_anomaly(True, False), ("anomaly mode",)),
    "precision of products": (lambda: torch.set_float32_matmul_precision("medium"), ("precision of products",)),
    "autocast": (lambda: torch.set_autocast_enabled("cpu", True), ("autocast",)),
    "fast path": (lambda: torch.backends.mha.set_fastpath_enabled(False), ("fast path of attention",)),
    "attention": (lambda: torch.backends.cuda.enable_math_sdp(False), ("fused attention",)),
    "global hook": (
        lambda: nn.modules.module.register_module_forward_hook(lambda *_: None),
        ("hooks of all modules",),
    ),
    "numpy": (lambda: np.seterr(all="ignore"), ("numpy's treatment of floating-point errors",)),
    "directory": (lambda: os.chdir(os.sep), ("current directory",)),
    "handler": (lambda: signal.signal(signal.SIGTERM, lambda *_: None), ("signal handlers",)),
    "alarm": (lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN), ("alarm",)),
    "clock": (lambda: signal.setitimer(signal.ITIMER_REAL, 0), ("alarm",)),
    "mask": (lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]), ("alarm",)),
    "recursion": (lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1), ("recursion limit",)),
    "collector": (gc.disable, ("garbage collector",)),
    "environment": (lambda: os.environ.update(FISHERGAUGE_LEFT="1"), ("environment variables",)),
    "streams": (lambda: setattr(sys, "stdout", None), ("standard streams",)),
    "filters": (lambda: warnings.simplefilter("error"), ("filters of warnings",)),
}
RANDOM_USES: dict[str, tuple[Callable[[], object], str]] = {
    "draws from torch": (lambda: torch.rand(2), "random state"),
    "seeds torch": (lambda: torch.manual_seed(0), "random state"),
    "draws from numpy": (lambda: np.random.rand(), "random state of numpy"),  # noqa: NPY002
    "seeds numpy": (lambda: np.random.seed(0), "random state of numpy"),  # noqa: NPY002
    "draws from Python": (random.random, "random state of Python"),
}


def _process() -> dict[str, object]:
    state = {**read(), **read(RANDOM), "environment": os.environ.get("FISHERGAUGE_LEFT")}
    streams = (sys.stdout, sys.stderr)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return {**state, "streams": streams, "mask": mask, "timer": signal.getitimer(signal.ITIMER_REAL)}


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """No test of this file, whatever its subject does, changes the process."""
    before = _process()
    yield
    after = _process()
    assert [name for name in before if not same(before[name], after[name])] == []


@pytest.mark.parametrize("name", ZOO)
def test_a_clean_subject_changes_nothing(name: str) -> None:
    problem = fresh_copy(zoo_problem(name))
    outcome = guarded(lambda p: p.loss(p.model(p.inputs), p.targets).detach(), problem, problem=problem, report_random=True)
    assert outcome.failure is None
    assert (outcome.changes, outcome.printed, outcome.warned) == ((), "", ())
    assert isinstance(outcome.value, Tensor)


@pytest.mark.parametrize("what", TO_THE_PROBLEM)
def test_a_change_of_the_problem_is_named(what: str) -> None:
    spoil, expected = TO_THE_PROBLEM[what]
    problem = fresh_copy(zoo_problem("mlp-tanh-softmax"))
    outcome = guarded(spoil, problem, problem=problem)
    assert outcome.changes[: len(expected)] == expected
    assert set(outcome.changes) - set(expected) <= {"attributes of parameters", "hooks of parameters", "attributes of modules"}


def test_a_hook_that_was_removed_again_is_no_change() -> None:
    problem = fresh_copy(zoo_problem("mlp-tanh-softmax"))

    def tidy(p: Problem) -> None:
        handles = [_weight(p).register_hook(print), _first(p).register_full_backward_hook(print)]
        for handle in handles:
            handle.remove()

    assert guarded(tidy, problem, problem=problem).changes == ()


def test_a_problem_that_was_destroyed_is_named() -> None:
    problem = fresh_copy(zoo_problem("mlp-tanh-softmax"))
    (change,) = guarded(_unreadable, problem, problem=problem).changes
    assert "cannot be read any more" in change


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("what", TO_THE_PROCESS)
def test_a_change_of_the_process_is_named_and_undone(what: str, raises: bool) -> None:
    spoil, expected = TO_THE_PROCESS[what]

    def subject() -> None:
        spoil()
        if raises:
            raise ValueError("and more")

    filters = list(warnings.filters)
    outcome = guarded(subject)
    assert outcome.changes == expected
    assert filters == list(warnings.filters)
    assert (outcome.failure is not None) == raises


@pytest.mark.parametrize("what", RANDOM_USES)
def test_a_use_of_the_global_generators_is_put_back_and_named_on_request(what: str) -> None:
    use, expected = RANDOM_USES[what]
    assert guarded(use).changes == ()
    assert guarded(use, report_random=True).changes == (expected,)


def test_the_seed_decides_what_is_drawn() -> None:
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002

    assert guarded(draw, seed=1).value == guarded(draw, seed=1).value
    assert all(a != b for a, b in zip(guarded(draw, seed=1).value, guarded(draw, seed=2).value, strict=True))


def test_settings_made_by_a_first_import_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FISHERGAUGE_SET", raising=False)
    (tmp_path / "sets_a_variable.py").write_text("import os\nos.environ['FISHERGAUGE_SET'] = '1'\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert guarded(lambda: __import__("sets_a_variable")).changes == ()
        assert os.environ["FISHERGAUGE_SET"] == "1"
    finally:
        sys.modules.pop("sets_a_variable", None)
        del os.environ["FISHERGAUGE_SET"]


class _Silent(Exception):
    """Has no message to print."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


def _raises(error: BaseException) -> Callable[[], None]:
    def subject() -> None:
        raise error

    return subject


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (NotImplementedError("no convolutions"), "unsupported", "NotImplementedError: no convolutions ("),
        (UnsupportedError("no attention"), "unsupported", "UnsupportedError: no attention ("),
        (UndefinedError("no Fisher"), "undefined", "UndefinedError: no Fisher ("),
        (ValueError("negative"), "error", "ValueError: negative ("),
        (AssertionError(), "error", "AssertionError ("),
        (_Silent(), "error", "_Silent: its message cannot be printed ("),
        (RuntimeError("x" * 5000), "error", "RuntimeError: xxx"),
        (MemoryError(), "error", "MemoryError ("),
        (SystemExit(3), "error", "it called exit(3) ("),
        (SystemExit(), "error", "it called exit() ("),
        (GeneratorExit(), "error", "GeneratorExit ("),
    ],
)
def test_what_is_raised_becomes_a_reason(error: BaseException, kind: str, reason: str) -> None:
    failure = guarded(_raises(error)).failure
    assert failure is not None
    assert failure.kind == kind
    assert failure.reason.startswith(reason)
    assert len(failure.reason) < 800
    assert HERE in failure.reason
    assert failure.reason.endswith("in subject)")


def test_the_reason_names_the_line_of_the_subject_and_not_of_the_libraries_below() -> None:
    for subject in (lambda: torch.nn.Linear(2, 3)(torch.ones(5)), lambda: fisher(zoo_problem("class-weights")).dense()):
        failure = guarded(subject).failure
        assert failure is not None
        assert HERE in failure.reason
        assert failure.reason.endswith("in <lambda>)")


def test_endless_recursion_is_an_error() -> None:
    def deeper() -> None:
        deeper()

    failure = guarded(deeper).failure
    assert failure is not None
    assert failure.reason.startswith("RecursionError")


def test_an_interrupt_from_the_keyboard_is_the_users() -> None:
    with pytest.raises(KeyboardInterrupt):
        guarded(_raises(KeyboardInterrupt()))


def _hangs() -> None:
    while True:
        time.sleep(0.01)


def _hangs_and_swallows() -> None:
    while True:
        with suppress(Exception):
            time.sleep(0.01)


def _swallows_once() -> None:
    try:
        _hangs()
    except BaseException:
        _hangs()


def _computes() -> None:
    matrix = torch.eye(3)
    while True:
        matrix = matrix @ matrix


class _Slow(torch.autograd.Function):
    """A function whose derivative never ends."""

    @staticmethod
    def forward(ctx: object, inputs: Tensor) -> Tensor:
        return inputs.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> None:
        _hangs()


def _hangs_in_autograd() -> None:
    slow: Any = _Slow
    slow.apply(torch.ones(2, requires_grad=True)).sum().backward()


@pytest.mark.parametrize("hang", [_hangs, _hangs_and_swallows, _swallows_once, _computes, _hangs_in_autograd])
def test_a_subject_that_hangs_is_stopped(hang: Callable[[], None]) -> None:
    before = time.monotonic()
    outcome = guarded(hang, limit=0.1)
    assert time.monotonic() - before < 5
    assert outcome.failure is not None
    assert outcome.failure.kind == "timeout"
    assert outcome.failure.reason.startswith("stopped after 0.1 s (")
    assert HERE in outcome.failure.reason


def test_a_subject_that_ends_in_time_is_not_stopped() -> None:
    outcome = guarded(lambda: time.sleep(0.05), limit=0.5)
    time.sleep(0.6)
    assert outcome.failure is None
    assert 0.05 <= outcome.seconds < 0.5


def test_guards_can_be_nested() -> None:
    inner_first = guarded(lambda: guarded(_hangs, limit=0.1).failure, limit=20)
    assert inner_first.failure is None
    assert inner_first.value.kind == "timeout"
    outer_first = guarded(lambda: guarded(_hangs, limit=20), limit=0.1)
    assert outer_first.failure is not None
    assert outer_first.failure.kind == "timeout"


class _Runner(BaseException):
    """What the alarm of a test runner raises."""


@pytest.fixture
def rung() -> Iterator[list[float]]:
    """The times at which the alarm of somebody else rang."""
    times: list[float] = []

    def ring(*_: object) -> None:
        times.append(time.monotonic())
        if len(times) > 1:
            raise _Runner

    before = signal.signal(signal.SIGALRM, ring)
    yield times
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_alarm_that_was_set_before_goes_on_with_the_time_left(rung: list[float]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 5, 7)
    assert guarded(_hangs, limit=0.2).failure is not None
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 3 < left <= 4.8
    assert interval == 7
    assert not rung


def test_an_alarm_that_was_set_before_is_served_meanwhile(rung: list[float]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    assert guarded(lambda: time.sleep(0.5)).failure is None
    assert len(rung) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_what_the_alarm_of_others_raises_is_not_the_subjects(rung: list[float]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    with pytest.raises(_Runner):
        guarded(_hangs)


def test_an_alarm_that_waits_behind_a_mask_harms_nobody() -> None:
    def blocks() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        signal.pthread_kill(threading.get_ident(), signal.SIGALRM)

    assert guarded(blocks).changes == ("alarm",)


def test_an_alarm_that_was_blocked_before_rings_and_is_blocked_again() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    try:
        outcome = guarded(_hangs, limit=0.1)
        assert outcome.failure is not None
        assert outcome.changes == ()
        assert signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_the_alarm_raises_what_exception_does_not_cover() -> None:
    assert not issubclass(Interrupted, Exception)
    with pytest.raises(Interrupted), Alarm(0.05):
        _hangs_and_swallows()


def test_outside_the_main_thread_everything_but_the_interruption_works() -> None:
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(guarded(lambda: torch.set_default_dtype(torch.float16), limit=0.01))
    )
    thread.start()
    thread.join()
    assert outcomes[0].changes == ("default dtype",)
    assert outcomes[0].failure is None


def test_a_thread_that_goes_on_does_no_harm() -> None:
    end = threading.Event()
    threads: list[threading.Thread] = []

    def subject() -> None:
        threads.append(threading.Thread(target=end.wait, daemon=True))
        threads[0].start()

    assert guarded(subject).failure is None
    assert threads[0].is_alive()
    end.set()
    threads[0].join()


def test_what_is_printed_is_kept_and_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    def talks() -> None:
        print("one")
        print("two", file=sys.stderr)
        sys.stdout.buffer.write(b"three\n")
        print("x" * 10_000)

    printed = guarded(talks).printed
    assert printed.startswith("one\ntwo\nthree\nxxx")
    assert len(printed) == 2000
    assert capsys.readouterr() == ("", "")


def test_warnings_are_kept_also_where_they_are_errors() -> None:
    def warns() -> None:
        for number in range(30):
            warnings.warn(f"number {number % 25}", RuntimeWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = guarded(warns)
    assert outcome.failure is None
    assert outcome.warned[0] == "RuntimeWarning: number 0"
    assert outcome.warned[20:] == ("and 5 more",)


def test_a_copy_is_equal_and_independent() -> None:
    original = zoo_problem("tied-autoencoder")
    copied = fresh_copy(original)
    assert (copied.name, copied.facts, copied.num_parameters) == (original.name, original.facts, original.num_parameters)
    assert len(list(copied.model.parameters())) == len(list(original.model.parameters()))
    assert torch.equal(copied.vector, original.vector)
    assert torch.equal(fisher(copied).dense(), fisher(original).dense())
    _in_place(copied)
    copied.inputs.zero_()
    copied.batches[0][1].zero_()
    assert torch.equal(original.vector, zoo_problem("tied-autoencoder").vector)
    assert torch.equal(original.inputs, zoo_problem("tied-autoencoder").inputs)
    assert torch.equal(original.targets, zoo_problem("tied-autoencoder").targets)


def test_nan_in_the_data_is_no_change_and_a_new_one_is() -> None:
    problem = fresh_copy(zoo_problem("mlp-tanh-softmax"))
    problem.batches[0][0][0, 0] = torch.nan
    assert guarded(lambda: None, problem=problem).changes == ()
    problem = fresh_copy(problem)
    outcome = guarded(lambda p: p.batches[0][0].mul_(torch.nan), problem, problem=problem)
    assert outcome.changes == ("inputs and targets",)


def test_every_aspect_of_the_process_was_seen_to_change() -> None:
    seen = {name for _, expected in TO_THE_PROCESS.values() for name in expected}
    assert {aspect.name for aspect in process_state.ASPECTS} <= seen

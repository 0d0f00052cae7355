"""Measuring: what is wrong is not timed, what refuses or fails says why, and nothing is left behind."""

import dataclasses
import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, UnsupportedError, ggn
from fishergauge.suites.benchmarks import measurement, stopwatch
from fishergauge.suites.benchmarks.implementation import Call, Implementation
from fishergauge.suites.benchmarks.limits import Limits
from fishergauge.suites.benchmarks.measurement import NO_DEVICE, measure
from fishergauge.suites.benchmarks.record import BenchRecord, Key, line
from fishergauge.suites.benchmarks.small_benches import SMALL
from fishergauge.suites.benchmarks.task import Task

MLP = SMALL["tiny-mlp"]
DENSE = Task("ggn", "dense")
FIGURES = ("median_seconds", "fastest_seconds", "event_seconds", "peak_bytes", "flops", "forward_passes", "backward_passes")


@pytest.fixture(autouse=True)
def _known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "measure_limits", lambda dtype, device: Limits(1e9, 1e9, "float64", "cpu", 1))
    monkeypatch.setattr(measurement, "WARM_SECONDS", 0.0)


def implementation(
    name: str,
    prepare: Callable[[Problem], Call],
    task: Task = DENSE,
    refusal: str | None = None,
    requires: tuple[str, ...] = (),
) -> Implementation:
    return Implementation(name, "peer", task, prepare, refuses=lambda problem: refusal, requires=requires)


def right(problem: Problem) -> Call:
    return lambda: ggn(problem).dense()


def one(made: Implementation, **options: object) -> BenchRecord:
    (record,) = measure([made], [MLP], rounds=2, **options)  # type: ignore[arg-type]
    return record


def figures(record: BenchRecord) -> list[str]:
    return [name for name in FIGURES if getattr(record, name) is not None]


def test_what_is_right_is_counted_and_timed() -> None:
    record = one(implementation("right", right))
    assert record.verified is True
    assert record.rounds == 2
    assert record.reason == ""
    assert record.median_seconds is not None
    assert record.fastest_seconds is not None
    assert 0 < record.fastest_seconds <= record.median_seconds
    assert record.flops
    assert record.forward_passes
    assert record.backward_passes is not None
    assert record.peak_bytes
    assert record.sizes == {"N": 20, "P": 31, "C": 3}
    assert record.deviation is not None
    assert record.bound is not None
    assert record.deviation <= record.bound
    assert record.limit_flops
    assert record.limit_seconds
    assert record.versions["torch"]
    assert record.machine["threads"]
    assert line(record)


def test_what_is_wrong_is_red_and_has_no_figures() -> None:
    record = one(implementation("twice", lambda problem: lambda: 2 * ggn(problem).dense()))
    assert record.red
    assert record.verified is False
    assert not figures(record)
    assert record.rounds == 0
    assert record.deviation == pytest.approx(1)
    assert record.bound is not None
    assert "rows" in record.against
    assert record.reason == "wrong, and not timed"


def test_what_is_not_compared_is_timed_and_says_so() -> None:
    record = one(implementation("unknown", right, Task("mine", "dense")))
    assert record.verified is None
    assert record.median_seconds is not None
    assert record.reason.startswith("not compared")


def _fails(error: Exception) -> Callable[[Problem], Call]:
    def prepare(problem: Problem) -> Call:
        def call() -> Tensor:
            raise error

        return call

    return prepare


def test_what_fails_is_red_and_says_so_in_one_line() -> None:
    record = one(implementation("broken", _fails(RuntimeError("no such kernel\nand a trace"))))
    assert record.red
    assert record.reason == "error: RuntimeError: no such kernel"
    assert not figures(record)


@pytest.mark.parametrize(
    "error", [UnsupportedError("not this model"), NotImplementedError("not this model")], ids=["own", "python"]
)
def test_what_refuses_is_not_red(error: Exception) -> None:
    record = one(implementation("refusing", _fails(error)))
    assert not record.red
    assert record.verified is None
    assert record.reason == "not measured: not this model"
    assert not figures(record)


def test_what_refuses_beforehand_is_not_prepared() -> None:
    record = one(implementation("refusing", _fails(AssertionError()), refusal="too large"))
    assert record.verified is None
    assert record.reason == "not measured: too large"


def test_what_is_not_installed_says_so() -> None:
    record = one(implementation("absent", right, requires=("no_such_module",)))
    assert record.verified is None
    assert record.reason == "not measured: not installed: no_such_module"


def test_a_failure_in_a_later_call_is_red() -> None:
    def prepare(problem: Problem) -> Call:
        calls: list[int] = []

        def call() -> Tensor:
            calls.append(0)
            if len(calls) > 1:
                raise RuntimeError("only once")
            return ggn(problem).dense()

        return call

    record = one(implementation("once", prepare))
    assert record.red
    assert "error in a later call: RuntimeError: only once" in record.reason
    assert record.median_seconds is None


def test_what_changes_the_model_is_red_and_the_next_has_another_copy() -> None:
    def prepare(problem: Problem) -> Call:
        def call() -> Tensor:
            matrix = ggn(problem).dense()
            with torch.no_grad():
                next(problem.model.parameters()).add_(1)
            return matrix

        return call

    first, changed, after = measure(
        [implementation("first", right), implementation("changing", prepare), implementation("right", right)], [MLP], time=False
    )
    assert first.verified is True
    assert changed.red
    assert changed.reason.startswith("left changed: parameters")
    assert not figures(changed)
    assert after.verified is True


def test_without_time_everything_else_is_measured() -> None:
    record = one(implementation("right", right), time=False)
    assert record.verified is True
    assert record.flops
    assert record.peak_bytes
    assert record.limit_flops
    assert record.median_seconds is None
    assert record.limit_seconds is None
    assert record.rounds == 0


def counted_calls(calls: list[int]) -> Callable[[Problem], Call]:
    def prepare(problem: Problem) -> Call:
        def call() -> Tensor:
            calls.append(0)
            return ggn(problem).dense()

        return call

    return prepare


def test_beyond_the_limit_the_first_call_is_the_only_one() -> None:
    calls: list[int] = []
    record = one(implementation("slow", counted_calls(calls)), limit=0.0)
    assert record.verified is True
    assert record.rounds == 1
    assert record.median_seconds == record.fastest_seconds
    assert record.reason == "timed once, neither counted nor its memory measured: a call takes more than 0 s"
    assert (record.flops, record.forward_passes, record.peak_bytes) == (None, None, None)
    assert len(calls) == 1


def test_what_is_slow_is_timed_in_one_round_without_warming(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(measurement, "SLOW", 0.0)
    record = one(implementation("slow", counted_calls(calls)))
    assert record.rounds == 1
    assert record.flops
    assert len(calls) == 1 + 2 + 1, "verified, counted and its memory measured, timed"


def test_a_call_that_does_not_end_is_given_up_and_not_red() -> None:
    def prepare(problem: Problem) -> Call:
        def call() -> Tensor:
            while True:
                ggn(problem)

        return call

    endless, after = measure(
        [implementation("endless", prepare), implementation("right", right)], [MLP], patience=0.2, time=False
    )
    assert not endless.red
    assert endless.reason == "not measured: a call takes more than 0.2 s"
    assert not figures(endless)
    assert after.verified is True


def test_the_collector_is_given_back_what_it_did_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    original = gc.freeze

    def noted() -> None:
        passes.append(0)
        original()

    monkeypatch.setattr(gc, "freeze", noted)
    before = gc.get_freeze_count()
    seen: list[int] = []

    def prepare(problem: Problem) -> Call:
        seen.append(gc.get_freeze_count())
        return right(problem)

    one(implementation("right", prepare), time=False)
    assert seen[0] > before
    assert gc.get_freeze_count() <= before
    with measurement.frozen():
        one(implementation("right", prepare), time=False)
        assert gc.get_freeze_count() > before
    assert len(passes) == 2
    with pytest.raises(KeyboardInterrupt):
        measure([implementation("stopped", _fails(KeyboardInterrupt()))], [MLP], time=False)  # type: ignore[arg-type]
    assert gc.get_freeze_count() <= before
    one(implementation("right", prepare), time=False)
    assert len(passes) == 4


def test_a_missing_device_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "devices", lambda: ["cpu"])
    (record,) = measure([implementation("right", right)], [MLP], device="cuda")
    assert record.reason == NO_DEVICE == "not measured: no device"
    assert record.device == "cuda"
    assert not figures(record)


def test_all_of_a_task_are_timed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    original = stopwatch.time_interleaved

    def noted(calls, clock, **options):  # type: ignore[no-untyped-def]
        seen.append(list(calls))
        return original(calls, clock, **options)

    monkeypatch.setattr(measurement, "time_interleaved", noted)
    wrong = implementation("wrong", lambda problem: lambda: -ggn(problem).dense())
    other = implementation("other", lambda problem: lambda: ggn(problem).diagonal(), Task("ggn", "diagonal"))
    records = measure([implementation("a", right), wrong, implementation("b", right), other], [MLP], rounds=1)
    assert seen == [["a", "b"], ["other"]]
    assert [record.implementation for record in records] == ["a", "wrong", "b", "other"]


def test_records_have_the_keys_that_were_asked_for_and_progress_is_told() -> None:
    told: list[tuple[int, int, object]] = []
    records = measure(
        [implementation("right", right)],
        [MLP, SMALL["tiny-softmax"]],
        ["float64", "float32"],
        time=False,
        progress=lambda *what: told.append(what),
    )
    assert [record.key for record in records] == [
        Key("right", "ggn", "dense", name, dtype, "cpu")
        for name in ("tiny-mlp", "tiny-softmax")
        for dtype in ("float64", "float32")
    ]
    assert told[0] == (0, 4, "ggn/dense on tiny-mlp (float64)")
    assert len(told) == 4


def test_passes_through_a_prepared_operator_are_counted() -> None:
    from fishergauge.suites.benchmarks.registry import implementations

    (product,) = implementations(["reference"], globs=["ggn/product"])
    (record,) = measure([dataclasses.replace(product)], [MLP], time=False)
    assert record.verified
    assert record.backward_passes
    assert record.backward_passes >= 1


def test_warnings_of_others_are_no_errors_and_the_random_state_is_kept() -> None:
    import warnings

    def prepare(problem: Problem) -> Call:
        def call() -> Tensor:
            warnings.warn("noisy", UserWarning, stacklevel=1)
            torch.rand(1)
            return ggn(problem).dense()

        return call

    before = torch.random.get_rng_state()
    assert one(implementation("noisy", prepare), time=False).verified is True
    assert torch.equal(before, torch.random.get_rng_state())

"""The suites of pytest-benchmark verify before they time, name the machine, and write and compare files as users expect."""

import json
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge import suites
from fishergauge.reference import Problem, UnsupportedError, ggn
from fishergauge.suites.benchmarks import limits, problems, registry
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.machine import machine
from fishergauge.suites.benchmarks.measurement import measure
from fishergauge.suites.benchmarks.passes import count
from fishergauge.suites.benchmarks.pytest_benchmark_hooks import (
    pytest_benchmark_compare_machine_info,
    pytest_benchmark_update_json,
)
from fishergauge.suites.benchmarks.task import Task, vector_of
from fishergauge.suites.subject import Subject

pytest.importorskip("pytest_benchmark")
pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

HOST = """
[tool.pytest]
strict = true
filterwarnings = ["error"]
addopts = ["-p", "no:cacheprovider", "-rA"]
"""

ON_A_DEVICE = """
import pytest
from fishergauge.suites.benchmarks.clocks import CudaClock, synchronized_now
from fishergauge.suites.benchmarks.fake_cuda import FakeCuda
from fishergauge.suites.benchmarks.measured import timed

def test_on_a_device(request):
    device = FakeCuda("cuda")
    clock = CudaClock("cuda", device, device.now)
    request.node.add_marker(pytest.mark.benchmark(timer=synchronized_now(clock)), append=False)
    benchmark = request.getfixturevalue("benchmark")
    work = device.work(0.001)
    work()
    assert timed(benchmark, work, clock, rounds=5) == pytest.approx(0.001, abs=1e-5)
    assert benchmark.stats.stats.rounds == 5
    assert benchmark.stats.stats.median == pytest.approx(0.001, abs=1e-5)
    assert sum(event.reached is not None for event in device.events) == 10
    assert benchmark.group is None
"""

BUILD = "fishergauge.suites.bench_build"
CASE = "test_build[ggn/dense-{}-tiny-small-float64-cpu]"


COUNTED = ("flops", "forward_passes", "backward_passes", "peak_bytes", "limit_flops", "limit_bytes", "against")


def product(problem: Problem) -> Callable[[], Tensor]:
    """Products through a graph that is made before the call."""
    operator, vector = ggn(problem), vector_of(problem)
    operator @ vector  # the graph is made by the first product
    return lambda: operator @ vector


def right(problem: Problem) -> Callable[[], Tensor]:
    """The dense GGN."""
    return lambda: ggn(problem).dense()


def refusing(problem: Problem) -> Callable[[], Tensor]:
    """Notices late that it cannot."""
    raise UnsupportedError("too tiny")


def meddling(problem: Problem) -> Callable[[], Tensor]:
    """Moves the parameters after it has computed what is right."""

    def call() -> Tensor:
        matrix = ggn(problem).dense()
        with torch.no_grad():
            next(iter(problem.parameters.values())).add_(1)
        return matrix

    return call


class Wrong:
    """One per cent too large, and called how often?"""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, problem: Problem) -> Callable[[], Tensor]:
        def call() -> Tensor:
            self.calls += 1
            return 1.01 * ggn(problem).dense()

        return call


class NotFinite:
    """Somebody's hooks: one writes numbers which are none, one prints under which names files were imported."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for name in {item.function.__module__ for item in session.items if isinstance(item, pytest.Function)}:
            print(f"imported as {name}")

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        output_json["planted"] = [math.nan, {"infinite": math.inf}, "NaN"]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What torch imports late, for pytester makes a run forget its imports, and torch refuses some of them a second time."""
    problem = problems.perceptron((2, 2), 2, "loaded")
    count(right(problem), problem)


@pytest.fixture
def wrong() -> Wrong:
    """The planted implementation whose results are wrong."""
    return Wrong()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, wrong: Wrong) -> Run:
    """Run pytest in a host project of its own, with tiny problems and planted implementations."""
    dense = Task("ggn", "dense")
    found = [
        Implementation("right", "reference", dense, right),
        Implementation("wrong", "peer", dense, wrong),
        Implementation("raises", "peer", dense, refusing),
        Implementation("meddles", "peer", dense, meddling),
        Implementation("refused", "peer", dense, right, refuses=lambda problem: "it is odd"),
        Implementation("multiplies", "reference", Task("ggn", "product"), product),
        Implementation("solved", "reference", Task("ggn", "solve"), right),
    ]

    def chosen(subjects: Sequence[Subject] = (), globs: Sequence[str] = ()) -> list[Implementation]:
        given = [Implementation(subject.name, "subject", dense, right) for subject in subjects]
        return [each for each in found + given if not globs or each.name in globs]

    tiny = partial(problems.perceptron, (3, 2), 5, "tiny")
    benches = {f"tiny-{size}": problems.Bench(f"tiny-{size}", "tiny", size, "tiny", tiny) for size in ("small", "large")}
    monkeypatch.setattr(registry, "implementations", chosen)
    monkeypatch.setattr(problems, "BENCHES", benches)
    monkeypatch.setattr(limits, "SECONDS", 0.0)
    monkeypatch.setattr(limits, "SIZES", {"cpu": (16,)})
    monkeypatch.setattr(limits, "buffer_bytes", lambda device: 1000)
    monkeypatch.setattr(limits, "_measured", limits._measured.__wrapped__)
    for name in ("PYTEST_XDIST_WORKER", "FISHERGAUGE_REQUIRE", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    pytester.path.joinpath("pyproject.toml").write_text(HOST)
    quick = ["--benchmark-max-time=0.01", "--benchmark-min-rounds=2"]

    def started(*arguments: str, timed: bool = True) -> pytest.RunResult:
        return pytester.runpytest_inprocess(*(quick if timed else ()), *arguments, plugins=[NotFinite()])

    return started


def counts(result: pytest.RunResult) -> dict[str, int]:
    """The numbers of the last line that pytest prints."""
    found = re.findall(r"(\d+) (passed|failed|skipped|error|warning)", result.outlines[-1])
    return {what: int(number) for number, what in found}


def strict(path: Path) -> Any:
    """What stands in a file of strict JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_a_result_is_verified_before_it_is_timed_and_the_record_says_so(run: Run, wrong: Wrong, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    done = run("--pyargs", BUILD, "--benchmark-only", f"--benchmark-json={file}")
    printed = done.stdout.str()
    assert (done.ret, counts(done)) == (1, {"passed": 1, "failed": 2, "skipped": 2})
    assert "wrong, and not timed: wrong at ggn/dense on tiny-small: 0.01 > " in printed
    assert wrong.calls == 1
    assert "wrong, and not timed: meddles at ggn/dense on tiny-small left changed" in printed
    assert "not measured: too tiny" in printed
    assert "not measured: it is odd" in printed
    found = strict(file)
    assert found["planted"] == [None, {"infinite": None}, "NaN"]
    assert found["versions"]["torch"]
    assert found["machine_info"]["fishergauge"] == machine()
    (benchmark,) = found["benchmarks"]
    assert benchmark["group"] == "ggn/dense on tiny-small (float64, cpu)"
    assert benchmark["fullname"] == f"bench_build.py::{CASE.format('right')}"
    assert benchmark["options"]["timer"] == "synchronized"
    assert benchmark["options"]["disable_gc"] is True
    assert benchmark["params"]["implementation"] == "right"
    extra = benchmark["extra_info"]
    assert (extra["implementation"], extra["kind"], extra["against"]) == ("right", "reference", "J' B J by rows")
    assert extra["verified"] is True
    assert 0 <= extra["deviation"] <= extra["bound"] < 1e-10
    assert extra["peak_bytes"] >= 6 * 6 * 8
    assert extra["flops"] > 0
    assert extra["forward_passes"] >= 1
    assert extra["limit_seconds"] > 0
    assert extra["event_seconds"] is None


@pytest.mark.parametrize(
    ("file", "name"), [(BUILD, "right"), ("fishergauge.suites.bench_product", "multiplies")], ids=["build", "product"]
)
def test_the_figures_are_those_of_the_command(run: Run, tmp_path: Path, file: str, name: str) -> None:
    saved = tmp_path / "found.json"
    assert run("--pyargs", file, "--bench-implementations", name, f"--benchmark-json={saved}").ret == 0
    (benchmark,) = strict(saved)["benchmarks"]
    chosen = registry.implementations(globs=[name])
    (record,) = measure(chosen, [problems.BENCHES["tiny-small"]], time=False)
    assert record.verified is True
    assert record.backward_passes
    assert {each: benchmark["extra_info"][each] for each in COUNTED} == {each: getattr(record, each) for each in COUNTED}


def test_bench_files_are_imported_by_their_full_names(run: Run, pytester: pytest.Pytester) -> None:
    """The host may have a package called suites, and its import mode may be another."""
    (pytester.path / "suites").mkdir()
    (pytester.path / "suites" / "__init__.py").write_text("raise ImportError('the suites of the host')")
    by_path = str(Path(next(iter(suites.__path__))) / "bench_build.py")
    done = run(by_path, "-c", "pyproject.toml", "--bench-implementations", "right", "--import-mode=importlib")
    assert (done.ret, counts(done)) == (0, {"passed": 1}), done.stdout.str()
    assert "imported as fishergauge.suites.bench_build" in done.stdout.str()


def test_runs_are_compared_on_one_machine_only(run: Run, pytester: pytest.Pytester) -> None:
    pyargs = ("--pyargs", BUILD, "--bench-implementations", "right")
    assert run(*pyargs, "--benchmark-save=first").ret == 0
    (saved,) = (pytester.path / ".benchmarks").rglob("*.json")
    by_path = str(Path(next(iter(suites.__path__))) / "bench_build.py")
    again = run(by_path, "-c", "pyproject.toml", *pyargs[2:], "--benchmark-compare", "--benchmark-compare-fail=median:999999%")
    assert again.ret == 0
    assert "(NOW)" in again.stdout.str()
    assert "(0001_first" in again.stdout.str()
    content = strict(saved)
    content["benchmarks"][0]["stats"]["median"] /= 1e6
    saved.write_text(json.dumps(content))
    slower = run(*pyargs, "--benchmark-compare", "--benchmark-compare-fail=median:500%")
    assert slower.ret != 0
    assert "Performance has regressed" in slower.stdout.str() + slower.stderr.str()
    content["machine_info"]["fishergauge"]["cpu"] = "Imagined 9000"
    saved.write_text(json.dumps(content))
    refused = run(*pyargs, "--benchmark-compare")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert f"another machine (CPU: Imagined 9000, now {machine()['cpu']})" in refused.stderr.str()
    assert "Traceback" not in refused.stderr.str()


@pytest.mark.parametrize(
    ("arguments", "right", "said"),
    [
        (["--benchmark-skip"], "skipped", "verified, not timed: --benchmark-skip"),
        (["--benchmark-disable"], "passed", ""),
        (["-p", "no:benchmark"], "skipped", "verified, not timed: pytest-benchmark is not there; pip install"),
    ],
)
def test_what_is_not_timed_is_verified_still(run: Run, wrong: Wrong, arguments: list[str], right: str, said: str) -> None:
    done = run("--pyargs", BUILD, "--bench-implementations", "right,wrong", *arguments, timed=False)
    assert (done.ret, counts(done)) == (1, {right: 1, "failed": 1})
    assert said in done.stdout.str()
    assert "wrong, and not timed" in done.stdout.str()
    assert wrong.calls == 1


def test_a_worker_of_xdist_verifies_and_says_that_it_does_not_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    arguments = ("--pyargs", BUILD, "--bench-implementations", "right,wrong")
    done = run(*arguments)
    assert counts(done) == {"skipped": 1, "failed": 1}
    assert "benchmarks run in one process; leave out -n" in done.stdout.str()
    assert counts(run(*arguments, "--benchmark-disable")) == {"passed": 1, "failed": 1}


def test_a_missing_device_is_named_and_an_error_where_it_is_required(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    arguments = (
        "--pyargs",
        BUILD,
        "--bench-device",
        "cuda",
        "--bench-sizes",
        "small,large",
        "--bench-implementations",
        "right",
    )
    hidden = run(*arguments)
    assert counts(hidden) == {"skipped": 2}
    assert "not measured: no device" in hidden.stdout.str()
    monkeypatch.setenv("FISHERGAUGE_REQUIRE", "cuda")
    required = run(*arguments)
    assert required.ret == pytest.ExitCode.USAGE_ERROR
    assert "no such device is visible" in required.stderr.str()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bench-sizes", "small,huge"], "no such size: huge; there are small, medium, large"),
        (["--bench-implementations", "no-such"], "no-such matches no name, task or quantity"),
    ],
)
def test_options_that_match_nothing_are_refused(run: Run, arguments: list[str], message: str) -> None:
    done = run("--pyargs", BUILD, *arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr.str()
    assert "Traceback" not in done.stderr.str()


def test_a_subject_is_measured_beside_the_others_and_its_checks_are_not_missed(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "mine.py").write_text("from fishergauge.reference import fisher as mine")
    done = run("--pyargs", BUILD, "--subject", "mine.py:mine", "--bench-implementations", "right,mine")
    assert (done.ret, counts(done)) == (0, {"passed": 2})
    assert "test_build[ggn/dense-mine-tiny-small-float64-cpu]" in done.stdout.str()


def test_a_file_without_a_task_of_the_implementation_says_so(run: Run) -> None:
    done = run("--pyargs", "fishergauge.suites.bench_step", "--bench-implementations", "right")
    assert counts(done) == {"skipped": 1}
    assert "no implementation that matches right does this" in done.stdout.str()


def test_a_device_is_timed_by_the_wall_clock_and_by_events_beside_it(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "test_device.py").write_text(ON_A_DEVICE)
    done = run("test_device.py")
    assert counts(done) == {"passed": 1}, done.stdout.str()


def test_a_saved_run_without_a_machine_is_refused() -> None:
    here = {"fishergauge": machine()}
    pytest_benchmark_compare_machine_info(here, {"machine_info": json.loads(json.dumps(here))})
    with pytest.raises(pytest.UsageError, match="does not say on which CPU"):
        pytest_benchmark_compare_machine_info(here, {"machine_info": {"node": "other"}})
    with pytest.raises(pytest.UsageError, match="threads: 99, now"):
        pytest_benchmark_compare_machine_info(here, {"machine_info": {"fishergauge": {**machine(), "threads": 99}}})


def test_numbers_that_json_does_not_know_become_null_at_any_depth() -> None:
    content = {"stats": {"stddev": math.nan, "data": [1.0, math.inf, {"deep": [-math.inf]}]}, "name": "NaN"}
    pytest_benchmark_update_json(content)
    assert content["stats"] == {"stddev": None, "data": [1.0, None, {"deep": [None]}]}
    assert content["name"] == "NaN"

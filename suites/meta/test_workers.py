"""Worker processes: a subject that crashes, exits, hangs or forks costs its own check and no other."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from fishergauge.suites import worker, worker_process, workers
from fishergauge.suites.guard import guarded
from fishergauge.suites.workers import HarnessError, heartbeat, run_isolated, why_not_isolated

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot fork here")
LIMIT = 0.3
HANGING = ("hangs", "hangs in C", "swallows everything", "closes everything and hangs", "silent")


def _segmentation_fault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _reads_address_zero() -> None:
    ctypes.string_at(0)


def _pauses_in_c() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    while True:
        ctypes.CDLL(None).pause()


def _swallows_everything() -> None:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass


def _closes_and_hangs() -> None:
    os.closerange(3, 256)
    _swallows_everything()


def _exits_from_a_thread() -> None:
    threading.Thread(target=lambda: os._exit(5), daemon=True).start()
    time.sleep(5)


def _raises() -> None:
    raise ValueError("by the subject")


def _interrupts() -> None:
    raise KeyboardInterrupt


def _forks() -> str:
    if os.fork() == 0:
        return "the other one"
    time.sleep(0.3)
    return "forked"


def _leaves_a_child() -> str:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(4)


def _talks() -> str:
    os.write(1, b"by descriptor one\n")
    os.write(2, b"by descriptor two\n")
    ctypes.CDLL(None).puts(b"by the C library")
    print("by Python")
    subprocess.run([sys.executable, "-c", "print('by another process')"], check=True)
    return "talked"


def _leaves_a_thread() -> str:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return "threaded"


def _trains() -> float:
    weight = torch.ones(300, 300, requires_grad=True)
    torch.autograd.backward((weight @ weight).sum())
    return float(weight.grad.sum()) if weight.grad is not None else 0.0


def _starts_a_process() -> int | None:
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    return process.exitcode


ENDS = {
    "exit": (lambda: os._exit(3), "the process ended with exit code 3"),
    "exit with 0": (lambda: os._exit(0), "the process ended with exit code 0"),
    "exit from a thread": (_exits_from_a_thread, "the process ended with exit code 5"),
    "exit before its child": (_leaves_a_child, "the process ended with exit code 4"),
    "segmentation fault": (_segmentation_fault, "the process was killed by signal SIGSEGV ("),
    "address zero": (_reads_address_zero, "the process was killed by signal SIGSEGV ("),
    "killed": (
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        "the process was killed by signal SIGKILL (out of memory, perhaps)",
    ),
    # without its place where a thread of some library, of which Python knows nothing, takes the signal that asks for it
    "hangs in C": (_pauses_in_c, "stopped after 1.3 s: it does not react"),
    "swallows everything": (_swallows_everything, "stopped after 1.3 s: it does not react ("),
    "closes everything": (lambda: os.closerange(3, 256), "the process ended with exit code 1"),
    "closes everything and hangs": (_closes_and_hangs, "it closed the connection to the process that started it"),
    "interrupts": (_interrupts, "it raised KeyboardInterrupt"),
}
LIVES = {
    "fine": (lambda: "well", "well"),
    "raises": (_raises, "ValueError: by the subject ("),
    "exits politely": (lambda: sys.exit(3), "it called exit(3) ("),
    "hangs": (lambda: time.sleep(60), "stopped after 0.3 s ("),
    "forks": (_forks, "forked"),
    "talks": (_talks, "talked"),
    "leaves a thread": (_leaves_a_thread, "threaded"),
    "trains": (_trains, str(2 * 300.0**3)),
    "starts a process": (_starts_a_process, "0"),
    "threads": (torch.get_num_threads, "1"),
    "reads from the terminal": (lambda: repr(sys.stdin.read()) + repr(os.read(0, 1)), "''b''"),
}
ALL: dict[str, tuple[Callable[[], object], str]] = {**ENDS, **LIVES}


def _execute(name: str) -> str:
    outcome = guarded(ALL[name][0], limit=LIMIT if name in HANGING else 60)
    return outcome.failure.reason if outcome.failure else str(outcome.value)


def _given_up(name: str, reason: str) -> str:
    return f"given up: {reason}"


def _run(*groups: list[str], execute: Callable[[str], str] = _execute, jobs: int = 2) -> list[tuple[str, str]]:
    limit = LIMIT if any(name in HANGING for group in groups for name in group) else 60
    return list(run_isolated(execute, groups, jobs=jobs, limit=limit, give_up=_given_up))


def _begins(found: str, expected: str) -> bool:
    """Whether a result is as expected, and names a line of this file where a place is to follow."""
    return found.startswith(expected) and (not expected.endswith("(") or "test_workers.py:" in found)


def _children() -> set[int]:
    """The processes that descend from this one, zombies included."""
    return {int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()}


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process and no open file is left of any test."""
    monkeypatch.setattr(workers, "GRACE", 1.0)
    files, children = len(os.listdir("/dev/fd")), _children()
    yield
    assert len(os.listdir("/dev/fd")) == files
    assert _children() == children
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("what", ENDS)
def test_a_subject_that_ends_its_process_costs_its_own_check(what: str) -> None:
    results = _run(["fine", what, "fine", "raises"], ["fine"])
    assert sorted(name for name, _ in results) == sorted(["fine", what, "fine", "raises", "fine"])
    found = dict(results)
    assert _begins(found[what], f"given up: {ENDS[what][1]}")
    assert found["fine"] == "well"
    assert _begins(found["raises"], LIVES["raises"][1])


@pytest.mark.parametrize("what", LIVES)
def test_what_the_guard_contains_costs_no_process(what: str, capfd: pytest.CaptureFixture[str]) -> None:
    results = _run([what, "pid"], execute=lambda name: str(os.getpid()) if name == "pid" else _execute(name))
    assert [name for name, _ in results] == [what, "pid"]
    assert _begins(results[0][1], LIVES[what][1])
    assert capfd.readouterr() == ("", "")


def test_the_processes_that_a_subject_started_end_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def execute(name: str) -> str:
        child = os.fork()
        if child == 0:
            time.sleep(600)
        note.write_text(str(child))
        if name == "exit":
            os._exit(3)
        return name

    for name in ("exit", "fine"):
        assert len(_run([name], execute=execute)) == 1
        patience = time.monotonic() + 10
        while _is_alive(int(note.read_text())) and time.monotonic() < patience:
            time.sleep(0.02)
        assert not _is_alive(int(note.read_text()))


def test_torch_may_have_used_its_threads_before() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.ones(400, 400).mm(torch.ones(400, 400)).exp().sum() > 0
        assert _trains() > 0
        assert _run(["trains"]) == [("trains", LIVES["trains"][1])]
    finally:
        torch.set_num_threads(threads)


def test_a_group_stays_in_one_process_and_groups_run_side_by_side() -> None:
    def execute(name: str) -> str:
        time.sleep(0.05)
        return str(os.getpid())

    groups = [[f"{letter}{number}" for number in range(4)] for letter in "abcd"]
    results = _run(*groups, execute=execute)
    by_group = {letter: {pid for name, pid in results if name[0] == letter} for letter in "abcd"}
    assert len(results) == 16
    assert all(len(pids) == 1 for pids in by_group.values())
    assert len(set.union(*by_group.values())) == 2
    assert str(os.getpid()) not in set.union(*by_group.values())


def test_a_closure_works_and_what_it_caches_stays_in_the_process() -> None:
    cache: list[str] = []

    def execute(name: str) -> str:
        cache.append(name)
        return "".join(cache)

    assert _run(["a", "b", "c"], execute=execute) == [("a", "a"), ("b", "ab"), ("c", "abc")]
    assert not cache


def test_beginnings_and_progress_are_told() -> None:
    begun: list[str] = []
    told: list[tuple[int, int]] = []
    list(
        run_isolated(
            _execute, [["fine", "exit"], ["raises"]], jobs=2, limit=LIMIT, give_up=_given_up, started=begun.append,
            progress=lambda done, total: told.append((done, total)),
        )
    )  # fmt: skip
    assert sorted(begun) == ["exit", "fine", "raises"]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_check_that_shows_signs_of_life_may_take_its_time() -> None:
    def execute(beats: str) -> str:
        for _ in range(10):
            time.sleep(0.25)
            if beats == "beats":
                heartbeat()
        return "done"

    found = dict(_run(["beats"], ["silent"], execute=execute))
    assert found["beats"] == "done"
    assert found["silent"].startswith("given up: stopped after 1.3 s: it does not react")


def test_a_guarded_call_is_a_sign_of_life() -> None:
    def execute(name: str) -> str:
        for _ in range(10):
            guarded(time.sleep, 0.25)
        return "done"

    results = run_isolated(execute, [["many calls"]], jobs=1, limit=LIMIT, give_up=_given_up)
    assert list(results) == [("many calls", "done")]


def test_without_a_parent_a_heartbeat_does_nothing() -> None:
    heartbeat()


def test_a_slow_reader_makes_nobody_late() -> None:
    iterator = run_isolated(_execute, [["fine", "hangs", "fine"]], jobs=1, limit=LIMIT, give_up=_given_up)
    found: list[str] = []
    for pair in iterator:
        time.sleep(0 if found else 2)
        found.append(pair[1][:7])
    assert found == ["well", "stopped", "well"]


@pytest.mark.parametrize("defect", ["raises", "cannot be pickled", "exits"])
def test_a_defect_of_the_harness_surfaces_with_its_traceback(defect: str) -> None:
    def execute(name: str) -> object:
        if defect == "raises":
            raise LookupError("in the harness")
        if defect == "exits":
            sys.exit(2)
        return lambda: None

    with pytest.raises(HarnessError, match=r"(?s)the-check.*Traceback.*(in the harness|pickle|SystemExit)"):
        list(run_isolated(execute, [["the-check"]], jobs=1, limit=LIMIT, give_up=_given_up))


def test_a_process_that_cannot_be_set_up_is_a_defect_of_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_be_alone", _raises)
    with pytest.raises(HarnessError):
        _run(["fine"])


def test_a_process_that_never_begins_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_be_alone", lambda *_: os._exit(9))
    reason = "given up: the process ended with exit code 9, before the check began"
    assert _run(["fine", "raises"], jobs=1) == [("fine", reason), ("raises", reason)]


def test_what_is_not_read_is_not_run_on() -> None:
    with closing(run_isolated(_execute, [["fine"] * 50, ["hangs"]], jobs=2, limit=60, give_up=_given_up)) as results:
        assert next(results) == ("fine", "well")


@pytest.fixture
def _keyboard() -> Iterator[None]:
    """Interrupts of the keyboard are not ignored, as they are where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_keyboard")
def test_an_interrupt_from_the_keyboard_ends_everything_and_keeps_the_results_so_far() -> None:
    found: list[tuple[str, str]] = []
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    results = run_isolated(_execute, [["fine", "hangs in C"]], jobs=1, limit=60, give_up=_given_up)
    with pytest.raises(KeyboardInterrupt):
        found.extend(results)
    timer.join()
    assert found == [("fine", "well")]
    assert time.monotonic() - began < 5


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process notices only when it next reports")
def test_processes_end_when_their_parent_is_killed_even_those_that_swallow_everything(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from fishergauge.suites.workers import run_isolated\n"
        "def execute(check):\n"
        "    while check:\n"
        "        time.sleep(0.01)\n"
        "    return os.getpid()\n"
        "for check, pid in run_isolated(execute, [[0, 1], [0, 1]], jobs=2, limit=60, give_up=print):\n"
        "    print(pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = {int(parent.stdout.readline()) for _ in range(2)}
        assert all(map(_is_alive, pids))
        parent.kill()
    patience = time.monotonic() + 10
    while any(map(_is_alive, pids)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(_is_alive, pids))


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_where_processes_cannot_fork_everything_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "why_not_isolated", lambda: "for a test")
    begun: list[str] = []
    results = run_isolated(
        lambda name: str(os.getpid()), [["a", "b"], ["c"]], jobs=2, limit=1, give_up=_given_up, started=begun.append
    )
    assert list(results) == [(name, str(os.getpid())) for name in "abc"]
    assert begun == ["a", "b", "c"]


def test_the_reasons_against_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_isolated() == ""
    with monkeypatch.context() as patch:
        patch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
        assert "cannot fork" in why_not_isolated()
    with monkeypatch.context() as patch:
        patch.setattr(workers, "cuda_in_use", lambda: True)
        assert "CUDA" in why_not_isolated()
    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "backward", _raises)
        assert "does not work in a forked process" in why_not_isolated()
    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "backward", lambda _: time.sleep(60))
        assert "does not work in a forked process" in why_not_isolated()


def test_threads_beside_a_fork_warn_nobody() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        process = worker.forked(worker_process.probe)
        process.join()
        assert process.exitcode == 0
        process.close()
    finally:
        end.set()
        thread.join()


def test_zero_jobs_and_no_checks() -> None:
    with pytest.raises(ValueError, match="at least one"):
        _run(["fine"], jobs=0)
    assert _run() == []
    assert _run([], []) == []

"""What of a run of the benchmarks is red: wrong results, the gate, exponents, and time in turn with an old version."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fishergauge.reports.bench_plan import PEERS_EXTRA, BenchPlan, is_of, missing_peers
from fishergauge.reports.bench_run import missing_device
from fishergauge.reports.bench_scaling import Scaling
from fishergauge.reports.bench_turns import interleave, new_worker, request_of
from fishergauge.reports.usage import UsageError
from fishergauge.suites.benchmarks.gate import compare, measured, require_distinct, require_same_machine
from fishergauge.suites.benchmarks.machine import machine
from fishergauge.suites.benchmarks.record import BenchRecord, read_records


@dataclass(frozen=True)
class BenchVerdict:
    """Whether something is red, and what is said of it.

    Args:
        red: whether it fails the run.
        lines: for people.
    """

    red: bool = False
    lines: tuple[str, ...] = ()

    def __add__(self, other: "BenchVerdict") -> "BenchVerdict":
        return BenchVerdict(self.red or other.red, (*self.lines, *other.lines))


def baseline_of(options: argparse.Namespace, plan: BenchPlan) -> list[BenchRecord] | None:
    """The records of the baseline that this run would repeat, refused early where they cannot be compared.

    Args:
        options: as parsed.
        plan: of the run.

    Raises:
        RecordError: the file holds no records.
        GateError: it is of another machine, or has a benchmark twice.
        UsageError: it has none of the benchmarks that are measured here.
    """
    if options.baseline is None:
        if options.counted_only:
            raise UsageError("--counted-only says how a baseline is compared; give --baseline FILE, or leave it out")
        return None
    found = read_records(options.baseline)
    require_distinct(found, "baseline")
    if not found:
        raise UsageError(f"--baseline {options.baseline}: holds no benchmarks; measure it with --json {options.baseline}")
    asked = [record for record in found if plan.asks_for(record)]
    if not asked:
        raise UsageError(
            f"--baseline {options.baseline}: none of its {len(found)} benchmarks is among what is measured here; "
            "choose the same problems, dtype and device"
        )
    if not options.counted_only and not missing_device(plan.device):
        here = machine(plan.device)
        for record in asked:
            require_same_machine(record, here)
    return asked


def of_results(records: Sequence[BenchRecord]) -> BenchVerdict:
    """Whether a result is wrong; the tables say which.

    Args:
        records: of the run.
    """
    return BenchVerdict(any(record.red for record in records))


def of_baseline(baseline: Sequence[BenchRecord], records: Sequence[BenchRecord], options: argparse.Namespace) -> BenchVerdict:
    """What the gate says.

    Args:
        baseline: as :func:`baseline_of` gives it.
        records: of the run.
        options: as parsed.
    """
    report = compare(baseline, records, counted_only=options.counted_only)
    lines = [f"compared with {options.baseline}", *report.text().splitlines()]
    gone = {record.implementation for record in baseline if record.kind == "peer"} - {one.implementation for one in records}
    if gone and (absent := missing_peers()):
        lines.append(f"not installed here: {', '.join(absent)}; run: {PEERS_EXTRA}, or leave peers out (--no-peers)")
    return BenchVerdict(bool(report.red), tuple(lines))


def of_scaling(scaling: Scaling) -> BenchVerdict:
    """Whether an exponent is wrong.

    Args:
        scaling: measured.
    """
    return BenchVerdict(bool(scaling.wrong), tuple(scaling.text().splitlines()))


def of_old_version(
    old: Sequence[str],
    plan: BenchPlan,
    options: argparse.Namespace,
    progress: Callable[[int, int, object], None] | None = None,
) -> BenchVerdict:
    """Whether this version is slower than an old one, timed in turn.

    Args:
        old: the command that starts a worker of the old version.
        plan: of the run.
        options: as parsed.
        progress: is told of the runs.

    Raises:
        InterleavedError: a worker fails, or nothing can be timed in both versions.
    """
    request = request_of(plan, options.subject, torch.get_num_threads(), options.rounds, options.quick)
    outcome = interleave(request, old, new_worker(), progress=progress)
    return BenchVerdict(bool(outcome.red), tuple(outcome.text().splitlines()))


def vacuous(plan: BenchPlan, records: Sequence[BenchRecord]) -> list[str]:
    """The subjects of which nothing was measured; ``"this run"`` where that is so for all.

    Args:
        plan: of the run.
        records: of the run.
    """
    found = [record for record in records if measured(record)]
    empty = [name for name in plan.subjects if not any(is_of(name, record) for record in found)]
    return empty or ([] if found else ["this run"])

r"""``python -m fishergauge.reports.bench_worker``: times implementations for another process, which may be of another version.

It reads a request as JSON from the standard input and writes one record a line to the standard output.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TextIO

PROTOCOL = 1
"""Number of the form of requests; raised when it changes, so that versions that do not understand one another say so."""


def main() -> int:
    """Answer one request; returns the exit code."""
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no record
    return serve(json.load(sys.stdin), out)


def serve(request: Mapping[str, Any], out: TextIO) -> int:
    """Answer a request.

    Args:
        request: with ``protocol``, ``device``, ``threads``, ``rounds``, ``warm_seconds``, ``budget_seconds``, ``kinds`` (of
            implementations), ``subjects`` (as a user names them) and ``cases``, each with ``quantity``, ``operation``,
            ``problem``, ``dtype`` and ``implementations``.
        out: takes the records.

    Returns:
        0, or 2 for a request of another protocol.
    """
    import torch

    from fishergauge.suites.benchmarks.record import line

    if request["protocol"] != PROTOCOL:
        print(f"protocol {request['protocol']} is asked for, this version has {PROTOCOL}", file=sys.stderr)
        return 2
    before = torch.get_num_threads()
    torch.set_num_threads(request["threads"])
    try:
        for case in request["cases"]:
            for record in _timed(case, request):
                out.write(line(record) + "\n")
            out.flush()
    finally:
        torch.set_num_threads(before)
    return 0


def _timed(case: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[Any]:
    """The records of a case: times, or the reason why there is none."""
    import torch

    from fishergauge.suites.benchmarks.clocks import clock_of
    from fishergauge.suites.benchmarks.machine import machine, versions
    from fishergauge.suites.benchmarks.problems import BENCHES
    from fishergauge.suites.benchmarks.record import BenchRecord
    from fishergauge.suites.benchmarks.stopwatch import time_interleaved

    device = request["device"]
    found = _implementations(case, request)
    reasons = {name: "there is none in this version" for name in case["implementations"] if name not in found}
    calls = {}
    if case["problem"] in BENCHES:
        problem = BENCHES[case["problem"]].problem(getattr(torch, case["dtype"]), device)
        for name, implementation in found.items():
            try:
                if refused := implementation.refuses(problem):
                    reasons[name] = refused
                else:
                    calls[name] = implementation.prepare(problem)
            except Exception as error:
                reasons[name] = f"{type(error).__name__}: {error}"
    else:
        reasons = dict.fromkeys(case["implementations"], "there is no such problem in this version")
    timings = time_interleaved(
        calls,
        clock_of(device),
        rounds=request["rounds"],
        warm_seconds=request["warm_seconds"],
        budget_seconds=request["budget_seconds"],
    )
    reasons |= timings.failures
    for name in case["implementations"]:
        key = (name, case["quantity"], case["operation"], case["problem"], case["dtype"], device)
        record = BenchRecord(*key, reason=reasons.get(name, ""), versions=versions(), machine=machine(device))
        if name in timings:
            one = timings[name]
            seconds = one.median_seconds
            record = replace(record, median_seconds=seconds, fastest_seconds=one.fastest_seconds, rounds=one.rounds)
        yield record


def _implementations(case: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The implementations of a case that this version has, by name."""
    from fishergauge.suites.benchmarks.registry import implementations
    from fishergauge.suites.loading import load_subject

    task = f"{case['quantity']}/{case['operation']}"
    offered = implementations(request["kinds"], [load_subject(text) for text in request["subjects"]])
    return {one.name: one for one in offered if str(one.task) == task and one.name in case["implementations"]}


if __name__ == "__main__":
    sys.exit(main())

"""The runs behind a report: with which command, versions, device and seeds each of its parts was measured."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.part import Gap

PROVENANCE = "provenance.json"
SUMMARIES = {
    "conformance": "conformance/subjects.json",
    "probes": "probes/probes.json",
    "spectrum": "spectrum.json",
    "accuracy": "accuracy/accuracy.json",
    "peers": "peers/peers.json",
}
"""Files that say themselves how they were made, by part."""
BENCH, BENCH_PAGE = "bench/bench.jsonl", "bench/bench.md"
PARTS = {"reproduce": "paper", "check": "conformance", "conformance": "conformance"}
"""The part of a command that is not called like it."""
COMMANDS = {"probes": "probe"}
"""The command of a part of :data:`SUMMARIES` that is not called like it."""


@dataclass(frozen=True)
class Run:
    """A run, as far as its artefacts say.

    Args:
        part: of the report that shows its results.
        command: without folders of the machine; empty where it is not kept.
        versions: of Python, code and packages; several, joined by commas, where a run was continued with others.
        device: for people.
        threads: of torch; None where it is not kept.
        seeds: by experiment, or empty.
        artefacts: relative to the folder of the results.
        date: of its last artefact; empty where it is not kept.
    """

    part: str
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    threads: int | None = None
    seeds: Mapping[str, list[int]] = field(default_factory=dict)
    artefacts: tuple[str, ...] = ()
    date: str = ""


def read_runs(out: Path) -> tuple[list[Run], list[Gap]]:
    """Read from the artefacts how they were made.

    Args:
        out: folder of the results.

    Returns:
        The runs that are told of, and gaps for files that are damaged. What was never run is no gap here.
    """
    gaps: list[Gap] = []
    runs = list(_recorded(_read(out, PROVENANCE, "fishergauge reproduce all", gaps)))
    told = {run.part for run in runs}
    for part, name in SUMMARIES.items():
        content = _read(out, name, f"fishergauge {COMMANDS.get(part, part)}", gaps)
        if content and part not in told:
            runs.append(_summarised(part, name, content))
    if (bench := _benchmarks(out, gaps)) is not None:
        runs.append(bench)
    return runs, gaps


def _read(out: Path, name: str, command: str, gaps: list[Gap]) -> Mapping[str, Any]:
    """A file's content; a gap if it is there and cannot be read."""
    content, gap = read_json(out, name, f"versions and commands of {name}", command, schema=None)
    if gap is not None and (out / name).exists():
        gaps.append(gap)
    return content


def _recorded(content: Mapping[str, Any]) -> Iterator[Run]:
    """The runs of ``provenance.json``, by what they have in common."""
    groups: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for name, entry in mapping(content.get("artefacts")).items():
        one = mapping(entry)
        same = {key: one.get(key) for key in ("command", "versions", "device", "threads")}
        groups.setdefault(json.dumps(same, sort_keys=True), []).append((str(name), one))
    for members in groups.values():
        first = members[0][1]
        seeds: dict[str, set[int]] = {}
        for _, entry in members:
            for experiment, numbers in mapping(entry.get("seeds")).items():
                seeds.setdefault(str(experiment), set()).update(one for one in listed(numbers) if isinstance(one, int))
        command = str(first.get("command", ""))
        yield Run(
            _part_of(command),
            neutral_command(command),
            _versions(first.get("versions")),
            str(first.get("device", "")),
            _whole(first.get("threads")),
            {experiment: sorted(numbers) for experiment, numbers in seeds.items() if numbers},
            tuple(sorted(name for name, _ in members)),
            max(str(entry.get("date", "")) for _, entry in members),
        )


def _summarised(part: str, name: str, content: Mapping[str, Any]) -> Run:
    """The run of a file that says itself how it was made; that of the kit does so subject by subject."""
    told = mapping(content.get("provenance")) or content
    options = mapping(content.get("options"))
    seed = _whole(told.get("seed", options.get("seed")))
    folder = "out" if part in ("spectrum", "conformance", "probes") else f"out/{part}"
    own = [mapping(subject).get("versions") for subject in listed(content.get("subjects"))]
    return Run(
        part,
        neutral_command(str(told.get("command", "")), folder),
        _joined([*own, told.get("versions"), {"code": told.get("code")}]),
        str(told.get("device") or options.get("device") or ""),
        _whole(told.get("threads")),
        {part: [seed]} if seed is not None else {},
        (name,),
        str(told.get("date") or ""),
    )


def _benchmarks(out: Path, gaps: list[Gap]) -> Run | None:
    """The run of the benchmarks, whose records hold versions and machine; its command stands on their page."""
    versions: list[Mapping[str, Any]] = []
    machines: dict[str, None] = {}
    threads: set[int] = set()
    damaged = 0
    try:
        lines = (out / BENCH).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        try:
            record = mapping(json.loads(line))
        except (ValueError, RecursionError):
            damaged += 1
            continue
        machine = mapping(record.get("machine"))
        versions.append({"python": machine.get("python"), **mapping(record.get("versions"))})
        said = ", ".join(str(machine[key]) for key in ("cpu", "gpu") if machine.get(key))
        machines |= {said: None} if said else {}
        threads |= {number} if (number := _whole(machine.get("threads"))) is not None else set()
    if damaged:
        why = f"{BENCH} is damaged: {damaged} of its lines cannot be read."
        gaps.append(Gap(f"versions of some lines of {BENCH}", why, "fishergauge bench --resume"))
    return Run(
        "bench",
        _bench_command(out),
        _joined(versions),
        "; ".join(machines),
        max(threads) if threads else None,
        artefacts=(BENCH,),
    )


def _bench_command(out: Path) -> str:
    try:
        page = (out / BENCH_PAGE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    given = next((line[2:] for line in page.splitlines() if line.startswith("$ ")), "")
    return neutral_command(given, "out/bench")


def _part_of(command: str) -> str:
    words = command.split()
    name = words[1] if len(words) > 1 else ""
    return PARTS.get(name, name)


def _versions(value: Any) -> dict[str, str]:
    """Versions that are there, as text, by the names on the package index."""
    from fishergauge.suites.peers.registry import DISTRIBUTIONS

    found = {str(name): str(version) for name, version in mapping(value).items() if isinstance(version, str | int | float)}
    return {DISTRIBUTIONS.get(name, name): version for name, version in found.items()}


def _joined(several: Iterable[Any]) -> dict[str, str]:
    """Versions from several places: those of a package that differ, with commas."""
    found: dict[str, dict[str, None]] = {}
    for value in several:
        for name, version in _versions(value).items():
            found.setdefault(name, {})[version] = None
    return {name: ", ".join(versions) for name, versions in found.items()}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

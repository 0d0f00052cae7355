"""The same artefacts give the same page, Markdown and data, byte by byte; of other times only what is marked differs."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fishergauge.reports.ledger import LedgerEntry, write_ledger
from fishergauge.reports.page.timed import CLOSE, OPEN, text_without_times, without_times
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.record import write_records as write_benchmarks
from fishergauge.suites.jsonable import jsonable
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.record import Record
from fishergauge.suites.records_file import write_records
from fishergauge.suites.spectrum.row import Row as SpectrumRow

pytest.importorskip("jinja2")
pytest.importorskip("latex2mathml")
PAGES = ("index.html", "report.md")
FILES = (*PAGES, "report.json", "badge.svg")
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from fishergauge.reports.page.badge import write_badge
from fishergauge.reports.page.changes_part import changes_part
from fishergauge.reports.page.collecting import collect
from fishergauge.reports.page.document import write_document
from fishergauge.reports.page.rendering import render_html, render_markdown
for folder in map(Path, sys.argv[1:]):
    document = collect(folder, command="fishergauge report")
    earlier = replace(document, title="earlier", parts=document.parts[1:], quick=True)
    document = replace(document, parts=(changes_part(earlier, document, (folder, folder)), *document.parts))
    write_document(document, folder)
    write_badge(document, folder)
    (folder / "index.html").write_text(render_html(document, folder), encoding="utf-8")
    (folder / "report.md").write_text(render_markdown(document), encoding="utf-8")
"""
MACHINE = {"cpu": "a CPU", "cores": 2, "threads": 1, "gpu": "", "torch": "2.13", "cuda": ""}
VERSIONS = {"python": "3.11", "torch": "2.13", "numpy": "2.4", "fishergauge": "0.1.0"}


def write_artefacts(out: Path, seconds: float, date: str) -> None:
    """What the runs of a report leave, small; only times depend on the arguments."""
    for name in ("conformance", "probes", "peers", "bench", "accuracy"):
        (out / name).mkdir(parents=True)
    _conformance(out / "conformance", seconds)
    _probes(out / "probes", seconds)
    _peers(out / "peers")
    benchmarks = [
        BenchRecord(name, "ggn", "dense", problem, "float64", "cpu", kind=kind, flops=flops, forward_passes=1, peak_bytes=4000)
        for name, kind in (("fishergauge", "reference"), ("mine", "subject"))
        for problem, flops in (("mlp-small", 2000), ("softmax-small", 1000))
    ]
    timed = [
        replace(one, median_seconds=seconds * (1 + place % 3), fastest_seconds=seconds, rounds=5, verified=True)
        for place, one in enumerate(benchmarks)
    ]
    measured = [replace(one, versions=VERSIONS, machine=MACHINE, sizes={"N": 10, "P": 20, "C": 3}) for one in timed]
    write_benchmarks(measured, out / "bench" / "bench.jsonl")
    entries = [
        LedgerEntry(
            f"E1.{number}", "e1", "synthetic", "it holds", "section 3", "0.5", "0.5", "0.4", "confirmed", "as it is", {}
        )
        for number in (1, 2)
    ]
    write_ledger(entries, out)
    _spectrum(out)
    _accuracy(out / "accuracy", seconds)
    artefacts = {name: {"seeds": {"e1 published": [0, 1]}, "date": date} for name in ("claims.csv", "claims.json")}
    about = {"command": "fishergauge reproduce all", "versions": VERSIONS, "device": "cpu", "threads": 1, "date": date}
    content = {"schema": 1, "artefacts": {name: {**about, **own} for name, own in artefacts.items()}}
    (out / "provenance.json").write_text(json.dumps(content), encoding="utf-8")


def _conformance(out: Path, seconds: float) -> None:
    subjects = ("mine", "exact-fisher")
    records = [
        Record(
            name, claim, problem, verdict="violated" if name == "mine" and claim == "T5" else "holds", measured=0.1, bound=1.0
        )
        for name in subjects
        for claim in ("T4", "T5", "T1")
        for problem in ("mlp", "cnn", "softmax")
    ]
    write_records([replace(record, seconds=seconds, versions=VERSIONS) for record in records], out / "records.jsonl")
    about = [
        {
            "name": name,
            "library": "yours",
            "origin": origin,
            "target": "fisher",
            "structure": "dense",
            "command": f"fishergauge check {name}",
            "checks": 9,
            "versions": VERSIONS,
            "timed_seconds": seconds,
        }
        for name, origin in zip(subjects, ("yours", "reference"), strict=True)
    ]
    run = {"schema": 1, "command": "fishergauge conformance mine", "options": {"quick": False}, "subjects": about}
    (out / "subjects.json").write_text(json.dumps(run), encoding="utf-8")


def _probes(out: Path, seconds: float) -> None:
    probe = ProbeRecord("mine", "probe-exact", "mlp-1e6", measured=0.1, bound=1.0, products=8, num_parameters=9, peak_bytes=720)
    wrong = replace(probe, claim="probe-psd", verdict="violated", power=0.1, seen="relative", estimate=1.0, interval=(0.5, 2.0))
    write_records([replace(record, seconds=seconds, versions=VERSIONS) for record in (probe, wrong)], out / "records.jsonl")
    about = [{"name": "mine", "target": "ggn", "structure": "dense", "timed_seconds": seconds}]
    made = {"command": f"fishergauge probe {out}/mine.py:subject", "versions": VERSIONS, "device": "cpu"}
    (out / "probes.json").write_text(json.dumps({"schema": 1, "provenance": made, "subjects": about}), encoding="utf-8")


def _peers(out: Path) -> None:
    rows = ["subject,claim,problem,dtype,status,verdict,measured,bound,slack,finding,reason"]
    rows += [f"backpack/{name},T4,{problem},float64,holds,holds,0.1,1.0,0.1,," for name in "ba" for problem in ("mlp", "cnn")]
    (out / "peers.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    quantities = [{"name": f"backpack/{name}", "library": "backpack", "claims": {"T4": {"holds": 2}}} for name in "ba"]
    run = {"schema": 1, "command": "fishergauge peers", "versions": VERSIONS, "counts": {"holds": 4}, "quantities": quantities}
    (out / "peers.json").write_text(json.dumps(run), encoding="utf-8")


def _spectrum(out: Path) -> None:
    families = ["permutation", "affine", "dense"]
    names = ["exact-fisher", "kfac-joint", "gradient"]
    rows = [
        SpectrumRow(name, "mlp", "synthetic", "float64", family, 1e4, "outputs", "invariant", "T13", "holds", 1e-14, 1e-9)
        for name in names
        for family in families
    ]
    plan = {"models": ["mlp"], "data": ["synthetic"], "dtypes": ["float64"], "families": families, "kappas": [1e4]}
    content = {
        "schema": 1,
        "provenance": {"command": "fishergauge spectrum", "seed": 0, "versions": VERSIONS},
        "plan": {**plan, "approximations": names, "subjects": []},
        "rows": [jsonable({**asdict(row), "red": row.red}) for row in rows],
    }
    (out / "spectrum.json").write_text(json.dumps(content), encoding="utf-8")


def _accuracy(out: Path, seconds: float) -> None:
    rows = [
        {
            "problem": "mlp",
            "approximation": name,
            "label": name,
            "kind": "kronecker",
            "outcome": "measured",
            "distance": distance,
        }
        | {"flops": flops, "front": True, "timed_seconds": seconds * factor}
        for name, distance, flops, factor in (("kfac", 0.5, 100, 3), ("exact", 1e-16, 1000, 2), ("diagonal", 0.9, 100, 1))
    ]
    content = {
        "schema": 1,
        "provenance": {"command": "fishergauge accuracy", "versions": VERSIONS},
        "plan": {"quick": False, "damping": 0.1},
        "problems": [{"name": "mlp", "statement": "a network", "why": "it is small", "result": "all", "parameters": 20}],
        "rows": rows,
    }
    (out / "accuracy.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Results, the same in another folder, and the same with other times; reported in two processes with all else different."""
    first = tmp_path_factory.mktemp("first")
    second = tmp_path_factory.mktemp("second") / "with spaces" / "and ünicode"
    write_artefacts(first, 0.25, "2026-01-02T03:04:05+00:00")
    shutil.copytree(first, second)
    third = tmp_path_factory.mktemp("third")
    write_artefacts(third, 7.125, "2031-06-05T23:59:59+00:00")
    places = {"PYTHONHASHSEED": "1", "TZ": "UTC"}, {"PYTHONHASHSEED": "77", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, own)], cwd=own[0].parent, env={**os.environ, **place})
        for own, place in zip(((first,), (second, third)), places, strict=True)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    return first, second, third


@pytest.mark.parametrize("name", FILES)
def test_the_same_artefacts_give_the_same_bytes(name: str, folders: tuple[Path, Path, Path]) -> None:
    first, second, _ = folders
    assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("name", PAGES)
def test_other_times_differ_only_in_what_is_marked(name: str, folders: tuple[Path, Path, Path]) -> None:
    first, _, third = ((folder / name).read_text(encoding="utf-8") for folder in folders)
    assert text_without_times(first) == text_without_times(third)
    assert text_without_times(first).count(OPEN) == text_without_times(first).count(CLOSE) == 0


def test_data_of_other_times_differ_only_in_what_is_marked(folders: tuple[Path, Path, Path]) -> None:
    first, _, third = (json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in folders)
    assert first != third
    assert without_times(first) == without_times(third)


def test_a_time_that_is_not_marked_would_be_seen(folders: tuple[Path, Path, Path]) -> None:
    first, _, third = ((folder / "index.html").read_text(encoding="utf-8") for folder in folders)
    unmarked = [text.replace(OPEN, "").replace(CLOSE, "") for text in (first, third)]
    assert text_without_times(unmarked[0]) != text_without_times(unmarked[1])
    data = [json.loads((folder / "report.json").read_text(encoding="utf-8")) for folder in folders]
    bare = [json.loads(json.dumps(one).replace('"timed_', '"')) for one in data]
    assert without_times(bare[0]) != without_times(bare[2])


def test_no_part_is_missing_and_no_folder_is_named(folders: tuple[Path, Path, Path]) -> None:
    first = folders[0]
    parts = json.loads((first / "report.json").read_text(encoding="utf-8"))["parts"]
    assert [part["name"] for part in parts if part["status"] == "missing"] == []
    for name in FILES:
        assert str(first) not in (first / name).read_text(encoding="utf-8")

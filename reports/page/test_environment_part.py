"""The environment: with which versions, code, commands and seeds the parts were measured, and where they differ."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.code_version import code_version
from fishergauge.reports.page.collecting import ORDER, TITLES
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.environment_part import collect, ranges
from fishergauge.reports.page.example_document import ENDLESS, HOSTILE
from fishergauge.reports.page.page_section import Section, section_of
from fishergauge.reports.page.part import Part
from fishergauge.reports.page.rendering import render_html, render_markdown
from fishergauge.reports.page.timed import text_without_times, without_times

SAME = {"python": "3.11.7", "code": "0.1.0+0123456789ab", "torch": "2.13.0"}


def write(out: Path, name: str, content: Any) -> Path:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def provenance(out: Path, *runs: dict[str, Any]) -> None:
    """Write artefacts, and ``provenance.json`` as it stands beside them."""
    artefacts = {}
    for run in runs:
        for name in run["names"]:
            path = write(out, name, f"content of {name}")
            told = {"seeds": {}, "date": "2030-01-01T00:00:00+00:00", "device": "cpu: x86_64", "threads": 2, "versions": SAME}
            told |= {key: value for key, value in run.items() if key != "names"}
            artefacts[name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **told}
    write(out, "provenance.json", {"schema": 1, "artefacts": artefacts})


PAPER = {
    "names": ["claims.csv", "digits/E1.csv"],
    "command": "fishergauge reproduce all --out /home/me/out",
    "seeds": {"e1 published": [0, 1, 2, 7]},
}
SPECTRUM = {
    "names": ["spectrum.csv"],
    "command": "fishergauge spectrum --out /home/me/out",
    "date": "2030-01-02T00:00:00+00:00",
}


def others(out: Path, versions: dict[str, str] | None = None) -> None:
    """What the other commands leave that say themselves how they were made."""
    versions = versions or SAME
    own = {name: version for name, version in versions.items() if name != "code"}
    subjects = [{"name": "mine", "versions": own}, {"name": "other", "versions": own}]
    told = {
        "schema": 1,
        "command": "fishergauge conformance --out /home/me/out",
        "code": versions["code"],
        "subjects": subjects,
    }
    write(out, "conformance/subjects.json", told | {"options": {"seed": 5, "device": "cpu"}})
    made = {"command": "fishergauge accuracy --out /home/me/out/accuracy", "seed": 3, "versions": versions}
    write(out, "accuracy/accuracy.json", {"schema": 1, "provenance": made})
    write(out, "peers/peers.json", {"schema": 1, "command": "fishergauge peers", "versions": {**own, "backpack": "1.7.1"}})
    machine = {"cpu": "a processor", "gpu": "", "threads": 4, "python": versions["python"], "platform": "Linux-6.0-my-host"}
    line = json.dumps({"schema": 1, "versions": {"torch": versions["torch"]}, "machine": machine})
    write(out, "bench/bench.jsonl", f"{line}\n{line}\n")
    write(out, "bench/bench.md", "# Benchmarks\n\n```text\n$ fishergauge bench --quick --out /home/me/out/bench\n```\n")


def shown(part: Part) -> Section:
    return section_of(render_html(Document("report", (part,)), Path()), "environment")


def test_where_nothing_was_run_this_page_is_all_there_is(tmp_path: Path) -> None:
    part = collect(tmp_path)
    assert part.status == "partial"
    assert [gap.command for gap in part.gaps] == ["fishergauge report"]
    assert (part.data["runs"], part.data["versions"]) == ([], [])
    assert part.data["here"]["cores"] == os.cpu_count()
    assert "No run has left its versions" in shown(part).text


def test_every_run_tells_its_command_versions_device_and_seeds(tmp_path: Path) -> None:
    provenance(tmp_path, PAPER, SPECTRUM)
    others(tmp_path)
    write(tmp_path, "spectrum.json", {"schema": 1, "provenance": {"command": "fishergauge spectrum", "versions": SAME}})
    part = collect(tmp_path)
    assert part.gaps == ()
    assert len(part.data["runs"]) == 6
    runs = {run["part"]: run for run in part.data["runs"]}
    assert list(runs) == [name for name in ORDER if name in runs]
    assert {name: run["command"] for name, run in runs.items()} == {
        "conformance": "fishergauge conformance --out out",
        "paper": "fishergauge reproduce all --out out",
        "spectrum": "fishergauge spectrum --out out",
        "accuracy": "fishergauge accuracy --out out/accuracy",
        "bench": "fishergauge bench --quick --out out/bench",
        "peers": "fishergauge peers",
    }
    assert (runs["paper"]["device"], runs["paper"]["threads"]) == ("cpu: x86_64", 2)
    assert (runs["bench"]["device"], runs["bench"]["threads"]) == ("a processor", 4)
    assert runs["paper"]["artefacts"] == ["claims.csv", "digits/E1.csv"]
    seeds = {(row["experiment"], row["protocol"]): row["seeds"] for row in part.data["seeds"]}
    assert seeds == {("e1", "published"): "0 to 2, 7", ("conformance", ""): "5", ("accuracy", ""): "3"}
    assert part.data["differences"] == []
    assert [row["name"] for row in part.data["versions"]] == ["python", "code", "torch", "backpack-for-pytorch"]


@pytest.mark.parametrize(("package", "called"), [("torch", "torch"), ("code", "The code of fishergauge")])
def test_parts_that_were_measured_with_different_versions_are_told(tmp_path: Path, package: str, called: str) -> None:
    provenance(tmp_path, PAPER, {**SPECTRUM, "versions": {**SAME, package: "0.0.9"}})
    part = collect(tmp_path)
    assert part.data["differences"] == [
        f"{called} is {SAME[package]} in {TITLES['paper']}, 0.0.9 in {TITLES['spectrum']}.",
    ]
    assert "They were measured with different versions" in part.summary
    assert f"{called} is {SAME[package]}" in shown(part).text
    assert part.red == 0


def test_versions_that_changed_within_a_run_are_told(tmp_path: Path) -> None:
    others(tmp_path)
    path = tmp_path / "bench" / "bench.jsonl"
    path.write_text(path.read_text() + json.dumps({"versions": {"torch": "2.12.0"}}) + "\n", encoding="utf-8")
    row = next(row for row in collect(tmp_path).data["versions"] if row["name"] == "torch")
    assert "2.13.0, 2.12.0" in row["versions"]
    assert row["differs"]


def test_other_versions_than_are_installed_are_a_remark(tmp_path: Path) -> None:
    provenance(tmp_path, PAPER)
    part = collect(tmp_path)
    assert part.data["differences"] == []
    assert "code" in part.data["page_differs"]
    assert "running again may give other figures" in shown(part).text
    provenance(tmp_path, {**PAPER, "versions": {"code": code_version()}})
    again = collect(tmp_path)
    assert again.data["page_differs"] == []
    assert again.summary.endswith("with the same code and the same versions, and these are installed.")


def test_artefacts_that_are_not_those_that_were_written_are_gaps(tmp_path: Path) -> None:
    provenance(tmp_path, PAPER, SPECTRUM)
    (tmp_path / "claims.csv").write_text("changed", encoding="utf-8")
    (tmp_path / "spectrum.csv").unlink()
    gaps = {gap.what: gap.why for gap in collect(tmp_path).gaps}
    assert list(gaps) == ["provenance of artefacts (1)", "artefacts (1)"]
    assert gaps["provenance of artefacts (1)"].startswith("claims.csv: changed")
    assert gaps["artefacts (1)"].startswith("spectrum.csv: ")


def test_a_name_that_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    inner = tmp_path / "out"
    secret = write(tmp_path, "secret.txt", "secret")
    digest = hashlib.sha256(secret.read_bytes()).hexdigest()
    write(inner, "provenance.json", {"schema": 1, "artefacts": {"../secret.txt": {"sha256": digest}}})
    assert [gap.what for gap in collect(inner).gaps] == ["artefacts (1)"]


@pytest.mark.parametrize("name", ["provenance.json", "conformance/subjects.json", "accuracy/accuracy.json", "peers/peers.json"])
@pytest.mark.parametrize("text", ['{"schema": 1, "art', "[]", ""])
def test_a_damaged_file_is_a_gap_and_the_rest_is_shown(tmp_path: Path, name: str, text: str) -> None:
    provenance(tmp_path, PAPER)
    others(tmp_path)
    whole = len(collect(tmp_path).data["runs"])
    write(tmp_path, name, text)
    part = collect(tmp_path)
    assert [name in gap.why and "damaged" in gap.why for gap in part.gaps] == [True]
    assert len(part.data["runs"]) == whole - 1


def test_values_of_another_kind_do_no_harm(tmp_path: Path) -> None:
    odd = {"command": 3, "versions": [1], "seeds": {"e1": "x"}, "threads": "two"}
    write(tmp_path, "provenance.json", {"artefacts": {"a": 1, "b": odd}})
    odd = {"command": None, "subjects": [1, {"versions": None}], "options": 3}
    write(tmp_path, "conformance/subjects.json", {"schema": 7, **odd})
    write(tmp_path, "bench/bench.jsonl", '3\n{"versions": {"torch": null}, "machine": {"threads": true}}\nno json\n')
    part = collect(tmp_path)
    assert "1 of its lines cannot be read" in " ".join(gap.why for gap in part.gaps)
    assert shown(part).elements["table"] == 1


def test_times_are_marked_and_the_rest_is_the_same(tmp_path: Path) -> None:
    pages = []
    for day in ("2030-01-01T00:00:00+00:00", "2031-12-31T23:59:59+00:00"):
        provenance(tmp_path, {**PAPER, "date": day})
        part = collect(tmp_path)
        document = Document("report", (part,))
        pages.append((part.data, render_html(document, tmp_path), render_markdown(document)))
    (data, html, markdown), (later, html_later, markdown_later) = pages
    assert data != later
    assert without_times(data) == without_times(later)
    assert text_without_times(html) == text_without_times(html_later) != html
    assert text_without_times(markdown) == text_without_times(markdown_later) != markdown


def test_neither_folders_nor_hosts_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FISHERGAUGE_TEST_SECRET", "a-secret-of-the-environment")
    provenance(tmp_path, PAPER, SPECTRUM)
    others(tmp_path)
    part = collect(tmp_path)
    text = json.dumps([part.data, part.summary, [gap.why for gap in part.gaps]]) + render_markdown(Document("report", (part,)))
    for word in ("/home/me", str(tmp_path), "my-host", "a-secret-of-the-environment"):
        assert word not in text


@pytest.mark.parametrize("text", [*HOSTILE, ENDLESS])
def test_foreign_text_is_shown_as_text(tmp_path: Path, text: str) -> None:
    run = {"names": ["claims.csv"], "command": f"fishergauge reproduce {text}", "device": text, "date": text}
    provenance(tmp_path, run | {"versions": {text: text, "torch": text}, "seeds": {f"e1 {text}": [1]}})
    write(tmp_path, "accuracy/accuracy.json", {"provenance": {"command": text, "versions": {"torch": "2.13.0"}}})
    part = collect(tmp_path)
    section = shown(part)
    assert not section.handlers
    assert not section.elements["script"] + section.elements["img"]
    assert section.text.count(text) >= 5
    markdown = re.sub("`[^`\n]*`", "", render_markdown(Document("report", (part,))))
    assert "<script" not in markdown
    assert "<img" not in markdown


def test_seeds_in_few_characters() -> None:
    assert ranges([]) == ""
    assert ranges([0, 1]) == "0, 1"
    assert ranges([0, 1, 2, 3, 9, 11, 12, 13]) == "0 to 3, 9, 11 to 13"

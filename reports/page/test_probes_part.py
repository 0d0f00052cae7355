"""The part about large models: read with care, shown as text, the same but for times."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.page_section import rendered, section_of
from fishergauge.reports.page.probes_part import collect
from fishergauge.reports.page.timed import text_without_times, without_times
from fishergauge.reports.page.verdict import headline, tone
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.records_file import write_records

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "x" * 10_000,
    "\u05e7\u05d9\u05e8\u05d5\u05d1 \u202eKFAC",
    "two\nlines",
    "a|b",
)
HELD = ProbeRecord(
    "mine",
    "probe-exact",
    "mlp-1e6",
    measured=1e-16,
    bound=1e-12,
    power=2e-11,
    seen="relative to |M|_F",
    products=13,
    exact_products=5,
    peak_bytes=80_000_000,
    num_parameters=1_000_000,
    seconds=0.5,
)
PSD = replace(HELD, claim="probe-psd", estimate=-1.5, interval=(-2.0, -1.25), power=0.05, products=40, peak_bytes=160_000_000)
WRONG = replace(
    HELD, problem="resnet-1e6", verdict="violated", measured=0.5, witness="4.weight: ratio 1.5", again="fishergauge probe x"
)


def written(out: Path, *records: ProbeRecord, **run: Any) -> Path:
    (out / "probes").mkdir(exist_ok=True)
    if records:
        write_records(records, out / "probes" / "records.jsonl")
    names = dict.fromkeys(record.subject for record in records)
    content = {
        "schema": 1,
        "provenance": {"command": "fishergauge probe /home/me/mine.py:subject --out /home/me/out", "seed": 0},
        "plan": {"quick": False},
        "subjects": [{"name": name, "target": "ggn", "structure": "dense", "vacuous": {}, "left_out": {}} for name in names],
        **run,
    }
    (out / "probes" / "probes.json").write_text(json.dumps(content))
    return out


def page(out: Path) -> tuple[str, str]:
    return rendered(collect(out), out)


def test_nothing_is_a_gap_with_the_command(tmp_path: Path) -> None:
    part = collect(tmp_path)
    assert part.status == "missing"
    assert part.gaps[0].command == "fishergauge probe SUBJECT --size 1e6 --out out"
    assert "probes/probes.json is not there" in part.gaps[0].why


def test_what_probes_found_their_power_and_their_cost_are_shown(tmp_path: Path) -> None:
    part = collect(written(tmp_path, HELD, PSD))
    assert (part.status, part.red) == ("complete", 0)
    (table,) = part.data["tables"]
    assert table["counts"] == {"holds": 2}
    assert (table["products"], table["exact_products"], table["parameters"]) == (53, 10, 1_000_000)
    assert (table["peak_bytes"], table["vectors"]) == (160_000_000, 20.0)
    assert "2 hold, 0 are red" in part.summary
    assert "At most 20 vectors" in part.summary
    html, markdown = page(tmp_path)
    shown = section_of(html, "probes").text
    for text in ("1,000,000", "2e-11", "-1.5 (-2 to -1.25)", "153 MiB", "Relative to what: relative to |M|_F."):
        assert text in shown
    assert "mine.py:subject --out out" in shown
    assert "/home/me" not in html
    assert "| mine | mlp-1e6 | 1,000,000 | 2 holds | 53 | 153 | 20 |" in markdown


def test_what_is_wrong_is_red_with_what_repeats_it(tmp_path: Path) -> None:
    part = collect(written(tmp_path, HELD, WRONG))
    assert part.red == 1
    assert part.reds == ("probe-exact of mine on resnet-1e6: violated; measured 0.5, bound 1e-12; 4.weight: ratio 1.5",)
    html, markdown = page(tmp_path)
    assert "fishergauge probe x" in section_of(html, "probes").text
    assert "again: `fishergauge probe x`" in markdown
    assert "fishergauge probe x" not in "".join(page(written(tmp_path, HELD)))


@pytest.mark.parametrize(
    ("records", "said", "colour"),
    [
        (
            (HELD, PSD),
            "Nothing is red: 2 of 2 probes on models of up to 1,000,000 parameters hold; nothing was checked",
            "green",
        ),
        ((HELD, WRONG), "1 result is red: 1 of 2 probes on models of up to 1,000,000 parameters hold", "red"),
        ((replace(HELD, verdict="not-claimed"),), "No verdict: ", "none"),
    ],
)
def test_the_verdict_counts_probes_that_were_claimed(
    records: tuple[ProbeRecord, ...], said: str, colour: str, tmp_path: Path
) -> None:
    document = Document("t", (collect(written(tmp_path, *records)),))
    assert headline(document).startswith(said)
    assert tone(document) == colour


def test_subjects_without_a_record_and_problems_left_out_are_told(tmp_path: Path) -> None:
    shy = {"name": "shy", "vacuous": {"probe-exact": "it refuses"}, "left_out": {}}
    part = collect(written(tmp_path, subjects=[shy]))
    assert (part.status, part.red) == ("complete", 0)
    assert part.summary == "Nothing was measured. 1 probe was executed on no problem."
    assert "probe-exact: it refuses" in section_of(page(tmp_path)[0], "probes").text
    part = collect(written(tmp_path, HELD, subjects=[{"name": "mine", "left_out": {"mlp-digits-1e6": "no data"}}]))
    assert [(gap.what, gap.why) for gap in part.gaps] == [("mine on mlp-digits-1e6", "no data")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": 1, "subjects": [{"na', "is damaged"),
        ("[]", "holds no object"),
        ('{"schema": 7}', "has schema 7"),
        ('{"schema": 1, "subjects": 3}', "names no subject"),
    ],
)
def test_what_cannot_be_read_is_a_gap_that_names_file_and_cause(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "probes.json").write_text(text)
    part = collect(tmp_path)
    assert part.status == "missing"
    assert "probes/probes.json" in part.gaps[0].why
    assert why in part.gaps[0].why


def test_records_that_are_gone_or_damaged_cost_only_themselves(tmp_path: Path) -> None:
    written(tmp_path, HELD, PSD)
    file = tmp_path / "probes" / "records.jsonl"
    lines = file.read_text().splitlines()
    odd = {**json.loads(lines[0]), "claim": "probe-new", "measured": [1], "interval": 3, "peak_bytes": "much", "notes": 5}
    file.write_text("\n".join([lines[0], lines[1][:50], json.dumps(odd)]) + "\n")
    part = collect(tmp_path)
    assert [row["probe"] for row in part.data["tables"][0]["rows"]] == ["probe-exact", "probe-new"]
    assert "1 of its lines cannot be read" in part.gaps[0].why
    assert "probe-new" in page(tmp_path)[0]
    file.unlink()
    part = collect(tmp_path)
    assert "probes/records.jsonl is not there" in part.gaps[0].why


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_as_text(text: str, tmp_path: Path) -> None:
    about: dict[str, Any] = {
        "problem": text,
        "seen": text,
        "reason": text,
        "witness": text,
        "again": text,
        "formula": text,
        "notes": (text,),
    }
    record = replace(WRONG, subject=text, **about)
    subject = {"name": text, "vacuous": {text: text}, "left_out": {text: text}}
    written(tmp_path, record, replace(record, claim=text), subjects=[subject], provenance={"command": text})
    html, markdown = page(tmp_path)
    section = section_of(html, "probes")
    assert section.elements["script"] == section.elements["img"] == 0
    assert section.handlers == []
    assert section.elements["table"] == 2
    assert "49" not in re.sub(r"x{100,}", "", section.text)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in rows)
    outside_code = re.sub(r"`[^`]*`", "", markdown)
    assert "<script" not in outside_code
    assert "<img" not in outside_code


def test_two_runs_differ_in_what_is_marked_alone(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, seconds in ((one, 0.5), (two, 0.75)):
        folder.mkdir()
        written(folder, replace(HELD, seconds=seconds), replace(WRONG, seconds=2 * seconds))
    assert without_times(collect(one).data) == without_times(collect(two).data)
    for first, second in zip(page(one), page(two), strict=True):
        assert text_without_times(first) == text_without_times(second)
    assert page(one)[0] != page(two)[0]

"""JUnit XML is valid whatever a record says, and its counts are those of the records."""

import tempfile
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from fishergauge.suites.junit import ELEMENTS, write_junit
from fishergauge.suites.meta.random_records import runs
from fishergauge.suites.record import RED, VERDICTS, Record, Verdict
from fishergauge.suites.records_file import RecordsError

BASE = Record(
    "mine",
    "T4",
    "mlp",
    verdict="violated",
    measured=0.917,
    bound=3.1e-13,
    formula="64 u sqrt(P)",
    reason="half of it",
    witness="bias: ratio 1/12",
    nearest="D1",
    again="fishergauge check my.py:subject",
    notes=("printed", "warned"),
    seconds=0.25,
)


def written(folder: Path, *records: Record) -> ET.Element:
    write_junit(records, folder / "junit.xml")
    return ET.fromstring((folder / "junit.xml").read_bytes())


def outcome(case: ET.Element) -> str:
    assert len(case) <= 1
    return case[0].tag if len(case) else "passed"


@given(runs())
def test_any_records_make_a_file_that_can_be_parsed_with_the_right_counts(records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = written(Path(folder), *records)
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(records)
    assert len(root.findall("testsuite")) <= len({record.subject for record in records})
    for node, inside in [(root, cases), *((suite, suite.findall("testcase")) for suite in root)]:
        found = [outcome(case) for case in inside]
        counts = [node.get(name) for name in ("tests", "failures", "errors", "skipped")]
        assert counts == [str(len(found)), *(str(found.count(name)) for name in ("failure", "error", "skipped"))]
        assert float(node.get("time", "")) >= 0
    red = sum(outcome(case) in ("failure", "error") for case in cases)
    assert red == sum(record.red for record in records)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("holds", "passed"),
        ("violated", "failure"),
        ("unexpected", "failure"),
        ("error", "error"),
        ("expected", "skipped"),
        ("unsupported", "skipped"),
        ("not-claimed", "skipped"),
    ],
)
def test_every_verdict_has_its_outcome(verdict: Verdict, expected: str, tmp_path: Path) -> None:
    case = written(tmp_path, replace(BASE, verdict=verdict)).find("testsuite/testcase")
    assert case is not None
    assert outcome(case) == expected
    if len(case):
        assert case[0].get("type") == verdict
        assert "half of it" in case[0].get("message", "")
    assert set(ELEMENTS) == {*VERDICTS} - {"holds"}
    assert (expected in ("failure", "error")) == (verdict in RED)


def test_a_failure_says_what_is_known(tmp_path: Path) -> None:
    root = written(tmp_path, BASE)
    case = root.find("testsuite/testcase")
    assert case is not None
    assert case.attrib == {"classname": "mlp", "name": "T4[float64-cpu]", "time": "0.250"}
    assert case[0].get("message") == "violated T4 on mlp: half of it"
    assert (case[0].text or "").splitlines() == [
        "reason    half of it",
        "measured  0.917",
        "bound     3.1e-13 = 64 u sqrt(P)",
        "witness   bias: ratio 1/12",
        "nearest   D1",
        "again     fishergauge check my.py:subject",
        "seed      0",
        "notes     printed; warned",
    ]


def test_subjects_are_suites_in_the_order_of_the_records(tmp_path: Path) -> None:
    other = replace(BASE, subject="a-b", seconds=1.0)
    root = written(tmp_path, BASE, other, replace(BASE, claim="T5", verdict="holds"))
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("time")) for suite in root] == [
        ("mine", "2", "1", "0.500"),
        ("a-b", "1", "1", "1.000"),
    ]
    assert (root.tag, root.get("tests"), root.get("time")) == ("testsuites", "3", "1.500")


def test_characters_that_xml_does_not_allow_are_left_out_and_the_others_kept(tmp_path: Path) -> None:
    wrong = "".join(map(chr, [*range(9), 11, 12, *range(14, 32), 0xD800, 0xDFFF, 0xFFFE, 0xFFFF]))
    kept = "<a href='x'>&amp; ]]> \x7f\x85 \ue000\ufffd\U0001f600\t1\n2\r\n3\r4"
    reason = f"[{wrong}]{kept}"
    root = written(tmp_path, replace(BASE, reason=reason, problem=f"m\x00lp{chr(0xDCFF)}", subject="mi\x1bne"))
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    plain = "[]" + kept.replace("\r\n", "\n").replace("\r", "\n")
    assert failure.get("message") == f"violated T4 on mlp: {plain}"
    assert plain in (failure.text or "")
    assert root.find("testsuite[@name='mine']/testcase[@classname='mlp']") is not None


def test_time_is_a_number_whatever_was_measured(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        replace(BASE, seconds=float("nan")),
        replace(BASE, claim="T5", seconds=float("inf")),
        replace(BASE, claim="T6"),
    )
    assert root.get("time") == "0.250"


def test_nothing_to_write_and_nowhere_to_write_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="no records to write"):
        write_junit([], tmp_path / "junit.xml")
    with pytest.raises(RecordsError, match="cannot be written: there is no folder"):
        write_junit([BASE], tmp_path / "gone" / "junit.xml")

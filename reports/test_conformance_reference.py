"""The reference quantities as subjects that a command line can name."""

from dataclasses import replace

import pytest

from fishergauge.reports.cli import main
from fishergauge.reports.conformance_lookup import Known, look_up
from fishergauge.reports.conformance_options import ConformanceOptions
from fishergauge.reports.conformance_reference import LEFT_OUT, REFERENCE, is_reference, reference_specs
from fishergauge.suites.loading import load_subject

FEW = ConformanceOptions(problems="linear-regression", claims="T1,T26-symmetric")


def test_the_reference_quantities_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    specs = reference_specs()
    assert [load_subject(spec).name for spec in specs] == list(REFERENCE)
    assert all(map(is_reference, specs))
    assert set(specs) - set(reference_specs(quick=True)) == {specs[list(REFERENCE).index(name)] for name in LEFT_OUT}
    assert not is_reference("mine.py:good")
    assert main(["check", specs[0], "--claims", "T1", "--problems", "linear-regression", "-j", "1"]) == 0
    assert "1 check: 1 holds" in capsys.readouterr().out


def test_expected_failures_of_the_user_do_not_concern_them() -> None:
    known = look_up(reference_specs()[0], replace(FEW, expected="nowhere.toml"))
    assert isinstance(known, Known)
    assert (known.name, known.declared, known.sent.file) == ("exact-fisher", "target fisher, structure dense", "")
    assert {(check.claim, check.problem) for check in known.checks} == {
        ("T1", "linear-regression"),
        ("T26-symmetric", "linear-regression"),
    }

"""What this repository asks of a run: Hypothesis profiles, the device it is meant for, and what the suites report."""

import os

import pytest
from hypothesis import HealthCheck, settings

from fishergauge.reference.errors import UnsupportedError
from fishergauge.suites import devices

settings.register_profile("dev", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("nightly", settings.get_profile("dev"), max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_configure() -> None:
    """Refuse to run without the device that the run is meant for."""
    try:
        devices.require()
    except UnsupportedError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header() -> str:
    """Say what runs where."""
    return devices.description()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the notes of the tests: what a statistical test could have seen, for instance."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.stats.get(outcome, []) if r.when == "call"]
    notes = sorted({text for report in reports for key, text in report.user_properties if key == "note"})
    if notes:
        terminalreporter.section("what the suites report")
        for text in notes:
            terminalreporter.line(text)

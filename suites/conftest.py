"""Fixtures of the suites, and the remarks that tests leave for the summary."""

from collections.abc import Callable

import pytest
from fishergauge.suites.quantities import Quantities

Note = Callable[[str], None]


@pytest.fixture(scope="session")
def quantities() -> Quantities:
    """The quantities under examination: those of the reference."""
    return Quantities()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Leave a line that is printed at the end of the run, also from a worker process."""

    def leave(text: str) -> None:
        request.node.user_properties.append(("note", text))

    return leave


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the remarks: what a statistical test could have seen, for instance."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.stats.get(outcome, []) if r.when == "call"]
    notes = sorted({text for report in reports for key, text in report.user_properties if key == "note"})
    if notes:
        terminalreporter.section("what the suites report")
        for text in notes:
            terminalreporter.line(text)

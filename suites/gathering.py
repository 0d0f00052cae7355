"""What a pytest run gathers of its checks, from all processes: counts for the summary, and reasons to fail it."""

import datetime
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from fishergauge.suites.record import Record
from fishergauge.suites.wording import plural, title

FIELDS = frozenset(item.name for item in fields(Record))


class Gathered:
    """The records of a run; a plug-in of its own, since reports come without their session.

    Args:
        config: of the run.
        asked: names of the subjects that the command line asks for.
    """

    def __init__(self, config: pytest.Config, asked: tuple[str, ...] = ()) -> None:
        self.config = config
        self.asked = asked
        self.suites: list[Mapping[str, Any]] = []
        self.shared: dict[Any, Any] = {}
        self.deselected = False
        self.records: list[Record] = []
        self.complaints: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record that came with a report."""
        found = getattr(report, "fishergauge", None)
        if found is not None:
            values = {name: value for name, value in found.items() if name in FIELDS}
            self.records.append(Record(**{**values, "notes": tuple(found["notes"])}))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a worker of xdist has collected."""
        output = getattr(node, "workeroutput", {}).get("fishergauge")
        if output is not None and not self.suites:  # all workers collect the same
            self.suites += output["suites"]
        self.deselected |= bool(output and output["deselected"])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge the run as a whole, unless this is a worker, which hands over what it has."""
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["fishergauge"] = {"suites": self.suites, "deselected": self.deselected}
            return
        if self._cut_short(session):
            return
        self.complaints = self._missing() + [text for suite in self.suites for text in self._judged(suite)]
        if self.complaints and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print how many checks ran with which verdict, what they note, and what fails the run as a whole."""
        if not self.records and not self.complaints:
            return
        terminalreporter.section("fishergauge")
        from fishergauge.suites.table import notes, summary

        for name in dict.fromkeys(record.subject for record in self.records):
            own = [record for record in self.records if record.subject == name]
            terminalreporter.line(f"{name}: {summary(own, sum(record.seconds for record in own))}")
        said = notes(self.records)
        if said:
            terminalreporter.line(said)
        for text in self.complaints:
            terminalreporter.line(text, red=True)

    def _cut_short(self, session: pytest.Session) -> bool:
        """Whether the run was restricted or ended early, so that nobody can say what it left out."""
        option = self.config.option
        restricted = self.deselected or any("::" in argument for argument in self.config.args) or getattr(option, "lf", False)
        ended = session.shouldstop or session.shouldfail or session.exitstatus not in (0, 1, 5)
        return bool(restricted or ended or option.collectonly)

    def _missing(self) -> list[str]:
        """Complaints about subjects that were asked for and not checked at all."""
        checked = {record.subject for record in self.records}
        return [
            f"no check of {name} ran: start pytest with --pyargs fishergauge.suites, and see that python_files and "
            "python_functions of the project admit test_conformance.py and test_conforms"
            for name in self.asked
            if name not in checked
        ]

    def _judged(self, suite: Mapping[str, Any]) -> list[str]:
        """Complaints about claims that nothing examined and about expected failures that did not occur."""
        planned = {tuple(key) for key in suite["planned"]}
        own = [record for record in self.records if record.subject == suite["subject"] and record.key[1:] in planned]
        if not own:
            return []
        from fishergauge.suites.claims import CLAIMS
        from fishergauge.suites.report import vacuous_claims

        vacuous = vacuous_claims([CLAIMS[id] for id in suite["demanded"]], own, suite["named"])
        said = [f"vacuous   {title(id, CLAIMS)} of {suite['subject']}: {why}" for id, why in vacuous.items()]
        return said + self._unmet(suite, own)

    def _unmet(self, suite: Mapping[str, Any], own: list[Record]) -> list[str]:
        """Complaints about expected failures, once all checks are known."""
        if not suite["expected"]:
            return []
        from fishergauge.suites.expectation import Expectation
        from fishergauge.suites.expectations import Expectations, catalogue

        entries = [
            Expectation(**{**entry, "expires": entry["expires"] and datetime.date.fromisoformat(entry["expires"])})
            for entry in suite["expected"]
        ]
        judge = Expectations(suite["subject"], tuple(entries), catalogue())
        judged, complaints = judge.apply(own, [(claim, problem) for claim, problem in suite["left_out"]])
        late = [new for old, new in zip(own, judged, strict=True) if new.verdict == "unexpected" != old.verdict]
        if late:
            complaints = (*complaints, f"{plural(len(late), 'check')} unexpectedly held, the first is {late[0].reason}")
        return [f"complaint {text}" for text in complaints]

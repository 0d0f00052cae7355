"""Problems, claims and the suites that join them; what a researcher imports stands here, and is loaded when it is asked for."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fishergauge.reference import Facts, Problem
    from fishergauge.suites.conformance import Report, check
    from fishergauge.suites.probes.probing import probe
    from fishergauge.suites.subject import Subject, SubjectError
    from fishergauge.suites.verification import verify
    from fishergauge.suites.zoo.setting import Setting

__all__ = ["Facts", "Problem", "Report", "Setting", "Subject", "SubjectError", "check", "probe", "verify"]

_HOMES = {
    "Facts": "fishergauge.reference",
    "Problem": "fishergauge.reference",
    "Report": "fishergauge.suites.conformance",
    "check": "fishergauge.suites.conformance",
    "probe": "fishergauge.suites.probes.probing",
    "Subject": "fishergauge.suites.subject",
    "SubjectError": "fishergauge.suites.subject",
    "verify": "fishergauge.suites.verification",
    "Setting": "fishergauge.suites.zoo.setting",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the pytest plug-in costs a host project no import of torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""All parts of the report from a folder of results, whatever of them is there."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path

from fishergauge.reports.page.document import Document
from fishergauge.reports.page.part import Part, missing

Collect = Callable[[Path], Part]

TITLES: Mapping[str, str] = {
    "conformance": "Claims by subjects",
    "probes": "Large models",
    "paper": "The paper's claims",
    "spectrum": "Invariance spectrum",
    "accuracy": "Accuracy against cost",
    "bench": "Benchmarks",
    "peers": "Findings in today's libraries",
    "expected": "Expected failures",
    "environment": "Environment",
    "glossary": "Glossary",
}
"""The headings of the parts, in the order of the page. Each is ``collect`` of a module ``<name>_part``."""
ORDER = tuple(TITLES)
ALWAYS = ("expected", "environment", "glossary")
"""Those that are made of what others have left."""


def collect(
    out: Path, title: str = "fishergauge report", command: str = "", quick: bool = False, asked: Collection[str] = ORDER
) -> Document:
    """Collect what a folder holds. A part that cannot be read becomes one that is missing, with the reason.

    Args:
        out: folder of the results.
        title: of the report.
        command: the command line that makes it.
        quick: whether the runs were quick ones.
        asked: names of the parts that are wanted; those that need no run of their own always are.

    Returns:
        The report, with its parts in order.
    """
    names = [name for name in ORDER if name in asked or name in ALWAYS]
    return Document(title, tuple(_collected(name, out) for name in names), command, quick)


def _collected(name: str, out: Path) -> Part:
    """One part; what its collector cannot read is a gap, as the other parts must not suffer."""
    try:
        module = import_module(f"fishergauge.reports.page.{name}_part")
        part: Part = module.collect(out)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return missing(name, TITLES[name], "the whole part", f"it could not be collected: {reason}", "fishergauge report")
    return part

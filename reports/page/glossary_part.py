"""Glossary: the terms of the report, each with its formula, its source and the claims that check it."""

from pathlib import Path
from typing import Any

from fishergauge.reports.page.glossary import Term, read_glossary, slugs
from fishergauge.reports.page.part import Part


def collect(out: Path) -> Part:
    """Collect the glossary, which comes with the package.

    Args:
        out: folder of the results; nothing in it is read.

    Returns:
        The part.
    """
    groups, terms = read_glossary()
    data: dict[str, Any] = {
        "groups": [{"name": name, "terms": [_row(term) for term in terms if term.group == id]} for id, name in groups.items()],
    }
    formulas = sum(bool(term.formula) for term in terms)
    summary = f"{len(list(slugs(terms)))} words in the order in which one learns them, {formulas} of them with a formula."
    return Part("glossary", "Glossary", summary, data)


def _row(term: Term) -> dict[str, Any]:
    return {
        "slug": term.slug,
        "name": term.name,
        "text": term.text,
        "formula": term.formula,
        "symbols": term.symbols,
        "source": term.source,
        "claims": list(term.claims),
        "items": [{"slug": item.slug, "name": item.name, "text": item.text} for item in term.items],
    }

"""The terms of the report, with their formulas."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishergauge.reports.page.mathematics import Formula, Prose

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("glossary.toml")
TEXTS = ("slug", "name", "group", "text", "formula", "symbols", "source")
LISTS = ("claims", "items")


class GlossaryError(ValueError):
    """The glossary is written wrongly; the message names the entry and the cause."""


@dataclass(frozen=True)
class Item:
    """A word that is explained under another one, such as one of the verdicts.

    Args:
        slug: of its anchor.
        name: the word.
        text: what it means.
    """

    slug: str
    name: str
    text: Prose


@dataclass(frozen=True)
class Term:
    """An entry of the glossary.

    Args:
        slug: of its anchor.
        name: the word.
        group: id of its group.
        text: one to three sentences, with mathematics between dollars.
        formula: in LaTeX; empty for none.
        symbols: what the letters of the formula mean.
        source: where it is defined or proved.
        claims: ids of those that check it.
        items: words that are explained with it.
    """

    slug: str
    name: str
    group: str
    text: Prose
    formula: Formula
    symbols: Prose
    source: str
    claims: tuple[str, ...]
    items: tuple[Item, ...]


def read_glossary(path: Path = FILE) -> tuple[Mapping[str, str], list[Term]]:
    """The groups, by id, and the terms, both in the order of the file.

    Args:
        path: of the TOML file.

    Raises:
        GlossaryError: it is no TOML, a key is unknown or missing, a group unknown, or a slug not unique.

    Example:
        >>> next(term.name for term in read_glossary()[1] if term.slug == "kfac")
        'K-FAC'
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise GlossaryError(f"{path.name}: not TOML: {error}") from None
    groups = {str(group["id"]): str(group["name"]) for group in content.get("group", [])}
    terms = [_term(table) for table in content.get("term", [])]
    seen: set[str] = set()
    for term in terms:
        if term.group not in groups:
            raise GlossaryError(f"{term.slug}: there is no group {term.group!r}")
        for slug in (term.slug, *(item.slug for item in term.items)):
            if slug in seen:
                raise GlossaryError(f"{slug}: the slug stands in the glossary twice")
            seen.add(slug)
    return groups, terms


def slugs(terms: Sequence[Term]) -> Iterator[str]:
    """The slugs of terms and of the words explained with them, in order.

    Args:
        terms: of the glossary.
    """
    for term in terms:
        yield term.slug
        yield from (item.slug for item in term.items)


def _term(table: Mapping[str, Any]) -> Term:
    name = table.get("slug", table.get("name", "an entry without a slug"))
    if unknown := sorted(table.keys() - {*TEXTS, *LISTS}):
        raise GlossaryError(f"{name}: unknown key {unknown[0]!r}; known: {', '.join((*TEXTS, *LISTS))}")
    for key in ("slug", "name", "group", "text"):
        if not table.get(key):
            raise GlossaryError(f"{name}: {key!r} is missing")
    return Term(
        table["slug"],
        table["name"],
        table["group"],
        Prose(table["text"]),
        Formula(table.get("formula", "")),
        Prose(table.get("symbols", "")),
        table.get("source", ""),
        tuple(table.get("claims", ())),
        tuple(Item(item["slug"], item["name"], Prose(item["text"])) for item in table.get("items", ())),
    )

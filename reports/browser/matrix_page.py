"""The matrix of an open page as the tests handle it: its rows, its cells, its controls, and the detail of a cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishergauge.reports.browser.opened import Opened
from fishergauge.reports.page.document import read_document

if TYPE_CHECKING:
    from playwright.sync_api import Locator

_MARKED = """([subject, claim]) => {
    const table = document.getElementById('conformance-matrix')
    for (const old of table.querySelectorAll('[data-tested]')) delete old.dataset.tested
    const column = [...table.tHead.rows[0].cells].findIndex(head => head.querySelector('b')?.textContent === claim)
    const row = [...table.tBodies].flatMap(body => [...body.rows]).find(
        one => !one.classList.contains('group') && one.cells[0].textContent === subject)
    row.cells[column].dataset.tested = ''
}"""
_SHOWN = """() => [...document.querySelectorAll('#conformance-matrix tbody tr:not(.group)')]
    .filter(row => row.checkVisibility()).map(row => row.cells[0].textContent)"""


def conformance_of(page: Path) -> Mapping[str, Any]:
    """The data of the part of claims by subjects, from the report beside a page.

    Args:
        page: the file.
    """
    part = read_document(page.parent).part("conformance")
    assert part is not None
    return part.data


def cell(opened: Opened, subject: str, claim: str) -> "Locator":
    """The cell of a subject and a claim, whatever the name of the subject holds.

    Args:
        opened: the page.
        subject: its name.
        claim: its id.
    """
    opened.evaluate(_MARKED, [subject, claim])
    return opened.page.locator("#conformance-matrix [data-tested]")


def shown_subjects(opened: Opened) -> list[str]:
    """The names of the subjects whose rows are visible, in the order of the page.

    Args:
        opened: the page.
    """
    names: list[str] = opened.evaluate(_SHOWN)
    return names


def controls(opened: Opened, table: str = "conformance-matrix") -> "Locator":
    """The group of controls that stands next before a table.

    Args:
        opened: the page.
        table: its identifier.
    """
    before = f"xpath=//*[@id='{table}']/preceding::*[contains(concat(' ', @class, ' '), ' controls ')][1]"
    return opened.page.locator(before)


def detail(opened: Opened) -> "Locator":
    """The detail of a cell, a dialog.

    Args:
        opened: the page.
    """
    return opened.page.get_by_role("dialog")


def focused_label(opened: Opened) -> str:
    """The accessible label of what has the focus.

    Args:
        opened: the page.
    """
    return str(opened.evaluate("() => document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"))

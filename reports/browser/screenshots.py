"""Pictures of a page: light, dark, narrow, as printed, with a cell's detail, and each of its parts."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.browser.chromium import NoBrowserError, launched, require_browser
from fishergauge.reports.browser.opened import NARROW, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CELL = "#conformance-matrix tr:not(.group) > :is(td.v, td.e, td.x, td.h)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures of a page into a folder.

    Args:
        arguments: of the command line.

    Returns:
        The exit code: 2 where there is no browser or no page.
    """
    parser = argparse.ArgumentParser(prog="python -m fishergauge.reports.browser.screenshots", description=__doc__)
    parser.add_argument("page", type=Path, help="a file index.html")
    parser.add_argument("folder", type=Path, help="where the pictures go; made if it is not there")
    options = parser.parse_args(arguments)
    if not options.page.is_file():
        parser.error(f"{options.page}: no such file")
    try:
        program = require_browser()
    except NoBrowserError as error:
        parser.error(str(error))
    options.folder.mkdir(parents=True, exist_ok=True)
    with launched(program) as browser:
        for path in pictures(browser, options.page, options.folder):
            print(path)
    return 0


def pictures(browser: "Browser", page: Path, folder: Path) -> list[Path]:
    """Take them.

    Args:
        browser: that is running.
        page: the file.
        folder: an existing one.

    Returns:
        The paths of the pictures.
    """
    made = [folder / f"{name}.png" for name in ("light", "dark", "narrow", "print", "detail")]
    light, dark, narrow, printed, detail = made
    with opened(browser, page) as one:
        one.page.screenshot(path=light)
        for part in one.evaluate("() => [...document.querySelectorAll('main > section[id]')].map(e => e.id)"):
            one.evaluate("id => document.getElementById(id).scrollIntoView({behavior: 'instant'})", part)
            made.append(folder / f"part-{part}.png")
            one.page.screenshot(path=made[-1])
    with opened(browser, page, color_scheme="dark") as one:
        one.page.screenshot(path=dark)
    with opened(browser, page, width=NARROW) as one:
        one.page.screenshot(path=narrow)
    with opened(browser, page) as one:
        one.page.emulate_media(media="print")
        one.page.screenshot(path=printed)
    with opened(browser, page, "#conformance") as one:
        if one.count(CELL):
            one.page.locator(CELL).first.click()
        one.page.screenshot(path=detail)
    return made


if __name__ == "__main__":
    raise SystemExit(main())

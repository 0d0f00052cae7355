"""One browser for all tests of the page, and the pages that they open."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fishergauge.reports.browser.chromium import NoBrowserError, launched, require_browser
from fishergauge.reports.browser.opened import Opened, opened
from fishergauge.reports.page.example_document import large_document, write_example

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Open = Callable[..., AbstractContextManager[Opened]]
Alter = Callable[..., Path]
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Chromium. Where it is missing the tests are skipped, unless ``FISHERGAUGE_REQUIRE`` is ``browser``."""
    try:
        program = require_browser()
    except NoBrowserError as error:
        if os.environ.get("FISHERGAUGE_REQUIRE") == "browser":
            pytest.fail(f"FISHERGAUGE_REQUIRE=browser, but {error}")
        pytest.skip(str(error))
    with launched(program) as started:
        yield started


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the example document."""
    return write_example(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the large document."""
    return write_example(tmp_path_factory.mktemp("large"), large_document())


@pytest.fixture
def open_page(browser: "Browser") -> Open:
    """A function that opens a path in a context of its own."""
    return partial(opened, browser)


@pytest.fixture
def altered(example: Path, tmp_path: Path) -> Alter:
    """A function that writes a copy of the page in which one text is replaced by another: a control that must fail.

    The copy lacks the page's policy of content, which would keep most of what is planted from running, unless ``guarded``.
    """

    def copy(old: str, new: str, guarded: bool = False) -> Path:
        text = example.read_text(encoding="utf-8")
        assert old in text, f"there is no {old!r} in the page"
        text = text.replace(old, new)
        path = tmp_path / "altered.html"
        path.write_text(text if guarded else POLICY.sub("", text, count=1), encoding="utf-8")
        return path

    return copy

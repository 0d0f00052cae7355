"""The browser that the tests of the page use: where it is, what is missing, and how it is started."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VARIABLE = "FISHERGAUGE_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("playwright", "axe_playwright_python")
NO_NETWORK = ("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--no-first-run")


class NoBrowserError(RuntimeError):
    """There is no browser, or nothing that drives it; the message says what to install."""


def find_chromium(environment: Mapping[str, str] = os.environ) -> str:
    """Find Chromium.

    Args:
        environment: variables; ``FISHERGAUGE_CHROMIUM`` names the program, else ``PATH`` is searched.

    Returns:
        The path of the program.

    Raises:
        NoBrowserError: there is none.
    """
    named = environment.get(VARIABLE, "")
    path = environment.get("PATH", "")
    if named:
        found = shutil.which(named, path=path)
        if found is None:
            raise NoBrowserError(f"{VARIABLE} is {named!r}, which is no program that can be run")
        return found
    for name in NAMES:
        if found := shutil.which(name, path=path):
            return found
    raise NoBrowserError(f"no {', '.join(NAMES[:-1])} or {NAMES[-1]} on PATH; install one of them, or name it in {VARIABLE}")


def require_browser(environment: Mapping[str, str] = os.environ) -> str:
    """Find everything that the tests need.

    Args:
        environment: variables.

    Returns:
        The path of Chromium.

    Raises:
        NoBrowserError: a package or the browser is missing.
    """
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        commands = " ".join(name.replace("_", "-") for name in absent)
        raise NoBrowserError(f"not installed: {', '.join(absent)}; run: pip install {commands}")
    return find_chromium(environment)


def arguments(root: bool) -> list[str]:
    """What Chromium is started with: no network, and the sandbox unless it runs as root, where it cannot.

    Args:
        root: whether the user is root.

    Example:
        >>> "--no-sandbox" in arguments(root=True), "--no-sandbox" in arguments(root=False)
        (True, False)
    """
    return [*NO_NETWORK, *(["--no-sandbox"] if root else [])]


@contextmanager
def launched(program: str) -> "Iterator[Browser]":
    """Start Chromium, and end it afterwards.

    Args:
        program: its path.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=arguments(hasattr(os, "geteuid") and os.geteuid() == 0)
        )
        try:
            yield browser
        finally:
            browser.close()

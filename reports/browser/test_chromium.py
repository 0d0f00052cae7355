"""Where the browser is looked for, and that a run which requires it does not pass by skipping."""

import os
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from fishergauge.reports.browser import chromium
from fishergauge.reports.browser.chromium import NoBrowserError, find_chromium, require_browser
from fishergauge.suites import devices


def _program(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_path_is_searched_in_order(tmp_path: Path) -> None:
    last = _program(tmp_path, "google-chrome")
    assert find_chromium({"PATH": str(tmp_path)}) == last
    first = _program(tmp_path, "chromium")
    assert find_chromium({"PATH": str(tmp_path)}) == first


def test_the_variable_comes_first_and_must_name_a_program(tmp_path: Path) -> None:
    _program(tmp_path, "chromium")
    own = _program(tmp_path, "my-browser")
    assert find_chromium({"PATH": str(tmp_path), "FISHERGAUGE_CHROMIUM": own}) == own
    with pytest.raises(NoBrowserError, match="FISHERGAUGE_CHROMIUM is '/nowhere/chromium'"):
        find_chromium({"PATH": str(tmp_path), "FISHERGAUGE_CHROMIUM": "/nowhere/chromium"})


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(chromium, "find_spec", lambda name: None)
    with pytest.raises(NoBrowserError, match="pip install playwright axe-playwright-python"):
        require_browser({"PATH": str(tmp_path)})


def test_a_run_that_requires_a_browser_needs_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("FISHERGAUGE_REQUIRE", "browser")
    devices.require()


@pytest.mark.parametrize(("required", "outcome"), [("browser", "1 error"), ("", "1 skipped")])
def test_without_a_browser_a_run_is_skipped_or_fails_where_it_is_required(required: str, outcome: str, tmp_path: Path) -> None:
    test = tmp_path / "test_of_one_page.py"
    test.write_text(
        "from fishergauge.reports.browser.conftest import browser\n\n\ndef test_it(browser): raise AssertionError\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "FISHERGAUGE_CHROMIUM": "/nowhere/chromium", "FISHERGAUGE_REQUIRE": required}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:fishergauge", "-rs", str(test)]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome in result.stdout, result.stdout + result.stderr
    installed = all(find_spec(name) for name in ("playwright", "axe_playwright_python"))
    assert ("/nowhere/chromium" if installed else "pip install playwright") in result.stdout

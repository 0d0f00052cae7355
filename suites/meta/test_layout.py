"""Imports run reports -> suites -> reference and never back."""

import ast
import importlib
from pathlib import Path

import pytest

FORBIDDEN = {"reference": ("fishergauge.suites", "fishergauge.reports"), "suites": ("fishergauge.reports",)}


def _sources(package: str) -> list[Path]:
    folder = Path(next(iter(importlib.import_module(f"fishergauge.{package}").__path__)))
    return sorted(folder.rglob("*.py"))


def _imported(source: str) -> set[str]:
    """The dotted names that a source file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_import_runs_backwards(package: str) -> None:
    files = _sources(package)
    assert len(files) > 20
    backwards = [
        f"{file.name} imports {name}"
        for file in files
        for name in sorted(_imported(file.read_text(encoding="utf-8")))
        if name.startswith(FORBIDDEN[package])
    ]
    assert not backwards


def test_an_import_that_runs_backwards_would_be_seen() -> None:
    source = "def f():\n    from fishergauge.reports import cli\n    import fishergauge.suites.gates"
    assert _imported(source) == {"fishergauge.reports.cli", "fishergauge.suites.gates"}

"""The version of the code that computes results: the package's version and a digest of its sources."""

import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable
else:
    from importlib.abc import Traversable

PRESENTATION = ("test_", "cli.", "ledger.", "provenance.")
FOLDERS = ("__pycache__", "meta", "page")
"""Without a source that changes a result."""


def package_version() -> str:
    """The installed version of fishergauge."""
    return metadata.version("fishergauge")


@cache
def code_version() -> str:
    """Package version and digest of every source file that can change a result.

    A result computed by other code must not be taken for a finished one, not even between two releases.
    Tests, figures and what merely prints are left out: they change no result.

    Returns:
        For example ``"0.1.0+3f2a9c0d1b7e"``.
    """
    digest = hashlib.sha256()
    for package in ("fishergauge.reference", "fishergauge.suites", "fishergauge.reports"):
        for name, content in _sources(_folder(package), package):
            digest.update(f"{name}\n".encode() + content)
    return f"{package_version()}+{digest.hexdigest()[:12]}"


def _folder(package: str) -> Path:
    """Where a package lies, found without its import: that of torch takes long."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed; run: pip install fishergauge")
    return Path(next(iter(spec.submodule_search_locations)))


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    """The sources of a package and of the packages below it, by name; the tests of the harness left out."""
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.is_dir() and file.name not in FOLDERS:
            yield from _sources(file, f"{name}/{file.name}")
        elif file.name.endswith(".py") and not file.name.startswith(PRESENTATION) and "figure" not in file.name:
            yield f"{name}/{file.name}", file.read_bytes()

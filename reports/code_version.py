"""The version of the code that computes results: the package's version and a digest of its sources."""

import hashlib
from functools import cache
from importlib import metadata, resources

PRESENTATION = ("test_", "cli.", "ledger.", "provenance.")


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
        for file in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
            presents = file.name.startswith(PRESENTATION) or "figure" in file.name
            if file.name.endswith(".py") and not presents:
                digest.update(f"{package}/{file.name}\n".encode() + file.read_bytes())
    return f"{package_version()}+{digest.hexdigest()[:12]}"

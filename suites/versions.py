"""Versions that a result depends on."""

import functools
import platform
from importlib import metadata

PACKAGES = ("fishergauge", "torch", "numpy", "scipy")


@functools.cache
def versions() -> dict[str, str | None]:
    """Of Python and of :data:`PACKAGES`; None for a package that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found

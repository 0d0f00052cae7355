"""Versions that a result depends on."""

import functools
import platform
from importlib import metadata

PACKAGES = ("fishergauge", "torch", "numpy", "scipy")


@functools.cache
def versions() -> dict[str, str | None]:
    """Of Python and of :data:`PACKAGES`; None for a package that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    return found | {package: version_of(package) for package in PACKAGES}


def version_of(package: str) -> str | None:
    """The installed version of a package; None if it is not installed.

    Example:
        >>> version_of("no-such-package") is None
        True
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

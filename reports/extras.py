"""Packages of optional extras, imported where they are needed."""

import importlib
from typing import Any


class MissingExtraError(ImportError):
    """A package of an optional extra is not installed; the message says how to get it."""


def require(module: str, extra: str = "report") -> Any:
    """Import a module of an optional extra.

    Args:
        module: its dotted name.
        extra: that brings it.

    Returns:
        The module.

    Raises:
        MissingExtraError: it is not installed.

    Example:
        >>> require("json").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], module.partition(".")[0])
        raise MissingExtraError(f"{package} is not installed; run: pip install 'fishergauge[{extra}]'") from error

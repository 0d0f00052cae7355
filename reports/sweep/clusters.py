"""A cluster of dask from a text: how many processes of this machine, or a class that starts workers somewhere."""

import ast
import importlib
from typing import Any

from fishergauge.reports.extras import require
from fishergauge.reports.sweep.engine import EngineError

FORM = "local:4, or package.module:Class,key=value,... such as dask_jobqueue:SLURMCluster,cores=4,memory=8GB,jobs=10"
SCALES = ("jobs", "workers")
"""Keys that are no arguments of the class: how many there are to be."""


def started(spec: str) -> Any:
    """Start a cluster.

    Args:
        spec: as ``--cluster`` takes it. ``jobs=N`` and ``workers=N`` ask the cluster for so many once it stands.

    Returns:
        An object with ``scheduler_address`` and ``close()``.

    Raises:
        EngineError: it is not of that form, or cannot be started.
    """
    head, *pairs = spec.split(",")
    module, colon, name = head.partition(":")
    if not colon or not module or not name or any("=" not in pair or pair.startswith("=") for pair in pairs):
        raise EngineError(f"--cluster {spec!r} is no cluster; give {FORM}")
    if module == "local":
        return _local(spec, name, pairs)
    settings = {key.strip(): _value(value) for key, _, value in (pair.partition("=") for pair in pairs)}
    scales = {key: settings.pop(key) for key in SCALES if key in settings}
    try:
        kind = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise EngineError(f"--cluster {spec}: {error}; install the package that has {module}") from error
    except AttributeError:
        raise EngineError(f"--cluster {spec}: {module} has no {name}; give {FORM}") from None
    try:
        cluster = kind(**settings)
    except Exception as error:
        raise EngineError(f"--cluster {spec}: {name} could not be started: {type(error).__name__}: {error}") from error
    for key, value in scales.items():
        cluster.scale(**({"jobs": value} if key == "jobs" else {"n": value}))
    return cluster


def _local(spec: str, count: str, pairs: list[str]) -> Any:
    """So many worker processes of this machine."""
    if not count.isdecimal() or int(count) < 1 or pairs:
        raise EngineError(f"--cluster {spec!r}: local:N starts N processes of this machine, N from 1")
    distributed = require("distributed", "dask")
    return distributed.LocalCluster(n_workers=int(count), threads_per_worker=1, processes=True, dashboard_address=None)


def _value(text: str) -> Any:
    """A number, True, False or None where it is one, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

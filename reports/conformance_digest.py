"""What the result of a subject depends on, as one digest: its sources, the options, the kit, what is installed."""

import hashlib
import json
import sys
import sysconfig
from collections.abc import Collection, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.code_version import code_version
from fishergauge.reports.conformance_options import ConformanceOptions

if TYPE_CHECKING:
    from fishergauge.suites.expectations import Expectations


def subject_digest(
    spec: str, options: ConformanceOptions, expectations: "Expectations", before: Collection[str], ours: bool
) -> str:
    """The digest of a subject that has just been loaded.

    The sources of a user's subject are those of all modules that loading it has imported, and of the Python files beside
    the user's own ones, which it may import later. Data files that it reads are not known here.

    Args:
        spec: the subject as typed.
        options: of the run.
        expectations: its expected failures, whose dates of expiry may have passed since the last run.
        before: names of the modules that were imported before it was loaded.
        ours: whether it belongs to this package, so that its sources are those of the kit.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    expired = [entry.expires is not None and expectations.today > entry.expires for entry in expectations.entries]
    known = (spec, code_version(), sys.version, json.dumps(options.selection), repr(expectations.entries), repr(expired))
    for part in (*known, *_installed()):
        digest.update(part.encode() + b"\0")
    files = {Path(file) for file in options.problem_files} | (set() if ours else set(_sources(before)))
    for file in sorted(files):
        digest.update(str(file).encode() + b"\0" + (file.read_bytes() if file.is_file() else b"") + b"\0")
    return digest.hexdigest()[:16]


def _installed() -> list[str]:
    """Name and version of every installed distribution."""
    return sorted({f"{one.metadata['Name']} {one.version}" for one in metadata.distributions()})


def _sources(before: Collection[str]) -> Iterator[Path]:
    """The Python files of newly imported modules, and those beside the user's own."""
    libraries = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    for name in sorted(sys.modules.keys() - set(before)):
        file = getattr(sys.modules[name], "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            continue
        path = Path(file).resolve()
        yield path
        if not any(path.is_relative_to(library) for library in libraries):
            yield from path.parent.glob("*.py")

"""Where artefacts come from: hashes, versions, seeds and command, in one file beside them."""

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from fishergauge.reports.cell import Cell
from fishergauge.reports.code_version import code_version
from fishergauge.reports.tables import write_json
from fishergauge.suites.versions import version_of

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "backpack-for-pytorch",
    "fishergauge",
    "matplotlib",
    "scikit-learn",
    "gymnasium",
)


def write_provenance(artefacts: Iterable[Path], cells: Sequence[Cell], device: str, command: str, out: Path) -> Path:
    """Write ``provenance.json`` of a folder of artefacts.

    Artefacts of earlier runs in the same folder keep their entry as long as the file is unchanged.

    Args:
        artefacts: files below ``out``.
        cells: whose records they were made of.
        device: on which the cells were computed.
        command: the command line.
        out: the folder.

    Returns:
        The path of the file.
    """
    path = out / "provenance.json"
    entries = _earlier(path, out)
    run = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    for artefact in artefacts:
        name = artefact.relative_to(out).as_posix()
        used = [cell for cell in cells if len(artefact.relative_to(out).parts) == 1 or cell.data == artefact.parent.name]
        seeds = {
            f"{cell.experiment} {cell.protocol}": sorted(
                {other.seed for other in used if (other.experiment, other.protocol) == (cell.experiment, cell.protocol)}
            )
            for cell in used
        }
        entries[name] = {"sha256": sha256(artefact), "seeds": seeds, **run}
    return write_json({"schema": 1, "artefacts": dict(sorted(entries.items()))}, path)


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that results depend on; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "code": code_version()}
    return found | {package: version_of(package) for package in PACKAGES}


def device_name(device: str) -> str:
    """The device as a person would call it."""
    if torch.device(device).type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {platform.processor() or platform.machine()}"


def sha256(path: Path) -> str:
    """The digest of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _earlier(path: Path, out: Path) -> dict[str, Any]:
    """The entries of an earlier run whose artefacts are still as they were."""
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["artefacts"]
        return {
            name: entry for name, entry in entries.items() if (out / name).is_file() and sha256(out / name) == entry["sha256"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}

"""Writing a figure: made in its own style, and each file whole or not at all."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.extras import require


def write_figure(make: Callable[[], Any], style: Mapping[str, Any], paths: Sequence[Path], dpi: int) -> list[Path]:
    """Make a figure in a style and write it.

    Args:
        make: the figure, or None if there is nothing to draw.
        style: settings of matplotlib while it is made and written.
        paths: files to write; their suffix says the format.
        dpi: of pixel formats.

    Returns:
        The paths; none if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with require("matplotlib").rc_context(dict(style)):
        figure = make()
        if figure is None:
            return []
        for path in paths:
            _write(figure, path, dpi)
    return list(paths)


def _write(figure: Any, path: Path, dpi: int) -> None:
    """Write the file under another name first, so that no reader sees a part of it."""
    kind = path.suffix.removeprefix(".")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, dpi=dpi, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

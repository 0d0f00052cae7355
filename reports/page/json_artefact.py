"""An artefact in JSON, read so that a missing or damaged one costs nothing but itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fishergauge.reports.page.part import Gap


def read_json(out: Path, name: str, what: str, command: str, schema: int | None = 1) -> tuple[Mapping[str, Any], Gap | None]:
    """Read an object from a JSON file.

    Args:
        out: folder of the results.
        name: of the file, relative to it, with forward slashes.
        what: is missing without it, for people.
        command: that writes it.
        schema: that this version reads; None where the file has none.

    Returns:
        The object, empty where it cannot be read; and then the gap, which names file, cause and remedy.

    Example:
        >>> read_json(Path("nowhere"), "peers/peers.json", "the run", "fishergauge peers")[1].why
        'peers/peers.json is not there.'
    """
    try:
        content = json.loads((out / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, Gap(what, f"{name} is not there.", command)
    except OSError as error:
        return {}, Gap(what, f"{name} cannot be read: {error.strerror or type(error).__name__}.", command)
    except (ValueError, RecursionError) as error:
        return {}, Gap(what, f"{name} is damaged: {error}. Remove it and run the command again.", command)
    if not isinstance(content, dict):
        return {}, Gap(what, f"{name} is damaged: it holds no object. Remove it and run the command again.", command)
    if schema is not None and content.get("schema") != schema:
        found = f"{name} has schema {content.get('schema')!r}, and this version of fishergauge reads {schema}."
        return {}, Gap(what, f"{found} Run the command again.", command)
    return content, None


def mapping(value: Any) -> Mapping[str, Any]:
    """A value that should be an object, or an empty one.

    Args:
        value: from a JSON file.
    """
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """A value that should be a list, or an empty one.

    Args:
        value: from a JSON file.
    """
    return value if isinstance(value, list) else []

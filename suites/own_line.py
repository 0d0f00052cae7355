"""Where in the code under test an exception was raised."""

import os
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import fishergauge.reference as _reference
import fishergauge.suites as _suites

_HARNESS = tuple(str(Path(place).resolve()) + os.sep for module in (_reference, _suites) for place in module.__path__)
_CALLERS = tuple(str(Path(place).resolve()) + os.sep for place in _suites.__path__)
_LIBRARIES = tuple(
    str(Path(path).resolve()) + os.sep
    for key, path in sysconfig.get_paths().items()
    if key in ("stdlib", "platstdlib", "purelib", "platlib")
)
_LONGEST = 600

Place = tuple[str, int, str]


def text_of(thing: object) -> str:
    """The text of an exception or a warning, which may refuse to give one; cut off after 600 characters."""
    try:
        text = str(thing).strip()
    except Exception:
        return "its message cannot be printed"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def reason_of(error: BaseException) -> str:
    """Type, message and the innermost line of the code under test.

    Example:
        >>> reason_of(ValueError("no such layer"))
        'ValueError: no such layer'
    """
    where = own_line(error.__traceback__)
    if isinstance(error, SystemExit):
        return f"it called exit({'' if error.code is None else repr(error.code)}){where}"
    message = text_of(error)
    return f"{type(error).__name__}{': ' if message else ''}{message}{where}"


def own_line(trace: TracebackType | None) -> str:
    """The innermost line of the code under test, as `` (file.py:12 in build)``; empty where there is none."""
    return own_place([(f.f_code.co_filename, line, f.f_code.co_name) for f, line in traceback.walk_tb(trace)])


def own_place(places: Sequence[Place]) -> str:
    """The innermost of some places, outermost first, that is in the code under test; written as in :func:`own_line`.

    The code under test is the file in which the calls of this package end, with the package that the file belongs to,
    and every file that belongs neither to an installed package nor to this one.
    """
    callers = [position for position, place in enumerate(places[:-1]) if _is_harness(place[0], _CALLERS)]
    # what comes before the last call by this package, a test runner or a forked process, is not under test
    called = places[callers[-1] + 1 :] if callers else places
    outside = [place for place in called if not _is_harness(place[0])] or [p for p in places if not _is_harness(p[0])]
    if not outside:
        return ""
    home = _home_of(outside[0][0])
    file, line, name = [place for place in outside if _is_own(place[0], home)][-1]
    return f" ({_short(file)}:{line} in {name})"


def _is_harness(file: str, folders: tuple[str, ...] = _HARNESS) -> bool:
    """Whether a file belongs to this package; its tests, which stand for code under test, do not count."""
    path = Path(file)
    return file.startswith(folders) and path.parent.name != "meta" and not path.name.startswith("test_")


def _home_of(file: str) -> str:
    """A file, or the folder of the top-level package that it belongs to."""
    folder = None
    for parent in Path(file).parents:
        if not (parent / "__init__.py").is_file():
            break
        folder = parent
    return file if folder is None else str(folder) + os.sep


def _is_own(file: str, home: str) -> bool:
    if file == home or (home.endswith(os.sep) and file.startswith(home)):
        return True
    return not file.startswith((*_LIBRARIES, "<frozen"))


def _short(file: str) -> str:
    """The path from here, or its last two parts."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return "/".join(path.parts[-2:])

"""What the commands share: how mistakes of the user are answered, and patterns that match nothing."""

import difflib
import math
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

WRONG_USE = 2
INTERRUPTED = 130
LIKE = 0.6  # from here on, a name is worth mentioning


class UsageError(ValueError):
    """Options that cannot be honoured; the message names cause and remedy."""


def answer(run: Callable[[], int], errors: tuple[type[Exception], ...] = ()) -> int:
    """Run a command; its user's mistakes become a line on the standard error and exit code 2.

    Args:
        run: the command.
        errors: which exceptions are mistakes of the user, beside :class:`UsageError`.

    Returns:
        The exit code.
    """
    mistakes: tuple[type[Exception], ...] = (UsageError, *errors)
    try:
        return run()
    except mistakes as error:
        print(f"fishergauge: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("fishergauge: interrupted", file=sys.stderr)
        return INTERRUPTED


def patterns(text: str) -> list[str]:
    """A comma-separated list of patterns as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def require_matches(option: str, text: str, names: Iterable[str], listing: str) -> None:
    """Refuse patterns that match no name.

    Args:
        option: under which the patterns were given.
        text: comma-separated patterns.
        names: what they can match.
        listing: the command that lists the names.

    Raises:
        UsageError: a pattern matches nothing; the nearest names are named.
    """
    known = list(names)
    if not patterns(text):
        raise UsageError(f"{option} is empty; leave it out for all, or give a pattern ({listing} lists the names)")
    for pattern in patterns(text):
        if not any(fnmatchcase(name, pattern) for name in known):
            raise UsageError(f"{option} {pattern!r} matches nothing{nearest(pattern, known)} ({listing} lists the names)")


def chosen(option: str, text: str | None, names: Iterable[str], listing: str) -> list[str]:
    """The names that the patterns of an option match; all where it was not given.

    Args:
        option: under which the patterns were given.
        text: comma-separated patterns, or None.
        names: what they can match.
        listing: the command that lists the names.

    Raises:
        UsageError: a pattern matches nothing.

    Example:
        >>> chosen("--models", "mlp-*", ["mlp-small", "cnn"], "fishergauge bench --list")
        ['mlp-small']
    """
    known = list(names)
    if text is None:
        return known
    require_matches(option, text, known, listing)
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns(text))]


def require_distinct(subjects: Sequence[str], catalogue: Collection[str]) -> None:
    """Refuse names of subjects that would not tell rows apart.

    Args:
        subjects: names of what was given.
        catalogue: names of the approximations beside them.

    Raises:
        UsageError: two have one name.
    """
    for name in subjects:
        if subjects.count(name) > 1 or name in catalogue:
            other = "an approximation of the catalogue" if name in catalogue else "another subject"
            raise UsageError(f"{name!r} is also the name of {other}; give the subject a name of its own")


def require_range(seed: int, limit: float) -> None:
    """Refuse a seed below zero, and a limit that is no positive number of seconds.

    Raises:
        UsageError: one of them is out of range.
    """
    if seed < 0:
        raise UsageError(f"--seed {seed}: give a whole number, 0 or larger")
    if not 0 < limit < math.inf:
        raise UsageError(f"--limit {limit}: give a number of seconds above 0")


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` with up to three near names, or nothing."""
    text = name.replace("*", "").replace("?", "")
    near = sorted(known, key=lambda other: -_likeness(text, other))[:3]
    likely = [other for other in near if _likeness(text, other) >= LIKE]
    return f"; did you mean {', '.join(likely)}?" if likely else ""


def _likeness(text: str, name: str) -> float:
    """How much a text resembles a name or the beginning of it, from 0 to 1."""
    parts = (name, name[: len(text)])
    return max(difflib.SequenceMatcher(None, text.lower(), part.lower()).ratio() for part in parts)


def make_folder(out: Path, refused: type[ValueError] = UsageError) -> None:
    """Make the folder of the results, and see that it can be written, before anything is computed.

    Args:
        out: of ``--out``.
        refused: what is raised where it cannot; the message names cause and remedy.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except (FileExistsError, NotADirectoryError) as error:
        raise refused(f"--out {out} is a file; name a folder") from error
    except OSError as error:
        raise refused(f"--out {out} cannot be written ({error.strerror}); name another folder") from error


def writable(option: str, path: Path | None) -> None:
    """Refuse a path that cannot be written, before anything is computed.

    Raises:
        UsageError: it is ``-``, a folder, or in a folder that does not exist.
    """
    if path is None:
        return
    if str(path) == "-":
        raise UsageError(f"{option} takes the path of a file; the standard output is for the report")
    if path.is_dir():
        raise UsageError(f"{option} {path}: this is a folder; give the path of a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}; make it first")

"""Small words of messages and tables: numbers, plurals, lists of names, colours."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from fishergauge.suites.claim import Claim

WIDTH = 120

_COLORS = {
    "violated": "31",
    "unexpected": "31",
    "error": "31",
    "vacuous": "31",
    "complaint": "31",
    "expected": "33",
    "unsupported": "33",
    "holds": "32",
}


def number(value: float | None, digits: int = 3) -> str:
    """A number in a few significant digits, its exponent without ornament.

    Args:
        value: or None where there is none.
        digits: significant ones.

    Example:
        >>> number(3.1e-13), number(3e12), number(0.9171), number(None)
        ('3.1e-13', '3e12', '0.917', '-')
    """
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    mantissa, exponential, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponential else text


def title(id: str, claims: "Mapping[str, Claim]") -> str:
    """Id and name of a claim; the id alone if it ends with the name, or if the claim is unknown here."""
    name = claims[id].name if id in claims else ""
    return id if not name or id.endswith(name) else f"{id} {name}"


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    Example:
        >>> plural(1, "check"), plural(2, "check")
        ('1 check', '2 checks')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int) -> str:
    """The first names of a list, and how many are left.

    Example:
        >>> some(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    distinct = list(dict.fromkeys(names))
    shown = ", ".join(distinct[:most])
    return shown if len(distinct) <= most else f"{shown} and {len(distinct) - most} more"


def wrapped(text: str, width: int = WIDTH, first: str = "", rest: str = "") -> list[str]:
    """The lines of a text, none broken inside a word: names and commands stay whole.

    Args:
        text: without line breaks.
        width: of a line.
        first: indentation of the first line.
        rest: indentation of the other lines.
    """
    wrapper = textwrap.TextWrapper(width, first, rest, break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(text)


def paint(text: str, kind: str, color: bool) -> str:
    """A text in the colour of its kind (a verdict), or as it is."""
    return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if color and kind in _COLORS else text


def wants_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal and ``NO_COLOR`` is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

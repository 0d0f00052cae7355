"""The outline of a shape in few characters: rounded, and from point to point."""

import math
import re
from collections.abc import Sequence
from itertools import groupby

_TOKEN = re.compile(r"([MLHVCQZmlhvcqz])|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
LONG, NEAR = 16, 0.1
"""A line of so many points is thinned, and a point this near to it, in units of the figure, is not missed."""
_LENGTH = {"M": 2, "L": 2, "Q": 4, "C": 6, "Z": 0}


def short(value: float, digits: int) -> str:
    """A number without what it can do without.

    Args:
        value: finite.
        digits: behind the point.

    Example:
        >>> short(0.5004, 2), short(-12.0, 2), short(-0.001, 2)
        ('.5', '-12', '0')
    """
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
    return "0" if text in ("-0", "-", "") else text


def short_path(outline: str, digits: int, thin: bool = True) -> str:
    """An outline with coordinates rounded, and relative to the point before.

    Args:
        outline: of absolute commands M, L, Q, C and Z, as matplotlib writes it.
        digits: behind the point.
        thin: whether to leave out points of long lines from which the line without them is not to be told apart.

    Returns:
        The outline; empty if it holds anything else.

    Example:
        >>> short_path("M 1 2 L 11.004 2 L 11.004 5.5 z", 2)
        'M1 2h10v3.5z'
    """
    commands = _thinned(_commands(outline)) if thin else _commands(outline)
    text, last, here, start = "", "", [0, 0], [0, 0]
    scale = 10**digits
    for name, numbers in commands:
        points = [round(value * scale) for value in numbers]
        if name == "M":
            text, last, start = text + "M" + _joined(points, scale, digits), "M", list(points)
            here = list(points)
            continue
        if name == "Z":
            text, last, here = text + "z", "z", list(start)
            continue
        steps = [value - here[i % 2] for i, value in enumerate(points)]
        here = points[-2:]
        letter = name.lower()
        if name == "L":
            if steps == [0, 0] and last in "lhv":
                continue
            letter, steps = ("h", steps[:1]) if steps[1] == 0 else ("v", steps[1:]) if steps[0] == 0 else ("l", steps)
        said = _joined(steps, scale, digits)
        text += ("" if said.startswith("-") else " ") + said if letter == last else letter + said
        last = letter
    return text


def _commands(outline: str) -> list[tuple[str, list[float]]]:
    """Letters with their numbers; none at all where something is not understood."""
    found: list[tuple[str, list[float]]] = []
    if _TOKEN.sub("", outline).strip(" ,\n\t"):
        return []
    for letter, value in _TOKEN.findall(outline):
        if letter:
            found.append((letter if letter != "z" else "Z", []))
        elif found:
            found[-1][1].append(float(value))
    whole = all(name in _LENGTH and len(numbers) == _LENGTH[name] for name, numbers in found)
    return found if whole and found and found[0][0] == "M" else []


def _thinned(commands: list[tuple[str, list[float]]]) -> list[tuple[str, list[float]]]:
    """Without points of long lines that lie on the line without them, to a tenth of a point."""
    kept: list[tuple[str, list[float]]] = []
    for straight, run in groupby(commands, lambda command: command[0] == "L"):
        part = list(run)
        if straight and len(part) >= LONG:
            points = [(numbers[0], numbers[1]) for _, numbers in part]
            part = [part[i] for i in sorted(_needed(points))]
        kept += part
    return kept


def _needed(points: Sequence[tuple[float, float]]) -> set[int]:
    """The corners of a line, by the algorithm of Douglas and Peucker."""
    found, open_ = {0, len(points) - 1}, [(0, len(points) - 1)]
    while open_:
        first, last = open_.pop()
        (x, y), (u, v) = points[first], points[last]
        length = math.hypot(u - x, v - y)
        far, worst = NEAR, -1
        for i in range(first + 1, last):
            a, b = points[i][0] - x, points[i][1] - y
            off = abs(a * (v - y) - b * (u - x)) / length if length > NEAR else math.hypot(a, b)
            beyond = length > NEAR and not 0 <= a * (u - x) + b * (v - y) <= length * length
            off = max(off, math.hypot(a, b)) if beyond else off
            if off > far:
                far, worst = off, i
        if worst >= 0:
            found.add(worst)
            open_ += [(first, worst), (worst, last)]
    return found


def _joined(values: Sequence[int], scale: int, digits: int) -> str:
    """Numbers side by side; a sign is separator enough."""
    text = ""
    for value in values:
        said = short(value / scale, digits)
        text += said if not text or said.startswith("-") else " " + said
    return text

"""A part of the report: what was found in the folder of results on one subject matter, and what is missing there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["complete", "partial", "missing"]


@dataclass(frozen=True)
class Gap:
    """Something that the page cannot show.

    Args:
        what: is missing.
        why: for people; may hold text of an exception.
        command: that would bring it, or empty.
    """

    what: str
    why: str
    command: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure of a part.

    Args:
        name: unique in the report; an identifier.
        title: what it shows, in a few words.
        caption: what is to be seen, in a sentence or three; the page gives it as text alternative as well.
        path: of the SVG file, relative to the folder of results, with forward slashes.
        timed: whether it shows times, so that it differs from run to run.
    """

    name: str
    title: str
    caption: str
    path: str
    timed: bool = False


@dataclass(frozen=True)
class Part:
    """One part.

    Args:
        name: the name of its templates; its anchor on the page.
        title: its heading.
        summary: what was found, in one sentence or two, with the figures that matter.
        data: what the templates show, as JSON allows it. Under keys that begin with ``timed_`` stands what differs from run
            to run although nothing has changed; everything else is the same.
        figures: in their order.
        gaps: what is missing. A part without data is missing as a whole.
        files: artefacts that hold more, relative to the folder of results.
        red: how many things in it fail the report; what they are is said in ``reds``.
        reds: a line each, at most twenty of them.
    """

    name: str
    title: str
    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    gaps: tuple[Gap, ...] = ()
    files: tuple[str, ...] = ()
    red: int = 0
    reds: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """How much of it there is."""
        if not self.data:
            return "missing"
        return "partial" if self.gaps else "complete"

    def figure(self, name: str) -> Figure | None:
        """The figure of this name, or None where it was not drawn."""
        return next((figure for figure in self.figures if figure.name == name), None)


def missing(name: str, title: str, what: str, why: str, command: str) -> Part:
    """A part of which there is nothing.

    Args:
        name: of the part.
        title: of the part.
        what: is missing.
        why: for people.
        command: that would bring it.

    Returns:
        The part; its only content is the gap.
    """
    return Part(name, title, "", gaps=(Gap(what, why, command),))

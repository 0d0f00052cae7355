"""A figure's SVG file as part of a page: drawing only, small, with identifiers of its own and the colours of the page."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from itertools import groupby
from typing import NamedTuple
from xml.etree import ElementTree

from fishergauge.reports.page.svg_attributes import (
    ELEMENTS,
    NUMBERS,
    SVG,
    Attributes,
    attributes,
    kind_of,
    number_of,
    style_of,
)
from fishergauge.reports.page.svg_colours import INK
from fishergauge.reports.page.svg_path import short, short_path
from fishergauge.reports.page.svg_text import Glyph, flowing, mended, placed

SMALLEST = 8.0
"""Pixels that letters have at least; a figure in which they were smaller is wider than its place, and scrolls."""
_LINK = "{http://www.w3.org/1999/xlink}href"
_PNG = re.compile("data:image/png;base64,[A-Za-z0-9+/=\\s]*")
MANY, MERGED = 4, 40
"""So many of the same sign become one line, and so many outlines of the same look one outline."""
_PLACE = {"href", "x", "y", "clip-path"}
_SIGN = {"overflow": "visible", "markerUnits": "userSpaceOnUse"}


class FigureError(ValueError):
    """A file is no figure; the message says why."""


class Shape(NamedTuple):
    """An element as the page holds it.

    Args:
        name: of the element.
        own: attributes that it does not share.
        look: attributes that neighbours can share, as they are inherited.
        inside: what stands between its tags.
    """

    name: str
    own: Attributes
    look: Attributes
    inside: str = ""


def inline_svg(text: str, prefix: str, title: str = "") -> str:
    """Prepare an SVG file to stand in a page.

    Only what draws passes: no script, no style, no event, no reference to anything outside.

    Args:
        text: of the file, as matplotlib writes it.
        prefix: unique on the page; its identifiers begin with a short digest of it.
        title: that the figure has for who cannot see it.

    Returns:
        The ``svg`` element, as wide as its place; with a class ``least-N`` that asks for N hundred pixels at least.

    Raises:
        FigureError: it cannot be read as SVG.
    """
    root = _parsed(text)
    box = [float(value) for value in NUMBERS.findall(root.get("viewBox", ""))]
    if len(box) != 4 or min(box[2:]) <= 0:
        raise FigureError("no SVG figure: it has no viewBox")
    page = _Page("s" + sha256(prefix.encode()).hexdigest()[:6], root)
    try:
        body = "".join(page.grouped(page.shapes(root, {}, {})))
    except (RecursionError, OverflowError):
        raise FigureError("no SVG figure of ours: groups that are nested too deeply, or numbers that are too large") from None
    sizes = [float(size) for size in re.findall('<text[^>]* font-size="([^"]*)"', body)] or [10.0]
    least = -(-box[2] * SMALLEST // (100 * max(min(sizes), 1.0)))
    head = {"viewBox": " ".join(short(value, 2) for value in box), "width": "100%", "class": f"least-{int(least)}"}
    head |= {"fill": INK, "stroke-linejoin": "round", "font-family": "sans-serif"}
    said = f"<title>{escape(title)}</title>" if title else ""
    return _element("svg", head, said + page.definitions(body) + body)


def _parsed(text: str) -> ElementTree.Element:
    """The root. A document type is matplotlib's at most: nothing may be declared in it."""
    start = text.find("<svg")
    if start < 0:
        raise FigureError("no SVG figure: there is no <svg> in it")
    if "<!ENTITY" in text or "<!DOCTYPE" in text[start:]:
        raise FigureError("no SVG figure of ours: it declares entities")
    try:
        root = ElementTree.fromstring(text[start:])
    except ElementTree.ParseError as error:
        raise FigureError(f"no SVG figure, or damaged: {error}") from None
    if root.tag != f"{SVG}svg":
        raise FigureError("no SVG figure: the namespace of SVG is missing")
    return root


class _Page:
    """Shapes with the identifiers that they refer to."""

    def __init__(self, prefix: str, root: ElementTree.Element) -> None:
        self.prefix = prefix
        self.targets = {str(one.get("id")): one for one in root.iter() if one.get("id") and kind_of(one) in ELEMENTS}
        self.names: dict[str, str] = {}
        self.defined: dict[str, str] = {}
        self.outlines: dict[str, str] = {}

    def definitions(self, body: str) -> str:
        """What shapes refer to, each once."""
        used = set(re.findall(r"#([\w-]+)", body + "".join(self.defined)))
        said = [content.replace(' id=""', f' id="{name}"', 1) for content, name in self.defined.items() if name in used]
        return _element("defs", {}, "".join(said)) if said else ""

    def grouped(self, shapes: Iterable[Shape]) -> Iterator[str]:
        """Neighbours that look the same say so once; many of the same sign are a line that only shows its corners."""
        for (clip, look), run in groupby(shapes, lambda shape: (shape.own.get("clip-path", ""), tuple(shape.look.items()))):
            same = list(self._signs(list(run)))
            shared = {"clip-path": clip} if clip else {}
            shared |= dict(look)
            if len(same) == 1 and not (clip and same[0].name == "use"):  # a use moves what clips it
                yield _element(same[0].name, same[0].own | same[0].look, same[0].inside)
                continue
            inside = ""
            for one in same:
                own = {name: value for name, value in one.own.items() if name != "clip-path"}
                inside += _element(one.name, own if tuple(one.look.items()) == look else own | one.look, one.inside)
            yield _element("g", shared, inside) if shared else inside

    def _signs(self, shapes: Sequence[Shape]) -> Iterator[Shape]:
        """The shapes, with a run of the same sign as one."""
        if len(shapes) >= MERGED and all(one.name == "path" and one.own.keys() <= {"d", "clip-path"} for one in shapes):
            shapes = [shapes[0]._replace(own={**shapes[0].own, "d": "".join(one.own["d"] for one in shapes)})]
        for key, run in groupby(shapes, lambda shape: (shape.name, shape.own.get("href"), *sorted(shape.own.keys() - _PLACE))):
            same = list(run)
            if key[0] != "use" or len(key) > 2 or len(same) < MANY:
                yield from same
                continue
            outline, first = self.outlines[str(key[1])[1:]], same[0]
            sign = _element("marker", {"id": "", **_SIGN, **first.look}, _element("path", {"d": outline}))
            url = f"url(#{self._defined(sign)})"
            corners = short_path("M" + "L".join(f"{one.own.get('x', 0)} {one.own.get('y', 0)}" for one in same), 1, thin=False)
            own = {name: value for name, value in first.own.items() if name == "clip-path"}
            signs = dict.fromkeys(("marker-start", "marker-mid", "marker-end"), url)
            yield Shape("path", {**own, "d": corners}, {"fill": "none", "stroke": "none", **signs})

    def shapes(
        self, parent: ElementTree.Element, own: Mapping[str, str], look: Mapping[str, str], anchor: str = "start"
    ) -> Iterator[Shape]:
        """All that is drawn below an element, in its order, without groups that have nothing to say."""
        for child in parent:
            kind = kind_of(child)
            if kind not in ELEMENTS or kind in ("clipPath", "pattern") or _is_ground(parent, child):
                continue
            mine, looks = attributes(child, kind, self._reference)
            held = _anchor(child, parent, anchor)
            if kind != "g":
                shape = self._shape(child, kind, {**own, **mine}, {**look, **looks}, held)
                if shape:
                    yield _clipped(shape, own)
            elif "transform" in mine or "opacity" in mine:
                content = "".join(self.grouped(self.shapes(child, {}, {}, held)))
                if content:
                    yield _clipped(Shape("g", {**own, **mine}, {**look, **looks}, content), own)
            else:
                inside = self.shapes(child, {**own, **mine}, {**look, **looks}, held)
                yield from sorted(inside, key=_rank) if _is_axis(child) else inside

    def _shape(self, child: ElementTree.Element, kind: str, own: Attributes, look: Attributes, anchor: str) -> Shape | None:
        link = (child.get(_LINK) or child.get("href") or "").strip()
        if kind == "use":
            name = self._reference(link.removeprefix("#"), "path") if link.startswith("#") else ""
            return Shape(kind, {"href": f"#{name}", **own}, look) if name else None
        if kind == "image":
            if not _PNG.fullmatch(link):
                return None
            return Shape(kind, {"href": re.sub(r"\s", "", link), **own}, look)
        if kind == "text":
            return self._text(child, own, look, anchor)
        return Shape(kind, own, look) if kind != "path" or own.get("d") else None

    def _text(self, child: ElementTree.Element, own: Attributes, look: Attributes, anchor: str) -> Shape | None:
        """A label: plain, or a formula of many pieces."""
        if not len(child):
            return Shape("text", own, look, escape(child.text or "")) if (child.text or "").strip() else None
        glyphs = []
        for piece in child:
            said = (piece.text or "").replace("\N{NO-BREAK SPACE}", " ")
            _, looks = attributes(piece, "text", self._reference)
            size, family = float(looks.pop("font-size", 10)), style_of(piece).get("font-family", "").strip("' ")
            x, y = (float(number_of(piece.get(name))) for name in "xy")
            glyphs += [mended(Glyph(x, y, size, tuple(looks.items()), said), family)] if said else []
        pieces, width = flowing(glyphs) if anchor else ([], 0.0)
        spans, height = "", 0.0
        for one in pieces or placed(glyphs):
            place = {"dy": short(one.y - height, 1)} if pieces else {"x": short(one.x, 1), "y": short(one.y, 1)}
            height = height + float(place.get("dy", 0))
            place = {name: value for name, value in place.items() if value != "0"}
            spans += _element("tspan", {**place, "font-size": short(one.size, 1), **dict(one.look)}, escape(one.text))
        if pieces and anchor != "start":
            own = {**own, "x": short(width if anchor == "end" else width / 2, 1)}
            look = {**look, "text-anchor": anchor}
        return Shape("text", own, look, spans) if spans else None

    def _reference(self, name: str, kind: str) -> str:
        """The new name of what an element refers to; empty if that is not there. Equal things are one."""
        if name in self.names:
            return self.names[name]
        target = self.targets.get(name)
        if target is None or kind_of(target) != kind:
            return ""
        self.names[name] = ""  # who refers to itself finds nothing
        own = attributes(target, kind, self._reference)[0]
        inside = "" if kind == "path" else "".join(self.grouped(list(self.shapes(target, {}, {}))))
        new = self._defined(_element(kind, {"id": "", **own}, inside))
        if kind == "path":
            self.outlines[new] = own.get("d", "")
        self.names[name] = new
        return new

    def _defined(self, content: str) -> str:
        """The name of a definition; equal ones are one."""
        if content not in self.defined:
            self.defined[content] = f"{self.prefix}-{len(self.defined)}"
        return self.defined[content]


def _anchor(child: ElementTree.Element, parent: ElementTree.Element, anchor: str) -> str:
    """Where a formula is held: labels of an axis in the middle or at the end, others at the start; nowhere if it has lines."""
    if _is_axis(child):
        return "middle"
    if (child.get("id") or "").startswith("ytick_"):
        return "end"
    return "" if kind_of(child) == "text" and len(parent) > 1 else anchor


def _clipped(shape: Shape, own: Mapping[str, str]) -> Shape:
    """A shape that does not transform what a group around it clips with."""
    if "transform" not in shape.own or "clip-path" not in own:
        return shape
    inner = {name: value for name, value in shape.own.items() if name != "clip-path"}
    return Shape("g", {"clip-path": own["clip-path"]}, {}, _element(shape.name, inner | shape.look, shape.inside))


def _is_axis(element: ElementTree.Element) -> bool:
    return (element.get("id") or "").startswith("matplotlib.axis_")


def _rank(shape: Shape) -> int:
    """On an axis: the grid, then the ticks, then the labels, so that those of a kind are neighbours."""
    return {"path": 0, "use": 1}.get(shape.name, 2)


def _is_ground(parent: ElementTree.Element, child: ElementTree.Element) -> bool:
    """Whether it is the white ground of the figure, or of its axes: the page has its own."""
    first = (child.get("id") or "").startswith("patch_") and parent.find(f"{SVG}g") is child
    whole = (parent.get("id") or "").startswith(("figure_", "axes_"))
    return first and whole and all(style_of(one).get("fill", "").lower() == "#ffffff" for one in child)


def _element(name: str, attributes: Mapping[str, str], inside: str = "") -> str:
    said = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>"

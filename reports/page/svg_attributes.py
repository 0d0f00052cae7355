"""What of an SVG element may stand in a page: attributes that draw, each with a value that is understood."""

import re
from collections.abc import Callable, Mapping
from xml.etree import ElementTree

from fishergauge.reports.page.svg_colours import on_page
from fishergauge.reports.page.svg_path import short, short_path

Attributes = dict[str, str]
Refer = Callable[[str, str], str]

SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
NUMBERS = re.compile(_NUMBER)
_LOCAL = re.compile(r"url\(#([\w.:-]+)\)")
_TRANSFORM = re.compile(rf"(?:\s*(?:translate|rotate|scale|matrix)\({_NUMBER}(?:[\s,]+{_NUMBER}){{0,5}}\))+\s*")
_WORDS = {
    "text-anchor": {"middle", "end"},
    "stroke-linejoin": {"miter", "bevel"},
    "stroke-linecap": {"round", "square"},
    "font-style": {"italic", "oblique"},
    "font-weight": {"bold", "600", "700", "800", "900"},
    "patternUnits": {"userSpaceOnUse"},
}
_OPACITIES = ("opacity", "fill-opacity", "stroke-opacity")
ELEMENTS = {
    "path": ("d",),
    "use": ("x", "y"),
    "image": ("x", "y", "width", "height"),
    "text": ("x", "y"),
    "rect": ("x", "y", "width", "height"),
    "pattern": ("x", "y", "width", "height", "patternUnits"),
    "clipPath": (),
    "g": (),
}
"""Elements that pass, with the attributes of their own; what is not here is left out with all that it holds."""


def attributes(child: ElementTree.Element, kind: str, refer: Refer) -> tuple[Attributes, Attributes]:
    """The attributes that pass.

    Args:
        child: an element.
        kind: its name, one of :data:`ELEMENTS`.
        refer: gives the new name of what an element refers to by a name, and what that must be; empty if it is not there.

    Returns:
        Those of this element alone, and those of its looks, which are inherited.
    """
    given = {**{name: value for name, value in child.attrib.items() if name != "style"}, **style_of(child)}
    own: Attributes = {}
    for name in ELEMENTS[kind]:
        if name == "d":
            own["d"] = short_path(given.get("d", ""), 2 if child.get("id") else 1)
        elif name in _WORDS:
            own |= {name: given[name]} if given.get(name) in _WORDS[name] else {}
        elif name in given:
            own[name] = short(float(number_of(given[name])), 2 if kind in ("pattern", "image") else 1)
    transform = given.get("transform", "")
    if _TRANSFORM.fullmatch(transform) and not re.fullmatch(r"rotate\(-?0(\.0*)? [^)]*\)", transform):
        own["transform"] = NUMBERS.sub(lambda found: short(float(found[0]), 4 if "scale" in transform else 2), transform)
    clip = _LOCAL.fullmatch(given.get("clip-path", ""))
    if clip and (name := refer(clip[1], "clipPath")):
        own["clip-path"] = f"url(#{name})"
    return own, _look(given, own, refer)


def _look(given: Mapping[str, str], own: Attributes, refer: Refer) -> Attributes:
    """Colours, lines and letters."""
    look: Attributes = {}
    thin = {name: float(number_of(given[name])) for name in _OPACITIES if name in given}
    for name in ("fill", "stroke"):
        value = given.get(name, "")
        pattern = _LOCAL.fullmatch(value.strip())
        found = on_page(value)
        if pattern and (target := refer(pattern[1], "pattern")):
            look[name] = f"url(#{target})"
        elif found:
            look[name] = found[0]
            if found[1] != 1:
                thin[f"{name}-opacity"] = found[1] * thin.get(f"{name}-opacity", 1.0)
    for name in ("fill-opacity", "stroke-opacity"):
        if thin.get(name, 1.0) < 1 and look.get(name.partition("-")[0]) != "none":
            look[name] = short(thin[name], 2)
    if thin.get("opacity", 1.0) < 1:
        own["opacity"] = short(thin["opacity"], 2)
    for name in ("stroke-width", "font-size"):
        look |= {name: short(float(number_of(given[name])), 2)} if name in given else {}
    look |= {name: given[name] for name, known in _WORDS.items() if name != "patternUnits" and given.get(name) in known}
    if any(float(value) for value in NUMBERS.findall(given.get("stroke-dasharray", ""))):
        look["stroke-dasharray"] = " ".join(short(float(v), 1) for v in NUMBERS.findall(given["stroke-dasharray"]))
    return look


def kind_of(element: ElementTree.Element) -> str:
    """The name of an SVG element; empty for one of another namespace."""
    return element.tag.removeprefix(SVG) if isinstance(element.tag, str) and element.tag.startswith(SVG) else ""


def style_of(element: ElementTree.Element) -> Attributes:
    """The properties of a style attribute."""
    pairs = [part.partition(":") for part in element.get("style", "").split(";")]
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def number_of(text: str | None) -> str:
    """The number at the beginning, without its unit; zero if there is none."""
    found = NUMBERS.match((text or "").strip())
    return found[0] if found else "0"

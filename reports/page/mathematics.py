"""Mathematics in LaTeX that becomes MathML on the page: no network, no script, and LaTeX everywhere else."""

import re
from functools import cache
from html import escape, unescape
from xml.etree import ElementTree

from fishergauge.reports.extras import require

_REFERENCE = re.compile(r"&#[xX]?[0-9A-Fa-f]+;")
_LETTERS = re.compile(r'(?:<mi mathvariant="normal">[A-Za-z0-9]</mi>){2,}')
_NAME = re.compile(r"<mo(?: movablelimits=\"true\")?>([A-Za-z]+)</mo>")
_FUNCTION = re.compile(r"(<mi>(?:log|det|tr|dim|rank|diag)</mi>)(?=<m(?:i|n|frac|sub|sup|subsup|mover|row)\b)")
_INLINE = re.compile(r"\$([^$]+)\$")


class FormulaError(ValueError):
    """A formula cannot be converted; the message gives it, and the cause."""


class Formula(str):
    r"""A formula: LaTeX, and on the page MathML on lines of its own.

    Example:
        >>> Formula(r"x^2"), Formula(r"x^2").__html__()[:35]
        ('x^2', '<math display="block" alttext="x^2"')
    """

    __slots__ = ()

    def __html__(self) -> str:
        """What templates write, unescaped."""
        return mathml(str(self), block=True)


class Prose(str):
    """A text with mathematics between dollars, which becomes MathML on the page; all else is escaped."""

    __slots__ = ()

    def __html__(self) -> str:
        """What templates write, unescaped."""
        parts = _INLINE.split(str(self))
        return "".join(mathml(part) if place % 2 else escape(part, quote=False) for place, part in enumerate(parts))


@cache
def mathml(latex: str, block: bool = False) -> str:
    r"""Convert a formula.

    Args:
        latex: without dollars.
        block: on a line of its own; else within a text.

    Returns:
        A ``math`` element, well-formed also as XML; a block has the LaTeX as its alternative text.

    Raises:
        FormulaError: the formula holds a command that is not known, or cannot be converted.
        MissingExtraError: latex2mathml is not installed.

    Example:
        >>> mathml(r"F_S")
        '<math><mrow><msub><mi>F</mi><mi>S</mi></msub></mrow></math>'
    """
    converter = require("latex2mathml.converter")
    source = " ".join(latex.split())
    try:
        text = str(converter.convert(source, display="block" if block else "inline"))
        said = "".join(ElementTree.fromstring(text).itertext())
    except Exception as error:  # the converter has exceptions of its own for each kind of mistake
        raise FormulaError(f"{source}: {type(error).__name__}: {error}") from None
    if "\\" in said:
        raise FormulaError(f"{source}: a command in it is not known")
    text = _REFERENCE.sub(lambda match: _character(match.group()), text)
    text = _LETTERS.sub(lambda match: f"<mi>{''.join(re.findall('>(.)<', match.group()))}</mi>", text)
    text = _NAME.sub(lambda match: _name(match.group(1)), text)
    text = _FUNCTION.sub(r'\1<mspace width="0.167em"/>', text)
    text = text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "", 1)  # HTML knows the element by its name
    return text.replace(">", f' alttext="{escape(source)}">', 1) if block else text.replace(' display="inline"', "", 1)


def _character(reference: str) -> str:
    character = unescape(reference)
    return reference if character in "<>&\"'" else character


def _name(word: str) -> str:
    """A name of several letters stands upright by itself."""
    return f"<mi>{word}</mi>" if len(word) > 1 else f'<mi mathvariant="normal">{word}</mi>'

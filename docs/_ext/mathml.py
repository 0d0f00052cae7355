"""Formulas as MathML, by the converter of the report: browsers show them without a script and without network."""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.util import logging

from fishergauge.reports.page.mathematics import FormulaError, mathml

LOGGER = logging.getLogger(__name__)
OPERATORS = {r"\arg\min": r"\argmin", r"\arg\max": r"\argmax"}


def prepared(latex: str, display: bool) -> str:
    """LaTeX in the words of the converter; lines are aligned at ``&``.

    Args:
        latex: without dollars.
        display: a block of its own, or part of a sentence.
    """
    for command, known in OPERATORS.items():
        latex = latex.replace(command, known)
    several_lines = display and r"\begin" not in latex and (r"\\" in latex or "&" in latex)
    return rf"\begin{{align*}}{latex}\end{{align*}}" if several_lines else latex


def shown(latex: str, display: bool, node: nodes.Node) -> str:
    """The formula, or a warning and its source."""
    try:
        return mathml(prepared(latex, display), block=display)
    except FormulaError as error:
        LOGGER.warning(str(error), location=node)
        return f"<code>{escape(latex)}</code>"


def visit_math(writer: Any, node: nodes.math) -> None:
    """Write a formula within a sentence."""
    writer.body.append(shown(node.astext(), False, node))
    raise nodes.SkipNode


def visit_displaymath(writer: Any, node: nodes.math_block) -> None:
    """Write a formula of its own; after a blank line another one begins."""
    parts = [part for part in node.astext().split("\n\n") if part.strip()]
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    writer.body += [shown(part, True, node) for part in parts]
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Add the renderer to Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The directive ``glossary-terms``: the terms of a group of the report's glossary, with their formulas."""

from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from fishergauge.reports.page.glossary import FILE, Term, read_glossary


class GlossaryTerms(SphinxDirective):
    """A section for each term of a group; ``#glossary-kfac`` and the like lead to them."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FILE))
        groups, terms = read_glossary()
        if self.arguments[0] not in groups:
            raise self.error(f"there is no group {self.arguments[0]!r} in the glossary, but {', '.join(groups)}")
        return [self._section(term) for term in terms if term.group == self.arguments[0]]

    def _section(self, term: Term) -> nodes.section:
        """Name, text, formula, symbols; sources and claims."""
        name = f"glossary-{term.slug}"
        section = nodes.section(ids=[name], names=[name])
        self.state.document.note_explicit_target(section)
        section += nodes.title(term.name, term.name)
        section += self._parsed(term.text)
        if term.formula:
            latex = str(term.formula)
            section += nodes.math_block(latex, latex, number=None, label=None, nowrap=True, docname=self.env.docname)
        if term.symbols:
            section += self._parsed(f"*Symbols:* {term.symbols}")
        if term.items:
            section += self._parsed("\n".join(f"- **{item.name}**: {item.text}" for item in term.items))
        if term.claims or term.source:
            section += self._below(term)
        return section

    def _parsed(self, text: str) -> list[nodes.Node]:
        """A text in Markdown."""
        holder = nodes.Element()
        self.state.nested_parse(StringList(str(text).splitlines(), self.env.docname), self.content_offset, holder)
        return holder.children

    def _below(self, term: Term) -> nodes.paragraph:
        """Source, and links to the claims in the table of this page."""
        paragraph = nodes.paragraph()
        if term.source:
            paragraph += [nodes.emphasis("", "Source: "), nodes.Text(f"{term.source}. ")]
        if term.claims:
            paragraph += nodes.emphasis("", "Claims: ")
        for place, claim in enumerate(term.claims):
            paragraph += [nodes.Text(", ")] if place else []
            paragraph += nodes.reference("", claim, internal=True, refid=nodes.make_id(f"claim-{claim}"))
        return paragraph


def setup(app: Any) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("glossary-terms", GlossaryTerms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

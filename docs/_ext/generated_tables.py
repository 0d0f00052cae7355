"""The directives ``claims-table``, ``defects-table``, ``probes-table`` and ``blind-table``: what the kit has, from the code."""

from collections.abc import Iterable, Sequence
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

Cells = tuple[str, ...]


class GeneratedTable(SphinxDirective):
    """A table whose rows have anchors; subclasses say what is in it."""

    heads: Cells = ()
    widths: Sequence[int] = ()
    anchor = ""

    def rows(self) -> Iterable[Cells]:
        """The cells, row by row; the first word of the first cell names the anchor."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        group = nodes.tgroup("", *[nodes.colspec(colwidth=width) for width in self.widths], cols=len(self.heads))
        group += nodes.thead("", _row(self.heads))
        body = nodes.tbody()
        for cells in self.rows():
            row = _row(cells)
            row["ids"] = [nodes.make_id(f"{self.anchor}-{cells[0].split()[0]}")]
            body += row
        group += body
        return [nodes.table("", group)]


class ClaimsTable(GeneratedTable):
    """A row for each claim; ``#claim-t4`` and the like lead to them."""

    heads = ("claim", "statement", "implied by", "bound", "source")
    widths = (12, 30, 20, 20, 18)
    anchor = "claim"

    def rows(self) -> Iterable[Cells]:
        from fishergauge.reports.list_commands import scope
        from fishergauge.suites.claims import CLAIMS
        from fishergauge.suites.wording import title

        return [(title(c.id, CLAIMS), c.statement, scope(c.scope), c.bound, c.source) for c in CLAIMS.values()]


class DefectsTable(GeneratedTable):
    """A row for each planted defect; ``#defect-d21`` and the like lead to them."""

    heads = ("defect", "mistake", "seen by", "where it was seen")
    widths = (8, 42, 25, 25)
    anchor = "defect"

    def rows(self) -> Iterable[Cells]:
        from fishergauge.suites.claims import CLAIMS
        from fishergauge.suites.meta.bank import BANK

        order = list(CLAIMS)
        for defect in BANK.values():
            yield defect.id, defect.title, ", ".join(sorted(defect.sees, key=order.index)), defect.source


class ProbesTable(GeneratedTable):
    """A row for each probe; ``#probe-probe-psd`` and the like lead to them."""

    heads = ("probe", "statement", "stands for", "bound", "cannot see")
    widths = (14, 30, 12, 20, 24)
    anchor = "probe"

    def rows(self) -> Iterable[Cells]:
        from fishergauge.suites.probes.registry import PROBES

        return [(p.id, p.statement, ", ".join(p.of), p.bound, p.blind) for p in PROBES.values()]


class BlindTable(GeneratedTable):
    """A row for each planted mistake that no probe can see."""

    heads = ("defect", "mistake", "why no probe sees it")
    widths = (8, 42, 50)
    anchor = "blind"

    def rows(self) -> Iterable[Cells]:
        from fishergauge.suites.meta.bank import BANK
        from fishergauge.suites.meta.probe_blind import BLIND

        return [(id, defect.title, BLIND[id]) for id, defect in BANK.items() if id in BLIND]


def _row(cells: Cells) -> nodes.row:
    return nodes.row("", *[nodes.entry("", nodes.paragraph(text, text)) for text in cells])


def setup(app: Any) -> dict[str, bool]:
    """Add the directives to Sphinx."""
    app.add_directive("claims-table", ClaimsTable)
    app.add_directive("defects-table", DefectsTable)
    app.add_directive("probes-table", ProbesTable)
    app.add_directive("blind-table", BlindTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

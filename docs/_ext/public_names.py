"""Links in docstrings lead to where a name is documented, by whichever module they name it."""

from typing import Any

from docutils import nodes
from sphinx.util.nodes import make_refnode

KINDS = ("class", "data", "exception", "function")  # what modules have; members of classes are named with their class


def resolve(app: Any, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Find an object of this package by its last name."""
    target = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py":
        return None
    last = target.rpartition(".")[2]
    found = {
        (entry.docname, entry.node_id)
        for name, entry in env.domains.python_domain.objects.items()
        if name.rpartition(".")[2] == last and entry.objtype in KINDS and target.startswith(("fishergauge.", last))
    }
    if len(found) != 1:
        return None
    ((page, anchor),) = found
    return make_refnode(app.builder, node["refdoc"], page, anchor, content, target)


def plain_properties(app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading the beginning of a property's docstring, up to a colon, as its type."""
    if what in ("property", "attribute", "data"):
        lines[:0] = ["..", ""]


def readable_defaults(
    app: Any, what: str, name: str, thing: object, options: Any, signature: str | None, returns: str | None
) -> Any:
    """Signatures with a default that Sphinx can parse, where a dataclass makes one by a function."""
    return (signature.replace("<factory>", "..."), returns) if signature else None


def setup(app: Any) -> dict[str, bool]:
    """Listen to Sphinx, to docstrings before napoleon does."""
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-signature", readable_defaults)
    app.connect("autodoc-process-docstring", plain_properties, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

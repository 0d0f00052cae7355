"""What axe-core finds in a page against the rules of WCAG 2.1 A and AA and against good practice."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


def violations(page: "Page", within: str = "") -> list[str]:
    """Run axe-core, which comes with the Python package axe-playwright-python.

    Args:
        page: that is open.
        within: a selector, to look at a part of the page only.

    Returns:
        A line for each element at fault: the rule, its weight, the element and what is wrong.
    """
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": {"type": "tag", "values": list(TAGS)}, "resultTypes": ["violations"]}
    response: dict[str, Any] = Axe().run(page, within or None, options).response
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {_why(node)}"
        for rule in response["violations"]
        for node in rule["nodes"]
    ]


def _why(node: dict[str, Any]) -> str:
    return "; ".join(one["message"] for kind in ("any", "all", "none") for one in node.get(kind, []))

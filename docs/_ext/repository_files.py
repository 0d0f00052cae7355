"""Links between pages and files of the repository, which work in the repository and on the site.

A page in ``repository/`` is one link to a Markdown file outside the documentation; on the site that file stands in its
place. Links to such files lead to these pages; links to other files become downloads (MyST makes them).
"""

import os
import re
from pathlib import Path
from typing import Any

FOLDER = "repository"
STUB = re.compile(r"\[[^\]]+\]\(([^)]+)\)\s*")
FENCE = re.compile(r"^(```.*?^```$)", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")


def stubs(source: Path) -> dict[Path, Path]:
    """The pages in ``repository/`` by the files that they stand for.

    Args:
        source: folder of the documentation.
    """
    found = {}
    for stub in sorted((source / FOLDER).glob("*.md")):
        match = STUB.fullmatch(stub.read_text(encoding="utf-8"))
        if match is None:
            raise ValueError(f"{FOLDER}/{stub.name} is one link to a file, and nothing else")
        found[(stub.parent / match[1]).resolve()] = stub.resolve()
    return found


def relocated(text: str, origin: Path, page: Path, pages: dict[Path, Path]) -> str:
    """A text with links as seen from another folder, to pages where there are any; code is left as it is.

    Args:
        text: in Markdown.
        origin: the file that it stands in.
        page: the file in whose place it is shown.
        pages: of other files.
    """

    def moved(match: re.Match[str]) -> str:
        target = (origin.parent / match[2]).resolve()
        return match[1] + Path(os.path.relpath(pages.get(target, target), page.parent)).as_posix()

    parts = FENCE.split(text)
    return "".join(part if place % 2 else LINK.sub(moved, part) for place, part in enumerate(parts))


def read(app: Any, name: str, content: list[str]) -> None:
    """Put the files in the place of their pages, and lead links to these."""
    source = Path(app.srcdir).resolve()
    page = Path(app.env.doc2path(name)).resolve()
    if page.suffix != ".md":
        return
    pages = stubs(source)
    origin = next((file for file, stub in pages.items() if stub == page), page)
    if origin != page:
        app.env.note_dependency(str(origin))
        content[0] = origin.read_text(encoding="utf-8")
    content[0] = relocated(content[0], origin, page, pages)


def setup(app: Any) -> dict[str, bool]:
    """Listen to Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

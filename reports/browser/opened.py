"""A page as the tests open it: alone in its context, without network, with everything written down that it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Route

OWN = ("data:", "blob:", "about:")
WIDTH, HEIGHT, NARROW = 1280, 900, 400
TIMEOUT = 8000


@dataclass
class Opened:
    """A page that is open.

    Args:
        page: of Playwright.
        url: from which it was opened, without fragment.
        requests: addresses that were asked for, except the page itself and data in the page.
        complaints: errors and warnings on the console, and uncaught exceptions.
        dialogs: messages of dialogs; each is dismissed.
    """

    page: "Page"
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that are visible."""
        return [text.strip() for text in self.page.locator(selector).filter(visible=True).all_inner_texts()]

    def count(self, selector: str) -> int:
        """How many elements there are, visible or not."""
        return int(self.page.locator(selector).count())

    def evaluate(self, script: str, *arguments: Any) -> Any:
        """The value of a script in the page."""
        return self.page.evaluate(script, *arguments)

    def assert_quiet(self) -> None:
        """Nothing was asked for, nothing was complained about, and no dialog came up."""
        assert self.requests == [], f"the page asks for {self.requests}"
        assert self.complaints == [], f"the page complains: {self.complaints}"
        assert self.dialogs == [], f"a dialog came up: {self.dialogs}"


@contextmanager
def opened(
    browser: "Browser",
    path: Path,
    fragment: str = "",
    width: int = WIDTH,
    prepared: str = "",
    **options: Any,
) -> Iterator[Opened]:
    """Open a file in a context of its own.

    Args:
        browser: that is running.
        path: of the page.
        fragment: with ``#``, or empty.
        width: of the window in pixels.
        prepared: a script that runs before those of the page.
        options: of the context, such as ``color_scheme="dark"`` or ``java_script_enabled=False``.

    Yields:
        The page and what it did.
    """
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, offline=True, **options)
    try:
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        result = Opened(page, path.resolve().as_uri())

        def seen(url: str) -> None:
            if url.partition("#")[0] != result.url and not url.startswith(OWN):
                result.requests.append(url)

        def said(line: "ConsoleMessage") -> None:
            if line.type in ("error", "warning"):
                result.complaints.append(line.text)

        def dismissed(dialog: "Dialog") -> None:
            result.dialogs.append(dialog.message)
            dialog.dismiss()

        def only_the_page(route: "Route") -> None:
            own = route.request.url.partition("#")[0] == result.url or route.request.url.startswith(OWN)
            route.continue_() if own else route.abort()

        context.on("request", lambda request: seen(request.url))
        page.on("websocket", lambda socket: seen(socket.url))
        page.on("pageerror", lambda error: result.complaints.append(f"uncaught: {error}"))
        page.on("console", said)
        page.on("dialog", dismissed)
        context.route("**/*", only_the_page)
        if prepared:
            context.add_init_script(prepared)
        page.goto(result.url + fragment)
        yield result
    finally:
        context.close()

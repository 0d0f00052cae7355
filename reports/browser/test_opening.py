"""The page opens from the disk, asks for nothing, and says nothing on the console; and it is seen where a page does."""

from pathlib import Path

import pytest

from fishergauge.reports.browser.conftest import Alter, Open

ELSEWHERE = {
    "http://example.invalid/pixel.png": '<img src="{}" alt="">',
    "https://example.invalid/style.css": '<link rel="stylesheet" href="{}">',
    "http://example.invalid/back.png": '<style>body {{ background: url("{}") }}</style>',
    "http://example.invalid/data.json": '<script>fetch("{}").catch(() => {{}})</script>',
    "ws://example.invalid/socket": '<script>new WebSocket("{}")</script>',
    "http://example.invalid/frame.html": '<iframe src="{}" title="frame"></iframe>',
}
FAULTS = {
    "undefined_name": "<script>undefined_name()</script>",
    "said aloud": '<script>console.error("said aloud")</script>',
    "Unexpected end of input": "<script>let = (</script>",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_from_the_disk_and_keeps_to_itself(example: Path, open_page: Open, scheme: str) -> None:
    with open_page(example, color_scheme=scheme) as opened:
        assert opened.url.startswith("file://")
        assert opened.page.title() == "fishergauge report"
        opened.page.wait_for_load_state("load")
        opened.assert_quiet()


def test_the_file_names_no_address_that_a_browser_would_load(example: Path, open_page: Open) -> None:
    script = """() => [...document.querySelectorAll('[src], link, object, embed, iframe, [srcset], use, image, base')]
        .map(e => e.getAttribute('src') || e.getAttribute('srcset') || e.getAttribute('href')
            || e.getAttribute('xlink:href') || e.getAttribute('data') || e.tagName)
        .filter(address => !/^(#|data:)/.test(address))"""
    with open_page(example) as opened:
        assert opened.evaluate(script) == []
        style = opened.evaluate("() => [...document.querySelectorAll('style')].map(e => e.textContent).join()")
        assert "@import" not in style
        assert "url(http" not in style.replace('"', "").replace("'", "")


def test_control_every_kind_of_request_is_seen(altered: Alter, open_page: Open) -> None:
    planted = "".join(how.format(address) for address, how in ELSEWHERE.items())
    with open_page(altered("</body>", '<script src="other.js"></script>' + planted + "</body>")) as opened:
        opened.page.wait_for_load_state("load")
        opened.page.wait_for_function("() => performance.now() > 100")
        assert set(ELSEWHERE) <= set(opened.requests)
        assert any(address.startswith("file:") and address.endswith("other.js") for address in opened.requests)
        with pytest.raises(AssertionError, match="asks for"):
            opened.assert_quiet()


def test_control_every_kind_of_error_is_seen(altered: Alter, open_page: Open) -> None:
    with open_page(altered("</body>", "".join(FAULTS.values()) + "</body>")) as opened:
        for said in FAULTS:
            assert any(said in line for line in opened.complaints), opened.complaints
        with pytest.raises(AssertionError, match="complains"):
            opened.assert_quiet()


def test_the_policy_of_the_page_stops_what_is_planted_in_it(altered: Alter, open_page: Open) -> None:
    planted = '<img src="http://example.invalid/pixel.png" alt=""><script>document.title = "planted"</script></body>'
    with open_page(altered("</body>", planted, guarded=True)) as opened:
        assert opened.page.title() == "fishergauge report"
        refused = [line for line in opened.complaints if "Content Security Policy" in line]
        assert len(refused) == 2, opened.complaints
    with open_page(altered("</body>", planted)) as opened:
        assert opened.page.title() == "planted"

"""Light and dark, as the system says and as the reader chooses; and no motion where none is wanted."""

from pathlib import Path

import pytest

from fishergauge.reports.browser.conftest import Alter, Open
from fishergauge.reports.browser.opened import Opened

BRIGHTNESS = """() => { const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255 }"""
NO_STORAGE = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })"


def _dark(opened: Opened) -> bool:
    return float(opened.evaluate(BRIGHTNESS)) < 0.5


def _choose(opened: Opened, theme: str) -> None:
    """Press the button of the theme until it says what is wanted."""
    button = opened.page.get_by_role("button", name="Theme")
    said = []
    for _ in range(3):
        button.click()
        said.append(button.inner_text())
        if said[-1].endswith(theme):
            return
    raise AssertionError(f"the button of the theme says {said} and never {theme!r}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_system_decides_until_the_reader_does(example: Path, open_page: Open, scheme: str) -> None:
    other = {"light": "dark", "dark": "light"}[scheme]
    with open_page(example, color_scheme=scheme) as opened:
        assert _dark(opened) == (scheme == "dark")
        _choose(opened, other)
        assert _dark(opened) == (other == "dark")
        opened.page.reload()
        assert _dark(opened) == (other == "dark")
        _choose(opened, "auto")
        assert _dark(opened) == (scheme == "dark")
        opened.assert_quiet()


def test_without_storage_the_choice_holds_while_the_page_is_open(example: Path, open_page: Open) -> None:
    with open_page(example, prepared=NO_STORAGE) as opened:
        _choose(opened, "dark")
        assert _dark(opened)
        opened.assert_quiet()


def test_text_in_figures_follows_the_scheme(example: Path, open_page: Open) -> None:
    script = "() => [...document.querySelectorAll('.plot text')].map(e => getComputedStyle(e).fill)"
    with open_page(example) as opened:
        light = opened.evaluate(script)
        opened.page.emulate_media(color_scheme="dark")
        dark = opened.evaluate(script)
    assert len(light) == len(dark)
    assert not light or light != dark


def test_nothing_moves_where_motion_is_not_wanted(example: Path, altered: Alter, open_page: Open) -> None:
    script = """() => [document.documentElement, ...document.querySelectorAll('body *')].filter(e => {
        const style = getComputedStyle(e)
        return style.animationName !== 'none' || /[1-9]/.test(style.transitionDuration) || style.scrollBehavior === 'smooth'
    }).map(e => e.tagName)"""
    with open_page(example, reduced_motion="reduce") as opened:
        assert opened.evaluate(script) == []
    planted = "<style>html { scroll-behavior: smooth } h1 { transition: color .2s }</style></head>"
    with open_page(altered("</head>", planted), reduced_motion="reduce") as opened:
        assert opened.evaluate(script) == ["HTML", "H1"]


def test_control_a_page_without_a_dark_scheme_is_seen(altered: Alter, open_page: Open) -> None:
    page = altered("prefers-color-scheme: dark", "prefers-color-scheme: none")
    with open_page(page, color_scheme="dark") as opened:
        assert not _dark(opened)

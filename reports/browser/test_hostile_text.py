"""Text that is not ours is shown as text: nothing of it becomes an element, runs, or breaks the page."""

from pathlib import Path

import pytest

from fishergauge.reports.browser.conftest import Alter, Open
from fishergauge.reports.page.example_document import CLOSING, HOSTILE, IMAGE, SCRIPT

SCRIPTS = "script:not([type]), script[type='text/javascript'], script[type='module']"
OWN_SCRIPTS = 1
INJECTED = """() => [...document.querySelectorAll('*')].flatMap(e => [...e.attributes].map(a => a.name))
    .filter(name => /^on/i.test(name))"""


@pytest.mark.parametrize("fragment", ["", "#conformance", "#cell/%3Cscript%3Ealert(1)%3C%2Fscript%3E/T1"])
@pytest.mark.parametrize("script", [True, False])
def test_hostile_text_makes_no_element_and_no_dialog(example: Path, open_page: Open, fragment: str, script: bool) -> None:
    with open_page(example, fragment, java_script_enabled=script) as opened:
        opened.assert_quiet()
        assert opened.count("img") == 0
        assert opened.count(SCRIPTS) == OWN_SCRIPTS
        assert opened.evaluate(INJECTED) == []


def test_hostile_names_are_shown_as_they_are(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        text = " ".join(opened.page.locator("#conformance").inner_text().split())
        for name in HOSTILE:
            assert " ".join(name.split()) in text, f"{name!r} is not shown as it is"
        opened.assert_quiet()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (IMAGE.replace('"', "&#34;").replace("<", "&lt;").replace(">", "&gt;"), IMAGE),
        (SCRIPT.replace("<", "&lt;").replace(">", "&gt;"), SCRIPT),
    ],
)
def test_control_a_text_that_is_not_escaped_is_seen(altered: Alter, open_page: Open, old: str, new: str) -> None:
    with open_page(altered(old, new)) as opened:
        opened.page.wait_for_load_state("load")
        assert opened.dialogs
        assert opened.count("img") + opened.count(SCRIPTS) > OWN_SCRIPTS


def test_the_policy_holds_where_escaping_was_forgotten(altered: Alter, open_page: Open) -> None:
    escaped = SCRIPT.replace("<", "&lt;").replace(">", "&gt;")
    with open_page(altered(escaped, SCRIPT, guarded=True)) as opened:
        assert opened.count(SCRIPTS) > OWN_SCRIPTS
        assert opened.dialogs == []


def test_no_identifier_stands_twice_or_is_empty(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        every = opened.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")
        twice = sorted({name for name in every if every.count(name) > 1 or not name})
        assert twice == []


def test_every_link_within_the_page_leads_somewhere(example: Path, open_page: Open) -> None:
    script = """() => [...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href'))
        .filter(h => h.length > 1 && !h.startsWith('#cell/') && !document.getElementById(decodeURIComponent(h.slice(1))))"""
    with open_page(example) as opened:
        assert opened.evaluate(script) == []


def test_links_to_elsewhere_are_of_the_web_or_beside_the_page(example: Path, open_page: Open) -> None:
    with open_page(example) as opened:
        links = opened.evaluate("() => [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))")
        kinds = {link.partition(":")[0] for link in links if ":" in link.partition("#")[0]}
        assert kinds <= {"https", "http"}
        assert CLOSING not in links

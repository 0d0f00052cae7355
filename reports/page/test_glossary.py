"""The glossary explains the words of the page: anchors, claims, words that stand elsewhere as well, and valid MathML."""

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fishergauge.reports.ledger import CONDITIONAL, VERDICTS
from fishergauge.reports.page.document import Document
from fishergauge.reports.page.glossary import FILE, GlossaryError, Term, read_glossary, slugs
from fishergauge.reports.page.glossary_part import collect
from fishergauge.reports.page.page_section import section_of
from fishergauge.reports.page.rendering import TEMPLATES, render_html, render_markdown
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.peers.judgement import STATUSES, WRONG
from fishergauge.suites.peers.ledger import KINDS
from fishergauge.suites.record import RED
from fishergauge.suites.record import VERDICTS as CHECKED

LINK = re.compile(r'href="#glossary-([^"{]+)"')
CORE = frozenset(
    re.findall(
        r"\w+",
        "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mpadded "
        "mstyle mphantom merror mmultiscripts mprescripts none semantics annotation",
    )
)
"""The elements of MathML Core: what browsers show."""
DEPRECATED = {"mathcolor", "mathbackground", "mathsize", "scriptminsize", "scriptsizemultiplier", "fontfamily", "color"}


@pytest.fixture(scope="module")
def terms() -> list[Term]:
    return read_glossary()[1]


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(Document("report", (collect(Path()),)), Path())


def named(terms: list[Term], slug: str) -> dict[str, str]:
    """The words that are explained with a term, and what they mean."""
    return {item.name: item.text for term in terms if term.slug == slug for item in term.items}


def test_every_link_to_the_glossary_leads_to_a_term(terms: list[Term]) -> None:
    known = set(slugs(terms))
    missing = [
        f"{path.name}: {slug}"
        for path in sorted(TEMPLATES.rglob("*.*"))
        if path.suffix in (".html", ".md", ".js")
        for slug in LINK.findall(path.read_text(encoding="utf-8"))
        if slug not in known
    ]
    assert not missing
    assert LINK.findall('<a href="#glossary-kfac">') == ["kfac"]


def test_the_list_of_slugs_at_the_top_of_the_file_is_complete(terms: list[Term]) -> None:
    head = FILE.read_text(encoding="utf-8").split("# Keys of")[0].split("slugs:")[1]
    assert head.replace("#", " ").split() == list(slugs(terms))


def test_claims_that_check_a_term_exist_and_every_claim_is_explained(terms: list[Term]) -> None:
    named = Counter(claim for term in terms for claim in term.claims)
    assert set(named) == set(CLAIMS)
    assert all(len(set(term.claims)) == len(term.claims) for term in terms)


def test_words_mean_what_they_mean_where_they_are_used(terms: list[Term]) -> None:
    verdicts = named(terms, "verdict")
    assert set(verdicts) == {*CHECKED, "vacuous", "red"}
    assert {name for name, text in verdicts.items() if text.endswith("; red")} == RED
    assert all(text == KINDS[name] for name, text in named(terms, "ledger").items())  # type: ignore[index]
    assert set(named(terms, "ledger")) == set(KINDS) - {"ours"}
    statuses = named(terms, "peers-status")
    assert statuses.pop("refused")
    assert all(text == STATUSES[name] for name, text in statuses.items())  # type: ignore[index]
    assert set(statuses) == WRONG
    assert set(named(terms, "paper-verdict")) == {*VERDICTS, f"{CONDITIONAL}..."}


def test_a_formula_is_explained_and_has_a_source(terms: list[Term]) -> None:
    assert len([term for term in terms if term.formula]) >= 35
    assert not [term.slug for term in terms if term.formula and not (term.source or term.slug in ("slack", "scaling"))]
    assert not [term.slug for term in terms if len(term.text) > 400]


def test_mathematics_is_well_formed_and_made_of_what_browsers_show(page: str) -> None:
    formulas = re.findall(r"<math.*?</math>", page)
    assert len(formulas) > 100
    for formula in formulas:
        for element in ElementTree.fromstring(formula).iter():
            assert element.tag in CORE, formula
            assert not set(element.attrib) & DEPRECATED, formula
            assert element.get("mathvariant") in (None, "normal"), formula
            assert "\\" not in (element.text or ""), formula


def test_the_page_shows_every_term_once_without_script(page: str, terms: list[Term]) -> None:
    section = section_of(page, "glossary")
    anchors = [anchor for anchor in section.ids if anchor.startswith("glossary-") and "-group-" not in anchor]
    assert anchors == [f"glossary-{slug}" for slug in slugs(terms)]
    assert len(set(section.ids)) == len(section.ids)
    assert not section.handlers
    assert not section.elements["script"]
    assert not section.elements["img"]
    assert "$" not in section.text
    assert len(section.html) < 100_000


def test_markdown_has_the_formulas_in_latex(terms: list[Term]) -> None:
    text = render_markdown(Document("report", (collect(Path()),)))
    assert all(f" ${term.formula}$\n" in text for term in terms if term.formula)
    assert "<math" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('slug = "ggn"', 'slug = "hessian"'), "twice"),
        (('group = "matrices"', 'group = "nowhere"'), "no group 'nowhere'"),
        (('name = "Hessian"', 'nam = "Hessian"'), "unknown key 'nam'"),
        (('name = "Hessian"\n', ""), "'name' is missing"),
        (("[[group]]", "[[group"), "not TOML"),
    ],
)
def test_a_glossary_that_is_written_wrongly_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "glossary.toml"
    path.write_text(FILE.read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    with pytest.raises(GlossaryError, match=message):
        read_glossary(path)

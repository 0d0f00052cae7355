"""Formulas become MathML that every browser shows without network, and stay LaTeX elsewhere."""

import json
import re
from dataclasses import asdict
from xml.etree import ElementTree

import pytest

from fishergauge.reports.page.mathematics import Formula, FormulaError, Prose, mathml
from fishergauge.reports.page.part import Part


def test_a_block_has_its_latex_as_alternative_text() -> None:
    root = ElementTree.fromstring(mathml(r"a < b \quad \text{and} \quad x^\top x", block=True))
    assert root.get("display") == "block"
    assert root.get("alttext") == r"a < b \quad \text{and} \quad x^\top x"
    assert "".join(root.itertext()) == "a<bandx\N{DOWN TACK}x"


def test_a_formula_within_a_text_has_no_attributes() -> None:
    assert ElementTree.fromstring(mathml("x")).attrib == {}


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\operatorname{tr} A", '<mi>tr</mi><mspace width="0.167em"/><mi>A</mi>'),
        (r"\operatorname{tr}(A)", '<mi>tr</mi><mo stretchy="false">(</mo>'),
        (r"\operatorname{E}", '<mi mathvariant="normal">E</mi>'),
        (r"\mathrm{layer}", "<mi>layer</mi>"),
        (r"\log p", '<mi>log</mi><mspace width="0.167em"/><mi>p</mi>'),
        (r"\lambda \le 1", "<mi>λ</mi><mo>≤</mo><mn>1</mn>"),
    ],
)
def test_names_stand_upright_and_apart(latex: str, expected: str) -> None:
    assert expected in mathml(latex)


@pytest.mark.parametrize("latex", [r"\arg x", r"\nonsense", r"{", r"x^2^3", r"\left( x"])
def test_a_formula_that_cannot_be_shown_is_refused(latex: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(latex)):
        mathml(latex)


def test_prose_escapes_all_but_its_mathematics() -> None:
    text = Prose('<script>alert(1)</script> & $x < y$ "> {{ 7*7 }}')
    assert text.__html__().startswith("&lt;script&gt;alert(1)&lt;/script&gt; &amp; <math>")
    assert text.__html__().endswith('</math> "&gt; {{ 7*7 }}')
    assert Prose("costs 5 $").__html__() == "costs 5 $"


def test_a_report_holds_latex_and_reads_as_text() -> None:
    content = asdict(Part("a", "A", "", {"formula": Formula("x^2"), "text": Prose("$x$")}))
    assert json.loads(json.dumps(content))["data"] == {"formula": "x^2", "text": "$x$"}
    assert f"{Formula('x^2')} {Prose('$x$')}" == "x^2 $x$"

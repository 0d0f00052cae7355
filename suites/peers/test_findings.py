"""Every finding shows itself without fishergauge: its script runs, and prints the figures of the ledger."""

import importlib.util
import math
import os
import re
import subprocess
import sys

import pytest

from fishergauge.suites.peers.ledger import LedgerFinding, read_ledger
from fishergauge.suites.peers.registry import peers, version_of

LEDGER = read_ledger()
LONGEST = 40
DIGITS = 0.005


def same(printed: str, recorded: str) -> bool:
    """Whether two results are the same text, or numbers that agree to half a per cent."""
    try:
        return printed == recorded or math.isclose(float(printed), float(recorded), rel_tol=DIGITS, abs_tol=1e-12)
    except ValueError:
        return False


def results(text: str) -> dict[str, str]:
    """What a script prints as ``expected`` and ``found``."""
    return dict(re.findall(r"^(expected|found): *(.*?) *$", text, re.MULTILINE))


def test_numbers_are_compared_to_their_digits_and_texts_literally() -> None:
    assert same("0.4213", "0.4220")
    assert same("nan", "nan")
    assert not same("0.4213", "0.43")
    assert not same("nan", "0.43")
    assert not same("IndexError: x", "IndexError: y")
    assert results("noise\nexpected: 1\nfound: KeyError: 'a'\n") == {"expected": "1", "found": "KeyError: 'a'"}


@pytest.mark.parametrize("finding", LEDGER, ids=lambda finding: finding.id)
def test_the_script_is_short_and_stands_alone(finding: LedgerFinding) -> None:
    text = finding.script.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LONGEST
    assert "fishergauge" not in text
    assert text.startswith('"""')


@pytest.mark.parametrize("finding", LEDGER, ids=lambda finding: finding.id)
def test_the_ledger_tells_right_from_wrong(finding: LedgerFinding) -> None:
    assert not same(finding.found, finding.expected)


@pytest.mark.parametrize("finding", LEDGER, ids=lambda finding: finding.id)
def test_the_script_shows_the_figures_of_the_ledger(finding: LedgerFinding) -> None:
    module = next(peer.module for peer in peers() if peer.library == finding.library)
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{finding.library} is not installed")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(finding.script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    shown = results(ran.stdout)
    assert set(shown) == {"expected", "found"}, ran.stdout
    installed = version_of(finding.library)
    changed = (
        f" ({finding.library} {installed} is installed, found in {finding.version})" if installed != finding.version else ""
    )
    assert same(shown["expected"], finding.expected), f"the right result is printed as {shown['expected']}{changed}"
    mended = same(shown["found"], shown["expected"])
    assert not mended, f"the library gives the right result: mended{changed}; take the finding out of the ledger"
    assert same(shown["found"], finding.found), f"the library's result is printed as {shown['found']}{changed}"

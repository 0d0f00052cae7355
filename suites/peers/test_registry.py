"""The list of libraries under test."""

import subprocess
import sys
from fnmatch import fnmatchcase

import pytest

from fishergauge.suites.peers import registry
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.peers.registry import VARIANTS, absent, is_variant, peer_of, peers, version_of
from fishergauge.suites.subject import Subject

EVERY = peers()


def test_adapters_import_no_library() -> None:
    """A library is imported when a quantity is first built, so that the list can be read without it."""
    code = "import sys; from fishergauge.suites.peers.registry import peers; names = {p.module for p in peers()}; "
    code += "print(sorted(names & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert said == "[]"


def test_every_quantity_says_what_is_promised() -> None:
    assert [peer.subject.name for peer in EVERY if not peer.promise.strip()] == []
    assert len({peer.subject.name for peer in EVERY}) == len(EVERY)


def test_every_pattern_of_variants_means_some_quantities_and_no_library_is_all_variants() -> None:
    names = [peer.subject.name for peer in EVERY]
    assert [pattern for pattern in VARIANTS if not any(fnmatchcase(name, pattern) for name in names)] == []
    principal = {peer.library for peer in EVERY if not is_variant(peer)}
    assert principal == {peer.library for peer in EVERY}


def test_a_missing_library_is_named_with_a_remedy() -> None:
    nowhere = Peer("nowhere", "nowhere_at_all", Subject("nowhere/fisher", lambda problem: None), "nothing")
    assert "pip install 'fishergauge[peers]'" in absent(nowhere)
    assert not absent(peer_of("backpack/kflr"))
    assert version_of("nowhere") == ""
    assert version_of("backpack").startswith("1.")


def test_a_name_that_nothing_has_is_refused() -> None:
    with pytest.raises(KeyError, match="no quantity is called 'backpack/kfac-kfac'"):
        peer_of("backpack/kfac-kfac")


def test_a_quantity_is_called_after_its_library() -> None:
    with pytest.raises(ValueError, match=r"the subject 'fisher' of lib is to be called lib/\.\.\."):
        Peer("lib", "lib", Subject("fisher", lambda problem: None), "nothing")


def test_two_quantities_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ADAPTERS", ("of_singd", "of_singd"))
    with pytest.raises(ValueError, match="two subjects are called singd/"):
        peers()

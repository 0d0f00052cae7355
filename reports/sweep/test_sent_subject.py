"""What a cell is told of a subject: digests that change with what it is made of, and with nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishergauge.reports.conformance_reference import reference_specs
from fishergauge.reports.sweep.sent_subject import file_digest, files_digest, loaded, received, sources_digest
from fishergauge.suites.subject import SubjectError

SUBJECTS = """
import sys
sys.path.insert(0, "lib")
import elsewhere
from fishergauge.suites import Subject
one = Subject("one", lambda problem: elsewhere.FACTOR)
two = Subject("two", lambda problem: 2)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SUBJECTS)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "elsewhere.py").write_text("FACTOR = 1\n")
    yield tmp_path
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("fishergauge_subject_") or name in ("elsewhere", "mine")]:
        del sys.modules[name]


def sources(*specs: str) -> str:
    """As a new process would say it."""
    forget()
    return loaded(specs)[0][1].sources


def test_sources_are_the_file_what_it_imports_and_what_lies_beside_them(folder: Path) -> None:
    seen = [sources("mine.py:one")]
    assert sources("mine.py:one") == seen[0]
    for changed in ("mine.py", "lib/elsewhere.py", "beside.py", "lib/beside.py"):
        with (folder / changed).open("a") as file:
            file.write("# changed\n")
        seen.append(sources("mine.py:one"))
    assert len(set(seen)) == len(seen)
    (folder / "data.txt").write_text("of no importance")
    assert sources("mine.py:one") == seen[-1]


def test_sources_do_not_depend_on_what_the_process_has_imported_of_libraries(folder: Path) -> None:
    forget()
    before = frozenset(sys.modules)
    first = loaded(["mine.py:one"])[0][1].sources
    import wave  # of Python  # noqa: F401

    assert "wave" not in before
    assert sources_digest(["mine.py:one"], before) == first


def test_subjects_of_one_run_share_their_sources(folder: Path) -> None:
    pairs = loaded(["mine.py:one", "mine.py:two"])
    assert [subject.name for subject, _ in pairs] == ["one", "two"]
    assert len({sent.sources for _, sent in pairs}) == 1
    assert pairs[1][1].settings == {
        "subject": "mine.py:two",
        "file": file_digest("mine.py:two"),
        "sources": sources("mine.py:two"),
    }


def test_the_file_is_compared_where_the_cell_is_computed(folder: Path) -> None:
    digest = file_digest("mine.py:one")
    assert len(digest) == 16
    assert received("mine.py:one", digest).name == "one"
    (folder / "mine.py").write_text(SUBJECTS.replace("FACTOR", "OTHER"))
    with pytest.raises(SubjectError, match="another one here than where the sweep was begun; copy it to all machines"):
        received("mine.py:one", digest)


def test_a_module_has_a_file_and_the_package_itself_and_registered_names_have_none(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    assert received("mine:one", "").name == "one"
    assert file_digest("mine:one") == file_digest("mine.py:one")
    assert [file_digest(spec) for spec in (reference_specs()[0], "reference-fisher", "no.such:thing", "gone.py:x")] == [""] * 4


def test_files_have_one_digest_by_their_content(folder: Path) -> None:
    assert files_digest(()) == ""
    both = files_digest(["mine.py", "lib/elsewhere.py"])
    assert both != files_digest(["mine.py"]) != files_digest(["gone.py"])
    (folder / "copy.py").write_text(SUBJECTS)
    assert files_digest(["copy.py", folder / "lib" / "elsewhere.py"]) == both

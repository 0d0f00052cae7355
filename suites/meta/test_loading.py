"""Subjects are found where users say they are, and every way to miss them is told apart."""

import dataclasses
import pickle
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from fishergauge import suites
from fishergauge.suites import loading
from fishergauge.suites.loading import installed_subjects, load_subject
from fishergauge.suites.subject import SubjectError

GOOD = """
import dataclasses

from fishergauge.suites import Subject

@dataclasses.dataclass
class Settings:
    damping: float = 0.0

def build(problem):
    return None

def no_argument():
    return subject

number = 3
subject = Subject("my-kfac", build, structure="kronecker")
other = Subject("other", build)

class Holder:
    inner = Subject("inner", build)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, with a file and a package of subjects."""
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GOOD)
    package = tmp_path / "fg_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "curvature.py").write_text(GOOD)
    (package / "relative.py").write_text("from .curvature import subject\n")
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith(("fg_", "fishergauge_subject_")):
            del sys.modules[name]


@pytest.mark.parametrize("where", ["mine.py", "./mine.py", "fg_package.curvature", "fg_package/curvature.py"])
def test_a_subject_is_loaded_from_a_file_or_a_module(where: str, folder: Path) -> None:
    subject = load_subject(f"{where}:subject")
    assert (subject.name, subject.structure) == ("my-kfac", "kronecker")


def test_a_file_outside_the_current_directory_may_import_its_neighbours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "fg_package" / "fg_neighbour.py").write_text("value = 'low-rank'")
    (folder / "fg_package" / "user.py").write_text(
        "from fg_neighbour import value\nfrom fishergauge.suites import Subject\nsubject = Subject('s', print, structure=value)"
    )
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert load_subject(str(folder / "fg_package" / "user.py") + ":subject").structure == "low-rank"


def test_a_bare_callable_is_a_dense_fisher_of_that_name(folder: Path) -> None:
    subject = load_subject("mine.py:build")
    assert (subject.name, subject.target, subject.structure) == ("build", "fisher", "dense")


def test_a_dotted_attribute_is_followed(folder: Path) -> None:
    assert load_subject("mine.py:Holder.inner").name == "inner"


def test_a_file_is_executed_once_and_its_classes_can_be_pickled(folder: Path) -> None:
    first, again = load_subject("mine.py:subject"), load_subject("mine.py:subject")
    assert first is again
    settings = sys.modules[first.build.__module__].Settings(0.5)
    assert dataclasses.asdict(pickle.loads(pickle.dumps(settings))) == {"damping": 0.5}
    (folder / "mine.py").write_text(GOOD.replace('"my-kfac"', '"changed"'))
    assert load_subject("mine.py:subject").name == "changed"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine.py", r"which attribute is the subject: write mine.py:ATTRIBUTE. Subjects in it: subject, other$"),
        ("mine.py:", r"write mine.py:ATTRIBUTE. Subjects in it: subject, other"),
        ("fg_package.curvature", r"write fg_package.curvature:ATTRIBUTE. Subjects in it: subject, other"),
        ("fg_package/curvature.py", r"Subjects in it: subject, other"),
        ("nothing", r"'nothing' names no registered subject and no module"),
        ("", r"'' names no registered subject"),
        ("mime.py:subject", r"there is no file 'mime.py' \(seen from .*did you mean mine.py\?"),
        ("nowhere/mine.py:subject", r"there is no folder 'nowhere' either"),
        ("fg_package/curvature:subject", r"did you mean fg_package/curvature.py"),
        ("./fg_package:subject", r"'fg_package' is a folder"),
        ("fg_nothing.curvature:subject", r"there is no module 'fg_nothing': it is neither installed"),
        ("fg_package.nothing:subject", r"there is no module 'fg_package.nothing'"),
        ("my-module:subject", r"neither the dotted name of a module nor a path"),
        ("mine.py:subjet", r"no attribute 'subjet'. Did you mean subject or .*\? Subjects in it: subject, other"),
        ("mine.py:subject.no", r"no attribute 'subject.no'"),
        ("mine.py:number", r"mine.py:number: number is a int; a subject is a"),
        ("mine.py:no_argument", r"no_argument\(\) does not accept.*store that: subject = no_argument\(\)"),
        ("fg_package/relative.py:subject", r"relative.py:1 .*belongs to a package: name it by its module"),
    ],
)
def test_every_way_to_miss_a_subject_says_which_it_was(text: str, said: str, folder: Path) -> None:
    with pytest.raises(SubjectError, match=said):
        load_subject(text)


def test_a_module_of_a_folder_without_init_is_found(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "mine.py").write_text("raise RuntimeError")
    with pytest.raises(
        SubjectError, match=r"no module 'deep.mine.x' can be imported|there is no module 'deep.mine|RuntimeError"
    ):
        load_subject("deep.mine.x:subject")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "\nimport fg_missing_package\n",
            r"its import fails at .*:2 .*No module named 'fg_missing_package'. Install",
        ),
        ("def f():\n    1 / 0\nf()\n", r"import fails at .*:2 \(1 / 0\): ZeroDivisionError: division by zero"),
        ("x = (\n", r"SyntaxError at .*:1: '\(' was never closed"),
        ("import sys\nsys.exit(3)\n", r"ends the process while it is imported: exit\(3\) at .*:2 .*__main__"),
        ("from fishergauge.suites import Subject\nsubject = Subject('a b', print)\n", r":2 .*without white space"),
    ],
)
@pytest.mark.parametrize("form", ["fg_bad.py", "fg_bad", "module-without-attribute"])
def test_a_module_that_fails_shows_its_own_error_and_where(source: str, said: str, form: str, folder: Path) -> None:
    (folder / "fg_bad.py").write_text(source)
    text = "fg_bad" if form == "module-without-attribute" else f"{form}:subject"
    with pytest.raises(SubjectError, match=said):
        load_subject(text)
    assert not [name for name in sys.modules if "fg_bad" in name]


def test_an_interrupt_is_not_swallowed(folder: Path) -> None:
    (folder / "fg_bad.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_subject("fg_bad.py:subject")


@pytest.fixture
def registered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "fg_bad.py").write_text("1 / 0")
    pairs = [("good", "mine:subject"), ("bad", "fg_bad:subject"), ("twice", "mine:subject"), ("twice", "mine:other")]
    points = EntryPoints(
        EntryPoint(name, f"fg_package.curvature:{v[5:]}" if v[0] == "m" else v, loading.GROUP) for name, v in pairs
    )
    monkeypatch.setattr(loading, "entry_points", lambda group: points.select(group=group))


@pytest.mark.usefixtures("registered")
def test_registered_subjects_are_listed_with_the_errors_of_those_that_fail() -> None:
    found = installed_subjects()
    assert list(found) == ["bad", "good", "twice"]
    assert found["good"].subject is load_subject("good")
    assert "ZeroDivisionError" in str(found["bad"].subject)
    assert "registered twice" in str(found["twice"].subject)


@pytest.mark.usefixtures("registered")
def test_a_registered_name_that_fails_or_is_misspelt_says_so() -> None:
    with pytest.raises(SubjectError, match=r"'bad' cannot be loaded: .*ZeroDivisionError"):
        load_subject("bad")
    with pytest.raises(SubjectError, match=r"Did you mean 'good'\?"):
        load_subject("goood")


def test_what_a_researcher_imports_is_there_and_anything_else_is_not() -> None:
    for name in suites.__all__:
        assert getattr(suites, name) is getattr(suites, name)
        assert name in dir(suites)
    with pytest.raises(AttributeError, match="has no attribute 'Chekc'"):
        _ = suites.Chekc


def test_no_public_name_is_hidden_by_a_module_of_the_same_name() -> None:
    modules = {file.stem for file in Path(loading.__file__).parent.iterdir()}
    assert not modules & set(suites.__all__)

"""The pytest plug-in: checks of subjects as tests. It imports no torch unless a subject is to be checked."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fishergauge.suites.gathering import Gathered
from fishergauge.suites.record import Record

if TYPE_CHECKING:
    from fishergauge.suites.subject import Subject

HERE = Path(__file__).resolve().parent
CONFORMANCE = "test_conformance.py"
SUITES = "fishergauge_suites"  # attribute of the test functions that are parametrised here
RECORD = pytest.StashKey[Record]()
SUBJECTS = pytest.StashKey["dict[str, Subject]"]()
GATHERED = pytest.StashKey[Gathered]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that work wherever pytest is started."""
    group = parser.getgroup("fishergauge", "fishergauge: conformance of Fisher and GGN approximations")
    group.addoption(
        "--subject",
        action="append",
        default=[],
        dest="fisher_subjects",
        metavar="SUBJECT",
        help="check this subject: package.module:ATTRIBUTE, path/to/file.py:ATTRIBUTE or a registered name; may be repeated; "
        "to be used with --pyargs fishergauge.suites",
    )
    group.addoption(
        "--subjects",
        choices=("installed",),
        dest="fisher_installed",
        help="check all subjects that installed packages register",
    )
    group.addoption("--fisher-seed", type=int, default=0, metavar="N", help="seed of problems and draws (default: 0)")
    group.addoption("--fisher-quick", action="store_true", help="check on a covering subset of the problems")
    group.addoption("--fisher-dtype", choices=("float64", "float32"), default="float64", help="default: float64")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and load the subjects that are asked for."""
    config.addinivalue_line("markers", "fishergauge(claim, problem): a check of a Fisher or GGN approximation")
    config.stash[SUBJECTS] = _subjects(config) if _asked(config) and not config.option.help else {}
    config.stash[GATHERED] = Gathered(config, tuple(subject.name for subject in config.stash[SUBJECTS].values()))
    config.pluginmanager.register(config.stash[GATHERED], "fishergauge-gathered")
    conftest = str(HERE / "conftest.py")
    if config.stash[SUBJECTS] and not config.pluginmanager.has_plugin(conftest):
        config.pluginmanager.register(importlib.import_module("fishergauge.suites.conftest"), conftest)


def _asked(config: pytest.Config) -> bool:
    """Whether subjects are named on the command line."""
    return bool(config.option.fisher_subjects or config.option.fisher_installed)


def gathered(config: pytest.Config) -> Gathered:
    """What this run has gathered so far."""
    return config.stash[GATHERED]


def subjects(config: pytest.Config) -> "dict[str, Subject]":
    """The subjects named on the command line, by their addresses."""
    return config.stash[SUBJECTS]


def _subjects(config: pytest.Config) -> "dict[str, Subject]":
    from fishergauge.suites.loading import installed_subjects, load_subject
    from fishergauge.suites.subject import SubjectError

    addresses = list(dict.fromkeys(config.option.fisher_subjects))
    found: dict[str, Subject] = {}
    try:
        if config.option.fisher_installed:
            installed = installed_subjects()
            if not installed:
                raise SubjectError(
                    "--subjects installed: no package registers any under the entry-point group 'fishergauge.subjects'"
                )
            addresses += [name for name in installed if name not in addresses]
        for address in addresses:
            found[address] = load_subject(address)
        names = [subject.name for subject in found.values()]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise SubjectError(f"several subjects are called {', '.join(sorted(twice))}; give each a name of its own")
    except SubjectError as error:
        raise pytest.UsageError(str(error)) from None
    return found


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the subjects, if there are any."""
    return [
        f"fishergauge: {subject.name} ({subject.target}, {subject.structure}) from {address}"
        for address, subject in subjects(config).items()
    ]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With subjects given, leave out the suites' own tests: the conformance of the subjects is what was asked for."""
    if not subjects(config):
        return None
    path = collection_path.resolve()
    if not path.is_relative_to(HERE) or path == HERE:
        return None
    return True if path not in (HERE / CONFORMANCE, HERE / "__init__.py", HERE / "conftest.py") else None


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """With subjects given, do not import the folder of the suites as a package called ``suites``: the host may have one."""
    if subjects(parent.config) and path.resolve() == HERE:
        return pytest.Dir.from_parent(parent, path=path)
    return None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Import the conformance test by its full name, whatever the host's import mode."""
    if subjects(parent.config) and module_path.resolve() == HERE / CONFORMANCE:
        module: pytest.Module = ConformanceModule.from_parent(parent, path=module_path)
        return module
    return None


class ConformanceModule(pytest.Module):
    """``fishergauge.suites.test_conformance``."""

    def _getobj(self) -> Any:
        return importlib.import_module("fishergauge.suites.test_conformance")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make the cases of the functions that ``verify`` returns."""
    if hasattr(metafunc.function, SUITES):
        from fishergauge.suites.verification import parametrize

        parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Attach the record to the report, which may travel from a worker process."""
    report = yield
    record = item.stash.get(RECORD, None)
    if record is not None and call.when == "call":
        report.fishergauge = record.as_dict()
    return report


def pytest_deselected(items: "list[pytest.Item]") -> None:
    """Remember that checks were left out, for which nobody is to be blamed then."""
    for item in items:
        if item.get_closest_marker("fishergauge"):
            gathered(item.config).deselected = True

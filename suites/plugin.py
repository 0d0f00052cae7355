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
SUITES_PACKAGE = "fishergauge.suites"
BENCHMARK = "bench_"  # files of benchmarks begin with it
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
    group.addoption(
        "--bench-sizes", default="small", metavar="SIZES", help="benchmarks: out of small,medium,large (default: small)"
    )
    group.addoption("--bench-device", choices=("cpu", "cuda"), default="cpu", help="benchmarks: default cpu")
    group.addoption(
        "--bench-implementations",
        default="",
        metavar="GLOBS",
        help="benchmarks: names, tasks or quantities such as 'fishergauge*,ggn/dense' (default: all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and load the subjects that are asked for."""
    config.addinivalue_line("markers", "fishergauge(claim, problem): a check of a Fisher or GGN approximation")
    config.stash[SUBJECTS] = _subjects(config) if _asked(config) and not config.option.help else {}
    benches = benchmarks_asked(config)
    asked = [] if benches else [subject.name for subject in config.stash[SUBJECTS].values()]
    config.stash[GATHERED] = Gathered(config, tuple(asked))
    config.pluginmanager.register(config.stash[GATHERED], "fishergauge-gathered")
    conftest = str(HERE / "conftest.py")
    if (config.stash[SUBJECTS] or benches) and not config.pluginmanager.has_plugin(conftest):
        config.pluginmanager.register(importlib.import_module("fishergauge.suites.conftest"), conftest)
    if benches and not config.option.help:
        importlib.import_module("fishergauge.suites.benchmarks.cases").chosen_by(config)


def _asked(config: pytest.Config) -> bool:
    """Whether subjects are named on the command line."""
    return bool(config.option.fisher_subjects or config.option.fisher_installed)


def benchmarks_asked(config: pytest.Config) -> bool:
    """Whether the command line names benchmarks of the suites; pytest-benchmark loads earlier runs before it collects."""
    named = [argument.partition("::")[0] for argument in config.args]
    by_pattern = any(BENCHMARK in pattern for pattern in config.getini("python_files"))
    return any(_is_benchmark(name, config, by_pattern) for name in named)


def _is_benchmark(name: str, config: pytest.Config, by_pattern: bool) -> bool:
    if config.option.pyargs and name.startswith(f"{SUITES_PACKAGE}.{BENCHMARK}"):
        return True
    path = (config.invocation_params.dir / name).resolve()
    return _benchmark_file(path) or (by_pattern and (path == HERE or (config.option.pyargs and name == SUITES_PACKAGE)))


def _benchmark_file(path: Path) -> bool:
    return path.parent == HERE and path.name.startswith(BENCHMARK)


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
    if not path.is_relative_to(HERE) or path == HERE or (_benchmark_file(path) and benchmarks_asked(config)):
        return None
    return True if path not in (HERE / CONFORMANCE, HERE / "__init__.py", HERE / "conftest.py") else None


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """For subjects and benchmarks, do not import the suites as a package called ``suites``: the host may have one."""
    if (subjects(parent.config) or benchmarks_asked(parent.config)) and path.resolve() == HERE:
        return pytest.Dir.from_parent(parent, path=path)
    return None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Import the conformance test and the benchmarks by their full names, whatever the host's import mode."""
    path = module_path.resolve()
    if _benchmark_file(path) or (subjects(parent.config) and path == HERE / CONFORMANCE):
        module: pytest.Module = SuiteModule.from_parent(parent, path=module_path)
        return module
    return None


class SuiteModule(pytest.Module):
    """A module of ``fishergauge.suites``."""

    def _getobj(self) -> Any:
        return importlib.import_module(f"{SUITES_PACKAGE}.{self.path.stem}")


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

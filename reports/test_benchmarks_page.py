"""The page on benchmarks names operations, problems, fields of a record and options as the code has them."""

import argparse
import re
from collections.abc import Mapping
from dataclasses import fields

import pytest

from fishergauge.reports import bench_command
from fishergauge.suites import plugin
from fishergauge.suites.benchmarks.problems import BENCHES
from fishergauge.suites.benchmarks.record import BenchRecord
from fishergauge.suites.benchmarks.task import MEANINGS

OTHERS = ("--benchmark-", "--pyargs", "--yes")  # options of pytest-benchmark, pytest and pip


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    file = request.config.rootpath / "docs" / "benchmarks.md"
    if not file.exists():
        pytest.skip("only in the repository: an installed package has no docs/benchmarks.md")
    return file.read_text(encoding="utf-8")


def table(page: str, heading: str) -> dict[str, str]:
    """The rows of the table whose first column has a heading."""
    (block,) = re.findall(rf"^\| {heading} \| .+\n\| --- \| --- \|\n((?:\|.+\n)+)", page, flags=re.MULTILINE)
    return dict(re.findall(r"^\| ([\w-]+) \| (.+?) \|$", block, flags=re.MULTILINE))


def options_of_bench() -> set[str]:
    """The long options of the command."""
    root = argparse.ArgumentParser()
    commands = root.add_subparsers()
    bench_command.add_parser(commands)
    return set(re.findall(r"(--[a-z][a-z-]*)", commands.choices["bench"].format_help())) - {"--help"}


def options_of_plugin() -> set[str]:
    """The options that the plug-in adds to pytest."""
    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    return {name for option in parser.getgroup("fishergauge").options for name in option.names()}


def named(page: str) -> set[str]:
    """The options that the page names, without those of others."""
    return {name for name in re.findall(r"--[a-z][a-z-]*[a-z]", page) if not name.startswith(OTHERS)} - {"--help"}


def faults(page: str) -> list[str]:
    """In which of its lists the page differs from the code."""
    lists: Mapping[str, tuple[object, object]] = {
        "operations": (table(page, "operation"), dict(MEANINGS)),
        "problems": (table(page, "problem"), {bench.name: bench.description for bench in BENCHES.values()}),
        "fields": (list(table(page, "field")), [item.name for item in fields(BenchRecord)]),
        "options left out": (options_of_bench() - named(page), set()),
        "options unknown": (named(page) - options_of_bench() - options_of_plugin(), set()),
    }
    return [what for what, (found, wanted) in lists.items() if found != wanted]


def test_the_page_says_what_the_code_has(page: str) -> None:
    assert faults(page) == []


@pytest.mark.parametrize(
    ("pattern", "other", "fault"),
    [
        (r"\| rows \| ", "| row | ", "operations"),
        (r"\| factors \| .+\n", "", "operations"),
        ("N = 5000", "N = 500", "problems"),
        (r"\| cnn-medium \| .+\n", "", "problems"),
        (r"\| event_seconds \| .+\n", "", "fields"),
        ("--counted-only", "", "options left out"),
        ("--counted-only", "--counted", "options unknown"),
        ("--bench-sizes", "--bench-size", "options unknown"),
    ],
)
def test_what_is_missing_or_wrong_is_seen(page: str, pattern: str, other: str, fault: str) -> None:
    assert fault in faults(re.sub(pattern, other, page))

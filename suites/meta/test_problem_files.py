"""Problems from a file: what may be written, and what each mistake is told."""

import sys
from pathlib import Path

import pytest
import torch

from fishergauge.reference import Problem, ProblemError
from fishergauge.suites.problem_files import load_problems
from fishergauge.suites.zoo import CATALOGUE, catalogue_problem

HEAD = """import torch
from torch import nn
from fishergauge.reference import Facts, Problem
from fishergauge.suites.zoo import Setting


def my_plane(s):
    data = [(s.normal(4, 2), s.normal(4, 1))]
    return s.problem(lambda: nn.Linear(2, 1), nn.MSELoss(), data, Facts(linear_in_parameters=True))


FIXED = my_plane(Setting("anything"))
"""
LAST = len(HEAD.splitlines())


def _file(folder: Path, text: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(HEAD + text, encoding="utf-8")
    return file


@pytest.mark.parametrize("text", ["problems = [my_plane]", "problems = {'my-plane': my_plane}", "problems = (my_plane,)"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_functions_are_drawn_with_dtype_and_seed(tmp_path: Path, text: str, dtype: torch.dtype) -> None:
    build = load_problems(_file(tmp_path, text))["my-plane"]
    problem, again, other = build(dtype, "cpu", 0), build(dtype, "cpu", 0), build(dtype, "cpu", 1)
    assert isinstance(problem, Problem)
    assert (problem.name, problem.dtype, problem.inputs.dtype) == ("my-plane", dtype, dtype)
    assert problem.facts.linear_in_parameters
    assert torch.equal(problem.vector, again.vector)
    assert not torch.equal(problem.vector, other.vector)


def test_a_problem_as_it_is_gets_its_name_and_the_dtype(tmp_path: Path) -> None:
    build = load_problems(str(_file(tmp_path, "problems = {'fixed': FIXED}")))["fixed"]
    single, double = build(torch.float32, "cpu", 0), build(torch.float64, "cpu", 5)
    assert single.name == double.name == "fixed"
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(single.vector.double(), double.vector, rtol=1e-6, atol=1e-6)


def test_a_file_may_import_its_neighbour_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_problems.py").write_text("SIZE = 3", encoding="utf-8")
    before = list(sys.path), {name for name in sys.modules if name.startswith("fishergauge_problems")}
    load_problems(_file(tmp_path, "from neighbour_of_problems import SIZE\nproblems = [my_plane] * (SIZE - 2)"))
    assert (list(sys.path), {name for name in sys.modules if name.startswith("fishergauge_problems")}) == before
    sys.modules.pop("neighbour_of_problems", None)


def test_no_file_and_no_python_file(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"absent\.py does not exist; give the path"):
        load_problems(tmp_path / "absent.py")
    with pytest.raises(ProblemError, match="is a folder"):
        load_problems(tmp_path)
    with pytest.raises(ProblemError, match=r"mine\.txt is no Python file; its name must end in \.py"):
        load_problems(_file(tmp_path, "problems = [my_plane]", "mine.txt"))


MISTAKES = {
    "raises": ("x = 1 / 0", rf"mine\.py:{LAST + 1} raises ZeroDivisionError: division by zero; it must run by itself"),
    "raises-inside": (
        "Problem(nn.Tanh(), nn.MSELoss(), [])",
        rf":{LAST + 1} raises ProblemError: a problem needs at least one",
    ),
    "does-not-parse": ("problems = [", rf"mine\.py:{LAST + 1} raises SyntaxError: .* it must run by itself"),
    "exits": ("raise SystemExit(0)", rf":{LAST + 1} raises SystemExit: 0"),
    "no-attribute": ("probems = [my_plane]", r"mine\.py defines no 'problems'; write problems = \[build\]"),
    "a-function": ("problems = my_plane", "problems is of type function; it must be a mapping"),
    "a-text": ("problems = 'my_plane'", "problems is of type str; it must be a mapping"),
    "empty": ("problems = {}", "problems is empty; name at least one"),
    "empty-list": ("problems = []", "problems is empty"),
    "a-number": ("problems = {'one': 1}", r"problems\['one'\] is of type int; it must be a function"),
    "a-number-as-name": ("problems = {1: my_plane}", "names in problems are texts, not 1"),
    "a-nameless-problem": ("problems = [FIXED]", r"problems\[0\] is of type Problem; a list holds functions"),
    "a-lambda": ("problems = [lambda s: FIXED]", rf"mine\.py:{LAST + 1}: problems\[0\] is a function without a name"),
    "a-name-of-the-zoo": (
        "problems = {'cnn': my_plane}",
        "there is a problem 'cnn' in the zoo already; rename yours, to 'my-cnn'",
    ),
    "an-older-name": ("problems = {'attention': my_plane}", "there is a problem 'attention' in the zoo already"),
    "twice": ("problems = [my_plane, my_plane]", "two problems are called 'my-plane'; rename one"),
    "a-space": ("problems = {'my plane': my_plane}", "has no white space and none of .*, unlike 'my plane'"),
    "a-glob": ("problems = {'my*': my_plane}", r"unlike 'my\*'"),
    "nothing-in-a-name": ("problems = {'': my_plane}", "unlike ''"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_named_with_its_remedy(tmp_path: Path, mistake: str) -> None:
    text, message = MISTAKES[mistake]
    with pytest.raises(ProblemError, match=message):
        load_problems(_file(tmp_path, text))


WRONG_BUILDERS = {
    "returns-nothing": (
        "def p(s):\n    my_plane(s)",
        rf"mine\.py:{LAST + 1}: the function of the problem 'p' returns something of type NoneType",
    ),
    "returns-a-model": (
        "def p(s):\n    return nn.Linear(1, 1)",
        "returns something of type Linear; it must return a fishergauge.reference.Problem",
    ),
    "raises": ("def p(s):\n    return 1 / 0", rf"mine\.py:{LAST + 2}: the problem 'p' cannot be built: ZeroDivisionError"),
    "takes-nothing": ("def p():\n    return FIXED", "the problem 'p' cannot be built: TypeError: .* positional argument"),
    "malformed": (
        "def p(s):\n    return s.problem(lambda: nn.Linear(2, 1), nn.MSELoss(), [(s.normal(4, 2), s.normal(4))], Facts())",
        rf"mine\.py:{LAST + 2}: the problem 'p' cannot be built: ProblemError: MSELoss compares outputs",
    ),
    "ignores-the-dtype": (
        "def p(s):\n    return FIXED",
        "was asked for torch.float32 and gives torch.float64; take numbers from",
    ),
}


@pytest.mark.parametrize("mistake", WRONG_BUILDERS)
def test_a_function_that_builds_no_fitting_problem_is_refused(tmp_path: Path, mistake: str) -> None:
    text, message = WRONG_BUILDERS[mistake]
    build = load_problems(_file(tmp_path, f"{text}\n\n\nproblems = [p]"))["p"]
    with pytest.raises(ProblemError, match=message):
        build(torch.float32, "cpu", 0)


def test_a_builder_of_the_zoo_may_be_used_under_another_name(tmp_path: Path) -> None:
    text = "from fishergauge.suites.zoo import ZOO\nproblems = {'another-cnn': ZOO['cnn']}"
    problem = load_problems(_file(tmp_path, text))["another-cnn"](torch.float64, "cpu", 0)
    assert problem.num_parameters == catalogue_problem("cnn").num_parameters
    assert "another-cnn" not in CATALOGUE


def test_a_relative_path_still_gives_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _file(tmp_path, "x = 1 / 0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProblemError, match=rf"^mine\.py:{LAST + 1} raises"):
        load_problems("mine.py")

"""Problems of one's own, from a Python file."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

from fishergauge.reference import Problem, ProblemError
from fishergauge.suites.precision import converted
from fishergauge.suites.zoo import CATALOGUE, ZOO, Builder, Setting

Build = Callable[[torch.dtype, str, int], Problem]
ATTRIBUTE = "problems"
FORBIDDEN = "@[]*?,"


def load_problems(path: str | Path) -> dict[str, Build]:
    """The problems that a Python file defines.

    The file has an attribute ``problems``: a mapping from names to functions that take a
    :class:`~fishergauge.suites.zoo.setting.Setting` and return a :class:`~fishergauge.reference.Problem`, or to problems
    as they are; or a list of such functions, whose names (hyphens for underscores) are those of the problems. A problem as it
    is has one seed only; it is converted to the dtype that is asked for, and moved to the device.

    Args:
        path: of the file.

    Returns:
        For each name a function ``(dtype, device, seed) -> Problem``; the problem has that name. The function raises
        ProblemError if what was built is no problem, or has another dtype or device than was asked for.

    Raises:
        ProblemError: there is no such file, it raises, it has no attribute ``problems``, that one is of a wrong type or
            empty, or a name is taken by the zoo, used twice or not usable in a pattern.

    Example:
        >>> import tempfile
        >>> lines = ["from torch import nn", "from fishergauge.reference import Problem"]
        >>> lines += ["def plane(s):", "    data = [(s.normal(4, 2), s.normal(4, 1))]"]
        >>> lines += ["    return Problem(s.module(lambda: nn.Linear(2, 1)), nn.MSELoss(), data)", "problems = [plane]"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "mine.py")
        ...     _ = file.write_text(chr(10).join(lines))
        ...     load_problems(file)["plane"](torch.float64, "cpu", 0).num_parameters
        3
    """
    file = Path(path)
    module = _module(file)
    if not hasattr(module, ATTRIBUTE):
        raise ProblemError(
            f"{file} defines no {ATTRIBUTE!r}; write {ATTRIBUTE} = [build], with build a function from a "
            f"fishergauge.suites.zoo.Setting to a fishergauge.reference.Problem, or {ATTRIBUTE} = {{'name': build}}"
        )
    found: dict[str, Build] = {}
    for name, source in _named(file, getattr(module, ATTRIBUTE)):
        _check_name(file, name, found)
        found[name] = _instance(name, source) if isinstance(source, Problem) else _built(file, name, source)
    if not found:
        raise ProblemError(f"{file}: {ATTRIBUTE} is empty; name at least one problem, or leave the file out")
    return found


def _module(file: Path) -> ModuleType:
    """Run the file; its folder is importable meanwhile, and nothing of it stays in ``sys.modules``."""
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise ProblemError(f"{file} {what}; give the path of a Python file that defines {ATTRIBUTE!r}")
    name = f"fishergauge_problems_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProblemError(f"{file} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ProblemError(
            f"{file}{_line(file, error)} raises {_said(error)}; it must run by itself: try `python {file}`"
        ) from error
    finally:
        sys.path.remove(str(file.resolve().parent))
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    return module


def _named(file: Path, problems: object) -> Iterator[tuple[str, Builder | Problem]]:
    """Names and sources of what the file lists."""
    if isinstance(problems, Mapping):
        for name, source in problems.items():
            if not isinstance(name, str):
                raise ProblemError(f"{file}: the names in {ATTRIBUTE} are texts, not {name!r}")
            if not isinstance(source, Problem) and not callable(source):
                raise ProblemError(
                    f"{file}{_place(file, source)}: {ATTRIBUTE}[{name!r}] is of type {type(source).__name__}; it must be a "
                    "function Setting -> Problem, or a Problem"
                )
            yield name, source
        return
    if not isinstance(problems, list | tuple):
        raise ProblemError(
            f"{file}: {ATTRIBUTE} is of type {type(problems).__name__}; it must be a mapping from names to functions "
            "Setting -> Problem (or to problems), or a list of such functions"
        )
    for position, source in enumerate(problems):
        name = getattr(source, "__name__", "")
        if isinstance(source, Problem) or not callable(source) or not name or name == "<lambda>":
            kind = "a function without a name" if callable(source) else f"of type {type(source).__name__}"
            raise ProblemError(
                f"{file}{_place(file, source)}: {ATTRIBUTE}[{position}] is {kind}; a list holds functions, whose names become "
                f"those of the problems. Write {ATTRIBUTE} = {{'name': ...}} instead"
            )
        yield name.replace("_", "-"), source


def _check_name(file: Path, name: str, found: Mapping[str, Build]) -> None:
    if not name or any(c.isspace() or c in FORBIDDEN for c in name):
        raise ProblemError(
            f"{file}: the name of a problem has no white space and none of {' '.join(FORBIDDEN)}, unlike {name!r}"
        )
    if name in CATALOGUE or name in ZOO:
        raise ProblemError(f"{file}: there is a problem {name!r} in the zoo already; rename yours, to 'my-{name}' for instance")
    if name in found:
        raise ProblemError(f"{file}: two problems are called {name!r}; rename one of them")


def _instance(name: str, problem: Problem) -> Build:
    """A problem as it is, in the dtype and on the device that are asked for; the seed has nothing to change."""

    def build(dtype: torch.dtype, device: str, seed: int) -> Problem:
        copied = converted(problem, dtype)
        batches = [(inputs.to(device), targets.to(device)) for inputs, targets in copied.batches]
        return replace(copied, model=copied.model.to(device), loss=copied.loss.to(device), batches=batches, name=name)

    return build


def _built(file: Path, name: str, builder: Builder) -> Build:
    """A function that builds with a setting and refuses what does not fit it."""
    where = f"{file}{_place(file, builder)}: the function of the problem {name!r}"

    def build(dtype: torch.dtype, device: str, seed: int) -> Problem:
        try:
            with torch.random.fork_rng(devices=[]):  # modules initialise themselves from the global generator
                problem = builder(Setting(name, dtype, device, "mean", seed))
        except Exception as error:
            raise ProblemError(f"{file}{_line(file, error)}: the problem {name!r} cannot be built: {_said(error)}") from error
        if not isinstance(problem, Problem):
            raise ProblemError(
                f"{where} returns something of type {type(problem).__name__}; it must return a fishergauge.reference.Problem "
                "(is a `return` missing?)"
            )
        if problem.dtype != dtype:
            raise ProblemError(
                f"{where} was asked for {dtype} and gives {problem.dtype}; take numbers from s.normal(...), the model from "
                "s.module(...), or convert both with .to(s.dtype)"
            )
        if problem.device.type != torch.device(device).type:
            raise ProblemError(f"{where} was asked for {device} and gives {problem.device}; move model and data to s.device")
        return replace(problem, name=name)

    return build


def _place(file: Path, source: object) -> str:
    """``:line`` of a function that this file defines, nothing where that is not known."""
    code = getattr(source, "__code__", None)
    return f":{code.co_firstlineno}" if code is not None and _same(code.co_filename, file) else ""


def _line(file: Path, error: BaseException) -> str:
    """``:line`` of the last line of this file that an error came through, nothing where there is none."""
    if isinstance(error, SyntaxError) and _same(error.filename, file):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, file)]
    return f":{lines[-1]}" if lines else ""


def _same(name: str | None, file: Path) -> bool:
    """Whether a traceback's file name means this file."""
    return name is not None and Path(name).absolute() == file.absolute()


def _said(error: BaseException) -> str:
    """The type and the message of an error."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

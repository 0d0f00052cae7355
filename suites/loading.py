"""Loading a subject by what a user types: ``package.module:attribute``, ``path/to/file.py:attribute``, or a registered name."""

import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from fishergauge.suites.import_failure import import_failure
from fishergauge.suites.subject import Subject, SubjectError, as_subject

GROUP = "fishergauge.subjects"
FORMS = "package.module:ATTRIBUTE, path/to/file.py:ATTRIBUTE, or a name that 'fishergauge subjects' lists"


class Installed(NamedTuple):
    """A registered subject: its entry point, and the subject or the error that loading it met."""

    entry_point: EntryPoint
    subject: Subject | SubjectError


def load_subject(text: str) -> Subject:
    """The subject that a text names.

    The current directory is importable, as it is for ``python -m pytest``, and so is the folder of a file. A file becomes
    a module under a name of its own that depends on path and content, so that its classes can be pickled.

    Args:
        text: ``"package.module:attribute"``, ``"path/to/file.py:attribute"`` or the name of an entry point of the group
            ``fishergauge.subjects``. The attribute may be dotted.

    Returns:
        The subject; a bare callable becomes a dense Fisher of that name.

    Raises:
        SubjectError: there is no such file, module, attribute or name, it fails while it is imported, or it is no subject.

    Example:
        >>> load_subject("fishergauge.reference:fisher").name
        'fisher'
    """
    where, _, attribute = text.rpartition(":")
    if not where or not attribute or set(attribute) & set("/\\"):
        return _without_attribute(text.rstrip(":"))
    module = _load_file(Path(where)) if _is_file_name(where) else _load_module(where)
    return _accept(_attribute(module, attribute, where), attribute.rpartition(".")[2], text)


def installed_subjects() -> dict[str, Installed]:
    """All subjects that installed packages register under the entry-point group ``fishergauge.subjects``, by name."""
    found: dict[str, Installed] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in found and found[point.name].entry_point.value != point.value:
            both = f"{found[point.name].entry_point.value!r} and {point.value!r}"
            error = SubjectError(f"the name {point.name!r} is registered twice, as {both}; give MODULE:ATTRIBUTE instead")
            found[point.name] = Installed(point, error)
        elif point.name not in found:
            found[point.name] = Installed(point, _load_point(point))
    return found


def _load_point(point: EntryPoint) -> Subject | SubjectError:
    try:
        return load_subject(point.value.partition("[")[0].strip())
    except SubjectError as error:
        return error


def _without_attribute(text: str) -> Subject:
    """A text without a colon: a registered name, or a module or file whose attribute is missing, which is said."""
    names = {point.name for point in entry_points(group=GROUP)}
    if text in names:
        found = installed_subjects()[text].subject
        if isinstance(found, SubjectError):
            raise SubjectError(f"the registered subject {text!r} cannot be loaded: {found}")
        return found
    if _is_file_name(text):
        module = _load_file(Path(text))
    elif _is_module(text):
        module = _load_module(text)
    else:
        near = difflib.get_close_matches(text, sorted(names), n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise SubjectError(f"{text!r} names no registered subject and no module. {hint}A subject is given as {FORMS}")
    raise SubjectError(f"{text!r} does not say which attribute is the subject: write {text}:ATTRIBUTE. {_offer(module)}")


def _is_file_name(text: str) -> bool:
    return text.endswith(".py") or "/" in text or "\\" in text


def _is_module(text: str) -> bool:
    if not text or not all(part.isidentifier() for part in text.split(".")):
        return False
    _make_importable(Path.cwd())
    try:
        return importlib.util.find_spec(text) is not None
    except (ImportError, ValueError):
        return False
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return True  # its package exists and fails on import, which loading it will show


def _make_importable(folder: Path) -> None:
    """Put a folder in front of the search path, unless it is already there."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _load_module(name: str) -> ModuleType:
    """Import a module by its dotted name."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise SubjectError(f"{name!r} is neither the dotted name of a module nor a path that ends in .py; use {FORMS}")
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SubjectError(_no_module(name, error.name)) from None
        raise import_failure(name, error) from error
    except (Exception, SystemExit) as error:
        raise import_failure(name, error) from error


def _no_module(name: str, missing: str) -> str:
    """What to say of a module that is not there."""
    path = Path(*name.split(".")).with_suffix(".py")
    if Path(f"{name}.py").exists() or path.exists():
        return f"no module {missing!r} can be imported, but there is a file: write {path}:ATTRIBUTE"
    return (
        f"there is no module {missing!r}: it is neither installed in this environment ({sys.prefix}) nor importable from the "
        f"current directory ({Path.cwd()}). Install it there, change the directory, or give the path of a file"
    )


def _load_file(path: Path) -> ModuleType:
    """Execute a file as a module of its own name."""
    if not path.exists():
        raise SubjectError(f"there is no file {str(path)!r} (seen from {Path.cwd()}){_like(path)}")
    if path.is_dir() or path.suffix != ".py":
        raise SubjectError(f"{str(path)!r} is {'a folder' if path.is_dir() else 'no .py file'}; a subject is given as {FORMS}")
    path = path.resolve()
    digest = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()[:12]
    name = f"fishergauge_subject_{''.join(c if c.isalnum() else '_' for c in path.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SubjectError(f"{str(path)!r} cannot be loaded as a Python module")
    _make_importable(Path.cwd())
    _make_importable(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up here
    try:
        # not by the loader: its bytecode would be taken for that of a file changed within the second
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise import_failure(str(path), error) from error
    return module


def _like(path: Path) -> str:
    """Python files of the same folder with similar names."""
    if path.suffix == "" and path.with_suffix(".py").exists():
        return f"; did you mean {path.with_suffix('.py')}?"
    if not path.parent.is_dir():
        return f"; there is no folder {str(path.parent)!r} either"
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.py")], n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _attribute(module: ModuleType, attribute: str, where: str) -> object:
    """The attribute of a module, dotted names followed."""
    try:
        return functools.reduce(getattr, attribute.split("."), module)
    except AttributeError:
        near = difflib.get_close_matches(attribute, [name for name in vars(module) if not name.startswith("__")], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise SubjectError(f"{where} has no attribute {attribute!r}.{hint} {_offer(module)}") from None


def _offer(module: ModuleType) -> str:
    """What a module has to offer: its subjects, or else the functions that could be one."""
    subjects = [name for name, value in vars(module).items() if isinstance(value, Subject)]
    if subjects:
        return f"Subjects in it: {', '.join(subjects)}"
    functions = [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    there = f"; functions in it: {', '.join(functions)}" if functions else " and no public function"
    return f"There is no Subject in it{there}"


def _accept(thing: object, name: str, text: str) -> Subject:
    """A loaded object as a subject, if it is one."""
    try:
        subject = as_subject(thing, name)
    except SubjectError as error:
        raise SubjectError(f"{text}: {error}") from None
    try:
        signature = inspect.signature(subject.build)
    except (TypeError, ValueError):
        return subject
    try:
        signature.bind(None, **dict.fromkeys(subject.keywords if subject.drawn else ()))
    except TypeError as error:
        made = "" if signature.parameters else f". If it returns a subject, store that: subject = {name}()"
        raise SubjectError(
            f"{text} is called with one argument, a Problem, which {getattr(subject.build, '__name__', name)}{signature} "
            f"does not accept: {error}{made}"
        ) from None
    return subject

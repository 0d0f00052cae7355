"""What to say when a module exists and fails while it is imported: its own error, and where."""

import traceback
from pathlib import Path

from fishergauge.suites.subject import SubjectError

_HERE = Path(__file__).parent


def import_failure(name: str, error: BaseException) -> SubjectError:
    """The error of a module's own code as a SubjectError that says where it happened.

    Args:
        name: of the module or file.
        error: what its execution raised.

    Returns:
        The error to raise.
    """
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}"
        return SubjectError(f"{name} cannot be imported: {type(error).__name__} at {place}: {error.msg}")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _machinery(frame.filename)]
    own = [frame for frame in frames if not _elsewhere(frame.filename)] or frames
    place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    line = f" ({own[-1].line})" if own and own[-1].line else ""
    if isinstance(error, SystemExit):
        return SubjectError(
            f"{name} ends the process while it is imported: exit({error.code!r}){place}{line}. Put what is meant for the "
            "command line under: if __name__ == '__main__'"
        )
    said = str(error).strip()
    cause = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return SubjectError(f"{name} exists, but its import fails{place}{line}: {cause}{_remedy(error)}")


def _machinery(file: str) -> bool:
    """Whether a frame belongs to the import itself."""
    return file.startswith(("<frozen importlib", str(_HERE / "loading.py"))) or file.endswith("importlib/__init__.py")


def _elsewhere(file: str) -> bool:
    """Whether a frame belongs to code that the user did not write."""
    return file.startswith("<") or "site-packages" in file or Path(file).is_relative_to(_HERE.parent)


def _remedy(error: BaseException) -> str:
    """What to do about the commonest failures."""
    if isinstance(error, ImportError) and "relative import" in str(error):
        return ". The file belongs to a package: name it by its module, package.module:ATTRIBUTE"
    if isinstance(error, ModuleNotFoundError):
        return f". Install {error.name}, or start where it can be imported"
    return ""

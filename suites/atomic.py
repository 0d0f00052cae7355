"""Files that are either written whole or not at all."""

import os
from pathlib import Path


def write_atomically(path: Path, content: str) -> None:
    r"""Write a text file as UTF-8, so that no reader ever sees a part of it.

    The text goes to a temporary file in the same folder, which then takes the place of the old one. A device or a pipe
    (``/dev/stdout``) cannot be replaced and is written to directly. Line ends are written as they are.

    Args:
        path: the file; its folder must exist.
        content: all of it.

    Raises:
        OSError: the file cannot be written; what was there before is unchanged.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "a.txt"
        >>> write_atomically(file, "whole\n")
        >>> file.read_text()
        'whole\n'
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.write(content)
        return
    target = path.resolve()  # a link stays a link
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; create it first")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)

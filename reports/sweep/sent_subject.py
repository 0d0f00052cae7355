"""A subject of the user's in a cell: the text that names it, with digests of what it is made of."""

import hashlib
import sys
import sysconfig
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fishergauge.suites.loading import load_subject
from fishergauge.suites.subject import Subject, SubjectError

OURS = "fishergauge."
"""How the modules of this package begin, whose sources are part of the version of the code."""


@dataclass(frozen=True)
class Sent:
    """What a cell is told of a subject.

    Args:
        spec: the subject as typed.
        file: the digest of the file in which it stands, which is compared where the cell is computed.
        sources: the digest of all that it is made of, as far as that is known.
    """

    spec: str
    file: str
    sources: str

    @property
    def settings(self) -> dict[str, str]:
        """For the settings of a cell."""
        return {"subject": self.spec, "file": self.file, "sources": self.sources}


def loaded(specs: Sequence[str]) -> list[tuple[Subject, Sent]]:
    """Load subjects here, and say what is sent of them.

    Args:
        specs: the subjects as typed.

    Raises:
        SubjectError: one of them cannot be loaded.
    """
    before = frozenset(sys.modules)
    subjects = [load_subject(spec) for spec in specs]
    sources = sources_digest(specs, before)
    return [(subject, Sent(spec, file_digest(spec), sources)) for subject, spec in zip(subjects, specs, strict=True)]


def file_digest(spec: str) -> str:
    """The digest of the file in which a subject stands; empty for one of this package, or that a package registers by name.

    Args:
        spec: the subject as typed.

    Returns:
        Sixteen hexadecimal digits.
    """
    file = _file(spec)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file is not None else ""


def sources_digest(specs: Sequence[str], before: Collection[str]) -> str:
    """The digest of the sources that loading subjects has imported, of the Python files beside them, and of what is installed.

    Files beside a subject may be imported while it runs. Of libraries the version stands for the sources. Data files that a
    subject reads are not known here.

    Args:
        specs: the subjects as typed, which have been loaded.
        before: names of the modules that were imported before.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in sorted({f"{one.metadata['Name']} {one.version}" for one in metadata.distributions()}):
        digest.update(name.encode() + b"\0")
    named = {file.resolve() for spec in specs if (file := _file(spec)) is not None}
    mine = {file for file in (*named, *_imported(before)) if not _of_a_library(file)}
    beside = {other for file in mine for other in file.parent.glob("*.py")}
    for file in sorted(named | mine | beside):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def files_digest(files: Sequence[str | Path]) -> str:
    """The digest of files by their content; empty for none.

    Args:
        files: that exist, or not.
    """
    digest = hashlib.sha256()
    for file in map(Path, files):
        digest.update((file.read_bytes() if file.is_file() else b"") + b"\0")
    return digest.hexdigest()[:16] if files else ""


def received(spec: str, file: str) -> Subject:
    """The subject of a cell, loaded where the cell is computed.

    Args:
        spec: the subject as typed where the sweep was begun.
        file: the digest of its file there.

    Raises:
        SubjectError: it cannot be loaded, or its file is another one here.
    """
    subject = load_subject(spec)
    if file and file_digest(spec) != file:
        raise SubjectError(
            f"{spec}: the file is another one here than where the sweep was begun; copy it to all machines, or share its folder"
        )
    return subject


def _file(spec: str) -> Path | None:
    """The file in which a subject stands."""
    where, _, attribute = spec.rpartition(":")
    if not where or not attribute or where.startswith(OURS):
        return None
    if where.endswith(".py") or "/" in where or "\\" in where:
        return Path(where) if Path(where).is_file() else None
    name = getattr(sys.modules.get(where), "__file__", None)  # it has been loaded, or there is none
    return Path(name) if isinstance(name, str) and Path(name).is_file() else None


def _imported(before: Collection[str]) -> Iterator[Path]:
    """The Python files of newly imported modules but for those of this package, whose version every cell knows."""
    for name in sorted(sys.modules.keys() - set(before)):
        file = getattr(sys.modules[name], "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and Path(file).is_file() and not name.startswith(OURS):
            yield Path(file).resolve()


def _of_a_library(file: Path) -> bool:
    """Whether a file is part of Python or of an installed package."""
    folders = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    return any(file.is_relative_to(folder) for folder in folders)

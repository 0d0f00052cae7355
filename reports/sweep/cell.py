"""A cell of a sweep: a function by name and the strings and numbers that it is called with."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fishergauge.reports.code_version import code_version
from fishergauge.suites.versions import versions

SCHEMA = 1
"""Of what the key is made of."""

Setting = str | int | float | bool | None
DEVICES = ("", "cpu", "cuda")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class CellError(ValueError):
    """Something that cannot be a cell; the message names cause and remedy."""


@dataclass(frozen=True)
class SweepCell:
    """The smallest unit of a sweep: computed once, in whatever process on whatever machine, and kept as one line.

    Args:
        function: ``"package.module:function"``, called as ``function(**settings)``; returns what JSON can carry.
        settings: pairs of name and value, sorted by name; strings, finite numbers, booleans and None.
        label: for people; no part of the key.
        alone: the device that the cell measures time on, ``"cpu"`` or ``"cuda"``, and needs for itself; else empty.
        group: cells of different groups never share a process.

    Raises:
        CellError: the function is not given by name, or a setting is of another kind.

    Example:
        >>> cell = make_cell("json:dumps", label="three", obj=3)
        >>> cell.settings, len(cell.key)
        ((('obj', 3),), 64)
    """

    function: str
    settings: tuple[tuple[str, Setting], ...] = ()
    label: str = ""
    alone: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.function, str) or not _FUNCTION.fullmatch(self.function):
            raise CellError(f"{self.function!r} is no function of a cell; give its name as package.module:function")
        if self.alone not in DEVICES:
            raise CellError(f"{self} needs {self.alone!r} for itself; that is 'cpu', 'cuda' or, if it measures no time, ''")
        names = [name for name, _ in self.settings]
        if names != sorted(set(names)):
            raise CellError(f"the settings of {self} are not sorted by name, each once: {names}; use make_cell")
        for name, value in self.settings:
            _require_setting(name, value, self)

    @property
    def key(self) -> str:
        """A digest of everything that determines the result, the code and torch's version included."""
        return key_of(self.function, dict(self.settings), code_version(), torch_version())

    def __str__(self) -> str:
        """The label, or the call where there is none."""
        return self.label or f"{self.function}({', '.join(f'{name}={value!r}' for name, value in self.settings)})"

    def as_dict(self) -> dict[str, Any]:
        """What a line of a file says of the cell."""
        fields = {"function": self.function, "settings": dict(self.settings)}
        return fields | {name: value for name in ("label", "alone", "group") if (value := getattr(self, name))}


def make_cell(function: str, label: str = "", alone: str = "", group: str = "", **settings: Setting) -> SweepCell:
    """A cell from keywords.

    Args:
        function: ``"package.module:function"``.
        label: for people.
        alone: the device that a timing cell needs for itself.
        group: cells of different groups never share a process.
        settings: what the function is called with.

    Raises:
        CellError: as of :class:`SweepCell`.
    """
    return SweepCell(function, tuple(sorted(settings.items())), label, alone, group)


def cell_from(content: Mapping[str, Any]) -> SweepCell:
    """The cell of :meth:`SweepCell.as_dict`.

    Raises:
        CellError: it is none.
    """
    try:
        others = {name: str(content.get(name, "")) for name in ("label", "alone", "group")}
        return make_cell(content["function"], **others, **content["settings"])
    except (AttributeError, KeyError, TypeError) as error:
        raise CellError(f"not a cell: {error!r}") from None


def torch_version() -> str:
    """The installed version of torch, found without its import."""
    return versions()["torch"] or ""


def key_of(function: str, settings: Mapping[str, Setting], code: str, torch: str) -> str:
    """The key of a cell under a version of the code and of torch.

    Args:
        function: its name.
        settings: by name.
        code: as :func:`~fishergauge.reports.code_version.code_version` says it.
        torch: the version.

    Returns:
        64 hexadecimal digits of SHA-256.
    """
    content = {"schema": SCHEMA, "function": function, "settings": settings, "code": code, "torch": torch}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def _require_setting(name: str, value: object, cell: SweepCell) -> None:
    if type(value) not in (str, int, float, bool, type(None)):
        raise CellError(
            f"the setting {name} of {cell.label or cell.function} is a {type(value).__name__}; cells are sent as strings and "
            "numbers: give a name or a number, and let the function make the rest of it"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise CellError(f"the setting {name} of {cell.label or cell.function} is {value}, which JSON lacks; give it as a text")

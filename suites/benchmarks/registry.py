"""All implementations that there are: of the reference, of BackPACK, of the notebooks, of peers, and of subjects."""

import importlib
import importlib.util
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import get_args

from fishergauge.suites.benchmarks import of_backpack, of_notebooks, of_reference, of_subject
from fishergauge.suites.benchmarks.implementation import Implementation, Kind
from fishergauge.suites.subject import Subject

KINDS: tuple[Kind, ...] = get_args(Kind)
PEERS = {
    "torch": "of_torch_func",
    "curvlinops": "of_curvlinops",
    "nngeometry": "of_nngeometry",
    "asdl": "of_asdl",
    "laplace": "of_laplace_torch",
}


def implementations(
    kinds: Sequence[Kind] = KINDS, subjects: Sequence[Subject] = (), globs: Sequence[str] = ()
) -> list[Implementation]:
    """The implementations of the kinds asked for, those that are not installed left out.

    Args:
        kinds: out of :data:`KINDS`.
        subjects: of users.
        globs: patterns of which one must fit the name (``"fishergauge*"``), the task (``"ggn/*"``) or the quantity
            (``"ggn"``); everything without any.

    Returns:
        A list in a fixed order, each name once a task.

    Raises:
        ValueError: there is no such kind, or two implementations of a task have one name.

    Example:
        >>> {each.name for each in implementations(["reference"], globs=["kfac/product"])}
        {'fishergauge'}
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"no such kind: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    found: list[Implementation] = []
    if "reference" in kinds:
        found += of_reference.implementations()
    if "backpack" in kinds:
        found += of_backpack.implementations()
    if "notebook" in kinds:
        found += of_notebooks.implementations()
    if "peer" in kinds:
        found += _peers()
    if "subject" in kinds:
        for subject in subjects:
            found += of_subject.implementations(subject)
    chosen = [each for each in found if not globs or any(_fits(each, glob) for glob in globs)]
    _each_once(chosen)
    return chosen


def _peers() -> list[Implementation]:
    """Those of the peers that are installed; a peer's module is imported only then."""
    found: list[Implementation] = []
    for module, file in PEERS.items():
        if importlib.util.find_spec(module) is not None:
            found += importlib.import_module(f"fishergauge.suites.benchmarks.{file}").implementations()
    return found


def _fits(implementation: Implementation, glob: str) -> bool:
    texts = (implementation.name, str(implementation.task), implementation.task.quantity)
    return any(fnmatchcase(text, glob) for text in texts)


def _each_once(found: list[Implementation]) -> None:
    seen: set[tuple[str, str]] = set()
    for each in found:
        key = (each.name, str(each.task))
        if key in seen:
            raise ValueError(f"two implementations of {each.task} are called {each.name}; rename one of them")
        seen.add(key)

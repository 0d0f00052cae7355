"""The figures of the experiments: what each shows, and which of them the page has room for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fishergauge.reports.page.inline_svg import FigureError, inline_svg
from fishergauge.reports.page.paper_captions import CAPTIONS
from fishergauge.reports.page.part import Figure, Gap
from fishergauge.reports.targets import PAPER, TARGETS
from fishergauge.suites.wording import plural, some

BUDGET = 220_000
"""Bytes of all figures of this part together; what is beyond is linked."""

TIMED = ("jacobian", "efficiency", "training")
"""Experiments that measure times."""

ORDER = ("e1", "e2", "e3", "e4", "vector-field", "posterior", "nonlinear", "convergence")
"""Experiments whose figures come first when there is not room for all; the others follow as they are run."""


@dataclass(frozen=True)
class Drawn:
    """Figures of the experiments.

    Args:
        shown: on the page.
        linked: title and path of those that are not.
        gaps: what is missing.
    """

    shown: tuple[Figure, ...]
    linked: tuple[dict[str, str], ...]
    gaps: tuple[Gap, ...]


def experiment_figures(out: Path, run: Sequence[tuple[str, str]], command: str, budget: int = BUDGET) -> Drawn:
    """The figures of the experiments that were run, as far as there is room.

    Args:
        out: folder of the results.
        run: experiment and, for those of the paper, data set.
        command: that draws them.
        budget: bytes of all together, as the page holds them.

    Returns:
        The figures in the order in which the experiments are run.
    """
    first = _first(run)
    wanted = [(name, data) for name in TARGETS for experiment, data in run if experiment == name]
    wanted.sort(key=lambda key: (list(TARGETS).index(key[0]), key[1] != first))
    rank = {key: (*_rank(key, first), place) for place, key in enumerate(wanted)}
    shown, linked, absent, broken, left = [], [], [], [], budget
    for name, data in sorted(wanted, key=lambda key: rank[key]):
        figure = _figure(name, data)
        try:
            size = len(inline_svg((out / figure.path).read_text(encoding="utf-8"), figure.name).encode())
        except OSError:
            absent.append(figure.path)
            continue
        except (FigureError, UnicodeError) as error:
            broken.append(Gap(f"the figure {figure.path}", f"It cannot be shown: {error}.", command))
            continue
        if size > left:
            linked.append({"title": figure.title, "path": figure.path})
            continue
        left -= size
        shown.append(((name, data), figure))
    shown.sort(key=lambda one: wanted.index(one[0]))
    return Drawn(tuple(figure for _, figure in shown), tuple(linked), (*_absent(absent, command), *broken))


def _first(run: Sequence[tuple[str, str]]) -> str:
    """The data set of the paper's experiments that is shown before others: the synthetic one if it is there."""
    data = [found for name, found in run if name in PAPER]
    return "synthetic" if "synthetic" in data else data[0] if data else ""


def _rank(key: tuple[str, str], first: str) -> tuple[int, int]:
    name, data = key
    known = ORDER.index(name) if name in ORDER else len(ORDER)
    if name in PAPER and data != first:
        return 1, known
    return (0 if known < ORDER.index("nonlinear") else 2), known


def _figure(name: str, data: str) -> Figure:
    title = TARGETS[name][0].upper() + TARGETS[name][1:]
    if name in PAPER:
        path, title = f"{data}/{name.upper()}_figure.svg", f"{name.upper()} on {data}: {TARGETS[name]}"
        return Figure(f"paper-{name}-{data}", title, CAPTIONS[name], path)
    path = f"{name}/{name.replace('-', '_')}_figure.svg"
    return Figure(f"paper-{name}", title, CAPTIONS[name], path, timed=name in TIMED)


def _absent(absent: Sequence[str], command: str) -> list[Gap]:
    """One gap for all: older runs wrote PNG and PDF alone."""
    if not absent:
        return []
    why = f"Not there as SVG: {some(absent, 4)}. Earlier versions drew them as PNG and PDF alone."
    return [Gap(plural(len(absent), "figure"), why, command)]

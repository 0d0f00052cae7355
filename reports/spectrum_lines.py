"""The right part of the spectrum's figure: deviation against the condition number, a row a family and a column a precision."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from fishergauge.reference import FAMILIES
from fishergauge.reports.extras import require
from fishergauge.suites.spectrum.row import Row

METHODS: Mapping[str, tuple[str, str, str]] = {  # Okabe and Ito's colours; markers tell them apart in print
    "exact-fisher": ("exact Fisher", "#0072B2", "o"),
    "kfac-joint": ("K-FAC", "#E69F00", "s"),
    "ekfac-joint": ("EKFAC", "#56B4E9", "P"),
    "fisher-diagonal": ("diagonal", "#CC79A7", "v"),
    "empirical-fisher": ("empirical Fisher", "#009E73", "^"),
    "gradient": ("plain gradient", "#000000", "D"),
}
MODELS = ("softmax", "softmax-reduced", "mlp")
FIRST, SECOND = ("scaling",), ("kronecker", "inputs-linear", "pre-activations")
CROSS: Mapping[str, Any] = {"marker": "x", "markersize": 2.6, "markeredgewidth": 0.6}
CONTRADICTED: Mapping[str, Any] = {
    "marker": "X",
    "markersize": 6.5,
    "markerfacecolor": "#D50000",
    "markeredgecolor": "white",
    "markeredgewidth": 0.5,
}
FLOORS: Mapping[str, float] = {"float64": 1e-17, "float32": 1e-9}
CEILING = 1e3  # of the axes; what is larger leaves them


def line_model(rows: Sequence[Row]) -> str:
    """The model of the lines: softmax regression if it is there."""
    models = list(dict.fromkeys(row.model for row in rows))
    return next((name for name in MODELS if name in models), models[0])


def line_families(rows: Sequence[Row]) -> list[str]:
    """Up to two families with a condition number, the paper's first."""
    there = list(dict.fromkeys(row.family for row in rows if FAMILIES[row.family].conditioned))
    found = [next((name for name in names if name in there), None) for names in (FIRST, SECOND)]
    chosen = [name for name in found if name is not None]
    return [*chosen, *(name for name in there if name not in chosen)][:2]


def draw_lines(figure: Any, rows: Sequence[Row], area: tuple[float, float, float, float]) -> None:
    """Draw the panels and their legend.

    Args:
        figure: of matplotlib.
        rows: of a spectrum.
        area: left, bottom, width and height of the panels, in parts of the figure.
    """
    model = line_model(rows)
    own = [row for row in rows if row.model == model and row.measure == "outputs" and row.measured is not None]
    own = [row for row in own if row.data == own[0].data and row.kappa > 1]
    families, dtypes = line_families(own), [name for name in ("float64", "float32") if any(row.dtype == name for row in own)]
    if not families:
        return
    left, bottom, width, height = area
    gap = 0.012
    wide, high = (width - gap * (len(dtypes) - 1)) / len(dtypes), (height - 0.055 * (len(families) - 1)) / len(families)
    largest, floor = max(row.kappa for row in own), FLOORS[dtypes[0]]
    for i, family in enumerate(families):
        for j, dtype in enumerate(dtypes):
            place = (left + j * (wide + gap), bottom + height - high - i * (high + 0.055), wide, high)
            axes = figure.add_axes(place)
            _panel(axes, [row for row in own if (row.family, row.dtype) == (family, dtype)], largest, floor)
            axes.set_title(f"({'bcde'[i * len(dtypes) + j]}) {family}, {dtype}", loc="left", pad=3)
            axes.tick_params(labelleft=j == 0, labelbottom=i == len(families) - 1)
    figure.text(
        left + width / 2,
        bottom - 0.045,
        f"condition number $\\kappa$ of the map\n({model}, {own[0].data})",
        ha="center",
        va="top",
    )
    figure.text(left - 0.055, bottom + height / 2, "relative deviation of the outputs", va="center", ha="right", rotation=90)
    _legend(figure, [row for row in own if row.family in families and row.approximation in METHODS], (1.0, 0.0))


def _panel(axes: Any, rows: Sequence[Row], largest: float, floor: float) -> None:
    for method, (_, colour, marker) in METHODS.items():
        line = sorted((row for row in rows if row.approximation == method), key=lambda row: row.kappa)
        if not line:
            continue
        _curve(axes, line, (colour, marker), floor)
        bounds = [row for row in line if row.predicted == "invariant" and row.verdict != "not-claimed"]
        heights = [_inside(row.bound, floor) for row in bounds]
        axes.plot([row.kappa for row in bounds], heights, color=colour, linewidth=0.7, linestyle=(0, (4, 2)), zorder=2)
        if method == "exact-fisher":
            cuts = [_inside(row.cut if row.cut is not None else row.measured, floor) for row in line]
            kappas = [row.kappa for row in line]
            axes.plot(kappas, cuts, color=colour, linewidth=1.1, linestyle=(0, (1, 1.2)), zorder=3)
    ticks = [10.0**k for k in range(2, math.ceil(math.log10(largest)) + 1, 4)]
    axes.set(xscale="log", yscale="log", xlim=(3, 3 * largest), ylim=(floor, CEILING))
    axes.set_xticks(ticks)
    axes.set_yticks([height for height in (1e-16, 1e-12, 1e-8, 1e-4, 1) if height > floor])
    axes.minorticks_off()
    axes.grid(True, which="major", linewidth=0.3, color="#cccccc")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2, pad=2)


def _curve(axes: Any, line: Sequence[Row], look: tuple[str, str], floor: float) -> None:
    """Deviations along the condition number: thin with crosses where nothing is decidable, red where contradicted."""
    colour, marker = look
    places = [(row.kappa, _inside(row.measured, floor)) for row in line]
    for (one, other), row in zip(pairwise(places), line[1:], strict=True):
        width = 0.35 if row.verdict == "not-claimed" else 0.9
        axes.plot(*zip(one, other, strict=True), color=colour, linewidth=width, zorder=3)
    marks = {
        "holds": {"marker": marker, "markersize": 2.8, "markeredgewidth": 0.6, "color": colour, "zorder": 4},
        "not-claimed": {**CROSS, "color": colour, "zorder": 4},
        "red": {**CONTRADICTED, "zorder": 6},
    }
    for kind, style in marks.items():
        chosen = [place for place, row in zip(places, line, strict=True) if kind == ("red" if row.red else row.verdict)]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), linestyle="none", **style)


def _inside(value: float | None, floor: float) -> float:
    """A deviation that a logarithm can show: zeros at the lower edge."""
    return max(value, floor) if value is not None and math.isfinite(value) else math.nan


def _legend(figure: Any, rows: Sequence[Row], place: tuple[float, float]) -> None:
    line = require("matplotlib.lines").Line2D
    there = {row.approximation for row in rows}
    shown = [style for name, style in METHODS.items() if name in there]
    handles = [
        line([], [], color=colour, marker=marker, markersize=2.8, linewidth=0.9, label=label) for label, colour, marker in shown
    ]
    grey = "#555555"
    handles.append(line([], [], color=grey, linewidth=0.7, linestyle=(0, (4, 2)), label="rounding bound"))
    if any(row.cut is not None for row in rows):
        handles.append(
            line([], [], color=METHODS["exact-fisher"][1], linewidth=1.1, linestyle=(0, (1, 1.2)), label="cut-off $10^{-8}$")
        )
    if any(row.verdict == "not-claimed" for row in rows):
        handles.append(line([], [], linestyle="none", color=grey, label="not decidable", **CROSS))
    if any(row.red for row in rows):
        handles.append(line([], [], linestyle="none", label="contradicted", **CONTRADICTED))
    options = {
        "frameon": False,
        "handlelength": 1.8,
        "columnspacing": 0.9,
        "fontsize": 6.5,
        "labelspacing": 0.25,
        "handletextpad": 0.5,
    }
    figure.legend(handles=handles, loc="lower right", bbox_to_anchor=place, ncols=3, borderaxespad=0.2, **options)

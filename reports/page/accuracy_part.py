"""Accuracy against cost: what each approximation costs, how near it is, and which are worth it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fishergauge.reports.page.difference_data import integer, mappings, real, text
from fishergauge.reports.page.json_artefact import mapping, read_json
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.part import Figure, Gap, Part
from fishergauge.suites.wording import plural

NAME, TITLE = "accuracy", "Accuracy against cost"
COMMAND = "fishergauge accuracy"
RUN = "accuracy/accuracy.json"
FIGURE = "accuracy/accuracy.svg"
FILES = ("accuracy/accuracy.csv", RUN, "accuracy/accuracy.md", "accuracy/accuracy.png", FIGURE)
MOST_REDS = 20
COUNTS = ("flops", "stored", "step_flops", "forward_passes", "backward_passes")
NUMBERS = ("distance", "own_distance", "step_error", "step_angle")
TEXTS = ("approximation", "label", "kind", "target", "outcome", "reason", "step_reason", "dominated_by", "step_dominated_by")
OUTCOMES = ("measured", "refused", "error")
CAPTION = (
    "A panel a problem. To the left is cheap, at the bottom is near: filled markers are on the front, on which none is both as "
    "near and as cheap; hollow ones are dominated by one of them. Those on the dotted line have no error but rounding."
)


def collect(out: Path) -> Part:
    """Collect what ``fishergauge accuracy`` has left.

    Args:
        out: folder of the results.

    Returns:
        The part. What failed with an error is red.
    """
    content, gap = read_json(out, RUN, "accuracy against cost", COMMAND)
    rows = [_row(row) for row in mappings(content, "rows")]
    rows = [row for row in rows if row["approximation"] and row["problem"]]
    files = tuple(name for name in FILES if (out / name).is_file())
    if not rows:
        gap = gap or Gap("accuracy against cost", f"{RUN} holds no measurements. Run the command again.", COMMAND)
        return Part(NAME, TITLE, "", gaps=(gap,), files=files)
    problems = _problems(content, rows)
    plan = mapping(content.get("plan"))
    data = {
        "command": neutral_command(text(mapping(content.get("provenance")), "command"), "out/accuracy"),
        "quick": bool(plan.get("quick")),
        "damping": real(plan, "damping"),
        "problems": problems,
    }
    red = [row for row in rows if row["outcome"] == "error"]
    drawn = (out / FIGURE).is_file()
    missing = Gap("the figure of cost and distance", f"{FIGURE} is not there.", COMMAND)
    return Part(
        NAME,
        TITLE,
        _summary(problems),
        data,
        figures=(Figure("accuracy", "What each approximation costs, and how near it is", CAPTION, FIGURE),) if drawn else (),
        gaps=() if drawn else (missing,),
        files=files,
        red=len(red),
        reds=tuple(f"{row['approximation']} on {row['problem']}: {row['reason']}" for row in red[:MOST_REDS]),
    )


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the measurement; what is not as expected is left empty."""
    from fishergauge.reports.accuracy_approximations import KINDS
    from fishergauge.reports.bench_tables import scaled

    found: dict[str, Any] = {"problem": text(row, "problem"), **{name: text(row, name) for name in TEXTS}}
    found |= {name: None if real(row, name) is None else integer(row, name) for name in COUNTS}
    found |= {name: real(row, name) for name in NUMBERS}
    found |= {name: row.get(name) if isinstance(row.get(name), bool) else None for name in ("exact", "front", "step_front")}
    found["outcome"] = found["outcome"] if found["outcome"] in OUTCOMES else "error"
    found["label"] = found["label"] or found["approximation"]
    found["family"] = KINDS.get(found["kind"], found["kind"])
    found |= {f"{name}_text": scaled(found[name]) for name in ("flops", "step_flops")}
    found["timed_seconds"] = real(row, "timed_seconds")
    return found


def _problems(content: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The problems with their rows, the cheapest first, and the sentence that was made of them."""
    known = {text(one, "name"): one for one in mappings(content, "problems")}
    problems = []
    for name in dict.fromkeys(row["problem"] for row in rows):
        about, own = known.get(name, {}), [row for row in rows if row["problem"] == name]
        labels = {"zero-matrix": "the zero matrix", **{row["approximation"]: row["label"] for row in own}}
        for row in own:
            row["better"] = labels.get(row["dominated_by"], row["dominated_by"])
        own.sort(key=lambda row: (row["flops"] is None, row["flops"] or 0, 0.0 if row["exact"] else row["distance"] or 0.0))
        problems.append(
            {
                "name": name,
                **{key: text(about, key) for key in ("statement", "why", "result")},
                **{key: integer(about, key) for key in ("parameters", "samples")},
                "measured": sum(row["outcome"] == "measured" for row in own),
                "front": sum(row["front"] is True and row["outcome"] == "measured" for row in own),
                "rows": [row for row in own if row["outcome"] == "measured"],
                "not_measured": [row for row in own if row["outcome"] != "measured"],
                "reasons": _reasons(own),
            }
        )
    return problems


def _reasons(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was refused and what failed, those with the same reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["outcome"] != "measured":
            groups.setdefault((row["outcome"], row["reason"]), []).append(row["label"])
    return [{"outcome": outcome, "reason": reason, "labels": labels} for (outcome, reason), labels in groups.items()]


def _summary(problems: list[dict[str, Any]]) -> str:
    """How much there is, who is on the front everywhere, and what became of subjects."""
    measured, front = (sum(one[key] for one in problems) for key in ("measured", "front"))
    said = (
        f"{plural(len(problems), 'problem')}, {plural(measured, 'measurement')}: {front} are on the front, on which no other "
        "approximation is both as near to the exact Fisher and as cheap to build; each of the rest is dominated by one that is."
    )
    own = [row for one in problems for row in one["rows"] if row["kind"] == "subject"]
    for name in dict.fromkeys(row["approximation"] for row in own):
        rows = [row for row in own if row["approximation"] == name]
        said += f" {name} is on the front of {sum(row['front'] is True for row in rows)} of {plural(len(rows), 'problem')}."
    return said

"""The paper's claims, and those of two other sources: by both protocols side by side, with verdict and reason."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.ledger import CONDITIONAL, COURSE, GGN_EXPERIMENTS, PAPER, VERDICTS
from fishergauge.reports.page.json_artefact import listed, mapping, read_json
from fishergauge.reports.page.neutral_command import neutral_command
from fishergauge.reports.page.paper_figures import TIMED, experiment_figures
from fishergauge.reports.page.part import Gap, Part, missing
from fishergauge.reports.targets import PAPER as OF_PAPER
from fishergauge.reports.targets import TARGETS

NAME, TITLE, COMMAND = "claims.json", "The paper's claims", "fishergauge reproduce all"
FILES = (NAME, "claims.md", "claims.csv", "provenance.json")
CONDITION, QUICK = "confirmed only if", "A quick run"
CLASSES = ("confirmed", CONDITION, "refuted", "not testable as published")
SOURCES = (
    ("paper", "The paper", PAPER),
    ("ggn", "GGNExperiments", GGN_EXPERIMENTS),
    ("course", "The course", COURSE),
    ("other", "Other sources", ""),
)
"""A short name, a heading, and how the source of a claim begins."""
WORDS = ("statement", "published", "reason")
MEASURED = ("as_published", "as_it_should_be")


def collect(out: Path) -> Part:
    """Collect the ledger of claims and the figures of the experiments, as ``fishergauge reproduce`` has written them.

    Args:
        out: folder of the results.

    Returns:
        The part. Nothing of it is red: a refuted claim is a result.
    """
    content, gap = read_json(out, NAME, "the ledger of claims", COMMAND)
    if gap:
        return missing("paper", TITLE, gap.what, gap.why, gap.command)
    claims = [claim for claim in map(_claim, listed(content.get("claims"))) if claim]
    if not claims:
        return missing("paper", TITLE, "the ledger of claims", f"{NAME} holds no claim.", COMMAND)
    groups = [group for source in SOURCES if (group := _group(source, claims))]
    run = list(dict.fromkeys((claim["experiment"], claim["data"]) for claim in claims if claim["experiment"] in OF_PAPER))
    run += [(name, "") for name in TARGETS if name not in OF_PAPER and any(claim["experiment"] == name for claim in claims)]
    remarks = [str(remark) for remark in listed(content.get("remarks"))]
    command = f"{COMMAND} --quick" if any(remark.startswith(QUICK) for remark in remarks) else COMMAND
    drawn = experiment_figures(out, run, command)
    counts = Counter(claim["verdict"] for claim in claims)
    data: dict[str, Any] = {
        "remarks": remarks,
        "counts": {name: counts[name] for name in CLASSES if counts[name]},
        "groups": groups,
        "linked": list(drawn.linked),
        **_origin(out),
    }
    return Part(
        "paper",
        TITLE,
        _summary(data, claims),
        data,
        figures=drawn.shown,
        gaps=(*_gaps(content, claims, command), *drawn.gaps),
        files=tuple(name for name in FILES if (out / name).is_file()),
    )


def _claim(entry: Any) -> dict[str, Any] | None:
    """A claim as the page shows it; None for what is none."""
    found = mapping(entry)
    verdict, condition = _verdict(str(found.get("verdict", "")))
    if not found.get("id") or not verdict:
        return None
    experiment, data = str(found.get("experiment", "")), str(found.get("data", ""))
    timed = "timed_" if experiment in TIMED else ""
    claim = {"id": str(found["id"]), "experiment": experiment, "data": data, "verdict": verdict, "condition": condition}
    claim |= {"source": str(found.get("source", ""))} | {name: str(found.get(name, "")) for name in WORDS}
    return claim | {f"{timed}{name}": str(found.get(name, "")) for name in MEASURED}


def _verdict(text: str) -> tuple[str, str]:
    """The class of a verdict, and its condition; empty for what is no verdict."""
    if text in VERDICTS:
        return text, ""
    if text.startswith(CONDITIONAL):
        return CONDITION, text.removeprefix(CONDITIONAL)
    return "", ""


def _group(source: tuple[str, str, str], claims: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The claims of a source, by experiment in the order in which they are run; None if there are none."""
    short, title, begin = source
    own = [claim for claim in claims if _source_of(claim["source"]) == short]
    if not own:
        return None
    names = [*TARGETS, *dict.fromkeys(claim["experiment"] for claim in own if claim["experiment"] not in TARGETS)]
    own.sort(
        key=lambda claim: (names.index(claim["experiment"]), _number(claim["id"]), claim["data"] != "synthetic", claim["data"])
    )
    counted = Counter(claim["experiment"] for claim in own)
    verdicts = Counter(claim["verdict"] for claim in own)
    return {
        "name": short,
        "title": title,
        "source": begin,
        "counts": {name: verdicts[name] for name in CLASSES if verdicts[name]},
        "experiments": [
            {"name": name, "title": TARGETS.get(name, ""), "claims": counted[name]} for name in names if counted[name]
        ],
        "claims": [{**claim, "source": claim["source"].removeprefix(begin).lstrip(" ,;")} for claim in own],
    }


def _source_of(text: str) -> str:
    return next(short for short, _, begin in SOURCES if text.startswith(begin))


def _number(identifier: str) -> int:
    found = re.search(r"\.(\d+)$", identifier)
    return int(found[1]) if found else 0


def _origin(out: Path) -> dict[str, Any]:
    """The command that wrote the ledger, and when."""
    content, _ = read_json(out, "provenance.json", "", COMMAND)
    entry = mapping(mapping(content.get("artefacts")).get(NAME))
    found = {"command": neutral_command(str(entry["command"]))} if entry.get("command") else {}
    return found | ({"timed_date": str(entry["date"])[:10]} if entry.get("date") else {})


def _gaps(content: Mapping[str, Any], claims: Sequence[Mapping[str, Any]], command: str) -> list[Gap]:
    """Entries that cannot be read, experiments that were not run, and parts of a run that failed."""
    gaps = []
    unread = len(listed(content.get("claims"))) - len(claims)
    if unread:
        why = f"{NAME} holds {unread} that this version cannot read: damaged, or with verdicts that it does not know."
        gaps.append(Gap("some claims", why, command))
    there = {claim["experiment"] for claim in claims}
    absent = [name for name in TARGETS if name not in there]
    if absent:
        why = "These experiments are not in the ledger: it holds what the last run was asked for."
        gaps.append(Gap("claims of " + ", ".join(absent), why, command))
    gaps += [
        Gap("parts of the run", str(remark), command)
        for remark in listed(content.get("remarks"))
        if str(remark).startswith("Incomplete")
    ]
    return gaps


def _summary(data: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]) -> str:
    counted = [f"{count} {name}{' ...' if name == CONDITION else ''}" for name, count in data["counts"].items()]
    sources = [group["title"][0].lower() + group["title"][1:] for group in data["groups"] if group["name"] != "ggn"]
    sources += ["GGNExperiments"] if len(sources) < len(data["groups"]) else []
    experiments = len({claim["experiment"] for claim in claims})
    return (
        f"{len(claims)} claims of {_and(sources)}, tested in {experiments} experiments: {', '.join(counted)}. "
        "Each was measured as it was published, and by a protocol that could have refuted it."
    )


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

"""Cells of the table of claims by subjects: the checks of one claim of one subject, counted, with the ones that matter."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from fishergauge.reports.page.matrix import RED, VERDICTS, worst

MOST_OTHERS = 3
TOLD = (*RED, "expected")
"""Verdicts whose further checks are told as well."""
_NAMED = ("subject", "claim", "measured_reason", "bound_reason", "slack_reason")
_DETAIL = ("problem", "dtype", "verdict", "measured", "bound", "slack", "formula", "reason", "witness", "nearest", "again")
_LISTED = ("notes",)
Check = Mapping[str, Any]


def cells_of(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The cells of some checks, in the order in which subjects and claims occur.

    Args:
        checks: records as dictionaries, with the numbers as JSON allows them.

    Returns:
        As the part shows them.

    Example:
        >>> cells_of([{"subject": "mine", "claim": "T4", "problem": "mlp", "verdict": "holds", "measured": 0.0}])[0]["counts"]
        {'holds': 1}
    """
    groups: dict[tuple[str, str], list[Check]] = defaultdict(list)
    for check in checks:
        groups[check["subject"], check["claim"]].append(check)
    return [_cell(*key, own) for key, own in groups.items()]


def vacuous_cell(subject: str, claim: str, why: str, cell: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The cell of a claim that no problem examined.

    Args:
        subject: name of the subject.
        claim: id of the claim.
        why: nothing was examined.
        cell: of its checks, if there were any: they were refused.
    """
    counts = dict(cell["counts"]) if cell else {}
    told = {"problem": "", "verdict": "vacuous", "reason": why}
    return {
        "subject": subject,
        "claim": claim,
        "verdict": "vacuous",
        "counts": counts,
        "checks": sum(counts.values()),
        "worst": told,
    }


def ordered_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Numbers of checks by verdict, the worst first; unknown verdicts last."""
    known = {verdict: counts[verdict] for verdict in VERDICTS if counts.get(verdict)}
    return known | {verdict: counts[verdict] for verdict in sorted(counts) if verdict not in VERDICTS and counts[verdict]}


def urgency(check: Check) -> tuple[int, float]:
    """A key by which the check comes first that a person should see first: by verdict, then by slack."""
    verdict, slack = check["verdict"], check.get("slack")
    place = VERDICTS.index(verdict) if verdict in VERDICTS else len(VERDICTS)
    if isinstance(slack, int | float):
        return place, -float(slack)
    return place, 0.0 if check.get("slack_reason") is None else -inf


def detail(check: Check) -> dict[str, Any]:
    """What is shown of a check: its fields without empty ones, without those that the cell has.

    Args:
        check: a record as a dictionary.
    """
    kept = {name: check[name] for name in _DETAIL if check.get(name) not in (None, "")}
    if kept.get("dtype") == "float64":
        del kept["dtype"]
    for name in ("measured", "bound", "slack"):
        if reason := check.get(f"{name}_reason"):
            kept |= {name: None, f"{name}_reason": reason}
    kept |= {name: check[name] for name in ("finding",) if check.get(name)}
    return kept | {name: list(check[name]) for name in _LISTED if check.get(name)}


def _cell(subject: str, claim: str, checks: Sequence[Check]) -> dict[str, Any]:
    ordered = sorted(checks, key=urgency)
    counts = ordered_counts(Counter(check["verdict"] for check in checks))
    cell = {"subject": subject, "claim": claim, "verdict": worst(counts), "counts": counts, "checks": len(checks)}
    cell["worst"] = detail(ordered[0])
    further = [check for check in ordered[1:] if check["verdict"] in TOLD]
    if further:
        cell["others"] = [detail(check) for check in further[:MOST_OTHERS]]
    if len(further) > MOST_OTHERS:
        cell["more"] = len(further) - MOST_OTHERS
    refused = Counter(check.get("reason") or "" for check in checks if check["verdict"] == "unsupported")
    if refused and cell["verdict"] != "unsupported":
        cell["refused"] = min(refused, key=lambda reason: (-refused[reason], reason))
    return cell

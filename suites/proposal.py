"""The current failures as a proposal of expected ones, with reasons that are still to be given."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from fishergauge.suites.atomic import write_atomically
from fishergauge.suites.expectation import Expectation, ExpectationError, of_file, parse
from fishergauge.suites.expectations import EXECUTED, Pair, catalogue
from fishergauge.suites.record import Record
from fishergauge.suites.subject import Subject


def propose(records: Iterable[Record], subject: Subject | str, left_out: Collection[Pair] = ()) -> str:
    r"""The violated checks of a subject as entries of ``fishergauge.toml`` with empty reasons.

    A claim that is violated on every problem on which it was executed (two at least) becomes one entry with the problem
    ``*``; otherwise each problem gets an entry of its own. Empty reasons count as errors until they are filled.

    Args:
        records: of a run.
        subject: whose failures, itself or its name.
        left_out: claims and problems that the run left out by its selection; nothing is claimed of them.

    Returns:
        TOML, empty if nothing is violated.

    Example:
        >>> print(propose([Record("mine", "T4", "mlp", verdict="violated", measured=0.5, bound=1e-13)], "mine"), end="")
        # measured 0.5, bound 1e-13
        [[expected]]
        subject = "mine"
        claim = "T4"
        problem = "mlp"
        reason = ""
    """
    return _proposal(list(records), subject if isinstance(subject, str) else subject.name, left_out, (), {})


def accept(
    records: Iterable[Record], path: Path, left_out: Collection[Pair] = (), names: Mapping[str, str] | None = None
) -> str:
    """Append the violated checks to a ``fishergauge.toml``; what stands there is left as it is, comments included.

    A check that an entry matches already is not written a second time, whatever the entry's reason or date.

    Args:
        records: of a run, of one or several subjects.
        path: the file, made if it does not exist.
        left_out: as in :func:`propose`.
        names: names of claims by id, which existing entries may use; those of the catalogue by default.

    Returns:
        What was appended, empty if nothing was.

    Raises:
        ExpectationError: the file is wrong as it stands, takes no further entries, or cannot be written.
    """
    found = list(records)
    existing = of_file(path) if path.exists() else ()
    known = (catalogue() if existing else {}) if names is None else names
    subjects = dict.fromkeys(record.subject for record in found)
    texts = [text for subject in subjects if (text := _proposal(found, subject, left_out, existing, known))]
    if not texts:
        return ""
    addition = "\n".join(texts)
    before = path.read_bytes().decode("utf-8") if path.exists() else ""
    gap = "" if not before.strip() else "\n" if before.endswith("\n") else "\n\n"
    newline = "\r\n" if "\r\n" in before else "\n"
    after = before + (gap + addition).replace("\n", newline)
    try:
        parse(after, str(path))
    except ExpectationError as error:
        raise ExpectationError(
            f"{path}: takes no further entries ({error}); write the existing ones as tables [[expected]], then run this again"
        ) from None
    try:
        write_atomically(path, after)
    except OSError as error:
        raise ExpectationError(f"{path}: cannot be written: {error}") from None
    return addition


def _proposal(
    records: Sequence[Record],
    subject: str,
    left_out: Collection[Pair],
    existing: Sequence[Expectation],
    names: Mapping[str, str],
) -> str:
    own = [record for record in records if record.subject == subject and record.verdict in EXECUTED]

    def stands(record: Record) -> bool:
        alias = names.get(record.claim, "")
        return any(entry.concerns(subject) and entry.names(record.claim, alias, record.problem) for entry in existing)

    entries = []
    for claim in dict.fromkeys(record.claim for record in own):
        executed = [record for record in own if record.claim == claim]
        violated = [record for record in executed if record.verdict == "violated" and not stands(record)]
        problems = dict.fromkeys(record.problem for record in violated)
        everywhere = len(violated) == len(executed) and not any(claim == other for other, _ in left_out)
        if everywhere and len(problems) > 1:
            worst = max(violated, key=_slack)
            entries.append(_entry(worst, "*", f"{len(problems)} problems, worst on {worst.problem}: "))
        else:
            entries += [_entry(max((r for r in violated if r.problem == name), key=_slack), name) for name in problems]
    return "\n".join(entries)


def _slack(record: Record) -> float:
    """The share of the bound, with what is no number last."""
    return math.inf if record.slack is None or math.isnan(record.slack) else record.slack


def _entry(record: Record, problem: str, remark: str = "") -> str:
    measured = "nothing" if record.measured is None else f"{record.measured:.3g}"
    bound = "" if record.bound is None else f", bound {record.bound:.3g}"
    formula = f" = {record.formula}" if bound and record.formula else ""
    lines = [
        _comment(f"{remark}measured {measured}{bound}{formula}"),
        "[[expected]]",
        f"subject = {_quoted(record.subject)}",
        f"claim = {_quoted(record.claim)}",
        f"problem = {_quoted(problem)}",
        'reason = ""',
    ]
    return "".join(f"{line}\n" for line in lines)


def _comment(text: str) -> str:
    """One line of a comment, in which TOML allows no control characters."""
    return "# " + " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""The text of a run of probes: a table a problem, estimates with intervals, memory, and what cannot be seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fishergauge.suites.message import messages
from fishergauge.suites.probes.plan import as_claim
from fishergauge.suites.probes.probe import MISSED, Probe
from fishergauge.suites.probes.record import ProbeRecord
from fishergauge.suites.table import notes, summary
from fishergauge.suites.wording import number, paint, some, wrapped

MIB = 1 << 20


def probe_text(
    records: Sequence[ProbeRecord],
    probes: Mapping[str, Probe],
    seconds: float,
    vacuous: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
    color: bool = False,
    full: bool = False,
) -> str:
    """The text of a run.

    Args:
        records: of all probes, problem by problem.
        probes: by id.
        seconds: that the run took.
        vacuous: probes that no problem executed, and why.
        left_out: problems that could not be made, and why.
        color: whether to use ANSI colours.
        full: one message a red probe, instead of one a cause.
    """
    parts: list[str] = []
    for own in by_problem(records).values():
        parts += [table(own, color), estimates(own), memory(own)]
    parts += [blind_spots(records, probes), notes(records)]
    parts += messages(records, {id: as_claim(probe) for id, probe in probes.items()}, color=color, full=full)
    for ids, why in _together(vacuous or {}):
        parts.append("\n".join(wrapped(f"{paint('vacuous', 'vacuous', color)}   {ids}: {why}", rest="    ")))
    for name, why in (left_out or {}).items():
        parts.append("\n".join(wrapped(f"left out  {name}: {why}", rest="    ")))
    parts.append(probe_summary(records, seconds))
    return "\n\n".join(part for part in parts if part)


def probe_summary(records: Sequence[ProbeRecord], seconds: float) -> str:
    """One line with the number of probes by verdict.

    Args:
        records: of a run.
        seconds: that it took.

    Example:
        >>> probe_summary([ProbeRecord("mine", "probe-psd", "mlp-1e4", measured=0.0)], 8.21)
        '1 probe: 1 holds; 8.2 s'
    """
    return summary(records, seconds).replace("check", "probe")


def by_problem(records: Iterable[ProbeRecord]) -> dict[str, list[ProbeRecord]]:
    """The records of each problem, in order."""
    found: dict[str, list[ProbeRecord]] = {}
    for record in records:
        found.setdefault(record.problem, []).append(record)
    return found


def table(records: Sequence[ProbeRecord], color: bool = False) -> str:
    """A row a probe: verdict, measured, bound, power, products and seconds.

    Args:
        records: of one problem.
        color: whether to use ANSI colours.
    """
    first = records[0]
    size = max(record.num_parameters for record in records)
    known = f"P = {size:,}, " if size else ""  # its process may have ended before it knew
    lines = [f"{first.subject} on {first.problem} ({known}{first.dtype}, {first.device}, seed {first.seed})"]
    wide = max(len("probe"), *(len(record.claim) for record in records))
    verdicts = max(len("verdict"), *(len(record.verdict) for record in records))
    lines.append(f"{'probe':<{wide}}  {'verdict':<{verdicts}}  measured     bound     power  products  seconds")
    for record in records:
        verdict = paint(f"{record.verdict:<{verdicts}}", record.verdict, color)
        figures = "".join(f"{number(value):>10}" for value in (record.measured, record.bound, record.power))
        lines.append(f"{record.claim:<{wide}}  {verdict}{figures}{record.products:>10}{record.seconds:>9.2f}")
    return "\n".join(lines)


def estimates(records: Iterable[ProbeRecord]) -> str:
    """What probes estimate, with their intervals.

    Args:
        records: of one problem.
    """
    lines = [f"  {record.claim}: {number(record.estimate, 4)}{_interval(record)}" for record in records if _estimates(record)]
    return "\n".join(["estimates", *lines]) if lines else ""


def memory(records: Sequence[ProbeRecord]) -> str:
    """The most bytes that were held, and how many for each parameter.

    Args:
        records: of one problem.
    """
    counted = [record for record in records if record.peak_bytes is not None and record.factor is not None]
    if not counted:
        return ""
    highest = max(counted, key=lambda record: record.peak_bytes or 0)
    width = 4 if highest.dtype == "float32" else 8
    factor = highest.factor or 0.0
    return (
        f"memory: {(highest.peak_bytes or 0) / MIB:,.1f} MiB at most, in {highest.claim}: {factor:,.0f} bytes a parameter, "
        f"or {factor / width:,.1f} vectors of length P (the problem included)"
    )


def blind_spots(records: Iterable[ProbeRecord], probes: Mapping[str, Probe]) -> str:
    """What the executed probes cannot see, each said once, with the power that it was measured with.

    Args:
        records: of a run.
        probes: by id.
    """
    lines: list[str] = []
    for id, own in _executed(records).items():
        blind = probes[id].blind if id in probes else ""
        said = "; ".join(dict.fromkeys(record.seen for record in own if record.seen))
        powers = [record.power for record in own if record.power is not None]
        measured = "; ".join(part for part in (f"power {number(max(powers))}" if powers else "", said) if part)
        whole = blind + (f" [{measured}]" if measured else "")
        if whole:
            lines += wrapped(f"{id}: {whole}", first="  ", rest="    ")
    head = f"what these probes cannot see (power: the smallest relative defect seen with probability 1 - {number(MISSED)})"
    return "\n".join([head, *lines]) if lines else ""


def _executed(records: Iterable[ProbeRecord]) -> dict[str, list[ProbeRecord]]:
    found: dict[str, list[ProbeRecord]] = {}
    for record in records:
        if record.measured is not None:
            found.setdefault(record.claim, []).append(record)
    return found


def _together(vacuous: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is said of several probes alike, once: their ids and the text, with the id of the first."""
    groups: dict[str, list[str]] = {}
    for id, why in vacuous.items():
        groups.setdefault(why.replace(id, "#"), []).append(id)
    for why, ids in groups.items():
        yield some(ids, 3), why.replace("#", ids[0])


def _estimates(record: ProbeRecord) -> bool:
    return record.estimate is not None


def _interval(record: ProbeRecord) -> str:
    if record.interval is None:
        return ""
    return f" ({number(record.interval[0], 4)} to {number(record.interval[1], 4)})"


def listing(probes: Mapping[str, Probe]) -> Iterator[str]:
    """What there is to say of each probe, line by line.

    Args:
        probes: by id.
    """
    for probe in probes.values():
        yield probe.id
        rows = {
            "statement": probe.statement,
            "stands for": ", ".join(probe.of),
            "source": probe.source,
            "bound": probe.bound,
            "blind": probe.blind,
            "must fail": probe.control,
        }
        for label, text in rows.items():
            if text:
                yield from wrapped(text, first=f"  {label:<12}", rest=" " * 14)

"""Environment: with which commands, versions, devices and seeds the parts of the report were measured."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fishergauge.reports.page.environment_artefacts import artefact_gaps
from fishergauge.reports.page.environment_runs import PROVENANCE, Run, read_runs
from fishergauge.reports.page.environment_versions import disagreements, others_installed, version_rows
from fishergauge.reports.page.json_artefact import read_json
from fishergauge.reports.page.part import Gap, Part
from fishergauge.suites.wording import plural


def collect(out: Path) -> Part:
    """Collect how the artefacts were made, and by what this page is made.

    Args:
        out: folder of the results.

    Returns:
        The part. Nothing in it is red: what was measured with different versions is said, not judged.
    """
    from fishergauge.reports.page.collecting import ORDER, TITLES

    runs, gaps = read_runs(out)
    runs.sort(key=lambda run: ORDER.index(run.part) if run.part in ORDER else len(ORDER))
    if not runs:
        gaps.append(Gap("how results were made", "No run has left its versions and commands here.", "fishergauge report"))
    gaps += artefact_gaps(out, read_json(out, PROVENANCE, "", "", schema=None)[0])
    titles = _titles(runs, TITLES)
    rows = version_rows([run.versions for run in runs])
    installed = _installed(row["name"] for row in rows)
    for row in rows:
        row["installed"] = installed.get(row["name"], "")
    data: dict[str, Any] = {
        "here": _here(),
        "columns": titles,
        "versions": rows,
        "differences": disagreements(rows, titles),
        "page_differs": [row["name"] for row in rows if others_installed(row)],
        "runs": [_row(run, title) for run, title in zip(runs, titles, strict=True)],
        "seeds": list(_seeds(runs)),
    }
    files = (PROVENANCE,) if (out / PROVENANCE).is_file() else ()
    return Part("environment", TITLES["environment"], _summary(data), data, gaps=tuple(gaps), files=files)


def ranges(numbers: Sequence[int]) -> str:
    """Whole numbers in few characters.

    Args:
        numbers: in ascending order.

    Example:
        >>> ranges([0, 1, 2, 5]), ranges([42])
        ('0 to 2, 5', '42')
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    joints = {0: "{0}", 1: "{0}, {1}"}
    return ", ".join(joints.get(last - first, "{0} to {1}").format(first, last) for first, last in spans)


def _here() -> dict[str, Any]:
    """What makes this page."""
    import torch

    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {
        "system": f"{platform.system()} {platform.machine()}".strip(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": cuda or "CPU; no CUDA device is visible",
    }


def _installed(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of fishergauge's code and of packages; those that are not installed are left out."""
    from fishergauge.reports.provenance import versions
    from fishergauge.suites.versions import version_of

    found = {**{name: version_of(name) for name in packages}, **versions()}
    return {name: version for name, version in found.items() if version}


def _titles(runs: Sequence[Run], known: Mapping[str, str]) -> list[str]:
    """A title for each run, numbered where a part has several."""
    titles = [known.get(run.part, run.part or "other artefacts") for run in runs]
    return [
        f"{title} ({titles[: place + 1].count(title)})" if titles.count(title) > 1 else title
        for place, title in enumerate(titles)
    ]


def _row(run: Run, title: str) -> dict[str, Any]:
    row = {
        "title": title,
        "part": run.part,
        "command": run.command,
        "device": run.device,
        "threads": run.threads,
        "artefacts": list(run.artefacts),
    }
    return row | ({"timed_date": run.date} if run.date else {})


def _seeds(runs: Sequence[Run]) -> Iterator[dict[str, str]]:
    """The seeds of each experiment; those of several runs together."""
    found: dict[str, set[int]] = {}
    for run in runs:
        for experiment, numbers in run.seeds.items():
            found.setdefault(experiment, set()).update(numbers)
    for experiment, own in found.items():
        name, _, protocol = experiment.partition(" ")
        yield {"experiment": name, "protocol": protocol, "seeds": ranges(sorted(own))}


def _summary(data: Mapping[str, Any]) -> str:
    runs = data["runs"]
    if not runs:
        return "No run has left its versions here; this is what makes the page."
    artefacts = sum(len(run["artefacts"]) for run in runs)
    head = f"{plural(artefacts, 'artefact')} of {plural(len(runs), 'run')} say how they were made."
    if data["differences"]:
        names = [row["name"] for row in data["versions"] if row["differs"]]
        return f"{head} They were measured with different versions of {_names(names)}."
    if data["page_differs"]:
        others = _names(data["page_differs"])
        return f"{head} All were measured with the same versions; of {others} other ones are installed now."
    return f"{head} All were measured with the same code and the same versions, and these are installed."


def _names(packages: Sequence[str]) -> str:
    return ", ".join("fishergauge's code" if name == "code" else name for name in packages)

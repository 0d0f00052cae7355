"""``fishergauge report``: everything run or collected, and one page made of it."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.report_stages import OF_SUBJECTS, PARTS, PROBES, Asked, probes_now
from fishergauge.reports.run_options import SUBJECT_HELP, available_cores, natural, positive
from fishergauge.reports.usage import UsageError, answer, make_folder, nearest, patterns

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.reports.page.document import Document
    from fishergauge.reports.page.part import Part
    from fishergauge.reports.report_runs import StageRun

VACUOUS = 3
DESCRIPTION = """\
Run or collect everything, and write one page, index.html, that needs no other file and no network; beside it report.md,
report.json, badge.svg and the artefacts of the runs. Without subjects it is about the reference quantities, BackPACK and the
paper's experiments; with subjects it is about these."""
EPILOG = """\
exit code: 0 if nothing is red; 1 if something is, a run failed, or, with --compare, something got worse; 2 if the options are
wrong; 3 if nothing is red, but of a subject nothing could be examined, or there was nothing to collect.
Finished runs are kept in the folder: the same command goes on from them. What 'fishergauge probe', 'spectrum', 'bench' and
'peers' wrote there by themselves is shown as it is"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "report",
        help="run or collect everything, and make one page of it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what it is about")
    group.add_argument("--subject", nargs="+", action="extend", default=[], metavar="SUBJECT", help=SUBJECT_HELP)
    group.add_argument(
        "--problem-file", type=Path, action="append", default=[], metavar="FILE", help="a Python file with problems of your own"
    )
    group.add_argument(
        "--parts",
        metavar="LIST",
        help=f"only these, with commas: {', '.join(PARTS)} (default: all; with --subject {', '.join(OF_SUBJECTS)}; "
        "probes with --subject or --quick where 'fishergauge probe --out' left some)",
    )
    group.add_argument(
        "--quick", action="store_true", help="fewer seeds, problems and sizes: verdicts can differ from a full run's"
    )
    group.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="of the claims (default: float64)")
    group.add_argument("--device", default="cpu", help="cpu or cuda, for claims, experiments and benchmarks (default: cpu)")
    group.add_argument("--seed", type=natural, default=0, metavar="N", help="of data, parameters and draws (default: 0)")
    group.add_argument(
        "--compare", type=Path, metavar="OLD", help="an earlier report (its folder or report.json): what changed"
    )
    group.add_argument("--title", help="of the page")
    group = parser.add_argument_group("how")
    group.add_argument("--collect", action="store_true", help="run nothing; make the page of what the folder holds")
    group.add_argument("--fresh", action="store_true", help="run everything anew, also what is finished")
    group.add_argument("-j", "--jobs", type=positive, metavar="N", help="processes at the same time (default: one a core)")
    group.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="folder of the results (default: out)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.extras import MissingExtraError
    from fishergauge.reports.page.document import DocumentError
    from fishergauge.suites.subject import SubjectError

    return answer(lambda: _report(options), (DocumentError, MissingExtraError, SubjectError))


def _report(options: argparse.Namespace) -> int:
    from fishergauge.reports.extras import require
    from fishergauge.reports.page.document import read_document

    asked = asked_of(options)
    for module in ("jinja2", "latex2mathml.converter", "matplotlib"):
        require(module)
    old = read_document(options.compare) if options.compare is not None else None
    make_folder(options.out)
    runs = [] if options.collect else _runs(options, asked)
    document = document_of(options, asked, runs, old)
    if options.collect and not _shown(document):
        print(f"vacuous: {options.out} holds nothing to show; leave --collect out, and it is made")
    paths = _write(document, options.out)
    _say(document, paths)
    return exit_code(document, runs)


def asked_of(options: argparse.Namespace) -> Asked:
    """What the options ask for.

    Args:
        options: as parsed.

    Raises:
        UsageError: a part is unknown, options contradict each other, or a file is not there.
        SubjectError: a subject cannot be loaded.
    """
    parts = patterns(options.parts) if options.parts is not None else _usual(options)
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"--parts {part!r} is no part of a report{nearest(part, PARTS)} (there are {', '.join(PARTS)})")
    if not parts:
        raise UsageError(f"--parts is empty; leave it out, or choose from {', '.join(PARTS)}")
    if options.collect and options.fresh:
        raise UsageError("--collect runs nothing and --fresh runs everything; give one of them")
    for file in options.problem_file:
        if not file.is_file():
            raise UsageError(f"--problem-file {file}: there is no such file")
    if options.device.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"--device {options.device!r} is no device; use cpu or cuda")
    subjects = tuple(dict.fromkeys(options.subject))
    return Asked(
        tuple(part for part in PARTS if part in parts),
        subjects,
        tuple(options.problem_file),
        options.quick,
        options.dtype,
        options.device,
        options.seed,
        options.jobs or available_cores(),
    )


def _usual(options: argparse.Namespace) -> list[str]:
    """The parts where none are named: large models where they are probed now, or have been by a command of its own."""
    probed = probes_now(options.quick, options.subject) or (options.out / PROBES).exists()
    usual = OF_SUBJECTS if options.subject else PARTS
    return [part for part in PARTS if (probed if part == "probes" else part in usual)]


def _runs(options: argparse.Namespace, asked: Asked) -> "list[StageRun]":
    """Run what is not finished yet."""
    from fishergauge.reports.report_runs import run_stages
    from fishergauge.reports.report_stages import stages
    from fishergauge.suites.loading import load_subject

    names: dict[str, str] = {}
    for text in asked.subjects:  # before anything runs for minutes
        name = load_subject(text).name
        if name in names:
            raise UsageError(f"--subject {text} and {names[name]} have one name, {name!r}; give each subject a name of its own")
        names[name] = text
    at_once = 2 if asked.quick and asked.jobs > 1 else 1  # nothing is timed in a quick report
    shared = replace(asked, jobs=max(asked.jobs // at_once, 1))
    try:
        return run_stages(stages(shared), options.out, options.fresh, lambda line: print(line, flush=True), at_once)
    except KeyboardInterrupt:
        print(f"\nfinished runs are kept in {options.out}: the same command goes on; --collect shows them", file=sys.stderr)
        raise


def document_of(
    options: argparse.Namespace, asked: Asked, runs: "Sequence[StageRun]", old: "Document | None" = None
) -> "Document":
    """The report of a folder, with what became of the runs.

    Args:
        options: as parsed.
        asked: what the report is made of.
        runs: of its stages.
        old: an earlier report to compare with.
    """
    from fishergauge.reports.page.changes_part import changes_part
    from fishergauge.reports.page.collecting import collect

    title = options.title or "fishergauge report"
    command = shlex.join(["fishergauge", *options.given])
    document = collect(options.out, title, command, options.quick, asked.parts)
    failures = {one.stage.part: one for one in runs}
    document = replace(document, parts=tuple(_with_run(part, failures.get(part.name)) for part in document.parts))
    if old is None:
        return document
    earlier = options.compare if options.compare.is_dir() else options.compare.parent
    folders = None if earlier.resolve() == options.out.resolve() else (earlier, options.out)  # else its records are gone
    return replace(document, parts=(changes_part(old, document, folders), *document.parts))


def _with_run(part: "Part", run: "StageRun | None") -> "Part":
    """A part whose run failed says so; what an earlier run left there is shown all the same."""
    from fishergauge.reports.page.part import Gap

    if run is None:
        return part
    command = shlex.join(["fishergauge", *run.stage.arguments])
    if run.failed:
        gap = Gap("the results of this run", f"{run.last}; what is shown is of an earlier run, if anything is", command)
        return replace(part, gaps=(gap, *part.gaps), red=part.red + 1, reds=(f"{part.title}: {run.last}", *part.reds))
    if run.code == 1 and not part.red:
        return replace(part, red=1, reds=(f"{part.title}: {run.last}",))
    return part


def _write(document: "Document", out: Path) -> list[Path]:
    """Page, Markdown, data and badge."""
    from fishergauge.reports.page.badge import write_badge
    from fishergauge.reports.page.document import write_document
    from fishergauge.reports.page.rendering import render_html, render_markdown
    from fishergauge.suites.atomic import write_atomically

    page, text = out / "index.html", out / "report.md"
    write_atomically(page, render_html(document, out))
    write_atomically(text, render_markdown(document))
    return [page, text, write_document(document, out), write_badge(document, out)]


def _say(document: "Document", paths: Sequence[Path]) -> None:
    """What changed, what is red, what is missing, and the verdict."""
    from fishergauge.reports.page.verdict import headline

    changes = document.part("changes")
    if changes is not None:
        print(f"changes: {changes.summary}")
    for part in document.parts:
        for line in part.reds:
            print(f"red: {line}")
    for part, gap in document.gaps:
        print(f"missing: {part.title}: {gap.what}. {gap.why}")
    print(f"written: {', '.join(map(str, paths))}")
    print(headline(document))


def exit_code(document: "Document", runs: "Sequence[StageRun]") -> int:
    """The exit code of the command.

    Args:
        document: the report.
        runs: of its stages.

    Returns:
        1 if something is red; 3 if nothing is, but a run examined nothing, or there is nothing to show; 0 otherwise.
    """
    if document.red:
        return 1
    return VACUOUS if not _shown(document) or any(run.code == VACUOUS for run in runs) else 0


def _shown(document: "Document") -> bool:
    """Whether the page shows results of any run; the ledger of libraries is there without one."""
    return any(part.data and part.files for part in document.parts if part.name in PARTS)

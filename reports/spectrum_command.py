"""``fishergauge spectrum``: which approximation is invariant to which changes of coordinates?"""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import SUBJECT_HELP, Progress
from fishergauge.reports.sweep.options import add_engine_options
from fishergauge.reports.usage import UsageError, answer, chosen, make_folder, require_distinct, require_range

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.reports.sweep.sent_subject import Sent
    from fishergauge.suites.spectrum.execution import Plan
    from fishergauge.suites.spectrum.row import Row
    from fishergauge.suites.subject import Subject

VACUOUS = 3
LEAST_CLASSES = 3
LISTING = "fishergauge spectrum --list"
EPILOG = """\
exit code: 0 if theory and measurement agree everywhere; 1 if they contradict each other somewhere ("red");
2 if a subject cannot be loaded or the options are wrong; 3 if of a subject nothing could be measured that it promises.
Finished cells are kept in the folder of the results: the same command goes on from them"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "spectrum",
        help="measure which approximation is invariant to which reparametrisations, against what theory predicts",
        description="Measure how far the step of each approximation depends on the coordinates, for families of "
        "reparametrisations, against what theory predicts and what rounding explains; and the condition number that breaks it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what is measured")
    group.add_argument("--subject", nargs="+", action="extend", default=[], metavar="SUBJECT", help=SUBJECT_HELP)
    group.add_argument(
        "--data",
        nargs="+",
        metavar="NAME",
        help="synthetic, digits, wine (default: synthetic digits; with --quick synthetic)",
    )
    for name in ("models", "families", "approximations"):
        group.add_argument(f"--{name}", metavar="GLOB", help=f"only these {name}; a comma separates patterns")
    group.add_argument("--dtype", choices=("float64", "float32", "both"), help="default: both; with --quick float64")
    group.add_argument("--quick", action="store_true", help="two models, few condition numbers: seconds instead of minutes")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws of subjects (default: 0)")
    group.add_argument("--list", action="store_true", help="list models, families and approximations, and measure nothing")
    group = parser.add_argument_group("how")
    group.add_argument(
        "--limit", type=float, default=10.0, metavar="SECONDS", help="allowed to one call of a subject (default: 10)"
    )
    group.add_argument("--fresh", action="store_true", help="measure everything anew, also what is finished")
    group.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="folder of the results (default: out)")
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.data import DataError  # torch is imported only for work, not for --help
    from fishergauge.reports.extras import MissingExtraError
    from fishergauge.suites.subject import SubjectError

    return answer(lambda: _list() if options.list else _spectrum(options), (SubjectError, DataError, MissingExtraError))


def _spectrum(options: argparse.Namespace) -> int:
    from fishergauge.reports.data import load
    from fishergauge.reports.extras import require
    from fishergauge.reports.spectrum_artefacts import write_artefacts
    from fishergauge.reports.spectrum_run import CELLS, measure_spectrum, spectrum_cells
    from fishergauge.reports.spectrum_tables import sections, summary_line
    from fishergauge.reports.sweep.options import engine_of
    from fishergauge.reports.sweep.part import run_part
    from fishergauge.reports.sweep.store import SweepStore

    plan, sent = plan_of(options)
    require("matplotlib.figure")
    for name in plan.data:
        if load(name).num_classes < LEAST_CLASSES:
            raise UsageError(
                f"--data {name}: with two classes all output factors have rank one, so that most approximations coincide with "
                "others; choose data of at least three classes (synthetic, digits, wine)"
            )
    engine = engine_of(options)
    make_folder(options.out)
    if options.fresh:
        (options.out / CELLS).unlink(missing_ok=True)
    store = SweepStore(options.out / CELLS)
    shown = Progress(sys.stderr) if sys.stderr.isatty() else None
    start = time.perf_counter()
    try:
        if options.shard:
            return run_part(list(spectrum_cells(plan, sent).values()), options, store, engine, shown)
        rows = measure_spectrum(plan, sent, store, engine, shown)
    finally:
        if shown is not None:
            shown.clear()
    taken = time.perf_counter() - start
    if not rows:
        raise UsageError("none of these families has a map for these models; choose others (fishergauge spectrum --list)")
    names = [subject.name for subject in plan.subjects]
    empty = [name for name, subject in zip(names, plan.subjects, strict=True) if vacuous(rows, subject)]
    for section in sections(rows, plan.families, names):
        print(section.text() + "\n")
    paths = write_artefacts(rows, plan, shlex.join(["fishergauge", *options.given]), options.out)
    for name in empty:
        print(f"vacuous: of what {name} promises nothing could be measured here; measure more models, families and precisions")
    print(f"written: {', '.join(str(path) for path in paths)}")
    print(summary_line(rows, taken))
    return 1 if any(row.red for row in rows) else VACUOUS if empty else 0


def plan_of(options: argparse.Namespace) -> "tuple[Plan, dict[str, Sent]]":
    """What the options ask for.

    Args:
        options: as parsed.

    Returns:
        The plan, and what is sent of its subjects, by name.

    Raises:
        UsageError: a pattern matches nothing, a number is out of range, or two subjects have one name.
        SubjectError: a subject cannot be loaded.
    """
    from fishergauge.reference import FAMILIES
    from fishergauge.reports.sweep.sent_subject import loaded
    from fishergauge.suites.spectrum.approximations import approximations
    from fishergauge.suites.spectrum.execution import KAPPAS, QUICK_KAPPAS, Plan
    from fishergauge.suites.spectrum.models import MODELS

    require_range(options.seed, options.limit)
    quick = options.quick
    models = chosen("--models", options.models, MODELS, LISTING)
    if options.models is None and quick:
        models = [name for name in models if MODELS[name].quick]
    catalogue = list(approximations())
    given = loaded(list(dict.fromkeys(options.subject)))
    require_distinct([subject.name for subject, _ in given], catalogue)
    both = ("float64", "float32")
    asked = options.dtype or ("float64" if quick else "both")
    plan = Plan(
        models=tuple(models),
        data=tuple(dict.fromkeys(options.data or (("synthetic",) if quick else ("synthetic", "digits")))),
        dtypes=both if asked == "both" else (asked,),
        families=tuple(chosen("--families", options.families, FAMILIES, LISTING)),
        kappas=QUICK_KAPPAS if quick else KAPPAS,
        approximations=tuple(chosen("--approximations", options.approximations, catalogue, LISTING)),
        subjects=tuple(subject for subject, _ in given),
        limit=options.limit,
        seed=options.seed,
    )
    return plan, {subject.name: sent for subject, sent in given}


def vacuous(rows: "Sequence[Row]", subject: "Subject") -> bool:
    """Whether a subject promises something, and nothing of it was measured and decided.

    Args:
        rows: of the spectrum.
        subject: under test.
    """
    from fishergauge.reports.spectrum_summary import examined
    from fishergauge.suites.spectrum.subjects import promised

    promises = promised(subject, subject.bias or "joint")[0] is not None
    return promises and not examined(rows, subject.name)


def _list() -> int:
    """Print what can be chosen."""
    from fishergauge.reference import FAMILIES
    from fishergauge.suites.spectrum.approximations import approximations
    from fishergauge.suites.spectrum.groups import GROUPS
    from fishergauge.suites.spectrum.models import MODELS

    listed = {
        "models": {name: model.statement for name, model in MODELS.items()},
        "families": {name: family.statement for name, family in FAMILIES.items()},
        "approximations": {
            name: f"{one.label}; invariant under {GROUPS[str(one.group)].statement}"
            + ("" if one.tensorial else ", linear ones alone")
            for name, one in approximations().items()
        },
    }
    for title, entries in listed.items():
        print(title)
        for name, text in entries.items():
            print(f"  {name:<24} {text}")
    return 0

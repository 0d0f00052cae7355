"""``fishergauge selftest``: can the checks fail, and do they leave right subjects alone?"""

import argparse
import csv
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import available_cores, positive
from fishergauge.reports.usage import answer, writable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.suites.meta.selftest import Row

WIDTH = 118
EPILOG = "exit code: 0 if every planted defect is seen, every claim is needed and every correct subject is cleared; 1 otherwise"


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "selftest",
        help="plant defects and see which claims catch them; check correct subjects",
        description="The table of planted defects and the claims that see them, and the clearing of correct subjects.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--seeds", type=positive, default=1, metavar="N", help="clear the correct subjects on N seeds (default: 1)"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="clear them on all problems, not only on those of --quick; with --probes, on larger ones",
    )
    parser.add_argument(
        "--probes", action="store_true", help="hand the defects to the probes instead, on problems of nearly 1e4 parameters"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the whole table, a row a defect and a column a claim")
    parser.add_argument("-j", "--jobs", type=positive, metavar="N", help="processes at the same time (default: one a core)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    return answer(lambda: _selftest_of_probes(options) if options.probes else _selftest(options), ())


def _selftest(options: argparse.Namespace) -> int:
    from fishergauge.suites.meta.selftest import complaints, defect_rows

    writable("--csv", options.csv)
    jobs = options.jobs or available_cores()
    rows = defect_rows(jobs)
    if options.csv is not None:
        write_table(rows, options.csv)
    print(table_text(rows))
    wrong = complaints(rows)
    wrong += _clearing(options, jobs)
    for text in wrong:
        print(f"wrong: {text}")
    print(f"{len(rows)} planted defects, {sum(row.seen for row in rows)} seen; {len(wrong)} complaints")
    return 1 if wrong else 0


def _selftest_of_probes(options: argparse.Namespace) -> int:
    """Hand the planted defects and the correct subjects to the probes."""
    from fishergauge.reports.probe_tables import summary, table_text, write_probe_table
    from fishergauge.suites.meta.bank import BANK
    from fishergauge.suites.meta.probe_blind import BLIND
    from fishergauge.suites.meta.probe_selftest import probe_complaints, probe_rows, probes_cleared

    writable("--csv", options.csv)
    jobs = options.jobs or 1  # a process holds some matrices of 1e4 x 1e4
    found = {row.defect: row for row in probe_rows("1e4", jobs=jobs)}
    rows, titles = [found[id] for id in BANK], {id: defect.title for id, defect in BANK.items()}
    print(table_text(rows, titles, BLIND))
    if options.csv is not None:
        write_probe_table(rows, titles, BLIND, options.csv)
    wrong, probes = probe_complaints(rows), 0
    for name, problem, count, red in probes_cleared("1e3" if options.full else "small", seeds=range(options.seeds), jobs=jobs):
        probes += count
        wrong += [f"{name}, which is right, is {r.verdict} in {r.claim} on {problem}: {r.reason or r.witness}" for r in red]
    print(f"\ncorrect subjects: {probes} probes")
    for text in wrong:
        print(f"wrong: {text}")
    print(summary(rows, wrong))
    return 1 if wrong else 0


def _clearing(options: argparse.Namespace, jobs: int) -> list[str]:
    """Check the correct subjects, saying how far it is; what is red."""
    from fishergauge.suites.meta.selftest import cleared

    checks, runs, wrong = 0, 0, []
    for seed, dtype, name, count, red in cleared(range(options.seeds), quick=not options.full, jobs=jobs):
        checks, runs = checks + count, runs + 1
        for r in red:
            where = f"{r.claim} on {r.problem} ({dtype}, seed {seed})"
            wrong.append(f"{name}, which is right, is {r.verdict} in {where}: {r.reason or r.witness}")
        if sys.stderr.isatty():
            print(f"\r{runs} correct subjects, {checks} checks", end="", file=sys.stderr, flush=True)
    print(f"\ncorrect subjects: {runs} runs (subject x seed x precision), {checks} checks, {len(wrong)} red")
    return wrong


def table_text(rows: "Sequence[Row]") -> str:
    """The table for people: for each defect the claims that see it, and for each claim what it alone sees.

    Args:
        rows: of the planted defects.
    """
    from fishergauge.suites.claims import CLAIMS
    from fishergauge.suites.meta.bank import BANK
    from fishergauge.suites.meta.selftest import BARE, needed

    lines = ["planted defects and the claims that see them"]
    for row in rows:
        bare = row.defect.endswith(BARE)
        title = "the same from a subject that declares no structure" if bare else BANK[row.defect].title
        seen = " ".join(row.caught) if row.caught else f"its process: {row.fatal}" if row.fatal else "NOT SEEN"
        lines += textwrap.wrap(f"{row.defect:<6} {title}: {seen}", WIDTH, subsequent_indent=" " * 7)
    lines += ["", f"{'claim':<45} cost  sees  of   first to see"]
    own = needed(rows)
    for id, claim in CLAIMS.items():
        made = sum(id in row.made for row in rows)
        caught = sum(id in row.caught for row in rows)
        lines.append(
            f"{f'{id} {claim.name}':<45} {claim.cost:>4} {caught:>5} {made:>4}  {len(own[id]):>4} {' '.join(own[id][:5])}"
        )
    return "\n".join(lines)


def write_table(rows: "Sequence[Row]", path: Path) -> None:
    """Write the table as CSV: 1 where a claim sees a defect, 0 where it does not, empty where the subject does not make it.

    Args:
        rows: of the planted defects.
        path: of the file.
    """
    from fishergauge.suites.claims import CLAIMS

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["defect", *CLAIMS])
        for row in rows:
            writer.writerow([row.defect, *(int(id in row.caught) if id in row.made else "" for id in CLAIMS)])

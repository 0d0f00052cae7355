"""``fishergauge peers``: what the kit finds in today's curvature libraries, held against the ledger of findings."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fishergauge.reports.run_options import Progress, natural
from fishergauge.reports.sweep.options import add_engine_options
from fishergauge.reports.usage import UsageError, answer, make_folder, patterns, require_matches

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from fishergauge.reports.peers_run import Ran
    from fishergauge.suites.peers.execution import PeerTask
    from fishergauge.suites.peers.expected_cells import ExpectedCell
    from fishergauge.suites.peers.judgement import Cell
    from fishergauge.suites.peers.peer import Peer

VACUOUS = 3
LISTING = "fishergauge peers --list"
MOST_SHOWN = 20
SINGLE = "saturated-*,natural-*,mlp-tanh-softmax"
"""In single precision: where cancellation shows, and a plain problem."""
DESCRIPTION = """\
Check the quantities of today's curvature libraries on the problems of the catalogue, and hold every red cell against the
ledger of findings. It is strict: a red cell that the ledger does not know fails the run, and so does one that is mended."""
EPILOG = """\
exit code: 0 if all is as the ledger says; 1 if something is not, or a quantity could not be checked to its end; 2 if the
options are wrong; 3 if no library is installed of those selected. Finished quantities are kept in the folder of the results:
the same command goes on from them"""


def add_parser(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "peers",
        help="check today's curvature libraries, against a ledger of what is known of them",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("what is checked")
    group.add_argument("--only", metavar="GLOB", help="only these libraries or quantities, such as 'curvlinops/kfac-*'")
    group.add_argument("--quick", action="store_true", help="a covering subset of the problems, in double precision")
    group.add_argument("--problems", default="*", metavar="GLOB", help="only these problems; a comma separates patterns")
    group.add_argument("--claims", default="*", metavar="GLOB", help="only these claims, by id or name")
    group.add_argument(
        "--dtype",
        choices=("float64", "float32", "both"),
        help="default: both, single precision on confident models and few others; with --quick or --problems float64",
    )
    group.add_argument("--seed", type=natural, default=0, metavar="N", help="of data, parameters and draws (default: 0)")
    group.add_argument("--list", action="store_true", help="list quantities and what is promised of them; check nothing")
    group = parser.add_argument_group("how")
    group.add_argument("--out", type=Path, default=Path("out/peers"), metavar="DIR", help="results (default: out/peers)")
    group.add_argument(
        "--update",
        type=Path,
        metavar="DIR",
        help="renew the known red cells in this folder, suites/peers/findings of a checkout, by those that a finding explains",
    )
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from fishergauge.reports.extras import MissingExtraError
    from fishergauge.suites.peers.ledger import LedgerError

    return answer(lambda: _list(options) if options.list else _peers(options), (LedgerError, MissingExtraError))


def _peers(options: argparse.Namespace) -> int:
    from fishergauge.reports.peers_files import write_files
    from fishergauge.reports.peers_ledger_page import ledger_page
    from fishergauge.reports.peers_run import CELLS, run_tasks, write_run_records
    from fishergauge.reports.sweep.cells_of_peers import sweep_cells
    from fishergauge.reports.sweep.options import engine_of
    from fishergauge.reports.sweep.part import run_part
    from fishergauge.reports.sweep.store import SweepStore
    from fishergauge.suites.atomic import write_atomically
    from fishergauge.suites.peers.expected_cells import read_expected, write_expected
    from fishergauge.suites.peers.judgement import judged, renewed
    from fishergauge.suites.peers.ledger import FINDINGS, read_ledger
    from fishergauge.suites.peers.registry import absent

    folder = options.update or FINDINGS
    if not folder.is_dir():
        raise UsageError(f"--update {folder} is no folder; give suites/peers/findings of a checkout")
    ledger, expected = read_ledger(folder), read_expected(folder)
    chosen = selected(options)
    missing = {peer.library: reason for peer in chosen if (reason := absent(peer))}
    for reason in missing.values():
        print(f"skipped: {reason}")
    tasks = tasks_of(options, [peer for peer in chosen if peer.library not in missing])
    if not tasks:
        print("vacuous: nothing was checked")
        return VACUOUS
    engine = engine_of(options)
    make_folder(options.out)
    store = SweepStore(options.out / CELLS)
    shown = Progress(sys.stderr) if sys.stderr.isatty() else None
    start = time.perf_counter()
    try:
        if options.shard:
            return run_part(list(sweep_cells(tasks).values()), options, store, engine, shown)
        ran = run_tasks(tasks, store, engine, shown)
    finally:
        if shown is not None:
            shown.clear()
    write_run_records(ran, options.out / "records")
    records = [record for one in ran for record in one.records]
    asked = _asked_by([one.task for one in ran if not one.error], options)
    cells = judged(records, ledger, expected, asked)
    failed = [one for one in ran if one.error]
    if options.update is not None:
        known = renewed(cells, ledger, expected)
        print(f"renewed: {', '.join(str(path) for path in write_expected(known, folder)) or 'nothing is red'}")
        write_atomically(folder / "README.md", ledger_page(ledger, known))
        cells = judged(records, ledger, known, asked)
    paths = write_files(cells, ledger, chosen, missing, shlex.join(["fishergauge", *options.given]), options.out)
    _say(cells, failed)
    print(f"written: {', '.join(str(path) for path in paths)}")
    print(_line(cells, ran, time.perf_counter() - start))
    return 1 if failed or any(cell.wrong for cell in cells) else 0


def selected(options: argparse.Namespace) -> "list[Peer]":
    """The quantities that the options ask for.

    Args:
        options: as parsed.

    Raises:
        UsageError: a pattern matches nothing.
    """
    from fnmatch import fnmatchcase

    from fishergauge.suites.claims import CLAIMS
    from fishergauge.suites.peers.registry import peers
    from fishergauge.suites.zoo import CATALOGUE

    every = peers()
    names = [name for claim in CLAIMS.values() for name in (claim.id, claim.name)]
    require_matches("--claims", options.claims, names, "fishergauge claims")
    require_matches("--problems", options.problems, CATALOGUE, "fishergauge problems")
    if options.only is None:
        return every
    require_matches("--only", options.only, [*{p.library: None for p in every}, *(p.subject.name for p in every)], LISTING)
    wanted = patterns(options.only)
    return [
        peer for peer in every if any(fnmatchcase(name, one) for one in wanted for name in (peer.library, peer.subject.name))
    ]


def tasks_of(options: argparse.Namespace, chosen: "Sequence[Peer]") -> "list[PeerTask]":
    """What is to be run: each quantity in each precision in which it has something to check.

    Args:
        options: as parsed.
        chosen: quantities of installed libraries.
    """
    from fishergauge.suites.peers.execution import PeerTask, planned
    from fishergauge.suites.peers.registry import is_variant

    narrow = options.quick or options.problems != "*"
    asked = options.dtype or ("float64" if narrow else "both")
    tasks = []
    for peer in chosen:
        for dtype in ("float64", "float32") if asked == "both" else (asked,):
            problems = SINGLE if dtype == "float32" and asked == "both" and not narrow else options.problems
            quick = options.quick or (is_variant(peer) and problems == "*")
            task = PeerTask(peer.subject.name, dtype, quick, options.claims, problems, options.seed)
            if planned(task):
                tasks.append(task)
    return tasks


def _asked_by(finished: "Sequence[PeerTask]", options: argparse.Namespace) -> "Callable[[ExpectedCell], bool]":
    """Whether the tasks that came to their end were to execute a known cell."""
    from fishergauge.suites.claims import CLAIMS
    from fishergauge.suites.peers.execution import planned
    from fishergauge.suites.selection import matches

    tasks = {(task.subject, task.dtype): task for task in finished}

    def asked(cell: "ExpectedCell") -> bool:
        task = tasks.get((cell.subject, cell.dtype))
        if task is None:
            return False
        if (cell.claim, cell.problem) in planned(task):
            return True
        claim = CLAIMS.get(cell.claim)
        named = claim is None or any(claim.matches(one) for one in patterns(options.claims))
        return not task.quick and named and matches(cell.problem, task.problems)

    return asked


def _say(cells: "Sequence[Cell]", failed: "Sequence[Ran]") -> None:
    """What contradicts the ledger, and what could not be checked; tracebacks on the standard error."""
    from fishergauge.reports.peers_tables import statuses
    from fishergauge.suites.wording import wrapped

    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        if cell.wrong:
            groups.setdefault((cell.status, cell.record.subject, cell.record.claim, cell.finding), []).append(cell)
    for group in list(groups.values())[:MOST_SHOWN]:
        print(group[0].text())
        if others := ", ".join(f"{cell.record.problem} ({cell.record.dtype})" for cell in group[1:]):
            print("\n".join(wrapped(f"and on {others}", first=" " * 4, rest=" " * 4)))
    if len(groups) > MOST_SHOWN:
        print(
            f"... and {len(groups) - MOST_SHOWN} more claims in which the ledger is contradicted; the cells stand in peers.csv"
        )
    for one in failed:
        print(f"not checked: {one.task.label}: {one.error.strip().splitlines()[-1]}")
        print(one.error, file=sys.stderr)
    if groups:
        print(f"\n{statuses()}")


def _line(cells: "Sequence[Cell]", ran: "Sequence[Ran]", seconds: float) -> str:
    from fishergauge.reports.peers_tables import summary

    subjects = len({one.task.subject for one in ran})
    kept = sum(one.kept for one in ran)
    again = f", {kept} of {len(ran)} runs kept from before" if kept else ""
    head = f"{subjects} {'quantity' if subjects == 1 else 'quantities'}, {len(cells)} cells"
    return f"{head}: {summary(cells)}; {seconds:.0f} s{again}"


def _list(options: argparse.Namespace) -> int:
    """The quantities, what is promised of them, and what the adapter converts."""
    from fishergauge.suites.peers.registry import absent, version_of
    from fishergauge.suites.wording import wrapped

    library = ""
    for peer in selected(options):
        if peer.library != library:
            library = peer.library
            print(f"{library} {version_of(library)}" if not absent(peer) else f"{library} (not installed)")
        subject = peer.subject
        kind = ", ".join(
            filter(None, (subject.target, subject.structure, f"samples {subject.samples}" if subject.drawn else ""))
        )
        print(f"  {subject.name}  ({kind})")
        for what, text in (("promised", peer.promise), ("converted", peer.conversion)):
            if text:
                print("\n".join(wrapped(f"{what}: {text}", first=" " * 4, rest=" " * 6)))
    return 0

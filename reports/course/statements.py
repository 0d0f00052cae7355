"""The statements of the course "Natural Gradient Methods", one by one: what it says, what was measured, the verdict."""

from pathlib import Path

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.statement import Figures, Measure, Statement, worst_of
from fishergauge.reports.course.statements_algorithms import STATEMENTS as ALGORITHMS
from fishergauge.reports.course.statements_connections import STATEMENTS as CONNECTIONS
from fishergauge.reports.course.statements_developments import STATEMENTS as DEVELOPMENTS
from fishergauge.reports.course.statements_figure import Line, draw_course
from fishergauge.reports.course.statements_geometry import STATEMENTS as GEOMETRY
from fishergauge.reports.course.statements_methods import STATEMENTS as METHODS
from fishergauge.reports.course.statements_models import STATEMENTS as MODELS
from fishergauge.reports.course.statements_networks import STATEMENTS as NETWORKS
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import COURSE, LedgerEntry
from fishergauge.reports.options import Options
from fishergauge.reports.tables import write_csv, write_json
from fishergauge.suites.seeding import generator

STATEMENTS: tuple[Statement, ...] = tuple(
    sorted(
        GEOMETRY + MODELS + NETWORKS + ALGORITHMS + CONNECTIONS + METHODS + DEVELOPMENTS,
        key=lambda statement: statement.section,
    )
)
SEEDS = 3
PROPER = {
    word.lower(): word
    for word in ("Adam", "AdaHessian", "Euclidean", "Fisher", "Gauss", "Gaussian", "Kronecker", "Newton", "Shampoo")
} | {"theorem": "Theorem"}


def measured(seed: int, statements: tuple[Statement, ...] = STATEMENTS) -> dict[str, Figures]:
    """The figures of all statements by name; statements that share a measurement share its figures."""
    found: dict[Measure, Figures] = {}
    for statement in statements:
        if statement.measure not in found:
            found[statement.measure] = statement.measure(generator("course", statement.measure.__name__, seed))
    return {statement.name: found[statement.measure] for statement in statements}


class Course:
    """The statements of the course, checked."""

    name = "course"
    title = "Statements of the course on natural gradients"

    def cells(self, options: Options) -> list[Cell]:
        return [Cell("course", "corrected", "course", seed) for seed in range(options.seed_count(SEEDS))]

    def run(self, cell: Cell, device: str) -> Record:
        """All figures of one seed; the matrices are small, and stay on the CPU whatever the device."""
        rows = []
        for name, figures in measured(cell.seed).items():
            rows += [{"statement": name, "seed": cell.seed, "figure": key, "value": value} for key, value in figures.items()]
        return {"rows": rows}

    def artefacts(self, data: str, results: Results, out: Path) -> list[Path]:
        judged = judgements(results)
        verdicts = {statement.name: statement.verdict(figures) for statement, figures in judged}
        rows = [
            {"section": statement.section, **row, "verdict": verdicts[statement.name]}
            for statement, _ in judged
            for _, record in results
            for row in record["rows"]
            if row["statement"] == statement.name
        ]
        lines = [line(statement, figures) for statement, figures in judged]
        counts = {verdict: sum(one.verdict == verdict for one in lines) for verdict in sorted({one.verdict for one in lines})}
        summary = {
            "experiment": self.title,
            "statements": len(judged),
            "seeds": len(results),
            "verdicts": counts,
            "claims": [
                {"section": s.section, "name": s.name, "quote": s.quote, "claim": s.claim, "verdict": verdicts[s.name]}
                for s, _ in judged
            ],
        }
        paths = [write_csv(rows, out / "course_results.csv"), write_json(summary, out / "course_summary.json")]
        return paths + draw_course(lines, out)

    def entries(self, data: str, results: Results) -> list[LedgerEntry]:
        numbers = {statement.name: number for number, statement in enumerate(STATEMENTS, 1)}
        return [
            statement.ledger_claim(figures).entry(
                self.name, numbers[statement.name], "small problems", f"{COURSE}, section {statement.section}"
            )
            for statement, figures in judgements(results)
        ]


def judgements(results: Results) -> list[tuple[Statement, Figures]]:
    """The statements that have figures, with those of the seed that is gravest for them."""
    by_seed = []
    for _, record in results:
        figures: dict[str, dict[str, float]] = {}
        for row in record["rows"]:
            figures.setdefault(row["statement"], {})[row["figure"]] = row["value"]
        by_seed.append(figures)
    found = []
    for statement in STATEMENTS:
        own: list[Figures] = [figures[statement.name] for figures in by_seed if statement.name in figures]
        if own:
            found.append((statement, worst_of(statement, own)))
    return found


def line(statement: Statement, figures: Figures) -> Line:
    """What the figure shows of a statement."""
    pick = min if statement.apart else max
    return Line(
        section=statement.section,
        name=" ".join(PROPER.get(word, word) for word in statement.name.split("-")),
        verdict=statement.verdict(figures).partition(" if ")[0],
        written=pick(figures[name] for name in statement.written),
        elsewhere=max((figures[name] for name in statement.elsewhere), default=None)
        if not statement.apart
        else min((figures[name] for name in statement.elsewhere), default=None),
        control=min((figures[name] for name in statement.control), default=None),
        bound=figures[statement.bound],
        apart=statement.apart,
    )

"""The part "benchmarks": judged as the command judges, read with care, shown as text, the same but for times."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports.page.bench_part import LARGEST, collect
from fishergauge.reports.page.bench_rows import MOST_ROWS
from fishergauge.reports.page.page_section import rendered
from fishergauge.reports.page.timed import text_without_times, without_times
from fishergauge.suites.benchmarks.record import BenchRecord, line, write_records

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0L9 9" style="stroke: #000000"/></svg>'
HEAD = "implementation,quantity,operation,family,axis,held,measure,size,cost,exponent,theory,leading,wrong,reason\n"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script>",
    "{{ 7*7 }}",
    "x" * 10_000,
    "\u05e7\u05d9\u05e8\u05d5\u05d1 \u202eKFAC",
    "a|b",
)
OURS = BenchRecord(
    "fishergauge", "ggn", "dense", "mlp-small", "float64", "cpu",
    sizes={"N": 250, "P": 978, "C": 10}, median_seconds=0.004, rounds=3, peak_bytes=10_000, flops=2_000_000,
    forward_passes=4, backward_passes=6, limit_flops=1e6, limit_bytes=1e3, limit_seconds=0.001, verified=True,
)  # fmt: skip
THEIRS = replace(OURS, implementation="backpack", kind="backpack", flops=5_000_000, median_seconds=0.002)
WRONG = replace(
    THEIRS, implementation="peer:x", kind="peer", verified=False, reason="wrong, and not timed", deviation=0.5, bound=1e-9
)
REFUSED = replace(OURS, implementation="fishergauge:closed-form", verified=None, reason="not measured: it is for softmax",
                  median_seconds=None, flops=None, peak_bytes=None, forward_passes=None, backward_passes=None)  # fmt: skip


def growth(exponent: str = "2.0", wrong: str = "False", name: str = "fishergauge", reason: str = "") -> str:
    lines = [f'{name},ggn,dense,mlp,{axis},"P = 9",flops,8,64.0,{exponent},2.0,N P²,{wrong},{reason}\n' for axis in "NPC"]
    return "".join(lines) + f"{name},kfac,step,mlp,N,,flops,8,64.0,,,,False,no closed form\n"


def written(out: Path, records: list[BenchRecord] | str, scaling: str = "") -> Path:
    (out / "bench").mkdir(exist_ok=True, parents=True)
    if isinstance(records, str):
        (out / "bench" / "bench.jsonl").write_text(records)
    else:
        write_records(records, out / "bench" / "bench.jsonl")
    if scaling:
        (out / "bench" / "scaling.csv").write_text(HEAD + scaling)
    return out


def page(out: Path) -> tuple[str, str]:
    return rendered(collect(out), out)


def test_nothing_is_a_gap_with_the_command(tmp_path: Path) -> None:
    part = collect(tmp_path)
    assert part.status == "missing"
    assert [gap.command for gap in part.gaps] == ["fishergauge bench"]


def test_each_benchmark_stands_beside_the_best_right_one_of_its_task(tmp_path: Path) -> None:
    cheap_but_wrong = replace(WRONG, flops=10, median_seconds=1e-9)
    dear_and_wrong = replace(WRONG, implementation="peer:y", flops=9_000_000)
    part = collect(written(tmp_path, [THEIRS, OURS, dear_and_wrong, cheap_but_wrong], growth()))
    assert part.status == "complete"
    (problem,) = part.data["problems"]
    rows = problem["rows"]
    assert [row["implementation"] for row in rows] == ["peer:x", "peer:y", "fishergauge", "backpack"]  # red first
    assert [row["ratio"] for row in rows[2:]] == [1.0, 2.5]
    assert [row["timed_ratio"] for row in rows[2:]] == [2.0, 1.0]
    assert [row["timed_limit"] for row in rows[2:]] == [0.25, 0.5]
    assert rows[2]["passes"] == "4+6"
    assert problem["sizes"] == {"N": 250, "P": 978, "C": 10}
    html, _ = page(tmp_path)
    assert '<td data-value="2000000">2 M</td>' in html
    assert "25 %" in html


def test_red_is_what_the_command_calls_red(tmp_path: Path) -> None:
    failed = replace(WRONG, implementation="crash", reason="error: ValueError: boom", deviation=None, bound=None)
    part = collect(written(tmp_path, [OURS, THEIRS, WRONG, failed, REFUSED], growth(wrong="True", exponent="3.0")))
    assert part.red == 2 + 3
    assert part.reds[0] == "peer:x ggn/dense on mlp-small (float64): wrong, and not timed; deviation 0.5, bound 1e-9"
    assert "crash ggn/dense on mlp-small (float64): error: ValueError: boom" in part.reds
    assert "fishergauge ggn/dense on mlp: flops in N: exponent against theory" in part.reds
    assert [one["reason"] for one in part.data["refusals"]] == [REFUSED.reason]
    html, markdown = page(tmp_path)
    assert "WRONG: wrong, and not timed; deviation 0.5, bound 1e-09" in html
    assert "FAILED: error: ValueError: boom" in html
    assert 'data-facets="task library result"' in html
    assert "Red: peer:x ggn/dense: WRONG" in markdown
    assert collect(written(tmp_path / "green", [OURS, THEIRS], growth())).red == 0


def test_a_task_of_one_library_is_left_to_the_files_but_not_a_subject_or_what_is_red(tmp_path: Path) -> None:
    alone = replace(OURS, quantity="shampoo")
    mine = replace(OURS, quantity="mine", implementation="mine", kind="subject")
    bad = replace(WRONG, quantity="odd")
    part = collect(written(tmp_path, [OURS, THEIRS, alone, mine, bad]))
    tasks = [row["task"] for row in part.data["problems"][0]["rows"]]
    assert tasks == ["ggn/dense", "ggn/dense", "mine/dense", "odd/dense"]
    assert part.data["problems"][0]["rows"][2]["library"] == "yours"


def test_refusals_are_told_with_their_reason(tmp_path: Path) -> None:
    part = collect(written(tmp_path, [OURS, THEIRS, REFUSED, replace(REFUSED, operation="diagonal")]))
    assert part.data["refusals"] == [
        {
            "reason": "not measured: it is for softmax",
            "count": 2,
            "names": ["fishergauge:closed-form ggn/dense", "fishergauge:closed-form ggn/diagonal"],
        }
    ]
    assert "not measured: it is for softmax: fishergauge:closed-form ggn/dense" in page(tmp_path)[0]


def test_a_run_without_times_says_so_and_has_no_columns_for_them(tmp_path: Path) -> None:
    records = [replace(one, median_seconds=None, limit_seconds=None) for one in (OURS, THEIRS)]
    part = collect(written(tmp_path, records, growth()))
    assert "Without times" in part.summary
    assert part.status == "complete"
    html, markdown = page(tmp_path)
    assert "This run measured no time" in html
    assert "This run measured no time" in markdown
    assert "of fastest" not in html
    assert "times" not in collect(written(tmp_path / "timed", [OURS, THEIRS])).summary


def test_the_rates_of_the_machine_are_those_of_its_limits(tmp_path: Path) -> None:
    by_bytes = replace(THEIRS, limit_flops=1.0, limit_bytes=8e6, limit_seconds=0.002)
    (rates,) = collect(written(tmp_path, [OURS, by_bytes])).data["rates"]
    assert rates["timed_flops"] == pytest.approx(1e9)
    assert rates["timed_bytes"] == pytest.approx(4e9)


def test_exponents_stand_beside_theory(tmp_path: Path) -> None:
    part = collect(written(tmp_path, [OURS, THEIRS], growth()))
    (row,) = part.data["growth"]  # what has no closed form is left out
    assert row["exponents"]["flops N"] == {"exponent": 2.0, "theory": 2.0, "wrong": False}
    assert "3 exponents of growth against theory: 0 wrong." in part.summary
    assert '<td data-value="2">2.00 (2.00)</td>' in page(tmp_path)[0]
    alone = tmp_path / "alone"
    (alone / "bench").mkdir(parents=True)
    (alone / "bench" / "scaling.csv").write_text(HEAD + growth())
    assert collect(alone).status == "partial"


def test_damaged_lines_cost_only_themselves(tmp_path: Path) -> None:
    known = json.loads(line(OURS))
    text = "\n".join(
        [
            line(OURS),
            line(THEIRS),
            json.dumps({**known, "schema": 9}),
            '{"schema": 1, "impl',
            json.dumps({**known, "news": 1}),
            "",
        ]
    )
    part = collect(written(tmp_path, text, growth()))
    assert part.data["benchmarks"] == 3
    (gap,) = part.gaps
    assert "bench/bench.jsonl" in gap.why
    assert "line 3: schema 9" in gap.why
    assert gap.what == "benchmarks (2)"
    assert gap.command == "fishergauge bench"


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_a_gap(text: str, tmp_path: Path) -> None:
    part = collect(written(tmp_path, text))
    assert part.status == "missing"
    assert part.gaps[0].why == "bench/bench.jsonl is empty."


def test_a_damaged_table_of_growth_is_a_gap_and_the_rest_is_shown(tmp_path: Path) -> None:
    part = collect(written(tmp_path, [OURS, THEIRS], "fishergauge,ggn\n" + growth()))
    assert part.gaps[0].what == "exponents"
    assert len(part.data["growth"]) == 1


def test_too_many_rows_leave_whole_problems_to_the_files(tmp_path: Path) -> None:
    def copies(problem: str, count: int) -> list[BenchRecord]:
        return [
            replace(one, problem=problem, quantity=f"q{number}", operation=operation)
            for number in range(count // 2)
            for operation in ("dense", "blocks")
            for one in (OURS, THEIRS)
        ]

    records = [*copies("a", MOST_ROWS), *copies("b", 20), replace(WRONG, problem="c")]
    part = collect(written(tmp_path, records))
    a, b, c = part.data["problems"]
    assert len(a["rows"]) == MOST_ROWS
    assert {row["task"].rpartition("/")[2] for row in a["rows"]} == {"dense"}
    assert (b["rows"], b["left_out"] > 0) == ([], True)
    assert [row["red"] for row in c["rows"]] == [True]
    html, _ = page(tmp_path)
    assert "40 benchmarks, too many for this page" in html
    assert len(html) < 250_000


def test_figures_of_the_run_are_shown_and_large_ones_linked(tmp_path: Path) -> None:
    written(tmp_path, [OURS, THEIRS], growth())
    for name in ("roofline", "scaling-mlp"):
        (tmp_path / "bench" / f"{name}.svg").write_text(SVG)
    (tmp_path / "bench" / "scaling-softmax.svg").write_text(SVG + " " * LARGEST)
    part = collect(tmp_path)
    assert [(figure.name, figure.timed) for figure in part.figures] == [("bench-roofline", True), ("bench-scaling-mlp", False)]
    assert "bench/scaling-softmax.svg" in part.files
    assert "bench/scaling-mlp.svg" not in part.files


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_as_text(text: str, tmp_path: Path) -> None:
    hostile = replace(WRONG, implementation=text, problem=text, quantity=text, reason=text, against=text, sizes={text: 3})
    refused = replace(REFUSED, implementation=text, reason=text, problem=text)
    scaling = growth(wrong="True", name=f'"{text.replace(chr(34), chr(34) * 2)}"', reason="odd")
    written(tmp_path, [OURS, THEIRS, hostile, refused], scaling)
    html, markdown = page(tmp_path)
    section = html[html.index('id="bench"') : html.index("</section>", html.index('id="bench"'))]
    assert "<script" not in section
    assert "<img" not in section
    assert section.count("<table") == 3
    assert 'href="javascript' not in section
    assert "<script" not in markdown
    assert "<img" not in markdown
    if "7*7" in text:
        assert "{{ 7*7 }}" in section
    rows = [one for one in text_without_times(markdown).splitlines() if one.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", one)) == 7 for one in rows)


def test_two_runs_differ_in_what_is_marked_alone(tmp_path: Path) -> None:
    def slower(record: BenchRecord, factor: float) -> BenchRecord:
        assert record.median_seconds is not None
        assert record.limit_seconds is not None
        return replace(record, median_seconds=factor * record.median_seconds, limit_seconds=1.5 * record.limit_seconds)

    written(tmp_path / "one", [OURS, THEIRS], growth())
    written(tmp_path / "two", [slower(OURS, 0.1), slower(THEIRS, 7.0)], growth())
    for name in ("one", "two"):
        (tmp_path / name / "bench" / "roofline.svg").write_text(SVG.replace("M0 0", "M1 1" if name == "one" else "M2 2"))
    one, two = collect(tmp_path / "one"), collect(tmp_path / "two")
    assert without_times(one.data) == without_times(two.data)
    assert one.summary == two.summary
    for first, second in zip(page(tmp_path / "one"), page(tmp_path / "two"), strict=True):
        assert first != second
        assert text_without_times(first) == text_without_times(second)

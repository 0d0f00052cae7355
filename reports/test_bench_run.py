"""Real runs of ``fishergauge bench``, and its figures and the growth of cost."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fishergauge.reports import bench_command
from fishergauge.reports.bench_figures import roofline_figures, scaling_figures
from fishergauge.reports.bench_scaling import Scaling, write_scaling
from fishergauge.reports.bench_verdict import BenchVerdict, of_results, of_scaling
from fishergauge.suites.benchmarks.limits import Limits
from fishergauge.suites.benchmarks.record import BenchRecord, read_records, write_records
from fishergauge.suites.benchmarks.scaling import ScalingRow

FEW = ["--no-peers", "--problems", "softmax-small", "--tasks", "ggn/diagonal", "--implementations", "fishergauge", "--no-time"]
ROW = ScalingRow(
    "fishergauge", "ggn", "dense", "mlp", "N", "flops", "P = 9", (1, 2, 4), (1.0, 2.0, 4.0), 1.0, 1.0, "N P^2", False
)
WRONG = replace(ROW, axis="C", exponent=2.0, wrong=True, reason="grows with the exponent 2.00, theory says 1.00")
REFUSED = replace(ROW, operation="blocks", costs=(), sizes=(), exponent=None, theory=None, reason="no rule for it")
RECORD = BenchRecord(
    "fishergauge",
    "ggn",
    "dense",
    "mlp-small",
    "float64",
    "cpu",
    median_seconds=0.01,
    flops=10**6,
    limit_flops=1e6,
    limit_bytes=1e5,
    limit_seconds=0.001,
    verified=True,
)
LIMITS = Limits(1e10, 1e9, "float64", "cpu", 1)


def run(*arguments: str) -> int:
    root = argparse.ArgumentParser(prog="fishergauge")
    bench_command.add_parser(root.add_subparsers(dest="command", required=True))
    given = ["bench", *arguments]
    options = root.parse_args(given)
    options.given = given
    code: int = options.run(options)
    return code


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_real_run_passes_its_own_baseline_and_not_a_cheaper_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*FEW, "--json", "base.jsonl") == 0
    (record,) = read_records(Path("base.jsonl"))
    assert record.verified
    assert record.median_seconds is None
    assert record.flops
    capsys.readouterr()
    assert run(*FEW, "--baseline", "base.jsonl") == 0
    assert "compared 1 benchmark: no change; nothing got worse" in capsys.readouterr().out
    write_records([replace(record, flops=record.flops - 1)], Path("base.jsonl"))
    assert run(*FEW, "--baseline", "base.jsonl") == 1


def test_growth_that_contradicts_theory_is_red(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [ROW, WRONG, REFUSED]
    monkeypatch.setattr("fishergauge.reports.sweep.cells_of_bench.measure_scaling", lambda chosen, **how: rows)
    monkeypatch.setattr("fishergauge.reports.sweep.cells_of_bench.measure", lambda *arguments, **how: [RECORD])
    few = ["--no-peers", "--problems", "mlp-small", "--tasks", "ggn/dense", "--implementations", "fishergauge"]
    monkeypatch.setattr("fishergauge.reports.bench_files.roofline_figures", lambda records, out: [])
    monkeypatch.setattr("fishergauge.reports.bench_files.scaling_figures", lambda rows, out: [out / "scaling-mlp.png"])
    assert run(*few, "--scaling") == 1
    captured = capsys.readouterr().out
    assert "red  fishergauge ggn/dense on mlp, flops against C: grows with the exponent 2.00, theory says 1.00" in captured
    assert "2 exponents against theory: 1 wrong; not counted: fishergauge ggn/blocks" in captured
    assert all(f"out/bench/scaling{ending}" in captured for ending in (".csv", ".md", "-mlp.png"))
    assert run(*few) == 0
    rows.remove(WRONG)
    assert run(*few, "--scaling") == 0
    assert "wrong" not in of_scaling(Scaling((ROW,))).lines[0]


def test_growth_without_theory_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fishergauge.reports.bench_scaling.expected", lambda implementation: None)
    assert run(*FEW, "--scaling") == 2
    assert "--scaling: no closed form is known for any of these implementations" in capsys.readouterr().err


def test_growth_is_written_as_table_and_document(folder: Path) -> None:
    table, document = write_scaling(Scaling((ROW, WRONG)), folder)
    assert table.read_text().splitlines()[0].startswith("implementation,quantity,operation,family,axis")
    assert len(table.read_text().splitlines()) == 7
    assert document.read_text().startswith("# How costs grow\n\n")


def test_figures_are_drawn_of_what_was_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishergauge.reports.bench_figures.measure_limits", lambda dtype, device: LIMITS)
    assert [path.name for path in roofline_figures([RECORD], folder)] == ["roofline.png", "roofline.svg"]
    assert (folder / "roofline.png").stat().st_size > 1000
    assert [path.name for path in scaling_figures([ROW], folder)] == ["scaling-mlp.png", "scaling-mlp.svg"]
    assert (folder / "scaling-mlp.png").stat().st_size > 1000


def test_there_is_a_figure_a_precision_and_none_of_what_was_not_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[object, ...]] = []

    def draw(records: object, limits: object, paths: list[Path]) -> list[Path]:
        drawn.append((limits, *paths))
        return paths

    monkeypatch.setattr("fishergauge.reports.bench_figures.draw_roofline", draw)
    monkeypatch.setattr("fishergauge.reports.bench_figures.measure_limits", lambda dtype, device: (str(dtype), device))
    paths = roofline_figures([RECORD, replace(RECORD, dtype="float32")], folder)
    assert [path.name for path in paths] == [
        f"roofline-{name}.{kind}" for name in ("float64", "float32") for kind in ("png", "svg")
    ]
    assert [limits for limits, *_ in drawn] == [("torch.float64", "cpu"), ("torch.float32", "cpu")]
    for nothing in ({"median_seconds": None}, {"limit_bytes": None}, {"verified": False}):
        assert roofline_figures([replace(RECORD, **nothing)], folder) == []


def test_without_matplotlib_there_are_no_figures_and_the_run_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("fishergauge.reports.sweep.cells_of_bench.measure", lambda *arguments, **how: [RECORD])
    monkeypatch.setattr("fishergauge.reports.bench_figures.measure_limits", lambda *arguments: LIMITS)
    assert run(*FEW) == 0
    captured = capsys.readouterr().out
    assert "no figures: matplotlib is not installed" in captured
    assert Path("out/bench/bench.md").exists()


def test_verdicts_add_up() -> None:
    assert BenchVerdict(False, ("a",)) + BenchVerdict(True, ("b",)) == BenchVerdict(True, ("a", "b"))
    assert (BenchVerdict(True) + BenchVerdict()).red
    assert not (BenchVerdict() + BenchVerdict()).red
    assert of_results([RECORD]) == BenchVerdict()
    assert of_results([RECORD, replace(RECORD, verified=False)]).red

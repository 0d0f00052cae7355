from typing import Any

import pytest

from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.e4_claims import (
    DEFICIENT,
    THRESHOLD,
    UNDECIDED,
    cutoff_verdict,
    e3_entries,
    e4_entries,
    gate_a_entry,
    gate_c_verdict,
    invariance_verdict,
    protocol_verdict,
    sgd_verdict,
)
from fishergauge.reports.e4_measurements import corrected_record, cutoff_record, order_record, published_record
from fishergauge.reports.e4_order import order_verdict, sign_test, supported
from fishergauge.reports.small_data import small_data

NOT_TESTABLE = "not testable as published"
ORDER = ("empirical", "exact", "kfac")


def row(status: str, rank: int = 9, full: int = 9) -> dict[str, Any]:
    return {"status": status, "reference_rank": rank, "full_rank": full}


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([row("holds"), row("holds")], "confirmed"),
        ([row("holds"), row("beyond float64")], "confirmed"),
        ([row("holds"), row("violated")], "refuted"),
        ([row("violated", rank=8), row("holds")], DEFICIENT),
        ([row("violated", rank=8), row("violated")], "refuted"),
        ([row("beyond float64")], UNDECIDED),
        ([], UNDECIDED),
    ],
)
def test_invariance_verdict(rows: list[dict[str, Any]], verdict: str) -> None:
    assert invariance_verdict(rows) == verdict


@pytest.mark.parametrize(
    ("rows", "mean", "comparable", "verdict"),
    [
        ([row("violated")], 0.15, True, "confirmed"),
        ([row("violated")], 0.25, True, "refuted"),
        ([row("violated")], 0.25, False, "confirmed"),
        ([row("violated"), row("holds")], 0.15, True, "refuted"),
        ([], 0.15, True, "refuted"),
    ],
)
def test_sgd_verdict(rows: list[dict[str, Any]], mean: float, comparable: bool, verdict: str) -> None:
    assert sgd_verdict(rows, mean, comparable) == verdict


def test_protocol_verdict() -> None:
    assert protocol_verdict(1e-17, True, True) == NOT_TESTABLE
    assert protocol_verdict(2 * THRESHOLD, True, True) == "confirmed"
    assert protocol_verdict(1e-17, False, True) == "refuted"
    assert protocol_verdict(1e-17, True, False) == "refuted"


def test_gate_c_verdict() -> None:
    assert gate_c_verdict(0.0, True, True) == NOT_TESTABLE
    assert gate_c_verdict(1e-16, True, True) == "confirmed"
    assert gate_c_verdict(0.0, False, True) == "refuted"
    assert gate_c_verdict(0.0, True, False) == "refuted"


@pytest.mark.parametrize(
    ("passed", "planted", "verdict"), [(True, False, "confirmed"), (False, False, "refuted"), (True, True, "refuted")]
)
def test_gate_a_verdict(passed: bool, planted: bool, verdict: str) -> None:
    rows = [{"passed": passed, "planted_passed": planted, "minimum": -1e-17, "maximum": 1.0}]
    assert gate_a_entry("small", rows).verdict == verdict


def cutoff_rows(paper_rank: int, own_rank: int) -> list[dict[str, Any]]:
    shared = {"kappa": 1e4, "reference_rank": 5, "relative": 0.1}
    return [{"cutoff": "paper", "rank": paper_rank, **shared}, {"cutoff": "P eps", "rank": own_rank, **shared}]


def test_cutoff_verdict() -> None:
    assert cutoff_verdict(cutoff_rows(5, 5)) == ("confirmed", None)
    assert cutoff_verdict(cutoff_rows(3, 5))[1] == 1e4
    assert cutoff_verdict(cutoff_rows(3, 4)) == ("confirmed", None)  # float64 itself is exhausted there


def test_sign_test() -> None:
    assert sign_test(10, 10) == pytest.approx(2 / 1024)
    assert sign_test(5, 10) == 1
    assert sign_test(0, 0) == 1
    assert sign_test(2, 10) == sign_test(8, 10)


def order_rows(*measured: tuple[float, float, float]) -> list[dict[str, Any]]:
    rows = []
    for values in measured:
        named = dict(zip(ORDER, values, strict=True))
        rows.append({**named, **{f"{name}_relative": value for name, value in named.items()}})
    return rows


def test_an_order_needs_more_than_chance() -> None:
    clear = order_rows(*[(1.0, 2.0, 3.0)] * 10)
    assert order_verdict(clear, ORDER) == "confirmed"
    assert order_verdict(clear, ("exact", "kfac", "empirical")) == "refuted"
    assert order_verdict(clear[:3], ORDER) == "refuted"  # three seeds decide nothing
    assert not supported(order_rows(*[(1.0, 2.0, 3.0)] * 5, *[(1.0, 3.0, 2.0)] * 5), ORDER)
    for entry in clear:
        entry["empirical_relative"] = 9.0
    assert order_verdict(clear, ORDER).startswith("confirmed only if deviations are not divided")


def results() -> list[tuple[Cell, Record]]:
    data, kappas = small_data(), (1.0, 10.0, 1000.0)
    found: list[tuple[Cell, Record]] = [
        (Cell("e4", "published", "small", 0), published_record(data, 0, kappas)),
        (Cell("e4", "corrected", "small", 0), corrected_record(data, 0, kappas)),
        (Cell("e4", "corrected", "small", 0, (("study", "cutoff"),)), cutoff_record(data, 0, (1e2, 1e5))),
    ]
    return found + [
        (Cell("e4", "published", "small", seed, (("study", "order"),)), order_record(data, seed, 1e3)) for seed in (0, 1)
    ]


def test_the_entries_follow_from_measured_records_and_flip_with_them() -> None:
    measured = results()
    verdicts = {entry.id: entry.verdict for entry in e4_entries("small", measured) + e3_entries("small", measured)}
    assert verdicts["E4.1"] == verdicts["E4.2"] == verdicts["E4.3"] == verdicts["E3.1"] == "confirmed"
    assert verdicts["E4.4"] == verdicts["E3.2"] == "confirmed"
    assert verdicts["E4.5"] == verdicts["E4.7"] == NOT_TESTABLE
    assert verdicts["E4.8"].endswith("(here it breaks at kappa = 100000)")
    assert verdicts["E4.9"] == "refuted"
    for changed in measured[1][1]["rows"]:
        if changed["method"] == "kfac":
            changed["status"] = "violated"
    flipped = {entry.id: entry.verdict for entry in e4_entries("small", measured)}
    assert {name for name in flipped if flipped[name] != verdicts[name]} == {"E4.2"}


def test_a_violation_by_the_generic_route_refutes() -> None:
    measured = results()
    measured[1][1]["generic"][0]["status"] = "violated"
    assert {entry.id: entry.verdict for entry in e4_entries("small", measured)}["E4.1"] == "refuted"


def test_claims_without_figures_are_left_out() -> None:
    assert e4_entries("small", []) == e3_entries("small", []) == []
    assert [entry.id for entry in e4_entries("small", [results()[2]])] == ["E4.8"]

import pytest
import torch

from fishergauge.reports.cost import Comparison, Cost, measure, peak_bytes, running_maximum, seconds
from fishergauge.reports.cost_table import cost_markdown, cost_table

KILO = 1000 * 8


def test_the_peak_counts_what_is_held_at_once() -> None:
    def together() -> torch.Tensor:
        first, second = torch.zeros(1000, dtype=torch.float64), torch.zeros(1000, dtype=torch.float64)
        return first.add_(second)

    def in_turn() -> torch.Tensor:
        torch.zeros(1000, dtype=torch.float64)
        return torch.zeros(1000, dtype=torch.float64)

    assert peak_bytes(together) == 2 * KILO
    assert peak_bytes(in_turn) == KILO


def test_the_peak_counts_from_the_start() -> None:
    kept = torch.zeros(10**6, dtype=torch.float64)
    assert peak_bytes(lambda: kept[:10].neg()) == 80


def test_the_peak_sees_workspaces_inside_operators() -> None:
    matrix = torch.eye(100, dtype=torch.float64)
    result = matrix.numel() * 8 + 100 * 8
    assert peak_bytes(lambda: torch.linalg.eigh(matrix)) > result + matrix.numel() * 8


def test_the_peak_is_deterministic_and_survives_an_exception() -> None:
    def fail() -> None:
        torch.zeros(10)
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        peak_bytes(fail)
    peaks = {peak_bytes(lambda: torch.linalg.eigh(torch.eye(40, dtype=torch.float64))) for _ in range(3)}
    assert len(peaks) == 1


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    peak_bytes(lambda: torch.ones(3))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("changes", "expected"), [([3, -1, 3, -5], 5), ([], 0), ([-7, 2], 0)])
def test_running_maximum(changes: list[int], expected: int) -> None:
    assert running_maximum(changes) == expected


def test_measure_times_as_often_as_asked() -> None:
    calls: list[int] = []
    assert measure(lambda: calls.append(1), runs=2).seconds >= 0
    assert len(calls) == 3
    with pytest.raises(ValueError, match="at least one call"):
        measure(lambda: None, runs=0)


def comparison(task: str, time: float, peak: int) -> dict[str, object]:
    return Comparison(task, 0, Cost(time, peak), Cost(0.1, 1000), 1e-15).row()


def test_the_table_judges_speed_and_memory() -> None:
    good, slow, large = comparison("E3", 1.0, 5000), comparison("E4", 0.9, 5000), comparison("E1", 2.0, 4999)
    table = {row["task"]: row for row in cost_table([good, slow, large])}
    assert (table["E3"]["fast_enough"], table["E4"]["fast_enough"]) == (True, False)
    assert (table["E3"]["small_enough"], table["E1"]["small_enough"]) == (True, False)
    assert table["E3+E4"]["speedup"] == pytest.approx(9.5)
    assert "E3+E4" in cost_markdown({"synthetic": list(table.values())})
    assert cost_markdown({"digits": []}) == ""


def test_times_are_taken_on_one_thread_and_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    seconds(lambda: seen.append(torch.get_num_threads()))
    assert seen == [1]
    assert torch.get_num_threads() == before

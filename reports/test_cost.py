import pytest
import torch

from fishergauge.reports.cost import Comparison, Cost, measure, seconds
from fishergauge.reports.cost_table import cost_markdown, cost_table


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

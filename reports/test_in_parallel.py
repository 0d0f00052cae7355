"""Results come in the order of the tasks, from this process or from several."""

import math
import os
from operator import pow as power

import pytest

from fishergauge.reports.in_parallel import in_parallel


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    assert in_parallel(power, [(2, n) for n in range(5)], jobs) == [1, 2, 4, 8, 16]
    assert in_parallel(math.sqrt, [(4.0,)], jobs) == [2.0]
    processes = set(in_parallel(os.getpid, [(), (), ()], jobs))
    assert (os.getpid() in processes) == (jobs == 1)

"""A subject as implementations: what it does to the process it shares with the others is put back and said."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, ggn
from fishergauge.suites.benchmarks.implementation import flattened
from fishergauge.suites.benchmarks.measurement import measure
from fishergauge.suites.benchmarks.of_subject import SHARED, implementations
from fishergauge.suites.benchmarks.problems import Bench, perceptron
from fishergauge.suites.subject import Subject

TINY = Bench("tiny", "tiny", "small", "tiny", lambda: perceptron((3, 2), 5, "tiny"))


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    before = [each.read() for each in SHARED]
    yield
    for each, value in zip(SHARED, before, strict=True):
        each.write(value)


def building(act: Callable[[], Any]) -> Callable[[Problem], Tensor]:
    """The right matrix, after something else."""

    def build(problem: Problem) -> Tensor:
        matrix = ggn(problem).dense()
        act()
        return matrix

    return build


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "number of threads"),
        (lambda: torch.set_grad_enabled(False), "gradient mode"),
        (lambda: torch.set_default_dtype(torch.float16), "default dtype"),
    ],
    ids=["threads", "gradients", "dtype"],
)
def test_what_a_subject_sets_for_the_process_is_put_back_and_said(act: Callable[[], Any], named: str) -> None:
    before = [each.read() for each in SHARED]
    chosen = [each for each in implementations(Subject("mine", building(act), "ggn")) if each.task.operation == "dense"]
    (record,) = measure(chosen, [TINY], time=False)
    assert record.verified is False
    assert f"it left changed for the whole process: {named}" in record.reason
    assert [each.read() for each in SHARED] == before


def test_a_subject_that_leaves_the_process_alone_is_right() -> None:
    chosen = [
        each for each in implementations(Subject("mine", building(lambda: None), "ggn")) if each.task.operation == "dense"
    ]
    (record,) = measure(chosen, [TINY], time=False)
    assert record.verified is True


def test_a_subject_does_not_end_the_run() -> None:
    def leave() -> None:
        raise SystemExit(4)

    for record in measure(implementations(Subject("mine", building(leave), "ggn")), [TINY], time=False):
        assert record.verified is False
        assert "it called sys.exit(4); raise NotImplementedError to refuse a problem" in record.reason


@pytest.mark.parametrize("result", ["text", ["text"], b"text", 3, {"a": None}], ids=str)
def test_what_holds_no_tensors_is_no_result(result: Any) -> None:
    with pytest.raises(TypeError, match="a result is made of tensors, not of"):
        flattened(TINY.problem(), result)

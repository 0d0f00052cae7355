"""A block of a layer is not determined where two layers share a weight; a block of a parameter is."""

import pytest
from torch import Tensor

from fishergauge.reference import Problem, fisher
from fishergauge.suites import Subject, check
from fishergauge.suites.subject import Bias


def by_parameter(problem: Problem) -> Tensor:
    return fisher(problem).block_diagonal(per="parameter")


@pytest.mark.parametrize(
    ("bias", "scale", "verdict"), [("separate", 1, "holds"), ("separate", 2, "violated"), ("joint", 1, None)]
)
def test_blocks_of_layers_are_not_examined_where_a_weight_is_tied(bias: Bias, scale: int, verdict: str | None) -> None:
    subject = Subject("blocks", lambda problem: scale * by_parameter(problem), structure="block-diagonal", bias=bias)
    report = check(subject, problems="tied-autoencoder", claims="T1", isolate=False)
    assert [record.verdict for record in report.records] == ([verdict] if verdict else [])

"""The rows of exact matrices, and entries that are drawn."""

from collections.abc import Callable, Mapping

import pytest
import torch

from fishergauge.reference import Curvature, Problem, empirical_fisher, fisher, ggn, hessian
from fishergauge.suites.probes.exact_rows import ENTRIES, MOST_ROWS, drawn_places, few_rows, named_place, rows_of, unit_vector
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.subject import Subject, Target
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem

BUILDS: Mapping[Target, Callable[[Problem], Curvature]] = {
    "fisher": fisher,
    "ggn": ggn,
    "empirical-fisher": empirical_fisher,
    "hessian": hessian,
}


def case_of(problem: Problem, target: Target = "ggn") -> ProbeCase:
    return ProbeCase(Subject("right", BUILDS[target], target), problem, tags_of(problem))


@pytest.mark.parametrize("target", ["fisher", "ggn", "empirical-fisher"])
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "loss-per-position", "masked-labels", "linear-regression"])
def test_outer_products_of_rows_are_the_matrix(name: str, target: Target) -> None:
    problem = catalogue_problem(name)
    dense = BUILDS[target](problem).dense()
    total = torch.zeros_like(dense)
    for row in rows_of(case_of(problem, target)):
        total += torch.outer(row, row)
    torch.testing.assert_close(total, dense, rtol=1e-10, atol=1e-12)


def test_rows_are_few_or_not() -> None:
    small = zoo_problem("mlp-tanh-softmax")
    assert few_rows(case_of(small))
    assert not few_rows(case_of(small, "hessian"))
    many = catalogue_problem("stat-mlp-softmax")
    assert ggn(many).root[:, :, 0].numel() > MOST_ROWS
    assert not few_rows(case_of(many))


def test_places_are_ends_and_draws() -> None:
    case = case_of(catalogue_problem("cnn"))
    places = drawn_places(case)
    ends = {place for part in case.slices().values() for place in (part.start, part.stop - 1)}
    assert ends <= set(places)
    assert len(ends) < len(places) <= len(ends) + ENTRIES
    assert places == sorted(set(places)) == drawn_places(case_of(case.problem))


def test_unit_vector_and_name_of_a_place() -> None:
    case = case_of(zoo_problem("mlp-tanh-softmax"))
    name, part = list(case.slices().items())[1]
    assert named_place(case, part.start + 1) == f"{name}, entry 1"
    assert unit_vector(case, part.start).nonzero().flatten().tolist() == [part.start]

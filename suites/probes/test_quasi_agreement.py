"""Quasi-diagonals by products: either form is recognised, its entries compared, and what is beside it seen."""

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, block_slices, fisher, quasi_diagonal
from fishergauge.suites.claim import NotHere
from fishergauge.suites.probes import exact_rows
from fishergauge.suites.probes.altered_operator import altered_case, directions, low_rank
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.quasi_agreement import quasi_diagonal as measured
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import catalogue_problem, zoo_problem


@pytest.fixture(scope="module")
def problem() -> Problem:
    return zoo_problem("mlp-tanh-softmax")


def units(problem: Problem) -> list[tuple[int, list[int]]]:
    """The place of each bias and of the weights of its unit, by the names of a perceptron."""
    slices, found = block_slices(problem, "parameter"), []
    for name, part in slices.items():
        if name.endswith("bias"):
            weights = slices[name.replace("bias", "weight")]
            count = part.stop - part.start
            width = (weights.stop - weights.start) // count
            found += [
                (part.start + i, list(range(weights.start + i * width, weights.start + (i + 1) * width))) for i in range(count)
            ]
    return found


def plain(problem: Problem) -> Tensor:
    """The quasi-diagonal with zeros between the weights of a unit, entry by entry."""
    exact = fisher(problem).dense()
    matrix = exact.diagonal().diag()
    for bias, weights in units(problem):
        matrix[bias, weights] = matrix[weights, bias] = exact[weights, bias]
    return matrix


def completed(problem: Problem) -> Tensor:
    """The one whose inverse has zeros there."""
    matrix = plain(problem)
    for bias, weights in units(problem):
        outer = torch.outer(matrix[weights, bias], matrix[bias, weights]) / matrix[bias, bias]
        places = torch.tensor(weights)
        matrix[places[:, None], places] = outer - outer.diag().diag() + matrix[places, places].diag()
    return matrix


def case_of(problem: Problem, matrix: Tensor) -> ProbeCase:
    return ProbeCase(Subject("quasi", lambda p: matrix, structure="quasi-diagonal"), problem, tags_of(problem))


@pytest.mark.parametrize("most", [0, 640])
@pytest.mark.parametrize("form", [plain, completed])
def test_both_forms_hold(problem: Problem, form: object, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_rows, "MOST_ROWS", most)
    found = measured(case_of(problem, form(problem)))  # type: ignore[operator]
    assert found.holds, found.witness


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["mlp-tanh-gaussian", "cnn", "loss-per-position", "frozen-first-layer"])
def test_that_of_the_reference_holds(name: str, dtype: torch.dtype) -> None:
    right = catalogue_problem(name, dtype)
    case = ProbeCase(Subject("right", quasi_diagonal, structure="quasi-diagonal"), right, tags_of(right))
    found = measured(case)
    assert found.holds, found.witness


@pytest.mark.parametrize("most", [0, 640])
@pytest.mark.parametrize("form", [plain, completed])
def test_changed_entries_are_seen(problem: Problem, form: object, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_rows, "MOST_ROWS", most)
    right = form(problem)  # type: ignore[operator]
    bias, weights = units(problem)[0]
    last_bias, last_weights = units(problem)[-1]
    changes = {
        "the product with the bias": (weights[0], bias),
        "the diagonal of a weight": (last_weights[-1], last_weights[-1]),
        "the diagonal of a bias": (last_bias, last_bias),
        "between weights": (weights[0], weights[1]),
        "between units": (weights[0], last_bias),
    }
    for title, (i, j) in changes.items():
        wrong = right.clone()
        wrong[i, j] += 0.01 * right.diagonal().max()
        wrong[j, i] = wrong[i, j]
        assert not measured(case_of(problem, wrong)).holds, title


def test_one_side_alone_is_seen(problem: Problem) -> None:
    assert not measured(case_of(problem, plain(problem).triu())).holds


def test_witness_says_which_entries(problem: Problem) -> None:
    exact = plain(problem)
    assert "the products with the bias" in measured(case_of(problem, exact.diagonal().diag())).witness
    found = measured(case_of(problem, exact + exact.diagonal().diag()))
    assert "the diagonal: " in found.witness
    assert "ratio to the expected block 2 in every entry" in found.witness


@pytest.mark.parametrize("seed", range(6))
def test_what_is_beside_it_is_seen_at_the_power(problem: Problem, seed: int) -> None:
    matrix = plain(problem)
    uv = directions(problem, 2, "quasi", seed)

    def case(size: float) -> ProbeCase:
        change = low_rank(size * 2 * float(matrix.norm()) * uv[:, :1], uv[:, 1:])
        return altered_case(problem, lambda p: matrix, change, seed, structure="quasi-diagonal")

    power = 20 * measured(case(0)).bound
    assert not measured(case(1.5 * power)).holds
    assert measured(case(power / 1e6)).holds


@pytest.mark.parametrize("name", ["tied-autoencoder", "reused-layer"])
def test_units_of_several_layers_are_none(name: str) -> None:
    problem = catalogue_problem(name)
    with pytest.raises(NotHere, match="several units"):
        measured(case_of(problem, torch.eye(problem.num_parameters, dtype=torch.float64)))


def test_units_of_attention_are_not_told() -> None:
    problem = zoo_problem("attention")
    with pytest.raises(NotHere, match="nothing tells its units"):
        measured(case_of(problem, torch.eye(problem.num_parameters, dtype=torch.float64)))

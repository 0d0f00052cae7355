"""Minibatch estimates of the Fisher: unbiased over all batches, and how far the snapshot helps."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Curvature, Problem, ProblemError, fisher, ggn
from fishergauge.reference.variance_reduced_fisher import minibatch, minibatch_curvature, variance_reduced_fisher
from fishergauge.suites.closeness import ClaimViolated, assert_close
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator

SIZE = 2


def classification(loss: nn.Module, samples: int = 6) -> Problem:
    """A small perceptron with three classes; label 0 occurs."""
    draws = generator("variance reduction")
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    inputs = torch.randn(samples, 2, generator=draws, dtype=torch.float64)
    return Problem(model, loss, [(inputs, torch.arange(samples) % 3)])


def direction(problem: Problem) -> Tensor:
    """A random direction of norm one."""
    draws = torch.randn(problem.num_parameters, generator=generator("snapshot"), dtype=torch.float64)
    unit: Tensor = draws / draws.norm()
    return unit


def over_batches(problem: Problem, estimate: Callable[[Tensor], Curvature]) -> Tensor:
    """The estimates of all minibatches, ``(number, P, P)``."""
    batches = combinations(range(problem.num_samples), SIZE)
    return torch.stack([estimate(torch.tensor(batch)).dense() for batch in batches])


def variance(estimates: Tensor) -> float:
    """The mean squared distance from the mean, over all entries."""
    return float((estimates - estimates.mean(0)).square().sum((1, 2)).mean())


LOSSES = {
    "mean": nn.CrossEntropyLoss(),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "masked": nn.CrossEntropyLoss(ignore_index=0),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_both_estimates_are_unbiased_over_all_batches(loss: nn.Module) -> None:
    problem = classification(loss, samples=5)  # labels 0 1 2 0 1
    if loss.ignore_index == 0:  # no minibatch may be masked altogether
        problem = Problem(problem.model, loss, [(problem.inputs, torch.tensor([0, 1, 2, 2, 1]))])
    snapshot = problem.vector + direction(problem)
    exact = fisher(problem).dense()
    plain = over_batches(problem, lambda batch: minibatch_curvature(problem, batch))
    reduced = over_batches(problem, lambda batch: variance_reduced_fisher(problem, batch, snapshot))
    assert_close(plain.mean(0), exact, "plain", size=100)
    assert_close(reduced.mean(0), exact, "variance reduced", size=100)
    there = fisher(problem.at(snapshot)).dense()
    for wrong in (plain.mean(0) + there - there / 2, reduced.mean(0) - exact + there):  # half a control; the snapshot's Fisher
        with pytest.raises(ClaimViolated):
            assert_close(wrong, exact, "variance reduced", size=100)


@pytest.mark.parametrize(
    ("loss", "curvature"),
    [(LOSSES["sum"], fisher), (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0, 9.0]).double()), ggn)],
    ids=["sum", "weighted mean"],
)
def test_the_curvature_of_the_minibatch_itself_is_biased_under_a_sum_and_under_class_weights(
    loss: nn.Module, curvature: Callable[[Problem], Curvature]
) -> None:
    problem = classification(loss, samples=5)
    exact = curvature(problem).dense()
    scaled = over_batches(problem, lambda batch: minibatch_curvature(problem, batch, curvature))
    assert_close(scaled.mean(0), exact, "scaled", size=100)
    naive = over_batches(problem, lambda batch: curvature(minibatch(problem, batch)))
    with pytest.raises(ClaimViolated):
        assert_close(naive.mean(0), exact, "naive", size=100)


def test_at_the_snapshot_every_batch_gives_the_exact_fisher() -> None:
    problem = classification(LOSSES["mean"])
    exact = fisher(problem).dense()
    for estimate in over_batches(problem, lambda batch: variance_reduced_fisher(problem, batch, problem.vector)):
        assert_close(estimate, exact, "at the snapshot", size=100)
    plain = over_batches(problem, lambda batch: minibatch_curvature(problem, batch))
    assert variance(plain) > 1e-3 * float(exact.square().sum())  # the control


def ratio_at(problem: Problem, distance: float) -> float:
    """Variance of the reduced estimate over that of the plain one, with a snapshot so far away."""
    snapshot = problem.vector + distance * direction(problem)
    full = fisher(problem.at(snapshot))
    reduced = over_batches(problem, lambda batch: variance_reduced_fisher(problem, batch, snapshot, full))
    return variance(reduced) / variance(over_batches(problem, lambda batch: minibatch_curvature(problem, batch)))


def test_the_variance_is_lower_near_the_snapshot_and_higher_far_from_it(note: Note) -> None:
    problem = classification(LOSSES["mean"])
    ratios = {distance: ratio_at(problem, distance) for distance in (1e-3, 2e-3, 1e-1, 3.0, 10.0)}
    assert ratios[1e-3] < 1e-4
    assert ratios[2e-3] / ratios[1e-3] == pytest.approx(4, rel=0.02)  # quadratic in the distance, up to O(distance)
    assert ratios[1e-1] < 1 < max(ratios[3.0], ratios[10.0])
    note("variance of the reduced over the plain Fisher: " + ", ".join(f"{r:.2g} at {d:g}" for d, r in ratios.items()))


def test_the_estimate_need_not_be_positive_semi_definite() -> None:
    problem = classification(LOSSES["mean"])
    snapshot = problem.vector + 3 * direction(problem)
    reduced = over_batches(problem, lambda batch: variance_reduced_fisher(problem, batch, snapshot))
    lowest = torch.linalg.eigvalsh(reduced)[:, 0]
    assert float(lowest.min()) < -0.01 * float(torch.linalg.eigvalsh(fisher(problem).dense())[-1])
    plain = over_batches(problem, lambda batch: minibatch_curvature(problem, batch))
    assert float(torch.linalg.eigvalsh(plain)[:, 0].min()) > -1e-12  # the control


def test_all_forms_of_an_estimate_are_those_of_its_matrix() -> None:
    problem = classification(LOSSES["mean"])
    estimate = variance_reduced_fisher(problem, torch.tensor([1, 4]), problem.vector + direction(problem))
    dense, scale = estimate.dense(), float(fisher(problem).dense().norm())
    assert_close(estimate.diagonal(), dense.diagonal(), "diagonal", scale=scale)
    vectors = torch.stack([direction(problem), problem.vector], 1)
    assert_close(estimate @ vectors, dense @ vectors, "products", scale=scale * float(vectors.norm()))
    assert_close(estimate @ vectors[:, 0], dense @ vectors[:, 0], "product", scale=scale)
    first = estimate.blocks("layer")["0"]
    assert_close(first, dense[: len(first), : len(first)], "block", scale=scale)
    with pytest.raises(ClaimViolated):
        assert_close(first, fisher(problem).blocks("layer")["0"], "the block of another matrix", scale=scale)


def test_an_empty_minibatch_is_refused() -> None:
    problem = classification(LOSSES["mean"])
    with pytest.raises(ProblemError, match="at least one index"):
        minibatch_curvature(problem, torch.tensor([], dtype=torch.long))

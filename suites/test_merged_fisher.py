"""The Fisher over several workers: sums and counts, not the mean of means."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ProblemError, fisher
from fishergauge.reference.curvature import Per
from fishergauge.reference.linear_combination import LinearCombination
from fishergauge.reference.merged_fisher import merged
from fishergauge.suites.closeness import ClaimViolated, assert_close, relative_deviation
from fishergauge.suites.conftest import Note
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

LOSSES = {
    "cross-entropy mean": nn.CrossEntropyLoss(),
    "cross-entropy sum": nn.CrossEntropyLoss(reduction="sum"),
    "masked": nn.CrossEntropyLoss(ignore_index=0),
    "squared error mean": nn.MSELoss(),
    "squared error sum": nn.MSELoss(reduction="sum"),
}


def data_of(loss: nn.Module) -> Problem:
    """Ten samples, with inputs that grow, so that the shards differ."""
    draws = generator("merged")
    inputs = torch.randn(10, 2, generator=draws, dtype=torch.float64) * torch.linspace(0.5, 2, 10).double()[:, None]
    model = nn.Linear(2, 3).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 0, 0])
    targets: Tensor = labels if isinstance(loss, nn.CrossEntropyLoss) else inputs @ torch.ones(2, 3).double()
    return Problem(model, loss, [(inputs, targets)])


def shards(problem: Problem, *sizes: int) -> list[Problem]:
    """The data of each worker, in order."""
    inputs, targets = (torch.split(data, list(sizes)) for data in (problem.inputs, problem.targets))
    return [Problem(problem.model, problem.loss, [pair]) for pair in zip(inputs, targets, strict=True)]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_merged_shards_of_seven_and_three_are_the_whole(loss: nn.Module) -> None:
    problem = data_of(loss)
    whole, parts = fisher(problem).dense(), [fisher(part) for part in shards(problem, 7, 3)]
    together = merged(parts)
    assert_close(together.dense(), whole, "merged", size=10)
    vector = problem.vector
    assert_close(together @ vector, whole @ vector, "its products", scale=float(whole.norm() * vector.norm()), size=10)
    assert_close(together.diagonal(), whole.diagonal(), "its diagonal", size=10)
    mean_of_means = LinearCombination(parts, [0.5, 0.5]).dense()
    with pytest.raises(ClaimViolated):
        assert_close(mean_of_means, whole, "mean of means", size=10)


def test_counts_can_be_given_and_only_their_ratio_matters() -> None:
    problem = data_of(LOSSES["squared error mean"])
    parts = [fisher(part) for part in shards(problem, 7, 3)]
    whole = fisher(problem).dense()
    for counts in ([7, 3], [21, 9], [0.7, 0.3]):
        assert_close(merged(parts, counts).dense(), whole, "counts", size=10)
    with pytest.raises(ClaimViolated):
        assert_close(merged(parts, [3, 7]).dense(), whole, "swapped counts", size=10)


def test_labels_are_counted_and_not_samples() -> None:
    problem = data_of(LOSSES["masked"])  # five of seven labels count with the one worker, one of three with the other
    parts, whole = [fisher(part) for part in shards(problem, 7, 3)], fisher(problem).dense()
    with pytest.raises(ClaimViolated):
        assert_close(merged(parts, [7, 3]).dense(), whole, "numbers of samples", size=10)
    counted = [int((part.targets != 0).sum()) for part in shards(problem, 7, 3)]
    assert_close(merged(parts, counted).dense(), whole, "numbers of labels", size=10)


def test_a_worker_without_data_changes_nothing() -> None:
    for name in ("cross-entropy mean", "cross-entropy sum"):
        problem = data_of(LOSSES[name])
        parts = [fisher(part) for part in shards(problem, 7, 3)]
        whole = fisher(problem).dense()
        assert_close(merged([parts[0], None, parts[1]]).dense(), whole, "an empty shard", size=10)
        assert_close(merged([parts[0], None, parts[1]], [7, 0, 3]).dense(), whole, "an empty shard, counted", size=10)
        thirds = LinearCombination(parts, [1 / 3, 1 / 3]).dense()  # the control: a zero matrix averaged in
        with pytest.raises(ClaimViolated):
            assert_close(thirds, whole, "a zero matrix", size=10)


def test_equal_shards_hide_the_mistake_and_uneven_ones_show_it(note: Note) -> None:
    problem = data_of(LOSSES["cross-entropy mean"])
    whole = fisher(problem).dense()
    even = LinearCombination([fisher(part) for part in shards(problem, 5, 5)], [0.5, 0.5]).dense()
    assert_close(even, whole, "five and five", size=10)
    uneven = LinearCombination([fisher(part) for part in shards(problem, 7, 3)], [0.5, 0.5]).dense()
    error = relative_deviation(uneven, whole)
    assert error > 0.05
    note(f"the mean of worker means on shards of 7 and 3 is {error:.0%} off")


def test_what_cannot_be_merged_is_refused_by_name() -> None:
    problem = data_of(LOSSES["cross-entropy mean"])
    first, second = (fisher(part) for part in shards(problem, 7, 3))
    with pytest.raises(ProblemError, match="no worker has data"):
        merged([None, None])
    with pytest.raises(ProblemError, match="one a worker"):
        merged([first, second], [7])
    with pytest.raises(ProblemError, match="count 0"):
        merged([first, second], [7, 0])
    with pytest.raises(ProblemError, match="count 0"):
        merged([first, None], [7, 3])
    with pytest.raises(ProblemError, match="not be negative"):
        merged([first, second], [7, -3])
    with pytest.raises(ProblemError, match="same reduction"):
        merged([first, fisher(data_of(LOSSES["cross-entropy sum"]))])
    with pytest.raises(ProblemError, match="different parameters"):
        merged([first, fisher(second.problem.at(problem.vector + 1))])
    with pytest.raises(ProblemError, match="different shapes"):
        LinearCombination([first, fisher(zoo_problem("mlp-tanh-softmax"))], [1.0, 1.0])
    with pytest.raises(ProblemError, match="no combination"):
        LinearCombination([first], [1.0, 1.0])


@pytest.mark.parametrize("per", ["layer", "parameter"])
def test_a_combination_has_the_blocks_of_its_matrix(per: Per) -> None:
    curvature = fisher(zoo_problem("mlp-tanh-softmax"))
    found, expected = LinearCombination([curvature, curvature], [2.0, -0.5]).blocks(per), curvature.blocks(per)
    assert found.keys() == expected.keys()
    for name, block in found.items():
        assert_close(block, 1.5 * expected[name], name, condition=10)

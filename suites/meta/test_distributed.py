"""One Fisher over ranks: the reference on shards is the reference on all data, on every rank, and refuses what it must."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from fishergauge.reference import Problem, ProblemError, empirical_fisher, fisher, ggn, gradient, hessian, kfac
from fishergauge.reference.distributed import (
    RankError,
    Ranks,
    Shard,
    sharded_curvature,
    sharded_gradient,
    sharded_kfac,
    shards_of,
)
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.ranks import RanksFailed, in_ranks, run_ranks
from fishergauge.suites.zoo import catalogue_problem

Group = distributed.ProcessGroup
UNEVEN: dict[int, list[tuple[int, ...]]] = {1: [(6,)], 2: [(5, 1), (0, 6)], 3: [(3, 1, 2), (5, 0, 1), (0, 0, 6)]}
TARGETS: dict[str, Callable[[Problem], Any]] = {
    "fisher": fisher,
    "ggn": ggn,
    "hessian": hessian,
    "empirical-fisher": empirical_fisher,
}


@cache
def six(loss: str, reduction: str) -> Problem:
    """Six samples of a small perceptron; of the labels of the second and the last some are masked."""
    source = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 3)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source))
    inputs = torch.randn(6, 3, generator=source, dtype=torch.float64)
    labels = torch.tensor([0, -100, 2, 1, 1, -100])
    weight = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)
    losses: dict[str, tuple[nn.Module, Tensor]] = {
        "squared": (nn.MSELoss(reduction=reduction), torch.randn(6, 3, generator=source, dtype=torch.float64)),
        "binary": (nn.BCEWithLogitsLoss(reduction=reduction), (inputs > 0).double()),
        "masked": (nn.CrossEntropyLoss(reduction=reduction), labels),
        "weighed": (nn.CrossEntropyLoss(weight, reduction=reduction), labels.clamp(min=0)),
    }
    module, targets = losses[loss]
    return Problem(model, module, [(inputs, targets)], f"six-{loss}-{reduction}")


def on_all(problem: Problem, layouts: Sequence[Sequence[int]], made: Callable[[Shard, Group], Any]) -> list[list[Any]]:
    """What each rank makes of each layout, by layout."""

    def function(rank: int, group: Group) -> list[Any]:
        return [made(shards_of(problem, counts)[rank], group) for counts in layouts]

    by_rank = in_ranks(function, len(layouts[0]))
    return [list(values) for values in zip(*by_rank, strict=True)]


def numbers(made: dict[str, Tensor]) -> dict[str, Any]:
    """Arrays, which are sent by value."""
    return {name: tensor.numpy() for name, tensor in made.items()}


# --- what is the same ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["squared", "binary", "masked", "weighed"])
def test_every_rank_has_the_matrix_of_all_data_in_every_form(loss: str, reduction: str, world: int) -> None:
    problem, target = six(loss, reduction), "ggn" if loss == "weighed" else "fisher"
    vectors = torch.randn(problem.num_parameters, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def forms(matrix: Any) -> dict[str, Tensor]:
        blocks = {f"block {name}": block for per in ("layer", "parameter") for name, block in matrix.blocks(per).items()}
        products = {"products": matrix @ vectors, "product": matrix @ vectors[:, 0]}
        return {"dense": matrix.dense(), "diagonal": matrix.diagonal(), "trace": matrix.trace(), **products, **blocks}

    def made(shard: Shard, group: Group) -> dict[str, Any]:
        exact = forms(sharded_curvature(shard, group, TARGETS[target]))
        step = {"gradient": sharded_gradient(shard, group)}
        factored = {
            f"kfac {bias} {sharing}": sharded_kfac(shard, group, target, bias, sharing).dense()  # type: ignore[arg-type]
            for bias in ("joint", "separate")
            for sharing in ("expand", "reduce")
        }
        return numbers({**exact, **factored, **step})

    expected = {**forms(TARGETS[target](problem)), "gradient": gradient(problem)}
    for bias in ("joint", "separate"):
        for sharing in ("expand", "reduce"):
            expected[f"kfac {bias} {sharing}"] = kfac(problem, target, bias, sharing).dense()  # type: ignore[arg-type]
    for values in on_all(problem, UNEVEN[world], made):
        assert len(values) == world
        for value in values:
            assert value.keys() == expected.keys()
            for name, right in expected.items():
                assert_close(torch.as_tensor(value[name]), right, name, size=problem.num_parameters)
            for name, first in values[0].items():
                assert (value[name] == first).all(), f"{name}: the ranks differ in the last digit"


@pytest.mark.parametrize("target", ["hessian", "empirical-fisher"])
@pytest.mark.parametrize("problem", ["conv1d-tagging", "masked-positions", "recurrent"])
def test_other_targets_and_models_too(problem: str, target: str) -> None:
    whole = catalogue_problem(problem)
    counts = (whole.num_samples - 1, 0, 1)
    ((first, second, third),) = on_all(whole, [counts], lambda s, g: sharded_curvature(s, g, TARGETS[target]).dense().numpy())
    exact = TARGETS[target](whole).dense()
    scale = float(exact.norm() + ggn(whole).dense().norm())
    for value in (first, second, third):
        assert_close(torch.as_tensor(value), exact, target, scale=scale)


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize("name", ["masked-positions", "cnn-stride-dilation", "pooled-linear"])
def test_factors_of_layers_at_several_positions_count_those_that_count(name: str, sharing: Any) -> None:
    whole = catalogue_problem(name)
    counts = (whole.num_samples - 2, 2)
    exact = kfac(whole, "ggn", sharing=sharing).dense()
    for value in on_all(whole, [counts], lambda s, g: sharded_kfac(s, g, "ggn", sharing=sharing).dense().numpy())[0]:
        assert_close(torch.as_tensor(value), exact, sharing)


def test_the_mean_of_rank_means_is_another_matrix() -> None:
    problem = six("squared", "mean")
    parts = [ggn(Problem(problem.model, problem.loss, shard.batches)).dense() for shard in shards_of(problem, (5, 1))]
    assert_apart(torch.stack(parts).mean(0), ggn(problem).dense(), "uneven shards")


def test_a_step_by_factors_is_that_of_one_process() -> None:
    problem = six("masked", "mean")
    right = kfac(problem).solve(gradient(problem), 0.1)

    def step(shard: Shard, group: Group) -> Any:
        return sharded_kfac(shard, group).solve(sharded_gradient(shard, group), 0.1).numpy()

    for value in on_all(problem, [(4, 0, 2)], step)[0]:
        assert_close(torch.as_tensor(value), right, "the step", condition=1e2)


def test_one_process_alone_needs_no_group() -> None:
    problem = six("binary", "mean")
    assert not Ranks().joined
    assert_close(sharded_curvature(problem).dense(), fisher(problem).dense(), "alone")
    assert_close(sharded_kfac(problem).dense(), kfac(problem).dense(), "alone")


def test_a_group_of_some_processes_leaves_the_others_alone() -> None:
    problem = six("squared", "mean")

    def function(rank: int, everybody: Group) -> Any:
        group = distributed.new_group([0, 2])
        if rank == 1:
            with pytest.raises(ProblemError, match="does not belong to the group"):
                Ranks(group)
            return None
        return sharded_curvature(shards_of(problem, (2, 4))[distributed.get_rank(group)], group, ggn).dense().numpy()

    first, outside, last = in_ranks(function, 3)
    assert outside is None
    for value in (first, last):
        assert_close(torch.as_tensor(value), ggn(problem).dense(), "two of three")


# --- shards -------------------------------------------------------------------------------------------------------------


def test_a_shard_may_be_empty_or_all_masked_and_a_problem_may_not() -> None:
    problem = six("masked", "mean")
    empty, masked, rest = shards_of(problem, (0, 2, 4))
    assert (empty.num_samples, empty.num_parameters, empty.inputs.shape) == (0, problem.num_parameters, (0, 3))
    assert empty.model is problem.model
    assert replace(empty).num_samples == empty.at(problem.vector).num_samples == 0
    assert masked.num_samples + rest.num_samples == 6
    nothing = (problem.inputs[1:2], problem.targets[1:2])
    assert Shard(problem.model, problem.loss, [nothing]).num_samples == 1
    for batch in (nothing, empty.batches[0]):
        with pytest.raises(ProblemError, match="undefined"):
            Problem(problem.model, problem.loss, [batch])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "a shard has batches of tensors"),
        ([(torch.ones(0, 3), None)], "a shard has batches of tensors"),
        ([(torch.ones(2, 3), torch.ones(3, 3))], "must share their first axis"),
        ([(torch.ones(2, 3), torch.ones(2, 4))], "compares outputs"),
    ],
)
def test_a_malformed_shard_is_refused(batches: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        Shard(nn.Linear(3, 3), nn.MSELoss(), batches)


@pytest.mark.parametrize("counts", [(6, 1), (7, -1), (5,)])
def test_pieces_are_all_the_data(counts: tuple[int, ...]) -> None:
    with pytest.raises(ProblemError, match="are not the 6 of six-squared-mean"):
        shards_of(six("squared", "mean"), counts)


# --- what is refused, on every rank -------------------------------------------------------------------------------------


def refusals(function: Callable[[int, Group], Any], world: int = 2) -> list[str]:
    """Why each rank refused."""
    outcomes = run_ranks(function, world, limit=20.0)
    assert all(outcome.seconds < 10 for outcome in outcomes), "it was waited for"
    return [outcome.failure.reason if outcome.failure else "returned" for outcome in outcomes]


def test_other_parameters_or_another_loss_are_refused_at_once_and_everywhere() -> None:
    problem = six("squared", "mean")

    def other_parameters(rank: int, group: Group) -> None:
        shard = shards_of(problem, (3, 3))[rank]
        sharded_curvature(shard if rank == 0 else shard.at(shard.vector + 1e-12), group)

    def other_reduction(rank: int, group: Group) -> None:
        shard = shards_of(problem, (3, 3))[rank]
        sharded_kfac(shard if rank == 0 else replace(shard, loss=nn.MSELoss(reduction="sum")), group)

    def other_options(rank: int, group: Group) -> None:
        sharded_kfac(shards_of(problem, (3, 3))[rank], group, bias=("joint", "separate")[rank])

    for function, what in (
        (other_parameters, "parameters"),
        (other_reduction, "reduction"),
        (other_options, "treatment of the bias"),
    ):
        for reason in refusals(function):
            assert f"ProblemError: the ranks differ in {what}: rank 1 from rank 0" in reason


def test_no_data_and_no_label_that_counts_are_refused_everywhere() -> None:
    problem = six("masked", "mean")
    masked = torch.full((4,), -100)

    def nothing(rank: int, group: Group) -> None:
        sharded_curvature(shards_of(problem, (0, 6, 0))[0], group)

    def ignored(rank: int, group: Group) -> None:
        sharded_gradient(Shard(problem.model, problem.loss, [(problem.inputs[: 4 * rank], masked[: 4 * rank])]), group)

    assert all("no rank has data" in reason for reason in refusals(nothing))
    assert all("no label of any rank counts" in reason for reason in refusals(ignored))


def test_a_rank_that_cannot_is_not_waited_for_and_the_others_name_it() -> None:
    problem = six("squared", "mean")

    def refusing(part: Problem) -> Any:
        raise NotImplementedError("this rank has no such matrix")

    def function(rank: int, group: Group) -> None:
        sharded_curvature(shards_of(problem, (2, 4))[rank], group, refusing if rank else ggn)

    first, second = refusals(function)
    assert "NotImplementedError: this rank has no such matrix" in second
    assert "RankError: rank 0 of 2: rank 1 could not make its part of the matrix; its own error and traceback say why" in first


def test_a_rank_that_stays_away_ends_in_a_message_that_names_rank_collective_and_remedy() -> None:
    problem = six("squared", "mean")

    def function(rank: int, group: Group) -> None:
        if rank == 0:
            matrix = sharded_curvature(shards_of(problem, (6,))[0], distributed.new_group([0]), ggn)
            matrix.ranks = Ranks(group, seconds=0.5)
            matrix @ problem.vector
        else:
            distributed.new_group([0])

    with pytest.raises(RanksFailed) as raised:
        in_ranks(function, 2, limit=20.0)
    message = str(raised.value)
    assert "RankError: rank 0 of 2: all_reduce of a product was given up after 0.5" in message
    assert "Every rank must reach the same collectives in the same order, a rank without data too" in message
    assert issubclass(RankError, RuntimeError)


# --- CUDA ---------------------------------------------------------------------------------------------------------------

NCCL = """
import sys, torch
from datetime import timedelta
from torch import distributed, nn
from fishergauge.reference import Problem, ggn, kfac
from fishergauge.reference.distributed import sharded_curvature, sharded_kfac, shards_of

def main(rank, world, place):
    torch.cuda.set_device(rank)
    device = f"cuda:{rank}"
    distributed.init_process_group("nccl", init_method=place, rank=rank, world_size=world, timeout=timedelta(seconds=60))
    torch.manual_seed(0)
    model, data = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double(), torch.randn(9, 6).double()
    batch = (data[:, :4].to(device), data[:, 4:].to(device))
    problem = Problem(model.to(device), nn.MSELoss(), [batch])
    counts = (9,) if world == 1 else (7, 2, *(world - 2) * [0])
    shard = shards_of(problem, counts)[rank]
    for mine, right in ((sharded_curvature(shard, None, ggn), ggn(problem)), (sharded_kfac(shard), kfac(problem))):
        torch.testing.assert_close(mine.dense(), right.dense())
        torch.testing.assert_close(mine @ problem.vector, right @ problem.vector)
    distributed.destroy_process_group()

if __name__ == "__main__":
    world = torch.cuda.device_count()
    torch.multiprocessing.spawn(main, (world, sys.argv[1]), nprocs=world)
"""


@pytest.mark.skipif(not torch.cuda.is_available() or not distributed.is_nccl_available(), reason="no CUDA device with nccl")
def test_nccl_on_as_many_devices_as_there_are(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(NCCL)
    command = [sys.executable, str(script), (tmp_path / "rendezvous").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr

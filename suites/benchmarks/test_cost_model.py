"""The cost model on paper grows as what is counted does, sends what ranks send, and is what its page says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import distributed

from fishergauge.reference import ggn
from fishergauge.reference.distributed import sharded_curvature, sharded_gradient, sharded_kfac, shards_of
from fishergauge.suites.benchmarks import cost_of_claims
from fishergauge.suites.benchmarks.cost_model import BILLION, FLEET, OPERATIONS, Cost, Operation, all_reduced
from fishergauge.suites.benchmarks.cost_of_claims import (
    DEPENDS,
    SHARED,
    SOLVING,
    SPECTRAL,
    TAKEN,
    claim_cost,
    claims_table,
    operations_table,
    probe_cost,
    probes_table,
)
from fishergauge.suites.benchmarks.layer_sizes import layer_sizes
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.benchmarks.registry import implementations
from fishergauge.suites.benchmarks.scaling import TOLERANCE, along, fitted_exponent, made
from fishergauge.suites.benchmarks.scaling_grid import axes_of
from fishergauge.suites.benchmarks.scaling_theory import FORMS, matrix_free
from fishergauge.suites.claims import CLAIMS
from fishergauge.suites.correct import correct_subjects
from fishergauge.suites.probes.large.budget import VECTORS
from fishergauge.suites.probes.probing import probe
from fishergauge.suites.probes.registry import PROBES
from fishergauge.suites.ranks import in_ranks

COUNTED = {name: one for name, one in OPERATIONS.items() if one.task}


def excesses(operation: Operation, quick: bool = True) -> dict[str, float]:
    """By how much the counted exponents of operations exceed those of the model, along each axis."""
    (implementation,) = [one for one in implementations(["reference"], globs=[operation.task]) if one.name == "fishergauge"]
    form, found = FORMS["fishergauge", operation.task], {}
    for axis in axes_of(implementation.task, "mlp", matrix_free(implementation.task), quick):
        (row,) = [row for row in along(implementation, form, axis) if row.measure == "flops"]
        on_paper = fitted_exponent(row.sizes, [operation.flops(made(point)[1]) for point in axis.points])
        assert row.exponent is not None
        assert on_paper is not None
        found[axis.name] = row.exponent - on_paper
    return found


@pytest.mark.parametrize("name", COUNTED)
def test_operations_grow_on_paper_as_those_that_are_counted(name: str) -> None:
    found = excesses(COUNTED[name])
    assert found.keys() == {"N", "P", "C"}
    assert all(abs(excess) <= TOLERANCE for excess in found.values()), found


def test_a_power_too_many_or_too_few_on_paper_is_seen() -> None:
    right = COUNTED["product"]
    by_size = replace(right, flops=lambda s: right.flops(s) * s.parameters)
    by_samples = replace(right, flops=lambda s: right.flops(s) / s.samples)
    assert abs(excesses(by_size)["P"]) > TOLERANCE
    assert abs(excesses(by_samples)["N"]) > TOLERANCE


def test_what_ranks_exchange_is_what_the_model_adds_up() -> None:
    problem = perceptron((5, 4, 3), 6, "exchange")
    sizes = layer_sizes(problem)
    assert sizes is not None
    factors = sum(layer.columns**2 + layer.outputs**2 for layer in sizes.layers)

    def counted(rank: int, group: distributed.ProcessGroup) -> dict[str, int]:
        numbers, original = [0], distributed.all_reduce

        def noted(tensor: torch.Tensor, *arguments: Any, **options: Any) -> Any:
            numbers[0] += tensor.numel()
            return original(tensor, *arguments, **options)

        distributed.all_reduce = noted
        shard, found = shards_of(problem, (4, 2))[rank], {}
        matrix = sharded_curvature(shard, group, ggn)
        acts: dict[str, Callable[[], object]] = {
            "product": lambda: matrix @ problem.vector,
            "diagonal": matrix.diagonal,
            "blocks": matrix.blocks,
            "dense": matrix.dense,
            "gradient": lambda: sharded_gradient(shard, group),
            "factors": lambda: sharded_kfac(shard, group),
        }
        for name, act in acts.items():
            numbers[0] = 0
            act()
            found[name] = numbers[0]
        return found

    P = problem.num_parameters
    expected = {"product": P, "diagonal": P, "blocks": sum(layer.parameters**2 for layer in sizes.layers), "dense": P**2}
    expected |= {"gradient": P, "factors": factors}
    counts = 2  # M and the number of samples, where the matrix is made
    for found in in_ranks(counted, 2):
        layers = len(sizes.layers)
        assert found == {**expected, "gradient": P + counts, "factors": factors + layers + counts}
    for name in ("product", "diagonal", "gradient", "factors"):
        assert OPERATIONS[name].sent(sizes, 2) == pytest.approx(all_reduced(expected[name], 2))
    for name in ("blocks", "dense"):  # on paper each rank keeps its part alone
        assert OPERATIONS[name].sent(sizes, 2) == pytest.approx(all_reduced(expected[name], 2) / 2)


def test_one_rank_sends_nothing_and_holds_everything() -> None:
    for operation in OPERATIONS.values():
        assert operation.sent(BILLION, 1) == 0
        assert operation.held(BILLION, 1) >= operation.held(BILLION, 1024)
        assert operation.cost().flops > 0


def test_the_model_has_a_billion_parameters_and_times_add_up() -> None:
    assert BILLION.parameters == pytest.approx(1e9, rel=0.02)
    assert Cost(FLEET.gpus * FLEET.rate, FLEET.network, 0.0).seconds() == pytest.approx(2.0)
    assert Cost(0.0, 0.0, FLEET.memory).fits()
    assert not Cost(0.0, 0.0, 1.01 * FLEET.memory).fits()


def test_no_claim_on_arrays_fits_and_probes_do_with_divided_vectors() -> None:
    assert not any(claim_cost(id).fits() for id in CLAIMS)
    assert all(probe_cost(id, vectors_divided=True).fits() for id in TAKEN)
    assert CLAIMS.keys() >= SPECTRAL | SOLVING
    assert claim_cost("T26-psd").flops > 1000 * claim_cost("T1").flops
    assert claim_cost("T26-batches").flops == pytest.approx(2 * claim_cost("T1").flops)


def test_every_probe_is_counted_or_told_in_words_and_keeps_to_the_budget() -> None:
    assert TAKEN.keys() | DEPENDS.keys() == PROBES.keys()
    assert not TAKEN.keys() & DEPENDS.keys()
    assert max(SHARED.vectors + taken.vectors for taken in TAKEN.values()) <= VECTORS


def test_probes_take_no_more_products_than_on_paper() -> None:
    problem, seen = perceptron((24, 20, 16, 10), 32, "probes on paper"), set()
    for name in ("ggn-operator", "kfac-joint", "ekfac-joint", "fisher-diagonal", "fisher-layer-blocks"):
        report = probe(correct_subjects()[name], problem, probes=",".join(TAKEN), isolate=False)
        first = report.records[0].claim
        for record in report.records:
            limit, shared = TAKEN[record.claim], SHARED if record.claim == first else (0, 0)
            assert record.products <= limit.mine + shared[0], record
            assert record.exact_products <= limit.exact + shared[1], record
            seen.add(record.claim)
    assert seen == set(TAKEN)


def test_the_page_has_the_tables(request: pytest.FixtureRequest) -> None:
    page = request.config.rootpath / "docs" / "cost_model.md"
    if not page.exists():
        pytest.skip("an installed package has no docs")
    text = page.read_text(encoding="utf-8")
    for table in (operations_table(), probes_table(), claims_table()):
        assert table in text, "the page is out of date; its tables are made by suites/benchmarks/cost_of_claims.py"


def test_figures_have_two_digits_and_fitting_units() -> None:
    assert [cost_of_claims._bytes(number) for number in (0.0, 999.4, 999.6, 4.05e9, 1.3e20)] == [
        "0 B",
        "1000 B",
        "1 kB",
        "4 GB",
        "130 EB",
    ]
    assert [cost_of_claims._seconds(number) for number in (0.0, 3599.0, 3601.0, 86400 * 365 * 2.0)] == [
        "0 s",
        "3600 s",
        "1 h",
        "2 years",
    ]

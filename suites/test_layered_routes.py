"""The routes by layers give what the rows of the samples give, at the counted cost that they promise."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fishergauge.reference import LayerStatistics, Problem, ProblemError, empirical_fisher, fisher, ggn, sample_gradients
from fishergauge.reference import layer_pairs as pairs
from fishergauge.reference import layer_root as roots
from fishergauge.reference.curvature import Per, block_slices
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.gram import gram_flops, gram_matrix
from fishergauge.reference.layer_root import Shape
from fishergauge.reference.layer_route import flops_by_pairs, flops_by_rows, pairs_are_cheaper
from fishergauge.reference.terms import Terms
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.benchmarks.problems import BENCHES, perceptron
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.counted import counted
from fishergauge.suites.seeding import generator
from fishergauge.suites.unhurried import unhurried
from fishergauge.suites.zoo import CATALOGUE, Setting, catalogue_problem

layered: Any = sys.modules["fishergauge.reference.layered"]
Patch = pytest.MonkeyPatch

ONE_POSITION = [
    "mlp-tanh-softmax",
    "softmax-uneven-batches",
    "frozen-last-layer",
    "other-order",
    "masked-labels",
    "sizes-of-one",
]
SEVERAL = ["conv1d-tagging", "pooled-positions", "length-change", "cnn-circular", "image-tagging", "masked-positions"]
WITHOUT = ["cnn", "batch-norm", "embedding", "tied-autoencoder", "reused-layer", "recurrent", "small-attention"]


def _expected(matrix: GaussNewton) -> Tensor:
    """The matrix by the route that knows no layers."""
    rows = torch.cat(list(matrix._rows_by_samples()))
    return rows.T @ rows


def _assert_same(matrix: GaussNewton, what: str) -> None:
    """All that is made by layers against the rows of the samples."""
    expected = _expected(matrix)
    scale = float(expected.norm())
    dense, size = matrix.dense(), len(expected)
    assert torch.equal(dense, dense.T)
    assert not dense.requires_grad
    assert_close(dense, expected, f"{what}, dense", scale=scale)
    assert_close(matrix.diagonal(), expected.diagonal(), f"{what}, diagonal", scale=scale)
    rows = list(matrix._rows_by_samples())
    assert_close(torch.cat(list(matrix.rows())), torch.cat(rows), f"{what}, rows", size=size)
    assert_close(matrix.stacked_rows(), torch.cat(rows), f"{what}, stacked rows", size=size)
    pers: tuple[Per, ...] = ("layer", "parameter")
    for per in pers:
        blocks = matrix.blocks(per)
        slices = block_slices(matrix.problem, per)
        assert list(blocks) == list(slices)
        for name, part in slices.items():
            assert torch.equal(blocks[name], blocks[name].T)
            assert_close(blocks[name], expected[part, part], f"{what}, block of {name}", scale=scale, size=size)


def _take(route: str, patch: Patch) -> None:
    """One route, whatever it costs; pairs only where there are some."""
    by_pairs = route == "pairs"
    patch.setattr(layered, "pairs_are_cheaper", lambda shapes: by_pairs and all(s.positions == 1 for s in shapes))


@pytest.mark.parametrize("route", ["pairs", "rows"])
@pytest.mark.parametrize("kept", [2**20, 200], ids=["at-once", "in-parts"])
@pytest.mark.parametrize("name", ONE_POSITION + SEVERAL)
def test_every_route_gives_the_matrix_of_the_rows(name: str, kept: int, route: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(roots, "KEPT_BYTES", kept)
    monkeypatch.setattr(roots, "PROBED", kept)
    _take(route, monkeypatch)
    problem = catalogue_problem(name)
    for matrix in (ggn(problem), empirical_fisher(problem)):
        assert matrix._layered is not None
        _assert_same(matrix, f"{name} by {route}")


@unhurried
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    samples=st.integers(1, 7),
    sizes=st.tuples(*[st.integers(1, 6)] * 4),
    route=st.sampled_from(["pairs", "rows"]),
)
def test_panels_and_chunks_of_any_size_give_the_same(
    widths: list[int], samples: int, sizes: tuple[int, ...], route: str
) -> None:
    problem = perceptron(widths, samples, "layered routes")
    with Patch.context() as patch:
        for name, value in zip(("PANEL", "OUTPUTS", "ENTRIES", "LEAST_CHUNK"), sizes, strict=True):
            patch.setattr(pairs, name, value)
        patch.setattr("fishergauge.reference.gram.PANEL", sizes[0])
        _take(route, patch)
        _assert_same(fisher(problem, kind=1), route)
        _assert_same(empirical_fisher(problem), route)


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "cnn-circular"])
def test_single_precision_is_that_close_to_double(name: str) -> None:
    single = ggn(catalogue_problem(name, dtype=torch.float32)).dense()
    assert single.dtype == torch.float32
    assert_close(single, ggn(catalogue_problem(name)).dense(), "float32")


def test_a_factor_of_a_pair_that_is_transposed_would_be_seen(monkeypatch: Patch) -> None:
    matrix = ggn(catalogue_problem("mlp-tanh-softmax"))
    right = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda left, other: right(left, other).flip(1))
    _take("pairs", monkeypatch)
    assert_apart(matrix.dense(), _expected(matrix), "outputs in another order")


@pytest.mark.parametrize("name", WITHOUT)
def test_other_models_keep_the_rows_of_their_samples(name: str) -> None:
    matrix = empirical_fisher(catalogue_problem(name))
    assert matrix._layered is None
    _assert_same(matrix, name)


class _Mixing(nn.Module):
    """A linear map whose samples are mixed afterwards, the first one left alone or not."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear, self.how = nn.Linear(2, 2), how

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.linear(x)
        return z.cumsum(0) if self.how == "running sum" else z - z.mean(0)


@pytest.mark.parametrize("how", ["running sum", "centred"])
def test_a_model_that_mixes_samples_behind_its_layers_is_refused(how: str) -> None:
    s = Setting("layered routes")
    facts = catalogue_problem("linear-regression").facts
    problem = s.problem(lambda: _Mixing(how), nn.MSELoss(), [(s.normal(4, 2), s.normal(4, 2))], facts)
    with pytest.raises(ProblemError, match="mixes samples"):
        ggn(problem).dense()


@pytest.mark.parametrize("route", ["pairs", "rows"])
@pytest.mark.parametrize("target", [ggn, empirical_fisher])
def test_the_counted_cost_is_the_promised_one(target: Any, route: str, monkeypatch: Patch) -> None:
    _take(route, monkeypatch)
    matrix = target(BENCHES["mlp-small"].problem())
    assert matrix._layered is not None
    shapes = matrix._layered.shapes
    next(iter(matrix._layered))  # pulled back before the count
    size, samples = matrix.shape[0], shapes[0].samples
    with counted() as counts:
        matrix.dense()
    if route == "pairs":
        products = sum(s.inputs * (s.inputs + 1) // 2 for s in shapes)
        products += sum(s.inputs * t.inputs for k, s in enumerate(shapes) for t in shapes[k + 1 :])
        assert counts.flops == flops_by_pairs(shapes) - samples * products  # those are no matrix products
        assert counts.flops < 1.05 * samples * size**2
    else:
        assert (
            counts.flops == gram_flops(samples * shapes[0].vectors, size) == flops_by_rows(shapes) - _products_of_rows(shapes)
        )
        assert counts.flops > 1.05 * samples * size**2  # the control


def _products_of_rows(shapes: tuple[Shape, ...]) -> int:
    """The products of gradients and inputs in rows at one position."""
    return shapes[0].samples * shapes[0].vectors * sum(s.size for s in shapes)


def test_at_4522_parameters_the_ggn_costs_less_than_one_row_a_sample_and_little_memory() -> None:
    problem = BENCHES["mlp-large"].problem()
    size, samples = problem.num_parameters, problem.num_samples
    kept = []
    with counted() as counts:
        kept.append(ggn(problem).dense())
    assert 0.75 * samples * size**2 < counts.flops < samples * size**2
    assert peak_bytes(lambda: ggn(problem).dense()) < 400e6
    assert peak_bytes(lambda: (ggn(problem).dense(), ggn(problem).stacked_rows())) > 400e6  # the control: all rows at once
    vector = torch.randn(size, generator=generator("layered routes"), dtype=problem.dtype)
    assert_close(kept[0] @ vector, ggn(problem) @ vector, "G v", size=size)


def test_the_cheaper_route_is_taken() -> None:
    wide, deep = Shape(50, 1, 1, 3000, 1), Shape(50, 1, 1, 20, 20)
    assert not pairs_are_cheaper([wide])  # one output and one vector: the pairs of inputs are the rows already
    assert pairs_are_cheaper([deep])
    assert pairs_are_cheaper([wide._replace(vectors=10)])
    assert not pairs_are_cheaper([deep, deep._replace(positions=2)])  # no sum of Kronecker products
    for shapes in ([wide], [deep], [deep, wide], [deep, deep._replace(outputs=3)]):
        assert pairs_are_cheaper(shapes) == (flops_by_pairs(shapes) < flops_by_rows(shapes))


def test_a_block_of_one_vector_is_packed_only_where_that_pays() -> None:
    small, large = Shape(5000, 1, 1, 16, 10), Shape(1000, 1, 1, 33, 64)
    assert layered._packing_dominates(small)
    assert not layered._packing_dominates(small._replace(vectors=10))
    assert not layered._packing_dominates(large)


def test_the_layers_are_evaluated_once_for_all_that_is_asked(monkeypatch: Patch) -> None:
    evaluated = []

    def noted(problem: Problem, terms: Terms) -> LayerStatistics:
        evaluated.append(problem)
        return LayerStatistics(problem, terms)

    monkeypatch.setattr(roots, "LayerStatistics", noted)
    matrix = ggn(catalogue_problem("mlp-tanh-softmax"))
    for _ in range(2):
        matrix.dense(), matrix.blocks(), matrix.diagonal(), matrix.stacked_rows()
    assert len(evaluated) == 1


def test_what_is_large_is_not_kept(monkeypatch: Patch) -> None:
    monkeypatch.setattr(roots, "KEPT_BYTES", 200)
    matrix = ggn(catalogue_problem("mlp-tanh-softmax"))
    matrix.dense()
    assert matrix._layered is not None
    assert matrix._layered._kept is None
    assert len(list(matrix._layered)) > 1


@unhurried
@given(st.lists(st.integers(0, 4), max_size=3), st.integers(1, 7), st.integers(1, 4), st.integers(0, 2**31))
def test_a_gram_matrix_is_the_product_at_half_the_cost(chunks: list[int], size: int, panel: int, seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    rows = [torch.randn(count, size, generator=draws, dtype=torch.float64) for count in chunks]
    together = torch.cat(rows) if rows else torch.zeros(0, size, dtype=torch.float64)
    with Patch.context() as patch:
        patch.setattr("fishergauge.reference.gram.PANEL", panel)
        with counted() as counts:
            matrix = gram_matrix(rows, torch.full((size, size), torch.nan, dtype=torch.float64))
        assert counts.flops == gram_flops(len(together), size) <= len(together) * size * (size + panel)
    assert torch.equal(matrix, matrix.T)
    assert_close(matrix, together.T @ together, "V'V", scale=float(together.square().sum()))


@pytest.mark.parametrize("route", ["pairs", "rows"])
def test_exact_symmetry_does_not_rest_on_how_products_are_rounded(route: str, monkeypatch: Patch) -> None:
    _take(route, monkeypatch)
    draws = generator("layered routes", "noise")
    batched, single, added = torch.bmm, torch.mm, torch.addmm

    def noisy(product: Tensor) -> Tensor:
        return product + torch.randn(product.shape, generator=draws, dtype=product.dtype)

    matrix = ggn(catalogue_problem("mlp-tanh-softmax"))
    assert matrix._layered is not None
    monkeypatch.setattr(torch, "bmm", lambda left, right: noisy(batched(left, right)))
    monkeypatch.setattr(torch, "mm", lambda left, right, out: out.copy_(noisy(single(left, right))))
    monkeypatch.setattr(torch, "addmm", lambda *sides, out, **factors: out.copy_(noisy(added(*sides, **factors))))
    dense = matrix.dense()
    monkeypatch.undo()
    assert torch.equal(dense, dense.T)
    assert_apart(dense, _expected(matrix), "with noise in every product")


class _WithAnUnusedParameter(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 2)
        self.scale = nn.Parameter(torch.ones(3))


@pytest.fixture
def unwritten_is_nan() -> Iterator[None]:
    """Fresh memory holds NaN, so that an entry that nobody writes is seen."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("unwritten_is_nan")
def test_every_entry_is_written_also_those_of_a_parameter_that_is_not_used() -> None:
    assert bool(torch.empty(3).isnan().all())
    source = generator("unused parameter")
    inputs, labels = torch.randn(5, 3, generator=source, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1])
    problem = Problem(_WithAnUnusedParameter().double(), nn.CrossEntropyLoss(), [(inputs, labels)])
    for matrix in (ggn(problem), empirical_fisher(problem)):
        dense = matrix.dense()
        assert bool(dense.isfinite().all())
        assert bool(dense[-3:].eq(0).all())
        assert torch.equal(matrix.diagonal()[-3:], torch.zeros(3, dtype=torch.float64))
        assert all(bool(block.isfinite().all()) for block in matrix.blocks("parameter").values())
    assert bool(sample_gradients(problem).isfinite().all())


@pytest.mark.usefixtures("unwritten_is_nan")
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_of_every_matrix_of_the_catalogue_is_written(name: str) -> None:
    matrix = ggn(catalogue_problem(name, seed=0))
    assert bool(matrix.dense().isfinite().all())
    assert bool(matrix.diagonal().isfinite().all())
    assert all(bool(block.isfinite().all()) for block in matrix.blocks().values())
    assert all(bool(rows.isfinite().all()) for rows in matrix.rows())

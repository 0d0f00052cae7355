"""Sums of Kronecker products through packed triangles: right at every border of a chunk, with counted cost."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fishergauge.reference import softmax_regression_empirical_fisher, softmax_regression_fisher
from fishergauge.reference.kronecker_sum import packed_positions, packed_products, packed_size, sum_of_kronecker_products
from fishergauge.suites.benchmarks.memory import peak_bytes
from fishergauge.suites.closeness import ClaimViolated, assert_close, unit_roundoff
from fishergauge.suites.counted import counted
from fishergauge.suites.seeding import generator
from fishergauge.suites.unhurried import unhurried

MODULE = sys.modules["fishergauge.reference.kronecker_sum"]
SIZES = {"samples": st.integers(1, 5), "width": st.integers(1, 5), "classes": st.integers(1, 5), "seed": st.integers(0, 2**31)}


def _data(samples: int, width: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draws = generator("kronecker sum", samples, width, classes, seed)
    inputs = torch.randn(samples, width, generator=draws, dtype=torch.float64)
    logits = 3 * torch.randn(samples, classes, generator=draws, dtype=torch.float64)
    return inputs, logits, torch.randint(classes, (samples,), generator=draws)


def _plain_fisher(inputs: Tensor, logits: Tensor) -> Tensor:
    """One array for each sample, no symmetry used."""
    p = logits.softmax(1)
    return _plain(torch.diag_embed(p) - p[:, :, None] * p[:, None, :], inputs) / len(inputs)


def _plain_empirical(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    r = logits.softmax(1) - torch.nn.functional.one_hot(labels, logits.shape[1])
    return _plain(r[:, :, None] * r[:, None, :], inputs) / len(inputs)


def _plain(h: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("nce,ni,nj->ciej", h, x, x).reshape(h.shape[1] * x.shape[1], -1)


def _assert_right(samples: int, width: int, classes: int, seed: int = 0) -> None:
    inputs, logits, labels = _data(samples, width, classes, seed)
    scale = float(inputs.square().sum()) / samples
    for found, expected in (
        (softmax_regression_fisher(inputs, logits), _plain_fisher(inputs, logits)),
        (softmax_regression_empirical_fisher(inputs, logits, labels), _plain_empirical(inputs, logits, labels)),
    ):
        assert torch.equal(found, found.T)
        assert_close(found, expected, f"N={samples}, D={width}, C={classes}", scale=scale, size=max(samples, classes * width))


@unhurried
@given(**SIZES)
def test_a_sum_of_kronecker_products_equals_the_plain_sum(samples: int, width: int, classes: int, seed: int) -> None:
    inputs, logits, _ = _data(samples, width, classes, seed)
    h = logits[:, :, None] * logits[:, None, :] + torch.eye(classes, dtype=torch.float64)
    rows, columns = torch.triu_indices(classes, classes)
    found = sum_of_kronecker_products(lambda part: h[part][:, rows, columns].T, inputs)
    assert torch.equal(found, found.T)
    assert_close(found, _plain(h, inputs), "row-major triangles", scale=float(h.norm() * inputs.square().sum()))


@unhurried
@given(width=st.integers(1, 9))
def test_every_pair_stands_where_its_position_says(width: int) -> None:
    primes = torch.tensor([2, 3, 5, 7, 11, 13, 17, 19, 23][:width])
    for vectors, dim in ((primes, 0), (primes.expand(3, -1), 1), (primes[:, None].expand(-1, 3), 0)):
        products = packed_products(vectors, dim)
        assert products.shape[dim] == packed_size(width)
        one = products if products.ndim == 1 else products.movedim(dim, -1)[0]
        assert torch.equal(one[packed_positions(width)], torch.outer(primes, primes))
    assert sorted(set(packed_positions(width).flatten().tolist())) == list(range(packed_size(width)))


@unhurried
@given(**SIZES)
def test_closed_forms_are_right_at_small_sizes(samples: int, width: int, classes: int, seed: int) -> None:
    _assert_right(samples, width, classes, seed)


@pytest.mark.parametrize(("width", "classes"), [(1, 1), (1, 2), (2, 1), (3, 4), (4, 3), (7, 2)])
@pytest.mark.parametrize("more", [-1, 0, 1], ids=["chunk-1", "chunk", "chunk+1"])
@pytest.mark.parametrize("chunks", [1, 2])
def test_closed_forms_are_right_at_the_borders_of_chunks(
    width: int, classes: int, more: int, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "CHUNK", 10 * (packed_size(width) + packed_size(classes)))
    chunk = 10  # of the empirical Fisher; the Fisher, without squares, takes a few more
    for samples in range(chunks * chunk + more, chunks * chunk + more + 8):
        _assert_right(samples, width, classes)


@pytest.mark.parametrize(("samples", "width", "classes"), [(5000, 16, 10), (700, 5, 2), (3, 30, 4), (1, 1, 3), (400, 40, 5)])
def test_the_products_of_packed_triangles_are_all_that_is_multiplied(samples: int, width: int, classes: int) -> None:
    inputs, logits, labels = _data(samples, width, classes)
    with counted() as counts:
        softmax_regression_fisher(inputs, logits)
    assert counts.flops == _flops(samples, width, classes * (classes - 1) // 2)
    with counted() as counts:
        softmax_regression_empirical_fisher(inputs, logits, labels)
    assert counts.flops == _flops(samples, width, classes * (classes + 1) // 2)


def test_an_implementation_without_symmetry_multiplies_four_times_as_much() -> None:
    inputs, logits, _ = _data(500, 16, 10)
    p = logits.softmax(1)
    h = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    with counted() as counts:
        h.flatten(1).T @ (inputs[:, :, None] * inputs[:, None, :]).flatten(1)
    assert counts.flops > 3.4 * _flops(500, 16, 10 * 11 // 2)


def test_at_the_papers_size_the_peak_of_memory_is_far_below_32_megabytes() -> None:
    inputs, logits, labels = _data(5000, 16, 10)
    assert peak_bytes(lambda: softmax_regression_fisher(inputs, logits)) < 12 * 2**20
    assert peak_bytes(lambda: softmax_regression_empirical_fisher(inputs, logits, labels)) < 12 * 2**20
    assert peak_bytes(lambda: _plain_fisher(inputs, logits)) > 12 * 2**20


@pytest.mark.parametrize(("width", "classes"), [(60, 4), (2, 24), (30, 10)])
def test_the_peak_of_memory_does_not_grow_with_the_samples(width: int, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "CHUNK", 2**12)
    few, many = (_data(samples, width, classes) for samples in (200, 600))
    assert _peak(*many) == _peak(*few)
    assert _peak(*many) < 4 * (classes * width) ** 2 * 8 + 10 * 2**12 * 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_strides_and_arguments_are_left_alone(dtype: torch.dtype) -> None:
    inputs, logits, labels = _data(20, 6, 8)
    inputs, logits = inputs.to(dtype), logits.to(dtype)
    kept = inputs.clone(), logits.clone(), labels.clone()
    for x, z, y in (
        (inputs.T.contiguous().T, logits.T.contiguous().T, labels),
        (inputs.flip(1).flip(1), logits.repeat(1, 2)[:, :8], labels.repeat_interleave(2)[::2]),
    ):
        assert torch.equal(softmax_regression_fisher(x, z), softmax_regression_fisher(*kept[:2]))
        assert_close(
            softmax_regression_empirical_fisher(x, z, y), _plain_empirical(kept[0].double(), kept[1].double(), kept[2]), "F"
        )
    assert all(torch.equal(a, b) for a, b in zip((inputs, logits, labels), kept, strict=True))
    assert softmax_regression_fisher(inputs, logits).dtype == dtype
    row = inputs[:1].expand(20, -1)  # stride zero
    assert_close(softmax_regression_fisher(row, logits), _plain_fisher(row.double(), logits.double()), "equal inputs")


@pytest.mark.parametrize("samples", [5, 25], ids=["one-chunk", "chunks"])
def test_gradients_pass_through_the_closed_forms(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "CHUNK", 200)
    inputs, logits, labels = _data(samples, 3, 4)
    for wanted in (inputs, logits):
        wanted.requires_grad_()
        for closed, plain in (
            (softmax_regression_fisher(inputs, logits), _plain_fisher(inputs, logits)),
            (
                softmax_regression_empirical_fisher(inputs, logits, labels),
                _plain_empirical(inputs, logits, labels),
            ),
        ):
            weights = torch.arange(144.0, dtype=torch.float64).view(12, 12)
            found, expected = (torch.autograd.grad((m * weights).sum(), wanted)[0] for m in (closed, plain))
            assert_close(found, expected, "gradient", size=144, scale=float(expected.norm()) + float(weights.norm()))
        with torch.no_grad():
            assert not softmax_regression_fisher(inputs, logits).requires_grad
        wanted.requires_grad_(False)


def test_a_wide_sum_is_not_cut_into_single_samples() -> None:
    inputs, logits, _ = _data(128, 200, 8)
    with counted() as few:
        softmax_regression_fisher(inputs[:1], logits[:1])
    with counted() as many:
        softmax_regression_fisher(inputs, logits)
    assert many.operations <= 3 * few.operations  # 28 samples at a time and not 13: the sum is larger than the cache


def test_the_empirical_fisher_of_a_confident_and_correct_label_does_not_cancel() -> None:
    logits = torch.tensor([[40.0, 0.0, 1.0]], dtype=torch.float64)
    p = logits[0].softmax(0)
    r = torch.stack([-(p[1] + p[2]), p[1], p[2]])
    found = softmax_regression_empirical_fisher(torch.ones(1, 1, dtype=torch.float64), logits, torch.tensor([0]))
    assert float((found / torch.outer(r, r) - 1).abs().max()) <= 16 * unit_roundoff(torch.float64)


def test_a_sum_over_no_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        sum_of_kronecker_products(lambda part: torch.ones(1, 0)[:, part], torch.zeros(0, 2))


def test_a_lost_pair_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(vectors: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
        products = packed_products(vectors, dim, out).clone()
        products.select(dim, -1).zero_()
        return products

    monkeypatch.setattr(MODULE, "packed_products", forgetful)
    with pytest.raises(ClaimViolated):
        _assert_right(4, 3, 4)


def _flops(samples: int, width: int, rows: int) -> int:
    return 2 * samples * rows * packed_size(width)


def _peak(inputs: Tensor, logits: Tensor, labels: Tensor) -> int:
    with counted() as counts:
        softmax_regression_fisher(inputs, logits)
    with counted() as others:
        softmax_regression_empirical_fisher(inputs, logits, labels)
    return max(counts.peak_bytes, others.peak_bytes)

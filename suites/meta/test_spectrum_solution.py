"""The step on the range of a matrix, and the bound of what rounding does to it."""

import math

import pytest
import torch
from torch import Tensor

from fishergauge.reference import ProblemError
from fishergauge.reference.random_maps import orthogonal
from fishergauge.suites.closeness import assert_close, relative_deviation
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.solution import (
    Solution,
    clear_rank,
    cutoff_of,
    irreducible_blocks,
    power_iteration,
    solve_on_range,
    spectral_norm,
    step_on_range,
    summed,
)

SIZE = 8
TINY = 1e-9  # of a perturbation: its square is of no account, rounding is far below


def normal(*shape: int, name: object = "", seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator("solution", name, seed), dtype=torch.float64)


def symmetric(values: list[float], seed: int = 0) -> Tensor:
    """A matrix with these eigenvalues."""
    Q = orthogonal(len(values), generator("basis", seed))
    M = (Q * torch.tensor(values, dtype=torch.float64)) @ Q.mT
    return (M + M.mT) / 2


SPECTRA = {
    "definite": [10.0 ** (-k / 2) for k in range(SIZE)],
    "indefinite": [(-1) ** k * 10.0 ** (-k / 2) for k in range(SIZE)],
    "singular": [1.0, 0.3, 0.1, 0.03, 0.01, 0.0, 0.0, 0.0],
}


def solved(M: Tensor, g: Tensor, R: Tensor | None = None, T: Tensor | None = None, **options: float) -> Solution:
    eye = torch.eye(len(M)).double()
    noise = torch.zeros(len(M)).double()
    return solve_on_range(M, g, eye if R is None else R, eye if T is None else T, noise, **options)


# --- the step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_step_is_that_of_the_pseudo_inverse(kind: str, seed: int) -> None:
    M, g = symmetric(SPECTRA[kind], seed), normal(SIZE, name="g", seed=seed)
    found = solved(M, g)
    rank = sum(value != 0 for value in SPECTRA[kind])
    condition = 1 / min(abs(value) for value in SPECTRA[kind] if value)
    assert_close(found.step, -torch.linalg.pinv(M, rtol=1e-10, hermitian=True) @ g, "-M^+ g", condition=condition**2)
    assert (found.rank, found.kernel.shape) == (rank, (SIZE, SIZE - rank))
    assert found.condition == pytest.approx(condition, rel=1e-9)
    assert found.size == pytest.approx(sum(map(abs, SPECTRA[kind])) / SIZE)
    assert_close(found.kernel.mT @ found.kernel, torch.eye(SIZE - rank).double(), "Z'Z = I", size=SIZE)
    assert float((M @ found.kernel).norm()) <= 1e-14 * SIZE
    assert_close(step_on_range(M, g, 1e-10), found.step, "the same cut-off", condition=condition)


def test_blocks_are_solved_by_themselves() -> None:
    """A cut-off is relative to the largest eigenvalue of its own block: one far smaller than another is not lost."""
    small, large, g = 1e-20 * symmetric([1.0, 0.5], 1), symmetric([3.0, 2.0, 1.0], 2), normal(7, name="blocks")
    M = torch.block_diag(small, large, torch.tensor([[1e-12]]).double(), torch.tensor([[0.0]]).double())  # type: ignore[no-untyped-call]
    order = torch.randperm(7, generator=generator("order"))
    M, g = M[order[:, None], order], g[order]
    found = solved(M, g)
    expected = -torch.linalg.pinv(small * 1e20) @ g[order.argsort()[:2]] * 1e20
    assert_close(found.step[order.argsort()[:2]], expected, "the smaller block", condition=10)
    assert found.rank == 6
    assert float(found.step[order.argsort()[6]]) == 0
    assert found.kernel.abs().sum(1).nonzero().flatten().tolist() == [int(order.argsort()[6])]
    assert found.condition == pytest.approx(3.0)


def test_what_counts_as_zero() -> None:
    assert cutoff_of(torch.float64, 100) == 100 * torch.finfo(torch.float64).eps
    assert cutoff_of(torch.float32, 2) == 32 * torch.finfo(torch.float32).eps
    for relative, rank in ((0.5, SIZE - 1), (2.0, SIZE)):
        last = relative * cutoff_of(torch.float64, SIZE)
        M = symmetric([1.0] * (SIZE - 1) + [last])
        assert solved(M, normal(SIZE)).rank == rank
    cut = step_on_range(symmetric([1.0, 1e-9]), torch.ones(2).double(), 1e-8)
    whole = step_on_range(symmetric([1.0, 1e-9]), torch.ones(2).double(), 1e-10)
    assert float(cut.norm()) < 2 < 1e6 < float(whole.norm())


def test_a_matrix_of_zeros_has_no_step() -> None:
    with pytest.raises(ProblemError, match="zero"):
        solved(torch.zeros(3, 3).double(), torch.ones(3).double())


def test_the_number_of_eigenvalues_clear_of_the_cut_off() -> None:
    unit = cutoff_of(torch.float32, 4)
    M = symmetric([1.0, 1e3 * unit, 10 * unit, 0.1 * unit])
    assert clear_rank(M, torch.float32) == 2
    assert clear_rank(M, torch.float64) == 4
    assert clear_rank(torch.tensor([1.0, 1e-9, 1e-11, 1e-20], dtype=torch.float64).diag(), torch.float32) == 3


# --- blocks and norms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 1, 2), (5,), (1,), (2, 2, 2)])
def test_irreducible_blocks_are_found_in_any_order(sizes: tuple[int, ...]) -> None:
    M = torch.block_diag(*(normal(n, n, name=n) for n in sizes))  # type: ignore[no-untyped-call]
    M = M + M.mT
    order = torch.randperm(len(M), generator=generator("order", sizes))
    blocks, alone = irreducible_blocks(M[order[:, None], order])
    ends = torch.tensor(sizes).cumsum(0)
    owner = (order[:, None] >= ends).sum(1)
    expected = [set((owner == k).nonzero().flatten().tolist()) for k in range(len(sizes))]
    assert sorted(map(sorted, (block.tolist() for block in blocks))) == sorted(sorted(s) for s in expected if len(s) > 1)
    assert alone.tolist() == sorted(i for s in expected if len(s) == 1 for i in s)


def test_a_chain_of_entries_is_one_block() -> None:
    M = torch.eye(5).double() + torch.diag(torch.ones(4).double(), 1) + torch.diag(torch.ones(4).double(), -1)
    blocks, alone = irreducible_blocks(M)
    assert [block.tolist() for block in blocks] == [[0, 1, 2, 3, 4]]
    assert len(alone) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (8, 3), (30, 30)])
def test_the_norm_is_found_to_a_few_per_cent_and_never_exceeded(shape: tuple[int, int]) -> None:
    for seed in range(20):
        A = normal(*shape, name="norm", seed=seed)
        exact = float(torch.linalg.matrix_norm(A, 2))
        for found in (spectral_norm(A), power_iteration(lambda v, A=A: A @ v, lambda w, A=A: A.mT @ w, A[0])):  # type: ignore[misc]
            assert 0.95 * exact <= found <= exact * (1 + 1e-12)
    assert spectral_norm(torch.zeros(2, 3)) == 0
    assert power_iteration(lambda v: v, lambda w: w, torch.zeros(0)) == 0


def test_sums_are_added_in_chains() -> None:
    assert summed(100) == math.sqrt(100 + 100 / 256)
    assert summed(25600) == math.sqrt(256 + 100)


# --- the bound -----------------------------------------------------------------------------------------------------


def _observed(M: Tensor, g: Tensor, R: Tensor, E: Tensor) -> float:
    """The relative deviation of R s, over the relative size of a perturbation."""
    size = float(torch.linalg.matrix_norm(E, 2)) / float(torch.linalg.matrix_norm(M, 2))
    exact = step_on_range(M, g, 1e-6)
    return relative_deviation(R @ step_on_range(M + E, g, 1e-6), R @ exact) / size


def _random_error(M: Tensor, seed: int) -> Tensor:
    E = normal(len(M), len(M), name="E", seed=seed)
    return (E + E.mT) * TINY * float(torch.linalg.matrix_norm(M, 2)) / float(torch.linalg.matrix_norm(E + E.mT, 2))


def _worst_error(M: Tensor, g: Tensor, R: Tensor) -> Tensor:
    """Symmetric, and it turns the step to where R M^+ magnifies most: a reflection."""
    s = step_on_range(M, g, 1e-6)
    s = s / s.norm()
    w = torch.linalg.svd(R @ torch.linalg.pinv(M, rtol=1e-6, hermitian=True))[2][0]
    n = (s - w) / (s - w).norm()
    H = torch.eye(len(M)).double() - 2 * torch.outer(n, n)
    return TINY * float(torch.linalg.matrix_norm(M, 2)) * H


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_perturbation_moves_a_step_by_more_than_the_bound(kind: str, seed: int) -> None:
    M = symmetric(SPECTRA[kind], seed)
    g = M @ normal(SIZE, name="g", seed=seed)  # in the range
    R, T = normal(5, SIZE, name="R", seed=seed), normal(SIZE, SIZE, name="T", seed=seed)
    found = solved(M, g, R, T)
    for through, amplification in ((R, found.amplification), (T, found.amplification_theta)):
        moved = [_observed(M, g, through, _random_error(M, k)) for k in range(50)]
        assert max(moved) <= amplification
        assert max(moved) >= amplification / 1000
        assert _observed(M, g, through, _worst_error(M, g, through)) <= amplification / 0.95


def test_outputs_that_see_the_kernel_see_the_range_turn_into_it() -> None:
    M = symmetric(SPECTRA["singular"])
    g = M @ normal(SIZE, name="g")
    found = solved(M, g)
    s = found.step / found.step.norm()
    R = torch.cat([s[None], 1e4 * found.kernel.mT])  # the step itself, and all that leaves the range
    amplification = solved(M, g, R).amplification
    moved = max(_observed(M, g, R, _random_error(M, k)) for k in range(50))
    assert amplification / 1000 <= moved <= amplification
    assert moved > 100 * solved(M, g, s[None]).amplification


@pytest.mark.parametrize("kind", ["definite", "indefinite"])
def test_the_worst_perturbation_reaches_the_bound(kind: str) -> None:
    M = symmetric(SPECTRA[kind])
    g, R = M @ normal(SIZE, name="g"), normal(5, SIZE, name="R")
    assert _observed(M, g, R, _worst_error(M, g, R)) >= 0.95 * solved(M, g, R).amplification


@pytest.mark.parametrize("kind", SPECTRA)
def test_rounding_to_single_precision_stays_within_it(kind: str) -> None:
    """The step computed in float32 against that in float64, for a matrix that float32 holds without rounding."""
    M = symmetric(SPECTRA[kind]).float()
    if kind == "singular":  # of rank five without rounding: whole numbers
        rows = (3 * normal(5, SIZE, name="rows")).round().float()
        M = rows.mT @ rows
    g = (M.double() @ normal(SIZE, name="g").round()).float()
    found = solve_on_range(M, g, torch.eye(SIZE).double(), torch.eye(SIZE).double(), torch.zeros(SIZE).double())
    exact = step_on_range(M.double(), g.double(), 1e-6)
    unit = 10 * torch.finfo(torch.float32).eps
    assert relative_deviation(found.step, exact) <= unit * found.amplification
    assert found.amplification >= found.condition / SIZE


def test_noise_of_a_gradient_that_cancels_widens_the_bound() -> None:
    M, R = symmetric(SPECTRA["definite"]), normal(5, SIZE, name="R")
    g, eye = 1e-6 * (M @ normal(SIZE, name="g")), torch.eye(SIZE).double()
    quiet, loud = (solve_on_range(M, g, R, eye, noise * torch.ones(SIZE).double()) for noise in (0.0, 1.0))
    moved = [
        relative_deviation(R @ step_on_range(M, g + TINY * error, 1e-12), R @ quiet.step) / TINY
        for error in (normal(SIZE, name="e", seed=k).clamp(-1, 1) for k in range(50))
    ]
    assert quiet.amplification < max(moved) <= loud.amplification


def test_eigenbases_and_powers_widen_the_bound() -> None:
    M, g = symmetric(SPECTRA["definite"]), normal(SIZE, name="g")
    plain = solved(M, g)
    assert solved(M, g, magnified=7.0).amplification == pytest.approx(7 * plain.amplification)
    assert solved(M, g, power=0.5).amplification == pytest.approx(plain.condition * plain.amplification)


def test_entries_alone_have_their_share_of_the_step_for_a_bound() -> None:
    found = solved(torch.tensor([1.0, 1e-6, 1e6]).double().diag(), torch.ones(3).double())
    assert found.condition == 1
    assert 1 <= found.amplification <= math.sqrt(3)

"""EKFAC, quasi-diagonal and Shampoo; products, blocks and inverses of all that is made of blocks."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from fishergauge.reference import (
    Curvature,
    KroneckerFactored,
    Problem,
    ProblemError,
    block_slices,
    eigen_kfac,
    empirical_fisher,
    fisher,
    kfac,
    pseudo_inverse,
    quasi_diagonal,
    shampoo,
    solve_damped,
)
from fishergauge.reference.backpack_kronecker import backpack_kflr, kronecker_block_diagonal
from fishergauge.reference.kfac import BiasMode, KroneckerBlock, pi_of
from fishergauge.suites.closeness import assert_apart, assert_close, unit_roundoff
from fishergauge.suites.random_problem import SHAPES, Shape, random_problem
from fishergauge.suites.seeding import generator
from fishergauge.suites.unhurried import unhurried
from fishergauge.suites.zoo import Setting, zoo_problem

MATRICES: dict[str, Callable[[Problem], Curvature]] = {
    "kfac-joint": kfac,
    "kfac-separate": lambda p: kfac(p, bias="separate", sharing="reduce"),
    "ekfac-joint": eigen_kfac,
    "ekfac-separate": lambda p: eigen_kfac(p, bias="separate"),
    "quasi-diagonal": quasi_diagonal,
    "shampoo": shampoo,
}
PROBLEMS = [
    "mlp-tanh-softmax",
    "frozen-first-layer",
    "conv1d-tagging",
    "pooled-positions",
    "sizes-of-one",
    "softmax-regression",
]

every_matrix = pytest.mark.parametrize("matrix", list(MATRICES))
every_problem = pytest.mark.parametrize("name", PROBLEMS)
every_bias = pytest.mark.parametrize("bias", ["joint", "separate"])


def _vector(problem: Problem, *names: object) -> Tensor:
    return torch.randn(problem.num_parameters, generator=generator("relatives", *names), dtype=problem.dtype)


@every_problem
@every_matrix
def test_products_blocks_and_diagonal_are_those_of_the_dense_matrix(name: str, matrix: str) -> None:
    problem = zoo_problem(name)
    operator = MATRICES[matrix](problem)
    dense = operator.dense()
    scale, vector = float(dense.norm()), _vector(problem, name)
    assert torch.equal(dense, dense.T)
    assert_close(operator @ vector, dense @ vector, "product", scale=scale * float(vector.norm()))
    assert_close(operator.diagonal(), dense.diagonal(), "diagonal", scale=scale)
    assert_close(operator.trace(), dense.trace(), "trace", size=problem.num_parameters)
    for per in ("layer", "parameter"):
        for block, part in zip(operator.blocks(per).values(), block_slices(problem, per).values(), strict=True):
            assert_close(block, dense[part, part], per, scale=scale)
    assert_apart(operator @ vector.flip(0), dense @ vector, "another vector", least=1e-6 if len(vector) > 1 else 0)


@every_problem
@pytest.mark.parametrize("matrix", [name for name in MATRICES if name != "shampoo"])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_solve_is_the_damped_inverse_of_the_dense_matrix(name: str, matrix: str, damping: float) -> None:
    problem = zoo_problem(name)
    operator = MATRICES[matrix](problem)
    solve = operator.solve_exactly if isinstance(operator, KroneckerFactored) else operator.solve  # type: ignore[attr-defined]
    vector, dense = _vector(problem, name, "solve"), operator.dense()
    expected = solve_damped(dense, vector, damping, None if damping else 1e-12)
    values = torch.linalg.eigvalsh(dense)
    least = damping if damping else float(values[values > 1e-12 * values[-1]].min())
    assert_close(solve(vector, damping), expected, "solve", condition=max(1.0, float(values[-1]) / least))
    assert_apart(solve(vector, damping + 0.1), expected, "another damping")


@every_bias
def test_factored_damping_is_that_of_the_formula(bias: BiasMode) -> None:
    problem = zoo_problem("mlp-tanh-gaussian")
    matrix = kfac(problem, bias=bias)
    vector = _vector(problem, bias)
    block, part = matrix.factors["2"], block_slices(problem, "parameter")["2.weight"]
    A, G = block.input_factor, block.output_factor
    pi = ((A.trace() / len(A)) / (G.trace() / len(G))).sqrt()
    for given_pi, balance in ((True, float(pi)), (False, 1.0)):
        damped = torch.kron(
            G + 0.1**0.5 / balance * torch.eye(len(G), dtype=G.dtype), A + balance * 0.1**0.5 * torch.eye(len(A), dtype=A.dtype)
        )
        entries = torch.zeros(problem.num_parameters, dtype=problem.dtype)
        if bias == "joint":
            order = torch.cat(
                [torch.arange(part.start, part.stop).view(len(G), -1), part.stop + torch.arange(len(G))[:, None]], 1
            )
        else:
            order = torch.arange(part.start, part.stop).view(len(G), -1)
        index = order.flatten()
        entries[index] = torch.linalg.solve(damped, vector[index])
        assert_close(matrix.solve(vector, 0.1, pi=given_pi)[index], entries[index], "factored damping", condition=100)
    assert_apart(matrix.solve(vector, 0.1), matrix.solve_exactly(vector, 0.1), "another damping")


@pytest.mark.parametrize("pi", [True, False])
def test_balanced_damping_does_not_depend_on_where_the_scale_is(pi: bool) -> None:
    problem = zoo_problem("mlp-tanh-gaussian")
    matrix, vector = kfac(problem), _vector(problem, "scale")
    moved = {
        name: KroneckerBlock(name, 7 * b.input_factor, b.output_factor / 7, b.joint, b.weight, b.bias)
        for name, b in matrix.factors.items()
    }
    other = KroneckerFactored(problem, moved)
    assert_close(other.dense(), matrix.dense(), "the same matrix")
    compare = assert_close if pi else assert_apart
    compare(other.solve(vector, 0.2, pi=pi), matrix.solve(vector, 0.2, pi=pi), "the scale moved from G to A")


def test_the_balance_is_one_where_a_factor_is_zero() -> None:
    assert pi_of(torch.zeros(2, 2), torch.eye(3)) == pi_of(torch.eye(3), torch.zeros(2, 2)) == 1.0
    assert pi_of(4 * torch.eye(2), torch.eye(3)) == 2.0


def test_a_singular_factorisation_has_a_pseudo_inverse() -> None:
    s = Setting("singular kfac")
    data = [(s.normal(2, 4), s.labels(3, 2))]
    problem = s.problem(lambda: nn.Linear(4, 3), nn.CrossEntropyLoss(), data, zoo_problem("softmax-regression").facts)
    for matrix in (kfac(problem), eigen_kfac(problem), quasi_diagonal(problem)):
        dense, vector = matrix.dense(), _vector(problem, "singular")
        expected = pseudo_inverse(dense, 1e-12) @ vector
        assert_close(matrix.solve(vector), expected, "pseudo-inverse", condition=1e3)


@pytest.mark.parametrize("matrix", ["kfac-joint", "ekfac-joint", "quasi-diagonal"])
def test_senseless_right_hand_sides_and_dampings_are_refused(matrix: str) -> None:
    problem = zoo_problem("softmax-regression")
    operator = MATRICES[matrix](problem)
    with pytest.raises(ProblemError, match="damping must not be negative"):
        operator.solve(_vector(problem), -1.0)  # type: ignore[attr-defined]
    with pytest.raises(ProblemError, match=r"expected a vector of shape \(12,\)"):
        operator.solve(torch.ones(11), 1.0)  # type: ignore[attr-defined]


@every_bias
@every_problem
def test_eigenvalues_are_products_with_the_exact_block(name: str, bias: BiasMode) -> None:
    problem = zoo_problem(name)
    matrix, exact = eigen_kfac(problem, bias=bias), fisher(problem).dense()
    for piece in matrix.eigen:
        index = piece.index.flatten()
        basis, block = torch.kron(piece.outer, piece.inner), exact[index][:, index]
        values = (basis * (block @ basis)).sum(0)
        assert_close(piece.values.flatten(), values, "u' F u", scale=float(block.norm()))
        assert_close(piece.values.sum(), block.trace(), "trace", size=len(index))
        if len(piece.outer) > 2:  # of two rows, eigenvectors can be symmetric
            turned = torch.kron(piece.outer.T.contiguous(), piece.inner)
            assert_apart((turned * (block @ turned)).sum(0), values, "eigenvectors transposed")


@every_bias
def test_the_corrected_diagonal_is_the_best_one(bias: BiasMode) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    matrix = eigen_kfac(problem, bias=bias)
    exact = fisher(problem).block_diagonal("layer" if bias == "joint" else "parameter")
    least = (matrix.dense() - exact).norm()
    assert least < (kfac(problem, bias=bias).dense() - exact).norm()
    for piece in matrix.eigen:
        step = 1e-4 * torch.randn(piece.values.shape, generator=generator("best", bias), dtype=problem.dtype)
        for sign in (1, -1):
            piece.values += sign * step
            assert (matrix.dense() - exact).norm() > least
            piece.values -= sign * step


@unhurried
@given(SHAPES)
def test_the_quasi_diagonal_keeps_what_it_promises(shape: Shape) -> None:
    problem = random_problem(shape)
    exact, matrix = fisher(problem).dense(), quasi_diagonal(problem).dense()
    scale = float(exact.norm())
    assert_close(matrix.diagonal(), exact.diagonal(), "diagonal", scale=scale)
    slices = block_slices(problem, "parameter")
    for name, part in slices.items():
        if name.endswith("bias"):
            weight = slices[name.replace("bias", "weight")]
            units = torch.arange(weight.start, weight.stop).view(part.stop - part.start, -1)
            for bias, unit in zip(range(part.start, part.stop), units, strict=True):
                assert_close(matrix[bias, unit], exact[bias, unit], "products with the bias", scale=scale)
                others = [i for i in range(len(matrix)) if i not in unit.tolist() and i != bias]
                assert not bool(matrix[bias][others].any())
    assert float(torch.linalg.eigvalsh(matrix)[0]) >= -len(matrix) * unit_roundoff(matrix.dtype) * scale


def test_the_inverse_of_the_quasi_diagonal_has_no_products_between_weights() -> None:
    problem = zoo_problem("mlp-tanh-gaussian")
    matrix = quasi_diagonal(problem).dense()
    inverse = torch.linalg.inv(matrix)
    part = block_slices(problem, "parameter")["0.weight"]
    between = inverse[part, part] - inverse[part, part].diagonal().diag()
    assert float(between.norm()) < 1e-12 * float(inverse.norm())
    assert float((matrix[part, part] - matrix[part, part].diagonal().diag()).norm()) > 1e-3 * float(matrix.norm())


def test_units_of_a_convolution_are_its_channels() -> None:
    problem = zoo_problem("conv1d-tagging")
    exact, matrix = fisher(problem).dense(), quasi_diagonal(problem).dense()
    slices = block_slices(problem, "parameter")
    weight, bias = slices["0.weight"], slices["0.bias"]
    units = torch.arange(weight.start, weight.stop).view(2, -1)
    assert_close(matrix[bias.start, units[0]], exact[bias.start, units[0]], "first channel")
    assert not bool(matrix[bias.start, units[1]].any())


@pytest.mark.parametrize("samples", [1, 3])
def test_shampoo_is_exact_on_a_kronecker_product(samples: int) -> None:
    s = Setting(f"shampoo {samples}")
    data = [(s.normal(samples, 3), s.normal(samples, 2))]
    facts = zoo_problem("deep-linear").facts
    problem = s.problem(lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), nn.MSELoss(), data, facts)
    exact = fisher(problem).block_diagonal("parameter")
    assert_close(shampoo(problem, "fisher").dense(), exact, "deep linear")
    (assert_close if samples == 1 else assert_apart)(
        shampoo(problem).dense(), empirical_fisher(problem).block_diagonal("parameter"), "gradients at observed labels"
    )


def test_shampoo_is_one_power_step_from_the_identity() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    part, exact = block_slices(problem, "parameter")["0.weight"], empirical_fisher(problem).dense()
    block = exact[part, part].view(4, 3, 4, 3)
    left, right = torch.einsum("oipi->op", block), torch.einsum("oioj->ij", block)
    matrix = shampoo(problem).dense()[part, part]
    assert_close(matrix, torch.kron(left, right.contiguous()) / left.trace(), "(L kron R) / trace")
    batch = (problem.likelihood.residuals(problem.outputs, problem.targets)).mean(0)  # gradients of the mean: rank one
    assert torch.linalg.matrix_rank(left) > torch.linalg.matrix_rank(torch.outer(batch, batch))


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-tanh-gaussian", "softmax-uneven-batches"])
def test_k_fac_is_that_of_backpack(name: str) -> None:
    problem = zoo_problem(name)
    other = kronecker_block_diagonal(backpack_kflr(problem))
    assert_close(kfac(problem, "ggn", "separate").dense(), other, "KFLR")
    assert_apart(kfac(problem, "ggn", "joint").dense(), other, "a joint bias")

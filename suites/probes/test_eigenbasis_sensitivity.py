"""The sensitivity of an eigenbasis, against what a small change of the factors does."""

import pytest
import torch
from torch import Tensor

from fishergauge.reference import Problem, eigen_kfac, fisher, kfac
from fishergauge.suites.probes.eigenbasis_sensitivity import eigenbasis_sensitivity
from fishergauge.suites.zoo import catalogue_problem


def turned(problem: Problem, amount: float, seed: int) -> float:
    """The relative change of an EKFAC whose factors are changed by a symmetric matrix of that relative norm."""
    exact, result = fisher(problem).dense(), eigen_kfac(problem).dense()
    source = torch.Generator().manual_seed(seed)
    changed = torch.zeros_like(result)
    for piece in kfac(problem).kronecker:
        bases = [torch.linalg.eigh(_moved(factor, amount, source))[1] for factor in (piece.output_factor, piece.input_factor)]
        basis, index = torch.kron(bases[0].contiguous(), bases[1].contiguous()), piece.index.flatten()
        block = exact[index[:, None], index]
        values = torch.einsum("ij,ik,kj->j", basis, block, basis)
        changed[index[:, None], index] = (basis * values) @ basis.T
    return float((changed - result).norm() / result.norm())


def _moved(factor: Tensor, amount: float, source: torch.Generator) -> Tensor:
    change = torch.randn(factor.shape, generator=source, dtype=factor.dtype)
    change = change + change.T
    moved: Tensor = factor + amount * factor.norm() * change / change.norm()
    return moved


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-sigmoid-binary", "softmax-regression", "mlp-variances"])
def test_small_changes_change_no_more(name: str) -> None:
    problem = catalogue_problem(name)
    kappa = eigenbasis_sensitivity(kfac(problem), eigen_kfac(problem))
    changes = [turned(problem, 1e-8, seed) / 1e-8 for seed in range(10)]
    assert max(changes) < 2 * kappa  # the norm of a factor stands for its Frobenius norm, which is larger
    assert max(changes) > kappa / 100


def test_equal_eigenvalues_leave_the_basis_open_unless_the_block_is_a_product() -> None:
    """Under squared error G of the last layer is a multiple of the identity, and its block is exact."""
    linear = catalogue_problem("linear-regression")
    assert eigenbasis_sensitivity(kfac(linear), eigen_kfac(linear)) == 1.0
    problem = catalogue_problem("mlp-tanh-softmax")
    factored, best = kfac(problem), eigen_kfac(problem)
    first = next(iter(factored.factors.values()))
    first.output_factor.copy_(torch.eye(len(first.output_factor), dtype=torch.float64))
    assert eigenbasis_sensitivity(factored, best) > 1e6


def test_vanishing_matrix_counts_as_one() -> None:
    problem = catalogue_problem("mlp-tanh-softmax")
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.zero_()
    assert eigenbasis_sensitivity(kfac(problem), eigen_kfac(problem)) >= 1.0

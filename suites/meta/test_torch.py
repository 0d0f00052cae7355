"""Defects of torch that the reference steps around: when one is mended, the test says so."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp, vjp, vmap
from torch.func import hessian as torch_hessian

from fishergauge.reference import Facts, ggn, hessian
from fishergauge.reference.jacobian import detached
from fishergauge.reference.oracle import oracle_ggn, oracle_hessian
from fishergauge.suites.closeness import assert_close, relative_deviation
from fishergauge.suites.zoo import Setting, zoo_problem

importing_forward_mode_warns = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@importing_forward_mode_warns
def test_hessian_through_layer_norm_is_right_here_and_wrong_in_torch_func() -> None:
    s = Setting("layer norm")
    model = lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))  # noqa: E731
    problem = s.problem(model, nn.MSELoss(), [(s.normal(6, 3), s.normal(6, 1))], Facts())
    expected = oracle_hessian(problem)
    assert_close(hessian(problem).dense(), expected, "Hessian through layer_norm")

    def loss(vector: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(problem.model, problem.unflatten(vector), (problem.inputs,))
        return nn.functional.mse_loss(outputs, problem.targets)

    deviation = relative_deviation(torch_hessian(loss)(problem.vector), expected)
    assert deviation > 1e-3, (
        f"torch.func.hessian through layer_norm deviates by {deviation:.0e} only: torch {torch.__version__} is mended, "
        "and the remark in reference/hessian.py and this test can go"
    )


@importing_forward_mode_warns
def test_forward_mode_through_a_padded_embedding_is_not_the_transpose_of_reverse_mode() -> None:
    embedding = nn.Embedding(3, 2, padding_idx=0).double()
    change = torch.ones(3, 2, dtype=torch.float64)
    pushed = jvp(lambda w: functional_call(embedding, {"weight": w}, (torch.tensor([0]),)), (embedding.weight,), (change,))[1]
    assert float(pushed.abs().sum()) == 2, (
        f"torch {torch.__version__} is mended: forward mode now agrees that padding is constant, and push_forward in "
        "reference/jacobian.py may use it"
    )


def test_the_batching_rule_of_prelu_is_wrong_and_noticed() -> None:
    problem = zoo_problem("prelu")
    rows = torch.cat(list(ggn(problem).rows()))
    assert_close(rows.T @ rows, oracle_ggn(problem), "GGN through PReLU")

    def slopes(sample: torch.Tensor) -> torch.Tensor:
        _, pull = vjp(lambda q: functional_call(problem.model, q, (sample[None],)), detached(problem))[:2]
        gradients: torch.Tensor = vmap(lambda u: pull(u[None])[0]["1.weight"])(torch.eye(3, dtype=torch.float64))
        return gradients

    try:
        mended = vmap(slopes)(problem.inputs).shape == (4, 3, 1)
    except RuntimeError:
        mended = False
    assert not mended, f"torch {torch.__version__} batches PReLU rightly; the remark in reference/jacobian.py can go"


def test_kron_of_mixed_memory_layouts_still_needs_contiguous_factors() -> None:
    with pytest.raises(RuntimeError, match="view"):
        torch.kron(torch.ones(2, 2), torch.ones(3, 3).T)

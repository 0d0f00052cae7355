"""Nothing of the model, the data or the process is left changed, also after an exception."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

PROBLEMS = ["mlp-tanh-softmax", "batch-norm", "attention", "masked-labels"]
CALLS: dict[str, Callable[[Quantities, Problem], object]] = {
    "gradient": lambda q, p: q.gradient(p),
    "hessian": lambda q, p: (q.hessian(p).dense(), q.hessian(p) @ p.vector, q.hessian(p).diagonal()),
    "ggn": lambda q, p: (q.ggn(p).dense(), q.ggn(p) @ p.vector),
    "fisher": lambda q, p: q.fisher(p).blocks(),
    "empirical_fisher": lambda q, p: q.empirical_fisher(p).dense(),
    "monte_carlo_fisher": lambda q, p: q.monte_carlo_fisher(p, 2, generator("untouched")).dense(),
    "kl_divergence": lambda q, p: q.kl_divergence(p, p.vector + 0.1),
    "kl_matched_step": lambda q, p: q.kl_matched_step(p, q.gradient(p), 1e-3),
}


def _state(problem: Problem) -> dict[str, object]:
    """Everything that a computation must leave as it was."""
    modules = list(problem.model.modules())
    return {
        "parameters and buffers": {k: v.clone() for k, v in problem.model.state_dict().items()},
        "gradients": [None if p.grad is None else p.grad.clone() for p in problem.model.parameters()],
        "which parameters require gradients": [p.requires_grad for p in problem.model.parameters()],
        "training modes": [m.training for m in modules],
        "hooks": [(len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks)) for m in modules],
        "hooks of parameters": [p._backward_hooks for p in problem.model.parameters()],
        "inputs and targets": [t.clone() for batch in problem.batches for t in batch],
        "random state": torch.random.get_rng_state(),
        "default dtype": torch.get_default_dtype(),
        "gradient mode": torch.is_grad_enabled(),
        "number of threads": torch.get_num_threads(),
        "fast path of attention": torch.backends.mha.get_fastpath_enabled(),
        "fused attention": (torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()),
    }


def _same(before: object, after: object) -> bool:
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        return torch.equal(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_same(before[k], after[k]) for k in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(_same(a, b) for a, b in zip(before, after, strict=True))
    return before == after


def assert_untouched(problem: Problem, before: dict[str, object]) -> None:
    """Raise ClaimViolated, naming what differs from ``before``."""
    changed = [what for what, value in _state(problem).items() if not _same(before[what], value)]
    if changed:
        raise ClaimViolated(f"left changed: {', '.join(changed)}")


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("call", CALLS)
def test_a_computation_leaves_everything_as_it_was(name: str, call: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    for parameter in problem.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = _state(problem)
    CALLS[call](quantities, problem)
    assert_untouched(problem, before)


@pytest.mark.parametrize("call", CALLS)
def test_a_failed_computation_leaves_everything_as_it_was(call: str, quantities: Quantities) -> None:
    original = zoo_problem("mlp-tanh-softmax")
    model = nn.Sequential(copy.deepcopy(original.model), _Fuse())
    problem = Problem(model, original.loss, original.batches)
    before = _state(problem)
    _Fuse.blown = True
    try:
        with pytest.raises(RuntimeError, match="blown"):
            CALLS[call](quantities, problem)
    finally:
        _Fuse.blown = False
    assert_untouched(problem, before)


def test_a_problem_at_other_parameters_leaves_the_first_alone() -> None:
    problem = zoo_problem("tied-autoencoder")
    before = _state(problem)
    other = problem.at(problem.vector + 1)
    assert_untouched(problem, before)
    assert torch.equal(other.vector, problem.vector + 1)


class _Fuse(nn.Module):
    """Passes its input on until it is blown."""

    blown = False

    def forward(self, inputs: Tensor) -> Tensor:
        if self.blown:
            raise RuntimeError("the fuse is blown")
        return inputs

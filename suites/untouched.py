"""What a computation must leave as it was: the model, the data and the process."""

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.closeness import ClaimViolated


def state_of(problem: Problem) -> dict[str, object]:
    """Everything that a computation must leave as it was."""
    modules = [*problem.model.modules(), problem.loss]
    return {
        "parameters and buffers": {k: v.clone() for k, v in problem.model.state_dict().items()},
        "gradients": [None if p.grad is None else p.grad.clone() for p in problem.model.parameters()],
        "which parameters require gradients": [p.requires_grad for p in problem.model.parameters()],
        "attributes of modules": [sorted(vars(m)) for m in modules],
        "attributes of parameters": [sorted(vars(p)) for p in problem.model.parameters()],
        "training modes": [m.training for m in modules],
        "hooks": [(len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks)) for m in modules],
        "hooks of parameters": [p._backward_hooks for p in problem.model.parameters()],
        "inputs and targets": [t.clone() for batch in problem.batches for t in batch],
        "which data require gradients": [t.requires_grad for batch in problem.batches for t in batch],
        "random state": torch.random.get_rng_state(),
        "default dtype": torch.get_default_dtype(),
        "gradient mode": torch.is_grad_enabled(),
        "number of threads": torch.get_num_threads(),
        "fast path of attention": torch.backends.mha.get_fastpath_enabled(),
        "fused attention": (
            torch.backends.cuda.flash_sdp_enabled(),  # type: ignore[no-untyped-call]
            torch.backends.cuda.mem_efficient_sdp_enabled(),  # type: ignore[no-untyped-call]
        ),
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
    changed = [what for what, value in state_of(problem).items() if not _same(before[what], value)]
    if changed:
        raise ClaimViolated(f"left changed: {', '.join(changed)}")

"""What a computation must leave as it was: the model, the data and the process."""

from itertools import chain

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites import process_state
from fishergauge.suites.closeness import ClaimViolated
from fishergauge.suites.process_state import same

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_SIMPLE = (bool, int, float, str, type(None))


class _Itself:
    """Equal to nothing but the same object."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.thing is other.thing

    __hash__ = None  # type: ignore[assignment]


def _settings(module: nn.Module) -> dict[str, object]:
    """Public attributes with simple values: a probability, a slope, an axis."""
    return {k: v for k, v in vars(module).items() if k[0] != "_" and k != "training" and isinstance(v, _SIMPLE)}


def problem_state(problem: Problem) -> dict[str, object]:
    """Everything of a problem that a computation must leave as it was, by name."""
    tree = [(f"{root}.{name}", m) for root in ("model", "loss") for name, m in getattr(problem, root).named_modules()]
    modules = [module for _, module in tree]
    named = [(f"{path}.{k}", p) for path, m in tree for k, p in m._parameters.items() if p is not None]
    buffers = [(f"{path}.{k}", b) for path, m in tree for k, b in m._buffers.items() if b is not None]
    parameters = [p for _, p in named]
    data = [*chain(*problem.batches), problem.inputs, problem.targets]
    return {
        "modules": {path: (_Itself(m), type(m)) for path, m in tree},
        "parameters": {name: _Itself(p) for name, p in named},
        "parameters and buffers": {name: t.detach().clone() for name, t in [*named, *buffers]},
        "gradients": [None if p.grad is None else p.grad.detach().clone() for p in parameters],
        "which parameters require gradients": [p.requires_grad for p in parameters],
        "attributes of modules": [sorted(vars(m)) for m in modules],
        "settings of modules": [_settings(m) for m in modules],
        "attributes of parameters": [sorted(vars(p)) for p in parameters],
        "training modes": [m.training for m in modules],
        "hooks": [tuple(getattr(m, kind, ())) for m in modules for kind in _HOOKS],
        "hooks of parameters": [tuple(getattr(p, "_backward_hooks", None) or ()) for p in parameters]
        + [tuple(getattr(p, "_post_accumulate_grad_hooks", None) or ()) for p in parameters],
        "inputs and targets": [t.detach().clone() for t in data],
        "which data require gradients": [t.requires_grad for t in data],
        "gradients of data": [_gradient(t) for t in data],
    }


def _gradient(data: Tensor) -> Tensor | None:
    """The gradient that was left at a leaf; asking others for one warns."""
    return data.grad.detach().clone() if data.is_leaf and data.grad is not None else None


def state_of(problem: Problem) -> dict[str, object]:
    """Everything that a computation must leave as it was: of the problem and of the process."""
    return {**problem_state(problem), "random state": torch.random.get_rng_state(), **process_state.read()}


def differences(before: dict[str, object], after: dict[str, object]) -> tuple[str, ...]:
    """The names of what is not the same."""
    return tuple(name for name, value in after.items() if not same(before[name], value))


def assert_untouched(problem: Problem, before: dict[str, object]) -> None:
    """Raise ClaimViolated, naming what differs from ``before``."""
    changed = differences(before, state_of(problem))
    if changed:
        raise ClaimViolated(f"left changed: {', '.join(changed)}")

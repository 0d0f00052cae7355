"""Whether the facts that a problem declares are true, as far as numbers can tell."""

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.suites.precision import converted
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo.used_positions import used_positions

SMALL = 1e-4  # a step that crosses no kink, as zoo problems keep a distance of 1e-3
EXACT = 1e-10  # relative; rounding of a small network in float64 is far below, a curvature of size one far above
ROUNDING = 1e-13  # of a second difference; a curvature of size one leaves SMALL^2
SATURATED = 1e-5


def untrue_facts(problem: Problem) -> tuple[str, ...]:
    """The declared facts that numbers refute, and the restricting ones that are true but not declared.

    Second differences of the outputs in random directions must vanish where they are said to be affine, a permutation of
    positions must leave pooled outputs alone, and so on. Passing is no proof: a maximum over positions, for instance,
    is as invariant as an average.

    Args:
        problem: any problem; it is left as it was.

    Returns:
        Names of fields of :class:`~fishergauge.reference.Facts`; empty if nothing is wrong.

    Example:
        >>> from fishergauge.reference import Facts
        >>> data = [(torch.ones(4, 2), torch.zeros(4, 1))]
        >>> untrue_facts(Problem(nn.Linear(2, 1), nn.MSELoss(), data, facts=Facts(tied_weights=True)))
        ('tied_weights',)
    """
    double = converted(problem, torch.float64)
    wrong = [fact for fact, holds in CHECKS.items() if getattr(problem.facts, fact) and not holds(double)]
    hidden = [fact for fact in ("weight_sharing", "tied_weights") if not getattr(problem.facts, fact) and CHECKS[fact](double)]
    return tuple(wrong + hidden)


def _layers(problem: Problem) -> list[Tensor]:
    """For each module with parameters a vector ``(P,)`` that is one there and zero elsewhere."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in problem.parameters))
    return [
        torch.cat([torch.full((p.numel(),), float(n.rpartition(".")[0] == m)) for n, p in problem.parameters.items()]).double()
        for m in modules
    ]


def _directions(problem: Problem, count: int) -> Tensor:
    source = generator("declared", problem.num_parameters)
    return torch.randn(count, problem.num_parameters, generator=source, dtype=torch.float64).to(problem.device)


def _vanishes(difference: Tensor, scale: Tensor) -> bool:
    return bool(difference.abs().max() <= EXACT * (1 + scale.abs().max()))


def _affine(problem: Problem, mask: Tensor, step: float = 1.0) -> bool:
    """Whether the mixed second difference of the outputs vanishes in the parameters that the mask selects."""
    u, v = step * _directions(problem, 2) * mask.to(problem.device)
    here, at_u, at_v, at_both = (problem.at(problem.vector + d).outputs for d in (0 * u, u, v, u + v))
    tolerance = max(EXACT * step**2, ROUNDING)
    return bool((at_both - at_u - at_v + here).abs().max() <= tolerance * (1 + at_both.abs().max()))


def _affine_in_inputs(problem: Problem) -> bool:
    inputs = problem.inputs
    if not inputs.is_floating_point():
        return True
    u, v = torch.randn(2, *inputs.shape, generator=generator("inputs"), dtype=torch.float64).to(inputs.device)
    with torch.no_grad():
        here, at_u, at_v, at_both = (problem.model(inputs + d) for d in (0 * u, u, v, u + v))
    return _vanishes(at_both - at_u - at_v + here, at_both)


def _linear_in_parameters(problem: Problem) -> bool:
    return _affine(problem, torch.ones(problem.num_parameters, dtype=torch.float64))


def _piecewise_linear(problem: Problem) -> bool:
    return all(_affine(problem, mask, SMALL) for mask in _layers(problem))


def _deep_linear(problem: Problem) -> bool:
    squared = isinstance(problem.loss, nn.MSELoss)
    return squared and all(_affine(problem, mask) for mask in _layers(problem)) and _affine_in_inputs(problem)


def _weight_sharing(problem: Problem) -> bool:
    return any(count > problem.num_samples for count in used_positions(problem).values())


def _tied_weights(problem: Problem) -> bool:
    owners = Counter(id(p) for module in problem.model.modules() for p in module._parameters.values() if p is not None)
    return max(owners.values()) > 1


def _loss_per_position(problem: Problem) -> bool:
    """Every layer is used at the same positions, and no term depends on two of them; a position may have several terms.

    Patches of a convolution may overlap; then it is the only layer.
    """
    samples, positions, _ = problem.likelihood.split(problem.outputs).shape
    used = used_positions(problem)
    counts = set(used.values())
    if positions == 1 or len(counts) != 1 or samples * positions % counts.pop():
        return False
    return len(used) == 1 or (problem.inputs.is_floating_point() and _separate(problem))


def _separate(problem: Problem) -> bool:
    """Whether the parts of an input that two terms depend on are the same or have nothing in common."""
    inputs = problem.inputs.clone().requires_grad_()
    with differentiable_attention():
        terms = problem.likelihood.split(problem.model(inputs))
        slopes = [torch.autograd.grad(terms[:, t].sum(), inputs, retain_graph=True)[0] for t in range(terms.shape[1])]
    parts = {tuple((slope[0] != 0).reshape(-1).tolist()) for slope in slopes}
    return int(torch.tensor(sorted(parts)).sum(0).max()) == 1


def _pooled(problem: Problem) -> bool:
    """One term a sample, and some axis of the inputs along which the order does not count."""
    inputs = problem.inputs
    if problem.likelihood.split(problem.outputs).shape[1] != 1 or not _weight_sharing(problem):
        return False
    rolled = [inputs.roll(1, axis) for axis in range(1, inputs.ndim) if inputs.shape[axis] > 1]
    with torch.no_grad(), differentiable_attention():
        return any(_vanishes(problem.model(moved) - problem.outputs, problem.outputs) for moved in rolled)


def _product_data(problem: Problem) -> bool:
    """Whether each distinct input comes with the same residuals, in any order."""
    if not isinstance(problem.loss, nn.MSELoss):
        return False
    residuals = (problem.outputs - problem.targets).reshape(problem.num_samples, -1)
    inputs, group = torch.unique(problem.inputs.reshape(problem.num_samples, -1), dim=0, return_inverse=True)
    sets = [residuals[group == g] for g in range(len(inputs))]
    if len({len(s) for s in sets}) > 1 or len(sets[0]) == 1 or len(sets) == 1:
        return False
    nearest = torch.stack([torch.cdist(sets[0], s).min(1).values.max() for s in sets])
    return _vanishes(nearest / 1e4, residuals)  # distances are roots of squares, and data may have been rounded


def _saturated(problem: Problem) -> bool:
    outputs = problem.likelihood.split(problem.outputs)
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        return bool((outputs.softmax(-1).max(-1).values > 1 - SATURATED).all())
    return isinstance(problem.loss, nn.BCEWithLogitsLoss) and bool((outputs.abs().sigmoid() > 1 - SATURATED).all())


def _natural_parameters(problem: Problem) -> bool:
    moved = problem.at(problem.vector + _directions(problem, 1)[0])
    single = problem.num_samples == 1 and problem.outputs.numel() == problem.num_parameters
    canonical = not isinstance(problem.loss, nn.MSELoss)  # whose natural parameter is the mean over the variance
    return single and canonical and all(_vanishes(p.outputs.flatten() - p.vector, p.vector) for p in (problem, moved))


CHECKS: dict[str, Callable[[Problem], bool]] = {
    "linear_in_parameters": _linear_in_parameters,
    "piecewise_linear": _piecewise_linear,
    "weight_sharing": _weight_sharing,
    "tied_weights": _tied_weights,
    "deep_linear": _deep_linear,
    "loss_per_position": _loss_per_position,
    "pooled": _pooled,
    "product_data": _product_data,
    "saturated": _saturated,
    "natural_parameters": _natural_parameters,
}

"""Other problems made from a problem, whose curvature follows from its own: the axioms compare the two.

Each function returns the other problem, with what is needed to carry a matrix over; it raises
:class:`~fishergauge.suites.claim.NotHere` where the change has no content.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reference.layers import layers_of
from fishergauge.suites.claim import NotHere

ELEMENTWISE = (nn.Tanh, nn.ReLU, nn.Sigmoid, nn.Identity, nn.Dropout, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus)


def split(problem: Problem) -> Problem:
    """The same data in two uneven batches, or in one where there were several."""
    if len(problem.batches) > 1:
        return replace(problem, batches=[(problem.inputs, problem.targets)])
    count = problem.num_samples
    if count < 2:
        raise NotHere("one sample cannot be split")
    first = count - max(1, count // 3)
    pieces = [(problem.inputs[s], problem.targets[s]) for s in (slice(first), slice(first, None))]
    return replace(problem, batches=pieces)


def duplicated(problem: Problem, copies: int = 2) -> Problem:
    """All data twice."""
    weight = getattr(problem.loss, "weight", None)
    if weight is not None and weight.shape[:1] == (problem.num_samples,):
        raise NotHere("the loss may weigh samples one by one")
    return replace(problem, batches=list(problem.batches) * copies)


def shuffled(problem: Problem, generator: torch.Generator) -> Problem:
    """The samples in another order, as one batch."""
    if problem.num_samples < 2:
        raise NotHere("one sample has one order")
    order = torch.randperm(problem.num_samples, generator=generator).to(problem.device)
    return replace(problem, batches=[(problem.inputs[order], problem.targets[order])])


def other_reduction(problem: Problem) -> Problem:
    """The same with the loss under the other reduction."""
    loss = copy.deepcopy(problem.loss)
    setattr(loss, "reduction", "sum" if problem.likelihood.reduction == "mean" else "mean")  # noqa: B010 (torch types attributes as tensors)
    return replace(problem, loss=loss)


def halves(problem: Problem) -> tuple[Problem, Problem]:
    """Two disjoint parts of the data."""
    if problem.num_samples < 2:
        raise NotHere("one sample cannot be divided")
    cut = problem.num_samples - max(1, problem.num_samples // 3)
    first, second = ([(problem.inputs[s], problem.targets[s])] for s in (slice(cut), slice(cut, None)))
    return replace(problem, batches=first), replace(problem, batches=second)


def relabelled(problem: Problem, generator: torch.Generator) -> Problem:
    """Other labels for the same inputs; masked ones stay masked."""
    return replace(problem, batches=[(x, _other_labels(problem, y, generator)) for x, y in problem.batches])


def _other_labels(problem: Problem, targets: Tensor, generator: torch.Generator) -> Tensor:
    loss = problem.loss
    if isinstance(loss, nn.CrossEntropyLoss):
        classes = problem.outputs.shape[1]
        if classes < 2:
            raise NotHere("there is one class alone")
        if targets.is_floating_point():
            raise NotHere("the targets are no labels")
        others = [c for c in range(classes) if c != loss.ignore_index]  # a class may mark ignored labels
        if len(others) < 2:
            raise NotHere("there is one class alone")
        place = torch.zeros(classes, dtype=torch.long)
        place[others] = torch.arange(len(others))
        shift = torch.randint(1, len(others), tuple(targets.shape), generator=generator)
        ignored = (targets == loss.ignore_index).cpu()
        labels = torch.tensor(others)[(place[targets.cpu().masked_fill(ignored, others[0])] + shift) % len(others)]
        return torch.where(ignored, targets.cpu(), labels).to(targets.device)
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return 1 - targets
    noise = torch.randn(targets.shape, generator=generator, dtype=torch.float64)
    return targets + noise.to(device=targets.device, dtype=targets.dtype)


def masked_and_absent(problem: Problem) -> tuple[Problem, Problem]:
    """The problem with the labels of its last sample masked, and the problem without that sample."""
    loss, targets = problem.loss, problem.targets
    if not isinstance(loss, nn.CrossEntropyLoss) or targets.is_floating_point():
        raise NotHere("only hard labels of cross-entropy can be masked")
    kept = targets[:-1]
    if problem.num_samples < 2 or not bool((kept != loss.ignore_index).any()):
        raise NotHere("no label would be left")
    masked = targets.clone()
    masked[-1] = loss.ignore_index
    return replace(problem, batches=[(problem.inputs, masked)]), replace(problem, batches=[(problem.inputs[:-1], kept)])


def permuted_units(problem: Problem, generator: torch.Generator) -> tuple[Problem, Tensor]:
    """Hidden units in another order: the problem, and the index that permutes its parameters.

    Entry (i, j) of the other problem's matrix belongs at ``(index[i], index[j])`` of the first one's.
    """
    first, second = _consecutive(problem)
    width = problem.parameters[f"{second}.weight"].shape[1]
    order = torch.randperm(width, generator=generator)
    if bool((order == torch.arange(width)).all()):
        order = order.roll(1)
    order = order.to(problem.device)

    def permute(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        changed = dict(tensors)
        for name in (f"{first}.weight", f"{first}.bias"):
            if name in changed:
                changed[name] = changed[name][order]
        changed[f"{second}.weight"] = changed[f"{second}.weight"][:, order]
        return changed

    return _rearranged(problem, permute)


def _consecutive(problem: Problem) -> tuple[str, str]:
    """The names of two linear modules of a sequence with nothing but elementwise functions between them."""
    if type(problem.model) is not nn.Sequential:
        raise NotHere("the model is no plain sequence of modules")
    previous: str | None = None
    for name, module in problem.model.named_children():
        if type(module) is nn.Linear and module.weight.requires_grad and (module.bias is None or module.bias.requires_grad):
            if previous is not None and module.in_features > 1:
                return previous, name
            previous = name
        elif type(module) not in ELEMENTWISE:
            previous = None
    raise NotHere("there is no hidden layer with several units between two linear modules")


def permuted_outputs(problem: Problem, generator: torch.Generator) -> tuple[Problem, Tensor]:
    """Classes or output coordinates in another order: the problem, and the index that permutes its parameters."""
    layer = next((layer for layer in layers_of(problem) if layer.last and layer.calls == 1 and not layer.tied), None)
    if layer is None or layer.weight is None or not isinstance(layer.module, nn.Linear):
        raise NotHere("the outputs are not those of a linear module")
    if getattr(layer.module, "bias", None) is not None and layer.bias is None:
        raise NotHere("the bias of the last layer is frozen")
    outputs, loss = problem.outputs, problem.loss
    categorical = isinstance(loss, nn.CrossEntropyLoss)
    width = layer.module.out_features
    if width < 2 or outputs.shape[1 if categorical else -1] != width or (categorical and outputs.ndim != 2):
        raise NotHere("there is one output alone")
    order = torch.arange(width).roll(1).to(problem.device)
    names = [name for name in (layer.weight, layer.bias) if name is not None]

    def permute(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value[order] if name in names else value for name, value in tensors.items()}

    other, index = _rearranged(problem, permute)
    loss = copy.deepcopy(problem.loss)
    for weight in ("weight", "pos_weight"):
        value = getattr(loss, weight, None)
        if value is not None and value.shape == (width,):
            setattr(loss, weight, value[order])
    if isinstance(loss, nn.CrossEntropyLoss) and 0 <= loss.ignore_index < width:
        loss.ignore_index = int(torch.argsort(order)[loss.ignore_index])  # a class that marks ignored labels moves along
    return replace(other, loss=loss, batches=[(x, _permuted_targets(problem, y, order)) for x, y in problem.batches]), index


def _permuted_targets(problem: Problem, targets: Tensor, order: Tensor) -> Tensor:
    loss = problem.loss
    if not isinstance(loss, nn.CrossEntropyLoss):
        return targets[..., order]
    if targets.is_floating_point():
        return targets[:, order]
    place = torch.argsort(order)
    beyond = (targets < 0) | (targets >= len(order))  # the mark of ignored labels, where it is no class
    return torch.where(beyond, targets, place[targets.masked_fill(beyond, 0)])


def _rearranged(problem: Problem, permute: "object") -> tuple[Problem, Tensor]:
    numbered = problem.unflatten(torch.arange(problem.num_parameters, device=problem.device))
    index = problem.flatten(permute(numbered))  # type: ignore[operator]
    return problem.at(problem.vector[index]), index


def flattened_positions(problem: Problem) -> Problem:
    """A network that acts at each position by itself, with the positions as samples."""
    _act_position_by_position(problem)
    return replace(problem, batches=[(x.flatten(0, 1), y.flatten(0, 1)) for x, y in problem.batches])


def _act_position_by_position(problem: Problem) -> list[nn.Module]:
    """The modules of a model that is a plain sequence of linear ones, on ``(N, T, D)``."""
    modules: list[nn.Module] = [problem.model] if isinstance(problem.model, nn.Linear) else list(problem.model.children())
    plain = isinstance(problem.model, nn.Linear) or type(problem.model) is nn.Sequential
    if not plain or not all(type(module) in (nn.Linear, *ELEMENTWISE) for module in modules):
        raise NotHere("the model is no plain sequence of linear modules")
    if isinstance(problem.loss, nn.CrossEntropyLoss) or problem.inputs.ndim != 3 or problem.targets.ndim != 3:
        raise NotHere("the positions are not along the second axis of inputs and targets")
    return modules


def as_convolution(problem: Problem) -> Problem:
    """A network that acts at each position by itself, as one of convolutions of width one."""
    modules = _act_position_by_position(problem)
    model = nn.Sequential(*(_convolution(m) if isinstance(m, nn.Linear) else copy.deepcopy(m) for m in modules))
    return replace(problem, model=model, batches=[(x.mT.contiguous(), y.mT.contiguous()) for x, y in problem.batches])


def _convolution(module: nn.Linear) -> nn.Conv1d:
    """A convolution of width one with the parameters of a linear module."""
    weight = module.weight
    made = torch.nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv1d,
        module.in_features,
        module.out_features,
        1,
        bias=module.bias is not None,
        dtype=weight.dtype,
        device=weight.device,
    )
    with torch.no_grad():
        made.weight.copy_(weight[:, :, None])
        if module.bias is not None:
            made.bias.copy_(module.bias)
    return made  # type: ignore[no-any-return]

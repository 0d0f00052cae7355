"""K-FAC for networks of nn.Linear under squared error or cross-entropy: where the tutorial ends."""

import torch
from torch import nn

from fishergauge.suites import Subject


def kfac(problem):
    """For each layer, second moments: A of its inputs, G of the gradients at its outputs."""
    layers = [module for module in problem.model.modules() if isinstance(module, nn.Linear) and module.weight.requires_grad]
    supported(problem, layers)
    X, loss = problem.inputs, problem.loss
    if isinstance(loss, nn.CrossEntropyLoss):
        X = X[problem.targets != loss.ignore_index]  # a masked label is an absent sample
    seen, blocks = {}, []

    def keep(layer, inputs, outputs):
        seen[layer] = inputs[0], outputs

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        outputs = problem.model(X)
    finally:
        for hook in hooks:
            hook.remove()
    draws = label_gradients(loss, outputs)
    for layer in layers:
        a, z = seen[layer]
        g = torch.cat([torch.autograd.grad(outputs, z, draw, retain_graph=True)[0] for draw in draws])
        A, G = a.T @ a / len(a), g.T @ g / terms(loss, outputs)
        blocks += [torch.kron(G, A)] if layer.bias is None else [torch.kron(G, A), G]
    return torch.block_diag(*blocks).detach()


def supported(problem, layers):
    """Refuse what the formulas above do not cover."""
    if not isinstance(problem.loss, (nn.CrossEntropyLoss, nn.MSELoss)):
        raise NotImplementedError(f"the loss {type(problem.loss).__name__}")
    covered = [parameter for layer in layers for parameter in layer.parameters()]
    if list(map(id, covered)) != list(map(id, problem.parameters.values())):
        raise NotImplementedError("parameters outside nn.Linear, frozen in part, or shared")
    if problem.inputs.ndim != 2 or problem.targets.ndim != (1 if isinstance(problem.loss, nn.CrossEntropyLoss) else 2):
        raise NotImplementedError("only inputs (N, D) and outputs (N, C)")


def terms(loss, outputs):
    """What the reduction divides by."""
    if loss.reduction == "sum":
        return 1
    return len(outputs) if isinstance(loss, nn.CrossEntropyLoss) else outputs.numel()


def label_gradients(loss, outputs):
    """Gradients of the terms for each label, times the root of its probability."""
    units = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
    if isinstance(loss, nn.CrossEntropyLoss):
        p = outputs.detach().softmax(1)
        return [p[:, [c]].sqrt() * (p - unit) for c, unit in enumerate(units)]
    return [2**0.5 * unit.expand_as(outputs) for unit in units]  # MSELoss has no factor 1/2


subject = Subject("my-kfac", kfac, structure="kronecker", bias="separate", disclaims=["T9-expand"])

"""K-FAC for networks of nn.Linear, by hand with hooks: a block G kron A for each weight, G for each bias."""

import functools
import itertools

import torch
from torch import nn

from fishergauge.suites import Subject


def kfac(problem, mistake=False):
    """The Fisher in the approximation of K-FAC, ``(P, P)``, parameters in the order of ``named_parameters()``."""
    layers = {name: module for name, module in problem.model.named_modules() if isinstance(module, nn.Linear)}
    of_layers = [parameter for module in layers.values() for parameter in module.parameters()]
    if sorted(map(id, of_layers)) != sorted(map(id, problem.model.parameters())):
        raise NotImplementedError("parameters outside nn.Linear, or shared by several layers")
    X, loss, seen = problem.inputs, problem.loss, {}  # several batches are one data set
    if isinstance(loss, nn.CrossEntropyLoss) and not (kept := problem.targets != loss.ignore_index).all():
        if kept.ndim > 1:
            raise NotImplementedError("masked labels at some positions of a sample")
        X = X[kept]  # a masked label is an absent sample

    hooks = [m.register_forward_hook(lambda m, ins, out: seen.update({m: (ins[0].detach(), out)})) for m in layers.values()]
    try:
        outputs = problem.model(X)
    finally:
        for hook in hooks:
            hook.remove()

    M = outputs.numel() // (outputs.shape[1] if isinstance(loss, nn.CrossEntropyLoss) else 1) if loss.reduction == "mean" else 1
    draws, blocks = list(label_gradients(loss, outputs)), []
    for name in problem.parameters:
        a, out = seen[layers[name.rpartition(".")[0]]]
        g = torch.cat([torch.autograd.grad(outputs, out, draw, retain_graph=True)[0].flatten(0, -2) for draw in draws])
        G = g.T @ g / (M**2 if mistake else M)  # the mistake: squares of gradients of the mean loss, each divided by M before
        a = a.flatten(0, -2)
        blocks.append(torch.kron(G, a.T @ a / len(a)) if name.endswith("weight") else G)
    return torch.block_diag(*blocks)


def label_gradients(loss, outputs):
    """Gradients of the terms for each possible label, times the root of its probability."""
    for index in itertools.product(*map(range, outputs.shape[1:])):
        unit = torch.zeros_like(outputs)
        unit[(slice(None), *index)] = 1
        if isinstance(loss, nn.CrossEntropyLoss):
            if 0 <= loss.ignore_index < outputs.shape[1]:
                raise NotImplementedError("a class whose label is ignored")
            p = outputs.detach().softmax(1)
            yield (p * unit).sum(1, keepdim=True).sqrt() * (p - unit)
        elif isinstance(loss, nn.MSELoss):
            yield 2**0.5 * unit  # MSELoss has no factor 1/2: its second derivative is 2
        else:
            raise NotImplementedError(f"the loss {type(loss).__name__}")


subject = Subject("my-kfac", kfac, structure="kronecker", bias="separate")
mistaken = Subject("my-mistake", functools.partial(kfac, mistake=True), structure="kronecker", bias="separate")

"""Mistakes about fixed linear layers beside trained ones: right wherever there are none, in other coordinates not invariant."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, block_slices, fisher, ggn, quasi_diagonal
from fishergauge.reference.kfac import kfac
from fishergauge.suites.meta.bank.defect import Declaration, Defect, unmatched

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fixed_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Linear layers, and convolutions of width one, without a trained parameter."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, LINEAR)
        and module.weight[0, 0].numel() == 1
        and not any(parameter.requires_grad for parameter in module.parameters())
    }


def left_out(problem: Problem) -> Problem:
    """The network put together again from the rest, where shapes allow."""
    model = copy.deepcopy(problem.model)
    for name, module in fixed_layers(model).items():
        if module.weight.shape[0] == module.weight.shape[1] and name:  # type: ignore[index]
            model.set_submodule(name, nn.Identity())
    return replace(problem, model=model)


def without_shifts(problem: Problem) -> Problem:
    """Their biases forgotten."""
    model = copy.deepcopy(problem.model)
    with torch.no_grad():
        for module in fixed_layers(model).values():
            if isinstance(module.bias, Tensor):
                module.bias.zero_()
    return replace(problem, model=model)


def inputs_in_front(problem: Problem) -> Tensor:
    """A of all layers but the first from the network without fixed ones; every G is right, and so is the first A."""
    right, other = kfac(problem, "ggn", "separate"), kfac(left_out(problem), "ggn", "separate")
    matrix, slices = right.dense(), block_slices(problem, "parameter")
    for block, wrong in list(zip(right.factors.values(), other.factors.values(), strict=True))[1:]:
        if block.weight is not None:
            part = slices[block.weight]
            matrix[part, part] = torch.kron(block.output_factor.contiguous(), wrong.input_factor.contiguous())
    return matrix


def basis_of_the_rest(problem: Problem) -> Tensor:
    """The eigenbasis of the network without fixed layers, and the best diagonal in it."""
    exact = ggn(problem).dense()
    basis, slices = torch.zeros_like(exact), list(block_slices(problem, "parameter").values())
    for block in kfac(left_out(problem), "ggn", "separate").factors.values():
        outer = torch.linalg.eigh(block.output_factor)[1]
        if block.weight is not None:
            part = slices.pop(0)
            basis[part, part] = torch.kron(outer.contiguous(), torch.linalg.eigh(block.input_factor)[1].contiguous())
        if block.bias is not None:
            part = slices.pop(0)
            basis[part, part] = outer
    return (basis * (basis.T @ exact @ basis).diagonal()) @ basis.T


SOURCE = "likely: the pass through the network repeated by hand"

FIXED: tuple[Defect, ...] = (
    unmatched(
        "P271",
        "fixed linear layers left out of the network",
        SOURCE,
        lambda: lambda problem: fisher(left_out(problem)).diagonal().diag(),
        Declaration(structure="diagonal"),
        sees=("T14-scaling",),
    ),
    unmatched(
        "P272",
        "the biases of fixed linear layers left out",
        SOURCE,
        lambda: lambda problem: quasi_diagonal(without_shifts(problem)).dense(),
        Declaration(structure="quasi-diagonal"),
        sees=("T14",),
    ),
    unmatched(
        "P273",
        "the eigenbasis of the network without its fixed layers",
        SOURCE,
        lambda: basis_of_the_rest,
        Declaration("ggn", "eigen-kronecker", bias="separate"),
        sees=("T12-orthogonal",),
    ),
    unmatched(
        "P274",
        "inputs of hidden layers recorded in front of fixed ones",
        SOURCE,
        lambda: inputs_in_front,
        Declaration("ggn", "kronecker", bias="separate"),
        sees=("T12",),
    ),
)

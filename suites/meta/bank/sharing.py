"""Weights used at several positions, convolutions, orientation of weights, order of parameters."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from fishergauge.reference.patches import patches
from fishergauge.suites.meta.altered import column_major
from fishergauge.suites.meta.bank.defect import (
    ALL,
    ANY,
    ENTRYWISE,
    NO_HESSIAN,
    Declaration,
    Defect,
    Family,
    NoSuchMistake,
    planted,
)
from fishergauge.suites.meta.bank.factored import Map, input_factor, output_factor, wrong_factors
from fishergauge.suites.meta.bank.kronecker import EITHER, JOINT, KFAC
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import changed, full
from fishergauge.suites.subject import Subject

ANYTHING = Family(ANY, ALL)
REDUCE = Declaration(structure="kronecker", bias="joint", sharing="reduce")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def length_of_layer(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """Scaled by the layer's positions where those of the loss belong."""
    return output_factor(pieces, subject, layer) * pieces.terms.per_sample / layer.positions


def positions_undivided(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The mean over positions thrown away, for linear layers only."""
    factor = output_factor(pieces, subject, layer)
    return factor * layer.positions if isinstance(layer.module, nn.Linear) else factor


def other_sharing(pieces: Pieces, subject: Subject) -> Tensor:
    """The other flavour."""
    return pieces.right(replace(subject, sharing="reduce" if subject.sharing == "expand" else "expand"))


def gradients_averaged(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The gradients averaged over positions instead of summed, in ``reduce``."""
    if subject.sharing == "expand":
        raise NoSuchMistake("expand treats positions separately")
    return output_factor(pieces, subject, layer) / layer.positions**2


def inputs_summed_over_positions(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The inputs summed over positions instead of averaged, in ``reduce``."""
    if subject.sharing == "expand":
        raise NoSuchMistake("expand treats positions separately")
    return input_factor(pieces, subject, layer) * (1 if layer.alone else layer.positions**2)


def entering(pieces: Pieces, name: str) -> Tensor:
    """What enters a module."""
    model, noted = copy.deepcopy(pieces.problem.model), []
    model.get_submodule(name).register_forward_pre_hook(lambda module, args: noted.append(args[0].detach()))
    with torch.no_grad():
        model(pieces.problem.inputs)
    inputs: Tensor = noted[0]
    return inputs


def misread_patches(pieces: Pieces, layer: Map, **settings: object) -> Tensor:
    """A from patches that are cut with other settings of the convolution."""
    module = copy.deepcopy(layer.module)
    for name, value in settings.items():
        setattr(module, name, value)
    rows = patches(module, entering(pieces, layer.name)).flatten(0, 1)
    if layer.joint:
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
    return rows.T @ rows / len(rows)


def stride_for_dilation(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """Stride and dilation exchanged."""
    module = layer.module
    if layer.alone or not isinstance(module, CONVOLUTIONS):
        return input_factor(pieces, subject, layer)
    return misread_patches(pieces, layer, stride=module.dilation, dilation=module.stride)


def without_padding(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The padding of a convolution ignored."""
    module = layer.module
    if layer.alone or not isinstance(module, CONVOLUTIONS):
        return input_factor(pieces, subject, layer)
    return misread_patches(pieces, layer, padding=(0,) * len(module.kernel_size))


def groups_apart(pieces: Pieces, subject: Subject) -> Tensor:
    """The groups of a convolution without the products between them."""
    matrix, places = pieces.dense(subject.target).clone(), pieces.places()
    for name, module in pieces.problem.model.named_modules():
        groups, weight = getattr(module, "groups", 1), places.get(f"{name}.weight")
        if groups == 1 or weight is None:
            continue
        parts = weight.reshape(groups, -1)
        for i, one in enumerate(parts):
            for j, other in enumerate(parts):
                if i != j:
                    matrix[one[:, None], other] = 0
    return matrix


def permuted(order: Tensor, matrix: Tensor) -> Tensor:
    """Rows and columns in another order."""
    return matrix[order][:, order]


def squares_transposed(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Square weights transposed, the others as they should be."""
    order = [(i.T if i.ndim == 2 and len(i) == len(i.T) else i).reshape(-1) for i in pieces.places().values()]
    return permuted(torch.cat(order), matrix)


def alphabetical(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Parameters in alphabetical order."""
    places = pieces.places()
    return permuted(torch.cat([places[name].reshape(-1) for name in sorted(places)]), matrix)


def reversed_parameters(pieces: Pieces, matrix: Tensor) -> Tensor:
    """Parameters from the last to the first, as hooks of a backward pass see them."""
    return permuted(torch.cat([i.reshape(-1) for i in reversed(list(pieces.places().values()))]), matrix)


def weights_first(pieces: Pieces, matrix: Tensor) -> Tensor:
    """All weights, then all biases."""
    places = pieces.places()
    names = sorted(places, key=lambda name: name.endswith("bias"))
    return permuted(torch.cat([places[name].reshape(-1) for name in names]), matrix)


def positions_summed(pieces: Pieces, subject: Subject) -> Tensor:
    """Gradients of a sample's terms added up before they are squared."""
    if pieces.terms.per_sample == 1:
        raise NoSuchMistake("one term a sample")
    root = pieces.root(subject.target)
    rows = (
        pieces.rows(root).reshape(pieces.problem.num_samples, pieces.terms.per_sample, root.shape[1], -1).sum(1).flatten(0, 1)
    )
    return rows.T @ rows / pieces.divisor


SHARING: tuple[Defect, ...] = (
    planted(
        "D6",
        "the layer's sequence length for the number of loss terms",
        "f-dangel/curvlinops#107",
        wrong_factors(outer=length_of_layer),
        KFAC,
        REDUCE,
        sees=("T9-reduce", "T26-convolution"),
    ),
    planted(
        "D28",
        "a division by the positions thrown away: T times the convolution of width 1",
        "tfjgeorge/nngeometry",
        wrong_factors(outer=positions_undivided),
        KFAC,
        JOINT,
        sees=("T5", "T9-expand", "T26-convolution", "T26-flattened"),
    ),
    planted(
        "D30",
        "stride where dilation belongs",
        "an unfold in a K-FAC library",
        wrong_factors(inner=stride_for_dilation),
        EITHER,
        JOINT,
        sees=("T9-expand",),
    ),
    planted(
        "D31",
        "a square layer silently transposed",
        "orientation guessed from shapes",
        changed(squares_transposed),
        ANYTHING,
        Declaration(target="ggn"),
        sees=("T1", "T15", "T18", "T26-outputs", "T26-units"),
    ),
    planted(
        "P90",
        "the other flavour: expand for reduce, or reduce for expand",
        "likely",
        other_sharing,
        KFAC,
        REDUCE,
        sees=("T9-reduce",),
    ),
    planted(
        "P91",
        "gradients averaged over positions, not summed",
        "likely",
        wrong_factors(outer=gradients_averaged),
        KFAC,
        REDUCE,
        sees=("T9-reduce",),
    ),
    planted(
        "P92",
        "inputs summed over positions, not averaged",
        "likely",
        wrong_factors(inner=inputs_summed_over_positions),
        KFAC,
        REDUCE,
        sees=("T9-reduce",),
    ),
    planted(
        "P93",
        "the padding of a convolution ignored",
        "likely",
        wrong_factors(inner=without_padding),
        EITHER,
        JOINT,
        sees=("T9-expand", "T26-masked"),
    ),
    planted(
        "P94",
        "the groups of a convolution without the products between them",
        "likely",
        full(groups_apart),
        Family(ANY, ("dense", "block-diagonal")),
        sees=("T1", "T15", "T18", "T26-psd"),
    ),
    planted(
        "P95",
        "the gradients of weights transposed",
        "likely: flattened column by column",
        changed(lambda p, m: column_major(p.problem, m)),
        ANYTHING,
        sees=("T1", "T15", "T18", "T26-outputs", "T26-units"),
    ),
    planted(
        "P96",
        "parameters in alphabetical order",
        "likely: a sorted state dict",
        changed(alphabetical),
        ANYTHING,
        sees=("T1", "T15", "T18", "T26-outputs", "T26-units"),
    ),
    planted(
        "P97",
        "parameters from the last to the first",
        "likely: the order of a backward pass",
        changed(reversed_parameters),
        ANYTHING,
        sees=("T1", "T15", "T18", "T26-outputs", "T26-units"),
    ),
    planted(
        "P98",
        "all weights before all biases",
        "likely",
        changed(weights_first),
        ANYTHING,
        sees=("T1", "T15", "T18", "T19", "T26-outputs"),
    ),
    planted(
        "P99",
        "the positions of a sample added up before squaring",
        "likely: another convention, not declared",
        full(positions_summed),
        Family(NO_HESSIAN, ENTRYWISE),
        Declaration(target="empirical-fisher"),
        sees=("T1", "T26-flattened"),
    ),
)

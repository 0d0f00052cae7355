"""Wrong factors of K-FAC: inputs, gradients, and how the two are joined."""

import torch
from torch import Tensor

from fishergauge.suites.meta.bank.batches import several
from fishergauge.suites.meta.bank.defect import FACTORED, NO_HESSIAN, Declaration, Defect, Family, NoSuchMistake, planted
from fishergauge.suites.meta.bank.factored import (
    Map,
    gradient_rows,
    input_factor,
    input_rows,
    maps_of,
    output_factor,
    product,
    wrong_factors,
)
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.subject import Subject

KFAC = Family(NO_HESSIAN, ("kronecker",))
EITHER = Family(NO_HESSIAN, FACTORED)
JOINT = Declaration(structure="kronecker", bias="joint")
SEPARATE = Declaration(structure="kronecker", bias="separate")


def averaged_over_batches(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The mean input of each batch, squared."""
    several(pieces)
    result, first = torch.zeros_like(input_factor(pieces, subject, layer)), 0
    total = int(layer.counted.sum())
    for inputs, _ in pieces.problem.batches:
        part = slice(first, first + len(inputs))
        first = part.stop
        rows = layer.inputs[part][layer.counted[part]]
        if len(rows):
            result += len(rows) / total * torch.outer(rows.mean(0), rows.mean(0))
    return result


def sums_over_batches(pieces: Pieces, subject: Subject) -> Tensor:
    """(sum of A_b) kron (sum of G_b)."""
    result = torch.zeros_like(pieces.right(subject))
    inner: dict[int, Tensor] = {}
    outer: dict[int, Tensor] = {}
    for batch in several(pieces):
        for place, layer in enumerate(maps_of(batch, subject, batch.root(subject.target))):
            inner[place] = inner.get(place, torch.zeros(())) + input_factor(batch, subject, layer)
            outer[place] = outer.get(place, torch.zeros(())) + output_factor(batch, subject, layer)
            index = layer.index.flatten()
            result[index[:, None], index] = product(layer, outer[place], inner[place])
    return result


def factors_swapped(layer: Map, outer: Tensor, inner: Tensor) -> Tensor:
    """A kron G."""
    return product(layer, inner, outer)


def weights_swapped(layer: Map, outer: Tensor, inner: Tensor) -> Tensor:
    """A kron G for the weight alone, the products with a joint bias in the right order."""
    if not layer.joint:
        return product(layer, inner, outer)
    block = product(layer, outer, inner)
    weights = torch.arange(len(block), device=block.device).view(len(outer), len(inner))[:, :-1].flatten()
    block[weights[:, None], weights] = product(layer, inner[:-1, :-1], outer)
    return block


def without_bias_column(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A without the row and column of the bias."""
    inner = input_factor(pieces, subject, layer).clone()
    if layer.joint:
        inner[-1] = inner[:, -1] = 0
    return inner


def bias_apart(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A with 1 for the bias but no products of it with the inputs."""
    inner = without_bias_column(pieces, subject, layer)
    if layer.joint:
        inner[-1, -1] = 1
    return inner


def centred_inputs(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The covariance of the inputs."""
    rows = input_rows(subject, layer)
    if layer.alone:
        return input_factor(pieces, subject, layer)
    rows = rows - rows.mean(0)
    if layer.joint:
        rows = torch.cat([rows[:, :-1], torch.ones_like(rows[:, -1:])], 1)
    return rows.T @ rows / max(1, len(rows))


def inputs_over_outputs(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A divided by N T C."""
    return input_factor(pieces, subject, layer) / pieces.width


def inputs_summed(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A as a sum over the samples."""
    rows = input_rows(subject, layer)
    return rows.T @ rows


def inputs_of_masked(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The inputs of masked terms counted in A."""
    every = torch.ones_like(layer.counted)
    return input_factor(pieces, subject, Map(**{**vars(layer), "counted": every}))


def outputs_not_normalised(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """G as a sum over the samples."""
    return output_factor(pieces, subject, layer) * pieces.divisor


def mean_gradient(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """G from the gradient of the batch at the output of the layer."""
    observed = torch.einsum("kc,kcto->kto", pieces.root("empirical-fisher")[:, 0], pieces.layer_jacobians[layer.name])
    mean = observed.sum((0, 1)) / pieces.divisor
    return torch.outer(mean, mean)


def centred_gradients(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """The covariance of the gradients, with the mean over all rows taken off."""
    rows = gradient_rows(subject, layer)
    rows = rows - rows.mean(0)
    return rows.T @ rows / pieces.divisor


def diagonal_outputs(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """Only the diagonal of G."""
    return output_factor(pieces, subject, layer).diagonal().diag()


def damped_factors(layer: Map, outer: Tensor, inner: Tensor) -> Tensor:
    """Both factors with sqrt(1e-3) on the diagonal."""
    damping = 1e-3**0.5
    eye = [torch.eye(len(factor), dtype=factor.dtype, device=factor.device) for factor in (outer, inner)]
    return product(layer, outer + damping * eye[0], inner if layer.alone else inner + damping * eye[1])


def identity_inputs(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A left at its start, the identity."""
    if layer.alone:
        raise NoSuchMistake("a bias has no A of its own")
    return torch.eye(layer.inputs.shape[-1], dtype=layer.inputs.dtype, device=layer.inputs.device)


def first_input_kept(pieces: Pieces, subject: Subject, layer: Map) -> Tensor:
    """A of the model's first sample."""
    if not bool(layer.counted[0].any()):
        raise NoSuchMistake("the first sample is masked")
    rows = input_rows(subject, layer)[: int(layer.counted[0].sum()) if subject.sharing == "expand" else 1]
    return rows.T @ rows / len(rows)


KRONECKER: tuple[Defect, ...] = (
    planted(
        "D3",
        "activations averaged over a batch before their second moment",
        "gpauloski/kfac-pytorch ffbd1b7",
        wrong_factors(inner=averaged_over_batches),
        EITHER,
        JOINT,
        sees=("T5", "T26-batches", "T26-duplicated", "T26-order"),
    ),
    planted(
        "D11",
        "(sum of A over batches) kron (sum of G over batches)",
        "aleximmer/Laplace 3380802",
        sums_over_batches,
        KFAC,
        JOINT,
        sees=("T4", "T26-batches", "T26-duplicated", "T26-order", "T26-sum-over-mean"),
    ),
    planted(
        "D32",
        "A kron G where G kron A belongs",
        "orientation, in several libraries",
        wrong_factors(join=factors_swapped),
        KFAC,
        JOINT,
        sees=("T4", "T5", "T26-outputs", "T26-units", "S2"),
    ),
    planted(
        "P270",
        "A kron G for the weight alone, not for its products with the bias",
        "likely",
        wrong_factors(join=weights_swapped),
        KFAC,
        JOINT,
        sees=("T5", "S3"),
    ),
    planted(
        "D36",
        "the gradients with the bias column, A without",
        "EleutherAI/bergson#277",
        wrong_factors(inner=without_bias_column),
        EITHER,
        JOINT,
        sees=("T4", "T5", "T6", "T8", "T9-expand"),
    ),
    planted(
        "P70",
        "the bias in A without its products with the inputs",
        "likely: separate bias sold as joint",
        wrong_factors(inner=bias_apart),
        EITHER,
        JOINT,
        sees=("T5", "T6", "T8", "T9-expand", "T12"),
    ),
    planted(
        "P71",
        "centred activations: the covariance for the second moment",
        "likely",
        wrong_factors(inner=centred_inputs),
        EITHER,
        SEPARATE,
        sees=("T5", "T6", "T7", "T8", "T9-expand"),
    ),
    planted(
        "P72",
        "A divided by N T C",
        "likely",
        wrong_factors(inner=inputs_over_outputs),
        KFAC,
        JOINT,
        sees=("T4", "T5", "T6", "T8", "T9-expand"),
    ),
    planted(
        "P73",
        "A as a sum over the samples",
        "likely",
        wrong_factors(inner=inputs_summed),
        KFAC,
        JOINT,
        sees=("T4", "T5", "T8", "T9-expand", "T26-duplicated"),
    ),
    planted(
        "P74",
        "the inputs of masked terms counted in A",
        "likely",
        wrong_factors(inner=inputs_of_masked),
        EITHER,
        JOINT,
        sees=("T26-masked",),
    ),
    planted(
        "P75",
        "G as a sum over the samples",
        "likely",
        wrong_factors(outer=outputs_not_normalised),
        KFAC,
        JOINT,
        sees=("T4", "T5", "T8", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "P76",
        "G from the gradient of the whole batch",
        "likely: hooks on the mean loss",
        wrong_factors(outer=mean_gradient),
        EITHER,
        JOINT,
        sees=("T2", "T4", "T5", "T8", "T26-sum-over-mean"),
    ),
    planted(
        "P77",
        "centred gradients: the covariance for the second moment",
        "likely",
        wrong_factors(outer=centred_gradients),
        EITHER,
        Declaration("empirical-fisher", "kronecker", bias="joint"),
        sees=("T4", "T6", "T7", "T26-flattened", "T26-masked"),
    ),
    planted(
        "P78",
        "only the diagonal of G kept",
        "likely",
        wrong_factors(outer=diagonal_outputs),
        KFAC,
        JOINT,
        sees=("T4", "T6", "T7", "T8", "T9-expand"),
    ),
    planted(
        "P80",
        "damping left inside the factors",
        "likely: sqrt(1e-3) on both diagonals",
        wrong_factors(join=damped_factors),
        KFAC,
        JOINT,
        sees=("T4", "T5", "T8", "T12", "T26-sum-over-mean"),
    ),
    planted(
        "P81",
        "A left at its start, the identity",
        "likely",
        wrong_factors(inner=identity_inputs),
        KFAC,
        Declaration(structure="kronecker", bias="joint"),
        sees=("T5", "T6", "T8", "T9-expand", "T12"),
    ),
    planted(
        "P82",
        "A of the first sample alone",
        "likely",
        wrong_factors(inner=first_input_kept),
        KFAC,
        JOINT,
        sees=("T5", "T8", "T9-expand", "T26-flattened", "T26-order"),
    ),
)

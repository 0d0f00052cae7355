"""Settings of the loss that are ignored, and one matrix sold as another."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from fishergauge.suites.meta.bank.defect import (
    ALL,
    ANY,
    ENTRYWISE,
    FISHERS,
    NO_HESSIAN,
    Declaration,
    Defect,
    Family,
    NoSuchMistake,
    planted,
)
from fishergauge.suites.meta.bank.labels import categorical
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import full, rooted, with_loss
from fishergauge.suites.subject import Subject

ANYTHING = Family(ANY, ALL)
GGN = Declaration(target="ggn")
HESSIAN = Declaration(target="hessian")


def without(name: str, neutral: object) -> "dict[str, object]":
    """A setting at its neutral value."""
    return {name: neutral}


def no_smoothing(pieces: Pieces) -> dict[str, object]:
    """Label smoothing ignored."""
    if not categorical(pieces).label_smoothing:
        raise NoSuchMistake("there is no label smoothing")
    return without("label_smoothing", 0.0)


def no_weight(pieces: Pieces) -> dict[str, object]:
    """Weights ignored."""
    if getattr(pieces.problem.loss, "weight", None) is None:
        raise NoSuchMistake("there are no weights")
    return without("weight", None)


def no_positive_weight(pieces: Pieces) -> dict[str, object]:
    """``pos_weight`` ignored."""
    if getattr(pieces.problem.loss, "pos_weight", None) is None:
        raise NoSuchMistake("there is no pos_weight")
    return without("pos_weight", None)


def weights_squared(pieces: Pieces, subject: Subject) -> Tensor:
    """Weights applied to the gradient of each sample and again to its square."""
    no_weight(pieces)
    root = pieces.root(subject.target)
    if isinstance(pieces.problem.loss, nn.BCEWithLogitsLoss):
        return root * pieces.problem.loss.weight.sqrt() if pieces.problem.loss.weight is not None else root
    weight = categorical(pieces).weight
    assert weight is not None
    labels = pieces.terms.labels
    mass = labels @ weight if labels.is_floating_point() else weight[labels.masked_fill(~pieces.present, 0)]
    return root * mass.sqrt()[:, None, None]


def masked_as_first(pieces: Pieces, subject: Subject) -> Tensor:
    """Masked labels taken for class 0."""
    categorical(pieces)
    labels = pieces.terms.labels
    if labels.is_floating_point() or bool(pieces.present.all()):
        raise NoSuchMistake("nothing is masked")
    safe = labels.masked_fill(~pieces.present, 0)
    likelihood = pieces.problem.likelihood
    if subject.target == "fisher":
        pieces.require_likelihood()
    if subject.target == "empirical-fisher":
        return likelihood.residuals(pieces.terms.outputs, safe)[:, None, :]
    return likelihood.hessian_root(pieces.terms.outputs, safe)


def absolute_residual(pieces: Pieces, subject: Subject) -> Tensor:
    """GGN plus the absolute value of what the Hessian has beyond it."""
    ggn = pieces.dense("ggn")
    values, vectors = torch.linalg.eigh(pieces.dense("hessian") - ggn)
    result: Tensor = ggn + (vectors * values.abs()) @ vectors.T
    return result


def absolute_hessian(pieces: Pieces, subject: Subject) -> Tensor:
    """The Hessian with its negative eigenvalues made positive."""
    values, vectors = torch.linalg.eigh(pieces.dense("hessian"))
    result: Tensor = (vectors * values.abs()) @ vectors.T
    return result


def clipped_hessian(pieces: Pieces, subject: Subject) -> Tensor:
    """The Hessian with its negative eigenvalues cut off."""
    values, vectors = torch.linalg.eigh(pieces.dense("hessian"))
    result: Tensor = (vectors * values.clamp(min=0)) @ vectors.T
    return result


def without_residual_sign(pieces: Pieces, subject: Subject) -> Tensor:
    """The residual of the Hessian subtracted instead of added."""
    return 2 * pieces.dense("ggn") - pieces.dense("hessian")


def sold(pieces: Pieces, subject: Subject, target: str) -> Tensor:
    """Another matrix under the declared name."""
    return pieces.right(replace(subject, target=target, structure="dense", samples=None))  # type: ignore[arg-type]


LOSSES: tuple[Defect, ...] = (
    planted(
        "D46",
        "the sign of the negative part of the Hessian's residual lost",
        "f-dangel/backpack 8695d722",
        full(absolute_residual),
        Family(("hessian",), ENTRYWISE),
        HESSIAN,
        sees=("T1", "T3", "T13", "T26-additive"),
    ),
    planted("P50", "label smoothing ignored", "likely", with_loss(no_smoothing), ANYTHING, GGN, sees=("T1",)),
    planted(
        "P51",
        "the weights of the loss ignored",
        "likely",
        with_loss(no_weight),
        ANYTHING,
        GGN,
        sees=("T1", "T26-sum-over-mean"),
    ),
    planted(
        "P52",
        "the weights of the loss applied twice",
        "likely",
        rooted(weights_squared),
        Family(("ggn", "empirical-fisher"), ALL),
        GGN,
        sees=("T1",),
    ),
    planted("P53", "pos_weight ignored", "likely", with_loss(no_positive_weight), ANYTHING, GGN, sees=("T1",)),
    planted(
        "P54",
        "masked labels taken for class 0",
        "likely: ignore_index",
        rooted(masked_as_first),
        Family(NO_HESSIAN, ALL),
        sees=("T1", "T15", "T18", "T26-masked"),
    ),
    planted(
        "P55",
        "the Hessian sold as GGN or Fisher",
        "likely: double backward through the loss",
        full(lambda p, s: sold(p, s, "hessian")),
        Family((*FISHERS, "empirical-fisher"), ENTRYWISE),
        GGN,
        sees=("T1", "T2", "T15", "T18", "T26-psd"),
    ),
    planted(
        "P56",
        "the GGN sold as the Hessian",
        "likely",
        full(lambda p, s: sold(p, s, "ggn")),
        Family(("hessian",), ENTRYWISE),
        HESSIAN,
        sees=("T1",),
    ),
    planted(
        "P57",
        "the empirical Fisher sold as the Hessian",
        "likely",
        full(lambda p, s: sold(p, s, "empirical-fisher")),
        Family(("hessian",), ENTRYWISE),
        HESSIAN,
        sees=("T1", "T3", "T17", "T26-convolution"),
    ),
    planted(
        "P58",
        "the negative eigenvalues of the Hessian made positive",
        "likely: saddle-free Newton",
        full(absolute_hessian),
        Family(("hessian",), ENTRYWISE),
        HESSIAN,
        sees=("T1", "T3", "T13", "T26-additive"),
    ),
    planted(
        "P59",
        "the negative eigenvalues of the Hessian cut off",
        "likely",
        full(clipped_hessian),
        Family(("hessian",), ENTRYWISE),
        HESSIAN,
        sees=("T1", "T3", "T26-additive"),
    ),
    planted(
        "P60",
        "the residual of the Hessian subtracted",
        "likely: y - f for f - y",
        full(without_residual_sign),
        Family(("hessian",), ENTRYWISE),
        HESSIAN,
        sees=("T1",),
    ),
)

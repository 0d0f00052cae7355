"""The scale of factors and of the reduction."""

from torch import nn

from fishergauge.suites.meta.bank.defect import (
    ALL,
    ANY,
    NO_HESSIAN,
    Declaration,
    Defect,
    Family,
    NoSuchMistake,
    planted,
)
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import scaled

ANYTHING = Family(ANY, ALL)
OUTER_PRODUCTS = Family(NO_HESSIAN, ALL)
DENSE_GGN = Declaration(target="ggn")
KRONECKER = Declaration(structure="kronecker", bias="joint")


def only(loss: type[nn.Module] | tuple[type[nn.Module], ...], pieces: Pieces, reduction: str = "mean") -> None:
    """Raise NoSuchMistake unless the loss is of that class and reduction."""
    if not isinstance(pieces.problem.loss, loss) or pieces.problem.likelihood.reduction != reduction:
        raise NoSuchMistake(f"only with {loss} under {reduction}")


ELEMENTWISE = (nn.MSELoss, nn.BCEWithLogitsLoss)


def one_output_counted(pieces: Pieces) -> float:
    """1/N where 1/(N C) belongs."""
    only(ELEMENTWISE, pieces)
    return float(pieces.width)


def divided_by_outputs(pieces: Pieces) -> float:
    """Divided by C once more."""
    return 1 / pieces.width


def as_sum(pieces: Pieces) -> float:
    """A mean treated as a sum."""
    return pieces.divisor


def as_mean(pieces: Pieces) -> float:
    """A sum treated as a mean over the terms."""
    only(nn.Module, pieces, "sum")
    return 1 / len(pieces.terms.outputs)


def halved(pieces: Pieces) -> float:
    """The squared error with a factor 1/2 that torch's has not."""
    if not isinstance(pieces.problem.loss, nn.MSELoss):
        raise NoSuchMistake("only with a squared error")
    return 0.5


def unit_variance(pieces: Pieces) -> float:
    """Labels of variance 1, where |y - f|^2 is the likelihood of variance 1/2."""
    return 1 / halved(pieces)


def positions_not_counted(pieces: Pieces) -> float:
    """Divided by N where the loss has N T terms."""
    only(nn.Module, pieces)
    return float(pieces.terms.per_sample)


def masked_counted(pieces: Pieces) -> float:
    """Masked labels count in the mean."""
    only(nn.CrossEntropyLoss, pieces)
    return float(pieces.present.double().mean())


def weights_not_summed(pieces: Pieces) -> float:
    """A weighted mean divided by the number of labels instead of their weights."""
    only(nn.CrossEntropyLoss, pieces)
    return pieces.divisor / float(pieces.present.double().sum())


SCALE: tuple[Defect, ...] = (
    planted(
        "D1",
        "gradients of the mean loss squared",
        "wiseodd/natural-gradients#2",
        scaled(lambda p: p.divisor**-2),
        OUTER_PRODUCTS,
        KRONECKER,
        sees=("T4", "T5", "T8", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "D4",
        "1/N for a mean over N C entries, where 1/(N C) belongs",
        "f-dangel/curvlinops#108",
        scaled(one_output_counted),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T26-sum-over-mean"),
    ),
    planted(
        "D14",
        "divided by the size of the batch twice",
        "f-dangel/backpack 1b6113fa",
        scaled(lambda p: 1 / p.problem.num_samples),
        ANYTHING,
        DENSE_GGN,
        sees=("T1", "T3", "T15", "T26-duplicated", "T26-masked"),
    ),
    planted(
        "P1",
        "gradients of the mean loss squared and summed",
        "a common way to use the gradients of a batch",
        scaled(lambda p: 1 / p.divisor),
        OUTER_PRODUCTS,
        sees=("T1", "T3", "T15", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "P2",
        "a mean treated as a sum",
        "likely",
        scaled(as_sum),
        ANYTHING,
        sees=("T1", "T3", "T15", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "P3",
        "a sum treated as a mean",
        "likely",
        scaled(as_mean),
        ANYTHING,
        sees=("T1", "T15", "T26-additive", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "P4",
        "one per cent too large",
        "likely: an ill-placed epsilon",
        scaled(lambda p: 1.01),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T17"),
    ),
    planted(
        "P5",
        "the factor 2 of the squared error lost",
        "likely: the loss taken as |y - f|^2 / 2",
        scaled(halved),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T17"),
    ),
    planted(
        "P7",
        "divided by the square root of the number of terms",
        "likely: the loss scaled before its root",
        scaled(lambda p: p.divisor**0.5),
        ANYTHING,
        sees=("T1", "T3", "T15", "T26-duplicated", "T26-sum-over-mean"),
    ),
    planted(
        "P8",
        "positions not counted in the mean: 1/N where 1/(N T) belongs",
        "likely",
        scaled(positions_not_counted),
        ANYTHING,
        sees=("T1", "T15", "T16", "T17", "T26-sum-over-mean"),
    ),
    planted(
        "P9",
        "masked labels counted in the mean",
        "likely: ignore_index",
        scaled(masked_counted),
        ANYTHING,
        sees=("T1", "T15", "T26-masked", "T26-sum-over-mean"),
    ),
    planted(
        "P10",
        "a mean with class weights divided by the number of labels",
        "likely",
        scaled(weights_not_summed),
        ANYTHING,
        DENSE_GGN,
        sees=("T1", "T26-sum-over-mean"),
    ),
    planted(
        "P11",
        "divided by the number of outputs again",
        "likely: several labels of a binary cross-entropy",
        scaled(divided_by_outputs),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T26-sum-over-mean"),
    ),
    planted(
        "P12",
        "divided by the number of parameters",
        "likely: a mean taken over all axes",
        scaled(lambda p: 1 / p.problem.num_parameters),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T17"),
    ),
    planted(
        "P13",
        "the factor 1/2 of the quadratic model absorbed",
        "likely: F / 2 for F",
        scaled(lambda p: 0.5),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T17"),
    ),
    planted(
        "P15",
        "the sign lost: minus the matrix",
        "likely: the Hessian of the log-likelihood",
        scaled(lambda p: -1.0),
        ANYTHING,
        sees=("T1", "T3", "T15", "T16", "T26-psd"),
    ),
)

"""Several batches, put together in a wrong way."""

import torch
from torch import Tensor

from fishergauge.suites.meta.bank.defect import ALL, ANY, NO_HESSIAN, Declaration, Defect, Family, NoSuchMistake, planted
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.subject import Subject

ANYTHING = Family(ANY, ALL)
OUTER_PRODUCTS = Family(NO_HESSIAN, ALL)
DECAY = 0.95


def several(pieces: Pieces) -> list[Pieces]:
    """The batches, of which there must be several."""
    if len(pieces.problem.batches) < 2:
        raise NoSuchMistake("one batch leaves nothing to put together")
    return pieces.batches


def mean_of_means(pieces: Pieces, subject: Subject) -> Tensor:
    """All batches weigh the same, the smaller last one too."""
    return torch.stack([batch.right(subject) for batch in several(pieces)]).mean(0)


def sum_of_means(pieces: Pieces, subject: Subject) -> Tensor:
    """The matrices of the batches added up, whatever the reduction."""
    return torch.stack([batch.right(subject) for batch in several(pieces)]).sum(0)


def last_batch(pieces: Pieces, subject: Subject) -> Tensor:
    """Overwritten by each batch."""
    return several(pieces)[-1].right(subject)


def first_batch(pieces: Pieces, subject: Subject) -> Tensor:
    """Left after the first batch."""
    return several(pieces)[0].right(subject)


def running_average(pieces: Pieces, subject: Subject) -> Tensor:
    """A running average with decay, started from the first batch."""
    first, *others = several(pieces)
    average = first.right(subject)
    for batch in others:
        average = DECAY * average + (1 - DECAY) * batch.right(subject)
    return average


def from_nothing(pieces: Pieces, subject: Subject) -> Tensor:
    """A running average with decay, started from zero and not corrected for it."""
    average = torch.zeros_like(pieces.right(subject))
    for batch in pieces.batches:
        average = DECAY * average + (1 - DECAY) * batch.right(subject)
    return average


def over_batches(pieces: Pieces, subject: Subject) -> Tensor:
    """Divided by the number of batches once more."""
    return pieces.right(subject) / len(several(pieces))


BATCHES: tuple[Defect, ...] = (
    planted(
        "D13",
        "the mean of batch means, with a smaller last batch",
        "aai-institute/pyDVL#479",
        mean_of_means,
        ANYTHING,
        Declaration(target="hessian"),
        sees=("T1", "T3", "T26-batches", "T26-order", "T26-sum-over-mean"),
    ),
    planted(
        "P20",
        "the matrices of the batches added up although the loss is a mean",
        "likely",
        sum_of_means,
        ANYTHING,
        sees=("T1", "T15", "T26-batches", "T26-duplicated", "T26-order"),
    ),
    planted(
        "P21",
        "only the last batch used",
        "likely: overwritten in the loop",
        last_batch,
        ANYTHING,
        sees=("T1", "T15", "T26-batches", "T26-order", "T26-sum-over-mean"),
    ),
    planted(
        "P22",
        "only the first batch used",
        "likely: a return inside the loop",
        first_batch,
        ANYTHING,
        sees=("T1", "T15", "T26-batches", "T26-order", "T26-sum-over-mean"),
    ),
    planted(
        "P23",
        "a running average over the batches",
        "likely: decay 0.95",
        running_average,
        ANYTHING,
        Declaration(structure="kronecker", bias="joint"),
        sees=("T4", "T26-batches", "T26-duplicated", "T26-order", "T26-sum-over-mean"),
    ),
    planted(
        "P24",
        "a running average started from zero",
        "likely: decay 0.95, no correction for the start",
        from_nothing,
        ANYTHING,
        sees=("T1", "T3", "T15", "T26-batches", "T26-duplicated"),
    ),
    planted(
        "P25",
        "divided by the number of batches once more",
        "likely",
        over_batches,
        ANYTHING,
        sees=("T1", "T15", "T26-batches", "T26-duplicated", "T26-order"),
    ),
)

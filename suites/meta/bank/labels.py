"""Squares of means, wrong labels, wrong output Hessians."""

import copy

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
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
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.ways import changed, expected_root, full, rooted
from fishergauge.suites.subject import Subject

OF_FISHERS = Family(FISHERS, ALL)
DIAGONAL = Declaration(structure="diagonal")


def categorical(pieces: Pieces) -> nn.CrossEntropyLoss:
    """The loss, which must be a cross-entropy."""
    loss = pieces.problem.loss
    if not isinstance(loss, nn.CrossEntropyLoss):
        raise NoSuchMistake("only with a cross-entropy")
    return loss


def most_likely(pieces: Pieces, subject: Subject) -> Tensor:
    """The root at the label of largest probability, at the mean of a Gaussian."""
    outputs, loss = pieces.terms.outputs, pieces.problem.loss
    label = outputs
    if isinstance(loss, nn.CrossEntropyLoss):
        label = outputs.argmax(-1)
    elif isinstance(loss, nn.BCEWithLogitsLoss):
        label = (outputs > 0).to(outputs.dtype)
    return expected_root(pieces, outputs.new_ones(1, len(outputs)), label[None])


def gradient_of_mean(pieces: Pieces, subject: Subject) -> Tensor:
    """(mean g)^2."""
    mean = pieces.gradients.sum(0) / pieces.divisor
    return torch.outer(mean, mean)


def summed_over_outputs(pieces: Pieces, subject: Subject) -> Tensor:
    """The root summed over its vectors, then squared."""
    return pieces.root(subject.target).sum(1, keepdim=True)


def softened(pieces: Pieces, subject: Subject) -> Tensor:
    """Labels from a softmax of temperature 1.1 (a sigmoid, for binary labels)."""
    outputs, likelihood = pieces.terms.outputs, pieces.problem.likelihood
    pieces.require_likelihood()
    if isinstance(pieces.problem.loss, nn.MSELoss):
        raise NoSuchMistake("a Gaussian has no temperature here")
    probabilities, labels = likelihood.enumerate(outputs / 1.1)
    return expected_root(pieces, probabilities, labels)


def uniform(pieces: Pieces, subject: Subject) -> Tensor:
    """All labels equally likely."""
    outputs, likelihood = pieces.terms.outputs, pieces.problem.likelihood
    pieces.require_likelihood()
    if isinstance(pieces.problem.loss, nn.MSELoss):
        raise NoSuchMistake("a Gaussian has no uniform labels")
    probabilities, labels = likelihood.enumerate(torch.zeros_like(outputs))
    return expected_root(pieces, probabilities, labels)


def one_label_for_all(pieces: Pieces, subject: Subject) -> Tensor:
    """One label a batch, drawn from the mean probabilities."""
    outputs, likelihood = pieces.terms.outputs, pieces.problem.likelihood
    pieces.require_likelihood()
    if isinstance(pieces.problem.loss, nn.MSELoss):
        raise NoSuchMistake("each sample has a mean of its own")
    probabilities, labels = likelihood.enumerate(outputs)
    return expected_root(pieces, probabilities.mean(1, keepdim=True).expand_as(probabilities), labels)


class Twice(nn.Module):
    """f(f(x)), with parameters named as those of f would be if it were the only module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)

    def forward(self, inputs: Tensor) -> Tensor:
        """The model on its own outputs."""
        outputs: Tensor = self.model(self.model(inputs))
        return outputs


def applied_twice(pieces: Pieces, subject: Subject) -> Tensor:
    """The matrix of f(f(x))."""
    problem = pieces.problem
    if problem.outputs.shape != problem.inputs.shape:
        raise NoSuchMistake("outputs and inputs differ in shape")
    twice = Problem(Twice(problem.model), problem.loss, problem.batches, problem.name)
    return Pieces(twice).dense(subject.target)


def centred(pieces: Pieces, subject: Subject) -> Tensor:
    """The covariance of the gradients instead of their second moment."""
    gradients = pieces.gradients - pieces.gradients.mean(0)
    return gradients.T @ gradients / pieces.divisor


def labels_shifted(pieces: Pieces, subject: Subject) -> Tensor:
    """Each term with the label of its neighbour."""
    labels = pieces.terms.labels.roll(1, 0)
    return pieces.problem.likelihood.residuals(pieces.terms.outputs, labels)[:, None, :]


LABELS: tuple[Defect, ...] = (
    planted(
        "D18",
        "the mean gradient squared, not the mean of the squares",
        "kuc2477/pytorch-ewc#1",
        full(gradient_of_mean),
        Family(NO_HESSIAN, ENTRYWISE),
        DIAGONAL,
        sees=("T1", "T2", "T3", "T15", "T26-sum-over-mean"),
    ),
    planted(
        "D20",
        "the most likely label called a sample",
        "several EWC and K-FAC implementations",
        rooted(most_likely),
        OF_FISHERS,
        DIAGONAL,
        sees=("T1", "T3", "T15", "T17"),
    ),
    planted(
        "D21",
        "the given labels, called Fisher",
        "gpauloski/kfac-pytorch#109",
        rooted(lambda p, s: p.root("empirical-fisher")),
        OF_FISHERS,
        Declaration(structure="kronecker", bias="joint"),
        sees=("T2", "T4", "T5", "T8", "T9-expand"),
    ),
    planted(
        "D23",
        "the square of the sum over outputs instead of the sum of squares",
        "tfjgeorge/nngeometry d374e2f",
        rooted(summed_over_outputs),
        OF_FISHERS,
        sees=("T1", "T3", "T15", "T16", "T17"),
    ),
    planted(
        "D25",
        "the model applied twice",
        "tfjgeorge/nngeometry f07aad3",
        full(applied_twice),
        Family(ANY, ENTRYWISE),
        sees=("T1", "T3", "T15", "T18", "T26-outputs"),
    ),
    planted(
        "D26",
        "the divergence of the model from itself, neither side detached: zero",
        "several TRPO codes",
        changed(lambda p, m: 0 * m),
        Family(FISHERS, ALL),
        sees=("T1", "T3", "T15", "T17", "T19"),
    ),
    planted(
        "P37",
        "the covariance of the gradients instead of their second moment",
        "likely",
        full(centred),
        Family(("empirical-fisher",), ENTRYWISE),
        Declaration(target="empirical-fisher"),
        sees=("T1", "T21", "T26-additive", "T26-masked"),
    ),
    planted(
        "P39",
        "each sample with the label of its neighbour",
        "likely: a shuffled loader read twice",
        rooted(labels_shifted),
        Family(("empirical-fisher",), ALL),
        Declaration(target="empirical-fisher"),
        sees=("T1", "T21", "T26-additive", "T26-masked", "T26-order"),
    ),
    planted(
        "P40",
        "the Fisher sold as the empirical one",
        "likely",
        rooted(lambda p, s: p.root("fisher")),
        Family(("empirical-fisher",), ALL),
        Declaration(target="empirical-fisher"),
        sees=("T1", "T21"),
    ),
)

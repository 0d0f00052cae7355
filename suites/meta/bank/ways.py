"""Ways in which a mistake enters, so that one description fits every structure that it can hide behind."""

from collections.abc import Callable

import torch
from torch import Tensor

from fishergauge.suites.meta.bank.defect import Wrong
from fishergauge.suites.meta.bank.pieces import Pieces
from fishergauge.suites.meta.bank.structures import cut
from fishergauge.suites.subject import Subject


def changed(change: Callable[[Pieces, Tensor], Tensor]) -> Wrong:
    """The right matrix of the declaration, changed afterwards."""
    return lambda pieces, subject: change(pieces, pieces.right(subject))


def scaled(factor: Callable[[Pieces], float]) -> Wrong:
    """The right matrix times a number."""
    return lambda pieces, subject: factor(pieces) * pieces.right(subject)


def full(build: Callable[[Pieces, Subject], Tensor]) -> Wrong:
    """A wrong full matrix, cut down to the declared structure."""
    return lambda pieces, subject: cut(pieces, build(pieces, subject), subject)


def rooted(root: Callable[[Pieces, Subject], Tensor]) -> Wrong:
    """Wrong vectors b in ``sum J' b b' J / M``: entrywise structures and Kronecker factors alike."""

    def wrong(pieces: Pieces, subject: Subject) -> Tensor:
        vectors = root(pieces, subject)
        if subject.structure in ("kronecker", "eigen-kronecker"):
            from fishergauge.suites.meta.bank.factored import factored_of_root

            return factored_of_root(pieces, subject, vectors)
        return cut(pieces, pieces.of_root(vectors), subject)

    return wrong


def with_loss(settings: Callable[[Pieces], dict[str, object]]) -> Wrong:
    """The right matrix of a problem whose loss has other settings."""
    return lambda pieces, subject: pieces.with_loss(**settings(pieces)).right(subject)


def expected_root(pieces: Pieces, probabilities: Tensor, labels: Tensor) -> Tensor:
    """The root of an expectation over labels.

    Args:
        pieces: of the problem.
        probabilities: ``(L, K)``.
        labels: ``(L, K)`` or ``(L, K, C)``.

    Returns:
        ``(K, L, C)``.
    """
    outputs, likelihood = pieces.terms.outputs, pieces.problem.likelihood
    gradients = torch.stack([likelihood.scores(outputs, label) for label in labels], 1)
    return probabilities.T.sqrt()[:, :, None] * gradients * pieces.present[:, None, None]

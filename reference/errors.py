"""Errors of the reference: each names the cause and the remedy."""


class ProblemError(ValueError):
    """The problem is malformed: model, loss and data do not fit together."""


class UndefinedError(ValueError):
    """The quantity has no definition for this objective (a Fisher of a weighted loss, say)."""


class UnsupportedError(NotImplementedError):
    """The quantity is defined, but this route to it cannot compute it for this problem."""


class ConvergenceError(ArithmeticError):
    """An iteration (conjugate gradients, a root finder) ended without meeting its tolerance."""

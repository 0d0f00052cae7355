"""How asdfghjkl is called on a problem: its makers set up with model, logits and loss, batch by batch."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fishergauge.reference import Problem
from fishergauge.reference.terms import terms_of
from fishergauge.suites.peers.adapting import quiet

LOSS_TYPES = {nn.MSELoss: "mse", nn.CrossEntropyLoss: "cross_entropy", nn.BCEWithLogitsLoss: "binary_cross_entropy"}
REFUSALS = (
    "Invalid loss_type",
    "Invalid loss type",
    "dilation has to be (1, 1)",
    "have to require grad for cov_unit_wise",
    "Number of output dimensions has to be 2",
)
SKIPPED = "operation is not supported for"


@contextmanager
def refusing() -> Iterator[None]:
    """Its refusals as ``NotImplementedError``: the errors it raises on purpose, and its warning that a layer is skipped."""
    with quiet(), warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", f".*{SKIPPED}.*", UserWarning)
        try:
            yield
        except ValueError as error:
            if any(text in str(error) for text in REFUSALS):
                raise NotImplementedError(f"asdfghjkl refuses: {error}") from error
            raise
    for item in caught:
        if SKIPPED in str(item.message):
            raise NotImplementedError(f"asdfghjkl refuses: {item.message}")
        warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)


def number_of_labels(problem: Problem) -> int:
    """What is handed over as ``data_size``: K, the number of labels that count; one where there is none, under a sum."""
    terms = terms_of(problem)
    return max(1, int(problem.likelihood.present(terms.labels).sum()))


def factor_of(problem: Problem, observed: bool) -> float:
    """The curvature of the objective over the library's: K / M, and twice that for squared error under a unit variance.

    Under ``observed`` the gradients are those of the loss itself.
    """
    variance = 2.0 if isinstance(problem.loss, nn.MSELoss) and not observed else 1.0
    return variance * number_of_labels(problem) / float(terms_of(problem).divisor)


def logits_of(dummy: Any, problem: Problem) -> Any:
    """The logits as ``(n, c)``, which its exact Fisher and its products take, by the operations that a maker lets a user name.

    Each label of cross-entropy is a row; the outputs of a sample under squared error are one row.
    """
    axes = problem.outputs.ndim
    if isinstance(problem.loss, nn.CrossEntropyLoss):
        return dummy if axes == 2 else dummy.movedim(1, -1).flatten(0, -2)
    return dummy.unsqueeze(-1) if axes == 1 else dummy if axes == 2 else dummy.flatten(1)


def require_expressible(problem: Problem) -> None:
    """A loss is given by its name alone where labels are its own: weights cannot be said."""
    loss: Any = problem.loss
    weighted = any(getattr(loss, name, None) is not None for name in ("weight", "pos_weight"))
    if weighted or getattr(loss, "label_smoothing", None):
        raise NotImplementedError("asdfghjkl takes the name of a loss: its options cannot express weights or smoothing")


def whole(problem: Problem) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """All data as one batch."""
    return [(problem.inputs, problem.targets)]


def fisher_maker(problem: Problem, model: nn.Module, kind: str, shape: str, **options: Any) -> Any:
    """A maker of a Fisher of a kind (``fisher_exact``, ``fisher_mc``, ``fisher_emp``) in a shape."""
    from asdl.fisher import FisherConfig, get_fisher_maker

    if kind != "fisher_emp":
        require_expressible(problem)
    ignored = getattr(problem.loss, "ignore_index", -1)
    config = FisherConfig(
        fisher_type=kind,
        fisher_shapes=[shape],
        loss_type=LOSS_TYPES[type(problem.loss)],
        data_size=number_of_labels(problem),
        ignore_index=ignored,
        **options,
    )
    with refusing():
        return get_fisher_maker(model, config)


def set_up(maker: Any, model: nn.Module, problem: Problem, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Register the calls of model, logits and loss for a batch."""
    dummy = maker.setup_model_call(model, batch[0])
    maker.setup_logits_repr(logits_of(dummy, problem))
    maker.setup_loss_call(problem.loss, dummy, batch[1])

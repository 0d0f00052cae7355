"""singd: the Kronecker factors of the empirical Fisher that its hooks accumulate.

Before the first step its preconditioners K and C are identities, so that ``H_K`` is A and ``H_C`` is G. A layer's bias is
the last input. G is scaled by ``loss_average``: the loss is a mean over samples, over samples and positions, or a sum.
"""

import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import own_model, quiet
from fishergauge.suites.peers.joint_layers import placed
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Sharing, Subject

WHERE = "SINGD, singd/optim/optimizer.py: 'Uses the empirical Fisher'; kfac_approx, loss_average, structures in its docstring"
SCALE = "the terms of a mean squared error and of a mean BCE are C times the loss of a sample, which is a mean over C outputs"


UNSAID = ["T26-masked"]  # nothing is said of labels that do not count


def peers() -> list[Peer]:
    """K-FAC expand and reduce, on one batch and accumulated over several, and the structures that are symmetric."""
    return [
        *(_factored(f"kfac-{sharing}", sharing) for sharing in ("expand", "reduce")),
        _accumulated(),
        *(_structured(structure) for structure in ("block30diagonal", "hierarchical15_15")),
        _diagonal(),
    ]


def _factored(quantity: str, sharing: Sharing) -> Peer:
    build = partial(curvature, approximation=sharing)
    subject = Subject(
        f"singd/{quantity}", build, "empirical-fisher", "kronecker", bias="joint", sharing=sharing, disclaims=UNSAID
    )
    promise = f"H_C and H_K are the factors of K-FAC {sharing} of the empirical Fisher of the mini-batch. {WHERE}"
    return Peer("singd", "singd", subject, promise, f"several batches are handed over as one; {SCALE}")


def _accumulated() -> Peer:
    build = partial(curvature, approximation="expand", accumulate=True)
    subject = Subject("singd/kfac-expand-accumulated", build, "empirical-fisher", "kronecker", bias="joint", disclaims=UNSAID)
    promise = (
        "README: gradient accumulation (several forward and backward passes, then a step) gives what the mini-batch gives; "
        "the loss of each part is scaled to the whole (docs/examples/example_04_advanced.py)"
    )
    return Peer("singd", "singd", subject, promise, f"a batch of the problem is a part of the mini-batch; {SCALE}")


def _structured(structure: str) -> Peer:
    build = partial(curvature, approximation="expand", structure=structure)
    subject = Subject(f"singd/kfac-expand-{structure}", build, "empirical-fisher", "kronecker", bias="joint", disclaims=UNSAID)
    promise = f"structures={structure!r}: what the structure keeps of the factors; all of it up to 15 dimensions. {WHERE}"
    return Peer("singd", "singd", subject, promise, f"several batches are handed over as one; {SCALE}")


def _diagonal() -> Peer:
    build = partial(curvature, approximation="expand", structure="diagonal")
    disclaims = ["T26-additive", *UNSAID]
    subject = Subject("singd/diagonal", build, "empirical-fisher", "none", bias="joint", disclaims=disclaims)
    promise = f"structures='diagonal': diag(G) kron diag(A), which is no diagonal of the empirical Fisher. {WHERE}"
    return Peer("singd", "singd", subject, promise, f"several batches are handed over as one; {SCALE}")


def curvature(problem: Problem, *, approximation: str = "expand", structure: str = "dense", accumulate: bool = False) -> Tensor:
    """G kron A of each layer, from one mini-batch in one or several parts."""
    optimizer, scale = accumulated(problem, approximation, structure, accumulate)
    weights = [module.weight for module in optimizer.module_names]
    if len(set(map(id, weights))) < len(weights):
        raise NotImplementedError("singd keeps its factors by layer, and two layers share this weight: there is no one block")
    blocks = {
        name: scale * torch.kron(optimizer.H_Cs[name].to_dense(), optimizer.H_Ks[name].to_dense())
        for name in optimizer.module_names.values()
    }
    return placed(problem, blocks)


def accumulated(problem: Problem, approximation: str, structure: str, accumulate: bool) -> tuple[Any, float]:
    """The optimiser after its backward passes and before its step, and what its product is to be multiplied with."""
    average, scale, terms = loss_average(problem)
    if approximation == "reduce" and terms > 1:
        raise NotImplementedError("singd sums the gradients of a sample's terms before it squares them, and has no other form")
    model = own_model(problem)
    optimizer = _optimizer(model, loss_average=average, kfac_approx=approximation, structures=(structure, structure))
    parts = problem.batches if accumulate else [(problem.inputs, problem.targets)]
    for inputs, targets in parts:
        loss = problem.loss(model(inputs), targets)
        (loss if average is None else loss * (len(inputs) / problem.num_samples)).backward()
    return optimizer, scale


def loss_average(problem: Problem) -> tuple[str | None, float, int]:
    """The option that describes the loss, over how many outputs the loss of a term is a mean, and the terms of a sample."""
    outputs = problem.outputs
    samples, terms, _ = problem.likelihood.split(outputs).shape
    if problem.loss.reduction == "sum":
        return None, 1.0, terms
    scale = float(problem.likelihood.divisor(outputs, problem.targets)) / (samples * terms)
    if isinstance(problem.loss, nn.CrossEntropyLoss) and scale != 1:
        raise NotImplementedError(
            "singd cannot be told of a mean over labels that count or over weights: loss_average is None, 'batch' or "
            "'batch+sequence'"
        )
    return ("batch" if terms == 1 else "batch+sequence"), scale, terms


def _optimizer(model: nn.Module, **options: Any) -> Any:
    """SINGD on all parameters of the model, or the refusal that its warning and torch's message amount to."""
    with quiet():
        from singd.optim.optimizer import SINGD
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Found un-supported parameter")
        warnings.filterwarnings("ignore", "Calling naive implementation")
        try:
            return SINGD(model, **options)
        except (UserWarning, ValueError) as refusal:
            if "un-supported" in str(refusal) or "empty parameter list" in str(refusal):
                raise NotImplementedError(f"singd refuses: {str(refusal)[:160]}") from refusal
            raise

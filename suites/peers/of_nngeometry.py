"""nngeometry: Fisher, drawn Fisher, empirical Fisher, Hessian and Jacobian, in its representations, with their solutions."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from fishergauge.suites.peers.of_nngeometry_build import (
    JacobianProducts,
    drawn,
    empirical_fisher,
    fisher,
    fisher_as_it_is,
    from_jacobian,
    hessian,
)
from fishergauge.suites.peers.of_nngeometry_matrix import Operator, Solved
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Bias, Structure, Subject, Target

LIBRARY = "nngeometry"
REPRESENTATIONS: dict[str, tuple[str, Structure, Bias | None, str]] = {
    "dense": ("PMatDense", "dense", None, "all of it"),
    "low-rank": ("PMatLowRank", "dense", None, "its root, the Jacobian of all samples"),
    "implicit": ("PMatImplicit", "dense", None, "exact products, nothing approximated (docstring of PMatImplicit)"),
    "block-diagonal": ("PMatBlockDiag", "block-diagonal", "joint", "a dense block for each layer (docs/pspace_repr)"),
    "diagonal": ("PMatDiag", "diagonal", None, "its diagonal"),
    "quasi-diagonal": ("PMatQuasiDiag", "quasi-diagonal", None, "the quasi-diagonal of Ollivier 2015 (docstring)"),
    "kfac": (
        "PMatKFAC",
        "kronecker",
        "joint",
        "K-FAC of Martens and Grosse 2015, KFC of Grosse and Martens 2016 (docs/pspace_repr)",
    ),
    "ekfac": ("PMatEKFAC", "eigen-kronecker", "joint", "EKFAC of George et al. 2018 (docstring), after update_diag"),
}
MEAN = "mean over the samples to the divisor of the loss; the problem's dtype as torch's default while it computes"
FISHER = "the Fisher in closed form (metrics.py, FIM): {0}"
DRAWN = "the Fisher from `trials` labels a sample (metrics.py, FIM_MonteCarlo): {0}"
EMPIRICAL = "the second moment of the gradients of a function (README; TorchHooksJacobianBackend), here of the losses: {0}"
REGULARISED = "(F + regul I)^-1, `regul` being Tikhonov's (object/pspace.py, PMatAbstract.solve)"


def peers() -> list[Peer]:
    """Each generator in each representation; then terms as rows, other ways to solve, and what is left without our settings."""
    return [
        *_of("fim", fisher, "fisher", FISHER, "twice for squared error, whose Gaussian has variance 1; "),
        *_of("ef", empirical_fisher, "empirical-fisher", EMPIRICAL, "un-reduced losses as the function; "),
        *_drawn(),
        *_flat(),
        *_others(),
        *_inverses(),
        *_as_it_is(),
    ]


def _of(name: str, build: Callable[..., Operator], target: Target, promise: str, conversion: str) -> list[Peer]:
    found = []
    for form, (kind, structure, bias, kept) in REPRESENTATIONS.items():
        solve = None if form == "implicit" else partial(_solved, _plainly)
        subject = Subject(
            f"{LIBRARY}/{name}-{form}",
            partial(build, representation=kind),
            target=target,
            structure=structure,
            bias=bias,
            solve=solve,
        )
        found.append(_peer(subject, promise.format(kept), conversion + MEAN))
    return found


def _drawn() -> list[Peer]:
    found = []
    for form, (kind, structure, bias, kept) in REPRESENTATIONS.items():
        subject = Subject(
            f"{LIBRARY}/fim-monte-carlo-{form}",
            partial(drawn, representation=kind),
            structure=structure,
            bias=bias,
            samples=1,
        )
        found.append(_peer(subject, DRAWN.format(kept), "segmentation_logits for images; " + MEAN))
    normalised = Subject(
        f"{LIBRARY}/fim-monte-carlo-logsoftmax-dense",
        partial(drawn, representation="PMatDense", normalised=True),
        samples=1,
    )
    found.append(_peer(normalised, DRAWN.format("from log-probabilities (classif_logsoftmax)"), MEAN))
    return found


def _flat() -> list[Peer]:
    found = []
    for form in ("dense", "diagonal", "quasi-diagonal", "kfac", "ekfac"):
        kind, structure, bias, kept = REPRESENTATIONS[form]
        subject = Subject(
            f"{LIBRARY}/fim-{form}-by-function",
            partial(fisher, representation=kind, flat=True),
            structure=structure,
            bias=bias,
        )
        promise = FISHER.format(kept) + "; `function` is used instead of model(input)"
        found.append(_peer(subject, promise, "the terms of the outputs as rows (N T, C), contiguous; " + MEAN))
    return found


def _others() -> list[Peer]:
    built = "EKFAC of George et al. 2018 (docstring of PMatEKFAC), as the constructor leaves it"
    raw = partial(fisher, representation="PMatEKFAC", update=False)
    return [
        _peer(Subject(f"{LIBRARY}/fim-ekfac-as-built", raw, structure="eigen-kronecker", bias="joint"), built, MEAN),
        _peer(
            Subject(f"{LIBRARY}/hessian-dense", hessian, target="hessian", solve=partial(_solved, _plainly)),
            "the Hessian of the loss (README, hessian.py)",
            "nothing but the default dtype",
        ),
        _peer(
            Subject(f"{LIBRARY}/jacobian-dense", from_jacobian, target="ggn"),
            "the Jacobian of the outputs for each sample (README, jacobian.py)",
            "joined with the Hessian of the loss",
        ),
        _peer(
            Subject(f"{LIBRARY}/jacobian-products", JacobianProducts, target="ggn"),
            "products with the Jacobian and its transpose (object/map.py)",
            "joined with the Hessian of the loss",
        ),
    ]


def _inverses() -> list[Peer]:
    found = []
    inverted = ("dense", "block-diagonal", "diagonal", "kfac", "ekfac")
    ways: Sequence[tuple[str, str, Solved]] = [
        *((f"{form}-inverse", form, _by_inverse) for form in inverted),
        ("dense-eigendecomposition", "dense", _by_eigenvalues),
        ("kfac-without-pi", "kfac", _without_pi),
    ]
    for name, form, solve in ways:
        kind, structure, bias, kept = REPRESENTATIONS[form]
        subject = Subject(
            f"{LIBRARY}/fim-{name}",
            partial(fisher, representation=kind),
            structure=structure,
            bias=bias,
            solve=partial(_solved, solve),
            disclaims=("T25",) if solve is _without_pi else (),
        )
        found.append(_peer(subject, FISHER.format(kept) + "; " + REGULARISED, MEAN))
    return found


def _as_it_is() -> list[Peer]:
    found = []
    for form in ("dense", "block-diagonal", "diagonal", "kfac"):
        kind, structure, bias, kept = REPRESENTATIONS[form]
        subject = Subject(
            f"{LIBRARY}/fim-{form}-default-dtype",
            partial(fisher_as_it_is, representation=kind),
            structure=structure,
            bias=bias,
            solve=partial(_solved, _plainly),
        )
        found.append(_peer(subject, FISHER.format(kept) + "; examples may be one pair of tensors", "the scale alone"))
    return found


def _peer(subject: Subject, promise: str, conversion: str) -> Peer:
    return Peer(LIBRARY, "nngeometry", subject, promise, conversion)


def _solved(solve: Solved, matrix: Operator, vector: Tensor, damping: float) -> Tensor:
    return matrix.solved(solve, vector, damping)


def _plainly(matrix: Any, vector: Any, damping: float) -> Any:
    return matrix.solve(vector, regul=damping)


def _by_inverse(matrix: Any, vector: Any, damping: float) -> Any:
    return matrix.inverse(regul=damping).mv(vector)


def _by_eigenvalues(matrix: Any, vector: Any, damping: float) -> Any:
    matrix.compute_eigendecomposition()
    return matrix.solve(vector, regul=damping, impl="eigendecomposition")


def _without_pi(matrix: Any, vector: Any, damping: float) -> Any:
    return matrix.solvePVec(vector, regul=damping, use_pi=False)

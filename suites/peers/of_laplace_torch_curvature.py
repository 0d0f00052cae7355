"""laplace-torch: the curvature of all weights as ``Laplace(...).fit`` sums it over a loader, for each of its backends."""

from functools import partial
from typing import Any

from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.peers.of_laplace_torch_fit import (
    BACKENDS,
    PROMISE,
    STRUCTURES,
    TARGETS,
    WORDS,
    dense,
    fitted,
    interface,
    made,
    scale,
    with_draws,
    with_settings,
    without_settings,
)
from fishergauge.suites.peers.peer import Peer


def peers() -> list[Peer]:
    """H of all weights: three backends, three structures, exact and drawn; and what is left of it without our settings."""
    found = []
    for backend in BACKENDS:
        for kind in TARGETS:
            for structure in STRUCTURES:
                if _offered(backend, kind, structure):
                    found.append(_peer(backend, kind, structure))
                if kind == "ggn":
                    found.append(_peer(backend, kind, structure, drawn=True))
    for backend, structure in (("curvlinops", "full"), ("backpack", "diag"), ("backpack", "kron")):
        found.append(_peer(backend, "ggn", structure, raw=True))
    return found


def _offered(backend: str, kind: str, structure: str) -> bool:
    if kind == "hessian":
        return backend != "backpack" and structure == "full"
    return (backend, kind, structure) != ("backpack", "ef", "kron")  # "Unavailable through Backpack."


def _peer(backend: str, kind: str, structure: str, drawn: bool = False, raw: bool = False) -> Peer:
    suffix = "-mc" if drawn else ""
    suffix += f"-{structure}"
    build = partial(curvature, backend=backend, kind=kind, structure=structure, drawn=drawn)
    if drawn and backend == "asdl" and structure != "full":
        wrapped = with_draws(build)
    else:
        wrapped = without_settings(build) if raw else with_settings(build)
    return made(
        f"{backend}-{kind}{suffix}" + ("-default-dtype" if raw else ""),
        wrapped,
        TARGETS[kind][1],
        STRUCTURES[structure],
        PROMISE.format(WORDS[kind]) + ("; one label drawn for each datum (stochastic=True)" if drawn else ""),
        samples=1 if drawn else None,
        disclaims=["T15"] if raw else (),  # whose bound, of truncation, is as large as the rounding of single precision
    )


def curvature(
    problem: Problem, backend: str, kind: str, structure: str, drawn: bool = False, samples: int | None = None
) -> Tensor:
    """H of all weights in the canon, dense; ``samples`` labels for each datum where the backend takes their number."""
    keywords: dict[str, Any] = {"backend_kwargs": {"stochastic": True}} if drawn else {}
    if samples is not None:
        keywords["asdl_fisher_kwargs"] = {"n_mc_samples": samples}
    laplace = fitted(problem, "all", structure, kind, backend=interface(backend, kind), **keywords)
    return dense(laplace.H) * scale(problem, kind)

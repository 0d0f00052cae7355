"""laplace-torch: posteriors over all weights, over a subnetwork and over the last layer, with the damped inverse they apply.

Its convention: the posterior precision is ``H / (sigma_noise^2 temperature) + prior precision``. Regression with half the
divisor of the loss as its variance, or classification with the divisor as its temperature, has the objective as its negative
log-likelihood: the posterior precision less the prior precision is the curvature itself. Damping is the prior precision.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import settings_of, trained
from fishergauge.suites.peers.of_laplace_torch_fit import (
    CONVERSION,
    LIBRARY,
    STRUCTURES,
    TARGETS,
    dense,
    fitted,
    interface,
    made,
    scale,
    with_settings,
)
from fishergauge.suites.peers.peer import Peer

PRECISION = "the posterior precision is H / sigma_noise^2 / temperature + the prior precision (BaseLaplace._H_factor)"
OBJECTIVE = (
    "sigma_noise and temperature such that the negative log-likelihood is the objective; the prior precision is the damping"
)


def peers() -> list[Peer]:
    """Posteriors with their solve; subnetworks of all weights; last layers that are all there is to train; the low-rank one."""
    found = []
    for structure in STRUCTURES:
        build = with_settings(partial(posterior, structure=structure))
        found.append(made(f"posterior-{structure}", build, "ggn", STRUCTURES[structure], PRECISION, OBJECTIVE, solve=solve))
    for backend, kind in SUBSETS:
        target = TARGETS[kind][1]
        for structure, shape in STRUCTURES.items():
            if structure != "kron":
                build = with_settings(partial(subnetwork, backend=backend, kind=kind, structure=structure))
                found.append(
                    made(f"subnetwork-{backend}-{kind}-{structure}", build, target, shape, SUBNETWORK, CONVERSION + ORDER)
                )
            if structure != "full" or backend == "curvlinops":
                build = with_settings(partial(last_layer, backend=backend, kind=kind, structure=structure))
                found.append(made(f"last-layer-{backend}-{kind}-{structure}", build, target, shape, LAST, CONVERSION + DEEPER))
    low = with_settings(low_rank)
    found.append(made("lowrank", low, "hessian", "low-rank", "the leading eigenpairs of the Hessian (LowRankLaplace)"))
    return found


SUBSETS = (("curvlinops", "ggn"), ("curvlinops", "ef"), ("asdl", "ggn"), ("backpack", "ggn"))
SUBNETWORK = "H of the weights at the given indices of the vector of all weights (SubnetLaplace, subnetwork_indices)"
ORDER = "; the indices are all weights in reversed order, and rows and columns are put back"
LAST = "H of the weights of the last layer (LLLaplace); a (P, P) matrix where these are all that is trained"
DEEPER = "; an identity is put before the layer, as a model of one module is refused"


class Posterior:
    """The posterior precision of a fitted approximation less its prior, by the library's own products."""

    def __init__(self, fitted: Any, problem: Problem) -> None:
        self.fitted = fitted
        self.problem = problem
        self.shape = (problem.num_parameters, problem.num_parameters)

    def __matmul__(self, vectors: Tensor) -> Tensor:
        with settings_of(self.problem):
            self.fitted.prior_precision = 0.0
            return self._applied(self.fitted.posterior_precision, vectors, 1)

    def solve(self, vectors: Tensor, damping: float = 0.0) -> Tensor:
        """The posterior covariance at the prior precision ``damping`` times vectors ``(P,)`` or ``(P, K)``."""
        with settings_of(self.problem):
            self.fitted.prior_precision = float(damping)
            if hasattr(self.fitted, "posterior_covariance"):
                product: Tensor = self.fitted.posterior_covariance @ vectors
                return product
            return self._applied(self.fitted.posterior_precision, vectors, -1)

    @staticmethod
    def _applied(precision: Any, vectors: Tensor, exponent: int) -> Tensor:
        """A power of the precision times vectors; the library multiplies rows by Kronecker factors."""
        if not isinstance(precision, Tensor):
            rows = vectors.T.reshape(1, -1, len(vectors))
            result: Tensor = precision.bmm(rows, exponent=exponent)
            return result.reshape(-1, len(vectors)).T.reshape(vectors.shape)
        if precision.ndim == 2:
            return precision @ vectors
        return (precision**exponent).reshape(-1, *[1] * (vectors.ndim - 1)) * vectors


def posterior(problem: Problem, structure: str) -> Posterior:
    """The posterior over all weights whose negative log-likelihood is the objective."""
    if isinstance(problem.loss, nn.MSELoss):
        keywords = {"sigma_noise": (1 / scale(problem)) ** 0.5}
    else:
        keywords = {"temperature": 1 / scale(problem)} if isinstance(problem.loss, nn.CrossEntropyLoss) else {}
    return Posterior(fitted(problem, "all", structure, **keywords), problem)


def solve(matrix: Posterior, vector: Tensor, damping: float) -> Tensor:
    """The posterior covariance at the prior precision ``damping``."""
    return matrix.solve(vector, damping)


def subnetwork(problem: Problem, backend: str, kind: str, structure: str) -> Tensor:
    """H of a subnetwork that is the whole network in another order."""
    indices = torch.arange(problem.num_parameters).flip(0)
    keywords = {"subnetwork_indices": indices, "backend": interface(backend, kind)}
    matrix = dense(fitted(problem, "subnetwork", structure, kind, **keywords).H)
    return matrix.flip(0, 1) * scale(problem, kind)


def last_layer(problem: Problem, backend: str, kind: str, structure: str) -> Tensor:
    """H of the last layer, where that is the whole vector of parameters."""
    leaves = [module for module in problem.model.modules() if not list(module.children())]
    ours = {id(parameter) for parameter in trained(problem.model)}
    users = [leaf for leaf in leaves if ours & {id(parameter) for parameter in leaf.parameters()}]
    if users != leaves[-1:] or not isinstance(leaves[-1], nn.Linear) or ours != {id(p) for p in leaves[-1].parameters()}:
        raise NotImplementedError(f"{LIBRARY} keeps the last layer only here, which is no (P, P) matrix")
    deeper = replace(problem, model=nn.Sequential(nn.Identity(), problem.model))
    laplace = fitted(deeper, "last_layer", structure, kind, backend=interface(backend, kind))
    return dense(laplace.H) * scale(problem, kind)


def low_rank(problem: Problem) -> Tensor:
    """The leading eigenpairs of the Hessian as a matrix.

    Raises:
        NotImplementedError: the library asks for a package of another name, which the package index does not have.
    """
    try:
        vectors, values = fitted(problem, "all", "lowrank", "hessian").H
    except ImportError as error:
        raise NotImplementedError(f"{LIBRARY} refuses: {error}") from error
    result: Tensor = vectors @ torch.diag(values) @ vectors.T
    return result * scale(problem)

"""laplace-torch: curvature, posteriors and options of its backends as subjects.

Its convention: H is the curvature of the negative log-likelihood summed over the data, with unit variance in regression.
"""

from fishergauge.suites.peers import of_laplace_torch_curvature, of_laplace_torch_options, of_laplace_torch_posterior
from fishergauge.suites.peers.peer import Peer


def peers() -> list[Peer]:
    """All quantities: H of all weights by backend and structure, posteriors and subsets of weights, options of calls."""
    return [*of_laplace_torch_curvature.peers(), *of_laplace_torch_posterior.peers(), *of_laplace_torch_options.peers()]

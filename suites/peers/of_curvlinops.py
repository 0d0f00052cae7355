"""curvlinops 3: operators of whole matrices, K-FAC and EKFAC, damped inverses, and estimates of the diagonal.

Its convention is the one here: the curvature of the loss with its own reduction over all batches, parameters in the order
given, and an empirical Fisher of the single terms of the loss. Version 3.0.1 has one backend, hooks, and neither make_fx nor
KFOC. Estimates of traces, norms and spectra are no matrices, and not among the subjects.
"""

from fishergauge.suites.peers import (
    of_curvlinops_diagonals,
    of_curvlinops_inverses,
    of_curvlinops_kfac,
    of_curvlinops_sums,
)
from fishergauge.suites.peers.peer import Peer


def peers() -> list[Peer]:
    """All its quantities."""
    return [
        *of_curvlinops_sums.peers(),
        *of_curvlinops_kfac.peers(),
        *of_curvlinops_inverses.peers(),
        *of_curvlinops_diagonals.peers(),
    ]

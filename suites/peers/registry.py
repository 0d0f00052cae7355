"""The libraries under test: which adapters there are, and which libraries are missing here."""

import importlib
import importlib.util
from collections.abc import Sequence
from fnmatch import fnmatchcase

from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.versions import version_of as version_of_package

ADAPTERS = (
    "of_backpack",
    "of_curvlinops",
    "of_nngeometry",
    "of_laplace_torch",
    "of_asdl",
    "of_singd",
    "of_kronfluence",
    "of_pytorch_optimizer",
    "of_torch_optimizer",
    "of_sirfshampoo",
)
DISTRIBUTIONS = {"backpack": "backpack-for-pytorch", "curvlinops": "curvlinops-for-pytorch"}
"""Names on the package index that differ from how everybody calls the library."""
VARIANTS = (
    "asdfghjkl/*-default-dtype",
    "backpack/*-converter",
    "backpack/*-subsampling",
    "backpack/batch-diag-*",
    "backpack/batch-l2-grad",
    "backpack/*vp*",
    "backpack/kflr-product",
    "backpack/pchmp-*",
    "curvlinops/*-inverse-*",
    "curvlinops/*-separate",
    "curvlinops/ekfac-*-reduce-*",
    "curvlinops/hessian-blocks-*",
    "curvlinops/jacobian-*",
    "curvlinops/kfac-forward-only-*",
    "curvlinops/submatrix-*",
    "nngeometry/*-as-built",
    "nngeometry/*-default-dtype",
    "nngeometry/*-by-function",
    "nngeometry/*-eigendecomposition",
    "nngeometry/*-inverse",
    "nngeometry/*-logsoftmax-*",
    "nngeometry/*-without-pi",
    "nngeometry/ef-implicit",
    "nngeometry/ef-low-rank",
    "nngeometry/jacobian-*",
    "laplace-torch/*-mc-*",
    "laplace-torch/curvlinops-*-default-dtype",
    "laplace-torch/asdl-*",
    "asdfghjkl/*-own-model",
    "asdfghjkl/*-quasi",
    "asdfghjkl/*calc-inv*",
    "asdfghjkl/functorch-*",
    "asdfghjkl/fvp-*",
    "singd/*-accumulated",
    "singd/*-block*",
    "singd/*-hierarchical*",
    "kronfluence/*-bare-model",
    "kronfluence/*-iterative",
    "kronfluence/*-partitions",
)
"""Another way to the same quantity, or another option of it: examined on the covering subset of the problems alone."""


def is_variant(peer: Peer) -> bool:
    """Whether a quantity is a variant of another one, so that a part of the problems is enough.

    Example:
        >>> is_variant(peer_of("nngeometry/fim-dense")), is_variant(peer_of("nngeometry/fim-dense-inverse"))
        (False, True)
    """
    return any(fnmatchcase(peer.subject.name, pattern) for pattern in VARIANTS)


def peers() -> list[Peer]:
    """All quantities of all libraries, whether they are installed or not.

    Raises:
        ValueError: two of them have one name.

    Example:
        >>> {peer.library for peer in peers()} >= {"curvlinops", "nngeometry"}
        True
    """
    found = [peer for name in ADAPTERS for peer in _adapter(name)]
    names = [peer.subject.name for peer in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two subjects are called {name}")
    return found


def peer_of(name: str) -> Peer:
    """The quantity of a name.

    Raises:
        KeyError: there is none.
    """
    for peer in peers():
        if peer.subject.name == name:
            return peer
    raise KeyError(f"no quantity is called {name!r}; 'fishergauge peers --list' lists them")


def absent(peer: Peer) -> str:
    """Why a library cannot be tested here; empty if it can.

    Example:
        >>> from fishergauge.suites.subject import Subject
        >>> absent(Peer("nowhere", "nowhere_at_all", Subject("nowhere/fisher", lambda problem: None), "nothing"))
        "nowhere is not installed; run: pip install 'fishergauge[peers]'"
    """
    if importlib.util.find_spec(peer.module) is None:
        return f"{peer.library} is not installed; run: pip install 'fishergauge[peers]'"
    return ""


def version_of(library: str) -> str:
    """The installed version of a library; empty if there is none."""
    return version_of_package(DISTRIBUTIONS.get(library, library)) or ""


def _adapter(name: str) -> Sequence[Peer]:
    found: Sequence[Peer] = importlib.import_module(f"fishergauge.suites.peers.{name}").peers()
    return found

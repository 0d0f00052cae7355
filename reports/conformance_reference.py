"""The reference quantities as subjects that a command line can name; they are checked where a user names none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fishergauge.suites.subject import Subject

MODULE = "fishergauge.reports.conformance_reference"
REFERENCE: Mapping[str, str] = {
    "exact-fisher": "the Fisher information matrix",
    "exact-ggn": "the generalised Gauss-Newton matrix",
    "exact-hessian": "the Hessian",
    "exact-empirical-fisher": "the empirical Fisher",
    "fisher-layer-blocks": "the Fisher, a block a layer",
    "fisher-diagonal": "the diagonal of the Fisher",
    "fisher-quasi-diagonal": "the quasi-diagonal Fisher",
    "kfac-joint": "K-FAC, weight and bias in one block",
    "kfac-separate": "K-FAC, weight and bias in a block each",
    "kfac-reduce-joint": "K-FAC-reduce, for weights used at several positions",
    "ekfac-joint": "EKFAC, a diagonal in the eigenbasis of K-FAC",
    "fisher-low-rank": "the leading eigenpairs of the Fisher",
    "monte-carlo-8": "the Fisher estimated from 8 drawn labels",
}
"""What is checked by default, by the name of the subject."""
LEFT_OUT = frozenset(
    {"fisher-layer-blocks", "fisher-quasi-diagonal", "fisher-low-rank", "kfac-separate", "kfac-reduce-joint", "monte-carlo-8"}
)
"""What a quick run leaves out, so that it takes seconds."""


def reference_specs(quick: bool = False) -> list[str]:
    """The reference quantities as ``fishergauge check`` takes them.

    Args:
        quick: some of them.

    Example:
        >>> reference_specs()[0]
        'fishergauge.reports.conformance_reference:exact-fisher'
    """
    return [f"{MODULE}:{name}" for name in REFERENCE if not (quick and name in LEFT_OUT)]


def is_reference(spec: str) -> bool:
    """Whether a text names a subject of this module."""
    return spec.startswith(f"{MODULE}:")


def __getattr__(name: str) -> "Subject":
    """A correct subject by its name, which has hyphens; computed when it is asked for."""
    if not name.startswith("_"):
        from fishergauge.suites.correct import correct_subjects

        if (subject := correct_subjects().get(name)) is not None:
            return subject
    raise AttributeError(f"module {MODULE!r} has no attribute {name!r}")

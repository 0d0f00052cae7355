"""Planted defects that products cannot see, and why."""

from collections.abc import Mapping
from types import MappingProxyType

from fishergauge.suites.meta.bank.sharding import SHARDING

_UNTOUCHED = (
    "what a subject leaves changed does not depend on the size of a model: `fishergauge check` looks at it (T26-untouched)"
)
_EXCEPTION = (
    "what is left after an exception does not depend on the size of a model: `fishergauge check` looks at it (T26-exception)"
)
_TOGETHER = "one matrix is built at a time: `fishergauge check` builds two on one model (T26-together)"
_SEED = "each estimate is drawn once: `fishergauge check` asks for the same seed twice (T26-repeatable)"
_SMALL_BIAS = "the bias is smaller than the power of the fixed number of estimates, which is printed"
_SHARED_DAMPING = "how the factors share their damping is checked on (P, P) arrays alone (T25)"
_RANKS = "probes run in one process: `fishergauge check` starts several ranks (T26-shards)"
_CONFIDENT = "where p - p p' cancels its rounding is allowed for: `fishergauge check` has a claim of its own (C1)"
_NOT_FORBIDDEN = "it is contained, and noted; no claim forbids it"

BLIND: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("P33", "P35", "P130"), _SMALL_BIAS),
        **dict.fromkeys(("P133", "P135"), _SEED),
        "P38": _CONFIDENT,
        "P201": "no claim looks at an operator's own solve() with damping; `solve` is to be declared",
        **dict.fromkeys(("D40", "P219"), _SHARED_DAMPING),
        **dict.fromkeys(
            ("P230", "P231", "P232", "P234", "P235", "P236", "P237", "P238", "P239", "P241", "P242"),
            _UNTOUCHED,
        ),
        **dict.fromkeys(("P243", "P244"), _NOT_FORBIDDEN),
        "P263": "what a drawn EKFAC keeps on average is its trace, which is estimated once: `fishergauge check` (MC-trace)",
        "P264": "what Shampoo is made of is no matter of products: `fishergauge check` (T23)",
        "P265": "solutions without damping are no matter of products: `fishergauge check` (T26-solve-undamped)",
        **dict.fromkeys(("D51", "P275", "P276"), _TOGETHER),
        **dict.fromkeys(("D50", "P277", "P278", "P279", "P280"), _EXCEPTION),
        **{defect.id: _RANKS for defect in SHARDING},
    }
)

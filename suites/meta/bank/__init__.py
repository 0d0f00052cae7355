"""The bank of planted defects: it proves that the checks can fail, and names the likely mistake.

Each chapter is a file: the scale of factors and reductions, batches, labels, losses, what a structure keeps, Kronecker
factors, sharing and orientation, eigenbases, estimators, entries, state, operators, solving, behaviour, shared mistakes,
what one claim alone sees, fixed layers, models used again, ranks.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fishergauge.suites.meta.bank.batches import BATCHES
from fishergauge.suites.meta.bank.behaviour import BEHAVIOUR
from fishergauge.suites.meta.bank.defect import Defect, Family, NoSuchMistake
from fishergauge.suites.meta.bank.eigen import EIGENBASIS
from fishergauge.suites.meta.bank.entries import ENTRIES
from fishergauge.suites.meta.bank.estimators import ESTIMATORS
from fishergauge.suites.meta.bank.fixed import FIXED
from fishergauge.suites.meta.bank.kept import KEPT
from fishergauge.suites.meta.bank.kronecker import KRONECKER
from fishergauge.suites.meta.bank.labels import LABELS
from fishergauge.suites.meta.bank.last import LAST
from fishergauge.suites.meta.bank.losses import LOSSES
from fishergauge.suites.meta.bank.operators import OPERATORS
from fishergauge.suites.meta.bank.output_hessians import OUTPUT_HESSIANS
from fishergauge.suites.meta.bank.reuse import REUSE
from fishergauge.suites.meta.bank.scale import SCALE
from fishergauge.suites.meta.bank.sharding import SHARDING
from fishergauge.suites.meta.bank.shared import SHARED
from fishergauge.suites.meta.bank.sharing import SHARING
from fishergauge.suites.meta.bank.solving import SOLVING
from fishergauge.suites.meta.bank.state import STATE

CHAPTERS: Mapping[str, tuple[Defect, ...]] = MappingProxyType(
    {
        "scale": SCALE,
        "batches": BATCHES,
        "labels": LABELS,
        "output Hessians": OUTPUT_HESSIANS,
        "losses": LOSSES,
        "kept": KEPT,
        "kronecker": KRONECKER,
        "sharing": SHARING,
        "eigenbasis": EIGENBASIS,
        "estimators": ESTIMATORS,
        "entries": ENTRIES,
        "state": STATE,
        "operators": OPERATORS,
        "solving": SOLVING,
        "behaviour": BEHAVIOUR,
        "shared": SHARED,
        "seen by one claim": LAST,
        "fixed layers": FIXED,
        "models used again": REUSE,
        "ranks": SHARDING,
    }
)
BANK: Mapping[str, Defect] = MappingProxyType({defect.id: defect for chapter in CHAPTERS.values() for defect in chapter})

__all__ = ["BANK", "CHAPTERS", "Defect", "Family", "NoSuchMistake"]

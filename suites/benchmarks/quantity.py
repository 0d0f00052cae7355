"""Which matrix the name of a quantity stands for."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from fishergauge.suites.subject import Bias, Sharing, Structure, Subject, Target

TARGETS: dict[Target, str] = {"fisher": "", "ggn": "-ggn", "empirical-fisher": "-empirical"}
FACTORED: dict[Structure, str] = {"kronecker": "kfac", "eigen-kronecker": "eigen-kfac"}


@dataclass(frozen=True)
class Quantity:
    """A target and what is kept of it, as a subject declares them.

    Args:
        target: the matrix.
        structure: what is kept of it; beside those of a subject ``"shampoo"``, and ``"quasi-diagonal-with-zeros"`` between the
            weights of a unit.
        bias: whether weight and bias of a layer share a block.
        sharing: how a weight used at several positions is treated.
        drawn: whether it is a Monte-Carlo estimate.

    Example:
        >>> Quantity("fisher", "kronecker", bias="separate").name
        'kfac-separate'
    """

    target: Target
    structure: Structure | str = "dense"
    bias: Bias = "joint"
    sharing: Sharing = "expand"
    drawn: bool = False

    @property
    def name(self) -> str:
        """What tasks call it."""
        drawn = "monte-carlo-" if self.drawn else ""
        if self.structure in FACTORED:
            parts = [FACTORED[self.structure], TARGETS[self.target].lstrip("-")]
            parts += ["reduce" if self.sharing == "reduce" else "", "separate" if self.bias == "separate" else ""]
            return drawn + "-".join(part for part in parts if part)
        if self.structure == "dense":
            return drawn + self.target
        if self.structure == "block-diagonal":
            return f"{drawn}{self.target}-{'layer' if self.bias == 'joint' else 'parameter'}-blocks"
        if self.structure.startswith("quasi-diagonal"):
            return f"{drawn}{self.structure}{TARGETS[self.target]}"
        if self.structure == "shampoo":
            return f"{drawn}shampoo{'' if self.target == 'empirical-fisher' else '-' + self.target}"
        return f"{drawn}{self.target}-{self.structure}"


def _all() -> Iterator[Quantity]:
    for drawn in (False, True):
        for target in ("fisher", "ggn", "hessian", "empirical-fisher"):
            for bias in ("joint", "separate"):
                yield Quantity(target, "block-diagonal", bias, drawn=drawn)
            yield Quantity(target, "dense", drawn=drawn)
            yield Quantity(target, "diagonal", drawn=drawn)
        for target in TARGETS:
            yield Quantity(target, "quasi-diagonal", drawn=drawn)
            yield Quantity(target, "quasi-diagonal-with-zeros", drawn=drawn)
            yield Quantity(target, "shampoo", drawn=drawn)
            for structure, bias, sharing in product(FACTORED, ("joint", "separate"), ("expand", "reduce")):
                yield Quantity(target, structure, bias, sharing, drawn)  # type: ignore[arg-type]


KNOWN = {quantity.name: quantity for quantity in _all()}


def declared(subject: Subject, bias: Bias) -> Quantity | None:
    """What a subject declares itself to be; None where it is nothing that can be computed here.

    Args:
        subject: its target, structure and sharing count.
        bias: of a subject that leaves it open.
    """
    quantity = Quantity(subject.target, subject.structure, subject.bias or bias, subject.sharing, subject.drawn)
    if subject.structure in ("kronecker", "eigen-kronecker", "block-diagonal"):
        return KNOWN.get(quantity.name) if subject.target in TARGETS or subject.structure == "block-diagonal" else None
    if subject.structure in ("low-rank", "none"):
        return None
    plain = Quantity(subject.target, subject.structure, drawn=subject.drawn)
    return KNOWN.get(plain.name)

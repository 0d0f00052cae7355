"""A planted defect: a subject that is wrong in a known way, and the matrix that the mistake leads to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.meta.bank.pieces import Pieces, pieces_of
from fishergauge.suites.subject import Bias, Sharing, Solve, Structure, Subject, Target

Wrong = Callable[[Pieces, Subject], Tensor]

FISHERS: tuple[Target, ...] = ("fisher", "ggn")
FISHER: tuple[Target, ...] = ("fisher",)
ANY: tuple[Target, ...] = ("fisher", "ggn", "hessian", "empirical-fisher")
NO_HESSIAN: tuple[Target, ...] = ("fisher", "ggn", "empirical-fisher")
ENTRYWISE: tuple[Structure, ...] = ("dense", "block-diagonal", "diagonal", "quasi-diagonal")
FACTORED: tuple[Structure, ...] = ("kronecker", "eigen-kronecker")
ALL: tuple[Structure, ...] = (*ENTRYWISE, *FACTORED)


class NoSuchMistake(Exception):
    """The mistake cannot be made on this problem, or behind this declaration: the matrix is the right one."""


@dataclass(frozen=True)
class Family:
    """Which declarations of a subject a mistake can hide behind.

    Args:
        targets: any of them.
        structures: any of them; ``low-rank`` and ``none`` count as dense.
        drawn: True: estimators alone; False: deterministic subjects alone; None: both.
    """

    targets: tuple[Target, ...] = NO_HESSIAN
    structures: tuple[Structure, ...] = ALL
    drawn: bool | None = None

    def fits(self, subject: Subject) -> bool:
        """Whether the subject is one of them."""
        structure = "dense" if subject.structure in ("low-rank", "none") else subject.structure
        return (
            subject.target in self.targets
            and structure in self.structures
            and (self.drawn is None or self.drawn == subject.drawn)
            and not (subject.target == "hessian" and structure in FACTORED)
        )


@dataclass(frozen=True, eq=False)
class Defect:
    """A mistake, planted.

    Args:
        id: ``D`` and a number for those of the history of public libraries, ``P`` and a number for further ones.
        title: a short phrase, used in messages.
        source: project and issue or commit.
        make: builds the subject: declarations right, ``build`` (or another part) wrong.
        family: which declarations the mistake can hide behind.
        wrong: the wrong dense matrix of a subject that declares so; None where the mistake is no matter of entries.
        sees: ids of the claims that are expected to see it.
        fatal: it ends the process that it runs in.
        shared: the reference makes the mistake as well, so that only an oracle of its own can see it.
        faulty_reference: what such a reference gives, from the problem and its right matrix.
    """

    id: str
    title: str
    source: str
    make: Callable[[], Subject]
    family: Family = field(default_factory=Family)
    wrong: Wrong | None = None
    sees: tuple[str, ...] = ()
    fatal: bool = False
    shared: bool = False
    faulty_reference: Callable[[Problem, Tensor], Tensor] | None = None

    @property
    def matrix(self) -> Callable[[Problem, Subject], Tensor] | None:
        """The dense wrong matrix of a problem and a declaration, from quantities that all defects share."""
        wrong = self.wrong
        return None if wrong is None else lambda problem, subject: wrong(pieces_of(problem), subject)

    def __str__(self) -> str:
        return f'{self.id} "{self.title}"'


@dataclass(frozen=True)
class Declaration:
    """What the subject of a defect says about itself.

    Args:
        target: as for a subject.
        structure: as for a subject.
        samples: as for a subject.
        bias: as for a subject.
        sharing: as for a subject.
        solve: as for a subject.
        claims: as for a subject.
    """

    target: Target = "fisher"
    structure: Structure = "dense"
    samples: int | None = None
    bias: Bias | None = None
    sharing: Sharing = "expand"
    solve: Solve | None = None
    claims: tuple[str, ...] = ()

    def subject(self, name: str, build: Callable[..., Any]) -> Subject:
        """A subject of that name."""
        return Subject(
            name,
            build,
            target=self.target,
            structure=self.structure,
            samples=self.samples,
            bias=self.bias,
            sharing=self.sharing,
            solve=self.solve,
            claims=self.claims,
        )


def planted(
    id: str,
    title: str,
    source: str,
    wrong: Wrong,
    family: Family | None = None,
    declared: Declaration | None = None,
    *,
    build: Callable[..., Any] | None = None,
    make_build: Callable[[], Callable[..., Any]] | None = None,
    sees: tuple[str, ...] = (),
) -> Defect:
    """A defect that is a matter of entries.

    Args:
        id: as for a defect.
        title: as for a defect.
        source: as for a defect.
        wrong: as for a defect; the subject's matrix as well, unless ``build`` is given.
        family: as for a defect.
        declared: what the subject declares.
        build: the subject's callable where it is more than the wrong matrix, such as an estimator.
        make_build: makes that callable, afresh for each subject, where it has a memory.
        sees: as for a defect.
    """
    declaration = declared or Declaration()

    def make() -> Subject:
        def mistaken(problem: Problem) -> Tensor:
            pieces = Pieces(problem)
            try:
                return wrong(pieces, subject)
            except NoSuchMistake:
                return pieces.right(subject)

        subject = declaration.subject(f"planted-{id}", make_build() if make_build else build or mistaken)
        return subject

    return Defect(id, title, source, make, family or Family(), wrong, sees)


def unmatched(
    id: str,
    title: str,
    source: str,
    build: Callable[[], Callable[..., Any]],
    declared: Declaration | None = None,
    *,
    sees: tuple[str, ...] = (),
    fatal: bool = False,
) -> Defect:
    """A defect that no wrong matrix describes: of behaviour, of an operator, of ``solve``.

    Args:
        id: as for a defect.
        title: as for a defect.
        source: as for a defect.
        build: makes the subject's callable, afresh for each subject as it may have memory.
        declared: what the subject declares.
        sees: as for a defect.
        fatal: as for a defect.
    """
    declaration = declared or Declaration()
    structure: Structure = "dense" if declaration.structure in ("low-rank", "none") else declaration.structure
    family = Family((declaration.target,), (structure,), declaration.samples is not None)
    return Defect(id, title, source, lambda: declaration.subject(f"planted-{id}", build()), family, None, sees, fatal)

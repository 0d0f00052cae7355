"""A mistake that subject and reference share: agreement of the two proves nothing."""

from dataclasses import replace

from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites.meta.bank.defect import ALL, ANY, Declaration, Defect, Family, planted
from fishergauge.suites.meta.bank.ways import scaled


def over_outputs(problem: Problem, matrix: Tensor) -> Tensor:
    """A matrix divided by C, the number of outputs of a term."""
    return matrix / problem.likelihood.split(problem.outputs).shape[-1]


SHARED: tuple[Defect, ...] = (
    replace(
        planted(
            "D7",
            "a factor 1/C in subject and reference alike",
            "f-dangel/curvlinops#107",
            scaled(lambda pieces: 1 / pieces.width),
            Family(ANY, ALL),
            Declaration(target="ggn"),
            sees=("T3", "T15", "T16", "T17", "T20"),
        ),
        shared=True,
        faulty_reference=over_outputs,
    ),
)

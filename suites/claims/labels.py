"""What observed labels may and must do to a matrix."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites import variants
from fishergauge.suites.case import Case
from fishergauge.suites.claim import FISHERS, Claim, Finding, Scope
from fishergauge.suites.comparison import compared, worst


def same_for_other_labels(case: Case) -> Finding:
    """The matrix after all labels were replaced, against the matrix before."""
    other = variants.relabelled(case.problem, case.generator("labels"))
    expected = case.matrix()
    return compared(case.matrix(other), expected, case.problem, scale=case.size(expected))


def known_errors(case: Case) -> Finding:
    """Residuals of two standard deviations give four times the Fisher; interpolation gives zero."""
    fisher = case.quantities.target(case.problem, "fisher")
    signs = torch.randint(2, case.problem.outputs.shape, generator=case.generator("signs")).to(case.problem.outputs) * 2 - 1
    twice = _with_targets(case.problem, case.problem.outputs + math.sqrt(2) * signs)  # sigma^2 = 1/2
    interpolating = _with_targets(case.problem, case.problem.outputs)
    four = compared(case.matrix(twice), _kept(case, 4 * fisher), case.problem)
    zero = case.matrix(interpolating)
    size = float(zero.norm()) / float(fisher.norm())
    # residuals of rounding size, squared
    return worst(four, Finding(size, four.bound, four.formula, f"at interpolation its norm is {size:.3g} of the Fisher's"))


def _kept(case: Case, matrix: Tensor) -> Tensor:
    """The entries that the subject's structure keeps: those of a block are chosen by what is not zero in its own matrix."""
    if case.subject.structure == "dense":
        return matrix
    if case.subject.structure == "diagonal":
        return matrix.diagonal().diag()
    mine = case.matrix()
    return torch.where(mine != 0, matrix, 0)


def _with_targets(problem: Problem, targets: Tensor) -> Problem:
    pieces = torch.split(targets, [len(x) for x, _ in problem.batches])
    return replace(problem, batches=[(x, y) for (x, _), y in zip(problem.batches, pieces, strict=True)])


CLAIMS = (
    Claim(
        id="T2",
        name="independent-of-labels",
        statement="the Fisher, and the GGN of a log-likelihood, do not depend on the observed labels",
        source="Kunstner et al. 2019, sec. 2; Martens 2020, sec. 5",
        scope=Scope(targets=FISHERS, drawn=None),
        requires=frozenset({"likelihood"}),
        bound="64 u sqrt(n)",
        control="an empirical Fisher sold as a Fisher",
        measure=same_for_other_labels,
        cost=2,
    ),
    Claim(
        id="T21",
        name="empirical-fisher-errs-as-known",
        statement="with all residuals of two standard deviations the empirical Fisher is 4 F, at interpolation it is zero",
        source="Kunstner et al. 2019, sec. 3",
        scope=Scope(targets=("empirical-fisher",), structures=("dense", "diagonal", "block-diagonal")),
        requires=frozenset({"squared", "likelihood"}),
        excludes=frozenset({"several-outputs", "several-terms"}),
        bound="64 u sqrt(n)",
        control="a Fisher sold as an empirical Fisher",
        measure=known_errors,
        cost=2,
    ),
)

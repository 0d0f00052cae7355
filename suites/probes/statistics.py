"""Monte-Carlo estimators of any size: unbiased along fixed directions, by a studentised test with a fixed number of draws."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fishergauge.reference import Problem, UnsupportedError, block_slices, gradient, kfac
from fishergauge.suites import variants
from fishergauge.suites.claim import FISHERS, NotHere, Scope
from fishergauge.suites.claims.statistics import DRAWN, FAMILY_LEVEL, REPETITIONS, STATISTICS
from fishergauge.suites.guard import fresh_copy
from fishergauge.suites.probes.power import critical_value, seen_shift
from fishergauge.suites.probes.probe import Probe, ProbeFinding
from fishergauge.suites.probes.probe_case import ProbeCase

TERMS = 400
"""Terms that are drawn for an estimate, at least: the data are repeated, as the draws of copies are independent."""
PARTS = 12
"""Blocks with a statistic of their own, at most."""
VANISHES = 1e-12
"""Relative to the product of the norms: an expected value below it says nothing."""


class _Statistics(NamedTuple):
    """Linear functions of a matrix A, of the form y'A v.

    Args:
        vectors: v, ``(P, q)``.
        expected: E A v, ``(P, q)``.
        forms: name, column of v, where y lies, and whether y is v itself or what is expected of its product.
    """

    vectors: Tensor
    expected: Tensor
    forms: list[tuple[str, int, slice, bool]]

    def of(self, images: Tensor) -> Tensor:
        """The statistics from A v, in float64."""
        values = []
        for _, column, part, own in self.forms:
            left = self.vectors if own else self.expected
            values.append(left[part, column].double() @ images[part, column].double())
        return torch.stack(values).cpu()


def unbiased(case: ProbeCase) -> ProbeFinding:
    r"""The means of y'Av over independent estimates A against what the exact matrix gives, studentised.

    v is a normal vector and the gradient; y is v, its part in each of some blocks, and the exact product, the direction in
    which a change of scale is seen best. The number of estimates is fixed beforehand, and the level of each statistic is that
    of a run over the number of statistics of a run, as for dense matrices.

    The critical value and the power are those of Student's t, central and not: normal statistics are taken for granted, each
    a mean over at least 400 drawn terms. One estimate at a time is held, its products with two vectors, and six vectors
    ``(P,)`` beside the shared ones.
    """
    draws = case.subject.samples or 1
    repetitions = REPETITIONS[1 if draws < 4 else 8]
    problem, factor = _repeated(case, draws)
    statistics = _statistics(case)
    target = statistics.of(statistics.expected)
    sizes = torch.stack([_size(statistics, form) for form in statistics.forms])
    estimates = torch.stack([_estimate(case, problem, statistics, r) for r in range(1, repetitions + 1)]) / factor
    alive = (target.abs() > VANISHES * sizes).nonzero().flatten()
    if not len(alive):
        raise NotHere("nothing is expected along any direction")
    if bool((estimates == estimates[0]).all()):
        fixed = f"{repetitions} seeds give one and the same matrix; nothing is drawn, or the seed is the subject's own"
        return ProbeFinding(math.inf, 1.0, "estimates must vary", f"S = {draws}: {fixed}")
    critical = critical_value(repetitions)
    noise = estimates.std(0) / repetitions**0.5
    floor = case.bound() * sizes  # rounding, where little varies
    studentised = ((estimates.mean(0) - target).abs() / (noise + floor / critical))[alive]
    worst = int(studentised.argmax())
    place = int(alive[worst])
    relative = ((noise * seen_shift(repetitions) + 2 * floor) / target.abs())[alive]
    sharpest = int(relative.argmin())
    ratio = float(estimates.mean(0)[place] / target[place])
    sharp = int(alive[sharpest])
    return ProbeFinding(
        float(studentised[worst]),
        critical,
        f"two-sided t quantile at {FAMILY_LEVEL:.0e}/{STATISTICS}, {repetitions - 1} degrees of freedom",
        f"S = {draws}: {statistics.forms[place][0]}: mean of {repetitions} estimates is {ratio:.4f} of the exact value",
        power=float(relative.min()),
        seen=f"a bias of all entries by one factor, by {statistics.forms[sharp][0]}; another one along the directions alone",
        estimate=float(estimates.mean(0)[sharp] / target[sharp]),
        interval=_interval(estimates[:, sharp], target[sharp]),
    )


def _interval(estimates: Tensor, target: Tensor) -> tuple[float, float]:
    """Of the mean over the exact value, at 95 %."""
    half = critical_value(len(estimates), 0.05) * float(estimates.std() / len(estimates) ** 0.5 / target.abs())
    centre = float(estimates.mean() / target)
    return centre - half, centre + half


def _estimate(case: ProbeCase, problem: Problem, statistics: _Statistics, repetition: int) -> Tensor:
    matrix = case.built(fresh_copy(problem), repetition)
    return statistics.of(case.product(statistics.vectors, matrix, repetition))  # some draw when they multiply


def _repeated(case: ProbeCase, draws: int) -> tuple[Problem, float]:
    """The data so often that enough terms are drawn, and what that multiplies a sum by."""
    likelihood = case.problem.likelihood
    terms = int(likelihood.present(likelihood.labels(case.problem.targets)).sum())
    copies = max(1, math.ceil(TERMS / max(1, terms * draws)))
    problem = variants.duplicated(case.problem, copies) if copies > 1 else case.problem
    return problem, 1.0 if likelihood.reduction == "mean" else float(copies)


def _statistics(case: ProbeCase) -> _Statistics:
    slope = gradient(case.problem)
    columns, names = [case.shared()[0][:, 0]], ["normal direction"]
    if float(slope.norm()) > 0:
        columns.append(slope * (len(slope) ** 0.5 / slope.norm()))
        names.append("gradient")
    vectors = torch.stack(columns, 1)
    expected = _expected(case, vectors)
    whole = slice(0, len(slope))
    parts = list(block_slices(case.problem, "parameter").items())
    if len(parts) > PARTS:
        parts = sorted(parts, key=lambda item: item[1].start - item[1].stop)[:PARTS]  # the largest
    forms = []
    for column, name in enumerate(names):
        forms.append((f"quadratic form of the {name}", column, whole, True))
        forms.append((f"inner product with the exact image of the {name}", column, whole, False))
    forms += [(f"form of the normal direction in {name}", 0, part, True) for name, part in parts]
    return _Statistics(vectors, expected, forms)


def _size(statistics: _Statistics, form: tuple[str, int, slice, bool]) -> Tensor:
    """What rounding of a form is relative to: the norms of its factors, as the errors of one do not know of the other."""
    _, column, part, own = form
    left = (statistics.vectors if own else statistics.expected)[part, column].double()
    right = statistics.expected[part, column].double()
    exact = (left @ right).abs()
    return torch.maximum(left.norm() * right.norm() / max(1, len(left)) ** 0.5, exact).cpu()


def _expected(case: ProbeCase, vectors: Tensor) -> Tensor:
    """What the mean of the estimates gives, ``(P, q)``, by the structure of the subject."""
    structure, bias = case.subject.structure, case.subject.bias
    if structure == "dense":
        return case.exact_product(vectors)
    if structure == "diagonal":
        return case.exact.diagonal()[:, None] * vectors
    if bias is None:
        raise NotHere("whether weight and bias share a block is not declared; say bias='joint' or bias='separate'")
    if structure == "kronecker":
        try:
            factored = kfac(case.problem, case.subject.target, bias, case.subject.sharing)  # type: ignore[arg-type]
        except UnsupportedError as error:
            raise NotHere(str(error)) from None
        return factored @ vectors
    result = torch.empty_like(vectors)
    for part in block_slices(case.problem, "layer" if bias == "joint" else "parameter").values():
        alone = torch.zeros_like(vectors)
        alone[part] = vectors[part]
        result[part] = case.exact_product(alone)[part]
    return result


def _probe(id: str, of: str, statement: str, structures: tuple[str, ...], excludes: frozenset[str]) -> Probe:
    return Probe(
        id=id,
        statement=statement,
        of=(of,),
        source=DRAWN,
        scope=Scope(targets=FISHERS, structures=structures, drawn=True),  # type: ignore[arg-type]
        bound="t quantile at a family-wise level of 1e-6 a run",
        blind="a bias that vanishes along the directions; other numbers of draws than the subject's own",
        control="labels by argmax or observed ones; division by S twice (kazukiosawa/asdl); the same draws whatever the seed",
        measure=unbiased,
        requires=frozenset({"likelihood"}),
        excludes=excludes,
    )


PROBES: tuple[Probe, ...] = (
    _probe(
        "probe-unbiased",
        "MC-unbiased",
        "the mean of independent estimates is the exact matrix, along fixed directions",
        ("dense", "block-diagonal", "diagonal"),
        frozenset({"saturated"}),  # where nearly every draw is the same label
    ),
    _probe(
        "probe-unbiased-factors",
        "MC-factors",
        "the mean of independent estimates of K-FAC is G kron A, with the exact G, along fixed directions",
        ("kronecker",),
        frozenset({"saturated", "sharing", "tied"}),
    ),
)

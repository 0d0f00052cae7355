"""Monte-Carlo estimators: unbiased, by a studentised test with a fixed number of draws."""

from collections.abc import Callable
from dataclasses import replace

import torch
from scipy import stats
from torch import Tensor

from fishergauge.reference import Problem, block_slices
from fishergauge.reference.curvature import Per
from fishergauge.suites import variants
from fishergauge.suites.case import Case
from fishergauge.suites.claim import ENTRYWISE, FISHERS, Claim, Finding, NotHere, Scope
from fishergauge.suites.comparison import compared

FAMILY_LEVEL = 1e-6  # probability that a correct estimator turns any statistical check of a run red
STATISTICS = 1000  # most statistics of a run; the level of each is the family's over this number
REPETITIONS = {1: 60, 8: 24}  # estimates by number of draws S; fixed beforehand
COPIES = {1: 4, 8: 2}  # of the data: their draws are independent, and one call is cheaper than several
SINGLE_COPIES = 400  # of a single sample
POWER = 1e-6  # probability of missing the detectable bias


def unbiased(case: Case) -> Finding:
    """Means of the estimates against the exact matrix, in the entries that the structure keeps."""
    exact = case.exact()
    per = {"block-diagonal": case.per()[-1], "diagonal": "entry", "quasi-diagonal": "entry"}.get(case.subject.structure)
    kept = torch.ones_like(exact)
    if per is not None:
        exact, kept = (case.quantities.restricted(case.problem, m, per) for m in (exact, kept))
    return _tested(case, exact, kept, COPIES)


def unbiased_traces(case: Case) -> Finding:
    """Means of the traces of layers, which do not depend on the eigenbasis, against the exact ones."""
    if not any(layer.alone for layer in case.layers):
        raise NotHere("no layer is used once")
    exact = case.exact()
    return _tested(case, exact, torch.eye(len(exact), dtype=exact.dtype, device=exact.device), COPIES, traces=True)


def unbiased_factors(case: Case) -> Finding:
    """Means of the estimated blocks of parameters against G kron A: A is not random, so that these are unbiased."""
    expected = case.quantities.factors(case.problem, case.subject, "separate").dense()
    kept = case.quantities.restricted(case.problem, torch.ones_like(expected), "parameter")
    return _tested(case, expected, kept, COPIES)


def unbiased_single_sample(case: Case) -> Finding:
    """Means of the estimates at one sample against the exact blocks of parameters."""
    exact = case.quantities.restricted(case.problem, case.exact(), "parameter")
    return _tested(case, exact, exact, dict.fromkeys(COPIES, SINGLE_COPIES))


def _tested(case: Case, expected: Tensor, support: Tensor, copies: dict[int, int], traces: bool = False) -> Finding:
    found = []
    for samples in _numbers_of_draws(case):
        kind = 1 if (samples or case.subject.samples or 1) < 4 else 8
        problem = _repeated(case, copies[kind])
        functionals = _traces(case, expected) if traces else _functionals(case, expected, support)
        found.append(_studentised(case, problem, expected, functionals, samples, REPETITIONS[kind]))
    worst = max(found, key=lambda f: f.measured / f.bound)
    return Finding(worst.measured, worst.bound, worst.formula, worst.witness, "; ".join(f.note for f in found if f.note))


def _numbers_of_draws(case: Case) -> tuple[int | None, ...]:
    """S = 1 and S = 8 where the subject lets it be chosen, else its own."""
    return (1, 8) if "samples" in case.subject.keywords else (None,)


def _repeated(case: Case, copies: int) -> Problem:
    """The data several times, which leaves a mean as it is; a sum is divided again by :func:`_studentised`."""
    return case.quantities.once(case.problem, ("copies", copies), lambda: variants.duplicated(case.problem, copies))


Functionals = tuple[Tensor, list[str]]


def _studentised(
    case: Case, problem: Problem, expected: Tensor, functionals: Functionals, samples: int | None, repetitions: int
) -> Finding:
    weights, names = functionals
    factor = 1.0 if "mean" in case.tags else len(problem.batches) / len(case.problem.batches)
    reduce: Callable[[Tensor], Tensor] = lambda matrix: torch.einsum("wij,ij->w", weights, matrix.double())  # noqa: E731
    estimates = case.draws(problem, repetitions, reduce, samples) / factor
    target = torch.einsum("wij,ij->w", weights, expected.double())
    error = estimates.std(0) / repetitions**0.5
    draws = samples or case.subject.samples or 1
    if bool((estimates == estimates[0]).all()):
        fixed = (
            f"S = {draws}: {repetitions} seeds give one and the same matrix; nothing is drawn, or the seed is the subject's own"
        )
        return Finding(float("inf"), 1.0, "estimates must vary", fixed)
    floor = 64 * torch.finfo(case.problem.dtype).eps * len(expected) ** 0.5 * target.abs()  # rounding, where little varies
    critical = float(stats.t.isf(FAMILY_LEVEL / STATISTICS / 2, repetitions - 1))
    error = error + floor / critical
    statistic = (estimates.mean(0) - target) / error
    worst = int(statistic.abs().argmax())
    detectable = float((error / target.abs()).min()) * (critical + float(stats.norm.isf(POWER)))
    ratio = float(estimates.mean(0)[worst] / target[worst])
    return Finding(
        float(statistic.abs().max()),
        critical,
        f"two-sided t quantile at {FAMILY_LEVEL:.0e}/{STATISTICS}, {repetitions - 1} degrees of freedom",
        f"S = {draws}: {names[worst]}: mean of {repetitions} estimates is {ratio:.4f} of the exact value, "
        f"t = {float(statistic[worst]):.1f}",
        f"S = {draws}: a bias of {detectable:.2%} would be seen",
    )


def _functionals(case: Case, expected: Tensor, support: Tensor) -> Functionals:
    """Weights ``(w, P, P)`` of the statistics and their names."""
    kept = (support != 0).double()
    normalised = expected.double() / expected.double().norm()
    draws = torch.randn(3, len(expected), generator=case.generator("functionals"), dtype=torch.float64).to(expected.device)
    weights = torch.stack([normalised, *(torch.outer(d, d) for d in draws)])
    traces, names = _traces(case, expected, "parameter")
    return _alive(
        torch.cat([weights, traces]) * kept,
        ["inner product with the exact matrix", "form 1", "form 2", "form 3", *names],
        expected,
    )


def _traces(case: Case, expected: Tensor, per: Per = "layer") -> Functionals:
    """Weights that give the traces of blocks, and of all."""
    size = len(expected)
    masks = {"trace": torch.ones(size, dtype=torch.float64, device=expected.device)}
    for name, part in block_slices(case.problem, per).items():
        masks[f"trace of {name or 'the model'}"] = torch.zeros_like(masks["trace"])
        masks[f"trace of {name or 'the model'}"][part] = 1
    return _alive(torch.stack([mask.diag() for mask in masks.values()]), list(masks), expected)


def _alive(weights: Tensor, names: list[str], expected: Tensor) -> Functionals:
    """Without those that vanish on the exact matrix."""
    alive = torch.einsum("wij,ij->w", weights, expected.double()).abs() > 1e-12 * float(expected.double().norm())
    return weights[alive], [name for name, kept in zip(names, alive.tolist(), strict=True) if kept]


def repeatable(case: Case) -> Finding:
    """Two calls with the same seed."""
    # another object with the same content, so that the subject is called again
    once_more = case.quantities.once(case.problem, "again", lambda: replace(case.problem))
    return compared(case.matrix(once_more), case.matrix(), case.problem)


DRAWN = "Martens and Grosse 2015, sec. 5; Kunstner et al. 2019, sec. 2"

CLAIMS = (
    Claim(
        id="MC-unbiased",
        name="estimates-unbiased",
        statement="the mean of independent estimates is the exact matrix",
        source=DRAWN,
        scope=Scope(targets=FISHERS, structures=ENTRYWISE, drawn=True),
        requires=frozenset({"many-terms", "likelihood"}),
        bound="t quantile at a family-wise level of 1e-6 a run",
        control="a bias of 2 %; labels by argmax; division by S twice (kazukiosawa/asdl)",
        measure=unbiased,
        cost=80,
    ),
    Claim(
        id="MC-factors",
        name="factors-unbiased",
        statement="the mean of independent estimates of K-FAC is G kron A, with the exact G",
        source=DRAWN,
        scope=Scope(targets=FISHERS, structures=("kronecker",), drawn=True),
        requires=frozenset({"many-terms", "likelihood"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="t quantile at a family-wise level of 1e-6 a run",
        control="a bias of 2 %; labels by argmax",
        measure=unbiased_factors,
        cost=80,
    ),
    Claim(
        id="MC-trace",
        name="traces-unbiased",
        statement="the mean of independent estimates of EKFAC has the exact traces of layers",
        source=f"George et al. 2018, prop. 1; {DRAWN}",
        scope=Scope(targets=FISHERS, structures=("eigen-kronecker",), drawn=True),
        requires=frozenset({"many-terms", "likelihood"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="t quantile at a family-wise level of 1e-6 a run",
        control="labels by argmax; eigenvalues divided by S twice",
        measure=unbiased_traces,
        cost=80,
    ),
    Claim(
        id="MC-single-sample",
        name="single-sample-unbiased",
        statement="the mean of independent estimates at a single sample is exact for each parameter",
        source=DRAWN,
        scope=Scope(targets=FISHERS, structures=("kronecker",), drawn=True),
        requires=frozenset({"one-sample", "likelihood"}),
        excludes=frozenset({"sharing", "tied", "saturated"}),
        bound="t quantile at a family-wise level of 1e-6 a run",
        control="A and G exchanged; activations of the wrong layer",
        measure=unbiased_single_sample,
        cost=80,
    ),
    Claim(
        id="T26-repeatable",
        name="repeatable",
        statement="the same call with the same seed gives the same matrix",
        source="definition",
        scope=Scope(drawn=None),
        excludes=frozenset({"many-terms"}),
        bound="64 u sqrt(n)",
        control="factors accumulated over calls (aleximmer/Laplace#146); a generator that nobody seeded",
        measure=repeatable,
        cost=2,
    ),
)

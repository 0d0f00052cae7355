"""Monte-Carlo estimators: unbiased, by a studentised test with a fixed number of draws."""

from collections.abc import Callable
from dataclasses import replace

import torch
from scipy import stats
from torch import Tensor

from fishergauge.reference import Problem, block_slices
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
    if case.subject.structure == "block-diagonal":
        exact = case.quantities.restricted(case.problem, exact, case.per()[-1])
    elif case.subject.structure in ("diagonal", "quasi-diagonal"):
        exact = exact.diagonal().diag()
    return _tested(case, exact, exact, COPIES)


def unbiased_bias_block(case: Case) -> Finding:
    """Means of the estimated bias blocks against the exact ones."""
    exact = case.exact()
    kept = torch.zeros_like(exact)
    slices = block_slices(case.problem, "parameter")
    for layer in case.layers:
        if layer.alone and layer.bias is not None:
            kept[slices[layer.bias], slices[layer.bias]] = 1
    if not bool(kept.any()):
        raise NotHere("no layer that is used once has a bias")
    return _tested(case, exact * kept, kept, COPIES)


def unbiased_single_sample(case: Case) -> Finding:
    """Means of the estimates at one sample against the exact blocks of parameters."""
    exact = case.quantities.restricted(case.problem, case.exact(), "parameter")
    return _tested(case, exact, exact, dict.fromkeys(COPIES, SINGLE_COPIES))


def _tested(case: Case, expected: Tensor, support: Tensor, copies: dict[int, int]) -> Finding:
    found = []
    for samples in _numbers_of_draws(case):
        kind = 1 if (samples or case.subject.samples or 1) < 4 else 8
        problem = _repeated(case, copies[kind])
        found.append(_studentised(case, problem, expected, support, samples, REPETITIONS[kind]))
    worst = max(found, key=lambda f: f.measured / f.bound)
    return Finding(worst.measured, worst.bound, worst.formula, worst.witness, "; ".join(f.note for f in found if f.note))


def _numbers_of_draws(case: Case) -> tuple[int | None, ...]:
    """S = 1 and S = 8 where the subject lets it be chosen, else its own."""
    return (1, 8) if "samples" in case.subject.keywords else (None,)


def _repeated(case: Case, copies: int) -> Problem:
    """The data several times, which leaves a mean as it is; a sum is divided again by :func:`_studentised`."""
    return case.quantities.once(case.problem, ("copies", copies), lambda: variants.duplicated(case.problem, copies))


def _studentised(
    case: Case, problem: Problem, expected: Tensor, support: Tensor, samples: int | None, repetitions: int
) -> Finding:
    weights, names = _functionals(case, expected, support)
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


def _functionals(case: Case, expected: Tensor, support: Tensor) -> tuple[Tensor, list[str]]:
    """Weights ``(w, P, P)`` of the statistics and their names."""
    kept = (support != 0).double()
    size = len(expected)
    normalised = expected.double() / expected.double().norm()
    draws = torch.randn(3, size, generator=case.generator("functionals"), dtype=torch.float64).to(expected.device)
    weights = [
        normalised,
        torch.eye(size, dtype=torch.float64, device=expected.device),
        *(torch.outer(d, d) * kept for d in draws),
    ]
    names = ["inner product with the exact matrix", "trace", "form 1", "form 2", "form 3"]
    for name, part in block_slices(case.problem, "parameter").items():
        block = torch.zeros(size, dtype=torch.float64, device=expected.device)
        block[part] = 1
        weights.append(block.diag() * kept)
        names.append(f"trace of {name}")
    stacked = torch.stack([w * kept for w in weights])
    alive = torch.einsum("wij,ij->w", stacked, expected.double()).abs() > 1e-12 * float(expected.double().norm())
    return stacked[alive], [name for name, kept_name in zip(names, alive.tolist(), strict=True) if kept_name]


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
        id="MC-bias-block",
        name="bias-block-unbiased",
        statement="the mean of independent estimates of K-FAC has the exact bias blocks",
        source=DRAWN,
        scope=Scope(targets=FISHERS, structures=("kronecker",), drawn=True),
        requires=frozenset({"many-terms", "likelihood"}),
        excludes=frozenset({"sharing", "tied"}),
        bound="t quantile at a family-wise level of 1e-6 a run",
        control="a bias of 2 %; labels by argmax",
        measure=unbiased_bias_block,
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

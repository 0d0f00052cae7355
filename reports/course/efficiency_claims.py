"""The claims on the cost of approximations, judged by rules on counted operations and numbers."""

from collections.abc import Callable, Sequence

from fishergauge.reports.claim import Claim, Judgement
from fishergauge.reports.course.costed_vectors import PRODUCTS, RANK
from fishergauge.reports.course.efficiency_measurements import DAMPING, SAMPLES
from fishergauge.reports.course.efficiency_tables import Row, common_widths, fitted, select, table, total
from fishergauge.reports.experiment import Results
from fishergauge.reports.ledger import CONDITIONAL, COURSE, LedgerEntry

NEAR = 0.1  # between an exponent and the one that is claimed
GREAT = 10.0  # times fewer operations: significantly more efficient
MILLION = 1e6
DENSE, KFAC, CG, LOW = "exact-fisher", "kfac-joint", "products", f"low-rank-{RANK}"


def efficiency_entries(results: Results) -> list[LedgerEntry]:
    """The ledger entries; a claim is left out where an approximation that it needs was not measured."""
    rows = table(results)
    measured = {row["approximation"] for row in rows}
    entries = []
    for number, (needed, section, judge) in enumerate(CLAIMS, 1):
        if set(needed) <= measured:
            claim = judge(rows)
            entries.append(claim.entry("efficiency", number, "multilayer perceptrons", f"{COURSE}, {section}"))
    return entries


def growth_verdict(measured: float, claimed: float) -> str:
    """Confirmed where an exponent is the claimed one."""
    return "confirmed" if abs(measured - claimed) <= NEAR else "refuted"


def huge(rows: Sequence[Row]) -> Claim:
    """The claim that the Fisher matrix has O(P^2) entries."""
    numbers, peak = fitted(rows, DENSE, "form", "numbers"), fitted(rows, DENSE, "form", "peak_bytes")
    last = select(rows, approximation=DENSE, stage="form")[-1]
    return Claim(
        statement='"Fisher matrix is huge: O(P²)"',
        published="O(P^2)",
        as_published=f"{last['numbers']} numbers at P = {last['P']}: exponent {numbers:.2f}",
        as_it_should_be=f"peak of memory while it is formed: exponent {peak:.2f}, "
        f"{last['peak_bytes'] / 8 / last['numbers']:.1f} P^2 numbers; at P = 1e6 the "
        f"matrix alone takes {8 * MILLION**2 / 1e12:.0f} TB in float64",
        judged=Judgement(
            growth_verdict(numbers, 2),
            "so it is as a matrix, entry by entry; its products with vectors need no matrix, see EFFICIENCY.8.",
        ),
        figures={"exponent of numbers": numbers, "exponent of peak memory": peak},
    )


def intractable_verdict(dense: float, products: float) -> str:
    """Confirmed where solving by products grows no slower than by the matrix, else on condition."""
    if dense - products <= NEAR:
        return "confirmed"
    return f"{CONDITIONAL}F is formed as a matrix"


def intractable(rows: Sequence[Row]) -> Claim:
    """The claim that computing and inverting F is intractable."""
    forming, solving = fitted(rows, DENSE, "form", "flops"), fitted(rows, DENSE, "solve", "flops")
    iterated = fitted(rows, CG, "solve", "flops")
    dense = extrapolated(rows, DENSE, "solve", 3) + extrapolated(rows, DENSE, "form", 2)
    products = extrapolated(rows, CG, "solve", 1)
    residuals = {row["P"]: row["residual"] for row in select(rows, approximation=CG, stage="solve")}
    last = select(rows, approximation=CG, stage="apply")[-1]
    passes = last["flops"] / (2 * SAMPLES * last["P"])
    return Claim(
        statement='"Computing and inverting F is intractable for large networks"',
        published=SAID_NOTHING,
        as_published=f"operations grow as P^{forming:.2f} for forming and P^{solving:.2f} for solving; at P = 1e6, by the "
        f"leading terms, that is {dense:.1e}",
        as_it_should_be=f"{PRODUCTS} products in conjugate gradients grow as P^{iterated:.2f}; at P = 1e6 that is "
        f"{products:.1e}; "
        f"at damping {DAMPING:g} they leave the relative residual {residuals[min(residuals)]:.1e} (P = {min(residuals)}) to "
        f"{residuals[max(residuals)]:.1e} (P = {max(residuals)})",
        judged=Judgement(
            intractable_verdict(solving, iterated),
            f"a system with F is solved from products, each {passes:.1f} times a forward pass, without a matrix.",
        ),
        figures={
            "exponent of forming": forming,
            "exponent of solving": solving,
            "exponent of conjugate gradients": iterated,
            "forward passes a product": passes,
            "largest residual": max(residuals.values()),
        },
    )


def direct(rows: Sequence[Row]) -> Claim:
    """The claim that direct inversion takes O(n^3)."""
    counted, timed = fitted(rows, DENSE, "solve", "flops"), fitted(rows, DENSE, "solve", "seconds")
    last = select(rows, approximation=DENSE, stage="solve")[-1]
    return Claim(
        statement='"Direct inversion: O(n³) - only for small problems"',
        published="O(n^3)",
        as_published=f"Cholesky and two triangular solves: operations grow as P^{counted:.2f}",
        as_it_should_be=f"time grows as P^{timed:.2f} up to P = {last['P']}, where it takes {last['seconds']:.2g} s",
        judged=Judgement(
            growth_verdict(counted, 3),
            "P^3 / 3 operations; no inverse is formed, which would take three times as many. Where P is small the time "
            "grows more slowly, as much of it is no arithmetic.",
        ),
        figures={"exponent of operations": counted, "exponent of time": timed},
    )


def storage_verdict(rows: Sequence[Row]) -> str:
    """Confirmed where the factors have the numbers that the formula says, exactly."""
    return "confirmed" if rows and all(row["numbers"] == row["numbers_theory"] for row in rows) else "refuted"


def storage(rows: Sequence[Row]) -> Claim:
    """The claim on the storage of K-FAC."""
    own = select(rows, approximation=KFAC, stage="form")
    dense = sum_of_blocks(rows)
    exponent = fitted(rows, KFAC, "form", "numbers")
    return Claim(
        statement='K-FAC: "Storage: O(m²+n²) instead of O((mn)²)"',
        published="m^2 + n^2 numbers a layer",
        as_published=f"sum of m^2 + (n + 1)^2 over the layers, exactly, at {len(own)} widths; "
        f"{own[-1]['numbers']} at P = {own[-1]['P']}",
        as_it_should_be=f"the exact layer blocks of the same network: {dense(own[-1]['width']):.3g}; the exponent in P "
        f"is {exponent:.2f} against 2: as many numbers as the parameters, up to a factor",
        judged=Judgement(storage_verdict(own), "with a joint bias the factor of the inputs has n + 1 rows."),
        figures={"numbers": own[-1]["numbers"], "numbers of blocks": dense(own[-1]["width"]), "exponent": exponent},
    )


def efficient_verdict(ratios: dict[int, float]) -> str:
    """Confirmed where it is significantly cheaper at every size, else from which size on it is."""
    enough = [size for size, ratio in sorted(ratios.items()) if ratio >= GREAT]
    if ratios and len(enough) == len(ratios):
        return "confirmed"
    return f"{CONDITIONAL}there are enough parameters (here {min(enough)})" if enough else "refuted"


def efficient(rows: Sequence[Row]) -> Claim:
    """The claim that K-FAC is significantly more efficient."""
    ratios, blocks = {}, {}
    for width in common_widths(rows, DENSE, KFAC, "fisher-layer-blocks"):
        size = next(row["P"] for row in rows if row["width"] == width)
        ratios[size] = total(rows, DENSE, width) / total(rows, KFAC, width)
        blocks[size] = total(rows, "fisher-layer-blocks", width) / total(rows, KFAC, width)
    return Claim(
        statement='K-FAC: "Computation: Significantly more efficient"',
        published=SAID_NOTHING,
        as_published=f"forming and solving, operations of the dense Fisher over those of K-FAC: {listed(ratios)}",
        as_it_should_be=f"exact layer blocks over K-FAC: {listed(blocks)}",
        judged=Judgement(
            efficient_verdict(ratios),
            f"significantly means {GREAT:g} times. For layers of width h the dense matrix takes operations of order h^6, its "
            "factors h^3, so that the ratio grows with the network.",
        ),
        figures={f"ratio at P = {size}": ratio for size, ratio in ratios.items()},
    )


def kronecker(rows: Sequence[Row]) -> Claim:
    """The claim that K-FAC is inverted by its factors."""
    measured, theory = fitted(rows, KFAC, "solve", "flops"), fitted(rows, KFAC, "solve", "theory")
    dense = fitted(rows, "fisher-layer-blocks", "solve", "flops")
    return Claim(
        statement='K-FAC: "Inversion: Use Kronecker product properties"',
        published="(A kron G)^-1 = A^-1 kron G^-1",
        as_published=f"operations of a damped solve grow as P^{measured:.2f}, as the sum of D_in^3 + D_out^3 does "
        f"(P^{theory:.2f})",
        as_it_should_be=f"by the blocks themselves: P^{dense:.2f}",
        judged=Judgement(
            growth_verdict(measured, theory),
            "square layers of width h have P of order h^2 and eigenproblems of order h^3. With lambda I added the inverse is "
            "no product of inverses, so the eigenbases of the factors are used, which costs a constant more.",
        ),
        figures={"exponent": measured, "exponent of theory": theory, "exponent of blocks": dense},
    )


def tractable_verdict(empirical: float, exact: float, saved: float) -> str:
    """Confirmed where its cost grows more slowly than the exact one's; else a factor saved in forming is the condition.

    Args:
        empirical: exponent of solving.
        exact: the same of the exact Fisher.
        saved: operations of forming the exact one over those of forming the empirical one.
    """
    if empirical < exact - NEAR:
        return "confirmed"
    return f"{CONDITIONAL}a constant factor in forming, the number of classes, is enough" if saved >= 2 else "refuted"


def tractable(rows: Sequence[Row]) -> Claim:
    """The claim that the empirical Fisher is tractable where the exact one is not."""
    names = ("empirical-fisher", DENSE, "monte-carlo-1")
    forming = {name: fitted(rows, name, "form", "flops") for name in names}
    solving = {name: fitted(rows, name, "solve", "flops") for name in names}
    width = common_widths(rows, *names)[-1]
    cost = {name: total(rows, name, width, stages=("form",)) for name in names}
    return Claim(
        statement='Exact Fisher: "Computationally expensive for large models"; empirical: "computationally tractable"',
        published=SAID_NOTHING,
        as_published=f"forming grows as P^{forming[names[0]]:.2f} (exact: P^{forming[DENSE]:.2f}), solving as "
        f"P^{solving[names[0]]:.2f} (exact: P^{solving[DENSE]:.2f})",
        as_it_should_be=f"forming the exact one by enumeration takes {cost[DENSE] / cost[names[0]]:.1f} times the operations, "
        f"for ten classes; one drawn label a sample, which is unbiased, {cost['monte-carlo-1'] / cost[names[0]]:.2f} times",
        judged=Judgement(
            tractable_verdict(solving[names[0]], solving[DENSE], cost[DENSE] / cost[names[0]]),
            "the saving is the number of classes, in forming alone; what makes the exact matrix intractable, its size and its "
            "inversion, is the same. Blocks, factors and products make either tractable.",
        ),
        figures={
            "exponent of forming": forming[names[0]],
            "exponent of solving": solving[names[0]],
            "exact over empirical, forming": cost[DENSE] / cost[names[0]],
            "one draw over empirical, forming": cost["monte-carlo-1"] / cost[names[0]],
        },
    )


def iterative(rows: Sequence[Row]) -> Claim:
    """The claim that conjugate gradients solve without inversion."""
    width = common_widths(rows, DENSE, CG)[-1]
    size = next(row["P"] for row in rows if row["width"] == width)
    product = total(rows, CG, width, stages=("apply",))
    dense = {stage: total(rows, DENSE, width, stages=(stage,)) for stage in ("form", "apply", "solve")}
    even = (dense["form"] + dense["solve"]) / product
    growth = fitted(rows, CG, "apply", "flops")
    times = {name: total(rows, name, width, "seconds", ("apply",)) for name in (CG, DENSE)}
    return Claim(
        statement='"Conjugate gradient: Solve F(θ)d = ∇L iteratively"',
        published=SAID_NOTHING,
        as_published=f"a product without the matrix grows as P^{growth:.2f}, with it as "
        f"P^{fitted(rows, DENSE, 'apply', 'flops'):.2f}",
        as_it_should_be=f"at P = {size} a product costs {product:.2g} operations, with the matrix at hand "
        f"{dense['apply']:.2g}; forming and solving once is worth {even:.3g} products",
        judged=Judgement(
            "confirmed" if growth <= 1 + NEAR and even > PRODUCTS else "refuted",
            f"it pays to form no matrix where fewer products are enough. In time a product takes {times[CG]:.1e} s here "
            f"and one with the finished matrix {times[DENSE]:.1e} s: the operations of small networks are not what takes time.",
        ),
        figures={"exponent of a product": growth, "products worth one direct solution": even},
    )


def low_rank(rows: Sequence[Row]) -> Claim:
    """The claim that a low rank makes inversion cheap."""
    grown = {stage: fitted(rows, LOW, stage, "flops") for stage in ("form", "solve")}
    numbers = fitted(rows, LOW, "form", "numbers")
    return Claim(
        statement='"Low-rank approximation: F ≈ UU^T + λI" as a strategy of inversion.',
        published=SAID_NOTHING,
        as_published=f"rank {RANK}: solving grows as P^{grown['solve']:.2f} (Woodbury), numbers kept as P^{numbers:.2f}",
        as_it_should_be=f"the eigenvectors by way of the N C x N C Gram matrix: forming grows as P^{grown['form']:.2f}",
        judged=Judgement(
            growth_verdict(grown["solve"], 1),
            "cheap to invert; on the quality of its step see QUALITY.8. Forming takes products linear in P and quadratic "
            "in N C, and an eigenproblem of (N C)^3 operations, the larger part where P is small.",
        ),
        figures={"exponent of solving": grown["solve"], "exponent of forming": grown["form"], "exponent of numbers": numbers},
    )


def blockwise_verdict(blocks: float, dense: float, ratio: float) -> str:
    """Confirmed where blocks grow more slowly, refuted where they save nothing, else for many layers of one size."""
    if blocks <= dense - NEAR:
        return "confirmed"
    return (
        f"{CONDITIONAL}no layer holds most of the parameters" if ratio < GREAT else f"{CONDITIONAL}a constant factor is enough"
    )


def blockwise(rows: Sequence[Row]) -> Claim:
    """The claim that block-diagonal matrices make inversion cheap."""
    blocks, dense = (fitted(rows, name, "solve", "flops") for name in ("fisher-layer-blocks", DENSE))
    width = common_widths(rows, "fisher-layer-blocks", DENSE)[-1]
    ratio = total(rows, DENSE, width) / total(rows, "fisher-layer-blocks", width)
    last = next(row for row in select(rows, approximation="fisher-layer-blocks", stage="form") if row["width"] == width)
    return Claim(
        statement='"Block-diagonal: ignore off-diagonal interactions" as a strategy of inversion.',
        published=SAID_NOTHING,
        as_published=f"solving grows as P^{blocks:.2f} (dense: P^{dense:.2f}); it keeps "
        f"{last['numbers'] / last['P'] ** 2:.2f} P^2 numbers",
        as_it_should_be=f"at P = {last['P']} forming and solving take {ratio:.2g} times fewer operations than the dense matrix",
        judged=Judgement(
            blockwise_verdict(blocks, dense, ratio),
            "the largest layer sets the cost, and here the first one holds nearly all parameters; L layers of one size save "
            "L^2 in solving.",
        ),
        figures={"exponent of solving": blocks, "exponent of the dense one": dense, "operations saved": ratio},
    )


def extrapolated(rows: Sequence[Row], name: str, stage: str, power: int) -> float:
    """The operations at a million parameters, from the largest size by the power of the leading term."""
    last = select(rows, approximation=name, stage=stage)[-1]
    return float(last["flops"] * (MILLION / last["P"]) ** power)


def sum_of_blocks(rows: Sequence[Row]) -> Callable[[int], float]:
    """The numbers of exact layer blocks at a width, by the formula sum (m (n + 1))^2 for layers h to h and h to ten."""

    def numbers(width: int) -> float:
        return float((width * (width + 1)) ** 2 + (10 * (width + 1)) ** 2)

    return numbers


def listed(values: dict[int, float]) -> str:
    """Ratios by size, as text."""
    return ", ".join(f"{value:.2g} (P = {size})" for size, value in values.items())


SAID_NOTHING = "no figure"
CLAIMS: tuple[tuple[tuple[str, ...], str, Callable[[Sequence[Row]], Claim]], ...] = (
    ((DENSE,), "sec. 4, challenges", huge),
    ((DENSE, CG), "sec. 4, challenges", intractable),
    ((DENSE,), "sec. 8, matrix inversion strategies", direct),
    ((KFAC,), "sec. 4, K-FAC", storage),
    ((DENSE, KFAC, "fisher-layer-blocks"), "sec. 4, K-FAC", efficient),
    ((KFAC, "fisher-layer-blocks"), "sec. 4, K-FAC", kronecker),
    ((DENSE, "empirical-fisher", "monte-carlo-1"), "sec. 8, Fisher matrix estimation", tractable),
    ((DENSE, CG), "sec. 8, matrix inversion strategies", iterative),
    ((LOW,), "sec. 8, matrix inversion strategies", low_rank),
    ((DENSE, "fisher-layer-blocks"), "sec. 8, matrix inversion strategies", blockwise),
)
"""What each claim needs, where it is made, and how it is judged; the position is its number."""

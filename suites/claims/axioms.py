"""What follows from the definition alone: axioms that compare a matrix with that of another problem, or with itself."""

import math

import torch
from torch import Tensor

from fishergauge.reference import Problem
from fishergauge.suites import variants
from fishergauge.suites.case import Case
from fishergauge.suites.claim import ENTRYWISE, FACTORED, STRUCTURES, Claim, Finding, NotHere, Scope
from fishergauge.suites.claims.agreement import quasi_diagonal_forms
from fishergauge.suites.comparison import compared
from fishergauge.suites.matrix import multiplied, vector_product

BOUND = "64 u sqrt(n)"
ADDITIVE = (*ENTRYWISE[:3], "none")


def symmetric(case: Case) -> Finding:
    """The matrix against its transpose."""
    matrix = case.matrix()
    return compared(matrix, matrix.mT, case.problem, scale=case.size(matrix))


def positive_semi_definite(case: Case) -> Finding:
    """The most negative eigenvalue of the symmetric part, relative to the largest modulus."""
    matrix = case.matrix()
    values = torch.linalg.eigvalsh((matrix + matrix.mT) / 2)
    size = float(values.abs().max())
    measured = max(0.0, -float(values[0])) / size / case.cancellation() if size > 0 else 0.0
    if case.subject.structure == "quasi-diagonal" and _sparse_units(case, matrix):
        raise NotHere("with zeros between the weights of a unit a quasi-diagonal may be indefinite")
    witness = f"eigenvalues from {float(values[0]):.4g} to {float(values[-1]):.4g}"
    return Finding(measured, case.bound(), BOUND, witness)


def _sparse_units(case: Case, matrix: Tensor) -> bool:
    """Whether a quasi-diagonal has zeros between the weights of a unit."""
    plain, completed = quasi_diagonal_forms(case, matrix)
    return float((plain - completed).norm()) > 0 and bool((matrix[plain != completed] == 0).all())


def sum_over_mean(case: Case) -> Finding:
    """The matrix under the other reduction, against the number that the mean divides by."""
    other = variants.other_reduction(case.problem)
    mean, total = (case.problem, other) if "mean" in case.tags else (other, case.problem)
    divisor = float(mean.likelihood.divisor(mean.outputs, mean.targets))
    expected = divisor * case.matrix(mean)
    return compared(
        case.matrix(total), expected, case.problem, scale=case.size(expected, total), condition=case.basis_condition()
    )


def same_in_batches(case: Case) -> Finding:
    """The same data in other batches."""
    return _same(case, variants.split(case.problem))


def same_if_duplicated(case: Case) -> Finding:
    """All data twice: nothing changes under a mean, the matrix doubles under a sum."""
    factor = 1.0 if "mean" in case.tags else 2.0
    return _same(case, variants.duplicated(case.problem), factor)


def same_in_any_order(case: Case) -> Finding:
    """The samples in another order."""
    return _same(case, variants.shuffled(case.problem, case.generator("order")))


def _same(case: Case, other: Problem, factor: float = 1.0) -> Finding:
    expected = factor * case.matrix()
    return compared(case.matrix(other), expected, case.problem, scale=case.size(expected), condition=case.basis_condition())


def adds_up(case: Case) -> Finding:
    """Two disjoint parts of the data under a sum."""
    first, second = variants.halves(case.problem)
    together = case.matrix()
    return compared(case.matrix(first) + case.matrix(second), together, case.problem, scale=case.size(together))


def masked_is_absent(case: Case) -> Finding:
    """A sample with a masked label, against no such sample."""
    masked, absent = variants.masked_and_absent(case.problem)
    expected = case.matrix(absent)
    return compared(
        case.matrix(masked), expected, case.problem, scale=case.size(expected, absent), condition=case.basis_condition(absent)
    )


def units_permute(case: Case) -> Finding:
    """Hidden units in another order permute the matrix and do nothing else."""
    return _permuted(case, *variants.permuted_units(case.problem, case.generator("units")))


def outputs_permute(case: Case) -> Finding:
    """Classes or output coordinates in another order permute the matrix and do nothing else."""
    return _permuted(case, *variants.permuted_outputs(case.problem, case.generator("outputs")))


def _permuted(case: Case, other: Problem, index: Tensor) -> Finding:
    expected = case.matrix()[index][:, index]
    return compared(case.matrix(other), expected, case.problem, scale=case.size(expected), condition=case.basis_condition())


def flattened(case: Case) -> Finding:
    """Positions treated as samples, where the network and the loss do so as well."""
    return _same(case, variants.flattened_positions(case.problem))


def like_a_convolution(case: Case) -> Finding:
    """The same network built of convolutions of width one."""
    return _same(case, variants.as_convolution(case.problem))


def linear_operator(case: Case) -> Finding:
    """A(0) = 0, A(x + 2y) = Ax + 2Ay, x'Ay = y'Ax, and a product given twice."""
    raw = case.raw()
    if isinstance(raw, Tensor):
        raise NotHere("a tensor is linear")
    dense, size = case.matrix(), case.problem.num_parameters
    draws = torch.randn(size, 2, generator=case.generator("vectors"), dtype=torch.float64).to(case.problem.vector)
    x, y = draws.unbind(1)

    def product(vector: Tensor) -> Tensor:
        return multiplied(raw, vector[:, None], case.problem)[:, 0]

    ax, ay, both, zero, again = case.inside(lambda: [product(v) for v in (x, y, x + 2 * y, torch.zeros_like(x), x)])
    handed = x.clone()
    single = case.inside(vector_product, raw, handed, case.problem)
    if single is not None and single.shape != x.shape:
        return Finding(math.inf, case.bound(), BOUND, f"@ maps a vector {tuple(x.shape)} to {tuple(single.shape)}")
    scale = case.size(dense) * float(draws.norm())
    found = {
        "A(0) = 0": float(zero.norm()),
        "A(x + 2y) = Ax + 2Ay": float((both - ax - 2 * ay).norm()),
        "x'Ay = y'Ax": float((x @ ay - y @ ax).abs()) / float(x.norm() + y.norm()),
        "Ax = Ax, asked again": float((again - ax).norm()),
        "Ax from all unit vectors": float((dense @ x - ax).norm()),
        "x is left as it was": float((handed - x).norm()) * float(dense.norm()),
        "A @ (P,) = A @ (P, K)": float((single - ax).norm()) if single is not None else 0.0,
    }
    worst = max(found, key=lambda name: found[name])
    measured = found[worst] / scale if scale > 0 else found[worst]
    return Finding(measured, case.bound(), BOUND, f"{worst} fails by {measured:.3g} relative")


ALL = Scope(drawn=None)
DETERMINISTIC = Scope()
EQUIVARIANT = Scope(structures=(*ENTRYWISE, *FACTORED, "none"))  # a sketch of low rank depends on the coordinates
HARMLESS = frozenset({"many-terms"})


def _axiom(name: str, statement: str, control: str, measure: "object", **more: "object") -> Claim:
    fields: dict[str, object] = {
        "scope": DETERMINISTIC,
        "source": "definition",
        "bound": BOUND,
        "cost": 2,
        "excludes": HARMLESS,
    } | more
    return Claim(id=f"T26-{name}", name=name, statement=statement, control=control, measure=measure, **fields)  # type: ignore[arg-type]


CLAIMS = (
    _axiom("symmetric", "the matrix is symmetric", "an asymmetry of one millionth", symmetric, scope=ALL, cost=1),
    _axiom(
        "psd",
        "a Fisher, GGN or empirical Fisher is positive semi-definite",
        "a sign; a Hessian sold as a GGN",
        positive_semi_definite,
        scope=Scope(targets=("fisher", "ggn", "empirical-fisher"), drawn=None),
        cost=1,
    ),
    _axiom(
        "sum-over-mean",
        "sum and mean differ by the number of loss terms",
        "1/N for 1/(N C) (f-dangel/curvlinops#108)",
        sum_over_mean,
    ),
    _axiom(
        "batches",
        "several batches are one data set, whatever their sizes",
        "mean of batch means (aai-institute/pyDVL#479)",
        same_in_batches,
    ),
    _axiom(
        "duplicated",
        "duplicated data change nothing under a mean, and double a sum",
        "a factor N (f-dangel/backpack 1b6113fa)",
        same_if_duplicated,
    ),
    _axiom("order", "the order of samples does not matter", "a running average over samples", same_in_any_order),
    _axiom(
        "additive",
        "under a sum the matrices of disjoint data add up",
        "(sum of A) kron (sum of B) (aleximmer/Laplace 3380802)",
        adds_up,
        scope=Scope(structures=ADDITIVE),
        requires=frozenset({"sum"}),
        cost=3,
    ),
    _axiom(
        "masked",
        "a masked label is an absent sample",
        "masked labels counted in the mean",
        masked_is_absent,
        requires=frozenset({"categorical"}),
    ),
    _axiom("units", "permuted hidden units permute the matrix", "a square layer transposed", units_permute, scope=EQUIVARIANT),
    _axiom("outputs", "permuted classes permute the matrix", "one class favoured", outputs_permute, scope=EQUIVARIANT),
    _axiom(
        "flattened",
        "positions with a loss of their own are samples",
        "a division by T that is thrown away (tfjgeorge/nngeometry)",
        flattened,
        optional=True,
        scope=Scope(sharing=("expand",)),
        requires=frozenset({"expand", "several-terms"}),
    ),
    _axiom(
        "convolution",
        "a linear layer on positions is a convolution of width one",
        "a division by T that is thrown away (tfjgeorge/nngeometry)",
        like_a_convolution,
        optional=True,
        scope=Scope(targets=("fisher", "ggn", "hessian"), structures=STRUCTURES),
        requires=frozenset({"expand", "several-terms"}),
    ),
    _axiom(
        "linear",
        "an operator is linear, symmetric and gives the same product again",
        "damping added in place",
        linear_operator,
        scope=ALL,
        cost=1,
        optional=True,
    ),
)

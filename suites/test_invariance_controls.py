"""What is declared to be more invariant than it is turns red, and so does what is invariant without being declared."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fishergauge.reference import (
    Problem,
    block_slices,
    empirical_fisher,
    fisher,
    hessian,
    kfac,
    monte_carlo_fisher,
)
from fishergauge.suites.matrix import densified
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.row import Row
from fishergauge.suites.spectrum.subjects import as_approximation
from fishergauge.suites.spectrum_cases import CATALOGUE, row_of, rows_of, small
from fishergauge.suites.subject import Subject

Change = Callable[[Tensor, Problem], Tensor]


def sold_as(name: str, group: str) -> Approximation:
    """An approximation of the catalogue with another group."""
    return replace(CATALOGUE[name], group=group, exact_group=None)


def changed(name: str, change: Change) -> Approximation:
    """An approximation of the catalogue, its matrix changed afterwards, its group as it was."""
    right = CATALOGUE[name]
    build = lambda problem, original: change(densified(right.build(problem, original), problem), problem)  # noqa: E731
    return replace(right, name=f"{name}-{change.__name__}", build=build, solve=None)


def damped(matrix: Tensor, _: Problem) -> Tensor:
    """lambda I with a lambda that is the same in all coordinates."""
    return matrix + 1e-3 * torch.eye(len(matrix)).to(matrix)


def damped_relatively(matrix: Tensor, _: Problem) -> Tensor:
    """lambda I in units of the mean eigenvalue."""
    return matrix + 1e-3 * matrix.diagonal().mean() * torch.eye(len(matrix)).to(matrix)


def floored(matrix: Tensor, _: Problem) -> Tensor:
    """No eigenvalue below a thousandth of the largest: the condition number shrinks to 1000."""
    values, vectors = torch.linalg.eigh(matrix)
    found: Tensor = (vectors * values.clamp(min=1e-3 * float(values[-1]))) @ vectors.mT
    return found


def clipped(matrix: Tensor, _: Problem) -> Tensor:
    """No eigenvalue above ten times the mean."""
    values, vectors = torch.linalg.eigh(matrix)
    found: Tensor = (vectors * values.clamp(max=10 * float(values.mean()))) @ vectors.mT
    return found


def equilibrated(matrix: Tensor, _: Problem) -> Tensor:
    """Scaled to a diagonal of ones, with a floor under the eigenvalues there, scaled back: invariant to scales, to no more."""
    scales = matrix.diagonal().sqrt()
    values, vectors = torch.linalg.eigh(matrix / scales[:, None] / scales)
    found: Tensor = scales[:, None] * ((vectors * values.clamp(min=0.03 * float(values[-1]))) @ vectors.mT) * scales
    return found


def truncated(matrix: Tensor, _: Problem) -> Tensor:
    """The same without the eigenvalues below the floor: it has a kernel now."""
    scales = matrix.diagonal().sqrt()
    values, vectors = torch.linalg.eigh(matrix / scales[:, None] / scales)
    kept = values > 0.03 * values[-1]
    found: Tensor = scales[:, None] * ((vectors[:, kept] * values[kept]) @ vectors[:, kept].mT) * scales
    return found


def damped_behind_the_first_layer(matrix: Tensor, problem: Problem) -> Tensor:
    """The right transformation in the first layer only."""
    matrix = matrix.clone()
    _, *others = block_slices(problem, "layer").values()
    for part in others:
        matrix[part, part] = damped_relatively(matrix[part, part], problem)
    return matrix


def first_layer_alone(matrix: Tensor, problem: Problem) -> Tensor:
    """The right transformation in the last layer only."""
    matrix = matrix.clone()
    first = next(iter(block_slices(problem, "layer").values()))
    matrix[first, first] = damped_relatively(matrix[first, first], problem)
    return matrix


def normalised_gradients(problem: Problem, _: Problem) -> Tensor:
    """An empirical Fisher of gradients of length one."""
    rows = torch.cat(list(empirical_fisher(problem).rows()))
    rows = rows / rows.norm(dim=1, keepdim=True)
    found: Tensor = rows.mT @ rows / len(rows)
    return found


def fresh_draws(problem: Problem, original: Problem) -> Tensor:
    """Other labels in other coordinates."""
    seed = 1 if problem is original else 2
    return monte_carlo_fisher(problem, 1, torch.Generator().manual_seed(seed)).dense()


def one_more_sample(problem: Problem, _: Problem) -> Tensor:
    """K-FAC whose A is averaged over N + 1, the identity being one of them."""
    matrix = kfac(problem)
    count = problem.num_samples
    for piece in matrix.kronecker:
        if not piece.alone:
            piece.input_factor = (count * piece.input_factor + torch.eye(len(piece.input_factor)).to(piece.input_factor)) / (
                count + 1
            )
    return matrix.dense()


def other_divisor(problem: Problem, _: Problem) -> Tensor:
    """K-FAC whose A is divided by N + 1: wrong, but the same multiple in all coordinates."""
    matrix = kfac(problem)
    count = problem.num_samples
    for piece in matrix.kronecker:
        if not piece.alone:
            piece.input_factor = piece.input_factor * (count / (count + 1))
    return matrix.dense()


def in_the_original_coordinates(problem: Problem, original: Problem) -> Tensor:
    """A Fisher that knows nothing of the coordinates it is asked for."""
    return fisher(original).dense()


WRONG: dict[str, tuple[str, str, Approximation]] = {
    "a separate bias sold as joint": ("mlp", "unit-affine", sold_as("kfac-separate", "joint-kronecker")),
    "a separate bias sold as joint, affine inputs": ("mlp", "inputs-affine", sold_as("kfac-separate", "joint-kronecker")),
    "K-FAC, damped": ("mlp", "kronecker", changed("kfac-joint", damped)),
    "the Fisher, damped": ("softmax-reduced", "scaling", changed("exact-fisher", damped)),
    "the Fisher, damped relative to the trace": ("softmax-reduced", "scaling", changed("exact-fisher", damped_relatively)),
    "a spectral floor": ("mlp", "kronecker", changed("exact-fisher", floored)),
    "the diagonal under shifts": ("mlp", "unit-affine", sold_as("fisher-diagonal", "units")),
    "the quasi-diagonal under rotations": ("mlp", "orthogonal", sold_as("quasi-diagonal", "joint-kronecker")),
    "EKFAC under scaling": ("mlp", "scaling", sold_as("ekfac-joint", "joint-kronecker")),
    "Shampoo under scaling": ("mlp", "scaling", sold_as("shampoo", "separate-kronecker")),
    "Adam under scaling": ("mlp", "diagonal", sold_as("adam", "scales")),
    "the plain gradient under scaling": ("softmax-reduced", "scaling", sold_as("gradient", "all")),
    "blocks of parameters under shifts": ("mlp", "affine", sold_as("fisher-parameter-blocks", "layers")),
    "blocks of layers under a map of everything": ("mlp", "dense", sold_as("fisher-layer-blocks", "all")),
    "normalised gradients": ("mlp", "kronecker", Approximation("normalised", "", normalised_gradients, "all")),
    "the original Fisher returned": ("mlp", "kronecker", Approximation("original", "", in_the_original_coordinates, "all")),
    "the first layer only": ("mlp", "affine", changed("kfac-joint", damped_behind_the_first_layer)),
    "the last layer only": ("mlp", "kronecker", changed("kfac-joint", first_layer_alone)),
    "fresh draws": ("mlp", "kronecker", Approximation("fresh-draws", "", fresh_draws, "all")),
    "a running mean that begins at one": (
        "mlp",
        "kronecker",
        Approximation("one-more", "", one_more_sample, "joint-kronecker"),
    ),
    "clipped": ("mlp", "kronecker", changed("exact-fisher", clipped)),
    "equilibrated, with a floor": ("mlp", "kronecker", changed("exact-fisher", equilibrated)),
}


def undamped(why: str) -> Row:
    model, family, approximation = WRONG[why]
    return row_of(small(model), family, approximation)


@pytest.mark.parametrize("why", WRONG)
def test_what_promises_too_much_is_violated(why: str) -> None:
    row = undamped(why)
    assert (row.predicted, row.verdict, row.red) == ("invariant", "violated", True)
    assert row.measured is not None
    assert row.bound is not None
    assert row.measured > 1e3 * row.bound


@pytest.mark.parametrize("why", ["K-FAC, damped", "the Fisher, damped relative to the trace", "a spectral floor", "clipped"])
def test_a_small_condition_number_does_not_help(why: str) -> None:
    """It shrinks the bound as well, so that the deviation stands out all the more."""
    model, family, approximation = WRONG[why]
    right = CATALOGUE["kfac-joint" if "K-FAC" in why else "exact-fisher"]
    wrong, exact = (row_of(small(model), family, one) for one in (approximation, right))
    assert exact.verdict == "holds"
    assert wrong.condition is not None
    assert exact.condition is not None
    assert wrong.bound is not None
    assert exact.bound is not None
    assert wrong.condition < exact.condition
    assert wrong.bound < exact.bound


def test_a_wrong_divisor_is_no_matter_of_invariance() -> None:
    """Nor is equilibration under scales, to which it is invariant whatever is done in between."""
    assert row_of(small("mlp"), "kronecker", Approximation("divisor", "", other_divisor, "joint-kronecker")).verdict == "holds"
    scaled = replace(changed("exact-fisher", equilibrated), group="scales")
    assert (row_of(small("mlp"), "diagonal", scaled).predicted, row_of(small("mlp"), "diagonal", scaled).verdict) == (
        "invariant",
        "holds",
    )


@pytest.mark.parametrize("family", ["kronecker", "diagonal"])
def test_what_is_cut_off_becomes_a_kernel_and_is_not_taken_for_invariant(family: str) -> None:
    row = row_of(small("mlp"), family, replace(changed("exact-fisher", truncated), group="all"))
    assert (row.predicted, row.verdict) == ("not invariant", "holds")
    assert "kernel" in row.source
    assert row.measured is not None
    assert row.measured > 1e-3


def test_damping_is_seen_where_it_is_declared_and_where_it_is_not() -> None:
    """In the measure of the damped step lambda I is predicted to break it, in the undamped one it is hidden in the matrix."""
    rows = {row.measure: row for row in rows_of(small("mlp"), "kronecker", [CATALOGUE["kfac-joint"]])}
    assert (rows["damped"].predicted, rows["damped"].verdict) == ("not invariant", "holds")
    assert (rows["damped by T'T"].predicted, rows["damped by T'T"].verdict) == ("invariant", "holds")


@pytest.mark.parametrize(("family", "exponent"), [("exp", 0.0), ("sinh", 0.0)])
def test_a_hessian_under_a_nonlinear_map_has_exponent_zero(family: str, exponent: float) -> None:
    sold = replace(CATALOGUE["hessian"], tensorial=True)
    limit, order = (row_of(small("softmax-reduced"), family, sold, measure) for measure in ("outputs", "order"))
    assert (limit.predicted, limit.verdict) == ("first order", "violated")
    assert (order.predicted, order.verdict) == ("first order", "violated")
    assert order.measured == pytest.approx(exponent, abs=0.1)
    fisher_row = row_of(small("softmax-reduced"), family, CATALOGUE["exact-fisher"], "order")
    assert (fisher_row.predicted, fisher_row.verdict) == ("first order", "holds")
    assert fisher_row.measured == pytest.approx(1, abs=0.05)


# --- the other direction -------------------------------------------------------------------------------------------


def doubled(matrix: Tensor, _: Problem) -> Tensor:
    """Not the matrix itself, with which it would be recognised."""
    return 2 * matrix


MODEST = [
    ("twice the exact Fisher sold as layer-wise", "dense", replace(changed("exact-fisher", doubled), group="layers")),
    ("joint K-FAC sold as separate", "unit-affine", sold_as("kfac-joint", "separate-kronecker")),
    ("K-FAC sold as EKFAC", "scaling", sold_as("kfac-joint", "joint-conformal")),
    ("the quasi-diagonal sold as the diagonal", "unit-affine", sold_as("quasi-diagonal", "scales")),
    ("the diagonal sold as Adam", "scaling", sold_as("fisher-diagonal", "signed-permutations")),
]


@pytest.mark.parametrize(("why", "family", "approximation"), MODEST, ids=[case[0] for case in MODEST])
def test_what_promises_too_little_is_unexpected(why: str, family: str, approximation: Approximation) -> None:
    row = row_of(small("mlp"), family, approximation)
    assert (row.predicted, row.verdict, row.red) == ("not invariant", "unexpected", True)
    silent = row_of(small("mlp"), family, replace(approximation, own=False))  # a subject under test may be better
    assert (silent.verdict, silent.promised, silent.red) == ("not-claimed", False, False)


def test_a_first_order_invariance_that_nothing_predicts_is_unexpected() -> None:
    modest = replace(changed("exact-fisher", doubled), tensorial=False)
    rows = {row.measure: row for row in rows_of(small("softmax-reduced"), "exp", [modest])}
    assert rows["outputs"].verdict == "unexpected"
    assert rows["order"].verdict == "unexpected"


def test_what_equals_an_approximation_with_a_larger_group_is_told_so() -> None:
    row = row_of(small("mlp"), "dense", sold_as("exact-fisher", "layers"))
    assert (row.predicted, row.verdict) == ("invariant", "holds")
    assert row.source.startswith("coincides here")
    damped_one = replace(changed("exact-fisher", damped), group="layers")  # close to it, and not the same
    assert (row_of(small("mlp"), "dense", damped_one).predicted) == "not invariant"


# --- subjects ------------------------------------------------------------------------------------------------------

SUBJECTS: dict[str, tuple[str, Subject]] = {
    "a separate bias declared joint": (
        "unit-affine",
        Subject("s", lambda p: kfac(p, bias="separate").dense(), structure="kronecker", bias="joint"),
    ),
    "a damped Fisher": ("kronecker", Subject("s", lambda p: damped(fisher(p).dense(), p))),
    "a Hessian declared Fisher": ("exp", Subject("s", lambda p: hessian(p).dense())),
    "the diagonal declared dense": ("orthogonal", Subject("s", lambda p: fisher(p).diagonal().diag())),
    "the diagonal declared quasi-diagonal": (
        "unit-affine",
        Subject("s", lambda p: fisher(p).diagonal().diag(), structure="quasi-diagonal"),
    ),
}


@pytest.mark.parametrize("why", SUBJECTS)
def test_a_subject_that_declares_too_much_is_violated(why: str) -> None:
    family, subject = SUBJECTS[why]
    origin = small("mlp")
    row = row_of(origin, family, replace(as_approximation(subject, origin.problem), name=why.replace(" ", "-")))
    assert (row.verdict, row.promised) == ("violated", True)

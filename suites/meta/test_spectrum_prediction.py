"""What is predicted for each structure, and for matrices with a kernel."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from fishergauge.reference import FAMILIES, Facts, Problem, Reparametrization, reparametrized
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.groups import GROUPS, contains
from fishergauge.suites.spectrum.prediction import Prediction, exact_blocks, is_squared, predict, through_kernel
from fishergauge.suites.spectrum_cases import CATALOGUE
from fishergauge.suites.zoo import catalogue_problem

PROBLEM = catalogue_problem("mlp-tanh-softmax")
SIZE = PROBLEM.num_parameters


def change(family: str, problem: Problem = PROBLEM) -> Reparametrization:
    return reparametrized(problem, family, 50.0)


def made(group: str | None, **options: object) -> Approximation:
    return replace(Approximation("made", "", lambda problem, _: None, group), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prediction_follows_the_group(group: str, family: str) -> None:
    there = change(family)
    stays = "invariant" if FAMILIES[family].linear else "first order"
    found = predict(made(group), there)
    if contains(group, there):
        assert found == Prediction(stays, GROUPS[group].source)  # type: ignore[arg-type]
    else:
        assert found.predicted == "not invariant"
        assert GROUPS[group].statement in found.source


def test_where_nothing_is_known_nothing_is_predicted() -> None:
    assert predict(made(None), change("permutation")) == Prediction("unknown", "")


@pytest.mark.parametrize(
    ("family", "tensorial", "expected"),
    [
        ("dense", False, "invariant"),
        ("exp", True, "first order"),
        ("exp", False, "not invariant"),
        ("sinh", False, "not invariant"),
    ],
)
def test_a_matrix_of_second_derivatives_is_invariant_to_linear_maps_only(family: str, tensorial: bool, expected: str) -> None:
    found = predict(made("all", tensorial=tensorial), change(family))
    assert found.predicted == expected
    assert ("second derivative" in found.source) == (expected == "not invariant")


@pytest.mark.parametrize(
    ("family", "expected"),
    [("permutation", "invariant"), ("orthogonal", "invariant"), ("scalar", "not invariant"), ("dense", "not invariant")],
)
def test_damping_by_the_identity_needs_lengths_to_stay(family: str, expected: str) -> None:
    found = predict(made("all"), change(family), metric=True)
    assert found.predicted == expected
    assert ("metric" in found.source) == (expected == "not invariant")
    assert predict(made("signed-permutations"), change("dense"), metric=True).source.startswith("outside")


# --- exact blocks --------------------------------------------------------------------------------------------------


def _network(loss: nn.Module, facts: Facts) -> Problem:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator("exact blocks", parameter.shape)))
    inputs = torch.randn(6, 2, generator=generator("exact inputs")).double()
    targets = torch.zeros(6, 2).double() if isinstance(loss, nn.MSELoss) else torch.zeros(6, dtype=torch.long)
    return Problem(model, loss, [(inputs, targets)], facts=facts)


DEEP = Facts(deep_linear=True, piecewise_linear=True)
CASES = [
    ("deep linear, squared error", nn.MSELoss(), DEEP, True),
    ("another loss", nn.CrossEntropyLoss(), DEEP, False),
    ("not linear", nn.MSELoss(), Facts(), False),
    ("shared weights", nn.MSELoss(), Facts(deep_linear=True, weight_sharing=True), False),
]


@pytest.mark.parametrize(("loss", "facts", "exact"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_blocks_are_exact_for_deep_linear_networks_under_squared_error(loss: nn.Module, facts: Facts, exact: bool) -> None:
    there = change("affine", _network(loss, facts))
    assert exact_blocks(there) == exact
    found = predict(made("joint-conformal", exact_group="layers"), there)
    assert found.predicted == ("invariant" if exact else "not invariant")
    assert found.source.startswith("T8") == exact
    assert predict(made(None, exact_group="layers"), there).predicted == ("invariant" if exact else "unknown")
    assert is_squared(there.problem.likelihood) == isinstance(loss, nn.MSELoss)


def test_the_smaller_group_is_named_where_both_will_do() -> None:
    there = change("orthogonal", _network(nn.MSELoss(), DEEP))
    found = predict(made("joint-conformal", exact_group="layers"), there)
    assert found == Prediction("invariant", GROUPS["joint-conformal"].source)


# --- kernels -------------------------------------------------------------------------------------------------------

STAYS = Prediction("invariant", "a theorem")
EYE = torch.eye(SIZE).double()


def stretched(first: float, second: float, mixing: float = 0.0) -> Reparametrization:
    """A map that stretches the first two coordinates, and mixes them."""
    T = EYE.clone()
    T[0, 0], T[1, 1], T[0, 1] = first, second, mixing
    return Reparametrization("made", 1.0, PROBLEM, PROBLEM, T)


@pytest.mark.parametrize(
    ("there", "predicted"),
    [
        (stretched(2.0, 3.0), "invariant"),  # each stays where it is
        (stretched(1.0, 1.0, 0.5), "not invariant"),  # T T' has entries between kernel and range
        (stretched(1.0, 1.0, 1e-9), "invariant"),  # too little to be seen
    ],
)
def test_a_map_may_stretch_kernel_and_range_but_not_mix_them(there: Reparametrization, predicted: str) -> None:
    kernel = EYE[:, :1]
    assert through_kernel(STAYS, kernel, there, None).predicted == predicted
    assert through_kernel(STAYS, kernel, there, EYE).predicted == predicted
    assert through_kernel(STAYS, EYE[:, 1:2], there, EYE).predicted == predicted
    assert through_kernel(STAYS, EYE[:, 2:3], there, EYE) == STAYS  # another kernel
    assert through_kernel(STAYS, EYE[:, :2], there, EYE) == STAYS  # mixed among themselves


def _turned(transposed: bool) -> Reparametrization:
    """T = S Q: T T' = S S' stretches the coordinates, T'T mixes them; or the transposed map."""
    T = EYE.clone()
    cos, sin = torch.tensor([0.6, 0.8], dtype=torch.float64)
    T[:2, :2] = torch.tensor([2.0, 3.0]).double().diag() @ torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])
    return Reparametrization("made", 1.0, PROBLEM, PROBLEM, T.T if transposed else T)


def test_it_is_what_the_map_does_to_theta_that_counts() -> None:
    assert through_kernel(STAYS, EYE[:, :1], _turned(transposed=False), None) == STAYS
    assert through_kernel(STAYS, EYE[:, :1], _turned(transposed=True), None).predicted == "not invariant"


def test_a_kernel_known_up_to_rounding_leaves_a_doubt() -> None:
    mixing = stretched(1.0, 1.0, 1e-4)
    for noise, predicted, doubtful in (
        (0.0, "not invariant", False),
        (1e-6, "not invariant", False),
        (1e-2, "invariant", True),
    ):
        found = through_kernel(STAYS, EYE[:, :1], mixing, EYE, noise)
        assert (found.predicted, found.doubtful) == (predicted, doubtful)
    assert not through_kernel(STAYS, EYE[:, :1], stretched(2.0, 3.0), EYE, 1e-2).doubtful


def test_outputs_that_do_not_see_the_kernel_do_not_mind() -> None:
    there, kernel = stretched(1.0, 1.0, 0.5), EYE[:, :1]
    blind = EYE[1:]
    assert through_kernel(STAYS, kernel, there, blind) == STAYS
    assert through_kernel(STAYS, kernel, there, EYE[:1]).predicted == "not invariant"
    assert through_kernel(STAYS, kernel, there, None).predicted == "not invariant"


def test_in_any_basis_of_the_kernel_the_prediction_is_the_same() -> None:
    there = change("dense")
    kernel = torch.linalg.qr(torch.randn(SIZE, 3, generator=generator("kernel")).double())[0]
    turned = kernel @ torch.linalg.qr(torch.randn(3, 3, generator=generator("turn")).double())[0]
    for basis in (kernel, turned):
        assert through_kernel(STAYS, basis, there, EYE).predicted == "not invariant"
        assert through_kernel(STAYS, basis, change("orthogonal"), EYE) == STAYS


def test_without_a_kernel_and_without_an_invariance_nothing_changes() -> None:
    there = stretched(1.0, 1.0, 0.5)
    assert through_kernel(STAYS, EYE[:, :0], there, None) == STAYS
    for other in (Prediction("unknown", ""), Prediction("not invariant", "why")):
        assert through_kernel(other, EYE[:, :1], there, None) == other
    first = Prediction("first order", "a theorem")
    assert through_kernel(first, EYE[:, :1], there, None).predicted == "not invariant"


def test_the_prediction_is_what_a_step_does() -> None:
    """A covariant matrix with that kernel: steps differ by what is predicted to be mixed in."""
    diagonal = torch.ones(SIZE).double()
    diagonal[0] = 0
    M, g = diagonal.diag(), diagonal * torch.randn(SIZE, generator=generator("slope")).double()
    for there in (stretched(2.0, 3.0), stretched(1.0, 1.0, 0.5), _turned(False), _turned(True)):
        T = there.jacobian
        pushed = -T @ torch.linalg.pinv(T.T @ M @ T, hermitian=True) @ (T.T @ g)
        moved = float((pushed + torch.linalg.pinv(M) @ g).norm())
        stays = through_kernel(STAYS, EYE[:, :1], there, None).predicted == "invariant"
        assert moved < 1e-13 if stays else moved > 1e-2


def test_the_catalogue_names_groups_that_exist() -> None:
    for one in CATALOGUE.values():
        assert one.group in GROUPS
        assert one.exact_group is None or one.exact_group in GROUPS

"""Subjects as approximations: what they promise, what they are given, and what becomes of those that fail."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import FAMILIES, Problem, block_slices, eigen_kfac, fisher, kfac, monte_carlo_fisher
from fishergauge.suites.spectrum.subjects import LAYERED, as_approximation, promised
from fishergauge.suites.spectrum_cases import row_of, rows_of, small
from fishergauge.suites.subject import Bias, Structure, Subject
from fishergauge.suites.untouched import assert_untouched, state_of

MLP = small("mlp")


def subject(build: Callable[..., Any], name: str = "mine", **options: Any) -> Subject:
    return Subject(name, build, **options)


def exact(problem: Problem) -> Tensor:
    return fisher(problem).dense()


# --- what is promised ----------------------------------------------------------------------------------------------

PROMISES: list[tuple[Structure, Bias, str | None, str | None]] = [
    ("dense", "joint", "all", None),
    ("dense", "separate", "all", None),
    ("block-diagonal", "joint", "layers", None),
    ("block-diagonal", "separate", "parameters", None),
    ("quasi-diagonal", "joint", "units", None),
    ("diagonal", "joint", "scales", None),
    ("kronecker", "joint", "joint-kronecker", "layers"),
    ("kronecker", "separate", "separate-kronecker", "parameters"),
    ("eigen-kronecker", "joint", "joint-conformal", "layers"),
    ("eigen-kronecker", "separate", "separate-conformal", "parameters"),
    ("low-rank", "joint", None, None),
    ("none", "joint", None, None),
]


@pytest.mark.parametrize(("structure", "bias", "group", "exact_group"), PROMISES)
def test_a_structure_promises_its_group(structure: Structure, bias: Bias, group: str | None, exact_group: str | None) -> None:
    assert promised(subject(exact, structure=structure), bias) == (group, exact_group)
    found = as_approximation(subject(exact, structure=structure, bias=bias), MLP.problem)
    assert (found.group, found.exact_group, found.own) == (group, exact_group, False)
    assert found.layered == (structure in LAYERED)


@pytest.mark.parametrize("structure", ["kronecker", "eigen-kronecker"])
def test_blocks_are_exact_for_the_fisher_itself_only(structure: Structure) -> None:
    assert promised(subject(exact, structure=structure, target="ggn"), "joint")[1] == "layers"
    assert promised(subject(exact, structure=structure, target="empirical-fisher"), "joint")[1] is None
    assert promised(subject(exact, structure=structure, samples=2), "joint")[1] is None


def test_a_hessian_promises_linear_maps_only() -> None:
    assert not as_approximation(subject(exact, target="hessian"), MLP.problem).tensorial
    assert as_approximation(subject(exact, target="ggn"), MLP.problem).tensorial


def _blocks(per: Any) -> Callable[[Problem], Tensor]:
    def build(problem: Problem) -> Tensor:
        F, inside = exact(problem), torch.zeros(problem.num_parameters, problem.num_parameters).to(problem.dtype)
        for part in block_slices(problem, per).values():
            inside[part, part] = F[part, part]
        return inside

    return build


RECOGNISED: list[tuple[Structure, Callable[[Problem], Any], str]] = [
    ("kronecker", lambda p: kfac(p, bias="joint").dense(), "joint-kronecker"),
    ("kronecker", lambda p: kfac(p, bias="separate").dense(), "separate-kronecker"),
    ("eigen-kronecker", lambda p: eigen_kfac(p, bias="joint").dense(), "joint-conformal"),
    ("eigen-kronecker", lambda p: eigen_kfac(p, bias="separate").dense(), "separate-conformal"),
    ("block-diagonal", _blocks("layer"), "layers"),
    ("block-diagonal", _blocks("parameter"), "parameters"),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("structure", "build", "group"), RECOGNISED)
def test_an_undeclared_treatment_of_the_bias_is_read_off(
    structure: Structure, build: Callable[[Problem], Any], group: str, dtype: torch.dtype
) -> None:
    assert as_approximation(subject(build, structure=structure), small("mlp", dtype).problem).group == group


def test_what_is_declared_counts_whatever_the_matrix_is() -> None:
    silent = subject(lambda p: kfac(p, bias="separate").dense(), structure="kronecker", bias="joint")
    assert as_approximation(silent, MLP.problem).group == "joint-kronecker"


# --- what they are given -------------------------------------------------------------------------------------------


def test_a_subject_never_sees_the_problem_itself() -> None:
    seen: list[Problem] = []

    def curious(problem: Problem) -> Tensor:
        seen.append(problem)
        matrix = exact(problem)
        with torch.no_grad():
            for tensor in (*problem.model.parameters(), problem.inputs, problem.batches[0][0]):
                tensor.zero_()
        return matrix

    before = state_of(MLP.problem)
    # it spoils its own copies, and is told so: nothing else depends on them
    rows = rows_of(MLP, "kronecker", [as_approximation(subject(curious, "curious"), MLP.problem)])
    assert_untouched(MLP.problem, before)
    assert rows
    assert seen
    own = {id(p) for p in MLP.problem.model.parameters()} | {MLP.problem.inputs.data_ptr()}
    for problem in seen:
        assert problem is not MLP.problem
        assert not own & {id(p) for p in problem.model.parameters()}
        assert problem.inputs.data_ptr() not in own
    fresh = rows_of(MLP, "kronecker", [as_approximation(subject(exact, "after"), MLP.problem)])
    assert {row.verdict for row in fresh if row.promised} == {"holds"}


def test_a_subject_works_on_fixed_linear_layers_in_layerwise_coordinates() -> None:
    seen: list[list[bool]] = []

    def look(problem: Problem) -> Tensor:
        layers = [module for module in problem.model.modules() if isinstance(module, nn.Linear)]
        seen.append([layer.weight.requires_grad for layer in layers])
        return exact(problem)

    rows_of(MLP, "kronecker", [as_approximation(subject(look, "look"), MLP.problem)])
    assert [True, True] in seen
    assert [False, True, False, False, True, False] in seen


def test_draws_are_the_same_in_all_coordinates() -> None:
    drawn = subject(lambda p, generator: monte_carlo_fisher(p, 1, generator).dense(), "drawn", structure="dense", samples=1)
    found = as_approximation(drawn, MLP.problem)
    assert row_of(MLP, "orthogonal", found).verdict == "holds"
    other = as_approximation(drawn, MLP.problem, seed=1)
    assert not torch.equal(found.matrix(None, MLP.problem), other.matrix(None, MLP.problem))
    assert torch.equal(found.matrix(None, MLP.problem), found.matrix(None, MLP.problem))


def test_a_damped_inverse_of_its_own_is_taken() -> None:
    calls: list[float] = []

    def solve(matrix: Tensor, vector: Tensor, damping: float) -> Tensor:
        calls.append(damping)
        found: Tensor = torch.linalg.solve(matrix + damping * torch.eye(len(vector)).to(matrix), vector)
        return found

    with_solve = as_approximation(subject(exact, "solves", solve=solve), MLP.problem)
    without = as_approximation(subject(exact, "plain"), MLP.problem)
    one, two = (row_of(MLP, "kronecker", approximation, "damped") for approximation in (with_solve, without))
    assert len(calls) == 2
    assert calls[0] == calls[1] > 0
    assert one.measured == pytest.approx(two.measured, rel=1e-6)


# --- what fails ----------------------------------------------------------------------------------------------------


def _reparametrised(problem: Problem) -> bool:
    return len([module for module in problem.model.modules() if isinstance(module, nn.Linear)]) > 2


def _only_there(act: Callable[[Problem], Any]) -> Callable[[Problem], Any]:
    return lambda problem: act(problem) if _reparametrised(problem) else exact(problem)


def _raise(error: Exception) -> Any:
    raise error


FAILING: dict[str, tuple[Callable[[Problem], Any], str, str]] = {
    "raises": (lambda _: _raise(RuntimeError("broken")), "error", "broken"),
    "refuses": (lambda _: _raise(NotImplementedError("only two layers")), "unsupported", "only two layers"),
    "hangs": (lambda _: time.sleep(5), "error", "0.3"),
    "returns nothing": (lambda _: None, "error", "None"),
    "returns NaN": (lambda p: exact(p) * torch.nan, "error", "NaN"),
    "has another shape": (lambda p: exact(p)[1:, 1:], "error", "shape"),
}


@pytest.mark.parametrize("why", FAILING)
def test_a_subject_that_fails_there_costs_its_own_rows(why: str) -> None:
    act, verdict, words = FAILING[why]
    bad = as_approximation(subject(_only_there(act), f"bad-{why}".replace(" ", "-")), MLP.problem, limit=0.3)
    good = as_approximation(subject(exact, "good"), MLP.problem)
    start = time.perf_counter()
    rows = rows_of(MLP, "kronecker", [bad, good], (1e4,))
    assert time.perf_counter() - start < 4
    mine = [row for row in rows if row.approximation == bad.name]
    assert [(row.verdict, row.predicted) for row in mine] == [(verdict, "invariant")]
    assert words in mine[0].reason
    assert mine[0].red == (verdict == "error")
    others = [row for row in rows if row.approximation == "good"]
    assert {row.verdict for row in others if row.promised} == {"holds"}
    assert {row.kappa for row in others} == {100.0, 1e4}


def test_a_subject_that_prints_is_as_good_as_another(capfd: pytest.CaptureFixture[str]) -> None:
    def talks(problem: Problem) -> Tensor:
        print("hello")
        return exact(problem)

    row = row_of(MLP, "kronecker", as_approximation(subject(talks, "talks"), MLP.problem))
    assert row.verdict == "holds"


def test_a_subject_that_always_fails_fails_everywhere() -> None:
    def broken(_: Problem) -> Tensor:
        raise RuntimeError("broken")

    rows = rows_of(MLP, "kronecker", [as_approximation(subject(broken, "broken", structure="kronecker"), MLP.problem)])
    assert [(row.verdict, row.predicted) for row in rows] == [("error", "invariant")]


def _hooked(problem: Problem) -> Tensor:
    """Works with the layers that it finds, as K-FAC does, and refuses a model without."""
    trained = [m for m in problem.model.modules() if isinstance(m, nn.Linear) and m.weight.requires_grad]
    if sum(p.numel() for m in trained for p in m.parameters()) != problem.num_parameters:
        raise RuntimeError("parameters that belong to no layer")
    return kfac(problem).dense()


@pytest.mark.parametrize("structure", LAYERED)
def test_a_subject_made_of_layers_is_unsupported_where_there_are_none(structure: Structure) -> None:
    found = as_approximation(subject(_hooked, f"hooked-{structure}", structure=structure, bias="joint"), MLP.problem)
    for family, one in FAMILIES.items():
        rows = rows_of(MLP, family, [found])
        assert ({row.verdict for row in rows} == {"unsupported"}) == (not one.layerwise)
        assert not any(row.verdict == "error" for row in rows)


def test_a_dense_subject_that_needs_layers_is_in_error_where_there_are_none() -> None:
    """A dense matrix means something in all coordinates; that it cannot be computed there is a failure."""
    rows = rows_of(MLP, "dense", [as_approximation(subject(_hooked, "hooked-dense"), MLP.problem)])
    assert [row.verdict for row in rows] == ["error"]


def test_more_than_is_promised_is_for_information() -> None:
    diagonal = subject(lambda p: fisher(p).diagonal().diag(), "diagonal", structure="diagonal")
    rows = rows_of(MLP, "orthogonal", [as_approximation(diagonal, MLP.problem)])
    assert {(row.verdict, row.promised, row.red) for row in rows} == {("not-claimed", False, False)}
    assert all(row.measured is not None for row in rows)
    nothing = as_approximation(subject(exact, "nothing", structure="none"), MLP.problem)
    assert {row.reason for row in rows_of(MLP, "orthogonal", [nothing])} == {"nothing is promised"}

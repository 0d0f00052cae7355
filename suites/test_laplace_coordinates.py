"""Laplace posteriors in other coordinates: the same predictive and evidence if the prior is mapped along, others if not."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from fishergauge.reference import (
    FAMILIES,
    Problem,
    Reparametrization,
    UnsupportedError,
    block_slices,
    eigen_kfac,
    empirical_fisher,
    ggn,
    hessian,
    kfac,
)
from fishergauge.reference.gaussian_prior import GaussianPrior
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import joint_covariance, linearized_outputs, linearized_predictive
from fishergauge.reference.sampled_network import outputs_at
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.reparametrized_cases import NONLINEAR, made, original
from fishergauge.suites.seeding import generator

NAMES = ("mlp-tanh-softmax", "mlp-tanh-gaussian-sum", "mlp-sigmoid-binary")
LINEAR = [name for name, family in FAMILIES.items() if family.linear]

every_problem = pytest.mark.parametrize("name", NAMES)
two_problems = pytest.mark.parametrize("name", NAMES[1:])


def matrix_of_prior(size: int, kind: str) -> Tensor:
    """The precision of a prior, ``(P, P)``."""
    if kind == "isotropic":
        return 0.7 * torch.eye(size, dtype=torch.float64)
    if kind == "diagonal":
        return torch.linspace(0.3, 2, size, dtype=torch.float64).diag()
    root = torch.randn(size, size, generator=generator("prior", size), dtype=torch.float64)
    return root @ root.T / size + torch.eye(size, dtype=torch.float64) / 5


@dataclass(frozen=True, eq=False)
class Pair:
    """A posterior in two coordinates, and the map between them."""

    change: Reparametrization
    here: LaplacePosterior
    there: LaplacePosterior

    @property
    def inputs(self) -> Tensor:
        """New inputs."""
        problem = self.here.problem
        draws = torch.randn(3, *problem.inputs.shape[1:], generator=generator("inputs", problem.name), dtype=torch.float64)
        return draws.to(problem.dtype)

    @property
    def condition(self) -> float:
        """Of both precisions, the first in coordinates whose Jacobian has errors u cond(T)."""
        one, other = (float(torch.linalg.cond(posterior.precision.dense())) for posterior in (self.here, self.there))
        return one * (1 + self.change.condition) + other


Prepared = Callable[[Problem], Any]


def pair(
    change: Reparametrization,
    kind: str,
    structure: Any = "full",
    curvature: Prepared = lambda _: "ggn",
    mapped: bool = True,
    rank: int | None = None,
) -> Pair:
    r"""The posteriors at theta with prior Delta, mu and at phi with :math:`T' \Delta T` and :math:`T^{-1} \mu`.

    For a nonlinear map T is DT, and the prior mean that whose tangent vector from phi is mapped to the one from theta.
    """
    problem, tangent = change.original, change.jacobian
    delta = matrix_of_prior(problem.num_parameters, kind)
    mean = 0.1 * torch.ones(len(delta), dtype=torch.float64)
    there = tangent.T @ delta @ tangent if mapped else delta
    offset = torch.linalg.solve(tangent, problem.vector.double() - mean)

    def posterior(at: Problem, precision: Tensor, centre: Tensor) -> LaplacePosterior:
        diagonal = precision.diagonal()
        prior: Any = precision
        if kind != "dense" and bool((precision == diagonal.diag()).all()):
            prior = diagonal if kind == "diagonal" else _by_layer(at, diagonal)
        elif structure != "full":  # zero up to rounding beside the diagonal
            assert_close(precision, diagonal.diag(), "the mapped prior is diagonal", condition=change.condition**2)
            prior = diagonal if kind == "diagonal" else _by_layer(at, diagonal)
        return laplace(at, curvature(at), structure, GaussianPrior(prior, centre), rank=rank)

    return Pair(
        change, posterior(problem, delta, mean), posterior(change.problem, there, change.problem.vector.double() - offset)
    )


def _by_layer(problem: Problem, diagonal: Tensor) -> Tensor:
    """One number a layer, where the diagonal is constant in each up to rounding."""
    parts = [diagonal[part] for part in block_slices(problem).values()]
    for part in parts:
        assert_close(part, part[:1].expand_as(part), "constant in a layer")
    return torch.stack([part[0] for part in parts])


def assert_same(found: Pair) -> None:
    """Raise :class:`ClaimViolated` unless predictive mean, joint covariance and evidence agree within rounding."""
    here, there, inputs, condition = found.here, found.there, found.inputs, found.condition
    size = len(here.mean)
    one, other = linearized_predictive(here, inputs).mean, linearized_predictive(there, inputs).mean
    assert_close(other, one, "mean", condition=found.change.condition, scale=float(one.norm()) + 1, size=size)
    assert_close(joint_covariance(there, inputs), joint_covariance(here, inputs), "covariance", condition=condition, size=size)
    scale = float(here.log_evidence().abs()) + size * condition
    assert_close(there.log_evidence(), here.log_evidence(), "evidence", scale=scale, size=size)


def assert_others(found: Pair, evidence: bool = True) -> None:
    """Both the covariance and the evidence are others, by more than a thousandth."""
    assert_apart(joint_covariance(found.there, found.inputs), joint_covariance(found.here, found.inputs), "covariance")
    if evidence:
        assert_apart(found.there.log_evidence(), found.here.log_evidence(), "evidence", least=1e-4)


@cache
def change_of(name: str, family: str) -> Reparametrization:
    """The problem in coordinates of a family, kappa 10."""
    return made(name, family)


@pytest.mark.parametrize("family", LINEAR)
@every_problem
def test_with_the_prior_mapped_along_nothing_changes_under_linear_maps(name: str, family: str) -> None:
    """Log-determinants of prior and posterior precision both grow by 2 log |det T|: the evidence stays."""
    change = change_of(name, family)
    found = pair(change, "dense")
    assert_same(found)
    logdet = float(torch.linalg.slogdet(change.jacobian)[1])
    priors = [float(torch.linalg.slogdet(one.prior.dense())[1]) for one in (found.here, found.there)]
    assert priors[1] - priors[0] == pytest.approx(2 * logdet, abs=1e-9 * found.condition)
    unmapped = pair(change, "dense", mapped=False)
    assert_others(unmapped)
    with pytest.raises(ClaimViolated):
        assert_same(unmapped)


@every_problem
def test_a_prior_mapped_by_another_matrix_is_noticed(name: str) -> None:
    change = change_of(name, "kronecker")
    right = pair(change, "dense")
    delta = matrix_of_prior(len(right.here.mean), "dense")
    tangent, mean = change.jacobian, right.there.prior.mean
    inverse = torch.linalg.inv(tangent)
    for what, precision in (
        ("T Delta T'", tangent @ delta @ tangent.T),
        ("the inverse", inverse.T @ delta @ inverse),
        ("Delta T", (delta @ tangent + tangent.T @ delta) / 2 + 50 * torch.eye(len(delta))),
    ):
        there = laplace(change.problem, prior=GaussianPrior(precision, mean))
        with pytest.raises(ClaimViolated):
            assert_same(Pair(change, right.here, there))
        assert_apart(joint_covariance(there, right.inputs), joint_covariance(right.here, right.inputs), what)
    unmoved = laplace(change.problem, prior=GaussianPrior(right.there.prior.precision, right.here.prior.mean))
    with pytest.raises(ClaimViolated, match="evidence"):
        assert_same(Pair(change, right.here, unmoved))


def test_an_evidence_without_the_normaliser_of_the_prior_depends_on_coordinates() -> None:
    found = pair(change_of("mlp-tanh-softmax", "scalar"), "dense")
    values = [float(one.log_evidence() - torch.logdet(one.prior.dense()) / 2) for one in (found.here, found.there)]
    logdet = float(torch.linalg.slogdet(found.change.jacobian)[1])
    assert logdet == pytest.approx(len(found.here.mean) * math.log(3))  # theta = 3 phi
    assert values[1] - values[0] == pytest.approx(-logdet, abs=1e-9 * found.condition)


# --- structures: the groups of maps that each of them respects ----------------------------------

SCALES = ("permutation", "scalar", "scaling", "diagonal", "unit-scaling")
NATIVE = [
    *[("block-diagonal", "diagonal", family) for family in SCALES],
    *[("diagonal", "diagonal", family) for family in SCALES],
    *[
        (structure, "isotropic", family)
        for structure in ("block-diagonal", "kronecker", "low-rank")
        for family in ("orthogonal", "scalar", "permutation")
    ],
]
FOREIGN = [("diagonal", "isotropic", "orthogonal"), ("low-rank", "diagonal", "scaling"), ("low-rank", "diagonal", "diagonal")]


@pytest.mark.parametrize(("structure", "kind", "family"), NATIVE)
@two_problems
def test_a_structure_is_unchanged_under_its_maps(name: str, structure: str, kind: str, family: str) -> None:
    rank = 4 if structure == "low-rank" else None
    found = pair(change_of(name, family), kind, structure, rank=rank)
    assert found.here.structure == found.there.structure == structure
    assert_same(found)
    if family not in ("orthogonal", "permutation") or (family == "permutation" and kind == "diagonal"):
        with pytest.raises(ClaimViolated):
            assert_same(pair(change_of(name, family), kind, structure, mapped=False, rank=rank))


@pytest.mark.parametrize(("structure", "kind", "family"), FOREIGN)
@two_problems
def test_a_structure_is_changed_by_other_maps(name: str, structure: str, kind: str, family: str) -> None:
    rank = 4 if structure == "low-rank" else None
    found = pair(change_of(name, family), kind, structure, rank=rank)
    with pytest.raises(ClaimViolated, match="covariance"):
        assert_same(found)
    assert_others(found, evidence=False)


def _blocks(problem: Problem) -> Tensor:
    result = torch.zeros(problem.num_parameters, problem.num_parameters, dtype=problem.dtype)
    for part, block in zip(block_slices(problem).values(), ggn(problem).blocks().values(), strict=True):
        result[part, part] = block
    return result


MATRICES: dict[str, tuple[Prepared, tuple[str, ...], tuple[str, ...]]] = {
    "kfac": (lambda p: kfac(p, "ggn").dense(), ("kronecker", "affine", "joint-kronecker", "unit-affine"), ()),
    "kfac, separate bias": (lambda p: kfac(p, "ggn", bias="separate").dense(), ("kronecker",), ("affine", "joint-kronecker")),
    "eigen_kfac": (lambda p: eigen_kfac(p, "ggn").dense(), ("orthogonal", "permutation"), ("kronecker", "scaling")),
    "blocks": (_blocks, ("kronecker", "affine", "dense-layers"), ("dense",)),
    "diagonal": (lambda p: ggn(p).diagonal().diag(), ("diagonal", "unit-scaling"), ("orthogonal", "kronecker")),
    "empirical Fisher": (lambda p: empirical_fisher(p).dense(), ("kronecker", "affine", "dense"), ()),
}


@pytest.mark.parametrize("matrix", MATRICES)
@two_problems
def test_a_matrix_with_a_dense_prior_is_unchanged_under_the_maps_it_respects(name: str, matrix: str) -> None:
    """A Kronecker-factored curvature under Kronecker maps, with the prior mapped densely: as far as the theory reaches."""
    curvature, same, others = MATRICES[matrix]
    for family in same:
        assert_same(pair(change_of(name, family), "dense", curvature=curvature))
        with pytest.raises(ClaimViolated):
            assert_same(pair(change_of(name, family), "dense", curvature=curvature, mapped=False))
    for family in others:
        found = pair(change_of(name, family), "dense", curvature=curvature)
        with pytest.raises(ClaimViolated, match="covariance"):
            assert_same(found)
        assert_others(found, evidence=False)


def test_a_kronecker_structure_refuses_the_prior_that_a_kronecker_map_would_need() -> None:
    """T'T delta is not constant in a layer, so that structure "full" must carry it."""
    change = change_of("mlp-tanh-softmax", "kronecker")
    mapped = 0.7 * change.jacobian.T @ change.jacobian
    with pytest.raises(UnsupportedError, match="structure 'full'"):
        laplace(change.problem, structure="kronecker", prior=mapped)
    found = pair(change, "isotropic", curvature=lambda p: kfac(p, "ggn").dense())
    assert_same(found)
    isotropic = laplace(change.problem, structure="kronecker", prior=GaussianPrior(0.7, found.there.prior.mean))
    assert_others(Pair(change, found.here, isotropic))


# --- nonlinear maps, and sampled networks -------------------------------------------------------


@pytest.mark.parametrize("family", NONLINEAR)
@two_problems
def test_the_linearised_predictive_does_not_see_nonlinear_maps_but_the_hessian_does(name: str, family: str) -> None:
    """The GGN is a tensor at every point; the Hessian only where the gradient vanishes."""
    change = change_of(name, family)
    assert_same(pair(change, "dense"))
    assert_others(pair(change, "dense", mapped=False))
    strong = 100 * torch.eye(change.original.num_parameters, dtype=torch.float64)
    posteriors = [
        laplace(problem, hessian(problem).dense(), prior=prior)
        for problem, prior in (
            (change.original, strong),
            (change.problem, change.jacobian.T @ strong @ change.jacobian),
        )
    ]
    found = Pair(change, *posteriors)
    assert_apart(joint_covariance(found.there, found.inputs), joint_covariance(found.here, found.inputs), "Hessian", least=1e-4)


DRAWS = 20_000


@pytest.mark.parametrize("family", ["kronecker", "dense", *NONLINEAR])
@two_problems
def test_sampled_networks_are_the_same_under_linear_maps_alone(name: str, family: str) -> None:
    """Draw by draw, with the draws of phi mapped by the tangent; and, for nonlinear maps, in their moments."""
    change = change_of(name, family)
    found = pair(change, "dense")
    samples = found.there.sample(DRAWS if not change.linear else 8, generator("mapped", name, family))
    mapped = found.here.mean + (samples - found.there.mean) @ change.jacobian.T
    few, few_mapped = samples[:8], mapped[:8]
    linearised = linearized_outputs(found.here, found.inputs, few_mapped)
    assert_close(
        linearized_outputs(found.there, found.inputs, few),
        linearised,
        "linearised",
        condition=found.condition,
        size=len(found.here.mean),
    )
    there, here = outputs_at(found.there.problem, samples, found.inputs), outputs_at(found.here.problem, mapped, found.inputs)
    if change.linear:
        assert_close(there, here, "sampled", condition=found.condition, size=len(found.here.mean))
        assert_apart(here.reshape(linearised.shape), linearised, "the sampled network is not linear")
        return
    assert_apart(there, here, "sampled")
    centre, width = here.mean(0), here.std(0)
    differences = []
    for power in (1, 2):  # of bounded numbers, as the outputs themselves may have no moments
        one, other = (((outputs - centre) / width).tanh().flatten(1) ** power for outputs in (there, here))
        error = ((one.var(0) + other.var(0)) / DRAWS).sqrt()
        differences.append((one.mean(0) - other.mean(0)).abs() / error)
    assert float(torch.stack(differences).max()) > 6  # standard errors


def test_coordinates_are_those_of_one_and_the_same_problem() -> None:
    """The comparison itself: another seed of the map changes nothing, another problem does."""
    change, other = made("mlp-tanh-softmax", "kronecker", seed=2), original("mlp-tanh-softmax")
    found = pair(change, "dense")
    assert_same(found)
    moved = laplace(other.at(1.1 * other.vector), prior=found.here.prior.precision)
    with pytest.raises(ClaimViolated, match="mean"):
        assert_same(Pair(change, moved, found.there))

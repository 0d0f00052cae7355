# ruff: noqa: RUF001 - the quotations keep the symbols of the course
"""Sections 9 and 10 of the course: Shampoo, AdaHessian, evolution strategies and variational inference."""

from fishergauge.reports.course.measured_developments import (
    adahessian,
    coordinate_ascent,
    evidence_bound,
    evolution_strategy,
    first_step_of_shampoo,
)
from fishergauge.reports.course.statement import Statement

STATEMENTS = (
    Statement(
        section=9,
        name="shampoo",
        quote="P_L = (∑ G G^T)^{-1/4} [...] P_R = (∑ G^T G)^{-1/4} [...] W ← W - α P_L G P_R",
        claim="Shampoo's formulas define a step; the first one is the orthogonal factor of the gradient.",
        measure=first_step_of_shampoo,
        written=("square",),
        shown="square gradient of full rank, first step against U V' of its singular value decomposition: {square:.0e}",
        should="gradient of 3 x 5: share of infinite eigenvalues of P_R {wide:.2g}; exponent -1/2 {half:.2g}",
        reason=("The paper adds epsilon I before the root. Without it a sum that lacks rank has no power -1/4."),
        elsewhere=("wide",),
        control=("half",),
        condition="the sums have full rank, or epsilon I is added",
    ),
    Statement(
        section=9,
        name="adahessian",
        quote="v_t = β v_{t-1} + (1-β) ⊙ diag(H_t) [...] θ_{t+1} = θ_t - α/√(v_t + ε) ⊙ ∇L_t",
        claim="The formulas precondition by the diagonal of the Hessian.",
        measure=adahessian,
        written=("step", "undefined"),
        shown=(
            "quadratic with curvatures 100, 1, 0.01: sine of the angle to Newton's step {step:.2g}; at a saddle "
            "{undefined:.2g} of the coordinates have the root of a negative number"
        ),
        should=(
            "with the square of the diagonal in v, as in the paper {paper:.0e}; the diagonal by all sign vectors "
            "{hutchinson:.0e}"
        ),
        reason=(
            "The paper averages the square of the diagonal, whose root is its modulus. The root of the diagonal itself "
            "has other units."
        ),
        premises=("paper", "hutchinson"),
    ),
    Statement(
        section=9,
        name="evolution-strategies",
        quote="Use Fisher matrix of search distribution [...] Natural gradient update of distribution parameters",
        claim=(
            "With the Fisher of the search distribution the update does not depend on linear coordinates of the search space."
        ),
        measure=evolution_strategy,
        written=("natural",),
        shown="Gaussian search, expected quadratic, mean and covariance: deviation under a linear map {natural:.0e}",
        should="plain gradient {plain:.2g}",
        reason=(
            "A map of the search space acts on the parameters of the distribution as a change of coordinates; the update "
            "of the covariance is S A S."
        ),
        control=("plain",),
        premises=("closed",),
    ),
    Statement(
        section=10,
        name="variational-objective",
        quote="Variational objective: L(θ) = E_{q(z|θ)}[log p(x,z) - log q(z|θ)]",
        claim="Steps along L bring q nearer to the posterior.",
        measure=evidence_bound,
        written=("identity", "maximised"),
        shown=(
            "Gaussian model: log p(x) - L against the KL divergence {identity:.0e}; its increase by a natural-gradient "
            "ascent step {maximised:.2g}"
        ),
        should="by the update of section 2, which descends: {minimised:.2g}",
        reason="L bounds the evidence from below and is maximised; everywhere else in the course L is minimised.",
        elsewhere=("minimised",),
        condition="L is maximised",
    ),
    Statement(
        section=10,
        name="coordinate-ascent",
        quote="Often leads to coordinate ascent updates",
        claim="A natural-gradient step of a factor is its coordinate-ascent update.",
        measure=coordinate_ascent,
        written=("conjugate",),
        shown="mean field of a Gaussian, step of length one, one factor after the other: {conjugate:.0e}",
        should="both factors at once {together:.2g}; logistic likelihood {logistic:.2g}",
        reason="In the conjugate case the step of length one lands on the optimum of the factor, given the others.",
        elsewhere=("together", "logistic"),
        condition="the model is conditionally conjugate and factors take turns, at length one",
    ),
)

# ruff: noqa: RUF001 - the quotations keep the symbols of the course
"""Section 3 of the course: natural gradients of linear and logistic regression and of Gaussians."""

from fishergauge.reports.course.measured_models import (
    gaussian_covariance,
    gaussian_mean,
    linear_regression,
    logistic_regression,
)
from fishergauge.reports.course.statement import Statement

STATEMENTS = (
    Statement(
        section=3,
        name="linear-fisher",
        quote="F(θ) = (1/σ²)E[xxᵀ] = (1/σ²)XᵀX/n",
        claim="The Fisher of linear regression is X'X / (sigma^2 n).",
        measure=linear_regression,
        written=("fisher",),
        shown="mean over the samples, labels by two nodes: deviation {fisher:.0e}",
        should="against E[x x'] of the distribution that the 50 inputs came from {population:.2g}",
        reason=(
            "The second equality holds if E is the mean over the given inputs; X'X/n only estimates the moment of the "
            "population."
        ),
        elsewhere=("population",),
        condition="the expectation is taken over the n given inputs",
    ),
    Statement(
        section=3,
        name="linear-step",
        quote="Natural gradient: Δθ = -(XᵀX)⁻¹Xᵀ(Xθ - y)",
        claim="The natural-gradient step of linear regression is -(X'X)^-1 X'(X theta - y).",
        measure=linear_regression,
        written=("step",),
        shown="mean negative log-likelihood and its Fisher: deviation {step:.0e}",
        should=(
            "the same Fisher with the summed loss {summed:.3g} (factor n = 50), with the mean squared error {squared:.2g} "
            "(factor 2 sigma^2)"
        ),
        reason="sigma^2 and n cancel only if the loss carries the same 1/(2 sigma^2 n) as the Fisher of section 3.",
        elsewhere=("summed", "squared"),
        condition="the loss is the mean negative log-likelihood, in the scale of F",
    ),
    Statement(
        section=3,
        name="newton-update",
        quote="This is exactly the Newton method update!",
        claim="The step -(X'X)^-1 X'(X theta - y) is Newton's, and ends in the minimum.",
        measure=linear_regression,
        written=("newton", "left"),
        shown="against H^-1 g of the summed and the mean loss {newton:.0e}; gradient left after the step {left:.0e}",
        should="the step with the empirical Fisher {empirical:.2g}",
        reason="H is X'X in the scale of the loss. The gradient has the same, which cancels whatever the loss divides by.",
        control=("empirical",),
    ),
    Statement(
        section=3,
        name="logistic-fisher",
        quote="F(θ) = E[σ(θᵀx)(1-σ(θᵀx))xxᵀ]",
        claim="The Fisher of logistic regression is E[s (1 - s) x x'].",
        measure=logistic_regression,
        written=("fisher",),
        shown="against both labels, weighed by their probability: {fisher:.0e}",
        should="against the observed labels {observed:.2g}",
        reason="The variance of a binary label is s (1 - s).",
        control=("observed",),
    ),
    Statement(
        section=3,
        name="logistic-empirical-fisher",
        quote="Empirical Fisher: F̂(θ) = (1/n)∑ᵢ σ(θᵀxᵢ)(1-σ(θᵀxᵢ))xᵢxᵢᵀ",
        claim="The empirical Fisher of logistic regression is (1/n) sum s (1 - s) x x'.",
        measure=logistic_regression,
        written=("fisher",),
        shown="the true Fisher, averaged over the n inputs, by both labels weighed by their probability: {fisher:.0e}",
        should=(
            "with actual labels, the course's own definition in section 5, {observed:.2g}; other labels change that matrix by "
            "{labels_matter:.2g}"
        ),
        reason="The formula contains no label. What section 5 calls the empirical Fisher is (1/n) sum (s - y)^2 x x'.",
        elsewhere=("observed",),
        condition="empirical means the average over the n inputs, at labels of the model and not at the actual ones",
    ),
    Statement(
        section=3,
        name="gaussian-mean",
        quote="Mean parameter: Natural gradient for μ is standard gradient",
        claim="For the mean of a Gaussian the natural gradient equals the gradient.",
        measure=gaussian_mean,
        written=("identity",),
        shown="covariance I: deviation {identity:.0e}",
        should=(
            "covariance 4 I {fourfold:.2g}; a general one {general:.2g}; equal to the gradient in the natural parameter "
            "up to {dual:.0e}"
        ),
        reason="F is the inverse covariance, so the natural gradient is the covariance times the gradient.",
        elsewhere=("fourfold", "general"),
        condition="the covariance is the identity (a multiple of it keeps the direction)",
        premises=("dual",),
    ),
    Statement(
        section=3,
        name="gaussian-covariance",
        quote="Covariance parameter: More complex due to constraint Σ ≻ 0",
        claim="The constraint makes natural-gradient steps of a covariance S difficult: they can leave the cone.",
        measure=gaussian_covariance,
        written=("long", "quadratic"),
        shown=(
            "share of steps that leave the cone: maximum likelihood, lengths 2 and 3 {long:.2g}; expected quadratic loss, "
            "length 0.5 {quadratic:.2g}; maximum likelihood, lengths up to 1 {unit:.2g}"
        ),
        should=(
            "2 S G S against a solve with the Fisher: {closed:.0e}; against S - sample covariance {maximum_likelihood:.0e}"
        ),
        reason=(
            "The natural gradient is 2 S G S, in closed form. Of the likelihood, the step of length one lands on the sample "
            "covariance, and shorter ones between two points of the cone; other losses have no such length."
        ),
        elsewhere=("unit",),
        condition="the step is longer than one, or the loss is no likelihood of samples",
        bound="none",
        apart=True,
        premises=("closed", "maximum_likelihood"),
    ),
)

# ruff: noqa: RUF001 - the quotations keep the symbols of the course
"""Sections 7 and 8 of the course: estimates of the Fisher, many workers, reinforcement learning, and solving."""

from fishergauge.reports.course.measured_methods import (
    estimates,
    natural_policy_gradient,
    policy_trust_region,
    solving,
    with_and_without_sampling,
    workers,
)
from fishergauge.reports.course.statement import Statement

STATEMENTS = (
    Statement(
        section=7,
        name="running-average",
        quote="Running averages: F_k = βF_{k-1} + (1-β)F̂_k",
        claim="A running average estimates the Fisher.",
        measure=estimates,
        written=("late",),
        shown="a constant Fisher, beta 0.95, from zero: deviation after 1000 steps {late:.0e}",
        should="after the first step {first:.2g}, after ten {tenth:.2g}; divided by 1 - beta^k {corrected:.0e}",
        reason=(
            "Started from zero the average holds only 1 - beta^k of the matrix, so that the first steps are too long by "
            "its inverse."
        ),
        elsewhere=("first", "tenth"),
        condition="it is started from the first estimate, or divided by 1 - beta^k",
        premises=("corrected",),
    ),
    Statement(
        section=7,
        name="variance-reduction",
        quote="Variance reduction: Combine with SVRG-style techniques",
        claim="An anchor reduces the variance of the estimated Fisher.",
        measure=estimates,
        written=("bias", "near"),
        shown="batches of one sample: bias {bias:.0e}; variance over the plain one, anchor near {near_ratio:.2g}",
        should=(
            "anchor at zero, where the outputs are not confident: {far_ratio:.2g}; {indefinite:.2g} of the estimates have a "
            "negative eigenvalue"
        ),
        reason="The estimate is a difference of matrices: without bias, but not positive semi-definite.",
        elsewhere=("far",),
        condition="the anchor is near",
    ),
    Statement(
        section=7,
        name="aggregation",
        quote="Aggregation: Combine Fisher matrices across workers",
        claim="Averages over workers give the Fisher of all data.",
        measure=workers,
        written=("weighted",),
        shown="7 and 3 samples, weighted by their number: deviation {weighted:.0e}",
        should=(
            "mean of means {mean_of_means:.2g}; averaged inverses {inverses:.2g}; averaged Kronecker products {products:.2g}"
        ),
        reason=(
            "Only what is linear in the samples may be averaged: sums and counts, before any inverse or product of factors."
        ),
        elsewhere=("mean_of_means", "inverses", "products"),
        condition="matrices (not inverses, not products of factors) are weighted by the numbers of samples",
    ),
    Statement(
        section=7,
        name="policy-gradient",
        quote="θ_{k+1} = θ_k + αF⁻¹∇J(θ_k) where F is Fisher matrix of policy distribution",
        claim="With this F, F^-1 grad J is the natural policy gradient: for a tabular policy its advantage.",
        measure=natural_policy_gradient,
        written=("visited",),
        shown="three states, F averaged over discounted visits, pseudo-inverse: deviation from A / (1 - gamma) {visited:.0e}",
        should="F averaged over the states evenly {uniform:.2g}; plain gradient {plain:.2g}",
        reason=(
            "F has no inverse (a state's logits may be shifted), and the course leaves open over which states it is averaged."
        ),
        elsewhere=("uniform",),
        control=("plain",),
        condition="F is averaged over the discounted visits of the policy, and F^-1 is the pseudo-inverse",
    ),
    Statement(
        section=7,
        name="policy-trust-region",
        quote="Approximately solve: max_Δθ ∇J^T Δθ s.t. (1/2)Δθ^T F Δθ ≤ δ",
        claim="A natural gradient of length sqrt(2 delta) solves the problem of TRPO.",
        measure=policy_trust_region,
        written=("step",),
        shown="against 20,000 feasible directions and the constraint: {step:.0e}",
        should=(
            "gradient {gradient:.2g}; radius of section 5, d'Fd = delta^2: {radius_of_section_5:.2g}. KL of a step of "
            "softmax regression over delta: 1 up to {kl_large:.1e} at delta 1e-2, {kl_small:.1e} at 1e-6"
        ),
        reason="The inequality of Cauchy and Schwarz. The two sections measure the radius in different units.",
        control=("gradient", "radius_of_section_5"),
    ),
    Statement(
        section=8,
        name="exact-by-sampling",
        quote="Exact computation [...] Requires sampling from model distribution",
        claim="Without draws from the model the Fisher cannot be had exactly.",
        measure=with_and_without_sampling,
        written=("without",),
        shown="J'HJ, nothing drawn, against all labels enumerated: deviation {without:.0e}",
        should="a hundred labels drawn for each sample {hundred:.2g}",
        reason=(
            "For categorical, Bernoulli and Gaussian outputs the expectation is a finite sum or has a closed form, that of the "
            "GGN. Where it must be sampled the result is not exact."
        ),
        apart=True,
    ),
    Statement(
        section=8,
        name="biased",
        quote="Biased estimator but computationally tractable",
        claim="The empirical Fisher is a biased estimate of the Fisher.",
        measure=with_and_without_sampling,
        written=("elsewhere",),
        shown=(
            "logistic regression, expected over the labels of the true model: bias away from its parameters {elsewhere:.2g}"
        ),
        should="at them {truth:.0e}",
        reason="It is unbiased for labels of the model itself, and biased by the residuals elsewhere.",
        elsewhere=("truth",),
        condition="the parameters are not those that the labels come from",
        apart=True,
    ),
    Statement(
        section=8,
        name="conjugate-gradient",
        quote="Conjugate gradient: Solve F(θ)d = ∇L iteratively",
        claim="Conjugate gradients give the natural gradient from products.",
        measure=solving,
        written=("converged",),
        shown="six parameters, tolerance 1e-10: deviation {converged:.0e}",
        should="after one product {stopped:.2g}",
        reason="Exact after as many products as F has different eigenvalues; earlier for less accuracy.",
        control=("stopped",),
        bound="tolerance",
    ),
    Statement(
        section=8,
        name="low-rank",
        quote="Low-rank approximation: F ≈ UU^T + λI",
        claim="Low rank plus a multiple of the identity reproduces the Fisher.",
        measure=solving,
        written=("damped", "flat"),
        shown=(
            "all {rank:.0f} eigenpairs of a network's F, lambda a tenth of the largest: against F + lambda I {damped:.0e}; "
            "a matrix with all but three eigenvalues equal, lambda their value, U U' the excess of the three: {flat:.0e}"
        ),
        should="the network's Fisher itself {itself:.2g}; with a quarter of the eigenpairs {half:.2g}",
        reason=(
            "The right side is the damped matrix, or a matrix whose remaining eigenvalues are all lambda. Those of a Fisher "
            "are spread over many orders of magnitude."
        ),
        elsewhere=("itself", "half"),
        condition="F + lambda I is meant and U keeps the range of F, or the eigenvalues left out are all lambda",
    ),
)

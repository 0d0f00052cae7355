# ruff: noqa: RUF001 - the quotations keep the symbols of the course
"""Section 5 of the course: empirical Fisher, Gauss-Newton, damping and trust region; with them the numerics of section 8."""

from fishergauge.reports.course.measured_algorithms import empirical_against_true, gauss_newton_scaling, stability, trust_region
from fishergauge.reports.course.statement import Statement

STATEMENTS = (
    Statement(
        section=5,
        name="empirical-fisher",
        quote="Instead of true Fisher matrix, use empirical approximation: F̂(θ) = (1/n)∑ᵢ ∇log p(yᵢ|xᵢ,θ)∇log p(yᵢ|xᵢ,θ)ᵀ",
        claim="The matrix of gradients at actual labels approximates the Fisher.",
        measure=empirical_against_true,
        written=("model",),
        shown="linear regression, expected over labels of the model: deviation {model:.0e}",
        should=(
            "all residuals twice the standard deviation {twofold:.2g} (four times the Fisher); at interpolation, "
            "residuals a thousandth of it, {interpolation:.2g} (nothing is left)"
        ),
        reason="Its size follows the residuals, that of the Fisher does not.",
        elsewhere=("twofold", "interpolation"),
        condition="the labels are distributed as the model says, at these parameters",
    ),
    Statement(
        section=5,
        name="gauss-newton",
        quote="For models with squared loss, use Gauss-Newton approximation: F̂(θ) ≈ JᵀJ",
        claim="The Fisher of a model under squared loss is J'J.",
        measure=gauss_newton_scaling,
        written=("unit",),
        shown="network of unit noise, summed over the samples: deviation {unit:.0e}",
        should=(
            "per sample {mean:.2g}; standard deviation 0.5 {variance:.2g}; torch's squared error without 1/2, summed "
            "{squared_error:.2g} and averaged {mean_squared_error:.2g}; the GGN is 2 J'J up to {ggn:.0e}"
        ),
        reason=(
            "Not an approximation of the Fisher but the Fisher, in one scale out of many: 1/sigma^2, 1/n and the 1/2 of "
            "the loss count. The scale changes the length of a step, not its direction."
        ),
        elsewhere=("mean", "variance", "squared_error", "mean_squared_error"),
        condition="the noise has unit variance and the loss is the sum of halves of squares",
        premises=("ggn",),
    ),
    Statement(
        section=5,
        name="damping",
        quote="Add damping for numerical stability: θ_{k+1} = θ_k - α(F(θ_k) + λI)⁻¹∇L(θ_k)",
        claim="Damping makes the solve stable.",
        measure=stability,
        written=("damped",),
        shown="float32, eigenvalues 1 to 1e-10: error of the solve with lambda = 1e-3 {damped:.1e}",
        should="without {plain:.2g}; the damped step differs from the exact one by {cost:.2g}",
        reason="The condition number falls to 1/lambda. The step becomes another one, and depends on the coordinates.",
        control=("plain",),
    ),
    Statement(
        section=5,
        name="trust-region",
        quote="min_Δθ ∇L(θ)ᵀΔθ + (1/2)ΔθᵀF(θ)Δθ s.t. ΔθᵀF(θ)Δθ ≤ δ²",
        claim="The natural gradient, shortened to the length delta in the metric of F, solves the problem.",
        measure=trust_region,
        written=("natural",),
        shown="four radii, -min(1, delta / |d|_F) d with d = F^-1 g: optimality conditions up to {natural:.0e}",
        should=(
            "with the half of section 7 in the constraint, d'Fd / 2 <= delta^2: {policy_radius:.2g}; the gradient at the same "
            "length {euclidean:.2g}"
        ),
        reason="Objective and constraint share the metric, so that the solution stays on the line of the natural gradient.",
        control=("policy_radius", "euclidean"),
    ),
    Statement(
        section=8,
        name="eigen-clipping",
        quote="Eigen-clipping: Remove small eigenvalues",
        claim="Without its small eigenvalues the matrix can be inverted stably.",
        measure=stability,
        written=("removed_pseudo", "raised"),
        shown="float32, eigenvalues below 1e-3 clipped: pseudo-inverse {removed_pseudo:.1e}, raised to 1e-3 {raised:.1e}",
        should="removed and then inverted {removed_inverse:.2g}",
        reason=(
            "Removed eigenvalues leave a singular matrix. The pseudo-inverse keeps the step out of their directions, "
            "raising them does not."
        ),
        elsewhere=("removed_inverse",),
        condition="the pseudo-inverse is applied, or small eigenvalues are raised",
    ),
)

"""Sections 1 and 2 of the course: statistical manifolds, their metric, and what does not depend on coordinates."""

from fishergauge.reports.course.measured_geometry import (
    change_of_coordinates,
    curvature_from_the_metric,
    forms_of_the_fisher,
    null_directions,
    steepest_directions,
)
from fishergauge.reports.course.statement import Statement

STATEMENTS = (
    Statement(
        section=1,
        name="manifold",
        quote="The space forms a Riemannian manifold",
        claim="The Fisher is a Riemannian metric on every family of distributions.",
        measure=null_directions,
        written=("normal",),
        shown="share of directions of length zero: normal family {normal:.2g}",
        should="mixture of two equal normal components (weight, distance) {mixture:.2g}",
        reason=(
            "A metric is positive definite. Where components of a mixture coincide the weight has no effect, and its "
            "direction no length."
        ),
        elsewhere=("mixture",),
        condition="the family is identifiable and regular at every point",
    ),
    Statement(
        section=1,
        name="two-forms",
        quote="F(θ) = -E[∇²log p(x|θ)] (when regularity conditions hold)",
        claim="Scores and Hessians of the log-density give the same Fisher under regularity conditions.",
        measure=forms_of_the_fisher,
        written=("normal", "poisson", "categorical"),
        shown="deviation: normal {normal:.0e}, Poisson {poisson:.0e}, categorical {categorical:.0e}",
        should=(
            "without the condition, support moving with the parameter: uniform on (0, theta) {uniform:.2g}, shifted "
            "exponential {shifted:.2g}"
        ),
        reason=(
            "The condition is that differentiation and integration may be exchanged; the words name a condition, and it "
            "is needed."
        ),
        control=("uniform", "shifted"),
    ),
    Statement(
        section=1,
        name="positive-definite",
        quote="Positive definiteness: F(θ) ≻ 0 under regularity conditions",
        claim="The Fisher of a regular family is positive definite.",
        measure=null_directions,
        written=("logistic",),
        shown="share of null directions: logistic regression {logistic:.2g}",
        should="softmax regression with all C logits {softmax:.2g}; a network with more parameters than N (C - 1) {wide:.2g}",
        reason=(
            "Smoothness is not enough. F = J'HJ: a common shift of all logits lies in the kernel of H, and the kernel of J in "
            "that of F."
        ),
        elsewhere=("softmax", "wide"),
        condition="no direction leaves all distributions unchanged to first order (for networks: H^1/2 J has full column rank)",
    ),
    Statement(
        section=1,
        name="coordinate-invariance",
        quote="Coordinate invariance: Natural gradients are independent of parameterization",
        claim="The natural gradient is a vector that does not depend on the coordinates.",
        measure=change_of_coordinates,
        written=("natural",),
        shown=(
            "logistic regression, nonlinear map: deviation of F_phi^-1 g_phi from J F^-1 g {natural:.0e}; of the plain "
            "gradient {plain:.2g}"
        ),
        should=(
            "linear map with damping lambda I, a tenth of the mean eigenvalue {damped:.2g}; singular F with the "
            "pseudo-inverse {singular:.2g}"
        ),
        reason=(
            "True of the tangent vector F^-1 g. Damping and pseudo-inverse use the Euclidean metric of the coordinates at hand."
        ),
        elsewhere=("damped", "singular"),
        control=("plain",),
        condition="F is invertible and not damped by a multiple of I",
    ),
    Statement(
        section=1,
        name="curvature",
        quote="Curvature: F(θ) encodes the intrinsic curvature of the statistical manifold",
        claim="The Fisher encodes the intrinsic curvature.",
        measure=curvature_from_the_metric,
        written=("hyperbolic", "sphere"),
        shown=(
            "Gauss curvature by derivatives of F: normal family -1/2 up to {hyperbolic:.0e}, trinomial 1/4 up to {sphere:.0e}"
        ),
        should="two families with the same matrix F at a point differ in curvature by {at_a_point:.2g}",
        reason=(
            "F(theta) is the metric. Curvature is made of its first and second derivatives; the matrix at a point says "
            "nothing of it."
        ),
        elsewhere=("at_a_point",),
        condition="F is known as a function of theta, with two derivatives",
    ),
    Statement(
        section=2,
        name="euclidean-steepest",
        quote="Standard gradient: Steepest descent in Euclidean space",
        claim="No direction of equal Euclidean length decreases the loss faster than the gradient, to first order.",
        measure=steepest_directions,
        written=("euclidean",),
        shown="best of 20,000 directions above the gradient by {euclidean:.0e}",
        should="above the natural gradient by {natural_in_euclid:.2g}",
        reason="By the inequality of Cauchy and Schwarz.",
        control=("natural_in_euclid",),
    ),
    Statement(
        section=2,
        name="fisher-steepest",
        quote="Natural gradient: Steepest descent on the statistical manifold with Fisher metric",
        claim=(
            "No direction of equal length in the Fisher metric decreases the loss faster than the natural gradient, to "
            "first order."
        ),
        measure=steepest_directions,
        written=("natural",),
        shown="best of 20,000 directions above the natural gradient by {natural:.0e}",
        should="above the gradient by {gradient_in_fisher:.2g}",
        reason="The same inequality in the inner product of F.",
        control=("gradient_in_fisher",),
    ),
    Statement(
        section=2,
        name="theorem-2.1",
        quote="Natural gradient updates are invariant under smooth reparameterizations of the model",
        claim="A natural-gradient update leads to the same model in all smooth coordinates.",
        measure=change_of_coordinates,
        written=("affine",),
        shown="update of length 1: affine map {affine:.0e}, smooth map {curved_full:.2g}",
        should=(
            "smooth map at lengths 0.1, 0.01 and 0.001: {curved_tenth:.2g}, {curved_hundredth:.2g}, {curved_thousandth:.2g}: "
            "in the end the deviation, relative to the update, falls in proportion to the length"
        ),
        reason=(
            "A straight step is another curve in other coordinates. Step 4 of the proof, transform back, is exact for "
            "J^-1 and not for h^-1."
        ),
        elsewhere=("curved_full", "curved_tenth", "curved_hundredth", "curved_thousandth"),
        condition="the map is affine, or the step infinitesimal",
    ),
    Statement(
        section=2,
        name="fisher-law",
        quote="Fisher matrix transforms as: F_φ = J⁻ᵀF_θJ⁻¹ where J = ∂h/∂θ",
        claim="In coordinates phi = h(theta) the Fisher is J^-T F J^-1.",
        measure=change_of_coordinates,
        written=("fisher",),
        shown="computed anew in phi: deviation {fisher:.0e}",
        should="with J in the place of its inverse {fisher_inverted:.2g}",
        reason="The chain rule; exact at every point.",
        control=("fisher_inverted",),
    ),
    Statement(
        section=2,
        name="gradient-law",
        quote="Gradient transforms as: ∇L_φ = J⁻ᵀ∇L_θ",
        claim="In coordinates phi = h(theta) the gradient is J^-T g.",
        measure=change_of_coordinates,
        written=("gradient",),
        shown="computed anew in phi: deviation {gradient:.0e}",
        should="transformed as a vector, J g: {gradient_forward:.2g}",
        reason="The gradient is a covector.",
        control=("gradient_forward",),
    ),
    Statement(
        section=2,
        name="natural-gradient-law",
        quote="Natural gradient: F_φ⁻¹∇L_φ = JF_θ⁻¹∇L_θ",
        claim="The natural gradient transforms as a vector.",
        measure=change_of_coordinates,
        written=("natural",),
        shown="computed anew in phi: deviation {natural:.0e}",
        should="singular F with the pseudo-inverse, a linear map {singular:.2g}",
        reason="It follows from both laws where F has an inverse. The pseudo-inverse transforms so for orthogonal J alone.",
        elsewhere=("singular",),
        control=("plain",),
        condition="F is invertible",
    ),
)

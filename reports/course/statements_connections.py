"""Section 6 of the course: Newton's method, Adam and mirror descent."""

from fishergauge.reports.course.measured_connections import (
    expected_hessian,
    mirror_descent,
    second_moments_of_gradients,
    state_of_adam,
)
from fishergauge.reports.course.statement import Statement

STATEMENTS = (
    Statement(
        section=6,
        name="information-equality",
        quote="Under regularity conditions: E[H] = F (Fisher information equality)",
        claim="The expected Hessian of the negative log-likelihood is the Fisher.",
        measure=expected_hessian,
        written=("model_labels",),
        shown="network, labels of the model: deviation {model_labels:.0e}",
        should=(
            "the Hessian at the observed labels {observed_labels:.2g}; for softmax regression it equals F at any labels, "
            "{linear:.0e}"
        ),
        reason="The expectation is over labels of the model at the same parameters. Newton's method uses those of the data.",
        elsewhere=("observed_labels",),
        condition="the expectation is over labels that the model draws",
        premises=("linear",),
    ),
    Statement(
        section=6,
        name="adam-is-diagonal",
        quote="Adam-style adaptation: Diagonal approximation of natural gradient",
        claim="Adam's step has the direction of the natural gradient with the diagonal of the Fisher.",
        measure=second_moments_of_gradients,
        written=("adam",),
        shown=(
            "logistic regression, features of scale 0.3 to 9: sine of the angle between g / sqrt(v) and g / diag F {adam:.2g}"
        ),
        should=(
            "the square root alone {root:.2g}; observed labels alone {labels:.2g}; neither, batches of one sample {no_root:.0e}"
        ),
        reason=(
            "Adam divides by a root, of squares of means over a batch, at observed labels. Each of the three is enough to "
            "turn the step or to scale it."
        ),
        premises=("no_root",),
    ),
    Statement(
        section=6,
        name="adam-second-moments",
        quote="Adam: Uses empirical second moments of gradients",
        claim="Adam keeps a running average of squared gradients.",
        measure=state_of_adam,
        written=("batches",),
        shown="state of torch.optim.Adam after four steps against squares of the gradients of batches {batches:.0e}",
        should="against squares of the gradients of samples {samples:.2g}",
        reason="The gradient is that of the mean over the batch; the second moment of the samples is another quantity.",
        elsewhere=("samples",),
        condition="the gradients meant are means over a batch",
    ),
    Statement(
        section=6,
        name="fisher-diagonal",
        quote="Fisher diagonal ≈ E[g²] in some settings",
        claim="In some settings the expected square of the gradient is the diagonal of the Fisher.",
        measure=second_moments_of_gradients,
        written=("one",),
        shown="one sample a batch, labels of the model, enumerated: deviation {one:.0e}",
        should="two samples a batch, all pairs {two:.2g} (divided by the size of the batch); observed labels {observed:.2g}",
        reason=(
            "The course leaves the settings open; these are they: a batch of one sample, its label drawn from the model. The "
            "mean over B independent samples has a variance B times smaller."
        ),
        control=("two", "observed"),
    ),
    Statement(
        section=6,
        name="mirror-descent",
        quote="Natural gradient can be viewed as mirror descent with entropy regularization: min_θ L(θ) + D_F(θ, θ_k)",
        claim="A natural-gradient step is a step of mirror descent.",
        measure=mirror_descent,
        written=("entropy",),
        shown=(
            "categorical family, step of length 0.5: optimality of mirror descent in the mean, negative entropy, "
            "linearised loss {entropy:.0e}"
        ),
        should=(
            "log-partition in theta, as written: {partition_proximal:.2g} off; linearised {partition_linearised:.2g}, "
            "which is the natural gradient in the mean up to {natural_in_mean:.0e}"
        ),
        reason=(
            "The two are equal in dual coordinates. As written nothing is linearised, which is an implicit step, and "
            "there is no length."
        ),
        elsewhere=("partition_proximal", "partition_linearised"),
        condition="the loss is linearised and the potential lives in the dual of the coordinates of the natural gradient",
        premises=("natural_in_mean", "stationary"),
    ),
    Statement(
        section=6,
        name="entropy-and-log-partition",
        quote="entropy regularization [...] D_F is Bregman divergence induced by log-partition function",
        claim="The divergences of the log-partition function and of the negative entropy are the same.",
        measure=mirror_descent,
        written=("divergence_kl", "divergence_exchanged"),
        shown=(
            "D_A(eta, eta_k) over KL(p_k, p): 1 up to {divergence_kl:.0e}; over D_A*(mu_k, mu): 1 up to "
            "{divergence_exchanged:.0e}"
        ),
        should="over D_A*(mu, mu_k): off by {divergence_same_order:.2g}",
        reason=(
            "The potentials are conjugate, and conjugation exchanges the arguments: one KL divergence is the reverse of "
            "the other."
        ),
        elsewhere=("divergence_same_order",),
        condition="the arguments are exchanged",
    ),
)

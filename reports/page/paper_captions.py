"""What is to be seen on the figures of the experiments."""

CAPTIONS = {
    "e1": (
        "(a) True KL divergence of the published steps against the one asked for (grey line); the KL that is reported "
        "(hollow) is the same small constant at every step. (b) Loss reduction over its leading order. (c) The advantage "
        "of the natural gradient, as published and at equal true KL, with the limit that theory gives for small steps."
    ),
    "e2": (
        "(a) Final accuracy of every run as published; hollow: on the paper's synthetic test set, whose classes have "
        "other centres than the training set's, so that it is near chance. (b) Loss by KL spent and (c) paired gain of "
        "the natural gradient, both with equal true KL a step."
    ),
    "e3": (
        "Deviation between steps in two coordinate systems against the condition number of the map. As published (left) "
        "that of the exact Fisher is rounding along directions that change no probability. Recomputed (middle, right) it "
        "stays below its bound (dashed) in scaled and in rotated coordinates; gradient descent deviates."
    ),
    "e4": (
        "Deviation against the condition number. As published (left) a matrix is transformed with the map, so that "
        "anything would pass: crosses and stars put the identity or noise in its place. Recomputed (middle, right) exact "
        "Fisher, K-FAC and empirical Fisher stay below their bounds (dashed), the diagonal only where the map is a "
        "scaling, SGD never."
    ),
    "vector-field": (
        "Directions of the update (arrows) and published paths for (a) the gradient, (b) the natural gradient, (c) the "
        "empirical Fisher; (d) angles to the direction of the optimum over the grid, (e) distance to it by steps, (f) "
        "distance of the empirical Fisher from the Hessian. With the GGN paths are nearly straight; with the empirical "
        "Fisher they are not."
    ),
    "jacobian": (
        "(a) Times of three published routes to the same matrix, and of ours; (b, c) time against the number of samples "
        "for a line and for a network."
    ),
    "posterior": (
        "(a) The ellipse as published is wider than Bayes' rule (small, in its middle). (b) Both of its axes change the "
        "predictions alike, so neither is a kernel. (c) A model with a real kernel: draws in it are pinned at the data. "
        "(d) With more data the kernel vanishes."
    ),
    "nonlinear": (
        "(a) Field and paths of the ReLU model; on the plateau there is no gradient. (b) Sampled predictions of a Laplace "
        "posterior spread far more than linearised ones. (c) Log loss and (d) coverage by the strength of the prior: the "
        "two agree where the prior is strong."
    ),
    "newton": (
        "(a) The Fisher is not the Hessian of a network on observed labels, but the mean over labels of the model; (b) "
        "angles between the steps, and negative eigenvalues of the Hessian; (c) decrease by one step; (d) Newton's method "
        "is drawn to saddles and plateaus from which the damped natural gradient goes on."
    ),
    "training": (
        "Training loss of K-FAC, SGD with momentum and Adam by epochs (a, d) and by seconds (b, e), test loss by epochs "
        "(c, f). Bold lines are medians over the seeds."
    ),
    "parametrisation": (
        "(a) Training curves in the original and in affine coordinates; (b) deviation between them under linear maps, "
        "with the bound of the natural gradient; (c) under smooth maps, by the length of the steps; (d) with damping."
    ),
    "quality": (
        "Approximations in order of the decrease that they give: error of the matrix (a, b), of the damped step (c), "
        "cosine to the exact step (d), decrease at equal KL (e), and how far a small error of the matrix goes with a good "
        "step (f)."
    ),
    "efficiency": (
        "(a) Operations to form each matrix, (b) operations and (c) time of one damped solve, (d) numbers kept, all "
        "against the number of parameters. Legends give the exponent at the largest sizes, in brackets that of the "
        "formula."
    ),
    "convergence": (
        "Predicted (lines) and measured: (a) steps by condition number, (b) logistic regression, (c) the empirical "
        "Fisher, which diverges where residuals are small, (d) K-FAC on deep linear networks, where the length must fall "
        "with depth."
    ),
    "policy": (
        "(a) Return by environment steps, thin lines are seeds; (b) KL of the update over the radius, before and after "
        "the line search of TRPO; (c) how exact the quadratic KL is; (d) when two trust regions of the course coincide."
    ),
    "course": (
        "Each statement of the course: deviation as it is meant (dots), where its words reach as well (diamonds), and of "
        "wrong variants that must be told apart (crosses). Left of the bound (bar) a statement holds."
    ),
}
"""By the name of the experiment."""

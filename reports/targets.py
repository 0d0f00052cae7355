"""What ``fishergauge reproduce`` can be asked for, in words, without importing anything heavy."""

PAPER = {
    "e1": "efficiency of one step at equal KL divergence",
    "e2": "training at equal KL divergence a step",
    "e3": "invariance of the natural gradient and of SGD",
    "e4": "invariance of approximations of the Fisher",
}
"""Experiments of the paper; they run on the data sets that ``--data`` names."""

GAUSS_NEWTON = {
    "vector-field": "gradient, GGN and empirical Fisher as vector fields of a linear regression",
    "jacobian": "three routes to the Jacobian, and ours, with their times",
    "posterior": "kernel and image of the Laplace posterior of linear models",
    "nonlinear": "a ReLU model of two parameters, sampled against linearised Laplace",
}
"""Experiments with the generalised Gauss-Newton matrix; they bring their own data."""

COURSE = {
    "newton": "Fisher against Hessian along a training run",
    "training": "K-FAC against SGD with momentum and Adam",
    "parametrisation": "invariance of whole training curves",
    "quality": "how good each approximation is: matrix, step, decrease",
    "efficiency": "what each approximation costs, against the number of parameters",
    "convergence": "rates on ill-conditioned problems, predicted and measured",
    "policy": "natural policy gradient and TRPO on CartPole",
    "course": "the statements of a course on natural gradients, one by one",
}
"""Experiments of a course on natural gradients; they bring their own data."""

TARGETS = PAPER | GAUSS_NEWTON | COURSE
"""All of them by name, in the order in which ``all`` runs them."""

NEEDS: dict[str, tuple[str, ...]] = {"policy": ("gymnasium",)}
"""Packages of the extra ``report`` that an experiment needs beyond those of all."""

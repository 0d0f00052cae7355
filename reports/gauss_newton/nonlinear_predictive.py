"""Sampled against linearised Laplace: the published ReLU model, and a network on a real one-dimensional set."""

from typing import Any

import torch
from torch import Tensor

from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.laplace_predictive import linearized_predictive, sampled_predictive
from fishergauge.reports.extras import require
from fishergauge.reports.gauss_newton.evidence_training import network_problem, train
from fishergauge.reports.gauss_newton.log_normal_regression import PRIOR_VARIANCE, Data
from fishergauge.reports.gauss_newton.nonlinear_hessian import hessian_row
from fishergauge.reports.gauss_newton.predictive_scores import gaussian_scores, mixture_scores
from fishergauge.reports.gauss_newton.relu_model import TRUTH, ReluMoments, relu_problem
from fishergauge.suites.seeding import generator

DRAWS = 1000
HELD_OUT = 110
FEATURE = 2  # body mass index
MULTIPLES = (0.1, 1.0, 10.0, 100.0)
STEPS = 60


def relu_record(data: Data, fresh: Data, seed: int) -> dict[str, Any]:
    r"""Both predictive distributions of the ReLU model at its maximum a posteriori.

    Twice: with the posterior of Bayes' rule, and with the published one, which divides the precision by N. The kernel of the
    GGN is real here, and the prior alone limits it: along it the function does not change to first order, but the sampled
    network goes on along the tangent, where :math:`\theta_1 \theta_2` falls by the square of the way.

    Args:
        data: to fit.
        fresh: to test on.
        seed: names the draws.

    Returns:
        A record of one row a posterior, set of data and kind of predictive distribution.
    """
    moments = ReluMoments(data)
    best = torch.tensor(TRUTH, dtype=torch.float64)
    for _ in range(60):  # Newton's method from the truth, to the maximum a posteriori
        hessian = moments.hessian(best) + moments.precision * torch.eye(2, dtype=torch.float64)
        best = best - torch.linalg.solve(hessian, moments.gradient(best))
    problem, alpha = relu_problem(data, best), 1 / PRIOR_VARIANCE
    posterior = laplace(problem, prior=alpha, observation_variance=1.0)
    count = problem.num_samples
    # a precision divided by N is that of one observation of variance N and a prior N times wider
    published = laplace(problem, prior=alpha / count, observation_variance=float(count))
    rows = []
    for name, one in (("Bayes' rule", posterior), ("as published", published)):
        kernel = torch.stack([best[0], -best[1]]) / best.norm()
        deviation = float((kernel @ one.covariance() @ kernel).sqrt())
        draws = one.sample(DRAWS, generator("relu posterior", name, seed))
        dead = float((draws[:, 1] <= 0).double().mean())
        for part, (inputs, targets) in (("training", data), ("test", fresh)):
            rows += [
                {
                    "model": "relu",
                    "posterior": name,
                    "part": part,
                    "seed": seed,
                    "kernel_deviation": deviation,
                    "dead": dead,
                    **row,
                }
                for row in score_rows(one, inputs, targets[:, 0], 1.0, ("relu", name, seed))
            ]
    start = relu_problem(data, torch.tensor([0.5, 1.0], dtype=torch.float64))
    return {"rows": rows, "hessians": [hessian_row(problem, "relu, optimum"), hessian_row(start, "relu, (0.5, 1)")]}


def network_record(seed: int, quick: bool) -> dict[str, Any]:
    """Both predictive distributions of a tanh network on the body mass index of scikit-learn's diabetes data.

    Hyper-parameters by the evidence, and the prior a tenth, ten and a hundred times as strong beside.

    Args:
        seed: of the split, the initial parameters and the draws.
        quick: the prior of the evidence alone.

    Returns:
        A record of one row a prior, part of the data and kind of predictive distribution; curves of the first prior.
    """
    features, labels = require("sklearn.datasets").load_diabetes(return_X_y=True)
    inputs, targets = torch.as_tensor(features[:, FEATURE : FEATURE + 1]), torch.as_tensor(labels)[:, None]
    order = torch.randperm(len(inputs), generator=generator("diabetes split", seed))
    fit, held = order[HELD_OUT:], order[:HELD_OUT]
    inputs, targets = ((t - t[fit].mean(0)) / t[fit].std(0) for t in (inputs, targets))
    start = network_problem(inputs[fit], targets[fit], seed)
    best = train(start, prior=1.0, noise=0.5, iterations=STEPS, adapt=True)
    rows, curves = [], {}
    for multiple in (1.0,) if quick else MULTIPLES:
        found = best if multiple == 1 else train(best.problem, best.prior * multiple, best.noise, STEPS, adapt=False)
        posterior = laplace(found.problem, prior=found.prior, observation_variance=found.noise)
        common = {"model": "network", "prior_multiple": multiple, "seed": seed, "prior": found.prior, "noise": found.noise}
        for part, index in (("training", fit), ("test", held)):
            scored = score_rows(posterior, inputs[index], targets[index][:, 0], found.noise, ("network", multiple, seed))
            rows += [{**common, "part": part, "slope": found.slope, **row} for row in scored]
        if multiple == 1:
            curves = _curves(posterior, inputs[fit], targets[fit], found.noise, seed)
    return {"rows": rows, "curves": curves, "hessians": [hessian_row(best.problem, "network, optimum")]}


def score_rows(
    posterior: LaplacePosterior, inputs: Tensor, targets: Tensor, noise: float, names: tuple[object, ...]
) -> list[dict[str, Any]]:
    """The scores of both predictive distributions on data, and how far the sampled mean is from the fit."""
    linear = linearized_predictive(posterior, inputs)
    functions = sampled_predictive(posterior, inputs, DRAWS, generator("nonlinear", *names))[..., 0]
    fit = linear.mean[:, 0]
    away = float((functions.mean(0) - fit).square().mean().sqrt())
    return [
        {"predictive": "linearised", "away_from_fit": 0.0, **gaussian_scores(fit, linear.variance[:, 0], noise, targets)},
        {"predictive": "sampled", "away_from_fit": away, **mixture_scores(functions, noise, targets)},
    ]


def _curves(posterior: LaplacePosterior, inputs: Tensor, targets: Tensor, noise: float, seed: int) -> dict[str, Any]:
    """Fit and both bands of two standard deviations of the function, for the figure."""
    grid = torch.linspace(float(inputs.min()), float(inputs.max()), 121, dtype=inputs.dtype)[:, None]
    linear = linearized_predictive(posterior, grid)
    functions = sampled_predictive(posterior, grid, DRAWS, generator("nonlinear curves", seed))[..., 0]
    return {
        "x": grid[:, 0].tolist(),
        "fit": linear.mean[:, 0].tolist(),
        "linearised": linear.variance[:, 0].sqrt().tolist(),
        "sampled_mean": functions.mean(0).tolist(),
        "sampled": functions.std(0).tolist(),
        "noise": noise**0.5,
        "inputs": inputs[:, 0].tolist(),
        "targets": targets[:, 0].tolist(),
    }

"""Kernel and image of the GGN under a posterior: what each of them contributes to parameters and predictions."""

from typing import Any

import torch
from torch import Tensor

from fishergauge.reference import output_jacobian
from fishergauge.reference.laplace import LaplacePosterior, laplace
from fishergauge.reference.linear_gaussian import linear_gaussian_map
from fishergauge.reports.gauss_newton.over_parametrised_regression import (
    FEATURES,
    GRID,
    NOISE_DEVIATION,
    PRIOR_PRECISION,
    bump_regression,
    bumps,
)
from fishergauge.suites.closeness import rounding_bound
from fishergauge.suites.seeding import generator

DRAWS = 2000
SHOWN = 20


def split_record(samples: int, seed: int) -> dict[str, Any]:
    r"""The posterior of an over-parametrised linear model, split by the projector Pi on the kernel of its Jacobian.

    .. math:: \theta = \hat\theta + \Pi (\theta - \hat\theta) + (I - \Pi) (\theta - \hat\theta)

    The first part is a reparametrisation of the function on the data: its predictions there do not change. The posterior
    has the prior's variance on it, as no observation speaks of it.

    Args:
        samples: N.
        seed: of data and draws.

    Returns:
        A record of one row, with curves of some draws under ``curves``.

    Reference:
        Roy et al., "Reparameterization invariance in approximate Bayesian inference", NeurIPS 2024, sec. 3.
    """
    start, inputs = bump_regression(samples, seed)
    problem = linear_gaussian_map(start, prior=PRIOR_PRECISION, observation_variance=NOISE_DEVIATION**2)
    posterior = laplace(problem, prior=PRIOR_PRECISION, observation_variance=NOISE_DEVIATION**2)
    jacobian = output_jacobian(problem).flatten(0, 1)
    kernel = kernel_projector(jacobian)
    offsets = posterior.sample(DRAWS, generator("posterior split", samples, seed)) - posterior.mean
    inside, outside = offsets @ kernel, offsets - offsets @ kernel
    elsewhere = bumps(GRID)
    covariance = posterior.covariance()
    row = {
        "samples": samples,
        "seed": seed,
        "kernel_dimension": round(float(kernel.trace())),
        "effective_parameters": effective_parameters(posterior),
        "kernel_share_of_parameters": float((kernel @ covariance).trace() / covariance.trace()),
        "kernel_moves_data": _moved(inside, jacobian, offsets),
        "image_moves_data": _moved(outside, jacobian, offsets),
        "kernel_moves_elsewhere": _moved(inside, elsewhere, offsets),
        "image_moves_elsewhere": _moved(outside, elsewhere, offsets),
        "kernel_variance_deviation": float((covariance @ kernel - kernel / PRIOR_PRECISION).norm() / kernel.norm())
        if bool(kernel.any())
        else 0.0,
        "kernel_moves_data_bound": rounding_bound(jacobian.dtype, FEATURES)
        * float(torch.linalg.matrix_norm(jacobian, 2) * inside.norm() / (offsets @ jacobian.mT).norm()),
        "kernel_variance_bound": rounding_bound(
            jacobian.dtype, FEATURES, float(torch.linalg.cond(posterior.precision.dense()))
        ),
    }
    fitted = elsewhere @ posterior.mean
    curves = {
        "x": GRID.tolist(),
        "fit": fitted.tolist(),
        "inputs": inputs.tolist(),
        "targets": problem.targets[:, 0].tolist(),
        "kernel": (fitted + inside[:SHOWN] @ elsewhere.mT).tolist(),
        "image": (fitted + outside[:SHOWN] @ elsewhere.mT).tolist(),
    }
    return {"rows": [row], "curves": curves}


def kernel_projector(jacobian: Tensor) -> Tensor:
    """The orthogonal projector on the kernel of a Jacobian ``(N, P)``: ``(P, P)``; singular values below P eps are zero."""
    _, values, vectors = torch.linalg.svd(jacobian)
    kept = int((values > len(vectors) * torch.finfo(values.dtype).eps * values[0]).sum())
    still = vectors[kept:]
    projector: Tensor = still.mT @ still
    return projector


def effective_parameters(posterior: LaplacePosterior) -> float:
    r"""The number of parameters that the data determine, :math:`P - \operatorname{tr} \Delta \Sigma` (MacKay 1992, eq. 4.9)."""
    return float((1 - posterior.prior.diagonal * posterior.precision.variance()).sum())


def _moved(part: Tensor, jacobian: Tensor, whole: Tensor) -> float:
    """Root mean square change of predictions by a part of the draws, over that by the whole draws."""
    return float((part @ jacobian.mT).norm() / (whole @ jacobian.mT).norm())

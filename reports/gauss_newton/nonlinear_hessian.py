"""The GGN beside the Hessian of the function and that of its linearisation."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, jacrev

from fishergauge.reference import Problem, ggn, hessian
from fishergauge.suites.closeness import rounding_bound


def linearised_hessian(problem: Problem) -> Tensor:
    r"""The Hessian of the objective with the outputs linearised, by differentiating that function twice: ``(P, P)``.

    .. math:: \nabla^2_{\theta'} \, \text{loss}\big(f(\theta) + J(\theta) (\theta' - \theta), y\big)

    It shares no code with :func:`~fishergauge.reference.ggn`: J comes from ``torch.func``, H is never formed.
    """
    origin = {name: parameter.detach() for name, parameter in problem.parameters.items()}

    def outputs(parameters: dict[str, Tensor]) -> Tensor:
        value: Tensor = functional_call(problem.model, parameters, problem.inputs)
        return value

    value = outputs(origin)
    rows = jacrev(outputs)(origin)
    jacobian = torch.cat([rows[name].reshape(value.numel(), -1) for name in origin], 1)

    def objective(vector: Tensor) -> Tensor:
        moved = value + (jacobian @ (vector - problem.vector)).view_as(value)
        loss: Tensor = problem.loss(moved, problem.targets)
        return loss

    slope: Callable[[Tensor], Tensor] = jacrev(objective)
    matrix: Tensor = jacrev(slope)(problem.vector)
    return matrix


def hessian_row(problem: Problem, where: str) -> dict[str, Any]:
    """How far the GGN is from both Hessians at the parameters of a problem.

    Args:
        problem: anything small.
        where: in words, for the table.

    Returns:
        A row: relative deviation of the GGN from the linearised Hessian with its rounding bound, and distance of the GGN
        from the Hessian over the size of the latter.
    """
    gauss_newton, linearised = ggn(problem).dense(), linearised_hessian(problem)
    full = hessian(problem).dense()
    size = float(linearised.norm())
    return {
        "where": where,
        "parameters": problem.num_parameters,
        "from_linearised": float((gauss_newton - linearised).norm()) / size,
        "bound": rounding_bound(problem.dtype, problem.num_samples),
        "from_hessian": float((gauss_newton - full).norm() / full.norm()),
        "negative_eigenvalues": int((torch.linalg.eigvalsh(full) < -1e-10 * full.norm()).sum()),
    }

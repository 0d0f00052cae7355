"""What theory says about an approximation under a change of coordinates."""

from dataclasses import dataclass, replace

from torch import Tensor

from fishergauge.reference import Reparametrization
from fishergauge.reference.gaussian import Gaussian
from fishergauge.reference.likelihood import Likelihood
from fishergauge.suites.spectrum.approximation import Approximation
from fishergauge.suites.spectrum.groups import GROUPS, contains
from fishergauge.suites.spectrum.row import Predicted

VISIBLE = 1e-6  # relative: from here on a direction of the kernel moves the outputs, or is mixed with the range


@dataclass(frozen=True)
class Prediction:
    """Whether a step does not depend on the coordinates, and why.

    Args:
        predicted: of the limit of small steps.
        source: the theorem.
        doubtful: whether rounding of the kernel could hide that it is mixed with the range: the step may move, then.
    """

    predicted: Predicted
    source: str
    doubtful: bool = False


def predict(approximation: Approximation, change: Reparametrization, metric: bool = False) -> Prediction:
    """The prediction for a matrix whose kernel plays no role.

    Args:
        approximation: with its groups.
        change: whose DT decides; that T is not linear makes the statement one of first order.
        metric: whether the matrix is damped by lambda I, which only maps that keep lengths leave alone.

    Returns:
        The prediction.
    """
    groups = [approximation.group] if approximation.group else []
    if approximation.exact_group and exact_blocks(change):
        groups.append(approximation.exact_group)
    if not groups:
        return Prediction("unknown", "")
    found = next((group for group in groups if contains(group, change)), None)
    if found is None:
        return Prediction("not invariant", f"outside the group: {GROUPS[groups[-1]].statement}")
    if not change.linear and not approximation.tensorial:
        return Prediction(
            "not invariant", "the second derivative of T enters away from a stationary point: Martens 2020, sec. 12"
        )
    if metric and not contains(found, change, metric=True):
        return Prediction("not invariant", "lambda I is another metric in other coordinates")
    source = GROUPS[found].source if found == approximation.group else f"T8: the blocks are exact; {GROUPS[found].source}"
    return Prediction("invariant" if change.linear else "first order", source)


def exact_blocks(change: Reparametrization) -> bool:
    """Whether a Kronecker factorisation equals the blocks of the Fisher, in both coordinates (T8)."""
    return all(
        problem.facts.deep_linear and not problem.facts.weight_sharing and is_squared(problem.likelihood)
        for problem in (change.original, change.problem)
    )


def is_squared(likelihood: Likelihood) -> bool:
    """Whether the loss is the squared error."""
    return isinstance(likelihood, Gaussian)


def through_kernel(
    prediction: Prediction, kernel: Tensor, change: Reparametrization, outputs: Tensor | None, noise: float = 0.0
) -> Prediction:
    r"""The prediction for the pseudo-inverse of a singular matrix.

    If M is covariant and g in its range, as it is for an exact and an empirical Fisher, the step in the new coordinates,
    pushed back, is the :math:`s' = T T' y` with y in the range of M and :math:`M s' = -g`. It differs from :math:`s = -M^+
    g` by an element of the kernel. With an orthonormal basis Z of the kernel,

    .. math:: s' - s = Z Z' T T' (I - Z Z') \, y.

    Seen through R, this is zero for every such gradient if and only if :math:`R Z \cdot Z' T T' (I - Z Z') = 0`: the map
    does not mix kernel and range (in the parameters, R = I), or what it mixes into the kernel is not seen (in the outputs,
    where the kernel of M lies in that of J).

    Args:
        prediction: without regard to the kernel.
        kernel: Z, in the original coordinates, ``(P, k)``.
        change: of coordinates.
        outputs: R through which steps are compared; None for the parameters themselves.
        noise: how far the computed kernel may be off, relative.

    Returns:
        The same, or ``not invariant``; doubtful where only ``noise`` lets what is mixed in pass for zero.
    """
    if prediction.predicted not in ("invariant", "first order") or kernel.shape[1] == 0:
        return prediction
    mapped = change.jacobian @ (change.jacobian.T @ kernel)  # its transpose is Z' T T'
    mixed = mapped - kernel @ (kernel.T @ mapped)
    seen = kernel if outputs is None else outputs @ kernel
    size = float(mapped.norm()) * (1.0 if outputs is None else float(outputs.norm()))
    moved = float((seen @ mixed.T).norm())
    if moved <= max(VISIBLE, noise) * size:
        return replace(prediction, doubtful=moved > VISIBLE * size)
    return Prediction("not invariant", "T T' mixes the kernel of the matrix with its range")

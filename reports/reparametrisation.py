"""Linear changes of coordinates of a model that is linear in features, with a given condition number."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FAMILIES = ("scaling", "rotated")


@dataclass(frozen=True, eq=False)
class Reparametrisation:
    r"""The same function in other coordinates: :math:`f(x) = W x = \Phi z` with :math:`z = T x` and :math:`\Phi = W T^{-1}`.

    Args:
        family: one of :data:`FAMILIES`.
        kappa: condition number of T.
        forward: T, ``(D, D)``.
        inverse: its inverse.
    """

    family: str
    kappa: float
    forward: Tensor
    inverse: Tensor

    def features(self, inputs: Tensor) -> Tensor:
        """The features z of inputs ``(N, D)``."""
        return inputs @ self.forward.T

    def weight(self, weight: Tensor) -> Tensor:
        """The new parameters Phi of the function with the weight W, ``(C, D)``."""
        return weight @ self.inverse

    def push_back(self, step: Tensor) -> Tensor:
        """What a change of Phi, ``(C, D)``, changes W by."""
        return step @ self.forward


def reparametrisation(family: str, kappa: float, num_features: int, device: str = "cpu") -> Reparametrisation:
    r"""A change of coordinates with condition number kappa.

    .. math::
        T = \mathrm{diag}(\sqrt\kappa, \dots, \sqrt\kappa, 1/\sqrt\kappa, \dots, 1/\sqrt\kappa)
        \quad\text{(scaling), or}\quad Q \, \mathrm{diag}(\dots) \, Q' \quad\text{(rotated)}

    with a fixed random orthogonal Q. The scaling is the paper's; every diagonal approximation is invariant to
    it by construction, hence the second family.

    Args:
        family: ``"scaling"`` or ``"rotated"``.
        kappa: at least 1.
        num_features: D.
        device: where it lives.

    Returns:
        The map; exactly the identity for kappa = 1.

    Raises:
        ValueError: there is no such family, or kappa is below 1.

    Example:
        >>> reparametrisation("scaling", 4.0, 2).forward.diagonal()
        tensor([2.0000, 0.5000], dtype=torch.float64)
    """
    if family not in FAMILIES:
        raise ValueError(f"there is no family {family!r}; choose from {', '.join(FAMILIES)}")
    if not kappa >= 1:
        raise ValueError(f"a condition number is at least 1, not {kappa}")
    scales = torch.full((num_features,), 1 / math.sqrt(kappa), dtype=torch.float64)
    scales[: num_features // 2] = math.sqrt(kappa)
    q = torch.eye(num_features, dtype=torch.float64)
    if family == "rotated" and kappa > 1:
        generator = torch.Generator().manual_seed(7)
        q, _ = torch.linalg.qr(torch.randn(num_features, num_features, dtype=torch.float64, generator=generator))
    return Reparametrisation(family, kappa, ((q * scales) @ q.T).to(device), ((q / scales) @ q.T).to(device))

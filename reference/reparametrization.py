"""Families of changes of coordinates theta = T(phi), applied to the model, so that any curvature can be computed anew."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from fishergauge.reference import layer_families as layers
from fishergauge.reference import vector_families as vectors
from fishergauge.reference.coordinates import CoordinateMap, Recast
from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.problem import Problem
from fishergauge.reference.random_maps import conditioned

LOST = 1e-4  # u kappa from which rounding forbids to tell one function from another
MILD = 2.0  # a condition number at which it does not


@dataclass(frozen=True, eq=False)
class Reparametrization:
    r"""A problem in other coordinates, :math:`\theta = T(\varphi)`: the same function, loss and data.

    Args:
        family: one of :data:`FAMILIES`.
        kappa: the condition number that was asked for; one for families that have none.
        original: the problem at theta.
        problem: the problem at phi.
        jacobian: DT at phi, ``(P, P)`` in float64; T itself for a linear map.
        coordinates: T in float64 for a nonlinear map; None for a linear one.
    """

    family: str
    kappa: float
    original: Problem
    problem: Problem
    jacobian: Tensor
    coordinates: CoordinateMap | None = None

    @property
    def linear(self) -> bool:
        """Whether T is linear."""
        return self.coordinates is None

    @property
    def condition(self) -> float:
        """The condition number of DT, as :func:`reparametrized` describes it."""
        return float(torch.linalg.cond(self.jacobian))

    def push_back(self, step: Tensor, length: float | None = None) -> Tensor:
        r"""What a change of phi changes theta by.

        .. math:: DT \, s, \quad\text{or, with a length,}\quad (T(\varphi + \varepsilon s) - T(\varphi)) / \varepsilon

        Args:
            step: s, ``(P,)``.
            length: epsilon; None for the limit of small ones. For a linear map both are the same.

        Returns:
            ``(P,)`` in float64.

        Raises:
            ProblemError: the step has another shape, or the length is zero or not finite.
        """
        if step.shape != (len(self.jacobian),):
            raise ProblemError(f"expected a step of shape ({len(self.jacobian)},), got {tuple(step.shape)}")
        if length is not None and (length == 0 or not math.isfinite(length)):
            raise ProblemError(f"a length is finite and not zero, not {length}; None stands for the limit of small ones")
        s = step.double()
        if self.coordinates is None or length is None:
            return self.jacobian @ s
        phi = self.problem.vector.double()
        change: Tensor = (self.coordinates(phi + length * s) - self.coordinates(phi)) / length
        return change


def reparametrized(problem: Problem, family: str, kappa: float = 10.0, seed: int = 0) -> Reparametrization:
    r"""A problem in coordinates of a family, drawn from a seed.

    Layer-wise families put fixed linear modules before and after the trained one (:mod:`~fishergauge.reference.layer_maps`);
    the others evaluate the model at T(phi) by a functional call (:mod:`~fishergauge.reference.coordinates`). Parameters that
    belong to no mapped layer keep their coordinates.

    The singular values of the matrices drawn lie between :math:`\sqrt\kappa` and :math:`1/\sqrt\kappa`, so that DT has the
    condition number kappa; less only where all matrices of the largest or smallest singular value are of size one. Shifts,
    which have no such bound, come on top in the families ``unit-affine``, ``inputs-affine``, ``hidden-affine`` and ``affine``:
    there DT is worse conditioned than kappa, and :attr:`Reparametrization.condition` says by how much.

    Args:
        problem: at parameters theta.
        family: one of :data:`FAMILIES`.
        kappa: condition number of the map, at least one; families without one ignore it.
        seed: of the map. The singular vectors, and the shifts, do not depend on kappa.

    Returns:
        The reparametrization.

    Raises:
        ProblemError: there is no such family, or kappa is below one, not finite, or beyond the precision of the problem.
        UnsupportedError: the family has no map for this model; the message says why.

    Example:
        >>> problem = Problem(torch.nn.Linear(2, 1, bias=False), torch.nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> reparametrized(problem, "scaling", kappa=4.0).jacobian.diagonal()
        tensor([2.0000, 0.5000], dtype=torch.float64)

    Reference:
        Amari, Neural Computation 10 (1998); Martens, JMLR 21 (2020), sec. 12.
    """
    if family not in FAMILIES:
        raise ProblemError(f"there is no family {family!r}; choose from {', '.join(FAMILIES)}")
    if not 1 <= kappa < math.inf:
        raise ProblemError(f"a condition number is at least 1 and finite, not {kappa}")
    chosen = FAMILIES[family]
    kappa = kappa if chosen.conditioned else 1.0
    made = chosen.build(problem, kappa, torch.Generator().manual_seed(seed))
    if not bool(made.problem.vector.isfinite().all()):
        raise ProblemError(f"at kappa = {kappa:.1e} the parameters are not finite in {problem.dtype}; choose a smaller one")
    if kappa <= MILD or torch.finfo(problem.dtype).eps * kappa <= LOST:
        _require_same_function(problem, made, family, kappa)
    else:
        reparametrized(problem, family, MILD, seed)  # refuses what a comparison here would not see
    return Reparametrization(family, kappa, problem, *made)


def _require_same_function(problem: Problem, made: Recast, family: str, kappa: float) -> None:
    """Refuse a model whose parameters act by ways that the map does not reach.

    Compared are the outputs, and the gradient of a combination of them: g_phi = DT' g_theta.
    """
    eps = torch.finfo(problem.dtype).eps
    tolerance = eps**0.5 + 1e3 * eps * kappa
    here, slope = _with_gradient(problem)
    there, mapped = _with_gradient(made.problem)
    expected = made.jacobian.T @ slope
    size = made.jacobian.abs()
    reach = math.sqrt(float(size.sum(0).max() * size.sum(1).max())) * float(slope.norm())  # at least |DT| |g_theta|
    same = bool(((here - there).abs() <= tolerance * (1 + here.abs().max())).all())
    if not same or not float((mapped - expected).norm()) <= tolerance * reach:
        what = "the gradient" if same else "the outputs"
        raise UnsupportedError(
            f"the model in coordinates of the family {family!r} is another function: {what} differ{'s' if same else ''} beyond "
            "rounding. It uses a layer otherwise than by calling it, or a parameter in places that named_parameters does not "
            "show; call the layers as modules"
        )


def _with_gradient(problem: Problem) -> tuple[Tensor, Tensor]:
    """The outputs, and the gradient ``(P,)`` of their sum with weights of both signs, in float64."""
    with torch.enable_grad(), differentiable_attention():
        outputs = problem.model(problem.inputs)
        weights = torch.arange(outputs.numel(), device=outputs.device).to(outputs.dtype).cos()
        combined = (outputs * weights.view_as(outputs)).sum()
        parameters = list(problem.parameters.values())
        gradients = torch.autograd.grad(combined, parameters, allow_unused=True, materialize_grads=True)
    return outputs.detach().double(), torch.cat([g.reshape(-1) for g in gradients]).double()


@dataclass(frozen=True)
class Family:
    """A family of maps.

    Args:
        statement: what the maps are, in a line.
        build: draws a map: ``(problem, kappa, generator)`` to a problem in other coordinates.
        conditioned: whether it has a condition number to choose.
        layerwise: whether the maps are fixed modules, so that layers remain layers.
        linear: whether they are linear.
    """

    statement: str
    build: Callable[[Problem, float, torch.Generator], Recast]
    conditioned: bool = True
    layerwise: bool = True
    linear: bool = True


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "permutation": Family(
            "inputs and units of every layer in another order", layers.everywhere(layers.permuted, False), conditioned=False
        ),
        "scalar": Family("theta = 3 phi in every layer", layers.scalar, conditioned=False),
        "orthogonal": Family(
            "orthogonal maps of inputs and units of every layer", layers.everywhere(layers.rotated, False), conditioned=False
        ),
        "scaling": Family("a scale for each input feature, the map of the paper", layers.feature_scaling),
        "diagonal": Family("a scale for each parameter", vectors.diagonal, layerwise=False),
        "unit-scaling": Family("scales of the inputs and of the units of every layer", layers.everywhere(layers.scaled, False)),
        "unit-affine": Family("the same, and shifts of the inputs", layers.everywhere(layers.scaled, True)),
        "inputs-linear": Family("linear maps of the inputs", layers.of_activations(layers.entering, False)),
        "inputs-affine": Family("affine maps of the inputs", layers.of_activations(layers.entering, True)),
        "hidden-affine": Family("affine maps of the hidden activations", layers.of_activations(layers.hidden, True)),
        "pre-activations": Family("linear maps of the pre-activations of every layer", layers.pre_activations),
        "kronecker": Family(
            "linear maps of activations and pre-activations of every layer", layers.everywhere(conditioned, False)
        ),
        "affine": Family("the same, and shifts of the activations", layers.everywhere(conditioned, True)),
        "joint-kronecker": Family(
            "linear maps of pre-activations, and of activations joined with the bias", layers.joint_kronecker
        ),
        "dense-layers": Family("a dense map within each layer", vectors.dense_layers, layerwise=False),
        "dense": Family("a dense map of all parameters", vectors.dense, layerwise=False),
        "sinh": Family("theta = c + sinh phi", vectors.elementwise("sinh"), conditioned=False, layerwise=False, linear=False),
        "exp": Family("theta = c + exp phi", vectors.elementwise("exp"), conditioned=False, layerwise=False, linear=False),
        "spherical": Family(
            "spherical coordinates of parameters, three at a time",
            vectors.spherical,
            conditioned=False,
            layerwise=False,
            linear=False,
        ),
    }
)
"""The families by name, from the smallest groups to the largest."""

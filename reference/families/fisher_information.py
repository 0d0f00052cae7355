"""The Fisher of any torch distribution, by four routes: enumeration, draws, divergence and log-normaliser."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.distributions import Distribution, kl_divergence
from torch.distributions.exp_family import ExponentialFamily
from torch.func import grad, vjp, vmap

from fishergauge.reference.errors import ProblemError, UndefinedError, UnsupportedError
from fishergauge.reference.families.draws import drawn
from fishergauge.reference.families.pushforward import coordinate_derivatives

Family = Callable[[Tensor], Distribution]
METHODS = ("enumeration", "sampling", "divergence", "log-normaliser")


def fisher_information(
    distribution_of: Family,
    parameters: Tensor,
    method: str = "divergence",
    *,
    draws: int = 10_000,
    generator: torch.Generator | None = None,
    support: Tensor | None = None,
) -> Tensor:
    r"""The Fisher of a parametric family at given parameters.

    .. math:: F = E[\nabla \log p(x; \theta) \, \nabla \log p(x; \theta)']

    - ``"enumeration"``: the sum over a finite support, or over ``support``.
    - ``"sampling"``: the mean over draws; unbiased.
    - ``"divergence"``: the Hessian of :math:`KL(p_\theta \| p_\phi)` in phi at theta.
    - ``"log-normaliser"``: :math:`J' \nabla^2 A(\eta) J` with natural parameters eta and :math:`J = d\eta/d\theta`, for
      the subclasses of ``torch.distributions.ExponentialFamily``.

    Members of a batch are independent observations: their Fishers are added.

    Args:
        distribution_of: builds the distribution from a vector of parameters, differentiably.
        parameters: theta, ``(P,)``.
        method: one of the four.
        draws: S, for sampling.
        generator: source of the draws; no global generator is touched.
        support: values to enumerate, ``(K, ...)``, each of which fits ``log_prob``; a truncation of an infinite support
            is accepted where what is left out weighs less than the root of the unit round-off.

    Returns:
        ``(P, P)``, symmetric.

    Raises:
        UndefinedError: the support moves with the parameters, so that the family is not regular.
        UnsupportedError: this route does not exist for this family; or the divergence of torch is not smooth, or not that
            of the family (Laplace in its location; Weibull, whose transform is compared by value).
        ProblemError: an argument is missing or makes no sense.

    Example:
        >>> from torch.distributions import Bernoulli
        >>> fisher_information(lambda p: Bernoulli(p), torch.tensor([0.5]), "enumeration")
        tensor([[4.]])

    Reference:
        Amari and Nagaoka, "Methods of information geometry" (2000), secs. 2.2 and 3.2.
    """
    if parameters.ndim != 1:
        raise ProblemError(f"expected a vector of parameters, got shape {tuple(parameters.shape)}")
    _require_fixed_support(distribution_of, parameters)
    parameters = parameters.detach()
    if method == "enumeration":
        return _by_enumeration(distribution_of, parameters, support)
    if method == "sampling":
        return _by_sampling(distribution_of, parameters, draws, generator)
    if method == "divergence":
        return _by_divergence(distribution_of, parameters)
    if method == "log-normaliser":
        return _by_log_normaliser(distribution_of, parameters)
    raise ProblemError(f"unknown method {method!r}; there are {', '.join(METHODS)}")


def score(distribution_of: Family, parameters: Tensor, values: Tensor) -> Tensor:
    r"""The derivative of the log-density in the parameters, :math:`\nabla_\theta \log p(x; \theta)`.

    Args:
        distribution_of: builds the distribution from a vector of parameters, differentiably.
        parameters: theta, ``(P,)``.
        values: x, ``(S, *batch_shape, *event_shape)``.

    Returns:
        ``(S, *batch_shape, P)``.

    Example:
        >>> from torch.distributions import Normal
        >>> score(lambda m: Normal(m[0], 2.0), torch.tensor([1.0]), torch.tensor([5.0]))
        tensor([[1.]])
    """

    def log_density(theta: Tensor) -> Tensor:
        log_prob: Tensor = distribution_of(theta).log_prob(values)
        return log_prob

    return coordinate_derivatives(log_density, parameters)


def _by_enumeration(distribution_of: Family, parameters: Tensor, support: Tensor | None) -> Tensor:
    distribution = distribution_of(parameters)
    if support is None:
        if not distribution.has_enumerate_support:
            raise UnsupportedError(f"{type(distribution).__name__} has no finite support; give one, or another method")
        support = distribution.enumerate_support(expand=False)
    weights = distribution.log_prob(support).exp()
    missing = float((1 - weights.sum(0)).abs().max())
    if not missing < torch.finfo(weights.dtype).eps ** 0.5:
        raise ProblemError(f"the probabilities of the support miss one by {missing:.1e}; extend it, or drop repeated values")
    scores = score(distribution_of, parameters, support)
    return _outer_products(weights[..., None] * scores, scores)


def _by_sampling(distribution_of: Family, parameters: Tensor, draws: int, generator: torch.Generator | None) -> Tensor:
    if generator is None or draws < 1:
        raise ProblemError("sampling needs a generator and at least one draw")
    values = drawn(distribution_of(parameters), draws, generator)
    scores = score(distribution_of, parameters, values)
    return _outer_products(scores, scores) / draws


def _by_divergence(distribution_of: Family, parameters: Tensor) -> Tensor:
    fixed = distribution_of(parameters)

    def divergence(phi: Tensor) -> Tensor:
        try:
            return kl_divergence(fixed, distribution_of(phi)).sum()
        except NotImplementedError as error:
            raise UnsupportedError(f"torch has no divergence between two {type(fixed).__name__}; use another method") from error

    # by torch.autograd: some divergences call requires_grad_, which torch.func does not allow
    fisher: Tensor = hessian(divergence, parameters)  # type: ignore[no-untyped-call]
    fisher = (fisher + fisher.T) / 2
    _require_quadratic(divergence, parameters, fisher)
    return fisher


def _by_log_normaliser(distribution_of: Family, parameters: Tensor) -> Tensor:
    distribution = distribution_of(parameters)
    if not isinstance(distribution, ExponentialFamily):
        raise UnsupportedError(f"torch knows no log-normaliser of {type(distribution).__name__}; use another method")

    def natural(theta: Tensor) -> Tensor:
        family = distribution_of(theta)
        assert isinstance(family, ExponentialFamily)
        return torch.cat([value.reshape(-1) for value in family._natural_params])

    shapes = [value.shape for value in distribution._natural_params]
    sizes = [shape.numel() for shape in shapes]

    def log_normaliser(eta: Tensor) -> Tensor:
        parts = [part.reshape(shape) for part, shape in zip(torch.split(eta, sizes), shapes, strict=True)]
        value: Tensor = distribution._log_normalizer(*parts)  # type: ignore[no-untyped-call]
        return value.sum()

    jacobian = coordinate_derivatives(natural, parameters)
    curvature = vjp(grad(log_normaliser), natural(parameters))[1]
    fisher: Tensor = jacobian.T @ vmap(lambda direction: curvature(direction)[0], in_dims=1, out_dims=1)(jacobian)
    if not bool(fisher.isfinite().all()):
        raise UnsupportedError("the natural parameters of torch overflow here; use another method")
    return (fisher + fisher.T) / 2


def _require_fixed_support(distribution_of: Family, parameters: Tensor) -> None:
    """Refuse a density that is positive on a set which depends on the parameters."""
    tracked = parameters.detach().requires_grad_()
    try:
        with torch.enable_grad():
            pending: list[object] = [distribution_of(tracked).support]
    except NotImplementedError:  # a distribution that does not say
        return
    while pending:
        constraint = pending.pop()
        for value in vars(constraint).values() if hasattr(constraint, "__dict__") else ():
            if isinstance(value, Tensor) and value.requires_grad:
                raise UndefinedError(
                    "the support depends on the parameters: the family is not regular, and its Fisher no curvature"
                )
            if isinstance(value, torch.distributions.constraints.Constraint):
                pending.append(value)


def _require_quadratic(divergence: Callable[[Tensor], Tensor], parameters: Tensor, fisher: Tensor) -> None:
    r"""Refuse a Hessian that is not that of the divergence, :math:`KL(\theta, \theta \pm h e_i) = h^2 F_{ii} / 2`."""
    eps = torch.finfo(fisher.dtype).eps
    for unit, curvature in zip(_units(parameters), fisher.diagonal().tolist(), strict=True):
        longest = max(1.0, float((unit @ parameters).abs()))
        # shorter ones only beside a positive entry: near the border of its domain a divergence is quadratic very near only
        lengths = [min(longest, curvature**-0.5) / scale for scale in (1, 10, 100)] if curvature > 0 else [longest]
        if not any(_grows_as_said(divergence, parameters, eps**0.25 * length * unit, curvature) for length in lengths):
            raise UnsupportedError(
                f"the divergence of torch does not grow as its Hessian says, with {curvature:.3g} on the diagonal: automatic "
                "differentiation at equal parameters is wrong here, or rounding hides it; use another method, or float64"
            )


def _grows_as_said(divergence: Callable[[Tensor], Tensor], parameters: Tensor, shift: Tensor, curvature: float) -> bool:
    try:
        measured = float((divergence(parameters + shift) + divergence(parameters - shift)).detach())
    except UnsupportedError:
        raise UnsupportedError("torch has a divergence at equal parameters only; use another method") from None
    except ValueError:  # outside the domain
        return False
    expected = float(shift @ shift) * curvature
    return abs(measured - expected) <= 0.1 * abs(expected) + 64 * torch.finfo(shift.dtype).eps


def _outer_products(left: Tensor, right: Tensor) -> Tensor:
    size = left.shape[-1]
    product = left.reshape(-1, size).T @ right.reshape(-1, size)
    return (product + product.T) / 2


def _units(parameters: Tensor) -> Tensor:
    return torch.eye(len(parameters), dtype=parameters.dtype, device=parameters.device)

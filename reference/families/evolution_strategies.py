"""Natural evolution strategies with a normal search distribution."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fishergauge.reference.errors import ProblemError
from fishergauge.reference.standard_normal import standard_normal

Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Search:
    r"""The search distribution :math:`N(\mu, A A')`.

    Args:
        mean: mu, ``(D,)``.
        root: A, ``(D, D)``, any root of the covariance.
    """

    mean: Tensor
    root: Tensor

    @property
    def covariance(self) -> Tensor:
        """A A', ``(D, D)``."""
        return self.root @ self.root.mT

    def points(self, draws: Tensor) -> Tensor:
        """mu + A z for standard normal draws z, ``(S, D)``."""
        return self.mean + draws @ self.root.mT


def search_gradient(search: Search, draws: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    r"""The score estimate of the gradient of :math:`J = E_{x \sim N(\mu, \Sigma)} f(x)`; unbiased.

    .. math:: \nabla_\mu J = E f(x) \Sigma^{-1} (x - \mu), \quad
        \nabla_\Sigma J = \tfrac{1}{2} E f(x) \big(\Sigma^{-1} (x - \mu)(x - \mu)' \Sigma^{-1} - \Sigma^{-1}\big)

    Args:
        search: mu and A.
        draws: z, ``(S, D)``, standard normal, of the points mu + A z.
        values: f at these points, or the values less a constant, which changes no expectation, ``(S,)``.

    Returns:
        ``(D,)``, and ``(D, D)``, symmetric.

    Raises:
        ProblemError: shapes do not fit.

    Example:
        >>> search_gradient(Search(torch.zeros(1), 2 * torch.eye(1)), torch.ones(1, 1), torch.tensor([3.0]))
        (tensor([1.5000]), tensor([[0.]]))

    Reference:
        Wierstra et al., "Natural evolution strategies", JMLR 15 (2014), sec. 2.
    """
    first, second = _local_gradient(search, draws, values)
    inverse = _inverse(search)
    return inverse.mT @ first, inverse.mT @ second @ inverse / 2


def natural_search_gradient(search: Search, draws: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    r"""The natural gradient of the same objective, by the exact Fisher of the normal distribution.

    .. math:: \tilde\nabla_\mu J = E f(x) (x - \mu), \quad \tilde\nabla_\Sigma J = E f(x) \big((x - \mu)(x - \mu)' - \Sigma\big)

    Args:
        search: mu and A.
        draws: z, ``(S, D)``.
        values: f, ``(S,)``.

    Returns:
        ``(D,)``, and ``(D, D)``, symmetric. Nothing is inverted.

    Raises:
        ProblemError: shapes do not fit.

    Example:
        >>> natural_search_gradient(Search(torch.zeros(1), 2 * torch.eye(1)), torch.ones(1, 1), torch.tensor([3.0]))
        (tensor([6.]), tensor([[0.]]))

    Reference:
        Akimoto et al., "Bidirectional relation between CMA evolution strategies and natural evolution strategies",
        PPSN 2010; Wierstra et al. (2014), sec. 2.
    """
    first, second = _local_gradient(search, draws, values)
    return search.root @ first, search.root @ second @ search.root.mT


def utilities(values: Tensor) -> Tensor:
    r"""Weights by rank for minimisation, so that the step does not depend on monotone maps of the objective.

    .. math:: u_k = \frac{\max(0, \log(S / 2 + 1) - \log k)}{\sum_j \max(0, \log(S / 2 + 1) - \log j)} - \frac{1}{S}

    Args:
        values: f, ``(S,)``; the smallest has the rank k = 1.

    Returns:
        ``(S,)``, of sum zero; the largest weight belongs to the smallest value.

    Raises:
        ProblemError: there are fewer than two values, or one is NaN.

    Example:
        >>> utilities(torch.tensor([5.0, 1.0]))
        tensor([-0.5000,  0.5000])

    Reference:
        Wierstra et al. (2014), sec. 3.1.
    """
    if values.ndim != 1 or len(values) < 2 or not values.is_floating_point() or bool(values.isnan().any()):
        raise ProblemError("ranks need at least two values, of floating point and none of them NaN")
    count = len(values)
    ranks = torch.arange(1, count + 1, dtype=values.dtype, device=values.device)
    raw = (math.log(count / 2 + 1) - ranks.log()).clamp(min=0)
    return torch.empty_like(values).index_copy(0, values.argsort(stable=True), raw / raw.sum() - 1 / count)


def xnes_step(
    search: Search, draws: Tensor, weights: Tensor, mean_length: float = 1.0, root_length: float | None = None
) -> Search:
    r"""A step of exponential natural evolution strategies, in the coordinates in which the Fisher is the identity.

    .. math:: \mu \leftarrow \mu + \eta_\mu A \sum_k u_k z_k, \quad
        A \leftarrow A \exp\Big(\frac{\eta_A}{2} \sum_k u_k (z_k z_k' - I)\Big)

    Args:
        search: mu and A.
        draws: z, ``(S, D)``.
        weights: u, ``(S,)``: :func:`utilities`, or ``-f / S`` for the gradient of the objective itself.
        mean_length: eta_mu.
        root_length: eta_A; by default :math:`(9 + 3 \log D) / (5 D \sqrt{D})`.

    Returns:
        The next search distribution; its covariance is positive definite whatever the lengths.

    Raises:
        ProblemError: shapes do not fit.

    Example:
        >>> xnes_step(Search(torch.zeros(1), torch.eye(1)), torch.tensor([[1.0], [-1.0]]), torch.tensor([0.5, -0.5]))
        Search(mean=tensor([1.]), root=tensor([[1.]]))

    Reference:
        Glasmachers et al., "Exponential natural evolution strategies", GECCO 2010; the default is in
        Wierstra et al. (2014), table 1.
    """
    dimension = len(search.mean)
    if root_length is None:
        root_length = (9 + 3 * math.log(dimension)) / (5 * dimension * math.sqrt(dimension))
    first, second = _local_gradient(search, draws, weights * len(weights))
    return Search(
        search.mean + mean_length * (search.root @ first),
        search.root @ torch.linalg.matrix_exp(root_length / 2 * second),
    )


def vanilla_step(search: Search, draws: Tensor, weights: Tensor, mean_length: float, root_length: float) -> Search:
    r"""A step along the plain gradient in mu and A, without any Fisher.

    .. math:: \nabla_\mu = A^{-\prime} \sum_k u_k z_k, \quad \nabla_A = A^{-\prime} \sum_k u_k (z_k z_k' - I)

    Args:
        search: mu and A.
        draws: z, ``(S, D)``.
        weights: u, ``(S,)``, as in :func:`xnes_step`.
        mean_length: of the step in mu.
        root_length: of the step in A.

    Returns:
        The next search distribution.

    Raises:
        ProblemError: shapes do not fit.

    Example:
        >>> vanilla_step(Search(torch.zeros(1), 2 * torch.eye(1)), torch.ones(2, 1), torch.ones(2) / 2, 1.0, 1.0).mean
        tensor([0.5000])

    Reference:
        Wierstra et al. (2014), sec. 2, which also tells of its instability where the distribution is narrow.
    """
    first, second = _local_gradient(search, draws, weights * len(weights))
    inverse = _inverse(search)
    return Search(
        search.mean + mean_length * (inverse.mT @ first),
        search.root + root_length * (inverse.mT @ second),
    )


def minimise(
    objective: Objective,
    search: Search,
    iterations: int,
    population: int,
    generator: torch.Generator,
    step: Callable[[Search, Tensor, Tensor], Search] = xnes_step,
) -> tuple[Search, Tensor]:
    """Repeated steps with weights by rank.

    Args:
        objective: from points ``(S, D)`` to values ``(S,)``, to be minimised.
        search: the start.
        iterations: how many steps.
        population: S, points a step.
        generator: source of the draws.
        step: :func:`xnes_step`, :func:`vanilla_step` with its lengths bound, or one like them.

    Returns:
        The last search distribution, and the objective at the mean after each step, ``(iterations,)``. If the search
        distribution degenerates it ends there, and the remaining values are infinite.

    Raises:
        ProblemError: the population is smaller than two, the number of steps negative, or there is no generator.

    Example:
        >>> start = Search(torch.ones(2), torch.eye(2))
        >>> _, values = minimise(lambda x: (x**2).sum(-1), start, 100, 10, torch.Generator().manual_seed(0))
        >>> bool(values[-1] < 1e-6)
        True
    """
    if population < 2:
        raise ProblemError(f"ranks need a population of at least two, not {population}")
    if iterations < 0:
        raise ProblemError(f"the number of iterations must not be negative, got {iterations}")
    values = search.mean.new_full((iterations,), math.inf)
    for iteration in range(iterations):
        draws = standard_normal(population, search.mean, generator)
        following = step(search, draws, utilities(objective(search.points(draws))))
        if not _healthy(following):
            break
        search = following
        values[iteration] = objective(search.mean[None])[0]
    return search, values


def _healthy(search: Search) -> bool:
    """Whether everything is finite and the root can be inverted."""
    if not bool(search.mean.isfinite().all() & search.root.isfinite().all()):
        return False
    return bool(torch.linalg.inv_ex(search.root).info == 0)


def _inverse(search: Search) -> Tensor:
    """The inverse of the root."""
    inverse: Tensor
    inverse, failed = torch.linalg.inv_ex(search.root)
    if bool(failed):
        raise ProblemError("the root of the search distribution is singular, so that it has no density")
    return inverse


def _local_gradient(search: Search, draws: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The means of f z and of f (z z' - I): the gradient in mu and Sigma where the search distribution is standard."""
    dimension = len(search.mean)
    if search.root.shape != (dimension, dimension):
        raise ProblemError(f"a root {tuple(search.root.shape)} does not fit {dimension} dimensions")
    if draws.ndim != 2 or draws.shape[1] != dimension or values.shape != draws.shape[:1] or len(draws) == 0:
        raise ProblemError(
            f"draws {tuple(draws.shape)} and values {tuple(values.shape)} do not fit: (S, {dimension}) and (S,), S positive"
        )
    weighted = values[:, None] * draws / len(draws)
    identity = torch.eye(dimension, dtype=draws.dtype, device=draws.device)
    return weighted.sum(0), draws.mT @ weighted - values.mean() * identity

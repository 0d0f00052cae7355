"""Steps of a softmax policy in parallel copies of CartPole, and a linear estimate of the values of their states."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fishergauge.reference.advantages import generalized_advantages
from fishergauge.reports.extras import require
from fishergauge.suites.seeding import derived_seed, generator

DISCOUNT = 0.99
TRACE = 0.95
RIDGE = 1e-3


@dataclass(frozen=True)
class Rollout:
    """T steps of B streams.

    A stream spends one step on the reset after each end; it belongs to no episode and is left out by :attr:`counts`.

    Args:
        states: before each step, ``(T, B, 4)``.
        following: after each step, before any reset, ``(T, B, 4)``.
        actions: ``(T, B)`` of long.
        rewards: ``(T, B)``.
        terminated: the pole fell or the cart left the track, ``(T, B)`` of bool.
        ended: the same, or the time was up.
        counts: whether the step is one of an episode.
        returns: undiscounted, of the episodes that ended, in order of their ends.
    """

    states: Tensor
    following: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    ended: Tensor
    counts: Tensor
    returns: list[float]


class Streams:
    """Parallel copies of CartPole-v1 that go on where the last rollout left them.

    Args:
        count: B.
        names: what the seeds of the environment and of the actions are derived from.
        dtype: of the states.
    """

    def __init__(self, count: int, *names: object, dtype: torch.dtype = torch.float64) -> None:
        self.environment = require("gymnasium").make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point")
        self.draws = generator("actions", *names)
        self.dtype = dtype
        start, _ = self.environment.reset(seed=derived_seed("environment", *names))
        self.state = torch.as_tensor(start).to(dtype)
        self.resets = torch.zeros(count, dtype=torch.bool)  # which copies spend their next step on a reset
        self.gained = torch.zeros(count, dtype=dtype)

    def rollout(self, policy: nn.Module, steps: int) -> Rollout:
        """So many further steps of each copy, with actions drawn from the policy."""
        names = ("states", "following", "actions", "rewards", "terminated", "ended", "counts")
        kept: dict[str, list[Tensor]] = {name: [] for name in names}
        returns: list[float] = []
        uniform = torch.rand(steps, len(self.state), generator=self.draws, dtype=self.dtype)
        for t in range(steps):
            with torch.no_grad():
                logits = policy(self.state)
            actions = (uniform[t] < (logits[:, 1] - logits[:, 0]).sigmoid()).long()
            after, reward, terminated, truncated, _ = self.environment.step(actions.numpy())
            following, rewards = (torch.as_tensor(x).to(self.dtype) for x in (after, reward))
            fell = torch.as_tensor(terminated)
            ended = fell | torch.as_tensor(truncated)
            values = (self.state, following, actions, rewards, fell, ended, ~self.resets)
            for name, value in zip(names, values, strict=True):
                kept[name].append(value)
            self.gained += rewards
            returns += self.gained[ended].tolist()
            self.gained[ended] = 0
            self.state, self.resets = following, ended
        return Rollout(**{name: torch.stack(column) for name, column in kept.items()}, returns=returns)


def mean_return(policy: nn.Module, episodes: int, *names: object) -> float:
    """The average undiscounted return of so many fresh episodes, all from their own seeds."""
    streams = Streams(episodes, "evaluation", *names)
    first = torch.zeros(episodes, dtype=streams.dtype)
    pending = torch.ones(episodes, dtype=torch.bool)
    while bool(pending.any()):
        rollout = streams.rollout(policy, 25)
        before_end = rollout.ended.cumsum(0) - rollout.ended.long() == 0  # the step of the end included
        first += pending * (rollout.rewards * before_end).sum(0)
        pending &= ~rollout.ended.any(0)
    return float(first.mean())


class LinearValues:
    """Values linear in the state, its squares and products, fitted by least squares.

    Reference:
        Duan et al., "Benchmarking deep reinforcement learning for continuous control", ICML 2016, sec. 4 (linear baseline).
    """

    def __init__(self) -> None:
        self.weights: Tensor | None = None

    def __call__(self, states: Tensor) -> Tensor:
        """Of states ``(..., 4)``: ``(...)``; zero before the first fit."""
        return states.new_zeros(states.shape[:-1]) if self.weights is None else _features(states) @ self.weights

    def fit(self, states: Tensor, targets: Tensor) -> None:
        """To targets ``(K,)`` at states ``(K, 4)``."""
        features = _features(states)
        gram = features.T @ features / len(features)
        gram.diagonal().add_(RIDGE)
        self.weights = torch.linalg.solve(gram, features.T @ targets / len(features))


def advantages_of(rollout: Rollout, values: LinearValues) -> tuple[Tensor, Tensor, Tensor]:
    """States ``(K, 4)``, actions and standardised advantages ``(K,)`` of the steps that count; the values are then refitted."""
    before, after = values(rollout.states), values(rollout.following)
    advantages = generalized_advantages(
        rollout.rewards, before, after, rollout.terminated, rollout.ended, discount=DISCOUNT, trace=TRACE
    )
    counts = rollout.counts
    states, chosen = rollout.states[counts], advantages[counts]
    values.fit(states, chosen + before[counts])
    return states, rollout.actions[counts], (chosen - chosen.mean()) / chosen.std()


def _features(states: Tensor) -> Tensor:
    """One, the state, and its products with itself: ``(..., 15)``."""
    first, second = torch.triu_indices(4, 4, device=states.device)
    return torch.cat([torch.ones_like(states[..., :1]), states, states[..., first] * states[..., second]], -1)

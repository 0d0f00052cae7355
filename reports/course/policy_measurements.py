"""What experiment policy measures in a cell: learning by three methods, and the divergence of single steps."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, fisher, kl_divergence, pseudo_inverse
from fishergauge.reference.policy_gradient import natural_policy_gradient, policy_gradient, policy_problem
from fishergauge.reference.trust_region_policy import trust_region_policy_update
from fishergauge.reports.cell import Record
from fishergauge.reports.course.policy_rollouts import LinearValues, Streams, advantages_of, mean_return
from fishergauge.reports.course.policy_trust_regions import trust_region_rows
from fishergauge.reports.course.unset_modules import unset_linear
from fishergauge.suites.seeding import generator

METHODS = ("gradient", "natural", "trpo")
COPIES = 16
STEPS = 128
EPISODES = 24
EVALUATE_EVERY = 4
DAMPING = 1e-3
ITERATIONS = 10
HIDDEN = 16
RADII = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
RATIOS = (0.1, 0.5, 0.9, 1.1, 2.0, 4.0)


def initial_policy(seed: int) -> nn.Module:
    """A perceptron from the state to two logits, small in its last layer: nearly uniform at first."""
    draws = generator("policy", seed)
    policy = nn.Sequential(unset_linear(4, HIDDEN), nn.Tanh(), unset_linear(HIDDEN, 2))
    with torch.no_grad():
        for parameter, scale in zip(policy.parameters(), (0.5, 0.0, 0.1, 0.0), strict=True):
            parameter.copy_(scale * torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    return policy


@dataclass(frozen=True)
class Update:
    """A step and what is known of it."""

    step: Tensor
    kl: float
    accepted: bool = True
    trials: int = 1
    unsearched_kl: float | None = None


def update(method: str, size: float, problem: Problem, advantages: Tensor) -> Update:
    """One update: ``size`` is alpha for the two gradients, delta for TRPO."""
    if method == "trpo":
        found = trust_region_policy_update(problem, advantages, size, damping=DAMPING, iterations=ITERATIONS, curvature=_formed)
        return Update(found.step, float(found.kl), found.accepted, found.trials, float(found.unsearched_kl))
    if method == "natural":
        direction = natural_policy_gradient(problem, advantages, DAMPING, ITERATIONS, curvature=_formed).direction
    else:
        direction = policy_gradient(problem, advantages)
    step = size * direction
    return Update(step, float(kl_divergence(problem, problem.vector + step)))


def _formed(problem: Problem) -> Tensor:
    """The Fisher as a matrix: with 114 parameters it costs less than ten products."""
    return fisher(problem).dense()


def learning_record(method: str, size: float, seed: int, updates: int) -> Record:
    """A learning curve: a row an update, with the average return of fresh episodes at every fourth."""
    policy, values, streams = initial_policy(seed), LinearValues(), Streams(COPIES, "learning", seed)
    rows: list[dict[str, Any]] = []
    for number in range(updates + 1):
        row: dict[str, Any] = {"study": "learning", "method": method, "size": size, "seed": seed, "update": number}
        row["steps"] = number * COPIES * STEPS
        if number % EVALUATE_EVERY == 0 or number == updates:
            row["mean_return"] = mean_return(policy, EPISODES, seed, number)
        if number < updates:
            rollout = streams.rollout(policy, STEPS)
            states, actions, advantages = advantages_of(rollout, values)
            problem = policy_problem(policy, states, actions)
            made = update(method, size, problem, advantages)
            policy = problem.at(problem.vector + made.step).model
            row.update(kl=made.kl, accepted=made.accepted, trials=made.trials, unsearched_kl=made.unsearched_kl)
        rows.append(row)
    return {"rows": rows}


def visited(seed: int, updates: int = 4) -> tuple[Problem, Tensor]:
    """The problem and the advantages of a rollout after a few updates by TRPO."""
    policy, values, streams = initial_policy(seed), LinearValues(), Streams(COPIES, "visited", seed)
    for number in range(updates + 1):
        states, actions, advantages = advantages_of(streams.rollout(policy, STEPS), values)
        problem = policy_problem(policy, states, actions)
        if number < updates:
            policy = problem.at(problem.vector + update("trpo", 0.01, problem, advantages).step).model
    return problem, advantages


def single_steps_record(seed: int) -> Record:
    """One batch: the rank of the Fisher, the divergence of natural steps over delta, and the two trust-region problems."""
    problem, advantages = visited(seed)
    rows = [_rank_row(problem), *_ratio_rows(problem, advantages), *_region_rows(problem, advantages, seed)]
    return {"rows": [{"seed": seed, **row} for row in rows]}


def _rank_row(problem: Problem) -> dict[str, Any]:
    """The rank of the Fisher, and its product with the direction that adds one to all logits, relative to its norm."""
    matrix = fisher(problem).dense()
    values = torch.linalg.eigvalsh(matrix)
    shift = torch.zeros_like(problem.vector)
    shift[-2:] = 1  # both entries of the last bias
    row: dict[str, Any] = {"study": "rank", "parameters": len(values)}
    row["rank"] = int((values > len(values) * torch.finfo(values.dtype).eps * values[-1]).sum())
    row["common_shift"] = float((matrix @ shift).norm() / (values[-1] * shift.norm()))
    return row


def _ratio_rows(problem: Problem, advantages: Tensor) -> list[dict[str, Any]]:
    """True divergence over delta of natural steps of quadratic divergence delta, for several readings of the inverse."""
    matrix, slope = fisher(problem).dense(), policy_gradient(problem, advantages)
    exact = pseudo_inverse(matrix) @ slope
    damped = natural_policy_gradient(problem, advantages, DAMPING, ITERATIONS)
    truncated = natural_policy_gradient(problem, advantages, 0.0, ITERATIONS)
    variants = {
        "truncated": (truncated.direction, truncated.curvature),
        "damped": (damped.direction, damped.curvature),
        "damped, undamped length": (damped.direction, damped.direction @ (matrix @ damped.direction)),
        "pseudo-inverse": (exact, exact @ (matrix @ exact)),
        "factor 2 missing": (truncated.direction, truncated.curvature / 2),
    }
    rows = []
    for variant, (direction, curvature) in variants.items():
        for delta in RADII:
            moved = problem.vector + (2 * delta / curvature).sqrt() * direction
            ratio = float(kl_divergence(problem, moved)) / delta
            rows.append({"study": "steps", "variant": variant, "delta": delta, "ratio": ratio})
    return rows


def _region_rows(problem: Problem, advantages: Tensor, seed: int) -> list[dict[str, Any]]:
    """The two trust-region problems for a policy linear in the state, with damping that makes its Fisher definite."""
    policy, draws = unset_linear(4, 2), generator("linear policy", seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    linear = policy_problem(policy, problem.inputs, problem.targets)
    matrix = fisher(linear).dense()
    matrix.diagonal().add_(0.1 * matrix.trace() / len(matrix))
    return trust_region_rows(matrix, -policy_gradient(linear, advantages), RATIOS)

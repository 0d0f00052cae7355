"""Experiment policy: rollouts, single steps and learning are what they say, and the verdicts follow from figures."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import fisher, kl_divergence
from fishergauge.reference.advantages import generalized_advantages
from fishergauge.reference.policy_gradient import natural_policy_gradient, policy_gradient, policy_problem
from fishergauge.reports.cell import Cell, Record
from fishergauge.reports.course.policy import Policy
from fishergauge.reports.course.policy_claims import (
    ACTIVE,
    DAMPED,
    SEARCHED,
    SINGULAR,
    constraint_verdict,
    inverse_verdict,
    learning_verdict,
    policy_entries,
    quadratic_verdict,
    regions_verdict,
)
from fishergauge.reports.course.policy_measurements import (
    DAMPING,
    initial_policy,
    learning_record,
    single_steps_record,
    update,
)
from fishergauge.reports.course.policy_rollouts import (
    DISCOUNT,
    TRACE,
    LinearValues,
    Rollout,
    Streams,
    advantages_of,
    mean_return,
)
from fishergauge.reports.course.policy_tables import best_runs, best_sizes, run_rows
from fishergauge.reports.course.policy_trust_regions import closed_forms, numerical_minimiser, trust_region_rows
from fishergauge.reports.options import Options
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator

# --- rollouts --------------------------------------------------------------------------------------------------------


class Leftwards(nn.Module):
    """Pushes to the left whatever happens; falls within eight to ten steps."""

    def forward(self, states: Tensor) -> Tensor:
        return states.new_tensor([50.0, -50.0]).expand(len(states), 2)


class Balancing(nn.Module):
    """Pushes to where the pole falls; stays up until the time is over."""

    def forward(self, states: Tensor) -> Tensor:
        lean = 50 * (states[:, 2] + states[:, 3] / 2 + states[:, 0] / 50 + states[:, 1] / 20)
        return torch.stack([-lean, lean], 1)


@pytest.fixture(scope="module")
def falling() -> Rollout:
    return Streams(5, "falling").rollout(Leftwards(), 60)


def test_steps_of_episodes_are_told_from_resets(falling: Rollout) -> None:
    assert 30 > len(falling.returns) >= 5 * 5
    assert all(8 <= gained <= 11 for gained in falling.returns)
    lengths = []
    for b in range(5):
        length = 0
        for t in range(60):
            length += int(falling.counts[t, b])
            if falling.ended[t, b]:
                lengths.append(length)
                length = 0
    assert sorted(lengths) == sorted(int(gained) for gained in falling.returns)  # each step of an episode pays one
    resets = ~falling.counts
    assert torch.equal(resets[1:], falling.ended[:-1])
    assert int(resets.sum()) == len(falling.returns) - int(falling.ended[-1].sum())  # the control: there are some


def test_the_state_after_an_end_is_the_last_one_and_not_that_of_the_reset(falling: Rollout) -> None:
    ends = falling.following[falling.ended]
    assert bool((ends[:, 2].abs() > 12 * math.pi / 180).all())
    starts = falling.following[~falling.counts]
    assert bool((starts.abs() <= 0.05).all())
    assert torch.equal(falling.states[1:], falling.following[:-1])
    assert bool((falling.terminated == falling.ended).all())


def test_an_episode_that_is_cut_off_does_not_count_as_terminated() -> None:
    rollout = Streams(2, "balancing").rollout(Balancing(), 1005)
    assert rollout.returns == [500.0] * 4
    assert int(rollout.ended.sum()) == int((~rollout.counts).sum()) == 4
    assert not bool(rollout.terminated.any())
    assert mean_return(Balancing(), 3, 0) == 500
    assert 8 <= mean_return(Leftwards(), 3, 0) <= 11  # the control


def test_a_rollout_follows_from_its_seed_and_no_global_generator_moves() -> None:
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    first, again, other = (Streams(3, "seed", seed).rollout(initial_policy(0), 20) for seed in (0, 0, 1))
    assert torch.equal(first.states, again.states)
    assert torch.equal(first.actions, again.actions)
    assert not torch.equal(first.states, other.states)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # type: ignore[index]  # noqa: NPY002


def test_actions_are_drawn_as_the_policy_says() -> None:
    rollout = Streams(16, "chances").rollout(initial_policy(3), 256)
    logits = initial_policy(3)(rollout.states.flatten(0, 1)).detach()
    chance = logits.softmax(-1)[:, 1]
    excess = (rollout.actions.flatten() - chance).sum() / (chance * (1 - chance)).sum().sqrt()
    assert abs(float(excess)) < 4.9  # standard normal: level 1e-6; a bias of the chances by 0.04 would be seen
    weights = logits[:, 1] - logits[:, 0]
    slope = ((rollout.actions.flatten() - chance) * weights).sum() / (chance * (1 - chance) * weights**2).sum().sqrt()
    assert abs(float(slope)) < 4.9
    swapped = ((1 - rollout.actions.flatten() - chance) * weights).sum() / (chance * (1 - chance) * weights**2).sum().sqrt()
    assert abs(float(swapped)) > 4.9  # the control: the two actions exchanged


# --- values and advantages -------------------------------------------------------------------------------------------


def test_values_that_are_quadratic_in_the_state_are_found() -> None:
    states = torch.randn(500, 4, generator=generator("values"), dtype=torch.float64)
    targets = 3 + states[:, 0] - 2 * states[:, 1] * states[:, 3] + states[:, 2] ** 2
    values = LinearValues()
    assert float(values(states).abs().max()) == 0
    values.fit(states, targets)
    assert float((values(states) - targets).norm()) < 0.01 * float(targets.norm())  # the ridge is a thousandth
    cubic = states[:, 0] ** 3
    values.fit(states, cubic)
    assert float((values(states) - cubic).norm()) > 0.3 * float(cubic.norm())  # the control


def test_advantages_are_standardised_and_leave_resets_out(falling: Rollout) -> None:
    values = LinearValues()
    states, actions, advantages = advantages_of(falling, values)
    assert len(states) == len(actions) == len(advantages) == int(falling.counts.sum()) < falling.counts.numel()
    assert float(advantages.mean()) == pytest.approx(0, abs=1e-12)
    assert float(advantages.std()) == pytest.approx(1, abs=1e-12)
    # without values an advantage is a discounted sum of ones over what is left of the episode: earlier steps have more
    first = falling.states[0]
    assert torch.equal(states[:5], first)
    assert float(advantages[:5].min()) > float(advantages.mean()) + 0.5
    # refitted for the next rollout, to the values before plus the advantages
    old, before = copy.deepcopy(values), values(states)
    advantages_of(falling, values)
    raw = generalized_advantages(
        falling.rewards,
        old(falling.states),
        old(falling.following),
        falling.terminated,
        falling.ended,
        discount=DISCOUNT,
        trace=TRACE,
    )[falling.counts]
    expected, control = LinearValues(), LinearValues()
    expected.fit(states, before + raw)
    control.fit(states, raw)
    assert_close(values(states), expected(states), "refitted", condition=1e4)
    assert_apart(values(states), control(states), "to the advantages alone")
    # where an episode is cut off and not over, the value of its last state counts
    cut = replace(falling, terminated=torch.zeros_like(falling.terminated))
    over, continued = (advantages_of(rollout, copy.deepcopy(old))[2] for rollout in (falling, cut))
    assert_apart(over, continued, "terminated or cut off", least=0.1)


# --- updates and single steps ----------------------------------------------------------------------------------------


def test_an_update_is_the_step_of_its_method() -> None:
    streams, values = Streams(4, "update"), LinearValues()
    states, actions, advantages = advantages_of(streams.rollout(initial_policy(0), 30), values)
    problem = policy_problem(initial_policy(0), states, actions)
    slope = policy_gradient(problem, advantages)
    natural = natural_policy_gradient(
        problem, advantages, DAMPING, 10, curvature=lambda problem: fisher(problem).dense()
    ).direction
    made = {method: update(method, 0.01, problem, advantages) for method in ("gradient", "natural", "trpo")}
    assert_close(made["gradient"].step, 0.01 * slope, "policy gradient")
    assert_close(made["natural"].step, 0.01 * natural, "natural policy gradient")
    assert_apart(made["gradient"].step, made["natural"].step, "two methods")
    cosine = float(made["trpo"].step @ natural / (made["trpo"].step.norm() * natural.norm()))
    assert cosine == pytest.approx(1, abs=1e-12)  # uphill along the natural gradient
    for one in made.values():
        expected = kl_divergence(problem, problem.vector + one.step)
        assert one.kl == pytest.approx(float(expected), rel=1e-9)
    assert made["trpo"].kl <= 0.01


@pytest.fixture(scope="module")
def single() -> Record:
    return single_steps_record(0)


def test_the_fisher_lacks_what_the_common_shift_of_the_logits_takes(single: Record) -> None:
    row = next(row for row in single["rows"] if row["study"] == "rank")
    assert row["parameters"] - row["rank"] == 17  # 16 hidden units and the bias
    assert row["common_shift"] < 1e-14
    problem = policy_problem(initial_policy(0), torch.randn(9, 4, generator=generator("shift")).double(), torch.zeros(9).long())
    single_logit = torch.zeros_like(problem.vector)
    single_logit[-1] = 1
    assert float((fisher(problem) @ single_logit).norm()) > 1e-3  # the control: one logit alone


def test_the_divergence_tends_to_delta_where_it_should_and_only_there(single: Record) -> None:
    ratios = {(row["variant"], row["delta"]): row["ratio"] for row in single["rows"] if row["study"] == "steps"}
    assert ratios["truncated", 1e-8] == pytest.approx(1, abs=0.01)
    assert ratios["damped, undamped length", 1e-8] == pytest.approx(1, abs=0.01)
    assert ratios["factor 2 missing", 1e-8] == pytest.approx(2, abs=0.02)
    assert ratios["damped", 1e-8] < 0.99
    assert abs(ratios["truncated", 1e-2] - 1) > abs(ratios["truncated", 1e-8] - 1)


def definite() -> tuple[Tensor, Tensor]:
    draws = generator("regions")
    root = torch.randn(6, 6, generator=draws, dtype=torch.float64)
    return root @ root.T + torch.eye(6, dtype=torch.float64), torch.randn(6, generator=draws, dtype=torch.float64)


def test_the_closed_forms_are_what_a_solver_finds() -> None:
    matrix, gradient = definite()
    for row in trust_region_rows(matrix, gradient, (0.3, 0.99, 1.01, 3.0)):
        assert max(row["numerical_5"], row["numerical_7"]) < 1e-6
        assert (row["apart"] < 1e-6) == (row["ratio"] < 1)
        assert row["spent_7"] == pytest.approx(1, abs=1e-6)
        assert row["spent_5"] == pytest.approx(min(1, 1 / row["ratio"]), abs=1e-6)
    radius = 0.3 * float(gradient @ torch.linalg.solve(matrix, gradient)) ** 0.5
    fifth, _ = closed_forms(matrix, gradient, radius)
    unmatched = numerical_minimiser(matrix, gradient, 2 * radius**2, quadratic=False)  # delta_7 = delta_5^2
    with pytest.raises(ClaimViolated):
        assert_close(unmatched, fifth, "radii that do not match", condition=1e9)


# --- tables and verdicts ---------------------------------------------------------------------------------------------


def learned(method: str, size: float, seed: int, *returns: float) -> list[dict[str, Any]]:
    shared = {"method": method, "size": size, "seed": seed}
    return [{**shared, "steps": 100 * i, "mean_return": value} for i, value in enumerate(returns)]


def test_runs_and_best_sizes_by_hand() -> None:
    rows = learned("gradient", 1.0, 0, 20, 100, 195, 100) + learned("gradient", 3.0, 0, 20, 480, 480, 480)
    rows += learned("gradient", 3.0, 1, 20, 20, 20, 20) + learned("gradient", 1.0, 1, 20, 90, 90, 90)
    rows.append({"method": "gradient", "size": 1.0, "seed": 0, "steps": 50, "mean_return": None})
    runs = run_rows(rows)
    first = runs[0]
    assert (first["mean_return"], first["final_return"], first["steps_to_195"]) == (103.75, 100, 200)
    assert math.isnan(first["steps_to_475"])
    assert best_sizes(runs) == {"gradient": 3.0}  # 192.5 on average against 88.1
    assert [run["seed"] for run in best_runs(runs)["gradient"]] == [0, 1]
    assert best_sizes([run for run in runs if run["seed"] == 1]) == {"gradient": 1.0}


def test_inverse_verdict() -> None:
    full, deficient = [{"rank": 4, "parameters": 4}], [{"rank": 3, "parameters": 4}]
    assert inverse_verdict(full, 1.1, 0.9) == "confirmed"
    assert inverse_verdict(deficient, 1.1, 0.9) == SINGULAR
    assert inverse_verdict(deficient, 40.0, 0.9) == inverse_verdict(full, 0.1, 0.9) == DAMPED
    assert inverse_verdict(deficient, 40.0, 3.0) == "refuted"  # damping is no remedy then


def test_quadratic_verdict() -> None:
    assert quadratic_verdict(1.0001, 0.0) == "confirmed"
    assert quadratic_verdict(1.0001, 0.3) == SEARCHED
    assert quadratic_verdict(2.0, 0.0) == quadratic_verdict(0.5, 0.3) == "refuted"


def test_constraint_verdict() -> None:
    inside, beyond = ({"kl": kl, "size": 0.01, "accepted": True} for kl in (0.009, 0.011))
    rejected = {"kl": 0.0, "size": 0.01, "accepted": False}
    assert constraint_verdict([inside]) == constraint_verdict([inside, inside, rejected]) == "confirmed"
    assert constraint_verdict([inside, beyond]) == constraint_verdict([inside, rejected]) == "refuted"
    assert constraint_verdict([]) == "refuted"


def test_regions_verdict() -> None:
    def region(ratio: float, apart: float, solver: float = 1e-9) -> dict[str, float]:
        return {"ratio": ratio, "apart": apart, "numerical_5": solver, "numerical_7": 1e-9}

    assert regions_verdict([region(0.5, 1e-9), region(2.0, 0.5)]) == ACTIVE
    assert regions_verdict([region(0.5, 1e-9), region(2.0, 1e-9)]) == "confirmed"
    assert regions_verdict([region(0.5, 0.1), region(2.0, 0.5)]) == "refuted"
    assert regions_verdict([region(0.5, 1e-9, solver=1e-3)]) == "not testable as published"


def test_learning_verdict() -> None:
    def judged(natural: list[float], trpo: list[float]) -> str:
        values = {"gradient": [100.0, 120.0], "natural": natural, "trpo": trpo}
        return learning_verdict(
            {method: [{"seed": seed, "mean_return": value} for seed, value in enumerate(own)] for method, own in values.items()}
        )

    assert judged([130, 130], [150, 150]) == "confirmed"
    assert judged([130], [150, 150]) == "confirmed"  # the seeds that are there
    assert judged([90], [150]).endswith("for trpo; for trpo in every seed")
    assert judged([], [150, 150]) == "not testable as published"
    assert judged([90, 90], [80, 80]) == "refuted"
    assert judged([130, 115], [150, 150]).endswith("for natural and trpo; for trpo in every seed")
    assert judged([150, 110], [150, 110]).endswith("the seeds, for natural and trpo")
    assert judged([90, 90], [150, 110]).endswith("the seeds, for trpo")


def results(single: Record) -> list[tuple[Cell, Record]]:
    found = [(Cell("policy", "corrected", "policy", 0), copy.deepcopy(single))]
    for method, size in (("gradient", 3.0), ("natural", 0.3), ("trpo", 0.01)):
        found.append((Cell("policy", "corrected", "policy", 0, (("method", method),)), learning_record(method, size, 0, 3)))
    return found


def test_the_entries_follow_from_measured_records_and_flip_with_them(single: Record, tmp_path: Path) -> None:
    measured = results(single)
    experiment = Policy()
    verdicts = {entry.id: entry.verdict for entry in policy_entries(measured)}
    assert list(verdicts) == [f"POLICY.{number}" for number in range(1, 6)]
    assert verdicts["POLICY.1"] == DAMPED
    assert verdicts["POLICY.3"] == "confirmed"
    assert verdicts["POLICY.4"] == ACTIVE
    paths = experiment.artefacts("policy", measured, tmp_path)
    assert [path.name for path in paths] == [
        "policy_results.csv", "policy_summary.json", "policy_figure.png", "policy_figure.pdf", "policy_figure.svg",
    ]  # fmt: skip
    assert all(path.stat().st_size > 0 for path in paths)
    for row in measured[3][1]["rows"]:
        if "kl" in row:
            row["kl"] = 2 * row["size"]
    flipped = {entry.id: entry.verdict for entry in policy_entries(measured)}
    assert {name for name in flipped if flipped[name] != verdicts[name]} == {"POLICY.3"}
    for row in measured[0][1]["rows"]:
        if row["study"] == "regions":
            row["apart"] = 0.0
    assert {entry.id: entry.verdict for entry in policy_entries(measured)}["POLICY.4"] == "confirmed"


def test_claims_without_figures_are_left_out(single: Record) -> None:
    assert policy_entries([]) == []
    cell = Cell("policy", "corrected", "policy", 0)
    assert [entry.id for entry in policy_entries([(cell, single)])] == ["POLICY.1", "POLICY.4"]


def test_cells_honour_seeds_and_quick() -> None:
    full, quick = Policy().cells(Options()), Policy().cells(Options(quick=True))
    assert len(full) == 3 * 8
    assert len(quick) == 4
    assert {cell.seed for cell in Policy().cells(Options(seeds=2))} == {0, 1}
    assert {cell.data for cell in full + quick} == {"policy"}

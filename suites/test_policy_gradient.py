"""Policy gradients: exact on a small decision process, the Fisher of the policy, the trust region, and advantages."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fishergauge.reference import Problem, ProblemError, conjugate_gradients, fisher, kl_divergence, pseudo_inverse
from fishergauge.reference.advantages import generalized_advantages
from fishergauge.reference.policy_gradient import natural_policy_gradient, policy_gradient, policy_problem, surrogate_gain
from fishergauge.reference.trust_region_policy import trust_region_policy_update
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.seeding import generator

# --- a decision process with two states and two actions, in which every frequency is a whole number of 28ths ----------

DISCOUNT = 0.5
STARTS = torch.tensor([1.0, 0.0], dtype=torch.float64)
POLICY = torch.tensor([[1 / 4, 3 / 4], [1 / 2, 1 / 2]], dtype=torch.float64)
TO_SECOND = torch.tensor([[0.8, 0.4], [0.6, 0.9]], dtype=torch.float64)  # the chance of state 1 after (state, action)
REWARDS = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
COUNTS = {(0, 0): 5, (0, 1): 15, (1, 0): 4, (1, 1): 4}  # of (state, action) under the discounted distribution


def expected_return(logits: Tensor) -> Tensor:
    """The expected discounted return of a tabular softmax policy, in closed form, and as a function of its logits."""
    policy = logits.softmax(-1)
    move = torch.stack([1 - TO_SECOND, TO_SECOND], -1)
    between = torch.einsum("sa,sat->st", policy, move)
    values = torch.linalg.solve(torch.eye(2, dtype=torch.float64) - DISCOUNT * between, (policy * REWARDS).sum(-1))
    start_value: Tensor = STARTS @ values
    return start_value


def advantages_of(policy: Tensor) -> Tensor:
    """The exact advantages, ``(state, action)``."""
    move = torch.stack([1 - TO_SECOND, TO_SECOND], -1)
    between = torch.einsum("sa,sat->st", policy, move)
    values = torch.linalg.solve(torch.eye(2, dtype=torch.float64) - DISCOUNT * between, (policy * REWARDS).sum(-1))
    action_values: Tensor = REWARDS + DISCOUNT * move @ values
    advantages: Tensor = action_values - values[:, None]
    return advantages


def visited() -> tuple[Problem, Tensor]:
    """All visits in their exact proportions as a problem with one-hot states, and the advantage of each."""
    pairs = [pair for pair, count in COUNTS.items() for _ in range(count)]
    states, actions = (torch.tensor(column) for column in zip(*pairs, strict=True))
    model = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(POLICY.log().T)
    problem = policy_problem(model, functional.one_hot(states, 2).double(), actions)
    return problem, advantages_of(POLICY)[states, actions]


def tabular(vector: Tensor) -> Tensor:
    """From the parameters of the linear layer to ``(state, action)``."""
    return vector.reshape(2, 2).T


def test_the_policy_gradient_is_the_gradient_of_the_expected_return() -> None:
    problem, advantages = visited()
    logits = POLICY.log().requires_grad_()
    exact = torch.autograd.grad(expected_return(logits), logits)[0]
    found = tabular(policy_gradient(problem, advantages)) / (1 - DISCOUNT)
    assert_close(found, exact, "policy gradient theorem", condition=10)
    assert_apart(found * (1 - DISCOUNT), exact, "without the factor 1 / (1 - gamma)")
    assert_apart(-found, exact, "the wrong sign")
    assert_apart(tabular(policy_gradient(problem, advantages - 1)), exact * (1 - DISCOUNT), "samples", least=0)
    # a constant baseline changes nothing on exact proportions
    assert_close(tabular(policy_gradient(problem, advantages - 1)) / (1 - DISCOUNT), exact, "baseline", condition=10)


def test_the_natural_gradient_of_a_tabular_softmax_is_the_advantages() -> None:
    problem, advantages = visited()
    exact = advantages_of(POLICY)
    centred = exact - exact.mean(-1, keepdim=True)  # a constant per state moves nothing
    found = tabular(natural_policy_gradient(problem, advantages, iterations=None).direction)
    kappa = 28.0  # of the Fisher on its range: entries d(s) p (1 - p), from 1/14 to less than 1
    assert_close(found, centred, "Kakade's theorem", condition=kappa)
    wrong = {
        "the plain gradient": tabular(policy_gradient(problem, advantages)),
        "twice the advantages": 2 * centred,
        "the advantages of the other state": centred.flip(0),
        "the action values": exact + 1.0,
    }
    for name, other in wrong.items():
        with pytest.raises(ClaimViolated):
            assert_close(found, other, name, condition=kappa)


def test_the_natural_gradient_is_the_weights_of_compatible_function_approximation() -> None:
    policy = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    draws = generator("compatible")
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    # all actions in all states, weighted as the policy takes them: weights instead of counts, as its chances are not rational
    states, actions = torch.eye(2, dtype=torch.float64).repeat_interleave(2, 0), torch.tensor([0, 1, 0, 1])
    problem = policy_problem(policy, states, actions)
    chances = problem.outputs.softmax(-1).gather(1, actions[:, None]).flatten()
    given = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    scores = torch.stack([policy_gradient(problem, 4 * row) for row in torch.eye(4, dtype=torch.float64)])
    weighted = chances.sqrt()[:, None] * scores
    compatible = torch.linalg.lstsq(weighted, chances.sqrt() * given, driver="gelsd").solution
    found = natural_policy_gradient(problem, 2 * chances * given, iterations=None, tolerance=1e-13).direction
    values = torch.linalg.eigvalsh(fisher(problem).dense())[-2:]  # two states with two actions: rank two
    kappa = float(values[1] / values[0])
    assert_close(found, compatible, "compatible weights", condition=10 * kappa, size=17)
    wrong = torch.linalg.lstsq(scores, given, driver="gelsd").solution  # actions not weighted by the policy
    with pytest.raises(ClaimViolated):
        assert_close(found, wrong, "compatible weights", condition=10 * kappa, size=17)


# --- the Fisher of the policy ----------------------------------------------------------------------------------------


def perceptron(samples: int = 40) -> tuple[Problem, Tensor]:
    """A policy of 4 inputs and 3 actions on random states, with actions of its own and random advantages."""
    draws = generator("policy")
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64) / 2)
        states = torch.randn(samples, 4, generator=draws, dtype=torch.float64)
        actions = torch.multinomial(model(states).softmax(-1), 1, generator=draws).flatten()
    return policy_problem(model, states, actions), torch.randn(samples, generator=draws, dtype=torch.float64)


def kl_hessian_product(problem: Problem, vector: Tensor, detached: bool) -> Tensor:
    """The product with the Hessian of the mean KL of the policy with itself, by double backward."""
    parameters = list(problem.model.parameters())
    live = problem.model(problem.inputs).log_softmax(-1)
    fixed = live.detach() if detached else live
    kl = (fixed.exp() * (fixed - live)).sum(-1).mean()
    first = torch.cat([g.flatten() for g in torch.autograd.grad(kl, parameters, create_graph=True)])
    return torch.cat([g.flatten() for g in torch.autograd.grad(first @ vector, parameters)])


def test_the_fisher_of_the_policy_is_the_hessian_of_its_divergence() -> None:
    problem, _ = perceptron()
    vector = torch.randn(problem.num_parameters, generator=generator("product"), dtype=torch.float64)
    product = fisher(problem) @ vector
    assert_close(kl_hessian_product(problem, vector, detached=True), product, "one side detached")
    # D26: with neither side detached the divergence is zero, and so are all its derivatives
    undetached = kl_hessian_product(problem, vector, detached=False)
    assert float(undetached.norm()) < 1e-12 * float(product.norm())
    with pytest.raises(ClaimViolated):
        assert_close(undetached, product, "neither side detached")


def test_a_divergence_that_is_always_zero_is_noticed() -> None:
    problem, advantages = perceptron()

    class Nothing:
        shape = (problem.num_parameters, problem.num_parameters)

        def __matmul__(self, vector: Tensor) -> Tensor:
            return torch.zeros_like(vector)

    assert natural_policy_gradient(problem, advantages).products > 1
    with pytest.raises(ProblemError, match="no curvature"):
        natural_policy_gradient(problem, advantages, curvature=lambda problem: Nothing())
    with pytest.raises(ProblemError, match="no curvature"):
        trust_region_policy_update(problem, advantages, 0.01, curvature=lambda problem: Nothing())


def test_the_actions_taken_do_not_enter_the_fisher_but_do_enter_the_gradient() -> None:
    problem, advantages = perceptron()
    other = policy_problem(problem.model, problem.inputs, (problem.targets + 1) % 3)
    assert torch.equal(fisher(problem).dense(), fisher(other).dense())
    assert_apart(policy_gradient(problem, advantages), policy_gradient(other, advantages), "other actions")


def test_the_solution_by_products_is_that_of_the_dense_pseudo_inverse() -> None:
    problem, advantages = perceptron()
    slope, matrix = policy_gradient(problem, advantages), fisher(problem).dense()
    values = torch.linalg.eigvalsh(matrix)
    kept = values[values > 1e-10 * values[-1]]
    kappa = float(kept[-1] / kept[0])
    found = natural_policy_gradient(problem, advantages, iterations=None, tolerance=1e-13)
    assert_close(found.direction, pseudo_inverse(matrix, 1e-10) @ slope, "undamped", condition=10 * kappa)
    damped = natural_policy_gradient(problem, advantages, damping=0.1, iterations=None, tolerance=1e-13)
    eye = torch.eye(len(slope), dtype=torch.float64)
    expected = torch.linalg.solve(matrix + 0.1 * eye, slope)
    assert_close(damped.direction, expected, "damped", condition=100)
    assert_close(damped.curvature, expected @ slope, "curvature", condition=100, size=len(slope))
    assert_apart(damped.direction, found.direction, "another damping")
    short = natural_policy_gradient(problem, advantages, damping=0.1, iterations=2)
    assert short.products == 3  # two for the solution, one for its length
    assert_apart(short.direction, expected, "two products")
    assert_close(conjugate_gradients(fisher(problem), slope, 0.1, 1e-13), expected, "scipy", condition=100)
    formed = natural_policy_gradient(
        problem, advantages, damping=0.1, iterations=None, tolerance=1e-13, curvature=lambda problem: fisher(problem).dense()
    )
    assert_close(formed.direction, expected, "products with the matrix", condition=100)


# --- the trust region ------------------------------------------------------------------------------------------------


def ratios(step: Callable[[Problem, Tensor, float], Tensor]) -> list[float]:
    """The true divergence of a step over the one prescribed, as that falls by factors of 100."""
    problem, advantages = perceptron()
    found = []
    for kl in (1e-4, 1e-6, 1e-8):
        moved = problem.vector + step(problem, advantages, kl)
        found.append(float(kl_divergence(problem, moved)) / kl)
    return found


def test_the_divergence_of_the_natural_step_tends_to_the_prescribed_one() -> None:
    errors = [abs(ratio - 1) for ratio in ratios(lambda p, a, kl: natural_policy_gradient(p, a).step(kl))]
    assert errors[2] < 2e-3  # O(sqrt(delta))
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.5)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)
    # the control: a length without the factor two of the divergence
    halved = ratios(lambda p, a, kl: natural_policy_gradient(p, a).step(kl / 2))
    assert halved[2] == pytest.approx(0.5, rel=0.01)


def test_damping_in_both_places_spends_less_than_the_prescribed_divergence() -> None:
    damped = ratios(lambda p, a, kl: natural_policy_gradient(p, a, damping=0.1).step(kl))
    assert damped[2] < 0.9  # the ellipsoid is that of F + lambda I
    undamped = ratios(lambda p, a, kl: natural_policy_gradient(p, a).step(kl))
    assert undamped[2] > 0.99  # the control


def test_the_trust_region_update_keeps_its_constraint_and_improves_the_surrogate() -> None:
    problem, advantages = perceptron()
    for kl in (1e-3, 1.0, 30.0):
        update = trust_region_policy_update(problem, advantages, kl)
        assert update.accepted
        there = problem.vector + update.step
        assert_close(update.kl, kl_divergence(problem, there), "divergence")
        assert_close(update.gain, surrogate_gain(problem, there, advantages), "gain")
        assert float(update.kl) <= kl
        assert float(update.gain) > 0
        natural = natural_policy_gradient(problem, advantages).step(kl)
        assert_close(update.step, 0.5 ** (update.trials - 1) * natural, "shortened", condition=10)
        if update.trials > 1:  # the length before must have failed
            before = problem.vector + 2 * update.step
            fails = float(kl_divergence(problem, before)) > kl or float(surrogate_gain(problem, before, advantages)) <= 0
            assert fails
    assert update.trials > 1  # the control: at the largest radius the quadratic length does not do
    assert float(update.unsearched_kl) != float(update.kl)


def test_a_step_within_the_divergence_that_loses_is_shortened_as_well() -> None:
    # a rare action with a negative advantage: its ratio grows by far more than that of the action which is to be raised
    model = nn.Linear(1, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [-1.5]]))
    problem = policy_problem(model, torch.tensor([[1.0], [3.0]]).double(), torch.tensor([1, 1]))
    advantages = torch.tensor([10.0, -1.0], dtype=torch.float64)
    kl, damping = 0.3, 1.0
    step = natural_policy_gradient(problem, advantages, damping).step(kl)
    assert float(kl_divergence(problem, problem.vector + step)) < kl
    assert float(surrogate_gain(problem, problem.vector + step, advantages)) < 0
    update = trust_region_policy_update(problem, advantages, kl, damping=damping)
    assert update.accepted
    assert update.trials > 1
    assert float(update.gain) > 0
    assert trust_region_policy_update(problem, advantages, 0.01, damping=damping).trials == 1  # the control


def test_an_update_that_cannot_pass_is_no_step() -> None:
    problem, advantages = perceptron()
    refused = trust_region_policy_update(problem, advantages, 30.0, trials=1)
    assert not refused.accepted
    assert float(refused.step.norm()) == float(refused.kl) == float(refused.gain) == 0
    assert trust_region_policy_update(problem, advantages, 30.0, trials=30).accepted  # the control


def test_the_surrogate_has_the_policy_gradient_as_its_slope() -> None:
    problem, advantages = perceptron()
    direction = torch.randn(problem.num_parameters, generator=generator("slope"), dtype=torch.float64)
    slope = policy_gradient(problem, advantages) @ direction
    step = 1e-5 * direction
    up, down = (surrogate_gain(problem, problem.vector + sign * step, advantages) for sign in (1, -1))
    assert float((up - down) / 2e-5) == pytest.approx(float(slope), rel=1e-8)  # central differences: error O(step^2)
    assert float(surrogate_gain(problem, problem.vector, advantages)) == 0
    assert float((up - down) / 2e-5) != pytest.approx(-float(slope), rel=1e-2)
    there = problem.at(problem.vector + direction)
    ratio = there.outputs.softmax(-1) / problem.outputs.softmax(-1)
    expected = ((ratio.gather(1, problem.targets[:, None]).flatten() - 1) * advantages).mean()
    assert_close(surrogate_gain(problem, problem.vector + direction, advantages), expected, "ratios", condition=10, size=40)


# --- advantages ------------------------------------------------------------------------------------------------------


def looped(streams: dict[str, Tensor], discount: float, trace: float) -> Tensor:
    """Advantages by their sums: errors of all later steps of the episode, each with its power of gamma lambda."""
    rewards = streams["rewards"]
    advantages = torch.zeros_like(rewards)
    for b in range(rewards.shape[1]):
        for t in range(len(rewards)):
            factor = 1.0
            for s in range(t, len(rewards)):
                beyond = 0.0 if streams["terminated"][s, b] else float(streams["following"][s, b])
                error = float(rewards[s, b]) + discount * beyond - float(streams["values"][s, b])
                advantages[t, b] += factor * error
                factor *= discount * trace
                if streams["ended"][s, b]:
                    break
    return advantages


def streams() -> dict[str, Tensor]:
    """Two streams of nine steps: one with a terminal state and a cut, the other without an end."""
    draws = generator("advantages")
    real = {name: torch.randn(9, 2, generator=draws, dtype=torch.float64) for name in ("rewards", "values", "following")}
    terminated, ended = torch.zeros(2, 9, 2, dtype=torch.bool)
    terminated[2, 0] = ended[2, 0] = ended[6, 0] = True
    return {**real, "terminated": terminated, "ended": ended}


@pytest.mark.parametrize(("discount", "trace"), [(0.9, 0.8), (1.0, 1.0), (0.9, 0.0)])
def test_advantages_are_the_sums_of_their_formula(discount: float, trace: float) -> None:
    given = streams()
    found = generalized_advantages(**given, discount=discount, trace=trace)
    assert_close(found, looped(given, discount, trace), "advantages", condition=10)
    never = torch.zeros_like(given["ended"])
    wrong = [
        generalized_advantages(**{**given, "terminated": given["ended"]}, discount=discount, trace=trace),
        generalized_advantages(**{**given, "terminated": never}, discount=discount, trace=trace),
    ]
    if trace:
        wrong.append(generalized_advantages(**{**given, "terminated": never, "ended": never}, discount=discount, trace=trace))
        wrong.append(generalized_advantages(**given, discount=discount, trace=trace / 2))
    for other in wrong:  # a cut is no terminal state; a terminal one no cut; episodes do not mix; the trace counts
        with pytest.raises(ClaimViolated):
            assert_close(found, other, "advantages", condition=10)


def test_advantages_of_exact_values_vanish() -> None:
    # a walk whose only path pays 1, 2, 3: values 6, 5, 3 and nothing is better than expected
    rewards = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    values = torch.tensor([[6.0], [5.0], [3.0]], dtype=torch.float64)
    following = torch.tensor([[5.0], [3.0], [99.0]], dtype=torch.float64)  # beyond the end there is nothing
    end = torch.tensor([[False], [False], [True]])
    assert torch.equal(generalized_advantages(rewards, values, following, end, end, 1.0, 0.7), torch.zeros_like(rewards))
    cut = generalized_advantages(rewards, values, following, ~end & end, end, 1.0, 0.7)
    assert float(cut[-1]) == 99  # the control


def test_what_does_not_fit_is_refused() -> None:
    problem, advantages = perceptron()
    with pytest.raises(ProblemError, match="as many advantages"):
        policy_gradient(problem, advantages[1:])
    with pytest.raises(ProblemError, match="is zero"):
        natural_policy_gradient(problem, 0 * advantages)
    with pytest.raises(ProblemError, match="must be positive"):
        natural_policy_gradient(problem, advantages).step(0.0)
    with pytest.raises(ProblemError, match="at least one trial"):
        trust_region_policy_update(problem, advantages, 0.1, trials=0)
    with pytest.raises(ProblemError, match="between 0 and 1"):
        trust_region_policy_update(problem, advantages, 0.1, shrink=1.0)
    given = streams()
    with pytest.raises(ProblemError, match="one shape"):
        generalized_advantages(**{**given, "values": given["values"][1:]}, discount=1.0, trace=1.0)
    with pytest.raises(ProblemError, match="also ends"):
        generalized_advantages(**{**given, "ended": given["ended"] & ~given["ended"]}, discount=1.0, trace=1.0)

"""The large problems: their sizes and tags, draws that repeat, and every parameter at work."""

import subprocess
import sys

import pytest
import torch

from fishergauge.suites.probes.large.catalogue import LARGE, LargeProblem
from fishergauge.suites.tags import tags_of

FAMILIES = ("mlp", "resnet", "transformer")
SMALL = [name for name, entry in LARGE.items() if entry.size in ("1e4", "1e5")]


def test_each_family_comes_in_each_size_and_on_digits() -> None:
    assert {f"{family}-{size}" for family in FAMILIES for size in ("1e4", "1e5", "1e6", "1e7")} <= LARGE.keys()
    assert {f"{family}-digits-{size}" for family in FAMILIES for size in ("1e5", "1e6")} <= LARGE.keys()
    assert len({entry.description for entry in LARGE.values()}) == len(LARGE)


@pytest.mark.parametrize("entry", LARGE.values(), ids=LARGE)
def test_size_and_tags_are_known_before_the_problem_is_made(entry: LargeProblem) -> None:
    problem = entry.problem()
    assert problem.name == entry.name
    assert problem.num_parameters == pytest.approx(float(entry.size), rel=0.1)
    assert tags_of(problem) == entry.tags
    assert problem.dtype == torch.float32


@pytest.mark.parametrize("name", SMALL)
def test_a_problem_is_drawn_from_its_name_and_seed_and_is_the_same_in_both_dtypes(name: str) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (LARGE[name].problem(torch.float64, seed=seed) for seed in (0, 0, 1))
    single = LARGE[name].problem()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.vector, again.vector)
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.vector, other.vector)
    assert not torch.equal(first.inputs, other.inputs)
    rounding = 2 * torch.finfo(torch.float32).eps
    torch.testing.assert_close(single.vector.double(), first.vector, rtol=rounding, atol=0)
    torch.testing.assert_close(single.inputs.double(), first.inputs, rtol=rounding, atol=0)
    assert torch.equal(first.targets, single.targets)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_has_a_gradient_except_the_bias_of_the_keys(name: str) -> None:
    problem = LARGE[name].problem(torch.float64)
    loss = problem.loss(problem.model(problem.inputs), problem.targets)
    gradients = torch.autograd.grad(loss, list(problem.parameters.values()))
    sizes = {key: float(g.norm()) for key, g in zip(problem.parameters, gradients, strict=True)}
    rounding = torch.finfo(torch.float64).eps * max(sizes.values())
    for key, size in sizes.items():
        assert (size < 64 * rounding) == key.endswith("key.bias"), (key, size)


def test_scikit_learn_is_imported_by_the_problems_that_need_it_alone() -> None:
    code = (
        "import sys; from fishergauge.suites.probes.large.catalogue import LARGE; LARGE['transformer-1e4'].problem(); "
        "assert 'sklearn' not in sys.modules; LARGE['mlp-digits-1e5'].problem(); assert 'sklearn' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

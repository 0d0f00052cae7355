"""The structured vectors: what each is, and that they look at every parameter."""

import pytest
import torch
from torch import nn

from fishergauge.reference import Problem, ggn, gradient
from fishergauge.suites.probes.probe_case import ProbeCase
from fishergauge.suites.probes.structured_vectors import MOST_BLOCKS, structured_vectors, supported
from fishergauge.suites.subject import Subject
from fishergauge.suites.tags import tags_of
from fishergauge.suites.zoo import zoo_problem


def case_of(problem: Problem, seed: int = 0) -> ProbeCase:
    return ProbeCase(Subject("right", ggn, "ggn"), problem, tags_of(problem), seed=seed)


@pytest.fixture(scope="module")
def case() -> ProbeCase:
    return case_of(zoo_problem("mlp-tanh-softmax"))


def test_fixed_vectors(case: ProbeCase) -> None:
    forms, size = structured_vectors(case), case.problem.num_parameters
    eye = torch.eye(size, dtype=torch.float64)
    assert torch.equal(forms["the first unit vector"](), eye[0])
    assert torch.equal(forms["the last unit vector"](), eye[-1])
    assert torch.equal(forms["ones"](), torch.ones(size, dtype=torch.float64))
    signs = forms["signs in turn"]()
    assert bool((signs[:-1] == -signs[1:]).all())
    assert torch.equal(forms["the gradient"](), gradient(case.problem))


def test_ends_of_each_parameter(case: ProbeCase) -> None:
    vector = structured_vectors(case)["both ends of each parameter"]()
    ends = {place for part in case.slices().values() for place in (part.start, part.stop - 1)}
    assert set(vector.nonzero().flatten().tolist()) == ends


def test_blocks_cover_every_parameter_once(case: ProbeCase) -> None:
    forms = structured_vectors(case)
    names = list(case.slices())
    own = {name: forms[f"normal entries in {name}"]() for name in names}
    for name, vector in own.items():
        assert set(vector.nonzero().flatten().tolist()) == set(range(*case.slices()[name].indices(len(vector))))
    biases = forms["normal entries in the biases"]()
    expected = {i for name in names if name.endswith("bias") for i in range(*case.slices()[name].indices(len(biases)))}
    assert set(biases.nonzero().flatten().tolist()) == expected


def test_many_parameters_share_vectors() -> None:
    layers = [nn.Linear(2, 2) for _ in range(20)]
    problem = Problem(nn.Sequential(*layers).double(), nn.MSELoss(), [(torch.ones(3, 2).double(), torch.ones(3, 2).double())])
    forms = structured_vectors(case_of(problem))
    runs = [form() for name, form in forms.items() if " to " in name or name.endswith(("weight", "bias"))]
    assert len(runs) == MOST_BLOCKS
    counted = sum((vector != 0).long() for vector in runs)
    assert torch.equal(torch.as_tensor(counted), torch.ones(problem.num_parameters, dtype=torch.long))


def test_one_parameter_gets_no_block() -> None:
    problem = Problem(nn.Linear(2, 1, bias=False), nn.MSELoss(), [(torch.ones(3, 2), torch.ones(3, 1))])
    assert not any("normal entries in" in name for name in structured_vectors(case_of(problem)))


def test_draws_depend_on_the_seed_and_on_nothing_else(case: ProbeCase) -> None:
    part = [slice(0, 4)]
    assert torch.equal(supported(case, part, "a"), supported(case_of(case.problem), part, "a"))
    assert not torch.equal(supported(case, part, "a"), supported(case_of(case.problem, seed=1), part, "a"))

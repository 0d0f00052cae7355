"""The conversions of the adapter of laplace-torch against the reference, each with a control that leaves the conversion out."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, empirical_fisher, ggn
from fishergauge.suites.peers.adapting import settings_of
from fishergauge.suites.peers.of_laplace_torch import peers
from fishergauge.suites.peers.of_laplace_torch_fit import fitted, interface, loader, scale

pytest.importorskip("laplace")

DAMPING = 0.3


def problem_of(loss: nn.Module, targets: Tensor, layers: int = 2) -> Problem:
    """Two batches of different sizes."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(12, 3, generator=generator).double()
    deep = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model = (deep if layers == 2 else nn.Sequential(nn.Linear(3, 2))).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return Problem(model, loss, [(inputs[:7], targets[:7]), (inputs[7:], targets[7:])])


def gaussian(layers: int = 2) -> Problem:
    return problem_of(nn.MSELoss(), torch.randn(12, 2, generator=torch.Generator().manual_seed(1)).double(), layers)


def categorical(ignored: int = 0) -> Problem:
    labels = torch.randint(2, (12,), generator=torch.Generator().manual_seed(1))
    labels[:ignored] = 7
    return problem_of(nn.CrossEntropyLoss(ignore_index=7), labels)


def built(name: str, problem: Problem) -> Any:
    """What a subject returns."""
    subject = next(peer.subject for peer in peers() if peer.subject.name == f"laplace-torch/{name}")
    return subject.build(problem)


def close(one: Tensor, two: Tensor) -> bool:
    return torch.allclose(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("problem", [gaussian(), categorical(), categorical(3)], ids=["squared", "labels", "ignored"])
def test_scale(problem: Problem) -> None:
    exact = ggn(problem).dense()
    ours = built("curvlinops-ggn-full", problem)
    assert close(ours, exact)
    assert not close(ours / scale(problem), exact)  # as the library sums it


def test_scale_of_the_empirical_fisher_is_that_of_squares() -> None:
    squared = gaussian()
    exact = empirical_fisher(categorical()).dense()
    assert close(built("backpack-ef-full", categorical()), exact)  # which leaves hooks on its model
    assert scale(squared, "ef") == 2 * scale(squared)  # gradients, not curvatures, are twice as large


def test_batches_keep_their_sizes() -> None:
    problem = gaussian()
    assert [len(inputs) for inputs, _ in loader(problem, [targets for _, targets in problem.batches])] == [7, 5]
    state = torch.random.get_rng_state()
    list(loader(problem, [targets for _, targets in problem.batches]))
    assert torch.equal(state, torch.random.get_rng_state())


def test_rows_and_columns_of_the_subnetwork_are_put_back() -> None:
    problem = gaussian()
    ours, exact = built("subnetwork-curvlinops-ggn-full", problem), ggn(problem).dense()
    assert close(ours, exact)
    assert not close(ours.flip(0, 1), exact)  # in the order in which the indices are given


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
@pytest.mark.parametrize("problem", [gaussian(), categorical()], ids=["squared", "labels"])
def test_prior_precision_is_the_damping(structure: str, problem: Problem) -> None:
    posterior = built(f"posterior-{structure}", problem)
    plain = built(f"curvlinops-ggn-{structure}", problem)
    unit = torch.eye(problem.num_parameters).double()
    assert close(posterior @ unit, plain)
    assert close(posterior.solve(unit, DAMPING), torch.linalg.inv(plain + DAMPING * unit))
    with settings_of(problem):
        likelihood = "regression" if isinstance(problem.loss, nn.MSELoss) else "classification"
        other = fitted(problem, "all", "diag", backend=interface("curvlinops", "ggn"), prior_precision=DAMPING)
    assert other.likelihood == likelihood
    assert not close(1 / other.posterior_precision, torch.linalg.inv(plain + DAMPING * unit).diagonal())  # not our objective


def test_last_layer_is_the_whole_of_one_layer() -> None:
    problem = gaussian(layers=1)
    assert close(built("last-layer-curvlinops-ggn-full", problem), ggn(problem).dense())
    with pytest.raises(NotImplementedError, match="last layer only"):
        built("last-layer-curvlinops-ggn-full", gaussian())


def test_losses_without_a_name_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="by name"):
        built("curvlinops-ggn-full", problem_of(nn.BCEWithLogitsLoss(), torch.ones(12, 2).double()))
    weighted = problem_of(nn.CrossEntropyLoss(weight=torch.ones(2).double()), torch.ones(12, dtype=torch.long))
    with pytest.raises(NotImplementedError, match="no class weights"):
        built("curvlinops-ggn-full", weighted)

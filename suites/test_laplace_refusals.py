"""What a Laplace posterior and its predictive distributions refuse by name, instead of answering wrongly."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ggn
from fishergauge.reference.class_probabilities import class_probabilities
from fishergauge.reference.errors import ProblemError, UnsupportedError
from fishergauge.reference.gaussian_predictive import GaussianPredictive
from fishergauge.reference.gaussian_prior import GaussianPrior
from fishergauge.reference.laplace import laplace
from fishergauge.reference.laplace_predictive import linearized_outputs, linearized_predictive, sampled_predictive
from fishergauge.reference.last_layer import last_layer
from fishergauge.reference.posterior_structure import STRUCTURES
from fishergauge.reference.sampled_network import outputs_at
from fishergauge.suites.closeness import assert_close
from fishergauge.suites.seeding import generator


def _squared() -> Problem:
    draws = generator("laplace refusals")
    inputs, targets = torch.randn(5, 2, generator=draws).double(), torch.randn(5, 2, generator=draws).double()
    return Problem(nn.Linear(2, 2).double(), nn.MSELoss(), [(inputs, targets)])


def _classes() -> Problem:
    inputs = torch.randn(6, 2, generator=generator("laplace refusals")).double()
    return Problem(nn.Linear(2, 3).double(), nn.CrossEntropyLoss(), [(inputs, torch.tensor([0, 1, 2, 0, 1, 2]))])


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (GaussianPrior(1.0, math.nan), "prior mean has entries"),
        (GaussianPrior(1.0, torch.full((6,), math.inf)), "prior mean has entries"),
        (GaussianPrior(1.0, "zero"), "prior mean consists"),  # type: ignore[arg-type]
        (torch.triu(torch.ones(6, 6)) + 6 * torch.eye(6), "not symmetric"),
        ("one", "precision consists"),
        (torch.ones(6, dtype=torch.complex128), "precision consists"),
    ],
)
def test_a_prior_that_is_none_is_refused(prior: Any, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        laplace(_squared(), prior=prior)


def test_a_prior_takes_integers_and_tensors_with_gradients() -> None:
    problem = _squared()
    expected = laplace(problem, prior=GaussianPrior(2.0, 1.0)).log_evidence()
    tracked = GaussianPrior(torch.full((6,), 2, dtype=torch.long), torch.ones(6, dtype=torch.float64, requires_grad=True))
    found = laplace(problem, prior=tracked).log_evidence()
    assert not found.requires_grad
    assert_close(found, expected, "integers and gradients", condition=10)


def test_a_sparse_matrix_is_taken_and_a_complex_one_refused() -> None:
    problem = _squared()
    matrix = ggn(problem).dense()
    for structure in ("full", "block-diagonal", "diagonal", "low-rank"):
        expected = laplace(problem, matrix, structure).precision.dense()
        assert_close(laplace(problem, matrix.to_sparse(), structure).precision.dense(), expected, "sparse")
        with pytest.raises(ProblemError, match="complex"):
            laplace(problem, matrix + 1j * matrix, structure)
    with pytest.raises(ProblemError, match="integer"):
        laplace(problem, structure="low-rank", rank=1.5)  # type: ignore[arg-type]


def test_one_observation_variance_serves_all_outputs() -> None:
    for variance in (torch.ones(2), "one"):
        with pytest.raises(ProblemError, match="one number"):
            laplace(_squared(), observation_variance=variance)  # type: ignore[arg-type]
    posterior = laplace(_squared())
    with pytest.raises(ProblemError, match="a scalar"):
        posterior.log_evidence_at(torch.zeros(()).double(), torch.zeros(3).double())


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_refuses_rows_of_another_length(structure: Any) -> None:
    precision = laplace(_squared(), structure=structure).precision
    calls: list[Callable[[Tensor], Tensor]] = [precision.unwhiten, precision.project, precision.whiten]
    for call in calls:
        assert call(torch.ones(2, 6).double()).shape == (2, 6)
        for rows in (torch.ones(2, 1), torch.ones(1, 12), torch.ones(2, 7), torch.ones(6)):
            with pytest.raises(ProblemError, match="vectors of length 6"):
                call(rows.double())
    for wrong in (torch.ones(()), torch.ones(2, 6, 3), torch.ones(1, 6)):
        with pytest.raises(ProblemError, match="vectors of length 6"):
            precision.solve(wrong.double())
    with pytest.raises(ProblemError, match="vectors of length 6"):
        precision.quadratic(torch.ones(6).double())


def test_a_posterior_stays_where_it_was_made_when_training_goes_on() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1)).double().eval()
    inputs = torch.randn(5, 2, generator=generator("laplace refusals")).double()
    posterior = laplace(Problem(model, nn.MSELoss(), [(inputs, inputs[:, :1])]))
    before = linearized_predictive(posterior, inputs)
    sampled = sampled_predictive(posterior, inputs, 2, generator("kept"))
    model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    after = linearized_predictive(posterior, inputs)
    assert torch.equal(after.mean, before.mean)
    assert torch.equal(after.covariance, before.covariance)
    assert torch.equal(sampled_predictive(posterior, inputs, 2, generator("kept")), sampled)


@pytest.mark.parametrize("draws", [0, -1, 1.5])
def test_draws_are_a_positive_number(draws: Any) -> None:
    posterior, inputs = laplace(_classes()), torch.ones(2, 2).double()
    calls: list[Callable[[], Tensor]] = [
        lambda: posterior.sample(draws, generator("draws")),
        lambda: sampled_predictive(posterior, inputs, draws, generator("draws")),
        lambda: class_probabilities(linearized_predictive(posterior, inputs), "monte-carlo", draws, generator("draws")),
    ]
    for call in calls:
        with pytest.raises(ProblemError, match="positive integer"):
            call()


def test_no_draw_comes_from_the_global_generator() -> None:
    posterior = laplace(_squared())
    state = torch.get_rng_state()
    for source in (None, torch.Generator("cuda") if torch.cuda.is_available() else 0):
        with pytest.raises(ProblemError, match=r"torch\.Generator on cpu"):
            posterior.sample(2, source)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "inputs", [torch.ones(3, 5).double(), torch.ones(3, 2), torch.ones(0, 2).double(), torch.ones(()).double(), [[1.0, 2.0]]]
)
def test_inputs_that_the_model_refuses_are_named(inputs: Any) -> None:
    posterior = laplace(_squared())
    for call in (
        lambda: linearized_predictive(posterior, inputs),
        lambda: sampled_predictive(posterior, inputs, 2, generator("inputs")),
        lambda: linearized_outputs(posterior, inputs, posterior.mean[None]),
    ):
        with pytest.raises(ProblemError, match="inputs"):
            call()


def test_samples_of_another_length_are_refused() -> None:
    problem, inputs = _squared(), torch.ones(3, 2).double()
    for samples in (torch.ones(6), torch.ones(2, 7), torch.ones(2, 1)):
        with pytest.raises(ProblemError, match="expected samples"):
            linearized_outputs(laplace(problem), inputs, samples.double())
        with pytest.raises(ProblemError, match="expected vectors"):
            outputs_at(problem, samples.double(), inputs)
    with pytest.raises(ProblemError, match="S > 0"):
        outputs_at(problem, torch.ones(0, 6).double(), inputs)


def test_a_density_takes_values_in_the_order_of_the_outputs() -> None:
    problem = _squared()
    noisy = linearized_predictive(laplace(problem), torch.ones(3, 2).double()).with_noise()
    for values in (torch.ones(2, 3), torch.ones(6), torch.ones(3, 3)):
        with pytest.raises(ProblemError, match="expected values"):
            noisy.log_density(values.double())
    flat = GaussianPredictive(torch.zeros(1, 2), torch.zeros(1, 2, 2), problem.likelihood)
    with pytest.raises(ProblemError, match="singular"):
        flat.log_density(torch.zeros(1, 2))


def test_a_block_comes_from_a_matrix_over_all_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    last = last_layer(Problem(model, nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))]))
    for size in (12, 14):
        with pytest.raises(ProblemError, match="all 13 parameters"):
            last.block(torch.ones(size, size))
    assert last.embed(torch.ones(2, 4).double()).dtype == torch.float32


def test_a_dense_prior_has_an_evidence_but_no_logarithms_of_its_entries() -> None:
    prior = torch.eye(6).double()
    prior[0, 1] = prior[1, 0] = -0.1
    posterior = laplace(_squared(), prior=prior, observation_variance=0.3)
    assert bool(posterior.log_evidence().isfinite())
    with pytest.raises(UnsupportedError, match=r"take log_evidence\(\) of posterior.at"):
        posterior.log_evidence_at(torch.zeros(6, 6).double(), torch.zeros(()).double())

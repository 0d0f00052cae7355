"""The last layer alone: its problem, its block of every matrix, and the way back to the whole."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ProblemError, UnsupportedError, empirical_fisher, fisher, ggn, hessian, objective
from fishergauge.reference.laplace import laplace
from fishergauge.reference.laplace_predictive import linearized_predictive, sampled_predictive
from fishergauge.reference.last_layer import last_layer
from fishergauge.reference.posterior_structure import STRUCTURES, Structure
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.zoo import zoo_problem

NAMES = ["mlp-tanh-softmax", "mlp-tanh-gaussian", "mlp-sigmoid-binary", "cnn", "batch-norm", "frozen-first-layer"]

every_problem = pytest.mark.parametrize("name", NAMES)


@every_problem
@pytest.mark.parametrize("curvature", [ggn, fisher, empirical_fisher, hessian])
def test_the_curvature_of_the_last_layer_is_its_block_of_the_whole(name: str, curvature: object) -> None:
    problem = zoo_problem(name)
    last = last_layer(problem)
    whole, alone = curvature(problem).dense(), curvature(last.problem).dense()  # type: ignore[operator]
    assert_close(alone, last.block(whole), "block")
    shifted = whole.roll((1, 1), (0, 1))
    assert_apart(alone, last.block(shifted), "the block one parameter before")


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-tanh-gaussian"])
def test_the_posterior_of_the_last_layer_has_the_block_of_the_precision(name: str, structure: Structure) -> None:
    problem = zoo_problem(name)
    last = last_layer(problem)
    found = laplace(last.problem, structure=structure, prior=1.7)
    assert_close(found.mean, last.restrict(problem.vector), "mean")
    if structure != "low-rank":  # eigenpairs of the whole are others
        expected = last.block(laplace(problem, structure=structure, prior=1.7).precision.dense())
        assert_close(found.precision.dense(), expected, "block of the precision", size=problem.num_parameters)
    whole = laplace(problem, structure="full", prior=1.7)
    conditional = torch.linalg.solve(last.block(whole.precision.dense()), torch.eye(len(last.index)).double())
    full = laplace(last.problem, prior=1.7)
    assert_close(full.covariance(), conditional, "the covariance given the other layers", condition=100)
    assert_apart(full.covariance(), last.block(whole.covariance()), "the marginal covariance is larger")


def test_the_predictive_of_the_last_layer_is_by_its_features() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    last = last_layer(problem)
    posterior = laplace(last.problem, prior=1.7)
    model = problem.model
    assert isinstance(model, nn.Sequential)
    with torch.no_grad():
        features = model[:-1](problem.inputs)
    covariance = posterior.covariance()
    weights, width = 3 * features.shape[1], features.shape[1]
    expected = features.new_zeros(len(features), 3, 3)
    for n, phi in enumerate(features):
        for c in range(3):
            for d in range(3):
                u, v = features.new_zeros(2, len(covariance))
                u[c * width : (c + 1) * width], v[d * width : (d + 1) * width] = phi, phi
                u[weights + c], v[weights + d] = 1, 1
                expected[n, c, d] = u @ covariance @ v
    found = linearized_predictive(posterior, problem.inputs)
    assert_close(found.covariance, expected, "phi' Sigma phi", condition=10, size=len(covariance))
    assert_apart(found.covariance, linearized_predictive(laplace(problem, prior=1.7), problem.inputs).covariance, "all layers")


@every_problem
def test_parameters_go_to_the_whole_and_back(name: str) -> None:
    problem = zoo_problem(name)
    last = last_layer(problem)
    samples = laplace(last.problem).sample(4, generator("last", name))
    whole = last.embed(samples)
    assert torch.equal(last.restrict(whole), samples)
    others = torch.ones(problem.num_parameters, dtype=torch.bool)
    others[last.index] = False
    assert torch.equal(whole[:, others], problem.vector[others].expand(4, -1))
    for vector, sample in zip(whole, samples, strict=True):
        at = problem.at(vector).outputs
        assert_close(last.problem.at(sample).outputs, at, "same network", size=problem.num_parameters)
        assert_apart(problem.outputs, at, "moved")
    assert torch.equal(last.embed(samples[0]), whole[0])
    for call, length in ((last.restrict, problem.num_parameters), (last.embed, len(last.index))):
        with pytest.raises(ProblemError, match=f"length {length}"):
            call(torch.zeros(length + 1))


def test_a_sampled_last_layer_is_linear_in_its_samples() -> None:
    last = last_layer(zoo_problem("mlp-tanh-softmax")).problem
    posterior = laplace(last)
    source = torch.Generator().manual_seed(2)
    outputs = sampled_predictive(posterior, last.inputs, 3, source)
    samples = posterior.sample(3, torch.Generator().manual_seed(2))
    middle = last.at(samples.mean(0)).outputs
    assert_close(outputs.mean(0), middle, "mean of outputs = output of the mean")
    assert_apart(outputs[0], middle, "one of them")


def test_the_original_problem_is_left_alone() -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    before, trained = problem.vector, list(problem.parameters)
    last = last_layer(problem)
    with torch.no_grad():
        for parameter in last.problem.model.parameters():
            parameter.add_(1)
    assert torch.equal(problem.vector, before)
    assert list(problem.parameters) == trained
    assert list(last.problem.parameters) == ["2.weight", "2.bias"]
    assert last.name == "2"


def test_the_last_layer_of_a_linear_model_is_the_whole() -> None:
    problem = zoo_problem("softmax-regression")
    last = last_layer(problem)
    assert torch.equal(last.index, torch.arange(problem.num_parameters))
    assert_close(objective(last.problem), objective(problem), "the same objective")
    assert last.problem.facts.linear_in_parameters


class _Scaled(nn.Module):
    """A layer whose output is changed afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs)
        return 2 * outputs


def test_networks_without_a_last_linear_layer_are_refused() -> None:
    data = [(torch.ones(3, 2), torch.zeros(3, 1))]
    for model in (nn.Sequential(nn.Linear(2, 1), nn.Tanh()), _Scaled()):
        with pytest.raises(UnsupportedError, match="not those of a Linear"):
            last_layer(Problem(model, nn.MSELoss(), data))
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    frozen[2].requires_grad_(False)
    with pytest.raises(UnsupportedError, match="not those of a Linear"):
        last_layer(Problem(frozen, nn.MSELoss(), data))
    with pytest.raises(UnsupportedError, match="tied or used several times"):
        last_layer(zoo_problem("tied-autoencoder"))
    twice = nn.Linear(2, 2)
    with pytest.raises(UnsupportedError, match="tied or used several times"):
        last_layer(Problem(nn.Sequential(twice, nn.Tanh(), twice), nn.MSELoss(), [(torch.ones(3, 2), torch.zeros(3, 2))]))


def test_a_trainable_bias_alone_is_a_last_layer() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    model[2].weight.requires_grad_(False)
    last = last_layer(Problem(model, nn.MSELoss(), [(torch.ones(3, 2), torch.zeros(3, 1))]))
    assert list(last.problem.parameters) == ["2.bias"]
    assert last.index.tolist() == [6]


def test_the_last_of_two_layers_with_the_same_outputs_is_taken() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model.get_parameter("1.weight").copy_(torch.eye(2))
    last = last_layer(Problem(model, nn.MSELoss(), [(torch.ones(3, 2), torch.zeros(3, 2))]))
    assert list(last.problem.parameters) == ["1.weight"]

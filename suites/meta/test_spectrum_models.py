"""The models of the spectrum: what they are made of, and what their data are made into."""

import math

import pytest
import torch
from torch import nn

from fishergauge.reference import FAMILIES, fisher
from fishergauge.suites.seeding import generator
from fishergauge.suites.spectrum.models import (
    MODELS,
    PAPER_FEATURES,
    ZeroLogit,
    as_images,
    spectrum_problem,
    steadiest,
    varying,
)
from fishergauge.suites.spectrum_cases import SMALL, data, families_of, small

SHIFTED = {"unit-affine", "inputs-affine", "affine"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_drawn_from_its_name_and_in_its_dtype(model: str, dtype: torch.dtype) -> None:
    inputs, labels = data(*SMALL[model])
    state = torch.random.get_rng_state()
    one, two = (spectrum_problem(model, inputs, labels, 3, dtype, "d") for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    other = spectrum_problem(model, inputs, labels, 3, dtype, "e")
    assert torch.equal(one.vector, two.vector)
    assert not torch.equal(one.vector, other.vector)
    assert (one.dtype, one.inputs.dtype, one.name) == (dtype, dtype, f"{model}-d")
    assert torch.equal(one.vector, spectrum_problem(model, inputs, labels, 3, torch.float64, "d").vector.to(dtype))
    assert one.facts == MODELS[model].facts


@pytest.mark.parametrize("model", MODELS)
def test_parameters_have_the_size_that_torch_gives_them(model: str) -> None:
    for module in small(model).problem.model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            limit = 1 / math.sqrt(module.weight[0].numel())
            values = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
            assert limit / 2 < float(values.abs().max()) <= limit
            assert float(values.min()) < 0 < float(values.max())


@pytest.mark.parametrize(("model", "count"), [("softmax", 15), ("softmax-reduced", 10), ("linear-gaussian", 18), ("mlp", 31)])
def test_the_number_of_parameters(model: str, count: int) -> None:
    assert small(model).problem.num_parameters == count


def test_one_logit_less_is_the_same_model_without_a_common_shift() -> None:
    whole, reduced = small("softmax").problem, small("softmax-reduced").problem
    assert torch.linalg.matrix_rank(fisher(whole).dense(), hermitian=True) == 10
    assert torch.linalg.matrix_rank(fisher(reduced).dense(), hermitian=True) == 10
    assert torch.equal(ZeroLogit()(torch.ones(2, 2)), torch.tensor([[1.0, 1.0, 0.0]] * 2))
    # any model of the first kind is one of the second: the logits less the last one
    weight = next(iter(whole.parameters.values())).detach()
    logits = reduced.at((weight[:-1] - weight[-1]).flatten()).outputs
    torch.testing.assert_close(logits.softmax(-1), whole.outputs.softmax(-1))


def test_squared_error_gets_indicators() -> None:
    inputs, labels = data(6, 5, 50)
    problem = spectrum_problem("linear-gaussian", inputs, labels, 5, torch.float64)
    assert problem.targets.shape == (50, 3)
    assert torch.equal(problem.targets.argmax(1)[labels < 3], labels[labels < 3])
    assert bool((problem.targets[labels >= 3] == 0).all())
    assert problem.name == "linear-gaussian"
    two = spectrum_problem("linear-gaussian", inputs, labels % 2, 2, torch.float64)
    assert two.outputs.shape == two.targets.shape == (50, 2)


def test_costly_models_see_a_subset() -> None:
    inputs, labels = data(4, 3, 1200)
    seen = {model: spectrum_problem(model, inputs, labels, 3, torch.float64).num_samples for model in MODELS}
    assert seen == {model: one.subset or 1200 for model, one in MODELS.items()}
    assert seen["softmax"] == 1200


def test_features_that_never_vary_are_left_out() -> None:
    inputs = torch.randn(30, 5, generator=generator("varying")).double()
    inputs[:, 2] = 7.0
    assert torch.equal(varying(inputs), inputs[:, [0, 1, 3, 4]])
    assert spectrum_problem("mlp", inputs, torch.zeros(30).long(), 3, torch.float64).inputs.shape == (30, 4)


def test_features_that_vary_in_few_samples_are_left_out_first() -> None:
    inputs = torch.randn(60, 20, generator=generator("steadiest")).double()
    inputs[:, [3, 11]] = 0.0
    inputs[0, 3], inputs[1, 11] = 1.0, 1.0
    chosen = steadiest(inputs, 18)
    assert torch.equal(chosen, inputs[:, [k for k in range(20) if k not in (3, 11)]])
    assert steadiest(inputs, 20) is inputs
    problem = spectrum_problem("softmax", inputs, torch.arange(60) % 3, 3, torch.float64)
    assert problem.inputs.shape == (60, PAPER_FEATURES)
    assert torch.equal(5.0 * steadiest(inputs, 7) + 1, steadiest(5.0 * inputs + 1, 7))


@pytest.mark.parametrize(("features", "side"), [(16, 2), (17, 3), (36, 3), (64, 4), (1, 1)])
def test_vectors_become_square_images(features: int, side: int) -> None:
    vectors = torch.randn(7, features, generator=generator("images", features))
    images = as_images(vectors)
    assert images.shape == (7, 4, side, side)
    assert torch.equal(images.flatten(1)[:, :features], vectors)
    assert bool((images.flatten(1)[:, features:] == 0).all())


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_maps_of_the_families_that_fit_it(model: str) -> None:
    missing = set(FAMILIES) - set(families_of(small(model).problem))
    expected = {
        "softmax": {*SHIFTED, "hidden-affine", "joint-kronecker"},
        "softmax-reduced": {*SHIFTED, "hidden-affine", "joint-kronecker"},
        "linear-gaussian": {"hidden-affine"},
        "mlp": set[str](),
        "cnn": set[str](),
    }
    assert missing == expected[model]

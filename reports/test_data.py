import pytest
import torch

from fishergauge.reports.data import NAMES, DataError, class_centres, generate, load
from fishergauge.reports.initial_parameters import initial_parameters


def notebook_generate(n_samples: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The notebook's generator, literally, with the global generator."""
    torch.manual_seed(seed)
    centers = torch.randn(10, 16, dtype=torch.float64)
    Q, _ = torch.linalg.qr(centers.T)
    centers = Q[:, :10].T * 2.5
    samples_per_class = n_samples // 10
    X_list, y_list = [], []
    for c in range(10):
        X_list.append(centers[c] + torch.randn(samples_per_class, 16, dtype=torch.float64) * 1.0)
        y_list.append(torch.full((samples_per_class,), c, dtype=torch.long))
    X, y = torch.cat(X_list), torch.cat(y_list)
    perm = torch.randperm(X.shape[0])
    return X[perm], y[perm]


@pytest.mark.parametrize(("count", "seed"), [(5000, 42), (1000, 43)])
def test_the_draws_are_the_notebooks(count: int, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        expected = notebook_generate(count, seed)
    inputs, labels = generate(n_samples=count, seed=seed)
    assert torch.equal(inputs, expected[0])
    assert torch.equal(labels, expected[1])


def test_initial_parameters_are_those_of_a_seeded_linear_layer() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layer = torch.nn.Linear(16, 10, bias=False, dtype=torch.float64)
    assert torch.equal(initial_parameters(3, 16, 10), layer.weight)
    assert not torch.equal(initial_parameters(4, 16, 10), layer.weight)


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    generate(n_samples=50)
    initial_parameters(0, 4, 3)
    load.__wrapped__("synthetic")
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_published_test_set_has_other_classes_and_the_fair_one_the_same() -> None:
    data = load("synthetic")
    centres = class_centres(torch.Generator().manual_seed(42))
    assert data.published_test is not None

    def distance(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        means = torch.stack([inputs[labels == c].mean(0) for c in range(10)])
        return float((means - centres).norm(dim=1).max())

    assert distance(data.inputs, data.targets) < 0.5
    assert distance(data.test_inputs, data.test_targets) < 0.8
    assert distance(*data.published_test) > 2


@pytest.mark.parametrize("name", NAMES)
def test_training_inputs_have_full_rank_and_both_parts_are_disjoint_in_shape(name: str) -> None:
    data = load(name)
    assert data.inputs.dtype == torch.float64
    assert data.inputs.shape == (len(data.targets), data.num_features)
    assert data.test_inputs.shape == (len(data.test_targets), data.num_features)
    assert int(torch.linalg.matrix_rank(data.inputs)) == data.num_features
    assert sorted(set(data.targets.tolist())) == list(range(data.num_classes)) == sorted(set(data.test_targets.tolist()))
    if name != "synthetic":
        assert data.published_test is None
        torch.testing.assert_close(data.inputs.mean(0), torch.zeros(data.num_features, dtype=torch.float64), atol=1e-12, rtol=0)
        torch.testing.assert_close(data.inputs.square().mean(0), torch.ones(data.num_features, dtype=torch.float64))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="no data set 'mnist'; choose from synthetic, digits, wine, breast-cancer"):
        load("mnist")

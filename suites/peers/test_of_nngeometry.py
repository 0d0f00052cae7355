"""The adapters of nngeometry convert scale, batches, dtype and damping, and hand refusals over; each with a control."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fishergauge.reference import Problem, empirical_fisher, fisher
from fishergauge.suites.matrix import densified
from fishergauge.suites.peers import of_nngeometry_build as build
from fishergauge.suites.peers.of_nngeometry import peers
from fishergauge.suites.peers.of_nngeometry_matrix import Operator, loader_of

pytest.importorskip("nngeometry")

DENSE = partial(build.fisher, representation="PMatDense")


def _data(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    return [(draw(size, 3), draw(size, 2)) for size in sizes]


def _regression(*sizes: int, reduction: str = "mean") -> Problem:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2)).double()
    return Problem(model, nn.MSELoss(reduction=reduction), _data(*sizes))


def _classification(**options: object) -> Problem:
    plain = _regression(5)
    labels = torch.tensor([0, 1, 0, 1, 1])
    return Problem(plain.model, nn.CrossEntropyLoss(**options), [(plain.inputs, labels)])  # type: ignore[arg-type]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_scale_of_squared_error_is_that_of_the_loss(reduction: str) -> None:
    problem = _regression(4, reduction=reduction)
    found = DENSE(problem)
    torch.testing.assert_close(densified(found, problem), fisher(problem).dense())
    found.scale /= 2  # the Gaussian of variance one, not converted
    assert not torch.allclose(densified(found, problem), fisher(problem).dense())


def test_a_solution_is_scaled_with_its_damping() -> None:
    problem = _regression(4, reduction="sum")
    found, right = DENSE(problem), torch.ones(problem.num_parameters, dtype=torch.float64)
    expected = torch.linalg.solve(fisher(problem).dense() + 0.3 * torch.eye(len(right), dtype=torch.float64), right)
    torch.testing.assert_close(found.solved(lambda m, v, d: m.solve(v, regul=d), right, 0.3), expected)
    unscaled = found.solved(lambda m, v, d: m.solve(v, regul=d * found.scale), right, 0.3)
    assert not torch.allclose(unscaled, expected)


def test_batches_reach_the_library_as_they_are() -> None:
    problem = _regression(1, 3, 2)
    assert [len(inputs) for inputs, _ in loader_of(problem)] == [1, 3, 2]
    plain = DataLoader(TensorDataset(problem.inputs, problem.targets), batch_size=1, generator=torch.Generator())
    assert [len(inputs) for inputs, _ in plain] != [1, 3, 2]
    assert loader_of(_regression(3, 3, 2)).batch_size == 3


def test_float64_needs_the_default_dtype() -> None:
    problem = _classification()
    torch.testing.assert_close(densified(DENSE(problem), problem), fisher(problem).dense())
    assert torch.get_default_dtype() is torch.float32
    with pytest.raises(RuntimeError, match="same dtype"):
        build.fisher_as_it_is(problem, "PMatDense")


def test_masked_labels_are_absent_in_the_empirical_fisher() -> None:
    problem = _classification(ignore_index=0)
    found = build.empirical_fisher(problem, "PMatDense")
    torch.testing.assert_close(densified(found, problem), empirical_fisher(problem).dense())
    found.scale = 1.0  # the mean over all samples, not converted
    assert not torch.allclose(densified(found, problem), empirical_fisher(problem).dense())


def test_the_eigenvalues_are_updated() -> None:
    problem, exact = _classification(), fisher(_classification()).dense().trace()
    torch.testing.assert_close(build.fisher(problem, "PMatEKFAC").trace(), exact)
    assert not torch.isclose(build.fisher(problem, "PMatEKFAC", update=False).trace(), exact)


def test_what_cannot_be_said_or_is_refused() -> None:
    for options in ({"weight": torch.ones(2).double()}, {"label_smoothing": 0.1}, {"ignore_index": 0}):
        with pytest.raises(NotImplementedError, match="know no"):
            DENSE(_classification(**options))
    tokens = Problem(
        nn.Sequential(nn.Embedding(3, 2), nn.Flatten()), nn.MSELoss(), [(torch.ones(2, 1).long(), torch.ones(2, 2))]
    )
    with pytest.raises(NotImplementedError, match="refuses: I do not know what to do with layer Embedding"):
        DENSE(tokens)
    with pytest.raises(NotImplementedError, match="without a message"):
        build.drawn(_regression(4), 1, "PMatDense")


def test_subjects_are_named_once_and_give_operators() -> None:
    names = [peer.subject.name for peer in peers()]
    assert len(set(names)) == len(names)
    assert isinstance(DENSE(_regression(4)), Operator)

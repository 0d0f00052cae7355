"""A malformed problem is refused with its cause and a remedy."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, ProblemError, ggn, gradient

X, Y, C = torch.ones(4, 2), torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
LINEAR = nn.Linear(2, 3)


class _Wrapped(nn.Module):
    """A linear layer whose outputs are passed through a function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.function = function

    def forward(self, inputs: Tensor) -> object:
        return self.function(self.linear(inputs))


def _frozen() -> nn.Module:
    return nn.Linear(2, 3).requires_grad_(False)


def _mixed() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3).double())


CASES: dict[str, tuple[Callable[[], Problem], str]] = {
    "loss-unknown": (lambda: Problem(LINEAR, nn.L1Loss(), [(X, Y)]), "no likelihood is known for L1Loss; use one of MSELoss"),
    "reduction-none": (lambda: Problem(LINEAR, nn.MSELoss(reduction="none"), [(X, Y)]), "needs 'mean' or 'sum'"),
    "no-batch": (lambda: Problem(LINEAR, nn.MSELoss(), []), "at least one batch"),
    "empty-batches": (lambda: Problem(LINEAR, nn.MSELoss(), [(X[:0], Y[:0])]), "all batches are empty"),
    "counts-differ": (lambda: Problem(LINEAR, nn.MSELoss(), [(X, Y[:3])]), "must share their first axis"),
    "no-tensors": (lambda: Problem(LINEAR, nn.MSELoss(), [([1.0], [2.0])]), "must be tensors"),  # type: ignore[list-item]
    "batches-differ": (
        lambda: Problem(nn.Identity(), nn.MSELoss(), [(X, X), (torch.ones(4, 3), torch.ones(4, 3))]),
        "inputs of the batches differ beyond their first axis",
    ),
    "nothing-to-train": (lambda: Problem(_frozen(), nn.MSELoss(), [(X, Y)]), "no parameter that requires gradients"),
    "several-dtypes": (lambda: Problem(_mixed(), nn.MSELoss(), [(X, Y)]), "several dtypes or devices"),
    "broadcast": (lambda: Problem(LINEAR, nn.MSELoss(), [(X, Y[:, :1])]), "torch would broadcast silently"),
    "target-dtype": (lambda: Problem(LINEAR, nn.MSELoss(), [(X, Y.double())]), "convert the targets"),
    "labels-float-shape": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(), [(X, Y[:, 0])]), "class probabilities must have"),
    "labels-int": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(), [(X, C.int())]), "must be torch.long, not torch.int32"),
    "labels-shape": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(), [(X, C[:, None])]), "the class axis is the second"),
    "labels-range": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(), [(X, C + 1)]), r"run from 1 to 3, outside 0 to 2"),
    "all-ignored": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(), [(X, C * 0 - 100)]), "a mean over nothing is undefined"),
    "class-axis": (lambda: Problem(nn.Flatten(0), nn.CrossEntropyLoss(), [(X, C)]), "no parameter|needs outputs"),
    "class-weights": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(torch.ones(2)), [(X, C)]), "do not fit outputs with 3"),
    "negative-weights": (lambda: Problem(LINEAR, nn.CrossEntropyLoss(-torch.ones(3)), [(X, C)]), "must not be negative"),
    "bce-range": (lambda: Problem(LINEAR, nn.BCEWithLogitsLoss(), [(X, Y + 2)]), "must lie between 0 and 1"),
    "bce-weight": (
        lambda: Problem(LINEAR, nn.BCEWithLogitsLoss(torch.ones(2, 1)), [(X[:2], Y[:2]), (X[2:], Y[2:])]),
        r"weight \(2, 1\) does not fit all outputs together, \(4, 3\); it may have the shapes",
    ),
    "bce-negative": (lambda: Problem(LINEAR, nn.BCEWithLogitsLoss(pos_weight=-torch.ones(3)), [(X, Y)]), "not be negative"),
    "dropout": (lambda: Problem(nn.Sequential(LINEAR, nn.Dropout()), nn.MSELoss(), [(X, Y)]), r"call model\.eval\(\) first"),
    "batch-norm": (
        lambda: Problem(nn.Sequential(LINEAR, nn.BatchNorm1d(3)), nn.MSELoss(), [(X, Y)]),
        r"1 \(BatchNorm1d\) mixes the samples",
    ),
    "max-norm": (
        lambda: Problem(nn.Embedding(3, 3, max_norm=1.0), nn.MSELoss(), [(C, Y)]),
        "max_norm and scale_grad_by_freq make the gradient no derivative",
    ),
    "several-outputs": (
        lambda: Problem(_Wrapped(lambda z: (z, z)), nn.MSELoss(), [(X, Y)]),
        "one tensor, not tuple",
    ),
    "samples-lost": (
        lambda: Problem(_Wrapped(lambda z: z.mean(0)), nn.MSELoss(), [(X, Y)]),
        "the first axis of inputs and outputs must count the samples",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_problem_is_refused(case: str) -> None:
    build, message = CASES[case]
    with pytest.raises(ProblemError, match=message):
        build()


def test_a_model_that_mixes_samples_is_refused_when_rows_are_asked_for() -> None:
    problem = Problem(_Wrapped(lambda z: z - z.mean(0)), nn.MSELoss(), [(torch.arange(8.0).view(4, 2), Y)])
    with pytest.raises(ProblemError, match="mixes samples"):
        ggn(problem).dense()


def test_random_outputs_are_refused_when_rows_are_asked_for() -> None:
    problem = Problem(_Wrapped(lambda z: nn.functional.dropout(z, training=True)), nn.MSELoss(), [(X, Y)])
    with pytest.raises(ProblemError, match="its outputs are random"):
        ggn(problem).dense()


def test_vectors_of_a_wrong_length_are_refused() -> None:
    problem = Problem(LINEAR, nn.MSELoss(), [(X, Y)])
    with pytest.raises(ProblemError, match=r"expected a vector of shape \(9,\), got \(8,\)"):
        problem.unflatten(torch.zeros(8))


def test_an_unusual_but_right_problem_is_accepted() -> None:
    inputs = torch.ones(4, 2, requires_grad=True)
    problem = Problem(nn.Sequential(nn.Linear(2, 3), nn.Dropout()).eval(), nn.MSELoss(), [(inputs, Y), (X[:0], Y[:0])])
    assert gradient(problem).shape == (9,)
    assert inputs.grad is None

"""The conversions of asdfghjkl's matrices to the canon: each is needed, and with it the reference is met."""

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Problem, empirical_fisher, fisher
from fishergauge.suites.peers import of_asdl_calls as calls
from fishergauge.suites.peers import of_asdl_fisher as fishers
from fishergauge.suites.peers.adapting import own_model, under
from fishergauge.suites.peers.of_asdl import peers

pytest.importorskip("asdl")


def problem_of(loss: nn.Module, targets: Tensor, outputs: int = 3) -> Problem:
    """A network with one hidden layer on data of seed 0, in batches of 4 and 2."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, outputs)).double()
        inputs = torch.randn(6, 2, dtype=torch.float64)
    return Problem(model, loss, [(inputs[:4], targets[:4]), (inputs[4:], targets[4:])])


LABELS = torch.tensor([0, 1, 2, 0, 1, 1])
TARGETS = torch.linspace(-1, 1, 18, dtype=torch.float64).reshape(6, 3)


def close(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding."""
    return torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["fisher_exact", "fisher_emp"])
@pytest.mark.parametrize("squared", [False, True])
def test_the_factor_is_needed_and_right(kind: str, reduction: str, squared: bool) -> None:
    loss, targets = (nn.MSELoss, TARGETS) if squared else (nn.CrossEntropyLoss, LABELS)
    problem = problem_of(loss(reduction=reduction), targets)
    exact = (empirical_fisher if kind == "fisher_emp" else fisher)(problem).dense()
    held = under(problem, fishers.fisher)(problem, kind, "full")
    assert close(held.dense, exact)
    factor = calls.factor_of(problem, observed=kind == "fisher_emp")
    if factor != 1:
        assert not close(held.dense / factor, exact)  # the control: the factor left out
    else:
        assert (reduction, squared) == ("mean", False)


def test_layers_and_diagonals_stand_where_the_parameters_do() -> None:
    problem = problem_of(nn.CrossEntropyLoss(), LABELS)
    exact = fisher(problem).dense()
    blocks = under(problem, fishers.matrix)(problem, "fisher_exact", "layer_wise")
    assert close(blocks, torch.block_diag(exact[:9, :9], exact[9:, 9:]))  # type: ignore[no-untyped-call]
    assert close(under(problem, fishers.matrix)(problem, "fisher_exact", "diag"), torch.diag(exact.diagonal()))
    kept = under(problem, fishers.quasi_diagonal)(problem, "fisher_exact")
    assert close(kept.diagonal(), exact.diagonal())
    assert close(kept[:6, 6:9], exact[:6, 6:9] * torch.eye(3, dtype=torch.float64).repeat_interleave(2, 0))


def test_factors_are_those_of_outputs_and_inputs_in_this_order() -> None:
    problem = problem_of(nn.CrossEntropyLoss(), LABELS)
    held = under(problem, fishers.fisher)(problem, "fisher_exact", "kron")
    bias = fisher(problem).dense()[6:9, 6:9]
    inner = problem.inputs.mT @ problem.inputs / 6
    assert close(held.dense[:6, :6], torch.kron(bias, inner))
    assert not close(held.dense[:6, :6], torch.kron(inner, bias))  # the control: the other order
    assert close(held.dense[6:9, 6:9], bias)


def test_logits_are_rows_of_labels() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.Unflatten(1, (4, 3))).double()
        inputs = torch.randn(5, 4, 2, dtype=torch.float64)
    problem = Problem(model, nn.MSELoss(), [(inputs, torch.zeros(5, 4, 3, dtype=torch.float64))])
    exact = fisher(problem).dense()
    assert close(under(problem, fishers.matrix)(problem, "fisher_exact", "full"), exact)
    own = own_model(problem)
    maker = calls.fisher_maker(problem, own, "fisher_exact", "full")
    maker.setup_model_call(own, inputs)  # the control: outputs as they are
    with calls.refusing():
        maker.forward_and_backward()
    raw: Tensor = own.fisher.data  # type: ignore[assignment]
    assert not close(raw * calls.factor_of(problem, observed=False), exact)


def test_what_is_refused_is_unsupported() -> None:
    problem = problem_of(nn.BCEWithLogitsLoss(), (TARGETS > 0).double())
    with pytest.raises(NotImplementedError, match="asdfghjkl refuses: Invalid loss_type"):
        fishers.fisher(problem, "fisher_exact", "full")
    weighted = problem_of(nn.CrossEntropyLoss(weight=torch.ones(3, dtype=torch.float64)), LABELS)
    with pytest.raises(NotImplementedError, match="cannot express weights"):
        fishers.fisher(weighted, "fisher_mc", "full")


def test_names_are_unique() -> None:
    names = [peer.subject.name for peer in peers()]
    assert len(set(names)) == len(names)

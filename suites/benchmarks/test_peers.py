"""Other libraries as implementations: each result agrees with plain differentiation, and each leaves the process as it was."""

import importlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fishergauge.reference import Facts, Problem
from fishergauge.suites import process_state
from fishergauge.suites.benchmarks import of_asdl, of_curvlinops, of_laplace_torch, of_nngeometry, of_torch_func
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.problems import convolutional, perceptron
from fishergauge.suites.benchmarks.quantity import KNOWN
from fishergauge.suites.benchmarks.verification import verify
from fishergauge.suites.peers.adapting import under
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import differences, problem_state

PEERS: dict[str, tuple[ModuleType, str]] = {
    "torch.func": (of_torch_func, "torch"),
    "curvlinops": (of_curvlinops, "curvlinops"),
    "nngeometry": (of_nngeometry, "nngeometry"),
    "asdfghjkl": (of_asdl, "asdl"),
    "laplace-torch": (of_laplace_torch, "laplace"),
}
PROBLEMS: dict[str, Callable[[], Problem]] = {
    "softmax": lambda: perceptron((4, 3), 9, "peers softmax"),
    "mlp": lambda: perceptron((3, 5, 4, 3), 7, "peers mlp"),
    "cnn": lambda: convolutional((2, 3), 5, "peers cnn"),
}
DTYPES = [torch.float64, torch.float32]


def _implementations(peer: str) -> list[Implementation]:
    module, needed = PEERS[peer]
    pytest.importorskip(needed, reason=f"{peer} is in the extra 'peers'", exc_type=ImportError)
    found: list[Implementation] = module.implementations()
    return found


@pytest.fixture(autouse=True)
def _imported_quietly() -> Any:
    """Deprecations that a library raises while it is imported first are not what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, needed in PEERS.values():
            if importlib.util.find_spec(needed) is not None:
                importlib.import_module(needed)


def _problem(name: str, dtype: torch.dtype = torch.float64) -> Problem:
    made = PROBLEMS[name]()
    batches = [(inputs.to(dtype), targets) for inputs, targets in made.batches]
    return Problem(made.model.to(dtype), made.loss, batches, made.name, made.facts)


def _wrong(peer: str, problem: Problem) -> list[str]:
    """What does not agree, in words."""
    wrong = []
    for each in _implementations(peer):
        if each.refuses(problem) is None:
            outcome = verify(each, problem, each.prepare(problem)())
            if not outcome.verified:
                wrong.append(f"{each.name} {each.task}: {outcome}")
    return wrong


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("peer", PEERS)
def test_every_result_of_a_peer_agrees_twice_and_leaves_everything_as_it_was(peer: str, name: str, dtype: torch.dtype) -> None:
    problem = _problem(name, dtype)
    judged, wrong = 0, []
    for each in _implementations(peer):
        if each.refuses(problem) is not None:
            continue
        before, filters = problem_state(problem), list(warnings.filters)
        with process_state.preserved(0, report_random=True) as changed:
            call = each.prepare(problem)
            first, second = verify(each, problem, call()), verify(each, problem, call())
        judged += 1
        left = [*differences(before, problem_state(problem)), *changed]
        left += ["filters of warnings"] if [*warnings.filters] != filters else []
        if not (first.verified and second.verified) or left:
            wrong.append((each.name, str(each.task), first, second, left))
    assert not wrong
    assert judged >= 9


def test_peers_are_not_imported_before_they_are_used() -> None:
    files = [module.__name__ for module, _ in PEERS.values()]
    libraries = {needed for _, needed in PEERS.values()} - {"torch"}
    code = f"""
import importlib, sys
for file in {files}:
    assert importlib.import_module(file).implementations()
assert not {libraries} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("peer", PEERS)
def test_names_tasks_and_requirements_of_a_peer_are_in_order(peer: str) -> None:
    module, needed = PEERS[peer]
    found: list[Implementation] = module.implementations()
    keys = [(each.name, str(each.task)) for each in found]
    assert len(set(keys)) == len(keys)
    for each in found:
        assert each.name.partition(":")[0] == peer
        assert each.kind == "peer"
        assert each.requires == (() if needed == "torch" else (needed,))
        assert each.task.quantity in KNOWN or each.task.quantity == "gradient"


def _refused() -> dict[str, Problem]:
    draw = generator("refused by peers")
    inputs = torch.randn(6, 3, generator=draw, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    masked = labels.clone().index_fill(0, torch.tensor([2]), -100)
    model = nn.Linear(3, 3, dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    return {
        "squared error": Problem(model, nn.MSELoss(), [(inputs, inputs)]),
        "class weights": Problem(model, nn.CrossEntropyLoss(weights), [(inputs, labels)]),
        "smoothing": Problem(model, nn.CrossEntropyLoss(label_smoothing=0.1), [(inputs, labels)]),
        "sum": Problem(model, nn.CrossEntropyLoss(reduction="sum"), [(inputs, labels)]),
        "masked": Problem(model, nn.CrossEntropyLoss(), [(inputs, masked)]),
    }


@pytest.mark.parametrize("name", _refused())
@pytest.mark.parametrize("peer", PEERS)
def test_what_an_adapter_does_not_convert_is_refused(peer: str, name: str) -> None:
    problem = _refused()[name]
    assert all(each.refuses(problem) for each in PEERS[peer][0].implementations())


def test_tied_and_normalising_layers_are_refused_where_layers_are_needed() -> None:
    inputs, labels = torch.ones(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    tied = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    tied[2].weight = tied[0].weight
    normed = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)).double()
    for model in (tied, normed):
        problem = Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)])
        for peer in ("nngeometry", "asdfghjkl", "laplace-torch"):
            assert all(each.refuses(problem) for each in PEERS[peer][0].implementations())


def test_the_default_dtype_is_put_back_after_a_failure() -> None:
    before, seen = torch.get_default_dtype(), []

    def fail() -> None:
        seen.append(torch.get_default_dtype())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        under(_problem("softmax"), fail)()
    assert seen == [torch.float64]
    assert torch.get_default_dtype() == before


@pytest.mark.parametrize(("peer", "limit"), [("curvlinops", "COLUMN_BYTES"), ("torch.func", "CHUNK_BYTES")])
def test_a_dense_matrix_in_pieces_is_the_same_matrix(peer: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = _problem("mlp")
    monkeypatch.setattr(PEERS[peer][0], limit, 2000)
    chosen = [each for each in _implementations(peer) if each.task.operation == "dense"]
    assert chosen
    for each in chosen:
        assert verify(each, problem, each.prepare(problem)()).verified


class _Fewer(Problem):
    """A problem that miscounts its samples."""

    @property
    def num_samples(self) -> int:
        return super().num_samples - 1


def test_a_wrong_number_of_samples_is_seen() -> None:
    made = _problem("mlp")
    problem = _Fewer(made.model, made.loss, made.batches, made.name)
    for peer in ("curvlinops", "asdfghjkl", "laplace-torch"):
        _implementations(peer)
        names = [text for text in _wrong(peer, problem) if "dense" in text or "factors" in text]
        assert names


@pytest.mark.parametrize("peer", ["curvlinops", "nngeometry", "asdfghjkl", "laplace-torch"])
def test_factors_handed_over_in_another_order_are_seen(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = PEERS[peer][0]
    real = module.factor_pairs
    monkeypatch.setattr(module, "factor_pairs", lambda pairs: real([(inner, outer) for outer, inner in pairs]))
    assert any("factors" in text for text in _wrong(peer, _problem("mlp")))


def _few_positions() -> Problem:
    """A convolution with more weights than positions, for which asdfghjkl takes another way to the diagonal."""
    draw = generator("few positions")
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Flatten(), nn.Linear(32, 3)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    inputs = torch.randn(5, 4, 2, 2, generator=draw, dtype=torch.float64)
    labels = torch.randint(3, (5,), generator=draw)
    return Problem(model, nn.CrossEntropyLoss(), [(inputs, labels)], "few positions", Facts(weight_sharing=True))


def _deviation(each: Implementation, problem: Problem) -> float:
    outcome = verify(each, problem, each.prepare(problem)())
    assert outcome.deviation is not None
    return outcome.deviation


def test_the_refused_diagonal_of_asdfghjkl_is_indeed_another_one() -> None:
    problem = _few_positions()
    for each in _implementations("asdfghjkl"):
        if each.task.operation == "diagonal":
            assert "leaves products" in str(each.refuses(problem))
            assert _deviation(each, problem) > 0.01


def test_the_refused_factors_of_backpack_in_laplace_are_indeed_others() -> None:
    problem = _problem("cnn")
    (each,) = (i for i in _implementations("laplace-torch") if i.name.endswith("backpack") and i.task.operation == "factors")
    assert "positions" in str(each.refuses(problem))
    assert _deviation(each, problem) > 0.01


@pytest.mark.parametrize("peer", PEERS)
def test_what_does_not_fit_into_the_memory_is_refused(peer: str) -> None:
    wide = perceptron((128, 300, 300, 300, 10), 1024, "peers wide")
    found = {str(each.task): each.refuses(wide) for each in PEERS[peer][0].implementations()}
    assert all(reason for task, reason in found.items() if task.endswith(("dense", "blocks", "rows")))
    assert peer == "torch.func" or found["kfac/factors"] is None


def test_forward_mode_is_quiet_and_only_that() -> None:
    problem = _problem("mlp")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for each in of_torch_func.implementations():
            each.prepare(problem)()
        warnings.warn("of somebody else", DeprecationWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["of somebody else"]


def test_the_vector_of_a_product_matters() -> None:
    problem = _problem("mlp")
    products = [each for each in of_torch_func.implementations() if each.task.operation == "product"]
    assert products
    for each in products:
        result: Tensor = each.prepare(problem)()
        assert not verify(each, problem, result.flip(0)).verified

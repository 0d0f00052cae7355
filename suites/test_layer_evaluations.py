"""What the Kronecker factors cost in passes and products, and what the record of the layers notices."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from fishergauge.reference import LayerStatistics, Problem, UnsupportedError, fisher, ggn, kfac
from fishergauge.reference.kfac import KfacTarget
from fishergauge.reference.parameter_uses import ParameterUses
from fishergauge.reference.second_moment import PANEL, add_outer_products, mirrored, outer_product_flops
from fishergauge.reference.terms import terms_of
from fishergauge.suites.benchmarks.problems import perceptron
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.seeding import generator
from fishergauge.suites.untouched import assert_untouched, state_of
from fishergauge.suites.zoo import zoo_problem

WIDTHS, SAMPLES = (7, PANEL + 5, 5, 3), 8


def _copied(name: str) -> Problem:
    """A problem of the zoo with a model of its own."""
    problem = zoo_problem(name)
    return Problem(copy.deepcopy(problem.model), problem.loss, problem.batches, name, problem.facts)


# --- sums of outer products ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, PANEL, PANEL + 1, 2 * PANEL + 7])
def test_sums_of_outer_products_are_those_of_a_plain_product(size: int) -> None:
    source = generator("outer products", str(size))
    first, second = torch.randn(2, size, 9, generator=source, dtype=torch.float64)
    matrix = torch.full((size, size), torch.nan, dtype=torch.float64)
    add_outer_products(matrix, first, 0.5, keep=0.0)
    add_outer_products(matrix, second, 0.25)
    result = mirrored(matrix)
    expected = 0.5 * first @ first.T + 0.25 * second @ second.T
    assert result is matrix
    assert_close(result, expected, "sum of outer products", size=9)
    assert torch.equal(result, result.T)
    assert_apart(result, 0.5 * (first @ first.T + second @ second.T), "the same scale for both")


def test_panels_leave_out_what_symmetry_gives() -> None:
    with FlopCounterMode(display=False) as counter:
        add_outer_products(torch.zeros(3 * PANEL, 3 * PANEL), torch.ones(3 * PANEL, 4))
    assert counter.get_total_flops() == outer_product_flops(4, 3 * PANEL) == 2 * 4 * PANEL**2 * (1 + 2 + 3)


# --- passes and products ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["fisher", "ggn", "empirical-fisher"])
def test_factors_take_one_evaluation_of_all_samples_and_one_of_one(target: KfacTarget) -> None:
    problem, batches = _copied("mlp-tanh-softmax"), []
    handle = problem.model.register_forward_hook(lambda module, args, output: batches.append(len(args[0])))
    kfac(problem, target).factors  # noqa: B018
    handle.remove()
    assert batches == [1, problem.num_samples]
    LayerStatistics(problem)
    assert batches == [1, problem.num_samples], "the hook is gone"


@pytest.mark.parametrize(("target", "vectors"), [("fisher", WIDTHS[-1]), ("ggn", WIDTHS[-1]), ("empirical-fisher", 1)])
def test_factors_cost_a_pass_to_the_layers_a_vector_and_their_triangles(target: KfacTarget, vectors: int) -> None:
    problem = perceptron(WIDTHS, SAMPLES, "counted factors")
    maps = list(pairwise(WIDTHS))
    forward = sum(2 * (SAMPLES + 1) * before * after for before, after in maps)
    backward = sum(2 * SAMPLES * before * after for before, after in maps[1:])  # to outputs of layers: no weight's gradient
    inner = sum(outer_product_flops(SAMPLES, before) for before, _ in maps)
    outer = sum(outer_product_flops(SAMPLES, after) for _, after in maps)
    terms = terms_of(problem)
    with FlopCounterMode(display=False) as of_root:
        likelihood = problem.likelihood
        (likelihood.residuals if vectors == 1 else likelihood.hessian_root)(terms.outputs, terms.labels)
    with FlopCounterMode(display=False) as counter:
        kfac(problem, target)
    expected = forward + vectors * (backward + outer) + inner + of_root.get_total_flops()
    assert counter.get_total_flops() == expected
    with FlopCounterMode(display=False) as control:  # a pass to the weights as well
        kfac(problem, target)
        problem.loss(problem.model(problem.inputs), problem.targets).backward()
        problem.model.zero_grad()
    assert control.get_total_flops() > expected


def test_where_the_blocks_stand_is_worked_out_only_when_needed() -> None:
    matrix = kfac(_copied("mlp-tanh-softmax"))
    assert "pieces" not in vars(matrix)
    dense = matrix.dense()
    assert len(matrix.kronecker) == len(matrix.factors)
    assert_close(matrix @ torch.eye(len(dense), dtype=dense.dtype), dense, "products", size=len(dense))


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "conv1d-tagging", "masked-labels"])
def test_a_root_of_output_hessians_gives_the_factors_of_enumerated_labels(name: str) -> None:
    problem = zoo_problem(name)
    by_labels = kfac(problem, root_of=fisher(problem, 1)).factors
    for layer, block in kfac(problem).factors.items():
        assert_close(block.output_factor, by_labels[layer].output_factor, f"G of {layer}", size=problem.num_parameters)


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "conv1d-tagging"])
@pytest.mark.parametrize("vectors", [1, 2, 7])
def test_gradients_in_turn_are_the_gradients(name: str, vectors: int) -> None:
    problem = zoo_problem(name)
    statistics = LayerStatistics(problem)
    terms, width = statistics.terms.outputs.shape
    root = torch.randn(terms, vectors, width, generator=generator("in turn", name), dtype=problem.dtype)
    together, in_turn = list(statistics.gradients(root)), list(statistics.gradients_in_turn(root))
    for layer in statistics.layers:
        whole, parts = torch.cat([g[layer] for g in together]), torch.cat([g[layer] for g in in_turn])
        assert_close(parts, whole, f"gradients at {layer}", size=width)
    assert len(in_turn) == len(together) * (vectors if vectors <= width else 1)


# --- what is noticed ----------------------------------------------------------------------------------------------------------


def test_a_use_that_the_first_sample_does_not_show_is_refused() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            direct = (x[:, :1] > 0) * (x @ self.first.weight)
            return self.last(self.first(x).tanh()) + direct  # type: ignore[no-any-return]

    inputs = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [2.0, -1.0]])
    with pytest.raises(UnsupportedError, match="weight of first acts on the outputs by another way"):
        LayerStatistics(Problem(Sometimes(), nn.MSELoss(), [(inputs, torch.ones(3, 2))]))


@pytest.mark.parametrize("how", ["forward hook", "global hook", "pre-hook", "own forward", "harmless hook"])
def test_what_changes_a_call_of_a_layer_is_noticed_by_its_gradient(how: str) -> None:
    problem = _copied("mlp-tanh-softmax")
    layer = next(module for module in problem.model.modules() if isinstance(module, nn.Linear))
    if how == "forward hook":
        layer.register_forward_hook(lambda module, args, output: 2 * output)
    elif how == "pre-hook":
        layer.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    elif how == "own forward":
        layer.forward = lambda x: 2 * nn.functional.linear(x, layer.weight, layer.bias)  # type: ignore[method-assign, assignment]
    elif how == "harmless hook":
        layer.register_forward_hook(lambda module, args, output: None)
    if how in ("pre-hook", "harmless hook"):  # what enters is what the layer is given
        assert_close(LayerStatistics(problem).terms.outputs, terms_of(problem).outputs, "outputs")
        return
    handles = []
    if how == "global hook":
        handles.append(register_module_forward_hook(lambda module, args, output: 2 * output if module is layer else None))
    try:
        with pytest.raises(UnsupportedError, match="acts on the outputs by another way"):
            LayerStatistics(problem)
    finally:
        for handle in handles:
            handle.remove()


def test_inputs_that_are_overwritten_afterwards_are_refused() -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x) * 1.0
            outputs: Tensor = self.last(hidden)
            hidden.add_(1.0)
            return outputs

    problem = Problem(Overwriting(), nn.MSELoss(), [(torch.ones(3, 2), torch.ones(3, 2))])
    before = state_of(problem)
    with pytest.raises(UnsupportedError, match="what enters last is overwritten"):
        LayerStatistics(problem)
    assert_untouched(problem, before)


def test_layers_without_gradients_and_transforms_are_refused() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                hidden = self.first(x)
            return self.last(hidden)  # type: ignore[no-any-return]

    data = [(torch.ones(3, 2), torch.ones(3, 2))]
    with pytest.raises(UnsupportedError, match="first is evaluated with gradients disabled"):
        LayerStatistics(Problem(Detached(), nn.MSELoss(), data))
    problem = Problem(nn.Linear(2, 2), nn.MSELoss(), data)
    with pytest.raises(UnsupportedError, match=r"inside a transform of torch\.func"):
        grad(lambda x: LayerStatistics(problem).terms.outputs.sum() * x)(torch.ones(()))


def test_statistics_keep_the_parameters_with_which_they_were_made() -> None:
    problem = _copied("mlp-tanh-softmax")
    statistics, root = LayerStatistics(problem), ggn(problem).root
    before = next(statistics.gradients(root))
    with torch.no_grad():
        for parameter in problem.model.parameters():
            parameter.mul_(1.5)
    after, anew = next(statistics.gradients(root)), next(LayerStatistics(problem).gradients(root))
    first = next(iter(before))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert_apart(anew[first], before[first], "made anew")


def test_uses_of_a_parameter_are_counted_by_operation() -> None:
    weight = torch.ones(2, 2, requires_grad=True)
    x = torch.ones(2)
    assert ParameterUses((weight @ x).sum()).count(weight) == 1
    assert ParameterUses((weight @ (weight @ x)).sum()).count(weight) == 2
    assert ParameterUses((weight.detach() @ weight @ x).sum()).count(weight) == 1
    assert ParameterUses(torch.ones(1, requires_grad=True).exp()).count(weight) == 0

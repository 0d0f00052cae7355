"""What BackPACK computes equals the reference, and on the zoo all three routes meet."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import unfold

from fishergauge.reference import Problem, UndefinedError, UnsupportedError, ggn, softmax_regression_kfac
from fishergauge.reference import backpack as route
from fishergauge.suites.backpack_cases import CASES, CE, MSE, SAMPLES, case, mlp, problem_of
from fishergauge.suites.backpack_quantities import (
    EXTENSIONS,
    QUANTITIES,
    ROUTES,
    assert_agrees,
    assert_routes_meet,
)
from fishergauge.suites.zoo import ZOO, zoo_problem
from fishergauge.suites.zoo.setting import Reduction

every_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


@every_dtype
@pytest.mark.parametrize("quantity", EXTENSIONS)
@pytest.mark.parametrize("name", CASES)
def test_quantity_equals_the_reference_or_is_refused(name: str, quantity: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    if quantity in CASES[name].refused:
        with pytest.raises(UnsupportedError, match=f"BackPACK's {QUANTITIES[quantity].extension} does not support"):
            QUANTITIES[quantity].measured(problem)
    else:
        assert_routes_meet(quantity, problem, ("the reference",))


# --- Kronecker factors -----------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("name", [name for name, entry in CASES.items() if "kflr" not in entry.refused])
def test_input_factors_are_second_moments_of_inputs(name: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    factors, layers = route.backpack_kflr(problem), _layer_inputs(problem)
    assert list(factors) == list(problem.parameters)
    for key, (_, *others) in factors.items():
        layer, _, parameter = key.rpartition(".")
        assert len(others) == (parameter == "weight")
        for other in others:
            assert_agrees(problem, other, _second_moment(*layers[layer]), f"A of {key}")


@pytest.mark.parametrize("loss", [MSE(), CE(reduction="sum")], ids=["mse", "ce"])
def test_kflr_of_one_sample_is_exact(loss: nn.Module) -> None:
    problem = problem_of(mlp(3), (3,), loss, sizes=(1,))
    found = route.kronecker_block_diagonal(route.backpack_kflr(problem))
    assert_agrees(problem, found, ggn(problem).block_diagonal("parameter"), "KFLR of one sample")


def test_kflr_of_softmax_regression_is_its_closed_form() -> None:
    problem = zoo_problem("softmax-regression")
    found = route.kronecker_block_diagonal(route.backpack_kflr(problem))
    assert_agrees(problem, found, softmax_regression_kfac(problem.inputs, problem.outputs), "KFLR = closed form")


def test_kronecker_blocks_are_row_major() -> None:
    first, second = torch.tensor([[1.0, 2.0], [2.0, 5.0]]), torch.tensor([[3.0, 1.0], [1.0, 4.0]]).T
    found = route.kronecker_block_diagonal({"weight": (first, second), "bias": (first,)})
    weight = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    expected = torch.cat([(first @ weight @ second).reshape(-1), first @ torch.ones(2)])
    assert torch.equal(found @ torch.cat([weight.reshape(-1), torch.ones(2)]), expected)


def _layer_inputs(problem: Problem) -> dict[str, tuple[nn.Module, Tensor]]:
    """The inputs of the layers with parameters, by evaluation module by module."""
    values = problem.inputs
    found: dict[str, tuple[nn.Module, Tensor]] = {}
    for name, module in problem.model.named_modules():
        if not list(module.children()):
            if list(module.parameters()):
                found[name] = (module, values)
            values = module(values).detach()
    return found


def _second_moment(module: nn.Module, values: Tensor) -> Tensor:
    """A: the sum over positions and mean over samples of the products of the inputs of a layer."""
    if isinstance(module, nn.Conv1d):
        values = unfold(values[:, :, None], (1, *module.kernel_size))
    elif isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)
        values = unfold(values, module.kernel_size, module.dilation, module.padding, module.stride)
    else:
        values = values[..., None]
    return torch.einsum("nit,njt->ij", values, values) / len(values)


# --- several batches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", EXTENSIONS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_batches_are_one_data_set(quantity: str, reduction: str) -> None:
    measured = QUANTITIES[quantity].measured
    whole = problem_of(mlp(2), (3,), MSE(reduction=reduction), sizes=(SAMPLES,))
    parts = Problem(whole.model, whole.loss, [(whole.inputs[:1], whole.targets[:1]), (whole.inputs[1:], whole.targets[1:])])
    assert torch.equal(measured(whole), measured(parts))
    assert not torch.equal(measured(whole), measured(Problem(whole.model, whole.loss, parts.batches[:1])))


# --- three routes on the zoo -----------------------------------------------------------------------------------

# by name, so that neither a problem nor the support for it can vanish unseen
ALL_EXTENSIONS = {"linear-regression", "logistic-regression", "softmax-regression", "softmax-uneven-batches"} | {
    *("mlp-tanh-softmax", "mlp-tanh-gaussian", "mlp-relu-softmax", "mlp-relu-gaussian", "sizes-of-one", "frozen-first-layer")
}
SEVERAL_BINARY_LABELS = {"multilabel-regression", "mlp-sigmoid-binary"}
WEIGHTED = {"masked-labels", "class-weights", "soft-targets", "positive-weights"}
SHARED = {"loss-per-position", "pooled-positions", "conv1d-tagging", "binary-per-position", "tied-autoencoder", "attention"}
LAYERS = {"deep-linear", "batch-norm", "cnn"}
GGN = ALL_EXTENSIONS | LAYERS
FIRST_ORDER = GGN | SEVERAL_BINARY_LABELS | WEIGHTED
EVERYTHING = FIRST_ORDER | SHARED | {"scalar-regression", "prelu", "recurrent"}

SUPPORTED = {
    "ggn": GGN,
    "ggn_diagonal": GGN,
    "kflr": ALL_EXTENSIONS | {"deep-linear"},
    "empirical_fisher": FIRST_ORDER,
    "empirical_fisher_diagonal": FIRST_ORDER,
    "hessian_diagonal": ALL_EXTENSIONS | {"cnn"},
    "hessian_product": EVERYTHING,
    "ggn_product": EVERYTHING,
}
CELLS = [(quantity, name) for quantity, names in SUPPORTED.items() for name in sorted(names)]


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_supported_problems_of_the_zoo_are_known(quantity: str, reduction: Reduction) -> None:
    supported = {name for name in ZOO if _is_supported(quantity, zoo_problem(name, reduction=reduction))}
    assert supported == SUPPORTED[quantity], f"{quantity}: support differs for {sorted(supported ^ SUPPORTED[quantity])}"


@pytest.mark.parametrize(("quantity", "name"), CELLS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_three_routes_meet_on_the_zoo(quantity: str, name: str, reduction: Reduction) -> None:
    assert_routes_meet(quantity, zoo_problem(name, reduction=reduction), tuple(ROUTES))


@pytest.mark.parametrize(("quantity", "name"), CELLS)
def test_three_routes_meet_on_the_zoo_in_float32(quantity: str, name: str) -> None:
    assert_routes_meet(quantity, zoo_problem(name, dtype=torch.float32), tuple(ROUTES))


def _is_supported(quantity: str, problem: Problem) -> bool:
    try:
        QUANTITIES[quantity].measured(problem)
    except (UnsupportedError, UndefinedError) as error:
        if "BackPACK's " not in str(error):  # some other refusal
            raise
        return False
    return True

"""The route by BackPACK meets the other one where it is open, and says so where it is closed."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from backpack.context import CTX
from torch import Tensor, nn
from torch.nn.functional import unfold

from fishergauge.reference import (
    Problem,
    ProblemError,
    UndefinedError,
    UnsupportedError,
    empirical_fisher,
    fisher,
    ggn,
    hessian,
    output_jacobian,
)
from fishergauge.reference import backpack as route
from fishergauge.reference.backpack_run import drawn_seed
from fishergauge.reference.terms import terms_of

SAMPLES = 5
DTYPES = [torch.float64, torch.float32]
Quantity = Callable[[Problem], Tensor]


def seq(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(*modules)


def mlp(outputs: int, activation: nn.Module | None = None) -> nn.Sequential:
    return seq(nn.Linear(3, 4), activation or nn.Tanh(), nn.Linear(4, outputs))


def flat(features: int) -> nn.Sequential:
    return seq(nn.Flatten(), nn.Linear(features, 2))


def pooled(module: nn.Module, features: int) -> nn.Sequential:
    return seq(nn.Conv2d(2, 3, 2), nn.Tanh(), module, *flat(features))


def frozen() -> nn.Sequential:
    model = seq(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    model[2].weight.requires_grad_(False)
    return model


CE, MSE, BCE = nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss
GGN, GGN_DIAGONAL, HESSIAN, EF, KFLR = "ggn", "ggn-diagonal", "hessian-diagonal", "empirical-fisher", "kflr"

# name: (model, shape of one input, loss, quantities refused); an input of integers where the model begins with an Embedding
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], nn.Module, set[str]]] = {
    **{
        f"mlp-{loss.__name__}-{reduction}": (lambda c=width: mlp(c), (3,), loss(reduction=reduction), set())
        for loss, width in ((CE, 3), (MSE, 2), (BCE, 1))
        for reduction in ("mean", "sum")
    },
    "linear": (lambda: nn.Linear(3, 2), (3,), MSE(), set()),
    "nested": (lambda: seq(seq(nn.Linear(3, 4), nn.Sigmoid()), seq(nn.Linear(4, 2, bias=False))), (3,), CE(), set()),
    "frozen": (frozen, (3,), CE(), set()),
    "smoothing": (lambda: mlp(3), (3,), CE(label_smoothing=0.2), set()),
    "relu": (lambda: mlp(3, nn.ReLU()), (3,), CE(), set()),
    "leaky-relu": (lambda: mlp(3, nn.LeakyReLU(0.1)), (3,), CE(), {KFLR}),
    "log-sigmoid": (lambda: mlp(3, nn.LogSigmoid()), (3,), CE(), {KFLR}),
    "elu": (lambda: mlp(3, nn.ELU(2.0)), (3,), CE(), {KFLR}),
    "selu": (lambda: mlp(3, nn.SELU()), (3,), CE(), {KFLR}),
    "identity": (lambda: mlp(3, nn.Identity()), (3,), CE(), {HESSIAN}),
    "dropout": (lambda: mlp(3, nn.Dropout()), (3,), CE(), set()),
    "gelu": (lambda: mlp(3, nn.GELU()), (3,), CE(), {GGN, GGN_DIAGONAL, HESSIAN, KFLR}),
    "batchnorm": (
        lambda: seq(nn.BatchNorm1d(3), *mlp(4), nn.BatchNorm1d(4), nn.Tanh()),
        (3,),
        CE(),
        {HESSIAN, KFLR},
    ),
    "embedding": (lambda: seq(nn.Embedding(7, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)), (4,), CE(), {HESSIAN, KFLR}),
    "shared-linear": (lambda: seq(nn.Linear(3, 4), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)), (2, 3), CE(), {KFLR}),
    "positions": (lambda: seq(nn.Conv1d(3, 4, 2), nn.Tanh(), nn.Conv1d(4, 2, 1)), (3, 5), CE(), {EF}),
    "mse-positions": (lambda: mlp(2), (4, 3), MSE(), {GGN, GGN_DIAGONAL, HESSIAN, EF, KFLR}),
    "mse-one-position": (lambda: mlp(2), (1, 3), MSE(), {GGN, GGN_DIAGONAL, HESSIAN, KFLR}),
    "mse-one-axis": (lambda: seq(*mlp(1), nn.Flatten(0)), (3,), MSE(), {GGN, GGN_DIAGONAL, HESSIAN, EF, KFLR}),
    "bce-two-outputs": (lambda: mlp(2), (3,), BCE(), {GGN, GGN_DIAGONAL, HESSIAN, KFLR}),
    "conv2d": (
        lambda: seq(nn.Conv2d(2, 3, 2, stride=2, padding=(1, 0), dilation=(1, 2)), nn.Tanh(), nn.Flatten(), nn.Linear(18, 2)),
        (2, 5, 5),
        CE(),
        set(),
    ),
    "conv2d-groups": (
        lambda: seq(nn.Conv2d(4, 8, 2, groups=2), nn.Tanh(), *flat(32)),
        (4, 3, 3),
        CE(),
        {KFLR},
    ),
    "conv3d": (
        lambda: seq(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.MaxPool3d(2), *flat(2)),
        (1, 3, 3, 3),
        CE(),
        {KFLR},
    ),
    "conv-transpose": (
        lambda: seq(
            nn.Conv2d(2, 2, 1), nn.ReLU(), nn.ConvTranspose2d(2, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(64, 2)
        ),
        (2, 3, 3),
        CE(),
        {KFLR},
    ),
    "max-pool": (lambda: pooled(nn.MaxPool2d(3, 2, 1, ceil_mode=True), 27), (2, 5, 5), CE(), set()),
    "avg-pool": (lambda: pooled(nn.AvgPool2d(2, 2, 1), 27), (2, 5, 5), CE(), set()),
    "avg-pool-uncounted": (
        lambda: pooled(nn.AvgPool2d(2, 2, 1, count_include_pad=False), 27),
        (2, 5, 5),
        CE(),
        {GGN, GGN_DIAGONAL, HESSIAN, KFLR},
    ),
    "adaptive-pool": (lambda: pooled(nn.AdaptiveAvgPool2d((1, 2)), 6), (2, 5, 5), CE(), {GGN, KFLR}),
    "zero-pad": (lambda: pooled(nn.ZeroPad2d((1, 0, 2, 1)), 105), (2, 5, 5), CE(), set()),
    "batchnorm2d": (lambda: pooled(nn.BatchNorm2d(3), 48), (2, 5, 5), CE(), {HESSIAN, KFLR}),
}


def targets_for(loss: nn.Module, outputs: Tensor) -> Tensor:
    """Labels for every sample but of no special structure."""
    if isinstance(loss, CE):
        return torch.arange(outputs[:, 0].numel()).remainder(outputs.shape[1]).reshape(outputs[:, 0].shape)
    if isinstance(loss, BCE):
        return torch.arange(outputs.numel()).remainder(2).reshape(outputs.shape).to(outputs.dtype)
    return torch.linspace(-1, 2, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)


def problem_of(
    model: nn.Module,
    shape: tuple[int, ...],
    loss: nn.Module,
    dtype: torch.dtype = torch.float64,
    sizes: tuple[int, ...] = (2, 3),
) -> Problem:
    """A problem with parameters, data and running statistics from one seed, in batches of unequal size."""
    source = torch.Generator().manual_seed(0)
    model = model.to(dtype).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, generator=source, dtype=torch.float64)
                tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn / 2)
    if any(isinstance(module, nn.Embedding) for module in model.modules()):
        inputs = torch.randint(7, (sum(sizes), *shape), generator=source)
    else:
        inputs = torch.randn(sum(sizes), *shape, generator=source, dtype=torch.float64).to(dtype)
    targets = targets_for(loss, model(inputs).detach())
    return Problem(model, loss, list(zip(torch.split(inputs, sizes), torch.split(targets, sizes), strict=True)))


def case(name: str, dtype: torch.dtype = torch.float64) -> Problem:
    build, shape, loss, _ = CASES[name]
    torch.manual_seed(0)
    return problem_of(build(), shape, loss, dtype)


def bound(problem: Problem) -> float:
    """64 eps sqrt(P): entries are sums of products, rounded independently; relative to the Frobenius norm."""
    return 64 * torch.finfo(problem.dtype).eps * math.sqrt(problem.num_parameters)


def assert_close(problem: Problem, found: Tensor, expected: Tensor, scale: Tensor | None = None) -> None:
    assert found.shape == expected.shape
    assert found.dtype == problem.dtype
    assert not found.requires_grad
    error = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected if scale is None else scale)
    assert float(error) <= bound(problem), f"relative error {float(error):.2g}, bound {bound(problem):.2g}"


def layer_inputs(problem: Problem) -> dict[str, tuple[nn.Module, Tensor]]:
    """The inputs of the layers with parameters, by evaluation module by module."""
    values, found = problem.inputs, {}
    for name, module in problem.model.named_modules():
        if not list(module.children()):
            if list(module.parameters()):
                found[name] = (module, values)
            values = module(values).detach()
    return found


def second_moment(module: nn.Module, values: Tensor) -> Tensor:
    """A: the sum over positions and mean over samples of the products of the inputs of a layer."""
    if isinstance(module, nn.Conv1d):
        values = unfold(values[:, :, None], (1, *module.kernel_size))
    elif isinstance(module, nn.Conv2d):
        values = unfold(values, module.kernel_size, module.dilation, module.padding, module.stride)
    else:
        values = values[..., None]
    return torch.einsum("nit,njt->ij", values, values) / len(values)


def is_supported(name: str, quantity: str) -> bool:
    return quantity not in CASES[name][3]


# --- the two routes meet, or this one is closed ------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_ggn(name: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    if not is_supported(name, GGN):
        with pytest.raises(UnsupportedError, match="BackPACK's SqrtGGNExact does not support"):
            route.backpack_ggn(problem)
        return
    found = route.backpack_ggn(problem)
    assert torch.equal(found, found.T)
    assert_close(problem, found, ggn(problem).dense())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_ggn_diagonal(name: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    if not is_supported(name, GGN_DIAGONAL):
        with pytest.raises(UnsupportedError, match="BackPACK's DiagGGNExact does not support"):
            route.backpack_ggn_diagonal(problem)
        return
    assert_close(problem, route.backpack_ggn_diagonal(problem), ggn(problem).diagonal())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_hessian_diagonal(name: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    if not is_supported(name, HESSIAN):
        with pytest.raises(UnsupportedError, match="BackPACK's DiagHessian does not support"):
            route.backpack_hessian_diagonal(problem)
        return
    expected, positive = hessian(problem).diagonal(), ggn(problem).diagonal()
    # the GGN and the rest may cancel: relative to the larger of the two
    assert_close(problem, route.backpack_hessian_diagonal(problem), expected, torch.maximum(expected.abs(), positive))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_empirical_fisher(name: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    if not is_supported(name, EF):
        with pytest.raises(UnsupportedError, match="BackPACK's BatchGrad does not support"):
            route.backpack_empirical_fisher(problem)
        with pytest.raises(UnsupportedError, match="BackPACK's SumGradSquared does not support"):
            route.backpack_empirical_fisher_diagonal(problem)
        return
    found = route.backpack_empirical_fisher(problem)
    assert torch.equal(found, found.T)
    assert_close(problem, found, empirical_fisher(problem).dense())
    assert_close(problem, route.backpack_empirical_fisher_diagonal(problem), empirical_fisher(problem).diagonal())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_kflr(name: str, dtype: torch.dtype) -> None:
    problem = case(name, dtype)
    if not is_supported(name, KFLR):
        with pytest.raises(UnsupportedError, match="BackPACK's KFLR does not support"):
            route.backpack_kflr(problem)
        return
    factors, exact = route.backpack_kflr(problem), ggn(problem).blocks("parameter")
    assert list(factors) == list(problem.parameters)
    layers = layer_inputs(problem)
    for key, (first, *others) in factors.items():
        layer, _, parameter = key.rpartition(".")
        bias = f"{layer}.bias".lstrip(".")
        if bias in exact:
            assert_close(problem, first, exact[bias])
        assert len(others) == (parameter == "weight")
        if others:
            assert_close(problem, others[0], second_moment(*layers[layer]))


@pytest.mark.parametrize("loss", [MSE(), CE(reduction="sum")], ids=["mse", "ce"])
def test_kflr_of_one_sample_is_exact(loss: nn.Module) -> None:
    problem = problem_of(mlp(3), (3,), loss, sizes=(1,))
    found = route.kronecker_block_diagonal(route.backpack_kflr(problem))
    assert_close(problem, found, ggn(problem).block_diagonal("parameter"))


def test_kronecker_blocks_are_row_major() -> None:
    first, second = torch.tensor([[1.0, 2.0], [2.0, 5.0]]), torch.tensor([[3.0, 1.0], [1.0, 4.0]]).T
    found = route.kronecker_block_diagonal({"weight": (first, second), "bias": (first,)})
    weight = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    expected = torch.cat([(first @ weight @ second).reshape(-1), first @ torch.ones(2)])
    assert torch.equal(found @ torch.cat([weight.reshape(-1), torch.ones(2)]), expected)


# --- Monte Carlo ---------------------------------------------------------------------------------------


def drawn_gradients(problem: Problem, draws: int, seed: int) -> Tensor:
    """Gradients of samples at the labels that BackPACK draws from ``seed``, by the other route: ``(S N, P)``."""
    terms = terms_of(problem)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(problem.loss, CE):
            logits = problem.likelihood.split(problem.outputs)
            labels = torch.distributions.Categorical(logits.softmax(-1)).sample((draws,)).flatten(1)
        elif isinstance(problem.loss, BCE):
            labels = torch.distributions.Binomial(probs=terms.outputs.sigmoid()).sample((draws,))
        else:
            deviation = terms.outputs.new_tensor(math.sqrt(0.5))
            labels = torch.distributions.Normal(terms.outputs, deviation).sample((draws,))
    residuals = torch.stack([problem.likelihood.residuals(terms.outputs, label) for label in labels])
    gradients = torch.einsum("skc,kcp->skp", residuals, output_jacobian(problem))
    return gradients.unflatten(1, (-1, terms.per_sample)).sum(2).flatten(0, 1)


MONTE_CARLO = [
    "mlp-CrossEntropyLoss-mean",
    "mlp-MSELoss-mean",
    "mlp-MSELoss-sum",
    "mlp-BCEWithLogitsLoss-sum",
    "positions",
    "conv2d",
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", MONTE_CARLO)
def test_monte_carlo_draws(name: str, dtype: torch.dtype) -> None:
    problem, draws = case(name, dtype), 3
    seed = drawn_seed(draws, torch.Generator().manual_seed(1))
    rows = drawn_gradients(problem, draws, seed) / math.sqrt(draws) * terms_of(problem).divisor.rsqrt()
    expected = rows.T @ rows
    assert_close(problem, route.backpack_monte_carlo_fisher(problem, draws, torch.Generator().manual_seed(1)), expected)
    diagonal = route.backpack_monte_carlo_fisher_diagonal(problem, draws, torch.Generator().manual_seed(1))
    assert_close(problem, diagonal, expected.diagonal())
    start, exact = 0, route.backpack_kflr(problem)
    first: Tensor | None = None
    for key, factors in route.backpack_kfac(problem, draws, torch.Generator().manual_seed(1)).items():
        part = slice(start, start + problem.parameters[key].numel())
        start = part.stop
        if key.endswith("weight"):
            first = factors[0]
            assert torch.equal(factors[1], exact[key][1])
        else:
            assert len(factors) == 1
            assert_close(problem, factors[0], expected[part, part])
            assert first is not None
            assert torch.equal(factors[0], first)


@pytest.mark.parametrize("name", ["mlp-MSELoss-mean", "mlp-CrossEntropyLoss-mean", "mlp-BCEWithLogitsLoss-mean", "positions"])
def test_monte_carlo_is_unbiased(name: str) -> None:
    problem, source = case(name), torch.Generator().manual_seed(2)
    estimates = torch.stack([route.backpack_monte_carlo_fisher(problem, 100, source) for _ in range(30)])
    standard_error = estimates.std(0) / math.sqrt(len(estimates))
    exact = fisher(problem).dense()
    # 30 means of 100 draws are near enough to normal: below 1e-8 for each entry by Student's t with 29 degrees
    assert float(((estimates.mean(0) - exact).abs() - 8 * standard_error).max()) <= bound(problem) * float(exact.norm())
    assert float(standard_error.norm() / exact.norm()) < 0.1


def test_monte_carlo_follows_its_generator() -> None:
    problem = case("mlp-MSELoss-mean")
    source = torch.Generator().manual_seed(3)
    first, second = (route.backpack_monte_carlo_fisher(problem, 2, source) for _ in range(2))
    assert not torch.equal(first, second)
    again = route.backpack_monte_carlo_fisher(problem, 2, torch.Generator().manual_seed(3))
    assert torch.equal(first, again)


# --- several batches, products ---------------------------------------------------------------------------


@pytest.mark.parametrize("function", [route.backpack_ggn, route.backpack_empirical_fisher, route.backpack_hessian_diagonal])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_batches_are_one_data_set(function: Quantity, reduction: str) -> None:
    whole = problem_of(mlp(2), (3,), MSE(reduction=reduction), sizes=(SAMPLES,))
    parts = Problem(whole.model, whole.loss, [(whole.inputs[:1], whole.targets[:1]), (whole.inputs[1:], whole.targets[1:])])
    assert torch.equal(function(whole), function(parts))
    assert not torch.equal(function(whole), function(Problem(whole.model, whole.loss, parts.batches[:1])))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.keep = nn.Linear(3, 4), nn.Linear(4, 4, bias=False)
        self.head, self.unused = nn.Linear(4, 2), nn.Linear(2, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        state = torch.zeros_like(self.read(inputs[:, 0]))
        for values in inputs.unbind(1):
            state = torch.tanh(self.read(values) + self.keep(state))
        head: Tensor = self.head(state)
        return head


def tied() -> nn.Sequential:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return seq(first, nn.Tanh(), second)


FREE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], nn.Module]] = {
    "recurrent": (Recurrent, (4, 3), CE(reduction="sum")),
    "attention": (lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), (3, 4), MSE()),
    "tied": (tied, (3,), CE(label_smoothing=0.1)),
    "masked": (lambda: mlp(3), (3,), CE(ignore_index=1)),
    "weighted": (lambda: mlp(3), (3,), CE(weight=torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64))),
    "pos-weight": (lambda: mlp(2), (3,), BCE(pos_weight=torch.tensor([3.0, 0.5], dtype=torch.float64))),
    "positions": (CASES["positions"][0], (3, 5), CE()),
    "one-axis": (CASES["mse-one-axis"][0], (3,), MSE()),
    "batchnorm": (CASES["batchnorm"][0], (3,), BCE()),
}


@pytest.mark.parametrize("columns", [None, 0, 1, 3])
@pytest.mark.parametrize("name", FREE)
def test_products(name: str, columns: int | None) -> None:
    build, shape, loss = FREE[name]
    problem = problem_of(build(), shape, loss)
    size = (problem.num_parameters,) if columns is None else (problem.num_parameters, columns)
    vectors = torch.randn(size, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    pairs = ((route.backpack_hessian_product, hessian(problem)), (route.backpack_ggn_product, ggn(problem)))
    for product, matrix in pairs:
        if columns == 0:
            assert product(problem, vectors).shape == vectors.shape
        else:
            assert_close(problem, product(problem, vectors), matrix.dense() @ vectors)


def test_products_in_single_precision_and_without_gradients() -> None:
    problem = case("mlp-CrossEntropyLoss-mean", torch.float32)
    vector = torch.randn(problem.num_parameters, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert_close(problem, route.backpack_hessian_product(problem, vector), hessian(problem) @ vector)
        assert_close(problem, route.backpack_ggn_product(problem, vector), ggn(problem) @ vector)
        assert_close(problem, route.backpack_ggn(problem), ggn(problem).dense())


@pytest.mark.parametrize("product", [route.backpack_hessian_product, route.backpack_ggn_product])
def test_products_refuse_other_shapes(product: Callable[[Problem, Tensor], Tensor]) -> None:
    problem = case("linear")
    for shape in ((7,), (2, 8), (8, 1, 1), ()):
        with pytest.raises(ProblemError, match=r"expected \(8,\) or \(8, B\)"):
            product(problem, torch.ones(shape, dtype=torch.float64))


class OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        result: Tensor = gradients * values.cos()
        return result


class Once(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        sine: Tensor = OnceDifferentiable.apply(values)
        return sine


@pytest.mark.parametrize("product", [route.backpack_hessian_product, route.backpack_ggn_product])
def test_products_refuse_what_has_no_second_derivative(product: Callable[[Problem, Tensor], Tensor]) -> None:
    problem = problem_of(seq(*mlp(3), Once()), (3,), CE())
    with pytest.raises(UnsupportedError, match="differentiable only once"):
        product(problem, problem.vector)


# --- what is refused ---------------------------------------------------------------------------------------


class Scaled(nn.Sequential):
    def forward(self, values: Tensor) -> Tensor:
        scaled: Tensor = 2 * super().forward(values)
        return scaled


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, values: Tensor) -> Tensor:
        outputs: Tensor = self.second(torch.tanh(self.first(values)))
        return outputs


class Softmax(nn.CrossEntropyLoss):
    pass


def hooked() -> nn.Sequential:
    model = mlp(3)
    model[1].register_forward_hook(lambda module, inputs, outputs: 2 * outputs)
    return model


def forwarded() -> nn.Sequential:
    model = mlp(3)
    model[1].forward = torch.sigmoid
    return model


def reused() -> nn.Sequential:
    activation = nn.Tanh()
    return seq(nn.Linear(3, 3), activation, nn.Linear(3, 3), activation, nn.Linear(3, 3))


def unused() -> nn.Sequential:
    model = mlp(3)
    model.register_parameter("temperature", nn.Parameter(torch.ones(())))
    return model


def masked(problem: Problem) -> Problem:
    targets = problem.targets.clone()
    targets[1] = -100
    return Problem(problem.model, problem.loss, [(problem.inputs, targets)])


def soft(problem: Problem) -> Problem:
    """Class probabilities that do not sum to one."""
    targets = nn.functional.one_hot(problem.targets, 3).to(problem.dtype) * 0.7
    return Problem(problem.model, problem.loss, [(problem.inputs, targets)])


FIRST: list[Quantity] = [route.backpack_empirical_fisher, route.backpack_empirical_fisher_diagonal]
SECOND: list[Quantity] = [
    route.backpack_ggn,
    route.backpack_ggn_diagonal,
    route.backpack_hessian_diagonal,
    lambda problem: route.kronecker_block_diagonal(route.backpack_kflr(problem)),
]
EXACT: list[Callable[[Problem], Tensor]] = [
    lambda problem: empirical_fisher(problem).dense(),
    lambda problem: empirical_fisher(problem).diagonal(),
    lambda problem: ggn(problem).dense(),
    lambda problem: ggn(problem).diagonal(),
    lambda problem: hessian(problem).diagonal(),
]

# name: (problem, quantities that refuse it, words of the refusal, those that BackPACK would get silently wrong)
REFUSED: dict[str, tuple[Callable[[], Problem], list[Quantity], str, list[Quantity]]] = {
    "padding-mode": (
        lambda: problem_of(seq(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), *flat(64)), (2, 4, 4), CE()),
        FIRST + SECOND,
        "padding_mode='circular'",
        FIRST + SECOND[:3],
    ),
    "padding-word": (
        lambda: problem_of(seq(nn.Conv2d(2, 4, 3, padding="same"), *flat(64)), (2, 4, 4), CE()),
        FIRST + SECOND,
        "padding='same'",
        [],
    ),
    "divisor": (
        lambda: problem_of(pooled(nn.AvgPool2d(2, divisor_override=3), 12), (2, 5, 5), CE()),
        SECOND,
        "divisor_override=3",
        SECOND[:3],
    ),
    "ceil": (
        lambda: problem_of(pooled(nn.AvgPool2d(3, 2, ceil_mode=True), 12), (2, 5, 5), CE()),
        SECOND,
        "requested an output size",
        [],
    ),
    "output-padding": (
        lambda: problem_of(seq(nn.ConvTranspose1d(2, 2, 2, stride=2, output_padding=1), *flat(14)), (2, 3), CE()),
        [*FIRST, *SECOND],
        "ConvTranspose1d|invalid for input|einsum",
        [],
    ),
    "negative-pad": (
        lambda: problem_of(pooled(nn.ZeroPad2d((-1, 0, 0, 1)), 45), (2, 5, 5), CE()),
        FIRST + SECOND,
        "negative padding",
        [],
    ),
    "unbatched": (
        lambda: problem_of(seq(nn.Conv1d(SAMPLES, SAMPLES, 1), nn.Linear(3, 3)), (3,), CE(), sizes=(SAMPLES,)),
        FIRST + SECOND,
        "inputs of 2 axes",
        [],
    ),
    "one-vector": (
        lambda: problem_of(nn.Linear(SAMPLES, SAMPLES), (), MSE(), sizes=(SAMPLES,)),
        FIRST + SECOND,
        "no batch of vectors",
        [],
    ),
    "tied": (lambda: problem_of(tied(), (3,), CE()), FIRST + SECOND, "tied parameter", FIRST + SECOND[:3]),
    "reused": (lambda: problem_of(reused(), (3,), CE()), FIRST + SECOND, "used twice", []),
    "hook": (lambda: problem_of(hooked(), (3,), CE()), FIRST + SECOND, "hooks or a forward of its own", SECOND[:3]),
    "forward": (lambda: problem_of(forwarded(), (3,), CE()), FIRST + SECOND, "hooks or a forward of its own", []),
    "subclass": (lambda: problem_of(Scaled(*mlp(3)), (3,), CE()), FIRST + SECOND, "the model \\(Scaled\\)", []),
    "functional": (lambda: problem_of(Functional(), (3,), CE()), FIRST + SECOND, "operations outside of modules", []),
    "parametrized": (
        lambda: problem_of(seq(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))), (3,), CE()),
        FIRST + SECOND,
        "ParametrizedLinear",
        [],
    ),
    "layer-norm": (lambda: problem_of(seq(*mlp(3), nn.LayerNorm(3)), (3,), CE()), FIRST + SECOND, "LayerNorm", []),
    "unused": (lambda: problem_of(unused(), (3,), CE()), FIRST + SECOND, "no attribute", []),
    "inplace": (lambda: problem_of(mlp(3, nn.ReLU(inplace=True)), (3,), CE()), FIRST + SECOND, "inplace=True", []),
    "padding-index": (
        lambda: problem_of(seq(nn.Embedding(7, 3, padding_idx=0), nn.Linear(3, 2)), (), CE()),
        FIRST + SECOND[:2],
        "Only padding_idx=None supported",
        [],
    ),
    "masked": (lambda: masked(problem_of(mlp(3), (3,), CE())), SECOND, "masked labels", SECOND[:3]),
    "mask-index": (lambda: problem_of(mlp(3), (3,), CE(ignore_index=7)), SECOND, "Only default ignore_index", []),
    "probabilities": (lambda: soft(problem_of(mlp(3), (3,), CE())), SECOND, "class probabilities", SECOND[:3]),
    "weights": (
        lambda: problem_of(mlp(3), (3,), CE(weight=torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64))),
        SECOND,
        "with weights",
        [],
    ),
    "loss-subclass": (lambda: problem_of(mlp(3), (3,), Softmax()), SECOND, "Softmax, a subclass", []),
    "positions": (lambda: case("positions"), FIRST, "4 terms a sample", FIRST),
    "mse-positions": (lambda: case("mse-positions"), FIRST, "4 terms a sample", FIRST),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    build, refusing, words, _ = REFUSED[name]
    problem = build()
    for quantity in refusing:
        with pytest.raises(UnsupportedError, match=words) as caught:
            quantity(problem)
        assert "BackPACK's " in str(caught.value)


@pytest.mark.parametrize("name", [name for name, entry in REFUSED.items() if entry[3]])
def test_backpack_would_be_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal of a number that BackPACK would give is needed; if this fails, BackPACK has been mended."""
    build, _, _, wrong = REFUSED[name]
    problem = build()
    monkeypatch.setattr("fishergauge.reference.backpack_run.require_support", lambda *_: None)
    for quantity, exact in zip(FIRST + SECOND, EXACT, strict=False):
        if quantity in wrong:
            expected = exact(problem)
            assert float((quantity(problem) - expected).norm() / expected.norm()) > 0.01


def test_dropout_in_training_is_refused() -> None:
    model = seq(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4, 2))
    problem = problem_of(model, (3,), CE())
    expected = ggn(problem).dense()
    assert_close(problem, route.backpack_ggn(problem), expected)
    model.train()
    for quantity in FIRST + SECOND:
        with pytest.raises(UnsupportedError, match="Dropout\\) with training mode"):
            quantity(problem)


@pytest.mark.parametrize("name", ["weighted", "pos-weight"])
def test_monte_carlo_needs_a_likelihood(name: str) -> None:
    build, shape, loss = FREE[name]
    problem = problem_of(build(), shape, loss)
    for function in (route.backpack_monte_carlo_fisher, route.backpack_monte_carlo_fisher_diagonal, route.backpack_kfac):
        with pytest.raises(UndefinedError, match="no negative log-likelihood"):
            function(problem, 1, torch.Generator())


def test_monte_carlo_refuses() -> None:
    problem, closed = case("linear"), case("mse-positions")
    for function in (route.backpack_monte_carlo_fisher, route.backpack_monte_carlo_fisher_diagonal, route.backpack_kfac):
        with pytest.raises(UndefinedError, match="at least one sample, not 0"):
            function(problem, 0, torch.Generator())
        with pytest.raises(UnsupportedError, match=r"MSELoss with outputs \(5, 4, 2\)"):
            function(closed, 1, torch.Generator())


# --- no trace -----------------------------------------------------------------------------------------------


def traces(problem: Problem) -> Iterator[object]:
    """All that a computation could leave changed, in comparable form."""
    yield [(name, sorted(vars(module)), module.training) for name, module in problem.model.named_modules()]
    yield [len(module._forward_hooks) + len(module._backward_hooks) for module in (*problem.model.modules(), problem.loss)]
    yield [(name, p.grad, sorted(vars(p)), p.requires_grad, p.tolist()) for name, p in problem.model.named_parameters()]
    yield sorted(vars(problem.loss))
    yield [(inputs.tolist(), inputs.requires_grad, targets.tolist()) for inputs, targets in problem.batches]
    yield torch.get_rng_state().tolist()
    yield torch.get_default_dtype(), torch.is_grad_enabled(), copy.copy(warnings.filters)
    yield CTX.get_active_exts(), len(CTX.hook_handles)


ALL: dict[str, Callable[[Problem], object]] = {
    **dict(zip(("ef", "ef-diagonal", "ggn", "ggn-diagonal", "hessian-diagonal", "kflr"), FIRST + SECOND, strict=True)),
    "monte-carlo": lambda problem: route.backpack_monte_carlo_fisher(problem, 2, torch.Generator()),
    "monte-carlo-diagonal": lambda problem: route.backpack_monte_carlo_fisher_diagonal(problem, 2, torch.Generator()),
    "kfac": lambda problem: route.backpack_kfac(problem, 2, torch.Generator()),
    "hessian-product": lambda problem: route.backpack_hessian_product(problem, problem.vector),
    "ggn-product": lambda problem: route.backpack_ggn_product(problem, problem.vector),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("quantity", ALL)
def test_no_trace(quantity: str, dtype: torch.dtype) -> None:
    problem = case("avg-pool", dtype)
    before = list(traces(problem))
    ALL[quantity](problem)
    assert list(traces(problem)) == before


@pytest.mark.parametrize("quantity", ["ggn", "ggn-diagonal", "hessian-diagonal", "kflr", "monte-carlo", "kfac"])
def test_no_trace_after_an_exception(quantity: str) -> None:
    problem = REFUSED["ceil"][0]()
    before = list(traces(problem))
    with pytest.raises(UnsupportedError, match="requested an output size"):
        ALL[quantity](problem)
    assert list(traces(problem)) == before

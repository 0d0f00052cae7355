"""Where theory says that K-FAC is exact it is, and one step outside of those settings it is not."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from fishergauge.reference import Curvature, Facts, Problem, ProblemError, block_slices, empirical_fisher, fisher, ggn, kfac
from fishergauge.reference.gauss_newton import GaussNewton
from fishergauge.reference.kfac import BiasMode, KfacTarget, SharingMode
from fishergauge.suites.closeness import ClaimViolated, assert_apart, assert_close
from fishergauge.suites.random_problem import SHAPES, Shape, random_problem
from fishergauge.suites.unhurried import unhurried
from fishergauge.suites.zoo import ZOO, Setting, zoo_problem
from fishergauge.suites.zoo.setting import Reduction

EXACT: dict[str, Callable[[Problem], Curvature]] = {"fisher": fisher, "ggn": ggn, "empirical-fisher": empirical_fisher}
NOT_SUPPORTED = {"prelu", "batch-norm", "cnn", "tied-autoencoder", "recurrent", "attention"}
NO_FISHER = {"class-weights", "soft-targets", "positive-weights"}
POOLED = {"pooled-positions"}  # gradients at the positions of one term are not independent of each other

every_problem = pytest.mark.parametrize("name", [n for n in ZOO if n not in NOT_SUPPORTED])
every_target = pytest.mark.parametrize("target", list(EXACT))
every_bias = pytest.mark.parametrize("bias", ["joint", "separate"])
every_reduction = pytest.mark.parametrize("reduction", ["mean", "sum"])


def _blocks_deviate(
    problem: Problem, target: KfacTarget, bias: BiasMode, sharing: SharingMode = "expand"
) -> tuple[Tensor, Tensor]:
    """K-FAC and the exact blocks of layers, or of parameters where the bias is separate."""
    exact = EXACT[target](problem).block_diagonal("layer" if bias == "joint" else "parameter")
    return kfac(problem, target, bias, sharing).dense(), exact


def _network(s: Setting, *widths: int, activation: type[nn.Module] = nn.Tanh, bias: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias), activation()]
    return nn.Sequential(*layers[:-1])


def _loss(kind: str, s: Setting) -> nn.Module:
    if kind == "squared":
        return nn.MSELoss(reduction=s.reduction)
    return nn.CrossEntropyLoss(reduction=s.reduction) if kind == "categorical" else nn.BCEWithLogitsLoss(reduction=s.reduction)


def _targets(kind: str, s: Setting, *shape: int) -> Tensor:
    if kind == "categorical":
        return s.labels(shape[-1], *shape[:-1])
    return s.binary(*shape) if kind == "binary" else s.normal(*shape)


def _mlp_problem(
    kind: str, samples: int, reduction: Reduction = "mean", equal_inputs: bool = False, **network: object
) -> Problem:
    s = Setting(f"kfac {kind} {samples}", reduction=reduction)
    inputs = s.normal(1 if equal_inputs else samples, 3).expand(samples, 3).clone()
    data = [(inputs, _targets(kind, s, samples, 2))]
    return s.problem(lambda: _network(s, 3, 4, 2, **network), _loss(kind, s), data, Facts())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "target"),
    [(n, t) for n in ZOO for t in EXACT if n not in NOT_SUPPORTED | POOLED and not (n in NO_FISHER and t == "fisher")],
)
def test_the_bias_block_is_exact(name: str, target: KfacTarget) -> None:
    problem = zoo_problem(name)
    matrix, exact = kfac(problem, target), EXACT[target](problem).blocks("parameter")
    for bias, part in block_slices(problem, "parameter").items():
        if bias.endswith("bias"):
            block = matrix.dense()[part, part]
            assert_close(block, exact[bias], f"bias block of {bias}", size=problem.num_parameters)
            if problem.num_samples > 1 and problem.likelihood.reduction == "mean":
                with pytest.raises(ClaimViolated):  # gradients of the mean loss
                    assert_close(block / problem.num_samples, exact[bias], "planted")


@pytest.mark.parametrize("name", sorted(POOLED))
def test_the_bias_block_of_a_layer_before_pooling_needs_reduce(name: str) -> None:
    problem = zoo_problem(name)
    exact = fisher(problem).blocks("parameter")["first.bias"]
    part = block_slices(problem, "parameter")["first.bias"]
    assert_close(kfac(problem, sharing="reduce").dense()[part, part], exact, "bias block")
    assert_apart(kfac(problem).dense()[part, part], exact, "expand")


@every_bias
@every_reduction
@every_target
def test_the_last_layer_is_exact_under_squared_error(bias: BiasMode, reduction: Reduction, target: KfacTarget) -> None:
    problem = _mlp_problem("squared", 5, reduction)
    part = block_slices(problem)["2"]
    matrix, exact = _blocks_deviate(problem, target, bias)
    if target == "empirical-fisher":
        assert_apart(matrix[part, part], exact[part, part], "residuals depend on the inputs")
        return
    assert_close(matrix[part, part], exact[part, part], "last layer")
    other = _blocks_deviate(_mlp_problem("categorical", 5, reduction), target, bias)
    assert_apart(other[0][part, part], other[1][part, part], "cross-entropy")


@every_bias
@every_target
@pytest.mark.parametrize("kind", ["squared", "categorical", "binary"])
def test_one_sample_is_exact_and_three_are_not(kind: str, target: KfacTarget, bias: BiasMode) -> None:
    assert_close(*_blocks_deviate(_mlp_problem(kind, 1), target, bias), "one sample")
    assert_apart(*_blocks_deviate(_mlp_problem(kind, 3), target, bias), "three samples")


@every_bias
@every_target
def test_the_first_layer_is_exact_if_all_inputs_are_equal(target: KfacTarget, bias: BiasMode) -> None:
    part = block_slices(_mlp_problem("categorical", 4))["0"]
    matrix, exact = _blocks_deviate(_mlp_problem("categorical", 4, equal_inputs=True), target, bias)
    assert_close(matrix[part, part], exact[part, part], "equal inputs")
    matrix, exact = _blocks_deviate(_mlp_problem("categorical", 4), target, bias)
    assert_apart(matrix[part, part], exact[part, part], "inputs that differ")


@every_bias
@every_reduction
@pytest.mark.parametrize("target", ["fisher", "ggn"])
def test_deep_linear_networks_are_exact_under_squared_error(target: KfacTarget, reduction: Reduction, bias: BiasMode) -> None:
    assert_close(*_blocks_deviate(_mlp_problem("squared", 5, reduction, activation=nn.Identity), target, bias), "deep linear")
    assert_apart(*_blocks_deviate(_mlp_problem("squared", 5, reduction), target, bias), "one nonlinearity")
    assert_apart(*_blocks_deviate(_mlp_problem("categorical", 5, activation=nn.Identity), target, bias), "cross-entropy")


class _Shrinking(nn.Module):
    """Positions of the first layer are merged in pairs, then averaged over, or not."""

    def __init__(self, pooled: bool, bias: bool) -> None:
        super().__init__()
        self.first, self.last, self.pooled = nn.Linear(2, 3, bias), nn.Linear(3, 2, bias), pooled

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)
        if self.pooled:
            hidden = hidden.unflatten(1, (-1, 2)).mean(2)  # six positions become three
        outputs: Tensor = self.last(hidden)
        return outputs.mean(1) if self.pooled else outputs


def _shared(pooled: bool, reduction: Reduction) -> Problem:
    s = Setting(f"kfac shared {pooled}", reduction=reduction)
    data = [(s.normal(n, 6, 2), s.normal(n, 2) if pooled else s.normal(n, 6, 2)) for n in (3, 2)]
    return s.problem(lambda: _Shrinking(pooled, True), nn.MSELoss(reduction=reduction), data, Facts(weight_sharing=True))


@every_bias
@every_reduction
@pytest.mark.parametrize("pooled", [False, True])
def test_expand_and_reduce_are_exact_each_in_its_setting(pooled: bool, reduction: Reduction, bias: BiasMode) -> None:
    problem = _shared(pooled, reduction)
    right, wrong = ("reduce", "expand") if pooled else ("expand", "reduce")
    assert_close(*_blocks_deviate(problem, "fisher", bias, right), right)  # type: ignore[arg-type]
    assert_apart(*_blocks_deviate(problem, "fisher", bias, wrong), wrong)  # type: ignore[arg-type]


class _Repeating(nn.Module):
    """Each position of the layers has two terms of the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.last(self.first(inputs))
        return hidden.repeat_interleave(2, 1)


@every_bias
@every_reduction
def test_the_loss_and_not_the_layer_says_how_many_terms_there_are(reduction: Reduction, bias: BiasMode) -> None:
    s = Setting("kfac repeating", reduction=reduction)
    data = [(s.normal(4, 3, 2), s.normal(4, 6, 2))]
    problem = s.problem(_Repeating, nn.MSELoss(reduction=reduction), data, Facts(weight_sharing=True))
    matrix, exact = _blocks_deviate(problem, "fisher", bias)
    assert_close(matrix, exact, "three positions, six terms")
    assert_apart(matrix * 3 / 6, exact, "divided by the positions of the layer")


@every_bias
@pytest.mark.parametrize("paired", [True, False])
def test_the_empirical_fisher_is_exact_on_product_data(paired: bool, bias: BiasMode) -> None:
    s = Setting(f"kfac product {paired}")
    inputs, residuals = s.normal(3, 2), s.normal(4, 2)
    x, r = inputs.repeat_interleave(4, 0), residuals.repeat(3, 1) if paired else s.normal(12, 2)
    model = s.problem(lambda: nn.Linear(2, 2), nn.MSELoss(), [(x, r)], Facts()).model
    with torch.no_grad():
        problem = Problem(model, nn.MSELoss(), [(x, model(x) - r)])
    (assert_close if paired else assert_apart)(*_blocks_deviate(problem, "empirical-fisher", bias), "product data")


@unhurried
@given(SHAPES)
def test_k_fac_is_that_of_plain_loops(shape: Shape) -> None:
    problem = random_problem(shape)
    for sharing in ("expand", "reduce"):
        blocks = kfac(problem, sharing=sharing).factors
        for name, (outer, inner) in _looped(problem, sharing).items():
            assert_close(blocks[name].output_factor, outer, f"G, {sharing}", size=problem.num_parameters)
            assert_close(blocks[name].input_factor, inner, f"A, {sharing}", size=problem.num_parameters)


def _looped(problem: Problem, sharing: str) -> dict[str, tuple[Tensor, Tensor]]:
    """(G, A) with a joint bias, one sample, one term and one label at a time, from plain backward passes."""
    layers = {name: module for name, module in problem.model.named_modules() if isinstance(module, nn.Linear)}
    outer: dict[str, list[Tensor]] = {name: [] for name in layers}
    inner: dict[str, list[Tensor]] = {name: [] for name in layers}
    for sample in torch.split(problem.inputs, 1):
        terms, seen = _seen(problem, layers, sample)
        for name, (inputs, _) in seen.items():
            a = inputs.reshape(-1, layers[name].in_features)
            a = torch.cat([a, torch.ones_like(a[:, :1])], 1) if layers[name].bias is not None else a
            inner[name] += list(a.mean(0, keepdim=True) if sharing == "reduce" else a)
        for term in terms:
            for weight, label in zip(*problem.likelihood.enumerate(term.detach()[None]), strict=True):
                residual = problem.likelihood.residuals(term.detach()[None], label)[0]
                for name, (_, output) in seen.items():
                    (g,) = torch.autograd.grad(term @ residual, output, retain_graph=True)
                    g = weight.sqrt() * g.reshape(-1, layers[name].out_features)
                    outer[name] += list(g.sum(0, keepdim=True) if sharing == "reduce" else g)
    divisor = problem.likelihood.divisor(problem.outputs, problem.targets)
    return {name: (_products(outer[name]) / divisor, _products(inner[name]) / len(inner[name])) for name in layers}


def _products(rows: list[Tensor]) -> Tensor:
    return torch.stack([torch.outer(row, row) for row in rows]).sum(0)


def _seen(problem: Problem, layers: dict[str, nn.Linear], sample: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
    """The terms of one sample, and inputs and outputs of each layer."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda _, inputs, output: seen.update({name: (inputs[0].detach(), output)})

    hooks = [module.register_forward_hook(note(name)) for name, module in layers.items()]
    terms = problem.likelihood.split(problem.model(sample))[0]
    for hook in hooks:
        hook.remove()
    return terms, seen


@pytest.mark.parametrize("name", ["mlp-tanh-gaussian", "mlp-sigmoid-binary", "conv1d-tagging"])
def test_a_root_of_more_vectors_than_outputs_gives_the_same(name: str) -> None:
    problem = zoo_problem(name)
    matrix = ggn(problem)
    doubled = GaussNewton(problem, matrix.terms, torch.cat([matrix.root, matrix.root], 1) / 2**0.5)
    assert_close(kfac(problem, root_of=doubled).dense(), kfac(problem, "ggn").dense(), "the same matrix by another root")


@every_target
def test_labels_count_for_the_empirical_fisher_alone(target: KfacTarget) -> None:
    problem = zoo_problem("mlp-tanh-softmax")
    other = Problem(problem.model, problem.loss, [(problem.inputs, (problem.targets + 1) % 3)])
    compare = assert_apart if target == "empirical-fisher" else assert_close
    compare(kfac(other, target).dense(), kfac(problem, target).dense(), "other labels")


def test_masked_samples_are_absent() -> None:
    problem = zoo_problem("masked-labels")
    counted = problem.targets != 7
    present = Problem(problem.model, problem.loss, [(problem.inputs[counted], problem.targets[counted])])
    for target in EXACT:
        assert_close(kfac(problem, target).dense(), kfac(present, target).dense(), target)  # type: ignore[arg-type]
    kept = Problem(problem.model, nn.CrossEntropyLoss(), [(problem.inputs, problem.targets % 3)])
    assert_apart(kfac(kept).factors["0"].input_factor, kfac(present).factors["0"].input_factor, "not masked")


def test_batches_are_one_data_set() -> None:
    problem = zoo_problem("mlp-tanh-gaussian")
    joined = Problem(problem.model, problem.loss, [(problem.inputs, problem.targets)])
    assert_close(kfac(problem).dense(), kfac(joined).dense(), "batches of 5 and 2")
    (first, second) = (Problem(problem.model, problem.loss, [batch]) for batch in problem.batches)
    assert_apart((kfac(first).dense() + kfac(second).dense()) / 2, kfac(joined).dense(), "mean of batches")


@every_problem
def test_single_precision_agrees_with_double(name: str) -> None:
    single, double = zoo_problem(name, dtype=torch.float32), zoo_problem(name)
    matrix = kfac(single, "ggn").dense()
    assert matrix.dtype == torch.float32
    assert_close(matrix, kfac(double, "ggn").dense(), name)


@pytest.mark.parametrize("option", ["target", "bias", "sharing"])
def test_an_unknown_option_is_refused_by_name(option: str) -> None:
    with pytest.raises(ProblemError, match=f"{option} is one of .* not 'other'"):
        kfac(zoo_problem("deep-linear"), **{option: "other"})  # type: ignore[arg-type]

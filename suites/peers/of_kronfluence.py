"""kronfluence: diagonal, K-FAC and EKFAC factors of the empirical and of the sampled Fisher, fitted by its ``Analyzer``.

Its training loss is a sum over the batch, and what it fits is divided by the number of data points: the factors are of a mean
over data points. A layer's bias is the last input. Labels are drawn once, by the task that its user writes.
"""

import copy
import logging
import math
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from fishergauge.reference import Problem
from fishergauge.suites.peers.adapting import own_model, quiet, settings_of
from fishergauge.suites.peers.joint_layers import layer_index, placed
from fishergauge.suites.peers.peer import Peer
from fishergauge.suites.subject import Structure, Subject

WHERE = "DOCUMENTATION.md (FactorArguments, ScoreArguments, FAQs); kronfluence/arguments.py; kronfluence/factor/config.py"
SCALE = (
    "times the data points, divided by what the reduction divides by; labels that do not count are masked as padding; "
    "a model that is one layer is put into nn.Sequential, except for -bare-model"
)
STRUCTURES: dict[str, Structure] = {"kfac": "kronecker", "ekfac": "eigen-kronecker", "diagonal": "diagonal"}


def peers() -> list[Peer]:
    """Each strategy that fits factors, with the labels of the data and with drawn ones; EKFAC in parts and by loops."""
    made = [_peer(strategy, empirical) for strategy in STRUCTURES for empirical in (True, False)]
    parts = {"covariance_data_partitions": 2, "lambda_data_partitions": 2}
    modules = {"covariance_module_partitions": 2, "lambda_module_partitions": 2}
    return [
        *made,
        _peer("kfac", True, "-bare-model", bare=True),
        _peer("ekfac", True, "-data-partitions", **parts),
        _peer("ekfac", True, "-module-partitions", **modules),
        _peer("ekfac", True, "-iterative", use_iterative_lambda_aggregation=True),
        _peer("kfac", True, "-data-partitions", **parts),
        _peer("diagonal", True, "-data-partitions", **parts),
    ]


def _peer(strategy: str, empirical: bool, variant: str = "", **options: Any) -> Peer:
    build: Callable[..., Fitted] = partial(curvature, strategy=strategy, empirical=empirical, **options)
    if variant:  # the loader of data draws a seed, which the subjects without a variant show

        def build(problem: Problem) -> Fitted:
            with settings_of(problem):
                return curvature(problem, strategy=strategy, empirical=empirical, **options)

    name = f"kronfluence/{strategy}-{'empirical' if empirical else 'sampled'}{variant}"
    subject = Subject(
        name,
        build,
        target="empirical-fisher" if empirical else "fisher",
        structure=STRUCTURES[strategy],
        samples=None if empirical else 1,
        bias="separate" if strategy == "diagonal" else "joint",
        solve=partial(preconditioned, strategy=strategy) if not variant else None,
    )
    promise = f"strategy={strategy!r}, use_empirical_fisher={empirical}{', ' * bool(options)}{options or ''}. {WHERE}"
    return Peer("kronfluence", "kronfluence", subject, promise, SCALE)


class Fitted:
    """A matrix with the factors it was made of, for the library's own damped inverse."""

    def __init__(self, problem: Problem, matrix: Tensor, factors: dict[str, dict[str, Tensor]], scale: float) -> None:
        self.problem, self.matrix, self.factors, self.scale = problem, matrix, factors, scale
        self.shape = matrix.shape

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.matrix @ other


def curvature(problem: Problem, *, strategy: str, empirical: bool, bare: bool = False, **options: Any) -> Fitted:
    """The matrix that the factors of a strategy stand for."""
    terms = problem.likelihood.split(problem.outputs).shape[1]
    if empirical and strategy != "kfac" and terms > 1:
        raise NotImplementedError(
            "kronfluence sums the gradients of a sample's terms before it squares them, and has no other form"
        )
    factors = fitted(problem, strategy, empirical, bare, **options)
    points = int(_counted(problem).sum()) if strategy == "kfac" else problem.num_samples
    scale = points / float(problem.likelihood.divisor(problem.outputs, problem.targets))
    return Fitted(
        problem, placed(problem, {name: scale * block for name, block in blocks(strategy, factors).items()}), factors, scale
    )


def blocks(strategy: str, factors: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """What a strategy inverts, layer by layer, before damping: an eigendecomposition, or a diagonal."""
    if strategy == "diagonal":
        return {name: torch.diag(_eigenvalues(factors, name).flatten()) for name in factors["lambda_matrix"]}
    made = {}
    for name, output in factors["gradient_eigenvectors"].items():
        if strategy == "kfac":
            values = torch.outer(factors["gradient_eigenvalues"][name], factors["activation_eigenvalues"][name])
        else:
            values = _eigenvalues(factors, name)
        basis = torch.kron(output, factors["activation_eigenvectors"][name])
        made[name] = basis @ (values.flatten()[:, None] * basis.T)
    return made


def _eigenvalues(factors: dict[str, dict[str, Tensor]], name: str) -> Tensor:
    return factors["lambda_matrix"][name] / factors["num_lambda_processed"][name]


def preconditioned(matrix: Fitted, vector: Tensor, damping: float, *, strategy: str) -> Tensor:
    """The library's preconditioner on a vector, layer by layer; its damping is that of the mean over data points."""
    from kronfluence.arguments import ScoreArguments
    from kronfluence.factor.config import FactorConfig

    arguments = ScoreArguments(damping_factor=damping / matrix.scale, precondition_dtype=vector.dtype)
    config, result = FactorConfig.CONFIGS[strategy], torch.zeros_like(vector)
    for name in next(iter(matrix.factors.values())):
        storage: dict[str, Any] = {factor: values[name].clone() for factor, values in matrix.factors.items()}
        config.prepare(storage, arguments, vector.device)
        index = layer_index(matrix.problem, name)
        rows = len(matrix.problem.parameters[f"{name}.weight".lstrip(".")])
        result[index] = config.precondition_gradient(vector[index].view(1, rows, -1), storage).flatten() / matrix.scale
    return result


def fitted(problem: Problem, strategy: str, empirical: bool, bare: bool, **options: Any) -> dict[str, dict[str, Tensor]]:
    """All factors by name and layer as the analyzer loads them."""
    with quiet():
        from kronfluence.analyzer import Analyzer, prepare_model
        from kronfluence.arguments import FactorArguments
        from kronfluence.utils.exceptions import IllegalTaskConfigurationError
    model, layers = own_model(problem), _layers(problem)
    alone = layers == [""] and not bare
    if bare and layers != [""]:
        raise NotImplementedError("the model is not a single layer: see the subject without -bare-model")
    calls = _positions(problem)
    task = make_task(problem, {"0" if alone else name: count for name, count in calls if name in layers})
    try:
        model = prepare_model(nn.Sequential(model) if alone else model, task)
    except IllegalTaskConfigurationError as refusal:
        raise NotImplementedError(f"kronfluence refuses: {str(refusal)[:120]}") from refusal
    dtypes = ("activation_covariance_dtype", "gradient_covariance_dtype", "per_sample_gradient_dtype", "lambda_dtype")
    arguments = FactorArguments(
        strategy=strategy,
        use_empirical_fisher=empirical,
        has_shared_parameters=len(dict(calls)) < len(calls),
        **dict.fromkeys(dtypes, problem.dtype),
        **options,
    )
    found: dict[str, dict[str, Tensor]] = {}
    with tempfile.TemporaryDirectory() as folder, quiet():
        analyzer = Analyzer("fit", model, task, cpu=True, disable_tqdm=True, output_dir=folder, log_level=logging.ERROR)
        analyzer._reset_memory = lambda: None  # collects garbage six times a fit, for most of its time; changes no number
        data = TensorDataset(problem.inputs, problem.targets)
        size = len(problem.batches[0][0])
        try:
            analyzer.fit_all_factors("factors", data, per_device_batch_size=size, factor_args=arguments)
        except ValueError as refusal:
            if "partition size" in str(refusal):
                raise NotImplementedError(f"kronfluence refuses: {refusal}") from refusal
            raise
        for loaded in filter(None, (analyzer.load_eigendecomposition("factors"), analyzer.load_lambda_matrices("factors"))):
            found |= {
                name: {"" if alone else layer: value for layer, value in values.items()} for name, values in loaded.items()
            }
    return found


def _layers(problem: Problem) -> list[str]:
    """The layers to track: those whose weight, and bias if they have one, is trained."""
    rest, layers = set(problem.parameters), []
    for name, module in problem.model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.requires_grad:
            layers.append(name)
            rest -= {f"{name}.{kind}".lstrip(".") for kind in ("weight", "bias")}
            if module.bias is not None and not module.bias.requires_grad:
                raise NotImplementedError(f"kronfluence tracks whole layers, and the bias of {name} is not trained")
            if f"{name}.weight".lstrip(".") not in problem.parameters:
                raise NotImplementedError(f"kronfluence keeps its factors by layer, and {name} shares its weight with another")
    if rest:
        raise NotImplementedError(f"kronfluence supports nn.Linear and nn.Conv2d, whole layers; not {min(rest)}")
    return layers


def _positions(problem: Problem) -> list[tuple[str, int]]:
    """Each call of a linear layer or convolution in a forward pass, and at how many positions of a sample it acts."""
    model, calls = copy.deepcopy(problem.model), []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(
                lambda layer, _, output, name=name: calls.append((name, output.numel() // len(layer.weight)))
            )
    with torch.no_grad():
        model(problem.inputs[:1])
    return calls


def make_task(problem: Problem, positions: Mapping[str, int]) -> Any:
    """The task as its documentation asks for it: a summed loss, drawn labels on demand, masks of what does not count.

    A layer at as many positions as there are labels has their mask; at others, all positions of a sample count or none.
    """
    from kronfluence.task import Task

    loss = copy.deepcopy(problem.loss)
    setattr(loss, "reduction", "sum")  # noqa: B010
    masked = not bool(_counts(problem.loss, problem.targets).all())

    class Training(Task):  # type: ignore[misc]
        """The problem's loss."""

        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
            inputs, targets = batch
            outputs = model(inputs)
            if not sample:
                result: Tensor = loss(outputs, targets)
                return result
            return _drawn(outputs, targets, problem.loss)

        def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return list(positions)

        def get_attention_mask(self, batch: Any) -> dict[str, Tensor] | None:
            mask = _counts(loss, batch[1]).long().view(len(batch[1]), -1)
            whole = mask.amax(1, keepdim=True)
            fitting = {name: mask if mask.shape[1] == n else whole.expand(-1, n) for name, n in positions.items()}
            return fitting if masked else None

    return Training()


def _drawn(outputs: Tensor, targets: Tensor, loss: nn.Module) -> Tensor:
    """The summed loss at labels drawn from the model's distribution, by torch's global generator."""
    if isinstance(loss, nn.MSELoss):
        labels = torch.normal(outputs.detach(), math.sqrt(0.5))
        return functional.mse_loss(outputs, labels, reduction="sum")
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return functional.binary_cross_entropy_with_logits(
            outputs, torch.bernoulli(outputs.detach().sigmoid()), reduction="sum"
        )
    logits = outputs.movedim(1, -1)
    labels = torch.multinomial(logits.detach().flatten(0, -2).softmax(-1), 1).view(logits.shape[:-1])
    return functional.cross_entropy(outputs, labels, reduction="none")[_counts(loss, targets).view(labels.shape)].sum()


def _counts(loss: nn.Module, targets: Tensor) -> Tensor:
    """Which labels count, in the shape of the targets; of class probabilities, all samples."""
    if not isinstance(loss, nn.CrossEntropyLoss):
        return torch.ones_like(targets, dtype=torch.bool)
    if targets.is_floating_point():
        return torch.ones_like(targets[:, 0], dtype=torch.bool)
    return targets != loss.ignore_index


def _counted(problem: Problem) -> Tensor:
    """Which samples have a label that counts."""
    return _counts(problem.loss, problem.targets).view(problem.num_samples, -1).any(1)

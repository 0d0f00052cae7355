"""Tags of a problem, from which the applicability of a claim follows: by loss, data and declared facts, never by name."""

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from fishergauge.reference import Problem
from fishergauge.reference.evaluation import differentiable_attention

MANY_TERMS = 200  # from here on, statistics of the terms have a distribution that is worth examining

LOSS_TAGS: dict[type[nn.Module], str] = {
    nn.MSELoss: "squared",
    nn.CrossEntropyLoss: "categorical",
    nn.BCEWithLogitsLoss: "binary",
}

FACT_TAGS: dict[str, str] = {
    "linear_in_parameters": "linear-model",
    "deep_linear": "deep-linear",
    "piecewise_linear": "piecewise-linear",
    "weight_sharing": "sharing",
    "tied_weights": "tied",
    "loss_per_position": "expand",
    "pooled": "reduce",
    "product_data": "product-data",
    "saturated": "saturated",
    "natural_parameters": "natural-parameters",
}

TAGS: dict[str, str] = {
    "squared": "the loss is squared error",
    "categorical": "the loss is cross-entropy",
    "binary": "the loss is binary cross-entropy with logits",
    "mean": "the loss averages",
    "sum": "the loss sums",
    "likelihood": "the objective is a negative log-likelihood of labels: a Fisher is defined",
    "masked": "some labels are ignored",
    "several-batches": "the data come in more than one batch",
    "several-terms": "a sample has more than one term (T > 1)",
    "one-sample": "one sample with one term",
    "several-outputs": "a term has more than one output (C > 1)",
    "equal-inputs": "several samples, all with the same input",
    "float-inputs": "the inputs are floating-point numbers",
    "linear-layers": "some nn.Linear with a trained weight is called once a forward pass and shares no parameter",
    "over-parametrised": "more parameters than outputs in all (P > N T C)",
    "many-terms": f"at least {MANY_TERMS} terms: enough for statistics",
    "linear-model": "the outputs are affine in all parameters together",
    "deep-linear": "the model is a chain of linear layers",
    "piecewise-linear": "every activation is piecewise linear",
    "sharing": "a layer is used at several positions of a sample",
    "tied": "a parameter is used by several layers",
    "expand": "shared layers act position by position, with a term of the loss for each",
    "reduce": "shared layers act position by position, and the positions are averaged before the loss",
    "product-data": "the data are all pairs of an input and a residual",
    "saturated": "every term is predicted with near certainty",
    "natural-parameters": "the parameters are the natural parameters of the labels",
}


def tags_of(problem: Problem) -> frozenset[str]:
    """What is true of a problem, in the words that claims use to say when they apply.

    With N samples of T terms of C outputs and P parameters; what each tag means stands in :data:`TAGS`. Nothing is
    read from the name, and the problem is left as it was.

    Args:
        problem: any problem.

    Returns:
        A subset of :data:`TAGS`.

    Example:
        >>> problem = Problem(nn.Linear(2, 1), nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 1))])
        >>> sorted(tags_of(problem))
        ['equal-inputs', 'float-inputs', 'likelihood', 'linear-layers', 'mean', 'squared']
    """
    tags = {_loss_tag(problem.loss), problem.likelihood.reduction}
    tags |= {tag for fact, tag in FACT_TAGS.items() if getattr(problem.facts, fact)}
    samples, positions, width = problem.likelihood.split(problem.outputs).shape
    present = problem.likelihood.present(problem.likelihood.labels(problem.targets))
    inputs = problem.inputs
    found = {
        "likelihood": _has_likelihood(problem),
        "masked": not bool(present.all()),
        "several-batches": sum(len(batch) > 0 for batch, _ in problem.batches) > 1,
        "several-terms": positions > 1,
        "one-sample": samples == positions == 1,
        "several-outputs": width > 1,
        "equal-inputs": samples > 1 and bool((inputs == inputs[:1]).all()),
        "float-inputs": inputs.is_floating_point(),
        "linear-layers": _has_plain_linear_layer(problem),
        "over-parametrised": problem.num_parameters > samples * positions * width,
        "many-terms": samples * positions >= MANY_TERMS,
    }
    return frozenset(tags | {tag for tag, true in found.items() if true})


def _loss_tag(loss: nn.Module) -> str:
    return next(tag for kind, tag in LOSS_TAGS.items() if isinstance(loss, kind))


def _has_likelihood(problem: Problem) -> bool:
    likelihood = problem.likelihood
    return likelihood.why_no_likelihood is None and likelihood.why_no_labels(problem.targets) is None


def _has_plain_linear_layer(problem: Problem) -> bool:
    """Whether some ``nn.Linear`` with a trained weight is called once in a forward pass and shares no parameter."""
    model = copy.deepcopy(problem.model)
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    owners = Counter(id(p) for module in model.modules() for p in module._parameters.values() if p is not None)
    calls: Counter[int] = Counter()

    def count(module: nn.Module, *_: Any) -> None:
        calls[id(module)] += 1

    for layer in layers:
        layer.register_forward_hook(count)
    with torch.no_grad(), differentiable_attention():
        model(_some(problem.inputs))
    return any(
        calls[id(layer)] == 1 and layer.weight.requires_grad and all(owners[id(p)] == 1 for p in layer.parameters())
        for layer in layers
    )


def _some(inputs: Tensor) -> Tensor:
    """One sample, which is enough to see which layers are called."""
    return inputs[:1]

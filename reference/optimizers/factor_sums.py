"""The Kronecker factors of one training pass, as sums that add up over micro-batches."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from fishergauge.reference.curvature import symmetrized
from fishergauge.reference.likelihood import Likelihood
from fishergauge.reference.optimizers.layer_hooks import LayerCall

Labels = Literal["sampled", "observed", "exact"]


@dataclass(frozen=True, eq=False)
class LayerSums:
    """Sums of one layer.

    Args:
        inputs: of the products a a' of its inputs, a 1 appended where the bias is trained.
        count: how many inputs there were.
        outputs: of the products g g' of the gradients at its outputs.
    """

    inputs: Tensor
    count: int
    outputs: Tensor


@dataclass(frozen=True, eq=False)
class FactorSums:
    r"""Sums of all layers.

    .. math:: A = \frac{1}{n} \sum a a', \qquad G = \frac{1}{M} \sum g g'

    Args:
        layers: by name.
        divisor: M, what the reduction of the loss divides by.
        averaged: whether the loss averages: M of several batches is then the sum of theirs, and otherwise one.
    """

    layers: Mapping[str, LayerSums]
    divisor: Tensor
    averaged: bool

    def __add__(self, other: "FactorSums") -> "FactorSums":
        """The sums of both batches, as if they were one."""
        pairs = ((name, first, other.layers[name]) for name, first in self.layers.items())
        layers = {n: LayerSums(a.inputs + b.inputs, a.count + b.count, a.outputs + b.outputs) for n, a, b in pairs}
        return FactorSums(layers, self.divisor + other.divisor if self.averaged else self.divisor, self.averaged)

    def factors(self) -> dict[str, tuple[Tensor, Tensor]]:
        """By layer A and G."""
        return {
            name: (symmetrized(sums.inputs) / max(1, sums.count), symmetrized(sums.outputs) / self.divisor)
            for name, sums in self.layers.items()
        }


def factor_sums(
    likelihood: Likelihood,
    outputs: Tensor,
    targets: Tensor,
    calls: Mapping[str, LayerCall],
    labels: Labels,
    samples: int = 1,
    generator: torch.Generator | None = None,
) -> FactorSums:
    r"""What a pass contributes to the factors of each layer (K-FAC expand).

    With vectors :math:`b_{kr}` in the space of the outputs of term k, and :math:`g_{krt}` the gradient of
    :math:`b_{kr}' z_k` at position t of the layer's output, :math:`G = \frac{1}{M} \sum_{k,r,t} g_{krt} g_{krt}'`.
    The vectors are scores at S drawn labels over :math:`\sqrt S`, residuals at the observed labels, or rows of a square
    root of the output Hessian. Drawn labels of different terms are independent and their scores have mean zero: one
    backward pass takes all terms of a sample, and the products between them vanish in expectation. The other two take
    a pass for each term of a sample and each vector.

    Args:
        likelihood: of the loss.
        outputs: of the model, in the graph, which is kept.
        targets: of the loss.
        calls: of the layers in this pass.
        labels: which vectors.
        samples: S.
        generator: the source of drawn labels.

    Returns:
        Sums over the pass; masked terms are absent.

    Raises:
        ProblemError: the targets do not fit the outputs.
        UndefinedError: labels are to be drawn, and the objective is no negative log-likelihood.

    Reference:
        Martens and Grosse, ICML 2015, sec. 3 and 5; Grosse and Martens, ICML 2016, sec. 3.
    """
    with torch.enable_grad():
        split = likelihood.split(outputs)
    terms, observed = split.detach().flatten(0, 1), likelihood.labels(targets)
    likelihood.check(outputs.detach(), targets)
    likelihood.check_divisor(outputs.detach(), targets)
    root = _root(likelihood, terms, targets, labels, samples, generator)
    cotangents = _cotangents(root.reshape(*split.shape[:2], *root.shape[1:]), together=labels == "sampled")
    places = [call.left for call in calls.values()]
    sums = {name: terms.new_zeros(call.width, call.width) for name, call in calls.items()}
    for cotangent in cotangents:
        gradients = torch.autograd.grad(split, places, cotangent, retain_graph=True, allow_unused=True, materialize_grads=True)
        for (name, call), gradient in zip(calls.items(), gradients, strict=True):
            rows = call.by_position(gradient).flatten(0, -2)
            sums[name].addmm_(rows.T, rows)
    present = likelihood.present(observed).reshape(split.shape[:2])
    layers = {name: LayerSums(*_inputs(call, present), sums[name]) for name, call in calls.items()}
    return FactorSums(layers, likelihood.divisor(outputs.detach(), targets), likelihood.reduction == "mean")


def _root(
    likelihood: Likelihood, terms: Tensor, targets: Tensor, labels: Labels, samples: int, generator: torch.Generator | None
) -> Tensor:
    """The vectors b, ``(K, R, C)``, zero where a label is masked."""
    observed = likelihood.labels(targets)
    if labels == "exact":
        return likelihood.hessian_root(terms, observed)
    if labels == "observed":
        return likelihood.residuals(terms, observed)[:, None]
    likelihood.require_likelihood("the Fisher, from drawn labels,", targets)
    assert generator is not None
    drawn = likelihood.sample(terms, samples, generator)
    scores = torch.stack([likelihood.scores(terms, label) for label in drawn], 1)
    return scores * likelihood.present(observed)[:, None, None] / math.sqrt(samples)


def _cotangents(root: Tensor, together: bool) -> Iterator[Tensor]:
    """Vectors ``(N, T, C)`` for one backward pass each, from ``(N, T, R, C)``: all terms of a sample, or one by one."""
    for vectors in root.unbind(2):
        if together:
            yield vectors
            continue
        for term in range(vectors.shape[1]):
            cotangent = torch.zeros_like(vectors)
            cotangent[:, term] = vectors[:, term]
            yield cotangent


def _inputs(call: LayerCall, present: Tensor) -> tuple[Tensor, int]:
    """The sum of a a' over the positions that count, and their number; the input of a lone bias is 1."""
    module, rows = call.module, call.inputs
    if not bool(present.all()):  # a position counts with its term, or with any term of its sample
        rows = rows.reshape(len(present), -1, rows.shape[-1])
        counted = present if present.shape[1] == rows.shape[1] else present.any(1, keepdim=True).expand(rows.shape[:2])
        rows = rows[counted]
    rows = rows.reshape(-1, rows.shape[-1])
    weight, bias = module.weight, module.bias
    if not (isinstance(weight, Tensor) and weight.requires_grad):
        return rows.new_full((1, 1), len(rows)), len(rows)
    if isinstance(bias, Tensor) and bias.requires_grad:
        rows = functional.pad(rows, (0, 1), value=1.0)
    return rows.T @ rows, len(rows)

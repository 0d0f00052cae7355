"""The sizes of a problem's layers, of which the costs of its curvature are functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from fishergauge.reference import Problem
from fishergauge.reference.layers import Layer, layers_of


@dataclass(frozen=True)
class LayerSize:
    """The sizes of a linear or convolutional layer.

    Args:
        outputs: m, the rows of its weight.
        inputs: n, the columns of its weight; for a convolution those of the flattened one.
        bias: whether it has one; the bias is an input that is always one.
        positions: T, at how many positions of a sample the weight is used.
        first: whether it reads the inputs of the model, so that nothing is differentiated by what enters it.
        last: whether it makes the outputs of the model.

    Example:
        >>> LayerSize(3, 4, bias=True).parameters
        15
    """

    outputs: int
    inputs: int
    bias: bool
    positions: int = 1
    first: bool = False
    last: bool = False

    @property
    def columns(self) -> int:
        """n, and one more with a bias."""
        return self.inputs + self.bias

    @property
    def parameters(self) -> int:
        """P_l."""
        return self.outputs * self.columns

    @property
    def product(self) -> int:
        """Operations of the matrix product of one sample, 2 T m n."""
        return 2 * self.positions * self.outputs * self.inputs


@dataclass(frozen=True)
class LayerSizes:
    """The sizes of a problem whose parameters all belong to layers that are used once.

    Args:
        samples: N.
        outputs: C, of a sample.
        layers: in order.
        input_numbers: how many numbers the inputs of all samples are.
        itemsize: bytes of a number.
        softmax: whether the outputs are logits of one of C classes: their Hessian then has zero row sums.

    Example:
        >>> sizes = LayerSizes(10, 2, (LayerSize(3, 4, True, first=True), LayerSize(2, 3, True, last=True)), 40, 8)
        >>> sizes.parameters, sizes.forward, sizes.into_inputs
        (23, 360, 120)
    """

    samples: int
    outputs: int
    layers: tuple[LayerSize, ...]
    input_numbers: int
    itemsize: int
    softmax: bool = False

    @property
    def parameters(self) -> int:
        """P."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def maps(self) -> list[tuple[int, int]]:
        """Inputs n and outputs m of each layer."""
        return [(layer.inputs, layer.outputs) for layer in self.layers]

    @property
    def forward(self) -> int:
        """Operations of one evaluation of the model: the product of each layer."""
        return self.samples * sum(layer.product for layer in self.layers)

    @property
    def into_inputs(self) -> int:
        """Operations that carry one vector a sample from the outputs back to every layer's output."""
        return self.samples * sum(layer.product for layer in self.layers if not layer.first)

    @property
    def linear(self) -> bool:
        """Whether the model is one layer used at one position: linear in its parameters."""
        return len(self.layers) == 1 and self.layers[0].first and self.layers[0].last and self.layers[0].positions == 1


def perceptron_sizes(widths: Sequence[int], samples: int, itemsize: int = 8) -> LayerSizes:
    """The sizes of a chain of linear layers with biases that ends in the logits of a softmax.

    Args:
        widths: from the inputs to the outputs.
        samples: N.
        itemsize: bytes of a number.

    Example:
        >>> perceptron_sizes((3, 4, 2), 10).parameters
        26
    """
    pairs = list(pairwise(widths))
    last = len(pairs) - 1
    layers = tuple(LayerSize(m, n, True, first=i == 0, last=i == last) for i, (n, m) in enumerate(pairs))
    return LayerSizes(samples, widths[-1], layers, samples * widths[0], itemsize, softmax=True)


def layer_sizes(problem: Problem) -> LayerSizes | None:
    """The sizes of a problem's layers.

    Args:
        problem: evaluated once.

    Returns:
        The sizes; None where some parameter belongs to another kind of module, is tied or used several times, the weight or
        the bias of a layer is frozen, or a sample has several terms: the closed forms do not hold there.

    Example:
        >>> import torch
        >>> problem = Problem(nn.Linear(2, 3), nn.CrossEntropyLoss(), [(torch.ones(5, 2), torch.zeros(5).long())])
        >>> layer_sizes(problem).layers
        (LayerSize(outputs=3, inputs=2, bias=True, positions=1, first=True, last=True),)
    """
    found = layers_of(problem)
    outputs = problem.outputs
    if outputs.ndim != 2 or not found or not all(_plain(layer) for layer in found):
        return None
    layers = tuple(_size(layer) for layer in found)
    if sum(layer.parameters for layer in layers) != problem.num_parameters:
        return None
    itemsize = problem.dtype.itemsize
    softmax = isinstance(problem.loss, nn.CrossEntropyLoss)
    return LayerSizes(problem.num_samples, outputs.shape[1], layers, problem.inputs.numel(), itemsize, softmax)


def _plain(layer: Layer) -> bool:
    return layer.calls == 1 and not layer.tied and layer.weight is not None and getattr(layer.module, "groups", 1) == 1


def _size(layer: Layer) -> LayerSize:
    weight = layer.module.weight.flatten(1)
    return LayerSize(len(weight), weight.shape[1], layer.bias is not None, layer.positions, layer.first, layer.last)

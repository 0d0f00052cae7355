"""An output-space root pulled back to the layers of a model: what its rows b'J are made of."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from fishergauge.reference.curvature import block_slices
from fishergauge.reference.errors import UnsupportedError
from fishergauge.reference.evaluation import differentiable_attention
from fishergauge.reference.jacobian import detached, same_outputs, split_outputs
from fishergauge.reference.layer_statistics import Layer, LayerStatistics
from fishergauge.reference.problem import Problem
from fishergauge.reference.sample_wise import is_sample_wise
from fishergauge.reference.terms import Terms

KEPT_BYTES = 64 * 2**20  # what the inputs and gradients of all layers may take at a time
PROBED = 2**17  # numbers in the inputs: of more, the first sample alone is evaluated to learn the sizes of the layers


class Piece(NamedTuple):
    """A parameter of a layer: where it stands in the parameter vector, and which of the layer's inputs belong to it."""

    name: str
    place: slice
    columns: slice


class Shape(NamedTuple):
    """Sizes of one layer: N samples, R vectors, T positions, D inputs with the one of a bias, D_out outputs."""

    samples: int
    vectors: int
    positions: int
    inputs: int
    outputs: int

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.inputs * self.outputs


@dataclass(frozen=True, eq=False)
class LayerRoot:
    r"""The part of the rows :math:`b_{nr}' J_n` that belongs to one layer, as sums of outer products.

    .. math:: \operatorname{row}_{nr} = \sum_t g_{nrt} \otimes a_{nt}

    Args:
        name: of the module.
        inputs: a, ``(N, T, D)`` at T positions; the last of the D is a one where the bias is trained.
        gradients: g, ``(N, R, T, D_out)`` for the R vectors of all terms of a sample.
        pieces: the trained parameters of the layer.
    """

    name: str
    inputs: Tensor
    gradients: Tensor
    pieces: tuple[Piece, ...]

    @property
    def shape(self) -> Shape:
        """Its sizes."""
        samples, vectors, positions, outputs = self.gradients.shape
        return Shape(samples, vectors, positions, self.inputs.shape[-1], outputs)

    def alone(self) -> "LayerRoot":
        """The same layer, its parameters counted from zero."""
        first = min(piece.place.start for piece in self.pieces)
        moved = [p._replace(place=slice(p.place.start - first, p.place.stop - first)) for p in self.pieces]
        return replace(self, pieces=tuple(moved))

    def only(self, piece: Piece) -> "LayerRoot":
        """One parameter of the layer, counted from zero."""
        inputs = self.inputs[..., piece.columns]
        whole = Piece(piece.name, slice(0, piece.place.stop - piece.place.start), slice(0, inputs.shape[-1]))
        return replace(self, inputs=inputs, pieces=(whole,))


class LayerRoots:
    r"""A root, times :math:`M^{-1/2}`, pulled back to all layers, some samples at a time.

    Iteration gives tuples of :class:`LayerRoot`. What fits into one part is kept for the next iteration; larger data are
    evaluated anew.

    Args:
        problem: whose trained parameters all belong to layers that :class:`LayerStatistics` covers.
        terms: its evaluated terms.
        root: vectors b, R for each of the K terms: ``(K, R, C)``.
        statistics: of the evaluation that gave the terms, where there are some: it is not repeated then.

    Raises:
        UnsupportedError: some parameter belongs to another kind of module, is tied or used several times, or a sample
            alone does not give the outputs that it gives within the batch.

    Example:
        >>> from fishergauge.reference.terms import terms_of
        >>> problem = Problem(torch.nn.Linear(2, 3), torch.nn.MSELoss(), [(torch.ones(4, 2), torch.zeros(4, 3))])
        >>> (layer,) = next(iter(LayerRoots(problem, terms_of(problem), torch.ones(4, 1, 3))))
        >>> layer.inputs.shape, layer.gradients.shape
        (torch.Size([4, 1, 3]), torch.Size([4, 1, 1, 3]))
    """

    def __init__(self, problem: Problem, terms: Terms, root: Tensor, statistics: LayerStatistics | None = None) -> None:
        self.problem, self.terms, self.root = problem, terms, root
        self._kept: tuple[LayerRoot, ...] | None = None
        everything = slice(0, self.count)
        probe = everything if statistics is not None or probes_all(problem) else slice(0, 1)
        statistics = self._statistics(probe) if statistics is None else statistics
        _require_independence(problem, terms.by_sample)
        vectors = root.shape[1] * terms.per_sample
        self.shapes = tuple(_shape(layer, self.count, vectors) for layer in statistics.layers.values())
        if sum(shape.size for shape in self.shapes) != problem.num_parameters:
            raise UnsupportedError("a trained parameter of a layer is neither its weight nor its bias")
        numbers = sum(shape.positions * (shape.inputs + vectors * shape.outputs) for shape in self.shapes)
        self._part = max(1, KEPT_BYTES // (numbers * root.element_size()))
        self._whole: LayerStatistics | None = None
        if self._part >= self.count:
            self._whole = statistics if probe is everything else self._statistics(everything)

    @property
    def count(self) -> int:
        """N, the number of samples."""
        return self.problem.num_samples

    def __iter__(self) -> Iterator[tuple[LayerRoot, ...]]:
        if self._whole is not None:
            self._kept, self._whole = self._layers(slice(0, self.count), self._whole), None  # the graph is let go
        if self._kept is not None:
            yield self._kept
            return
        for samples, statistics in self._parts():
            yield self._layers(samples, statistics)

    def in_turn(self) -> Iterator[Iterator[tuple[LayerRoot, ...]]]:
        """The same, some vectors at a time, for sums over all of them: for each part of the samples one iterator.

        What has been pulled back already is taken as it is; else nothing is kept.
        """
        if self._kept is not None:
            yield iter([self._kept])
            return
        for samples, statistics in self._parts():
            inputs = self._inputs(statistics)
            by_turn = statistics.gradients_in_turn(self._scaled(samples))
            yield (tuple(replace(a, gradients=g[a.name].transpose(0, 1)) for a in inputs) for g in by_turn)

    def _parts(self) -> Iterator[tuple[slice, LayerStatistics]]:
        """As many samples at a time as may be kept, and the layers at them."""
        if self._whole is not None:
            yield slice(0, self.count), self._whole
            return
        for start in range(0, self.count, self._part):
            samples = slice(start, min(start + self._part, self.count))
            yield samples, self._statistics(samples)

    def _statistics(self, samples: slice) -> LayerStatistics:
        """The layers at some of the samples; these are not checked to be a problem, as their labels may all be masked."""
        problem = copy.copy(self.problem)
        inputs, targets = problem.inputs[samples], problem.targets[samples]
        problem.__dict__.update(batches=((inputs, targets),), inputs=inputs, targets=targets)
        T = self.terms.per_sample
        part = slice(samples.start * T, samples.stop * T)
        return LayerStatistics(problem, replace(self.terms, outputs=self.terms.outputs[part], labels=self.terms.labels[part]))

    def _scaled(self, samples: slice) -> Tensor:
        """The root of some of the samples, times :math:`M^{-1/2}`."""
        T = self.terms.per_sample
        return self.root[samples.start * T : samples.stop * T] * self.terms.divisor.rsqrt()

    def _inputs(self, statistics: LayerStatistics) -> tuple[LayerRoot, ...]:
        """The layers with their inputs, their gradients yet to come."""
        places = block_slices(self.problem, "parameter")
        return tuple(_layer_root(layer, places) for layer in statistics.layers.values())

    def _layers(self, samples: slice, statistics: LayerStatistics) -> tuple[LayerRoot, ...]:
        """The root at all layers, of the samples to which the statistics belong."""
        inputs = self._inputs(statistics)
        turns = list(statistics.gradients_in_turn(self._scaled(samples)))
        return tuple(replace(a, gradients=_by_sample([g[a.name] for g in turns])) for a in inputs)


def _shape(layer: Layer, samples: int, vectors: int) -> Shape:
    """The sizes of the root at a layer."""
    inputs = (layer.inputs.shape[-1] if layer.weight is not None else 0) + (layer.bias is not None)
    return Shape(samples, vectors, layer.inputs.shape[1], inputs, layer.width)


def _layer_root(layer: Layer, places: dict[str, slice]) -> LayerRoot:
    """The root at one layer, of no vectors yet."""
    inputs, pieces = [], []
    width = 0
    if layer.weight is not None:
        inputs.append(layer.inputs)
        width = layer.inputs.shape[-1]
        pieces.append(Piece(layer.weight, places[layer.weight], slice(0, width)))
    if layer.bias is not None:
        inputs.append(torch.ones_like(layer.inputs[..., :1]))
        pieces.append(Piece(layer.bias, places[layer.bias], slice(width, width + 1)))
    entered = torch.cat(inputs, -1) if len(inputs) > 1 else inputs[0]
    none = entered.new_empty(len(entered), 0, entered.shape[1], layer.width)
    return LayerRoot(layer.name, entered, none, tuple(pieces))


def _by_sample(turns: list[Tensor]) -> Tensor:
    """Gradients ``(r, N, T, D_out)`` of all vectors side by side, ``(N, R, T, D_out)``."""
    parts = [part.transpose(0, 1) for part in turns]
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0].contiguous()


def probes_all(problem: Problem) -> bool:
    """Whether all samples are evaluated to learn the sizes of the layers, and not the first alone."""
    return problem.inputs.numel() <= PROBED


def _require_independence(problem: Problem, outputs: Tensor) -> None:
    """Refuse a model whose samples alone give other outputs than within their batch, ``(N, T, C)``."""
    if is_sample_wise(problem):
        return
    parameters = detached(problem)
    with torch.no_grad(), differentiable_attention():
        try:
            alone = vmap(lambda inputs: split_outputs(problem, inputs[None])(parameters)[0])(problem.inputs)
        except RuntimeError as error:
            raise UnsupportedError("torch.func.vmap cannot evaluate the model sample by sample") from error
    if not same_outputs(alone, outputs):
        raise UnsupportedError("a sample alone gives other outputs than within its batch")

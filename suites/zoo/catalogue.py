"""The versioned catalogue: which problems a subject is checked on, chosen by coverage and not by outcome."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from fishergauge.reference import Problem
from fishergauge.suites.zoo import (
    convolutions,
    deep_linear,
    linear_models,
    networks,
    perceptrons,
    positions,
    sharing,
    special,
    statistical,
    weighted,
)
from fishergauge.suites.zoo.setting import Reduction, Setting

ZOO_VERSION = 1  # to be raised with every change of a problem, so that records of two versions are not compared

Builder = Callable[[Setting], Problem]


@dataclass(frozen=True)
class Entry:
    """A problem of the catalogue.

    Args:
        name: as in ``--problems``; ends in ``-sum`` where the loss sums, and averages otherwise.
        builder: draws it.
        reduction: ``mean`` or ``sum``.
        quick: whether it belongs to the covering subset of ``--quick``.
    """

    name: str
    builder: Builder
    reduction: Reduction
    quick: bool = False

    @property
    def summary(self) -> str:
        """The first line of the docstring of the builder."""
        return (inspect.getdoc(self.builder) or "").partition("\n")[0]

    def build(self, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0) -> Problem:
        """The problem itself; the same for the same arguments."""
        with torch.random.fork_rng(devices=[]):  # modules initialise themselves from the global generator
            return self.builder(Setting(self.name, dtype, device, self.reduction, seed))


# A builder and the reductions that its loss is taken with; "quick" after a reduction puts that problem into the subset.
_LIST: tuple[tuple[Builder, str], ...] = (
    (linear_models.linear_regression, "mean"),
    (linear_models.scalar_regression, "mean"),
    (linear_models.logistic_regression, "mean"),
    (linear_models.multilabel_regression, "mean"),
    (linear_models.softmax_regression, "mean quick"),
    (linear_models.softmax_uneven_batches, "mean quick"),
    (networks.mlp_tanh_softmax, "mean quick sum"),
    (networks.mlp_tanh_gaussian, "mean quick sum"),
    (networks.mlp_sigmoid_binary, "mean sum quick"),
    (networks.mlp_relu_softmax, "mean quick"),
    (networks.mlp_relu_gaussian, "mean"),
    (networks.sizes_of_one, "mean"),
    (networks.frozen_first_layer, "mean"),
    (networks.batch_norm, "mean"),
    (perceptrons.dropout, "mean"),
    (perceptrons.mlp_no_bias, "mean"),
    (perceptrons.binary_scalar, "mean"),
    (perceptrons.two_classes, "sum"),
    (perceptrons.deep_tanh, "mean"),
    (perceptrons.frozen_last_layer, "mean"),
    (perceptrons.other_order, "mean quick"),
    (perceptrons.mlp_square, "mean"),
    (perceptrons.one_parameter, "mean"),
    (perceptrons.duplicated_data, "mean"),
    (perceptrons.one_sample_gaussian, "mean"),
    (perceptrons.one_sample_softmax, "mean quick"),
    (perceptrons.one_sample_binary, "mean"),
    (perceptrons.one_sample_square, "mean"),
    (perceptrons.equal_inputs_gaussian, "mean"),
    (perceptrons.equal_inputs_softmax, "mean quick"),
    (perceptrons.equal_inputs_binary, "mean"),
    (perceptrons.mlp_gaussian_wide_data, "mean quick"),
    (perceptrons.mlp_softmax_wide_data, "mean"),
    (perceptrons.mlp_binary_wide_data, "mean"),
    (networks.deep_linear, "mean"),
    (deep_linear.deep_linear_two, "mean"),
    (deep_linear.deep_linear_bias, "sum"),
    (deep_linear.deep_linear_three, "mean quick"),
    (networks.cnn, "mean quick"),
    (convolutions.cnn_circular, "mean"),
    (convolutions.cnn_reflect, "mean"),
    (convolutions.cnn_stride_dilation, "mean"),
    (convolutions.conv_stride, "mean quick"),
    (convolutions.conv_padding, "sum"),
    (convolutions.image_regression, "sum quick"),
    (convolutions.deep_linear_convolutions, "mean quick"),
    (convolutions.image_tagging, "mean"),
    (convolutions.signal_convolution, "mean"),
    (convolutions.cnn_replicate, "mean"),
    (sharing.loss_per_position, "mean"),
    (sharing.pooled_positions, "mean"),
    (sharing.conv1d_tagging, "mean"),
    (sharing.binary_per_position, "mean"),
    (sharing.tied_autoencoder, "mean"),
    (sharing.reused_layer, "mean"),
    (sharing.recurrent, "mean"),
    (positions.positions_linear, "mean quick sum"),
    (positions.pooled_linear, "mean quick sum"),
    (positions.length_change, "mean sum"),
    (positions.repeated_positions, "mean quick"),
    (positions.masked_positions, "mean"),
    (positions.embedding, "mean"),
    (positions.small_attention, "mean"),
    (weighted.masked_labels, "mean quick sum"),
    (weighted.ignored_class, "mean quick"),
    (weighted.class_weights, "mean quick"),
    (weighted.soft_targets, "mean"),
    (weighted.positive_weights, "mean"),
    (special.product_data, "mean quick"),
    (special.product_data_plain, "sum"),
    (special.saturated_softmax, "mean quick"),
    (special.saturated_binary, "mean"),
    (special.gaussian_variances, "mean"),
    (special.mlp_variances, "mean"),
    (special.overparametrised_gaussian, "mean"),
    (special.overparametrised_softmax, "mean"),
    (special.natural_categorical, "mean"),
    (special.natural_bernoulli, "sum"),
    (statistical.stat_softmax_uniform, "mean quick"),
    (statistical.stat_softmax_skewed, "sum quick"),
    (statistical.stat_binary, "mean"),
    (statistical.stat_gaussian, "mean quick"),
    (statistical.stat_mlp_softmax, "mean"),
    (statistical.stat_mlp_gaussian, "mean"),
    (statistical.stat_scalar, "sum"),
    (statistical.stat_positions, "mean"),
)


def _entries() -> Iterator[Entry]:
    """The entries of the list; ``quick`` belongs to the reduction before it."""
    for builder, words in _LIST:
        name, marks = builder.__name__.replace("_", "-"), words.split()
        for mark, after in zip(marks, [*marks[1:], ""], strict=True):
            if mark == "mean":
                yield Entry(name, builder, "mean", after == "quick")
            elif mark == "sum":
                yield Entry(f"{name}-sum", builder, "sum", after == "quick")


CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _entries()})


def catalogue_problem(name: str, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0) -> Problem:
    """Build the problem of the catalogue with that name.

    Args:
        name: a key of :data:`CATALOGUE`; with the suffix ``-sum`` the loss sums.
        dtype: of parameters and data.
        device: of parameters and data.
        seed: distinguishes repetitions.

    Returns:
        A problem of that name.

    Raises:
        KeyError: there is no problem of that name.

    Example:
        >>> catalogue_problem("mlp-tanh-softmax-sum").loss.reduction
        'sum'
    """
    if name not in CATALOGUE:
        raise KeyError(f"no problem {name!r} in the catalogue; it has {', '.join(sorted(CATALOGUE))}")
    return CATALOGUE[name].build(dtype, device, seed)

"""Small problems that cover what a curvature matrix can get wrong."""

from collections.abc import Callable, Mapping

from fishergauge.reference import Problem
from fishergauge.suites.zoo import linear_models, networks, sharing, weighted
from fishergauge.suites.zoo.catalogue import CATALOGUE, ZOO_VERSION, Entry, catalogue_problem
from fishergauge.suites.zoo.setting import Setting

Builder = Callable[[Setting], Problem]

_BUILDERS: tuple[Builder, ...] = (
    linear_models.linear_regression,
    linear_models.scalar_regression,
    linear_models.logistic_regression,
    linear_models.multilabel_regression,
    linear_models.softmax_regression,
    linear_models.softmax_uneven_batches,
    networks.mlp_tanh_softmax,
    networks.mlp_tanh_gaussian,
    networks.mlp_sigmoid_binary,
    networks.mlp_relu_softmax,
    networks.mlp_relu_gaussian,
    networks.deep_linear,
    networks.sizes_of_one,
    networks.prelu,
    networks.frozen_first_layer,
    networks.batch_norm,
    networks.cnn,
    sharing.loss_per_position,
    sharing.pooled_positions,
    sharing.conv1d_tagging,
    sharing.binary_per_position,
    sharing.tied_autoencoder,
    sharing.recurrent,
    sharing.attention,
    weighted.masked_labels,
    weighted.class_weights,
    weighted.soft_targets,
    weighted.positive_weights,
)

ZOO: Mapping[str, Builder] = {builder.__name__.replace("_", "-"): builder for builder in _BUILDERS}


def zoo_problem(name: str, **setting: object) -> Problem:
    """Build the zoo problem of that name; keywords as for :class:`~fishergauge.suites.zoo.setting.Setting`.

    Raises:
        KeyError: there is no problem of that name.

    Example:
        >>> zoo_problem("softmax-regression").num_parameters
        12
    """
    return ZOO[name](Setting(name, **setting))  # type: ignore[arg-type]


__all__ = ["CATALOGUE", "ZOO", "ZOO_VERSION", "Builder", "Entry", "Setting", "catalogue_problem", "zoo_problem"]

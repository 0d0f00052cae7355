"""Facts that a problem declares about itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What is known of a problem beyond its code; the applicability of a claim follows from it.

    Args:
        linear_in_parameters: the outputs are an affine function of all parameters together.
        piecewise_linear: every activation is piecewise linear (ReLU, max-pooling, none).
        weight_sharing: some layer is used at several positions of one sample.
        tied_weights: one parameter is used by several layers.

    Example:
        >>> Facts(linear_in_parameters=True, piecewise_linear=True).weight_sharing
        False
    """

    linear_in_parameters: bool = False
    piecewise_linear: bool = False
    weight_sharing: bool = False
    tied_weights: bool = False

"""Facts that a problem declares about itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What is known of a problem beyond its code; the applicability of a claim follows from it.

    A fact that is declared must be true; one that is left out is not claimed, so that the claims which need it are
    not examined there. ``weight_sharing`` and ``tied_weights`` restrict claims: declare them wherever they are true.

    Args:
        linear_in_parameters: the outputs are an affine function of all parameters together.
        piecewise_linear: every activation is piecewise linear (ReLU, max-pooling, none).
        weight_sharing: some layer is used at several positions of one sample.
        tied_weights: one parameter is used by several layers.
        deep_linear: a chain of linear layers with nothing nonlinear between them, so that the outputs are affine in the
            parameters of each layer; a linear model is one of depth one. Declared where the loss is squared error.
        loss_per_position: every shared layer acts on each position (a patch, for a convolution) by itself, and each term of
            the loss depends on one position alone; a position may have several terms.
        pooled: the shared layers act on each position by itself, and the positions are averaged or summed before a loss
            with one term a sample. Together with ``deep_linear``, only linear layers stand in between.
        product_data: the data are all pairs of an input and a residual: each input comes with the same residuals
            ``f(x) - y``.
        saturated: every term is predicted with a probability above 1 - 1e-5, so that ``p - p p'`` cancels.
        natural_parameters: the parameters are the natural parameters of the distribution of labels: one sample,
            ``f(x) = theta``.

    Example:
        >>> Facts(linear_in_parameters=True, piecewise_linear=True).weight_sharing
        False
    """

    linear_in_parameters: bool = False
    piecewise_linear: bool = False
    weight_sharing: bool = False
    tied_weights: bool = False
    deep_linear: bool = False
    loss_per_position: bool = False
    pooled: bool = False
    product_data: bool = False
    saturated: bool = False
    natural_parameters: bool = False

"""The problems on which accuracy is held against cost: few, of different kind, and each for a reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from fishergauge.reference import Problem
from fishergauge.suites.benchmarks.problems import BENCHES
from fishergauge.suites.zoo import catalogue_problem


@dataclass(frozen=True)
class Chosen:
    """A problem.

    Args:
        statement: what it is.
        why: what it shows.
        build: of it, in float64.
        quick: whether it belongs to the quick form.
    """

    statement: str
    why: str
    build: Callable[[], Problem]
    quick: bool = False


PROBLEMS: Mapping[str, Chosen] = MappingProxyType(
    {
        "softmax-small": Chosen(
            "softmax regression, 8 inputs, 5 classes, 500 samples",
            "one layer: what is lost is lost inside it",
            BENCHES["softmax-small"].problem,
            quick=True,
        ),
        "mlp-small": Chosen(
            "a perceptron 16-24-16-10 with biases, 250 samples",
            "several layers, so many parameters that factors are much cheaper than blocks",
            BENCHES["mlp-small"].problem,
        ),
        "cnn-small": Chosen(
            "two convolutions and a linear layer, 64 images of 8 x 8",
            "weights used at many positions, where expand and reduce differ",
            BENCHES["cnn-small"].problem,
            quick=True,
        ),
        "small-attention": Chosen(
            "embedding, attention, layer normalisation and linear layers, a label at each position",
            "modules that Kronecker factorisations do not cover",
            partial(catalogue_problem, "small-attention"),
        ),
        "saturated-softmax": Chosen(
            "softmax regression, certain of every label",
            "the residuals of the observed labels say nothing of the Fisher",
            partial(catalogue_problem, "saturated-softmax"),
            quick=True,
        ),
        "deep-linear-three": Chosen(
            "three linear layers under squared error",
            "theory says that K-FAC has no error inside its blocks",
            partial(catalogue_problem, "deep-linear-three"),
        ),
    }
)
"""The problems by name. Those from the benchmarks have enough samples and parameters for counts to tell."""

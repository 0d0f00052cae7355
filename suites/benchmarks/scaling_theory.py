"""What the implementations should cost: closed forms of their operations and of the bytes that they hold.

What leads is theory, with its references in :mod:`~fishergauge.suites.benchmarks.scaling_orders` and
:mod:`~fishergauge.suites.benchmarks.theory_of_layers`. Some terms of lower order say how an implementation goes about it
and were entered because they were observed; their docstrings say so. They may not lead, and a test holds every form to
the order of its leading term.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from fishergauge.reference.jacobian import CHUNK_BYTES
from fishergauge.reference.kronecker_sum import CHUNK as PACKED_CHUNK
from fishergauge.suites.benchmarks import theory_of_layers as layered
from fishergauge.suites.benchmarks.implementation import Implementation
from fishergauge.suites.benchmarks.layer_sizes import LayerSizes
from fishergauge.suites.benchmarks.task import Task

Form = Callable[[LayerSizes], float]
PANEL = 16  # outputs of a layer that the reference pairs with all later ones at a time


@dataclass(frozen=True)
class Expected:
    """What theory says of an implementation.

    Args:
        flops: operations of matrix products and factorisations, with the terms of lower order.
        leading: the leading term in words.
        numbers: floating-point numbers held at most at one time beyond the start, up to a factor.
        held: in words.
        families: of problems on which it is counted.
    """

    flops: Form
    leading: str
    numbers: Form
    held: str
    families: tuple[str, ...] = ("mlp",)


def expected(implementation: Implementation) -> Expected | None:
    """What theory says of an implementation; None where it says nothing.

    Args:
        implementation: of the reference, BackPACK or the notebooks.
    """
    return FORMS.get((implementation.name, str(implementation.task)))


def matrix_free(task: Task) -> bool:
    """Whether a task keeps no (P, P) array, so that it is counted at more parameters."""
    kronecker = task.quantity.startswith("kfac")
    return task.operation in ("diagonal", "factors", "rows", "first-product", "product") or (
        kronecker and task.operation in ("solve", "step")
    )


def chunked(s: LayerSizes, vectors: int) -> float:
    """Numbers of rows that are formed a chunk of samples at a time: N R P, or a chunk."""
    return min(s.samples * vectors * s.parameters, CHUNK_BYTES / s.itemsize)


def widths(s: LayerSizes) -> int:
    """The outputs of all layers, of a sample."""
    return sum(layer.outputs for layer in s.layers)


def activations(s: LayerSizes, vectors: int = 0) -> int:
    """Numbers of inputs and outputs of all layers, and of R vectors a sample at them."""
    return s.input_numbers + s.samples * (1 + vectors) * widths(s)


def factor_numbers(s: LayerSizes) -> int:
    """Numbers of both factors of all layers."""
    return sum(layer.outputs**2 + layer.columns**2 for layer in s.layers)


def eigenproblems(s: LayerSizes) -> float:
    """Spectral decompositions of both factors, and four products of each layer's matrix with a basis."""
    cubes = sum(9 * (layer.outputs**3 + layer.columns**3) for layer in s.layers)
    return cubes + 2 * layered.kronecker_product(s)


def packed(s: LayerSizes) -> float:
    """One product of packed triangles and an evaluation: softmax regression."""
    return layered.dense(s, s.outputs)


def packed_numbers(s: LayerSizes) -> float:
    """Numbers of the packed factors of softmax regression, all or a chunk of the samples, with as many to make them."""
    n, m = s.layers[0].columns, s.outputs
    return min(s.samples * (m * (m + 1) + n * (n + 1)), 2 * PACKED_CHUNK) + s.parameters**2 + activations(s)


def root_numbers(s: LayerSizes) -> float:
    """Numbers of the roots of the output Hessians while they are made, or of the passes, whichever are more.

    Observed: the factors of both.
    """
    return max(2 * s.samples * s.outputs**2 + 4 * s.samples * s.outputs, 2 * s.parameters + 2 * s.samples * widths(s))


def residuals(s: LayerSizes) -> int:
    """Operations of the complements 1 - p of all class probabilities, each as the sum of the others, as one product.

    Observed: nothing but accuracy asks for this product.
    """
    return 2 * s.samples * s.outputs**2


def by_root(s: LayerSizes) -> int:
    """Operations of the product of a vector with the output Hessians, by their roots: two of C numbers by C a sample."""
    return 4 * s.samples * s.outputs**2


def checked(s: LayerSizes) -> int:
    """Passes beyond those of the theory: the reference compares what it knows of the layers with plain evaluations.

    Observed: their number.
    """
    return 4 * s.forward + 2 * s.into_inputs


def whole(s: LayerSizes) -> int:
    """Numbers of a matrix and of a copy of it; observed: the copy."""
    return 2 * s.parameters**2


def pairs_held(s: LayerSizes) -> float:
    """Numbers of a matrix and a copy, of the roots at every layer, and of the factors of the widest pair of layers.

    Observed: the copy, and that the factors are held for one pair at a time.
    """
    factors = max(layer.outputs**2 + layer.columns**2 for layer in s.layers)
    return whole(s) + activations(s, s.outputs) + s.samples * factors


def own_pairs(s: LayerSizes, roots: int) -> int:
    """Blocks of layers paired with themselves: packed pairs of inputs, and pairs of outputs above a staircase of panels."""
    total = 0
    for layer in s.layers:
        m, n = layer.outputs, layer.columns
        pairs = sum(min(PANEL, m - start) * (m - start) for start in range(0, m, PANEL))
        total += 2 * s.samples * pairs * (roots + n * (n + 1) // 2)
    return total


def other_pairs(s: LayerSizes, roots: int) -> int:
    """Blocks of two layers: their outputs summed over the R vectors of a sample, times their inputs."""
    pairs = list(combinations(s.layers, 2))
    return sum(2 * s.samples * a.outputs * b.outputs * (roots + a.columns * b.columns) for a, b in pairs)


def layered_blocks(s: LayerSizes, roots: int) -> float:
    """Blocks of layers, and what leads to their factors."""
    return layered.passes(s, roots) + checked(s) + residuals(s) + own_pairs(s, roots)


def layered_dense(s: LayerSizes, roots: int) -> float:
    """Blocks of all pairs of layers, N P^2 up to what symmetry saves within a layer, and what leads to their factors."""
    return layered_blocks(s, roots) + other_pairs(s, roots)


def of_rows(s: LayerSizes, vectors: int) -> float:
    """All rows, and their products without use of symmetry: 2 N R P^2."""
    return layered.passes(s, vectors) + 2 * s.samples * vectors * s.parameters**2


def rows_held(s: LayerSizes, vectors: int) -> float:
    """Numbers of all rows, twice, as those of the parameters are put together, and of a matrix; observed: twice."""
    return 2 * s.samples * vectors * s.parameters + s.parameters**2


def moments(s: LayerSizes, last: int) -> float:
    """Second moments without use of symmetry, R vectors at the last layer, C at the others, and passes."""
    vectors = [last if layer.last else s.outputs for layer in s.layers]
    pairs = zip(vectors, s.layers, strict=True)
    return layered.passes(s, s.outputs) + 2 * s.samples * sum(r * layer.outputs**2 + layer.columns**2 for r, layer in pairs)


BOTH = ("mlp", "softmax")
FORMS: dict[tuple[str, str], Expected] = {
    ("fishergauge", "ggn/dense"): Expected(
        lambda s: layered_dense(s, s.outputs), "N P²", pairs_held, "P² + N (C widths + m² + n²)"
    ),
    ("fishergauge", "fisher/dense"): Expected(
        lambda s: layered_dense(s, s.outputs), "N P²", pairs_held, "P² + N (C widths + m² + n²)"
    ),
    ("fishergauge", "empirical-fisher/dense"): Expected(
        lambda s: layered_dense(s, 1),
        "N P²",
        lambda s: whole(s) + chunked(s, 1),
        "P² + a chunk of N P",
    ),
    ("fishergauge", "ggn/blocks"): Expected(
        lambda s: layered_blocks(s, s.outputs),
        "N sum P_l²",
        lambda s: pairs_held(s) - whole(s) + 2 * sum(layer.parameters**2 for layer in s.layers),
        "sum P_l² + N (C widths + m² + n²)",
    ),
    ("fishergauge", "ggn/diagonal"): Expected(
        lambda s: layered.diagonal(s, s.outputs),
        "2 N C P of the passes",
        lambda s: s.parameters + activations(s, s.outputs) + s.samples * s.outputs**2,
        "N C widths",
    ),
    ("fishergauge", "kfac/factors"): Expected(
        lambda s: moments(s, s.outputs) + checked(s),
        "2 N sum (n² + C m² + C m n)",
        lambda s: 2 * factor_numbers(s) + activations(s, s.outputs) + s.samples * s.outputs**2,
        "sum (m² + n²) + N C widths",
    ),
    ("fishergauge", "gradient/rows"): Expected(layered.rows, "N P", lambda s: 2 * s.samples * s.parameters, "N P", BOTH),
    ("fishergauge", "ggn/first-product"): Expected(
        lambda s: s.forward + layered.product(s) + by_root(s) + residuals(s),
        "N P + N C²",
        root_numbers,
        "N widths + P, or N C²",
        BOTH,
    ),
    ("fishergauge", "ggn/product"): Expected(
        lambda s: layered.product(s) + by_root(s),
        "N P + N C²",
        lambda s: 2 * s.parameters + 2 * s.samples * widths(s),
        "N widths + P",
        BOTH,
    ),
    ("fishergauge", "hessian/first-product"): Expected(
        lambda s: layered.hessian_product(s) + 2 * s.forward + s.into_inputs,
        "N P",
        lambda s: 2 * s.parameters + 2 * s.samples * widths(s),
        "N widths + P",
    ),
    ("fishergauge", "kfac/product"): Expected(layered.kronecker_product, "sum m n (m + n)", lambda s: 2 * s.parameters, "P"),
    ("fishergauge", "kfac/solve"): Expected(
        eigenproblems, "9 sum (m³ + n³)", lambda s: factor_numbers(s) + s.parameters, "sum (m² + n²)"
    ),
    ("fishergauge", "ggn/solve"): Expected(
        lambda s: layered.cholesky_solve(s.parameters), "P³ / 3", lambda s: 3 * s.parameters**2, "P²"
    ),
    **dict.fromkeys(
        (("fishergauge:closed-form", "fisher/dense"), ("fishergauge:closed-form", "empirical-fisher/dense")),
        Expected(
            lambda s: packed(s) + residuals(s),
            "N C² D² / 2",
            packed_numbers,
            "P² + N (C + D) + a chunk of N (C² + D²)",
            ("softmax",),
        ),
    ),
    ("notebook:loop", "fisher/dense"): Expected(
        lambda s: s.forward, "N C D: outer products are no matrix products", lambda s: 3 * s.parameters**2, "P²", ("softmax",)
    ),
    ("notebook:einsum", "fisher/dense"): Expected(
        lambda s: s.forward,
        "N C D: outer products are no matrix products",
        lambda s: s.samples * s.parameters**2,
        "N P²",
        ("softmax",),
    ),
    **{
        ("backpack", f"{quantity}/dense"): Expected(
            lambda s: of_rows(s, s.outputs), "2 N C P²", lambda s: rows_held(s, s.outputs), "P² + N C P", (family,)
        )
        for quantity, family in (("ggn", "mlp"), ("fisher", "softmax"))  # they are the same there
    },
    ("backpack", "empirical-fisher/dense"): Expected(lambda s: of_rows(s, 1), "2 N P²", lambda s: rows_held(s, 1), "P² + N P"),
    ("backpack", "ggn/diagonal"): Expected(
        lambda s: layered.diagonal(s, s.outputs) + layered.gradient(s),
        "2 N C P of the passes",
        lambda s: s.parameters + activations(s, s.outputs) + s.samples * s.outputs**2,
        "N C widths",
    ),
    ("backpack", "kfac/factors"): Expected(
        lambda s: moments(s, s.outputs),
        "2 N sum (n² + C m² + C m n)",
        lambda s: 2 * factor_numbers(s) + activations(s, s.outputs) + s.samples * s.outputs**2,
        "sum (m² + n²) + N C widths",
    ),
    ("backpack", "ggn/product"): Expected(
        layered.product,
        "N P",
        lambda s: 2 * s.parameters + s.samples * (2 * widths(s) + 9 * s.outputs),  # observed: the nine
        "N widths + 9 N C + P",
    ),
}
